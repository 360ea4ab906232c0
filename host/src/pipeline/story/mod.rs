//! Jobs of a batch over a source and a detector that are made up, a store in memory, and a
//! clock that stands.

mod again;
mod alerting;
mod data;
mod entities;
mod ingesting;
mod models;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::*;
use crate::config::{Environment, Job, load_batch_text};
use crate::fault::PluginError;
use crate::message::{AlertKind, AlertPhase};
use crate::plugin::{Cause, Fitted, Page, Scored, Skip, Window};
use crate::schedule::ManualClock;
use crate::series::{Kind, Labels, Matrix, Samples};
use crate::store::{AlertFilter, AlertRecord, DocumentKind, RunRecord, SeriesRecord};

pub const MINUTE: Millis = 60_000;
/// A Monday at midnight.
pub const BEGIN: Millis = 1_767_571_200_000;

/// The minute of the story, as an instant.
pub fn minute(minute: Millis) -> Millis {
    BEGIN + minute * MINUTE
}

type Value = Box<dyn Fn(Millis) -> Option<f64> + Send + Sync>;

/// A source of series that are functions of the minute of the story.
#[derive(Default)]
pub struct Script {
    series: Vec<(String, Value)>,
    /// Series that are not there yet, or not any more, as the source sees it.
    lost: Mutex<Vec<String>>,
    /// The spans that were asked for.
    asked: Mutex<Vec<Range<Millis>>>,
    down: Mutex<bool>,
}

impl Script {
    pub fn with(mut self, name: &str, value: impl Fn(Millis) -> Option<f64> + Send + Sync + 'static) -> Self {
        self.series.push((name.to_owned(), Box::new(value)));
        self
    }

    /// From now on, the query of this series fails.
    pub fn lose(&self, names: &[&str]) {
        *self.lost.lock().unwrap() = names.iter().map(|name| (*name).to_owned()).collect();
    }

    /// From now on, the source does not answer.
    pub fn fall(&self, down: bool) {
        *self.down.lock().unwrap() = down;
    }
}

/// `cpu@a` is the CPU of the instance a.
fn labels(name: &str) -> Labels {
    let (name, instance) = name.split_once('@').map_or((name, None), |(name, instance)| (name, Some(instance)));
    let pairs = [(Labels::NAME, Some(name)), ("instance", instance)];
    Labels::new(pairs.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))).unwrap()
}

fn down() -> Fault {
    Fault {
        blame: Blame::Operator,
        tenant: "default".into(),
        plugin: "script".into(),
        version: String::new(),
        export: "fetch".into(),
        message: "the source is down".into(),
        remedy: String::new(),
        log_tail: Vec::new(),
        answer: None,
        until: None,
    }
}

#[async_trait]
impl Ingest for Script {
    async fn fetch(&self, _: &Call, _: &str, window: &Window, _: Option<Vec<u8>>) -> Result<Page, Fault> {
        self.asked.lock().unwrap().push(window.span.clone());
        if *self.down.lock().unwrap() {
            return Err(down());
        }
        let lost = self.lost.lock().unwrap().clone();
        let (mut keys, mut offsets, mut timestamps, mut values) = (Vec::new(), vec![0], Vec::new(), Vec::new());
        for (name, value) in self.series.iter().filter(|(name, _)| !lost.contains(name)) {
            keys.push(labels(name));
            for time in window.span.clone().step_by(window.step_ms as usize) {
                if let Some(value) = value((time - BEGIN).div_euclid(MINUTE)) {
                    timestamps.push(time);
                    values.push(value);
                }
            }
            offsets.push(values.len());
        }
        let lost = lost.into_iter().map(|part| Loss { part, error: PluginError::Unavailable("503".into()) });
        let samples = Samples::new(keys, Vec::<Kind>::new(), offsets, timestamps, values).unwrap();
        Ok(Page { samples, lost: lost.collect(), next: None })
    }
}

/// A detector that learns the mean, and says that what is more than 5 away from it is odd.
pub struct Mean {
    /// Points below which it gives up, as a nearest neighbour does.
    pub least: usize,
}

impl Mean {
    /// The bytes of its models: the mean, and what only the next fit is to see.
    pub const BYTES: usize = Self::HEAD + 3_000;
    pub const HEAD: usize = size_of::<f64>();
}

#[async_trait]
impl Detect for Mean {
    async fn plan(&self, _: &Call, _: &str, _: u32) -> Result<Needs, Fault> {
        Ok(Needs { history: 1_000, context: 0, refit: 30, joint: false })
    }

    async fn fit(&self, _: &Call, _: &str, history: &Matrix, previous: &[Arc<[u8]>]) -> Result<Fitted, Fault> {
        assert!(previous.iter().all(|model| model.is_empty() || model.len() == Self::BYTES), "a fit is passed all");
        let (mut models, mut skipped) = (Vec::new(), Vec::new());
        for (row, values) in history.values.chunks(history.grid.columns).enumerate() {
            let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
            if values.len() < self.least {
                skipped.push(Skip { row, cause: Cause::Failed(format!("{} points are too few", values.len())) });
            }
            let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
            models.push([&mean.to_le_bytes()[..], &[0; Self::BYTES - Self::HEAD]].concat());
        }
        let (heads, facts) = (vec![Self::HEAD; models.len()], vec![Vec::new(); models.len()]);
        Ok(Fitted { models, heads, skipped, facts })
    }

    async fn score(
        &self,
        _: &Call,
        _: &str,
        models: &[Arc<[u8]>],
        recent: &Matrix,
        tail: usize,
    ) -> Result<Scored, Fault> {
        let mut scored = Scored::default();
        for (values, model) in recent.values.chunks(recent.grid.columns).zip(models) {
            let mean = f64::from_le_bytes(model.as_ref().try_into().expect("scoring is passed the head alone"));
            for value in &values[values.len() - tail..] {
                scored.scores.push(match (value - mean).abs() {
                    far if far > 5.0 => 1.0,
                    near if near.is_nan() => f64::NAN,
                    _ => 0.1,
                });
                scored.expected.push(mean);
                scored.lower.push(mean - 5.0);
                scored.upper.push(mean + 5.0);
            }
        }
        Ok(scored)
    }
}

/// A batch, its source, and what it has kept.
pub struct Stage {
    pub bound: BoundBatch,
    pub source: Arc<Script>,
    pub store: Database,
    limits: Limits,
    clock: ManualClock,
}

impl Stage {
    /// A batch with these keys over a source; it learns an hour before the story begins.
    pub fn new(keys: &str, source: Script) -> Self {
        Self::judged_by(keys, source, Arc::new(Mean { least: 1 }))
    }

    pub fn judged_by(keys: &str, source: Script, detect: Arc<dyn Detect>) -> Self {
        let needs = Needs { history: 1_000, context: 0, refit: 30, joint: false };
        Self::with(keys, source, detect, needs)
    }

    pub fn with(keys: &str, source: Script, detect: Arc<dyn Detect>, needs: Needs) -> Self {
        let keys = format!("metric_batch: story\ningest_fn: prometheus\ningest_delay: 0s\n{keys}");
        let history = if keys.contains("ingest_history") { "" } else { "ingest_history: 1h\n" };
        let text = format!("{keys}\n{history}");
        let batch = load_batch_text(Path::new("story.yaml"), &text, &Environment::default());
        let batch = batch.unwrap_or_else(|problems| panic!("{problems}"));
        let source = Arc::new(source);
        let entry = batch.detectors[0].clone();
        let detector = BoundDetector {
            config: entry.config.to_string(),
            entry,
            detect,
            judge: None,
            plugin_digest: "plugin".into(),
            config_digest: "config".into(),
            needs,
        };
        let limits = Limits::default();
        let bound = BoundBatch {
            batch,
            ingester: source.clone(),
            detectors: vec![detector],
            capacity: Vec::new(),
            notifiers: Vec::new(),
            analyst: None,
        };
        Self { bound, source, store: Database::in_memory(&limits).unwrap(), limits, clock: ManualClock::at(BEGIN) }
    }

    pub fn key(&self) -> &BatchKey {
        &self.bound.batch.key
    }

    pub fn runner(&self) -> Runner<'_> {
        Runner { store: &self.store, limits: &self.limits, clock: &self.clock, watch: None }
    }

    pub async fn run(&self, job: Job, now: Millis) -> RunRecord {
        let slot = Slot { key: self.key().clone(), job, scheduled: now };
        self.runner().execute(&self.bound, slot, "cron").await.unwrap()
    }

    /// The jobs of the chain at an instant; the alert job's record.
    pub async fn chain(&self, now: Millis) -> RunRecord {
        self.clock.advance_to(now);
        let runs = self.runner().run_chain(&self.bound, now, "cron").await.unwrap();
        runs.into_iter().rev().find(|run| run.slot.job <= Job::Alert).unwrap()
    }

    /// The chain at each whole step of a span of minutes, both ends included.
    pub async fn live(&self, minutes: std::ops::RangeInclusive<Millis>) {
        let step = Millis::from(self.bound.batch.step_ms) / MINUTE;
        for at in minutes.filter(|at| at % step.max(1) == 0) {
            self.chain(minute(at)).await;
        }
    }

    pub fn series(&self, name: &str) -> SeriesRecord {
        self.store.series(self.key()).into_iter().find(|series| series.name == name).unwrap()
    }

    /// All alerts of a kind, the first started first.
    pub fn alerts(&self, kind: AlertKind) -> Vec<AlertRecord> {
        let all = AlertFilter { key: Some(self.key().clone()), ..AlertFilter::default() };
        let mut alerts = self.store.alerts(&all).unwrap();
        alerts.retain(|alert| alert.kind == kind);
        alerts.reverse();
        alerts
    }

    /// The minutes at which alerts of a kind fired and ended.
    pub fn spans(&self, kind: AlertKind) -> Vec<(Millis, Option<Millis>)> {
        let minutes = |time: Millis| (time - BEGIN) / MINUTE;
        let fired = self.alerts(kind).into_iter().filter_map(|alert| Some((alert.fired?, alert.ended)));
        fired.map(|(fired, ended)| (minutes(fired), ended.map(minutes))).collect()
    }

    /// The alerts of which the router has been given word.
    pub fn signals(&self) -> Vec<crate::alert::Signal> {
        let signals = self.store.documents(&self.key().tenant, DocumentKind::Signal, "").unwrap();
        signals.into_iter().map(|(_, signal)| signal).collect()
    }

    /// The router has seen them all.
    pub fn see(&self) {
        let seen = self.signals().iter().map(crate::alert::Signal::deletion).collect();
        self.store.write_documents(&self.key().tenant, seen).unwrap();
    }

    pub fn scores(&self, name: &str) -> Vec<(Millis, f64)> {
        let column = self.store.scores(self.key(), &[self.series(name).id], 0..Millis::MAX).unwrap().pop().unwrap();
        column.rows.iter().map(|row| ((row.time - BEGIN) / MINUTE, row.score)).collect()
    }

    pub fn values(&self, name: &str) -> BTreeMap<Millis, f64> {
        let column = self.store.values(self.key(), &[self.series(name).id], 0..Millis::MAX).unwrap().pop().unwrap();
        column.timestamps.iter().map(|time| (time - BEGIN) / MINUTE).zip(column.values).collect()
    }
}

/// 10, and 40 in the minutes of the story that are given, half-open.
pub fn odd_in(spans: &'static [(Millis, Millis)]) -> impl Fn(Millis) -> Option<f64> + Send + Sync {
    move |minute| {
        let odd = spans.iter().any(|(from, to)| (*from..*to).contains(&minute));
        Some(if odd { 40.0 } else { 10.0 })
    }
}

fn phases(alerts: &[AlertRecord]) -> Vec<AlertPhase> {
    alerts.iter().map(|alert| alert.phase).collect()
}
