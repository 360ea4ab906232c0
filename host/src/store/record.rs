//! The records of the store, as the pipeline writes and reads them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::{BatchKey, Slot};
use crate::series::{Kind, Labels, Millis};

/// A series within its batch; given once, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesId(pub u32);

/// A series of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesRecord {
    /// Its number.
    pub id: SeriesId,
    /// Its identity.
    pub labels: Labels,
    /// Its `metric_name`.
    pub name: String,
    /// What it measures.
    pub kind: Kind,
    /// The first and the last sample, if there is one.
    pub span: Option<(Millis, Millis)>,
    /// The last score, if there is one.
    pub scored: Option<Millis>,
}

/// Points of one series, ascending in time. In a commit they may come in any order, of two at
/// one instant the last counts, and NaN is a missing value and not kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// When.
    pub timestamps: Vec<Millis>,
    /// What.
    pub values: Vec<f64>,
}

/// A scored point.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreRow {
    /// When.
    pub time: Millis,
    /// 0 to 1, kept to four decimals.
    pub score: f64,
    /// The lower edge of the ordinary, NaN where there is none. Edges are kept as `f32`, rounded
    /// to a power of two that is at most 1/256 of the band's width.
    pub lower: f64,
    /// See `lower`.
    pub upper: f64,
    /// The parts of a score that came near the threshold; usually empty.
    pub terms: Vec<(String, f64)>,
}

/// Scores of one series, ascending in time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreColumn {
    /// The scored points.
    pub rows: Vec<ScoreRow>,
}

/// A model to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelWrite {
    /// Of which series.
    pub series: SeriesId,
    /// Of which entry of `model_configs`.
    pub tag: String,
    /// The plugin's name.
    pub plugin: String,
    /// Sha-256 of the component that wrote it, in hex.
    pub plugin_digest: String,
    /// Sha-256 of the configuration that it was fit with, in hex.
    pub config_digest: String,
    /// The history that it saw, half-open.
    pub data: (Millis, Millis),
    /// What the detector will be passed again.
    pub bytes: Vec<u8>,
}

/// A kept model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRecord {
    /// See [`ModelWrite`].
    pub series: SeriesId,
    /// See [`ModelWrite`].
    pub tag: String,
    /// See [`ModelWrite`].
    pub plugin: String,
    /// See [`ModelWrite`].
    pub plugin_digest: String,
    /// See [`ModelWrite`].
    pub config_digest: String,
    /// See [`ModelWrite`].
    pub data: (Millis, Millis),
    /// Sha-256 of the bytes, in hex: what the trace of an alert names.
    pub digest: String,
    /// The bytes.
    pub bytes: Arc<[u8]>,
}

/// How a run ended. A run is due or finished in the store, and never running: what a
/// crash would make false is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// All that was asked was done.
    Done,
    /// Done, but for parts that were lost; see the record's log.
    Partial,
    /// Nothing was done.
    Failed,
    /// Nothing had to be done; the text says why.
    Skipped(String),
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Which run.
    pub slot: Slot,
    /// How it ended.
    pub state: RunState,
    /// How often it was tried in the process that finished it.
    pub attempts: u32,
    /// Why it was started: `cron`, `chain`, `manual`.
    pub reason: String,
    /// When it began by the wall clock; not part of an export.
    pub started: Millis,
    /// How long it took, in milliseconds; not part of an export.
    pub duration_ms: u64,
    /// What it counted: `samples`, `series`, `lost`, `models`, `scores`, `alerts`, and so on.
    pub counts: std::collections::BTreeMap<String, u64>,
    /// What the plugins and the job said; bounded.
    pub log: Vec<String>,
    /// What went wrong, whole.
    pub error: Option<crate::fault::Fault>,
}

/// An alert of one series, from pending to resolved. It is kept under its identity, so a
/// later record replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRecord {
    /// The batch.
    pub key: BatchKey,
    /// The same in every replay: a hash of batch, labels and start.
    pub id: String,
    /// The series.
    pub series: SeriesId,
    /// Its labels.
    pub labels: Labels,
    /// Its `metric_name`.
    pub name: String,
    /// `pending`, `firing`, `acknowledged`, `resolved`.
    pub state: String,
    /// The first point over the threshold.
    pub started: Millis,
    /// The point at which it was over.
    pub ended: Option<Millis>,
    /// The worst point: time, value, score, lower and upper edge.
    pub worst: (Millis, f64, f64, f64, f64),
    /// The parts of the worst score, largest first.
    pub terms: Vec<(String, f64)>,
    /// The threshold that was crossed.
    pub threshold: f64,
    /// Digests of the models that scored it, a tag each.
    pub models: Vec<(String, String)>,
}

/// One try to deliver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// When.
    pub at: Millis,
    /// What the remote side answered, or what went wrong.
    pub outcome: Result<String, String>,
}

/// A message in the outbox: kept until it is sent or given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The same for every attempt: the idempotency key that the receiver sees.
    pub id: String,
    /// The batch.
    pub key: BatchKey,
    /// The notifier's entry in the batch: `slack`, say.
    pub method: String,
    /// What is sent.
    pub alert: crate::message::Alert,
    /// When it was queued.
    pub queued: Millis,
    /// Not before this instant.
    pub due: Millis,
    /// What was tried.
    pub attempts: Vec<Attempt>,
    /// `queued`, `sent`, `dead`.
    pub state: String,
}

/// The outcome of one run: all of it or none is kept.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Refused with a conflict if this slot already has a finished run.
    pub run: RunRecord,
    /// Series that the run saw, with their samples; new ones are entered in the catalogue.
    pub samples: Vec<(Labels, String, Kind, Column)>,
    /// Scores.
    pub scores: Vec<(SeriesId, ScoreColumn)>,
    /// Models.
    pub models: Vec<ModelWrite>,
    /// Alerts that began, changed or ended.
    pub alerts: Vec<AlertRecord>,
    /// Up to which point the event rule has looked, a series each, with its own memory.
    pub watched: Vec<(SeriesId, Vec<u8>)>,
    /// Deliveries that were queued, tried, sent or given up.
    pub deliveries: Vec<Delivery>,
}

impl Commit {
    /// A commit of nothing but the run.
    pub fn of(run: RunRecord) -> Self {
        Self {
            run,
            samples: Vec::new(),
            scores: Vec::new(),
            models: Vec::new(),
            alerts: Vec::new(),
            watched: Vec::new(),
            deliveries: Vec::new(),
        }
    }
}
