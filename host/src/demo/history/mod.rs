//! A synthetic history of a small web service: what a Prometheus would have scraped.
//!
//! It is a pure function of seed and start. The second week holds one incident of each
//! [`Scenario`], at times and of sizes that the seed decides: sustained, and mostly within
//! what the first week had seen at another time. The same seed without incidents is the
//! same history but for what they did: the load fades within minutes, and the disk fills for
//! days until somebody cleans it. Both weeks have what must not alarm: nights, weekends, deployments with their
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
    /// When it reached the limit that it was on its way to.
    pub limit: Option<Millis>,
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
        let full = || tracks.iter().find(|track| track.name == fleet::DISK_USED);
        let limit = |plan: &incident::Plan| {
            let values = &full().filter(|_| plan.scenario == Scenario::CapacityPlanning)?.values;
            let over =
                |minute: &usize| values.get(*minute).is_some_and(|used| *used >= fleet::DISK_LIMIT * fleet::DISK);
            plan.minutes.clone().find(over).map(time)
        };
        let happened = |plan: &incident::Plan| Incident {
            limit: limit(plan),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::table::{Table, static_threshold};

    /// Tuesday, 2026-01-06, 07:30 UTC.
    const START: Millis = 1_767_684_600_000;
    const DAY_MS: Millis = 86_400_000;

    fn pair(seed: u64) -> [History; 2] {
        [true, false].map(|incidents| History::generate(seed, START, incidents))
    }

    /// What a detector is given of a series in two weeks.
    fn rated(history: &History, series: usize) -> (Vec<Millis>, Vec<f64>) {
        let times = (0..14 * DAY).map(|minute| history.start() + minute as Millis * MINUTE_MS);
        let rate = |time| {
            let now = history.value(series, time)?;
            if history.kind(series) != Kind::Counter {
                return Some((time, now));
            }
            let last = history.value(series, time - MINUTE_MS)?;
            Some((time, (if now < last { now } else { now - last }) / 60.0))
        };
        times.filter_map(rate).unzip()
    }

    #[test]
    fn a_seed_is_a_history_and_another_one_another() {
        let values = |seed| {
            let history = History::generate(seed, START, true);
            (0..history.series().len()).map(|s| history.value(s, START + DAY_MS)).collect::<Vec<_>>()
        };
        assert_eq!(values(1), values(1));
        assert_ne!(values(1), values(2));
        assert!(values(1).len() >= 16);
    }

    #[test]
    fn one_incident_of_each_scenario_begins_a_day_of_the_second_week() {
        for seed in 0..20 {
            let history = History::generate(seed, START, true);
            let mut days = Vec::new();
            for (incident, scenario) in history.incidents().iter().zip(Scenario::ALL) {
                assert_eq!(incident.scenario, scenario);
                assert!(!incident.series.is_empty());
                let minutes = (incident.span.end - incident.span.start) / MINUTE_MS;
                days.push((incident.span.start - START) / DAY_MS);
                if scenario == Scenario::CapacityPlanning {
                    // It goes on for days, and reaches its limit in the end: within the two weeks where
                    // they begin at midnight, as those of the demo do.
                    let limit = incident.limit.unwrap();
                    assert!(limit - incident.span.start > 2 * DAY_MS && limit < incident.span.end);
                    assert!(incident.span.end <= START + 14 * DAY_MS + DAY_MS / 3);
                    continue;
                }
                assert_eq!(incident.limit, None);
                assert!((20..=120).contains(&minutes), "{minutes}");
                assert_eq!(days.last(), Some(&((incident.span.end - 1 - START) / DAY_MS)));
            }
            days.sort_unstable();
            assert_eq!(days, (7..14).collect::<Vec<_>>());
        }
    }

    #[test]
    fn without_incidents_it_is_the_same_history() {
        let [with, without] = pair(3);
        assert_eq!(with.series(), without.series());
        assert!(without.incidents().is_empty());
        for series in 0..with.series().len() {
            let effects = with.incidents().iter().filter(|i| i.series.contains(&series));
            let spans: Vec<_> = effects.map(|i| i.span.clone()).collect();
            let full = with.series()[series].get(Labels::NAME) == Some("demo_disk_usage_bytes");
            let (times, values) = rated(&with, series);
            let (_, others) = rated(&without, series);
            assert_eq!(values.len(), others.len());
            for ((time, a), b) in times.iter().zip(values).zip(others) {
                let after = if full { 0 } else { 20 * MINUTE_MS };
                let happened = spans.iter().any(|s| (s.start..s.end + after).contains(time));
                // A counter that went another way gives the same rate but for rounding.
                assert!(happened || (a - b).abs() <= 1e-6 * a.abs(), "{} at {time}: {a} {b}", with.series()[series]);
            }
        }
    }

    #[test]
    fn counters_only_begin_anew_with_a_deployment() {
        let history = History::generate(5, START, true);
        let counters = (0..history.series().len()).filter(|&s| history.kind(s) == Kind::Counter);
        let mut resets = 0;
        for series in counters {
            let mut last = (START, 0.0);
            for minute in 0..(DAYS * DAY) as Millis {
                let time = START + minute * MINUTE_MS;
                let Some(value) = history.value(series, time) else { continue };
                if value < last.1 {
                    assert!(history.deployments().iter().any(|d| (last.0 + 1..=time).contains(d)));
                    resets += 1;
                }
                last = (time, value);
            }
        }
        assert!(resets > 0);
    }

    #[test]
    fn the_incidents_are_no_giants() {
        for seed in 1..=6 {
            let [history, _] = pair(seed);
            let (week, judged) = (START..START + 7 * DAY_MS, START + 7 * DAY_MS..START + 14 * DAY_MS);
            let alerts = (0..history.series().len()).flat_map(|series| {
                let (times, values) = rated(&history, series);
                static_threshold(
                    &history.series()[series],
                    &times,
                    &values,
                    week.clone(),
                    judged.clone(),
                    80 * MINUTE_MS,
                )
            });
            let alerts: Vec<_> = alerts.collect();
            let table = Table::judge(history.incidents(), history.series(), &alerts, judged.clone());
            // A disk that fills for days is in the end as full as never before; its limit is the point.
            let brief = table.rows.iter().filter(|row| row.scenario != Scenario::CapacityPlanning);
            let found = brief.filter(|row| row.found.is_some()).count();
            assert!(found <= 3, "seed {seed}: {:?}", table.rows);
        }
    }

    #[test]
    fn scrapes_are_lost_now_and_then_and_none_is_outside() {
        let history = History::generate(1, START, false);
        let lost = (0..DAYS * DAY).filter(|&m| history.value(0, START + m as Millis * MINUTE_MS).is_none()).count();
        assert!((1..100).contains(&lost));
        assert_eq!(history.value(0, START - 1), None);
        assert_eq!(history.value(0, history.end()), None);
        assert_eq!(history.value(usize::MAX, START), None);
    }
}
