//! Five-field crons, and the traps in them.

use std::fmt;
use std::str::FromStr;

use chrono::DateTime;
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};

use crate::series::Millis;

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

const FIELDS: [(&str, u32, u32); 5] =
    [("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7)];

impl Cron {
    /// The first tick after `now`, by the wall clocks of `zone`; `None` when there is none.
    /// A tick that a clock change skips runs just after it, one that it repeats runs once.
    pub fn next_after(&self, now: Millis, zone: Tz) -> Option<Millis> {
        let now = DateTime::from_timestamp_millis(now)?.with_timezone(&zone);
        self.pattern.find_next_occurrence(&now, false).ok().map(|next| next.timestamp_millis())
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
        if fields.len() != FIELDS.len() {
            return fault(
                format!("\"{text}\" has {} of the five fields of a cron", fields.len()),
                "write minute, hour, day of the month, month, day of the week: */5 * * * *",
            );
        }
        for (field, (name, low, high)) in fields.iter().zip(FIELDS) {
            for step in
                field.split(',').filter_map(|part| part.split_once('/')).filter_map(|(_, s)| s.parse::<u32>().ok())
            {
                if step > high {
                    let remedy = match name {
                        "minute" => "write an hour step, as in 0 */2 * * *, for more than 59 minutes",
                        "hour" => "write a day step, as in 0 0 */2 * *, for more than 23 hours",
                        _ => "write a smaller step",
                    };
                    return fault(
                        format!(
                            "{field} does not mean every {step}: a {name} is {low} to {high}, so it means {low} only"
                        ),
                        remedy,
                    );
                }
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
        let cron = Self { text: fields.join(" "), pattern };
        // From any day on there is a next tick within eight years, if there is one at all.
        match cron.next_after(1_704_067_200_000, Tz::UTC) {
            Some(_) => Ok(cron),
            None => fault(format!("\"{text}\" never comes"), "write a day that its month has"),
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
            "*/90 does not mean every 90: a minute is 0 to 59, so it means 0 only; \
             write an hour step, as in 0 */2 * * *, for more than 59 minutes"
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

    #[test]
    fn ticks_follow_the_wall_clock_of_the_zone() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis();
        let six: Cron = "0 6 * * *".parse().unwrap();
        // Six in Berlin is five in UTC in winter, four in summer.
        assert_eq!(six.next_after(at("2024-03-29T12:00:00Z"), Tz::Europe__Berlin), Some(at("2024-03-30T05:00:00Z")));
        assert_eq!(six.next_after(at("2024-03-30T12:00:00Z"), Tz::Europe__Berlin), Some(at("2024-03-31T04:00:00Z")));
    }
}
