//! The records of the store, as the pipeline writes and reads them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::{BatchKey, Slot};
use crate::message::{AlertKind, AlertPhase, Verdict};
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
    /// The instant that it was fit for: nothing from there on is in it.
    pub slot: Millis,
    /// The history that it saw, half-open; it ends before the slot where that has no samples.
    pub data: (Millis, Millis),
    /// Points of that history that it was not shown, because a person said that they were
    /// anomalies.
    pub left_out: usize,
    /// What it knows, as the plugin tells people: names with values.
    pub facts: Vec<(String, String)>,
    /// How many of the bytes, from the first on, scoring reads; the rest is for the next fit alone.
    pub head: usize,
    /// What the detector will be passed again.
    pub bytes: Vec<u8>,
}

/// What is known of a kept model without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelMetadata {
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
    pub slot: Millis,
    /// See [`ModelWrite`].
    pub data: (Millis, Millis),
    /// Sha-256 of all of the bytes, in hex: what the trace of an alert names.
    pub digest: String,
}

/// A kept model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRecord {
    /// What it is.
    pub metadata: ModelMetadata,
    /// The bytes; or only the head, if that was asked for.
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
    /// Somebody ended it, and nothing of it was kept; the text says who.
    Cancelled(String),
}

impl RunState {
    /// In a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Skipped(_) => "skipped",
            Self::Cancelled(_) => "cancelled",
        }
    }

    /// Why, where the state itself says it.
    pub fn why(&self) -> Option<String> {
        match self {
            Self::Done | Self::Partial | Self::Failed => None,
            Self::Skipped(why) => Some(why.clone()),
            Self::Cancelled(by) => Some(format!("by {by}")),
        }
    }
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

/// The worst point of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// When.
    pub time: Millis,
    /// What came.
    pub value: f64,
    /// 0 to 1; for a kind of alert without scores how far over its limit, 1 being at it.
    pub score: f64,
    /// The lower edge of the ordinary; NaN where there is none.
    pub lower: f64,
    /// The upper edge.
    pub upper: f64,
}

/// An alert of one series, from pending to resolved. It is kept under its identity, so a
/// later record replaces an earlier one. Only jobs write it; what people do about it is an
/// [`Act`](crate::message::Act) under its identity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRecord {
    /// The batch.
    pub key: BatchKey,
    /// The same in every replay: a hash of batch, kind, labels and start.
    pub id: String,
    /// What raised it.
    pub kind: AlertKind,
    /// The series.
    pub series: SeriesId,
    /// Its labels.
    pub labels: Labels,
    /// Its `metric_name`.
    pub name: String,
    /// Where it is in its life.
    pub phase: AlertPhase,
    /// The first point over the threshold.
    pub started: Millis,
    /// The point at which it began to fire: later than `started` where `alert_for` asks
    /// for it; `None` while pending.
    pub fired: Option<Millis>,
    /// The point at which it was over.
    pub ended: Option<Millis>,
    /// The worst point.
    pub worst: Peak,
    /// The parts of the worst score, largest first.
    pub terms: Vec<(String, f64)>,
    /// The threshold that was crossed.
    pub threshold: f64,
    /// Digests of the models that scored it, a tag each.
    pub models: Vec<(String, String)>,
    /// The policy that was in force: the identity of a document of that kind.
    pub policy: String,
    /// Events (deploys, say) that were on or had just been: identities of their documents.
    pub events: Vec<String>,
    /// Why, in words, where something said so.
    pub explanation: Option<String>,
}

/// What the event rule made of a series in a span in which it made the same of every point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Of which rule.
    pub kind: AlertKind,
    /// The first point.
    pub from: Millis,
    /// The last point, itself included.
    pub to: Millis,
    /// What was made of them.
    pub verdict: Verdict,
    /// The policy that was in force: the identity of a document.
    pub policy: String,
    /// The alert that they are part of.
    pub alert: Option<String>,
}

/// A fit that was kept: which model stood when. The model itself may be gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FitRecord {
    /// The entry of `model_configs`.
    pub tag: String,
    /// The logical now of the run that fit it: it judges what is scored after that.
    pub scheduled: Millis,
    /// The plugin's name.
    pub plugin: String,
    /// Sha-256 of the component, in hex.
    pub plugin_digest: String,
    /// Sha-256 of the configuration, in hex.
    pub config_digest: String,
    /// The instant that it was fit for: nothing from there on is in it.
    pub slot: Millis,
    /// The history that it saw, half-open; it ends before the slot where that has no samples.
    pub data: (Millis, Millis),
    /// Points of that history that it was not shown; see [`ModelWrite`].
    pub left_out: usize,
    /// Sha-256 of the model, in hex.
    pub digest: String,
    /// What the model knew, as the plugin tells people: names with values.
    pub facts: Vec<(String, String)>,
}

/// What kind of document; each kind is a space of names of its own in a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentKind {
    /// What a person did about an alert, under the alert's identity.
    Act,
    /// What a person says of an alert afterwards, under its batch and identity.
    Feedback,
    /// A silence.
    Silence,
    /// An event: a deploy, a maintenance.
    Event,
    /// An alert that began or ended and that the router has not seen.
    Signal,
    /// What the router knows of a group of alerts.
    Group,
    /// What the router decided at one flush of a group.
    Notice,
    /// A policy that alerts and decisions name by its digest.
    Policy,
    /// What was spent of a budget.
    Budget,
    /// What a job keeps for itself between two runs.
    State,
    /// The batch of a hosted tenant, as it was written.
    Batch,
    /// A tenant itself: all of them are documents of a tenant without a name.
    Tenant,
    /// What a tenant has used of a quota that begins anew each day.
    Usage,
    /// A browser that is signed in, under the hash of what it has.
    Session,
}

impl DocumentKind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Act,
        Self::Feedback,
        Self::Silence,
        Self::Event,
        Self::Signal,
        Self::Group,
        Self::Notice,
        Self::Policy,
        Self::Budget,
        Self::State,
        Self::Batch,
        Self::Tenant,
        Self::Usage,
        Self::Session,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Feedback => "feedback",
            Self::Silence => "silence",
            Self::Event => "event",
            Self::Signal => "signal",
            Self::Group => "group",
            Self::Notice => "notice",
            Self::Policy => "policy",
            Self::Budget => "budget",
            Self::State => "state",
            Self::Batch => "batch",
            Self::Tenant => "tenant",
            Self::Usage => "usage",
            Self::Session => "session",
        }
    }
}

/// A document to keep or, without a value, to delete. What is in it is its owner's to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentWrite {
    /// Its kind.
    pub kind: DocumentKind,
    /// Its name, unique among its kind and tenant; documents are listed in the order of
    /// their names.
    pub id: String,
    /// Its bytes.
    #[serde(with = "serde_bytes")]
    pub value: Option<Vec<u8>>,
}

impl DocumentWrite {
    /// A document of a value, as named MessagePack: unlike JSON it keeps NaN.
    pub fn of<T: Serialize>(kind: DocumentKind, id: impl Into<String>, value: &T) -> Self {
        Self { kind, id: id.into(), value: rmp_serde::to_vec_named(value).ok() }
    }

    /// The deletion of a document.
    pub fn deletion(kind: DocumentKind, id: impl Into<String>) -> Self {
        Self { kind, id: id.into(), value: None }
    }
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
    /// The tenant's own place, [`BatchKey::of_tenant`].
    pub key: BatchKey,
    /// The batches that it is about.
    pub batches: std::collections::BTreeSet<String>,
    /// The one alert that it is about, with its batch; `None`: several, or no alert.
    pub subject: Option<(String, String)>,
    /// The alerts that its chart shows, with their batches, in the order in which they began.
    pub drawn: Vec<(String, String)>,
    /// Who is told: `batch/<name>` for a batch's own notifiers, else a receiver of the tenant.
    pub receiver: String,
    /// The notifier's entry among the receiver's: `slack`, say.
    pub method: String,
    /// What is sent.
    pub alert: crate::message::Alert,
    /// When it was queued.
    pub queued: Millis,
    /// Not before this instant.
    pub due: Millis,
    /// It is sent again so often, in milliseconds, for as long as its alert fires; then once
    /// more. `None`: it is sent once.
    pub every_ms: Option<u64>,
    /// What was tried; of one that is sent again and again, the last tries.
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
    /// What the event rule made of points, a series each: spans that are over.
    pub decisions: Vec<(SeriesId, Decision)>,
    /// Deliveries that were queued, tried, sent or given up.
    pub deliveries: Vec<Delivery>,
    /// Documents of the tenant.
    pub documents: Vec<DocumentWrite>,
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
            decisions: Vec::new(),
            deliveries: Vec::new(),
            documents: Vec::new(),
        }
    }
}
