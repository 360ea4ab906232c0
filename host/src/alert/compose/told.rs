//! One alert in sentences: what came, what was expected, since when.

use super::terms::words;
use crate::alert::Outlook;
use crate::message::text::{beside, duration, number};
use crate::message::{AlertKind, Unit, Wall};
use crate::series::{Labels, Millis};
use crate::store::{AlertRecord, Peak};

/// Parts of a score that are named.
const TERMS: usize = 3;
/// A part of a score below this says nothing.
const SMALL_TERM: f64 = 0.1;

/// An alert as it is told to a reader.
pub(super) struct Told<'a> {
    pub record: &'a AlertRecord,
    pub wall: Wall,
}

impl Told<'_> {
    fn unit(&self) -> Unit {
        Unit::of(self.record.labels.get(Labels::NAME).unwrap_or_default())
    }

    /// How long it has lasted, or did.
    pub fn lasted(&self) -> Millis {
        self.record.ended.unwrap_or(self.wall.now).saturating_sub(self.record.started).max(0)
    }

    /// What came: `9.2`.
    pub fn came(&self) -> String {
        let Peak { value, lower, upper, .. } = self.record.worst;
        beside(value, &[lower, upper], self.unit())
    }

    /// What was expected: `3.1 to 4.4`, `at most 90`; of a change `about 10`, the level before
    /// it. `None` where that is not known.
    pub fn expected(&self) -> Option<String> {
        if self.record.kind == AlertKind::Change {
            return self.levels().map(|(before, _)| format!("about {before}"));
        }
        let Peak { value, lower, upper, .. } = self.record.worst;
        let shown = |edge: f64| edge.is_finite().then(|| beside(edge, &[value, lower, upper], self.unit()));
        Some(match (shown(lower), shown(upper)) {
            (Some(lower), Some(upper)) if lower == upper => lower,
            (Some(lower), Some(upper)) => format!("{lower} to {upper}"),
            (Some(lower), None) => format!("at least {lower}"),
            (None, Some(upper)) => format!("at most {upper}"),
            (None, None) => return None,
        })
    }

    /// The limit that was crossed: `above`, `90`.
    pub fn limit(&self) -> Option<(&'static str, String)> {
        let Peak { value, lower, upper, .. } = self.record.worst;
        let shown = |edge: f64| beside(edge, &[value], self.unit());
        match () {
            () if upper.is_finite() && value > upper => Some(("above", shown(upper))),
            () if lower.is_finite() && value < lower => Some(("below", shown(lower))),
            () if upper.is_finite() && !lower.is_finite() => Some(("above", shown(upper))),
            () if lower.is_finite() && !upper.is_finite() => Some(("below", shown(lower))),
            () => None,
        }
    }

    /// The level before a change, as the middle of what was ordinary, and that since.
    pub fn levels(&self) -> Option<(String, String)> {
        let Peak { value, lower, upper, .. } = self.record.worst;
        let before = f64::midpoint(lower, upper);
        let known = before.is_finite() && value.is_finite();
        known.then(|| (beside_roughly(before, value, self.unit()), beside_roughly(value, before, self.unit())))
    }

    /// What is predicated of the series in a title.
    pub fn predicate(&self) -> String {
        match (self.record.ended, self.record.kind) {
            (None, AlertKind::Anomaly) => "looks anomalous".to_owned(),
            (None, AlertKind::Llm) => "looks anomalous to the language model".to_owned(),
            (None, AlertKind::NoData) => format!("has had no data since {}", self.wall.instant(self.record.started)),
            (None, AlertKind::Threshold) => match self.limit() {
                Some((side, limit)) => format!("is {side} its limit of {limit}"),
                None => "is beyond its limit".to_owned(),
            },
            (None, AlertKind::Capacity) => {
                let limit = self.limit().map_or("its limit".to_owned(), |(_, limit)| format!("its limit of {limit}"));
                match Outlook::of(self.record).expected {
                    Some(at) => format!("will reach {limit} on {}", self.wall.day(self.rounded(at))),
                    None => format!("is on its way to {limit}"),
                }
            }
            (None, AlertKind::Change) => match self.levels() {
                Some((before, since)) => {
                    let at = self.wall.instant(self.record.started);
                    format!("has changed for good: about {before} until {at}, about {since} since")
                }
                None => "has changed for good".to_owned(),
            },
            (Some(_), kind) => {
                let over = match kind {
                    AlertKind::Anomaly => "is ordinary again".to_owned(),
                    AlertKind::Llm => "is ordinary again to the language model".to_owned(),
                    AlertKind::NoData => "has data again".to_owned(),
                    AlertKind::Change => "has settled".to_owned(),
                    AlertKind::Capacity => match self.limit() {
                        Some((_, limit)) => format!("is no longer on its way to its limit of {limit}"),
                        None => "is no longer on its way to its limit".to_owned(),
                    },
                    AlertKind::Threshold => match self.limit() {
                        Some((_, limit)) => format!("is within its limit of {limit} again"),
                        None => "is within its limits again".to_owned(),
                    },
                };
                format!("{over} after {}", duration(self.lasted()))
            }
        }
    }

    /// What came and what was expected, as Markdown without a full stop.
    pub fn what(&self) -> String {
        let came = self.came();
        match self.record.kind {
            AlertKind::NoData => "no sample came".to_owned(),
            AlertKind::Change => match self.levels() {
                Some((before, since)) => format!("about **{since}** where about {before} was before"),
                None => format!("**{came}** came"),
            },
            AlertKind::Threshold => match self.limit() {
                Some((side, limit)) => format!("**{came}** came, {side} the limit of {limit}"),
                None => format!("**{came}** came, beyond the limit"),
            },
            AlertKind::Capacity => match (self.limit(), self.reached()) {
                (Some((_, limit)), Some(when)) => {
                    format!("**{came}** now, and the limit of {limit} will be reached {when}")
                }
                (Some((_, limit)), None) => format!("**{came}** now, on its way to the limit of {limit}"),
                (None, _) => format!("**{came}** now, on its way to its limit"),
            },
            AlertKind::Anomaly | AlertKind::Llm => match self.expected() {
                Some(expected) => format!("**{came}** where {expected} was expected"),
                None => format!("**{came}** came"),
            },
        }
    }

    /// When the limit will be reached, as it is foreseen: `on Tue 24 Nov 14:00 UTC, in 2 d 3 h
    /// (between Mon 23 Nov 20:00 and Wed 25 Nov 09:00)`.
    pub fn reached(&self) -> Option<String> {
        let outlook = Outlook::of(self.record);
        let at = outlook.expected?;
        let shown = |at: Millis| self.wall.bare_day(self.rounded(at));
        let between = match (outlook.earliest, outlook.latest) {
            (Some(earliest), Some(latest)) => format!(" (between {} and {})", shown(earliest), shown(latest)),
            (Some(earliest), None) => format!(" (not before {})", shown(earliest)),
            (None, _) => String::new(),
        };
        let away = self.rounded(at).saturating_sub(self.wall.now);
        let away = if away > 0 { format!(", in {}", duration(away / 60_000 * 60_000)) } else { String::new() };
        Some(format!("on {}{away}{between}", self.wall.day(self.rounded(at))))
    }

    /// A time that is foreseen, as exact as it can be: what is a day away, to the hour.
    fn rounded(&self, at: Millis) -> Millis {
        let unit = if at.saturating_sub(self.record.worst.time) >= 86_400_000 { 3_600_000 } else { 600_000 };
        at.saturating_add(unit / 2).div_euclid(unit) * unit
    }

    /// Since when, or from when to when.
    pub fn when(&self) -> String {
        let (started, lasted) = (self.record.started, duration(self.lasted()));
        match self.record.ended {
            None => format!("since {}, for {lasted}", self.wall.instant(started)),
            Some(ended) => format!("{} to {}, for {lasted}", self.wall.bare(started), self.wall.instant(ended)),
        }
    }

    /// The score and what made it, the largest part first; `None` for a kind of alert that has none.
    pub fn score(&self) -> Option<String> {
        let AlertRecord { kind, worst, threshold, terms, .. } = self.record;
        if *kind != AlertKind::Anomaly || !worst.score.is_finite() {
            return None;
        }
        // Without their sizes: those are on scales of their own, not on that of the score.
        let terms = terms.iter().filter(|(_, part)| *part >= SMALL_TERM).take(TERMS);
        let terms: Vec<&str> = terms.map(|(name, _)| words(name)).collect();
        let why = if terms.is_empty() { String::new() } else { format!(": {}", terms.join(", ")) };
        Some(format!("Score {:.2} of 1 (alerts begin at {threshold:.2}){why}", worst.score))
    }
}

/// A level that is only about right: three significant digits are enough, if they differ.
fn beside_roughly(value: f64, other: f64, unit: Unit) -> String {
    let rough = |x: f64| -> f64 {
        let digits = (2.0 - x.abs().log10().floor()).clamp(-300.0, 300.0);
        let power = 10f64.powf(digits);
        let rounded = (x * power).round() / power;
        if rounded.is_finite() { rounded } else { x }
    };
    if rough(value) == rough(other) { beside(value, &[other], unit) } else { number(rough(value), unit) }
}
