//! What the outcomes of a set say at each threshold and of each kind of series.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Truth;
use super::dataset::Source;
use super::run::{At, Outcome};

/// The alerts of a set at one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AtThreshold {
    /// The threshold.
    pub threshold: f64,
    /// Alerts for each day of each series.
    pub alerts_a_day: f64,
    /// The same of alerts that met no event.
    pub false_alerts_a_day: f64,
    /// The share of alerts that met an event; `None` without alerts.
    pub precision: Option<f64>,
    /// The share of events that were found; `None` without events.
    pub recall: Option<f64>,
}

/// How often the season of series was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Seasons {
    /// Series that have a day.
    pub with: usize,
    /// Those in which the newest model knows the day.
    pub found: usize,
    /// Series that have no season.
    pub without: usize,
    /// Those in which the newest model knows one.
    pub falsely: usize,
}

impl Seasons {
    pub(super) fn of(group: &[&Outcome], sources: &Named<'_>) -> Option<Self> {
        let mut seasons = Self::default();
        for outcome in group {
            let said = outcome.figures.season.as_deref().filter(|season| *season != "none");
            match sources.get(&(&*outcome.set, &*outcome.file)).and_then(|source| source.season()) {
                Some(Truth::Day) => {
                    seasons.with += 1;
                    seasons.found += usize::from(said == Some("86400"));
                }
                Some(Truth::None) => {
                    seasons.without += 1;
                    seasons.falsely += usize::from(said.is_some());
                }
                None => {}
            }
        }
        (seasons.with + seasons.without > 0).then_some(seasons)
    }

    /// The share of series with a day in which it was found.
    pub fn found(&self) -> Option<f64> {
        (self.with > 0).then(|| self.found as f64 / self.with as f64)
    }

    /// The share of series without a season in which one was found.
    pub fn falsely(&self) -> Option<f64> {
        (self.without > 0).then(|| self.falsely as f64 / self.without as f64)
    }
}

/// Series by set and name.
pub(super) type Named<'a> = BTreeMap<(&'a str, &'a str), &'a Source>;

/// The series of one kind in a set that is generated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfKind {
    /// The kind.
    pub kind: String,
    /// How many.
    pub series: usize,
    /// How often their season was found.
    pub season: Option<Seasons>,
    /// Their alerts.
    pub at: Vec<AtThreshold>,
}

pub(super) fn at_thresholds(group: &[&Outcome]) -> Vec<AtThreshold> {
    let days = days(group);
    let sum = |of: &dyn Fn(&Outcome) -> usize| group.iter().map(|o| of(o)).sum::<usize>() as f64;
    let events = sum(&|o| o.figures.events);
    let first = group.first().map(|o| o.figures.at.as_slice()).unwrap_or_default();
    let at = |place: usize, threshold: f64| {
        let of = |field: fn(&At) -> usize| sum(&|o| o.figures.at.get(place).map_or(0, field));
        let (alerts, right, found) = (of(|at| at.alerts), of(|at| at.right), of(|at| at.found));
        AtThreshold {
            threshold,
            alerts_a_day: alerts / days,
            false_alerts_a_day: (alerts - right) / days,
            precision: (alerts > 0.0).then_some(right / alerts),
            recall: (events > 0.0).then_some(found / events),
        }
    };
    first.iter().enumerate().map(|(place, own)| at(place, own.threshold)).collect()
}

pub(super) fn kinds(group: &[&Outcome], named: &Named<'_>) -> Vec<OfKind> {
    let mut kinds: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
    for outcome in group {
        if let Some(kind) = named.get(&(&*outcome.set, &*outcome.file)).and_then(|source| source.kind()) {
            kinds.entry(kind).or_default().push(outcome);
        }
    }
    let of_kind = |(kind, group): (&str, Vec<&Outcome>)| OfKind {
        kind: kind.to_owned(),
        series: group.len(),
        season: Seasons::of(&group, named),
        at: at_thresholds(&group),
    };
    kinds.into_iter().map(of_kind).collect()
}

/// Of all series together; not 0.
pub(super) fn days(group: &[&Outcome]) -> f64 {
    group.iter().map(|o| o.figures.days).sum::<f64>().max(f64::MIN_POSITIVE)
}
