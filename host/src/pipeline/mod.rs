//! What the jobs of a batch do: a file a job, each from what the store holds to one commit.
//!
//! A job reads the store and its plugins, and returns an [`Outcome`]. It writes nothing:
//! [`execute`] makes outcome and run record one commit, so that a job that is cut off
//! anywhere has not happened, and one that is done twice is done once.

mod alert;
mod capacity;
mod chain;
mod change;
mod delete;
mod deliver;
mod entity;
mod execute;
mod hand_over;
mod ingest;
mod left_out;
mod llmalert;
mod notify;
pub mod picture;
mod plot;
mod raise;
mod score;
mod summary;
mod tenant;
mod train;
mod watch;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

pub use chain::ChainReport;
pub use execute::Runner;
pub use plot::{newest_span, plot_path, worst_first, write_whole};
pub use tenant::{Address, BoundTenant, Errand, MakeLinks};
pub use watch::{UnderWay, Watch, Written};

use crate::config::{AnalystUse, Batch, BatchKey, DetectorUse, Limits, NotifierUse, Slot};
use crate::fault::{Blame, Fault};
use crate::plugin::{Analyse, Call, Detect, Ingest, Judge, LogSink, Loss, Needs, Notify};
use crate::series::{Millis, Samples};
use crate::store::{
    AlertRecord, Column, Database, Decision, Delivery, DocumentWrite, ModelWrite, RunState, ScoreColumn, SeriesId,
    StoreError,
};

/// A batch whose plugins have been found, granted and checked.
pub struct BoundBatch {
    /// The batch.
    pub batch: Batch,
    /// Its source.
    pub ingester: Arc<dyn Ingest>,
    /// Its detectors, in the order of `model_configs`.
    pub detectors: Vec<BoundDetector>,
    /// The detectors of its limits, in the order of `capacity_limits`.
    pub capacity: Vec<BoundDetector>,
    /// Its notifiers: those of `alert_methods`, then those that only `tholdalert_methods` names.
    pub notifiers: Vec<BoundNotifier>,
    /// Who explains its alerts and reads its series, if anybody does.
    pub analyst: Option<BoundAnalyst>,
}

/// A detector of a batch.
pub struct BoundDetector {
    /// Its entry in the batch.
    pub entry: DetectorUse,
    /// The component.
    pub detect: Arc<dyn Detect>,
    /// The component as a judge of tables, in a batch with `entity_labels`.
    pub judge: Option<Arc<dyn Judge>>,
    /// Sha-256 of the component, in hex.
    pub plugin_digest: String,
    /// Sha-256 of the configuration, in hex.
    pub config_digest: String,
    /// The configuration as it is passed.
    pub config: String,
    /// What it asked for at the batch's step.
    pub needs: Needs,
}

/// A notifier of a batch.
pub struct BoundNotifier {
    /// Its entry in the batch.
    pub entry: NotifierUse,
    /// The component.
    pub notify: Arc<dyn Notify>,
    /// The configuration as it is passed.
    pub config: String,
}

/// The analyst of a batch.
pub struct BoundAnalyst {
    /// Its entry in the batch.
    pub entry: AnalystUse,
    /// The component.
    pub analyse: Arc<dyn Analyse>,
    /// The configuration as it is passed.
    pub config: String,
}

/// What a job is given.
pub struct JobContext<'a> {
    /// The batch.
    pub bound: &'a BoundBatch,
    /// The store.
    pub store: &'a Database,
    /// The node's limits.
    pub limits: &'a Limits,
    /// The run; its scheduled time is the job's now.
    pub slot: Slot,
    /// What the clock on the wall said when the run began; a replay's now is another.
    pub wall: Millis,
    /// What the run says of itself.
    pub log: Arc<RunLog>,
    /// That it is done once more, and of what; `None`: as it comes.
    pub redo: Option<Redo>,
}

/// How work is done otherwise than as it comes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Redo {
    /// The samples and scores of this half-open span, whether they are there or not; `None`:
    /// what is not there yet.
    pub span: Option<Range<Millis>>,
    /// Models that are of this very slot are fit anew; younger ones are left alone.
    pub refit: bool,
    /// Samples that somebody sent: nothing is fetched.
    pub pushed: Option<Arc<Samples>>,
}

/// Why a run was started that fills a span of the past: it says nothing of where the batch is.
pub const BACKFILL: &str = "backfill";
/// Why a run was started that keeps what somebody sent: it says nothing of what can be fetched.
pub const PUSH: &str = "push";

impl JobContext<'_> {
    fn key(&self) -> &BatchKey {
        &self.slot.key
    }

    fn now(&self) -> Millis {
        self.slot.scheduled
    }

    fn step(&self) -> Millis {
        Millis::from(self.bound.batch.judged.step_ms)
    }

    /// The span that is done once more, in whole columns; `None`: what is not there yet.
    fn redone(&self) -> Option<Range<Millis>> {
        let span = self.redo.as_ref()?.span.as_ref()?;
        let floor = |time: Millis| time.div_euclid(self.step()).saturating_mul(self.step());
        Some(floor(span.start)..span.end.min(self.grid_now()))
    }

    /// The end of the newest column that is whole.
    fn grid_now(&self) -> Millis {
        (self.now() - self.bound.batch.ingest.delay_ms).div_euclid(self.step()) * self.step()
    }

    fn call(&self) -> Call {
        Call { now: self.now(), subject: self.slot.to_string(), log: self.log.clone() }
    }

    /// A fault that no plugin had a part in.
    fn store_fault(&self, error: &StoreError) -> Fault {
        host_fault(&self.slot, error)
    }
}

fn host_fault(slot: &Slot, error: &StoreError) -> Fault {
    Fault {
        blame: Blame::Host,
        tenant: slot.key.tenant.clone(),
        plugin: "store".to_owned(),
        version: String::new(),
        export: slot.job.name().to_owned(),
        message: error.to_string(),
        remedy: String::new(),
        log_tail: Vec::new(),
        answer: None,
        until: None,
    }
}

/// What a job did, before it is committed.
#[derive(Default)]
pub struct Outcome {
    /// How it ended; `None` is done.
    pub state: Option<RunState>,
    /// What it counted.
    pub counts: BTreeMap<String, u64>,
    /// Samples of series.
    pub samples: Vec<(crate::series::Labels, String, crate::series::Kind, Column)>,
    /// Scores.
    pub scores: Vec<(SeriesId, ScoreColumn)>,
    /// Models.
    pub models: Vec<ModelWrite>,
    /// Alerts that began, changed or ended.
    pub alerts: Vec<AlertRecord>,
    /// The event rule's memory.
    pub watched: Vec<(SeriesId, Vec<u8>)>,
    /// What the event rule made of points.
    pub decisions: Vec<(SeriesId, Decision)>,
    /// Deliveries that were queued or tried.
    pub deliveries: Vec<Delivery>,
    /// Documents of the tenant.
    pub documents: Vec<DocumentWrite>,
}

impl Outcome {
    fn skipped(why: impl Into<String>) -> Self {
        Self { state: Some(RunState::Skipped(why.into())), ..Self::default() }
    }

    fn count(&mut self, what: &str, n: usize) {
        *self.counts.entry(what.to_owned()).or_default() += n as u64;
    }
}

/// The lines of a run: what its plugins logged and what it says of itself, bounded.
pub struct RunLog {
    lines: Mutex<Vec<String>>,
    most: usize,
    /// Who is told of each line, and of which run it is.
    watch: Option<(Arc<dyn Watch>, Slot)>,
}

impl std::fmt::Debug for RunLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunLog").field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl RunLog {
    /// A log that keeps so many lines.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { lines: Mutex::new(Vec::new()), most, watch: None })
    }

    /// One that also tells each line that it keeps as it comes.
    fn told(most: usize, watch: Arc<dyn Watch>, slot: Slot) -> Arc<Self> {
        Arc::new(Self { lines: Mutex::new(Vec::new()), most, watch: Some((watch, slot)) })
    }

    /// Adds a line of the job itself.
    pub fn note(&self, line: impl Into<String>) {
        let mut lines = self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match lines.len().cmp(&self.most) {
            std::cmp::Ordering::Less => lines.push(line.into()),
            std::cmp::Ordering::Equal => lines.push("further lines were dropped (limits.run_log_lines)".to_owned()),
            std::cmp::Ordering::Greater => return,
        }
        // Under the lock, so that they are told in their order.
        if let (Some((watch, slot)), Some(line)) = (&self.watch, lines.last()) {
            watch.said(slot, lines.len() - 1, line);
        }
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// A part of the source that gave nothing.
    fn lost(&self, loss: &Loss) {
        self.note(format!("lost {}: {}", loss.part, loss.error));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl LogSink for RunLog {
    fn line(&self, level: tracing::Level, plugin: &str, line: &str) {
        tracing::debug!(plugin, plugin_level = %level, "{line}");
        if level <= tracing::Level::INFO {
            self.note(format!("{plugin} {}: {line}", level.as_str().to_lowercase()));
        }
    }
}

#[cfg(test)]
mod story;
#[cfg(test)]
mod tests;
