//! Where the marks of an axis stand and what is written at them.
//!
//! Marks of values are 1, 2 or 5 times a power of ten in the unit that is written; marks of
//! time are round in the reader's zone, so a day begins at its midnight also where the clocks
//! were changed.

use std::ops::Range;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;

use crate::message::Unit;
use crate::series::Millis;

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;
/// More marks than this are a mistake.
const MARKS: usize = 64;

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark<T> {
    /// Where.
    pub at: T,
    /// What is written there.
    pub label: String,
}

/// Marks of values within `low..=high`, about so many.
pub fn values(low: f64, high: f64, unit: Unit, most: usize) -> Vec<Mark<f64>> {
    let scale = unit.scale(low.abs().max(high.abs()));
    let (low, high) = (low / scale.factor, high / scale.factor);
    let rough = (high - low) / most.max(1) as f64;
    if !(rough.is_normal() && rough > 0.0) {
        return Vec::new();
    }
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power);
    let decimals = (-step.log10() - 1e-9).ceil().clamp(0.0, 12.0) as usize;
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let count = ((last - first) as usize).saturating_add(1).min(MARKS);
    let mark = |index: usize| {
        let value = (first + index as f64) * step;
        Mark { at: value * scale.factor, label: label(value, step, decimals, scale.suffix) }
    };
    (0..count).map(mark).collect()
}

fn label(value: f64, step: f64, decimals: usize, suffix: &str) -> String {
    let value = if value.abs() < step / 2.0 { 0.0 } else { value };
    if value != 0.0 && (value.abs() >= 1e7 || step < 1e-5) {
        return format!("{value:.2e}{suffix}");
    }
    format!("{value:.decimals$}{suffix}")
}

/// How far marks of time are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// A part of a day.
    Millis(Millis),
    Days(i32),
    Months(u32),
    Years(i32),
}

const PACES: [Pace; 24] = [
    Pace::Millis(SECOND),
    Pace::Millis(5 * SECOND),
    Pace::Millis(15 * SECOND),
    Pace::Millis(30 * SECOND),
    Pace::Millis(MINUTE),
    Pace::Millis(2 * MINUTE),
    Pace::Millis(5 * MINUTE),
    Pace::Millis(10 * MINUTE),
    Pace::Millis(15 * MINUTE),
    Pace::Millis(30 * MINUTE),
    Pace::Millis(HOUR),
    Pace::Millis(2 * HOUR),
    Pace::Millis(3 * HOUR),
    Pace::Millis(6 * HOUR),
    Pace::Millis(12 * HOUR),
    Pace::Days(1),
    Pace::Days(2),
    Pace::Days(7),
    Pace::Days(14),
    Pace::Months(1),
    Pace::Months(3),
    Pace::Years(1),
    Pace::Years(2),
    Pace::Years(10),
];

impl Pace {
    fn millis(self) -> Millis {
        match self {
            Self::Millis(millis) => millis,
            Self::Days(days) => Millis::from(days) * DAY,
            Self::Months(months) => Millis::from(months) * 30 * DAY,
            Self::Years(years) => Millis::from(years) * 365 * DAY,
        }
    }
}

/// Marks of time within a span, so many at most.
pub fn times(span: &Range<Millis>, zone: Tz, most: usize) -> Vec<Mark<Millis>> {
    let length = span.end.saturating_sub(span.start);
    let most = most.clamp(1, MARKS);
    let fits = |pace: &Pace| length / pace.millis() < most as Millis;
    let pace = PACES.into_iter().find(fits).unwrap_or(Pace::Years(100));
    let Some(first) = local(span.start, zone) else { return Vec::new() };
    let mut marks: Vec<Mark<Millis>> = Vec::new();
    let mut day = first.date_naive();
    // A day at a time: the paces that are longer pass over most of them.
    for _ in 0..=(length / DAY).clamp(0, 366 * 200) + 1 {
        if begins(day, pace) {
            marks.extend(of_day(day, pace, zone).filter(|mark| span.contains(&mark.at)));
        }
        let Some(next) = day.checked_add_days(Days::new(1)) else { break };
        day = next;
    }
    marks.dedup_by_key(|mark| mark.at);
    marks
}

fn begins(day: NaiveDate, pace: Pace) -> bool {
    match pace {
        Pace::Millis(_) => true,
        // Day 1 of the common era was a Monday.
        Pace::Days(days) => (day.num_days_from_ce() - 1).rem_euclid(days.max(1)) == 0,
        Pace::Months(months) => day.day() == 1 && day.month0().is_multiple_of(months.max(1)),
        Pace::Years(years) => day.ordinal() == 1 && day.year().rem_euclid(years.max(1)) == 0,
    }
}

fn of_day(day: NaiveDate, pace: Pace, zone: Tz) -> impl Iterator<Item = Mark<Millis>> {
    let step = if let Pace::Millis(step) = pace { step } else { DAY };
    (0..DAY / step).filter_map(move |index| {
        let of_day = index * step;
        let time = NaiveTime::from_num_seconds_from_midnight_opt(u32::try_from(of_day / SECOND).ok()?, 0)?;
        // An hour that the clocks pass over has no mark; one that comes twice has its first.
        let at = zone.from_local_datetime(&day.and_time(time)).earliest()?;
        let format = match pace {
            Pace::Years(_) => "%Y",
            Pace::Months(_) => "%b %Y",
            Pace::Days(_) => "%-d %b",
            Pace::Millis(_) if of_day == 0 => "%-d %b",
            Pace::Millis(step) if step < MINUTE => "%H:%M:%S",
            Pace::Millis(_) => "%H:%M",
        };
        Some(Mark { at: at.timestamp_millis(), label: at.format(format).to_string() })
    })
}

/// The day, or the days, of a span, and the zone in which they are told.
pub(super) fn caption(span: &Range<Millis>, zone: Tz) -> String {
    let (Some(first), Some(last)) = (local(span.start, zone), local(span.end.saturating_sub(1).max(span.start), zone))
    else {
        return String::new();
    };
    let days = match (first.date_naive(), last.date_naive()) {
        (first, last) if first == last => first.format("%a %-d %b %Y").to_string(),
        (first, last) if first.year() == last.year() => {
            format!("{} – {}", first.format("%-d %b"), last.format("%-d %b %Y"))
        }
        (first, last) => format!("{} – {}", first.format("%-d %b %Y"), last.format("%-d %b %Y")),
    };
    format!("{days}, {zone}")
}

fn local(time: Millis, zone: Tz) -> Option<DateTime<Tz>> {
    Some(DateTime::from_timestamp_millis(time)?.with_timezone(&zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    fn labels<T>(marks: &[Mark<T>]) -> Vec<&str> {
        marks.iter().map(|mark| mark.label.as_str()).collect()
    }

    #[test]
    fn values_are_marked_at_round_numbers_of_their_unit() {
        assert_eq!(labels(&values(0.0, 9.7, Unit::None, 5)), ["0", "2", "4", "6", "8"]);
        assert_eq!(labels(&values(0.0, 0.97, Unit::Ratio, 5)), ["0 %", "20 %", "40 %", "60 %", "80 %"]);
        assert_eq!(labels(&values(0.0, 4e9, Unit::Bytes, 4)), ["0 GiB", "1 GiB", "2 GiB", "3 GiB"]);
        assert_eq!(labels(&values(0.0021, 0.0039, Unit::Seconds, 4)), ["2.5 ms", "3.0 ms", "3.5 ms"]);
        assert_eq!(labels(&values(-0.5, 0.5, Unit::None, 2)), ["-0.5", "0.0", "0.5"]);
        assert_eq!(values(1.0, 1.0, Unit::None, 5), []);
        assert_eq!(values(f64::NEG_INFINITY, f64::INFINITY, Unit::None, 5), []);
    }

    #[test]
    fn a_day_is_marked_at_its_own_midnight() {
        let berlin = chrono_tz::Europe::Berlin;
        let span = at("2026-01-05T20:00:00Z")..at("2026-01-06T04:00:00Z");
        assert_eq!(labels(&times(&span, berlin, 5)), ["22:00", "6 Jan", "02:00", "04:00"]);
        assert_eq!(caption(&span, berlin), "5 Jan – 6 Jan 2026, Europe/Berlin");
    }

    #[test]
    fn an_hour_that_the_clocks_pass_over_has_no_mark() {
        let berlin = chrono_tz::Europe::Berlin;
        let span = at("2026-03-28T23:30:00Z")..at("2026-03-29T04:30:00Z");
        assert_eq!(labels(&times(&span, berlin, 6)), ["01:00", "03:00", "04:00", "05:00", "06:00"]);
    }

    #[test]
    fn long_spans_are_marked_at_mondays_and_months() {
        let span = at("2026-09-22T00:00:00Z")..at("2026-11-22T00:00:00Z");
        assert_eq!(
            labels(&times(&span, Tz::UTC, 9)),
            ["28 Sep", "5 Oct", "12 Oct", "19 Oct", "26 Oct", "2 Nov", "9 Nov", "16 Nov"]
        );
        let years = at("2026-01-01T00:00:00Z")..at("2027-01-01T00:00:00Z");
        assert_eq!(labels(&times(&years, Tz::UTC, 6)), ["Jan 2026", "Apr 2026", "Jul 2026", "Oct 2026"]);
        assert!(times(&(Millis::MIN..Millis::MAX), Tz::UTC, 8).is_empty());
    }
}
