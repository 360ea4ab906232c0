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

/// A field's unit, its largest step, what a larger one means, and what to write.
const STEPS: [(&str, u32, &str, &str); 5] = [
    ("minutes", 59, "minute 0 of each hour", "for more than 59 minutes write an hour step: 0 */2 * * *"),
    ("hours", 23, "hour 0 of each day", "for more than 23 hours write a day step: 0 0 */2 * *"),
    ("days", 31, "day 1 of each month", "write the days: 0 0 1,15 * *"),
    ("months", 12, "January of each year", "write the months: 0 0 1 1,7 *"),
    ("days", 7, "each Sunday", "write the days of the week: 0 0 * * MON,THU"),
];

impl Cron {
    /// To ask for its instants.
    pub fn pattern(&self) -> &croner::Cron {
        &self.pattern
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What is odd about it though it runs: a step that does not divide its field.
    pub(super) fn oddity(&self) -> Option<String> {
        let divided = [(60, "hour", "minutes"), (24, "day", "hours")];
        self.text.split_whitespace().zip(divided).find_map(|(field, (size, whole, unit))| {
            let step: u32 = field.strip_prefix("*/")?.parse().ok()?;
            let last = size % step.max(1);
            (last != 0).then(|| format!("{field} begins anew each {whole}: its last gap is {last} {unit}, not {step}"))
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
        for (field, (unit, high, meaning, remedy)) in fields.iter().zip(STEPS) {
            let steps = field.split(',').filter_map(|part| part.split_once('/'));
            if let Some(step) = steps.filter_map(|(_, step)| step.parse::<u32>().ok()).find(|step| *step > high) {
                return fault(format!("{field} is {meaning}, and not every {step} {unit}"), remedy);
            }
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let pattern = match parser.parse(text) {
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
    fn a_step_over_the_field_is_refused_with_its_meaning() {
        assert_eq!(
            fault("*/90 * * * *"),
            "*/90 is minute 0 of each hour, and not every 90 minutes; \
             for more than 59 minutes write an hour step: 0 */2 * * *"
        );
        assert!(fault("0 */36 * * *").contains("write a day step"));
        assert!(fault("* * *").contains("has 3 of the five fields"));
        assert!(fault("*/5 * * * * *").contains("has 6 of the five fields"));
        assert!(fault("61 * * * *").contains("is not a cron: number out of bounds"), "{}", fault("61 * * * *"));
        assert!(fault("0 0 30 2 *").contains("never comes"));
    }

    #[test]
    fn an_uneven_step_is_odd() {
        let oddity = |text: &str| text.parse::<Cron>().unwrap().oddity();
        assert_eq!(oddity("*/5 */6 * * *"), None);
        assert!(oddity("*/45 * * * *").unwrap().contains("its last gap is 15 minutes, not 45"));
        assert!(oddity("0 */7 * * *").unwrap().contains("its last gap is 3 hours, not 7"));
    }
}
