//! A synthetic history of a small web service: what a Prometheus would have scraped.
//!
//! It is a pure function of seed and start. The second week holds one incident of each
//! [`Scenario`], at times and of sizes that the seed decides: sustained, and mostly within
//! what the first week had seen at another time. The same seed without incidents is the
//! same history but for what they did (what the growing disk held on until its nightly
//! cleaning). Both weeks have what must not alarm: nights, weekends, deployments with their
//! counter resets, nightly jobs, retries, lost scrapes, and growth.

mod calendar;
mod fleet;
mod incident;
mod process;

use std::ops::Range;

use rand::Rng;

use crate::series::{Kind, Labels, Millis};
use calendar::{Calendar, DAY, MINUTE_MS};
use fleet::{Job, Track};
use incident::{Effects, Target};
use process::Dice;

pub use incident::Scenario;

/// Days before the present of a demo.
pub const PAST_DAYS: usize = 14;
/// All days: two weeks of past, three to live on.
pub const DAYS: usize = 35;
/// Milliseconds between two scrapes.
pub const STEP_MS: u32 = MINUTE_MS as u32;

/// A stream for what is small and happens once.
const ONCE: u64 = 3;
/// A stream for lost scrapes.
const LOST: u64 = 4;

/// A metric family, as the metadata of an endpoint tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// `__name__` of its series.
    pub name: &'static str,
    /// What they measure; counters are raw.
    pub kind: Kind,
    /// What it measures.
    pub help: &'static str,
}

/// Something that went wrong, and where it shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Of which kind.
    pub scenario: Scenario,
    /// What happened.
    pub title: &'static str,
    /// The series in which it can be seen, as places in [`History::series`].
    pub series: Vec<usize>,
    /// From its first to after its last moment.
    pub span: Range<Millis>,
}

/// What was scraped.
#[derive(Clone, Debug)]
pub struct History {
    start: Millis,
    series: Vec<Labels>,
    kinds: Vec<Kind>,
    /// A value each minute, a column a series; NaN where the scrape was lost.
    columns: Vec<Vec<f64>>,
    incidents: Vec<Incident>,
    deployments: Vec<Millis>,
}

impl History {
    /// The history of a seed from `start` (rounded down to a minute) on, for [`DAYS`] days.
    pub fn generate(seed: u64, start: Millis, incidents: bool) -> Self {
        let start = start.div_euclid(MINUTE_MS) * MINUTE_MS;
        let (dice, calendar, length) = (Dice::new(seed), Calendar::new(start), DAYS * DAY);
        let plans = incident::incidents(dice, calendar);
        let deployments = incident::deployments(dice, calendar, DAYS, &plans);
        let mut effects = Effects::default();
        for (index, &minute) in deployments.iter().enumerate() {
            let until = deployments.get(index + 1).copied().unwrap_or(length);
            effects.0.extend(incident::deployment(dice, minute, until));
        }
        if incidents {
            effects.0.extend(plans.iter().flat_map(|p| p.effects.iter().cloned()));
        }
        let growth = dice.stream(ONCE).random_range(0.015..0.05);
        let tracks = fleet::tracks(dice, calendar, length, growth, &effects);
        let time = |minute: usize| start + minute as Millis * MINUTE_MS;
        let shown = |targets: &[Target]| {
            let shows = |(_, track): &(usize, &Track)| track.shows.iter().any(|t| targets.contains(t));
            tracks.iter().enumerate().filter(shows).map(|(index, _)| index).collect()
        };
        let happened = |plan: &incident::Plan| Incident {
            scenario: plan.scenario,
            title: plan.scenario.title(),
            series: shown(&plan.effects.iter().map(|e| e.target).collect::<Vec<_>>()),
            span: time(plan.minutes.start)..time(plan.minutes.end),
        };
        Self {
            start,
            series: tracks.iter().map(labels).collect(),
            kinds: tracks.iter().map(|t| t.kind).collect(),
            incidents: if incidents { plans.iter().map(happened).collect() } else { Vec::new() },
            columns: scraped(dice, tracks, &deployments),
            deployments: deployments.into_iter().map(time).collect(),
        }
    }

    /// The first moment.
    pub fn start(&self) -> Millis {
        self.start
    }

    /// The moment after the last scrape.
    pub fn end(&self) -> Millis {
        self.start + (DAYS * DAY) as Millis * MINUTE_MS
    }

    /// Milliseconds between two scrapes.
    pub fn step_ms(&self) -> u32 {
        STEP_MS
    }

    /// The metric families.
    pub fn families(&self) -> impl Iterator<Item = Family> {
        fleet::FAMILIES.into_iter().map(|(name, kind, help)| Family { name, kind, help })
    }

    /// The label sets.
    pub fn series(&self) -> &[Labels] {
        &self.series
    }

    /// Whether a series is a raw counter or a gauge.
    pub fn kind(&self, series: usize) -> Kind {
        self.kinds.get(series).copied().unwrap_or_default()
    }

    /// What a series was at the scrape of the minute that `time` lies in; `None` where
    /// that was lost, and before the first and after the last.
    pub fn value(&self, series: usize, time: Millis) -> Option<f64> {
        let minute = usize::try_from((time - self.start).div_euclid(MINUTE_MS)).ok()?;
        self.columns.get(series)?.get(minute).copied().filter(|v| !v.is_nan())
    }

    /// What went wrong, in the order of [`Scenario::ALL`].
    pub fn incidents(&self) -> &[Incident] {
        &self.incidents
    }

    /// When new versions were rolled out, and counters began anew.
    pub fn deployments(&self) -> &[Millis] {
        &self.deployments
    }
}

fn labels(track: &Track) -> Labels {
    let name = [(Labels::NAME, track.name)];
    let pairs = track.labels.iter().copied().chain(track.job.labels()).chain(name);
    // The names are ours and each stands once.
    Labels::new(pairs.map(|(n, v)| (n.to_owned(), v.to_owned()))).unwrap_or_default()
}

/// Increments to counters, and some scrapes lost: single ones, and those of one job for
/// some minutes of the first week.
fn scraped(dice: Dice, tracks: Vec<Track>, restarts: &[usize]) -> Vec<Vec<f64>> {
    let mut rng = dice.stream(LOST);
    let outage = rng.random_range(DAY..6 * DAY);
    let outage = outage..outage + rng.random_range(4..12);
    let scrape = |track: Track| {
        let mut total = 0.0;
        let restarted = |minute| track.job == Job::Demo && restarts.binary_search(&minute).is_ok();
        let mut column = track.values;
        for (minute, value) in column.iter_mut().enumerate() {
            if track.kind == Kind::Counter {
                total = if restarted(minute) { *value } else { total + *value };
                *value = total;
            }
            let lost = rng.random_bool(0.0003);
            if lost || (track.job == Job::Node && outage.contains(&minute)) {
                *value = f64::NAN;
            }
        }
        column
    };
    tracks.into_iter().map(scrape).collect()
}
