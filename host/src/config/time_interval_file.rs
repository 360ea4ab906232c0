//! `time_intervals` of a tenant's routes, in Alertmanager's spelling.

use std::collections::BTreeMap;

use super::batch_file::zone;
use super::problem::nearest;
use super::section::Section;
use super::time_interval::TimeInterval;

type Checked<T> = Result<T, (String, String)>;

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// `time_intervals`, by name.
pub(super) fn intervals(alerting: &Section<'_>) -> BTreeMap<String, Vec<TimeInterval>> {
    let mut named = BTreeMap::new();
    for entry in alerting.items("time_intervals").unwrap_or_default() {
        let name = entry.text("name");
        if !entry.has("name") {
            entry.fault("name", "is missing", "name it, so that routes can: name: nights");
        }
        let spans: Vec<_> = entry.items("time_intervals").unwrap_or_default().into_iter().map(interval).collect();
        if !entry.has("time_intervals") {
            let remedy = "write time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}]}]";
            entry.fault("time_intervals", "is missing", remedy);
        }
        if let Some(name) = name
            && named.insert(name.to_owned(), spans).is_some()
        {
            entry.fault("name", format!("\"{name}\" is also the name of another one"), "give each its own name");
        }
        entry.finish();
    }
    named
}

fn interval(section: Section<'_>) -> TimeInterval {
    let interval = TimeInterval {
        times: section.items("times").unwrap_or_default().into_iter().filter_map(times).collect(),
        weekdays: ranges(&section, "weekdays", |text| word(text, &WEEKDAYS, "a weekday")),
        days_of_month: ranges(&section, "days_of_month", day),
        months: ranges(&section, "months", month),
        years: ranges(&section, "years", year),
        location: section.parsed("location", zone),
    };
    section.finish();
    interval
}

fn times(section: Section<'_>) -> Option<(u32, u32)> {
    let (start, end) = (section.parsed("start_time", minute), section.parsed("end_time", minute));
    for key in ["start_time", "end_time"] {
        if !section.has(key) {
            section.fault(key, "is missing", "write start_time: '09:00' and end_time: '17:00'");
        }
    }
    let range = start.zip(end);
    if let Some((start, end)) = range
        && end <= start
    {
        let text = "is not after start_time";
        section.fault("end_time", text, "for a night write two: one up to '24:00', and one from '00:00'");
    }
    section.finish();
    range
}

/// The minute of the day; 24:00 is its end.
fn minute(text: &str) -> Checked<u32> {
    let two = |text: &str| text.parse::<u32>().ok().filter(|_| text.len() == 2);
    let minute = text.split_once(':').and_then(|(hours, minutes)| Some((two(hours)?, two(minutes)?)));
    match minute {
        Some((24, 0)) => Ok(1_440),
        Some((hours @ 0..=23, minutes @ 0..=59)) => Ok(hours * 60 + minutes),
        _ => {
            Err((format!("\"{text}\" is no time of day"), "write hours and minutes: '09:00', up to '24:00'".to_owned()))
        }
    }
}

/// A list of values and ranges, `a:b`.
fn ranges<T: PartialOrd + Copy + Signed>(
    section: &Section<'_>,
    key: &'static str,
    parse: impl Fn(&str) -> Checked<T>,
) -> Vec<(T, T)> {
    let mut ranges = Vec::new();
    for (at, text) in section.scalars(key) {
        let (first, last) = text.split_once(':').unwrap_or((text.as_str(), text.as_str()));
        let range = parse(first.trim()).and_then(|first| Ok((first, parse(last.trim())?)));
        let (first, last) = match range {
            Ok(range) => range,
            Err((message, remedy)) => {
                section.fault_at(&at, message, remedy);
                continue;
            }
        };
        match (first.is_negative(), last.is_negative()) {
            (true, false) => {
                let text = format!("\"{text}\" begins from the end of the month and ends from its start");
                let remedy = "write both ends from the end of the month, or both from its start";
                section.fault_at(&at, text, remedy);
            }
            // Which of 5 and -5 comes first depends on the month.
            (false, true) => ranges.push((first, last)),
            _ if first > last => {
                section.fault_at(&at, format!("\"{text}\" ends before it begins"), "write it as two ranges");
            }
            _ => ranges.push((first, last)),
        }
    }
    ranges
}

/// Whether a day counts from the end of its month.
trait Signed {
    fn is_negative(&self) -> bool;
}

impl Signed for u32 {
    fn is_negative(&self) -> bool {
        false
    }
}

impl Signed for i32 {
    fn is_negative(&self) -> bool {
        *self < 0
    }
}

fn word(text: &str, words: &[&str], what: &str) -> Checked<u32> {
    let index = words.iter().position(|word| word.eq_ignore_ascii_case(text)).and_then(|i| u32::try_from(i).ok());
    index.ok_or_else(|| {
        let remedy = match nearest(text, words.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("write one of: {}", words.join(", ")),
        };
        (format!("\"{text}\" is not {what}"), remedy)
    })
}

fn month(text: &str) -> Checked<u32> {
    match text.parse() {
        Ok(number @ 1..=12) => Ok(number),
        Ok(_) => Err((format!("{text} is not a month"), "write 1 to 12, or its name".to_owned())),
        Err(_) => word(text, &MONTHS, "a month").map(|index| index + 1),
    }
}

fn day(text: &str) -> Checked<i32> {
    match text.parse::<i32>() {
        Ok(number) if number != 0 && (-31..=31).contains(&number) => Ok(number),
        _ => Err((
            format!("\"{text}\" is not a day of a month"),
            "write 1 to 31, or -1 (the last day) to -31, or a range: '1:7', '-3:-1'".to_owned(),
        )),
    }
}

fn year(text: &str) -> Checked<i32> {
    match text.parse() {
        Ok(number @ 1970..=9999) => Ok(number),
        _ => Err((format!("\"{text}\" is not a year"), "write 2027, or a range: '2026:2028'".to_owned())),
    }
}
