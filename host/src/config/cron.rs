//! Five-field crons, and the traps in them.

use std::fmt;
use std::str::FromStr;

use chrono::DateTime;
use croner::parser::{CronParser, Seconds, Year};

/// A cron of five fields: minute, hour, day of the month, month, day of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    pattern: croner::Cron,
}

/// Why a text is no cron that we run, and what to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {remedy}")]
pub struct CronFault {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// A field's unit, its largest step, what a larger one means, its lowest value, and what to
/// write.
const STEPS: [(&str, u32, &str, &str, &str); 5] = [
    ("minutes", 59, "minute 0 of each hour", "0", "for more than 59 minutes write an hour step: 0 */2 * * *"),
    ("hours", 23, "hour 0 of each day", "0", "for more than 23 hours write a day step: 0 0 */2 * *"),
    ("days", 31, "day 1 of each month", "1", "write the days: 0 0 1,15 * *"),
    ("months", 12, "January of each year", "1", "write the months: 0 0 1 1,7 *"),
    ("days", 7, "each Sunday", "0", "write the days of the week: 0 0 * * MON,THU"),
];

/// The steps of a field.
fn steps(field: &str) -> impl Iterator<Item = u32> {
    field.split(',').filter_map(|part| part.split_once('/')?.1.parse().ok())
}

/// What to write for a step of minutes that is a whole number of hours; else `remedy`.
fn remedy_of(field: &str, remedy: &str) -> String {
    let step = field.strip_prefix("*/").and_then(|step| step.parse::<u32>().ok());
    let hours = step.filter(|minutes| minutes % 60 == 0).map(|minutes| minutes / 60);
    match hours.filter(|hours| *hours > 0 && 24 % hours == 0) {
        Some(1) => "write 0 * * * *".to_owned(),
        Some(hours) => format!("write 0 */{hours} * * *"),
        None => remedy.to_owned(),
    }
}

/// A field in which a step that is larger than it has its one value: what any cron does.
fn within(field: &str, high: u32, low: &str) -> String {
    let parts = field.split(',').map(|part| match part.split_once('/') {
        Some((range, step)) if step.parse::<u32>().is_ok_and(|step| step > high) => {
            let first = range.split('-').next().unwrap_or_default();
            if first == "*" { low } else { first }
        }
        _ => part,
    });
    parts.collect::<Vec<_>>().join(",")
}

impl Cron {
    /// To ask for its instants.
    pub fn pattern(&self) -> &croner::Cron {
        &self.pattern
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// When it runs, in words: `every 5 minutes`, `every day at 06:00`.
    pub fn words(&self) -> String {
        let fields: Vec<&str> = self.text.split(' ').collect();
        let number = |field: &str| field.parse::<u32>().ok();
        let step = |field: &str| field.strip_prefix("*/").and_then(number).filter(|step| *step > 1);
        let simple = match *fields.as_slice() {
            ["*" | "*/1", "*", "*", "*", "*"] => Some("every minute".to_owned()),
            [minute, "*", "*", "*", "*"] if step(minute).is_some_and(|step| 60 % step == 0) => {
                step(minute).map(|step| format!("every {step} minutes"))
            }
            [minute, "*" | "*/1", "*", "*", "*"] => {
                number(minute).map(|minute| format!("every hour at minute {minute}"))
            }
            [minute, hour, "*", "*", "*"] if step(hour).is_some_and(|step| 24 % step == 0) => {
                number(minute).zip(step(hour)).map(|(minute, step)| format!("every {step} hours at minute {minute}"))
            }
            [minute, hour, "*", "*", "*"] => {
                number(minute).zip(number(hour)).map(|(minute, hour)| format!("every day at {hour:02}:{minute:02}"))
            }
            _ => None,
        };
        simple.unwrap_or_else(|| {
            let described = self.pattern.describe();
            described.trim_start_matches("At ").trim_end_matches('.').to_lowercase()
        })
    }

    /// What is odd about it though it runs, and what to write: a step that is larger than
    /// its field, or does not divide it.
    pub(super) fn oddity(&self) -> Option<(String, String)> {
        for (field, (unit, high, meaning, _, remedy)) in self.text.split_whitespace().zip(STEPS) {
            if let Some(step) = steps(field).find(|step| *step > high) {
                let remedy = if unit == "minutes" { remedy_of(field, remedy) } else { remedy.to_owned() };
                return Some((format!("{field} is {meaning}, and not every {step} {unit}"), remedy));
            }
        }
        let divided = [(60, "hour", "minutes"), (24, "day", "hours")];
        self.text.split_whitespace().zip(divided).find_map(|(field, (size, whole, unit))| {
            let step: u32 = field.strip_prefix("*/")?.parse().ok()?;
            let last = size % step.max(1);
            let text = format!("{field} begins anew each {whole}: its last gap is {last} {unit}, not {step}");
            (last != 0).then(|| (text, "use a step that divides the field".to_owned()))
        })
    }
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Cron {
    type Err = CronFault;

    fn from_str(text: &str) -> Result<Self, CronFault> {
        let fault = |message: String, remedy: &str| Err(CronFault { message, remedy: remedy.to_owned() });
        let fields: Vec<_> = text.split_whitespace().collect();
        if fields.len() != STEPS.len() {
            return fault(
                format!("\"{text}\" has {} of the five fields of a cron", fields.len()),
                "write minute, hour, day of the month, month, day of the week: */5 * * * *",
            );
        }
        let known: Vec<_> =
            fields.iter().zip(STEPS).map(|(field, (_, high, _, low, _))| within(field, high, low)).collect();
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let pattern = match parser.parse(&known.join(" ")) {
            Ok(pattern) => pattern,
            Err(error) => {
                let error = error.to_string();
                let error = error.trim_start_matches("Component error: ").trim_end_matches('.');
                return fault(
                    format!("\"{text}\" is not a cron: {}", error.to_lowercase()),
                    "write minute, hour, day of the month, month, day of the week: */5 * * * *",
                );
            }
        };
        // From any day on there is an instant within eight years, if there is one at all.
        match pattern.find_next_occurrence(&DateTime::UNIX_EPOCH, false) {
            Ok(_) => Ok(Self { text: fields.join(" "), pattern }),
            Err(_) => fault(format!("\"{text}\" never comes"), "write a day that its month has"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> String {
        text.parse::<Cron>().unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_cron_is_refused_with_the_right_spelling() {
        assert!(fault("* * *").contains("has 3 of the five fields"));
        assert!(fault("*/5 * * * * *").contains("has 6 of the five fields"));
        assert!(fault("61 * * * *").contains("is not a cron: number out of bounds"), "{}", fault("61 * * * *"));
        assert!(fault("0 0 30 2 *").contains("never comes"));
    }

    /// Who wrote `*/180` wanted every three hours; to any cron it is each hour. He is told.
    #[test]
    fn b19_a_step_that_does_not_divide_its_field_is_told_with_its_meaning() {
        let oddity = |text: &str| text.parse::<Cron>().unwrap().oddity().map(|(is, remedy)| format!("{is}; {remedy}"));
        let hourly = |step: u32, remedy: &str| {
            Some(format!("*/{step} is minute 0 of each hour, and not every {step} minutes; {remedy}"))
        };
        assert_eq!(oddity("*/180 * * * *"), hourly(180, "write 0 */3 * * *"));
        assert_eq!(oddity("*/60 * * * *"), hourly(60, "write 0 * * * *"));
        let hours = "for more than 59 minutes write an hour step: 0 */2 * * *";
        assert_eq!(oddity("*/70 * * * *"), hourly(70, hours));
        assert_eq!(oddity("*/75 * * * *"), hourly(75, hours));
        assert!(oddity("0 */36 * * *").unwrap().contains("write a day step"));
        assert!(oddity("*/45 * * * *").unwrap().contains("its last gap is 15 minutes, not 45"));
        assert!(oddity("0 */7 * * *").unwrap().contains("its last gap is 3 hours, not 7"));
        for even in ["*/5 */6 * * *", "0 * * * *", "15 */1 * * *"] {
            assert_eq!(oddity(even), None);
        }
    }

    #[test]
    fn a_cron_is_told_in_words() {
        let words = |text: &str| text.parse::<Cron>().unwrap().words();
        assert_eq!(words("* * * * *"), "every minute");
        assert_eq!(words("*/5 * * * *"), "every 5 minutes");
        assert_eq!(words("20 * * * *"), "every hour at minute 20");
        assert_eq!(words("0 */6 * * *"), "every 6 hours at minute 0");
        assert_eq!(words("30 6 * * *"), "every day at 06:30");
        // What is no such thing is at least told field by field.
        let weekdays = words("0 12 * * MON-FRI");
        assert!(weekdays.contains("12:00") && weekdays.contains("monday"), "{weekdays}");
    }

    #[test]
    fn a_step_over_its_field_runs_as_any_cron_would() {
        let cron: Cron = "*/180 * * * *".parse().unwrap();
        let next = cron.pattern().find_next_occurrence(&DateTime::UNIX_EPOCH, false).unwrap();
        assert_eq!(next.timestamp(), 3_600);
        assert_eq!(cron.as_str(), "*/180 * * * *");
    }
}
