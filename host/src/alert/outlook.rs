//! When a series will reach a limit: what a detector's forecast says, as instants.

use crate::series::Millis;
use crate::store::AlertRecord;

/// The terms of the forecast; `wit/anomd.wit` promises their names.
const TERMS: [&str; 3] = ["hours-to-limit", "hours-to-limit-earliest", "hours-to-limit-latest"];
/// What is further away is not told: ten years, in hours.
const FURTHEST: f64 = 87_600.0;

/// When a limit will be reached. `None`: not within what was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// The most likely instant.
    pub expected: Option<Millis>,
    /// Hardly before this.
    pub earliest: Option<Millis>,
    /// Hardly after this.
    pub latest: Option<Millis>,
}

impl Outlook {
    /// What the newest forecast of an alert says; nothing of one that forecasts nothing.
    pub fn of(record: &AlertRecord) -> Self {
        let from = record.worst.time;
        let [expected, earliest, latest] = TERMS.map(|name| {
            let (_, hours) = record.terms.iter().find(|(term, _)| term == name)?;
            let known = (0.0..=FURTHEST).contains(hours);
            known.then(|| from.saturating_add((hours * 3_600_000.0) as Millis))
        });
        Self { expected, earliest, latest }
    }

    /// Whether a term is part of a forecast, and not of a score.
    pub fn is_term(name: &str) -> bool {
        TERMS.contains(&name)
    }
}
