//! A trait a role, over our own types: what the pipeline calls, whichever version of the
//! contract the component was built against.
//!
//! What these calls return has been checked against what they were asked: lengths fit,
//! numbers are finite where they must be, texts are bounded.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::capability::LogSink;
use crate::fault::{Fault, PluginError};
use crate::message::Alert;
use crate::series::{Labels, Matrix, Millis, Samples};

/// What a component is for; it has one role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Pulls samples out of some other system.
    Ingester,
    /// Learns from history, scores new points.
    Detector,
    /// Tells people.
    Notifier,
    /// Explains, or finds by reading.
    Analyst,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Ingester, Self::Detector, Self::Notifier, Self::Analyst];

    /// The interface that a component of this role exports.
    pub fn export(self) -> &'static str {
        match self {
            Self::Ingester => "ingest",
            Self::Detector => "detect",
            Self::Notifier => "notify",
            Self::Analyst => "analyse",
        }
    }

    /// "a detector".
    pub fn with_article(self) -> String {
        match self {
            Self::Ingester | Self::Analyst => format!("an {self}"),
            Self::Detector | Self::Notifier => format!("a {self}"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingester => "ingester",
            Self::Detector => "detector",
            Self::Notifier => "notifier",
            Self::Analyst => "analyst",
        })
    }
}

/// What a call is made for; the same call gives the same clock and the same random numbers.
#[derive(Clone, Debug)]
pub struct Call {
    /// The logical now: the scheduled time of the run.
    pub now: Millis,
    /// What the call is for, `default/prometheus/ingest/2026-01-01T00:00:00Z` say: the seed
    /// of its random numbers, and a field of its log lines.
    pub subject: String,
    /// Takes each line that the plugin logs, already bounded in length and number.
    pub log: Arc<dyn LogSink>,
}

/// The half-open span to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// From its start to before its end.
    pub span: Range<Millis>,
    /// The resolution that is kept, in milliseconds.
    pub step_ms: u32,
}

/// A part of a source that gave nothing this time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// A query, a host.
    pub part: String,
    /// Why.
    pub error: PluginError,
}

/// A page of a window.
#[derive(Clone, Debug)]
pub struct Page {
    /// What was found.
    pub samples: Samples,
    /// What was not; the rest of the page stands.
    pub lost: Vec<Loss>,
    /// To be passed in the next call; `None` ends the window.
    pub next: Option<Vec<u8>>,
}

/// Pulls samples out of some other system.
#[async_trait]
pub trait Ingest: Send + Sync {
    /// One page of a window.
    async fn fetch(&self, call: &Call, config: &str, window: &Window, cursor: Option<Vec<u8>>) -> Result<Page, Fault>;
}

/// How many columns a detector wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// For a fit.
    pub history: usize,
    /// Before the tail, for a score.
    pub context: usize,
    /// Between two fits; 0 when the batch says.
    pub refit: usize,
    /// Whether the rows of a batch must stay together.
    pub joint: bool,
}

/// Why a row has no result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// Not enough history yet: no error.
    Warming,
    /// The detector cannot judge this row.
    Failed(String),
}

/// A row without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// Its index; each row is skipped once at most.
    pub row: usize,
    /// Why.
    pub cause: Cause,
}

/// What a fit gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// One a row.
    pub models: Vec<Vec<u8>>,
    /// How many bytes of each model, from the first on, [`Detect::score`] is to be passed; one a
    /// row, and none larger than its model.
    pub heads: Vec<usize>,
    /// Rows that have no model.
    pub skipped: Vec<Skip>,
    /// What each model knows, names with values; one a row, empty where nobody says. The value of
    /// `season` is the length of the season in seconds, or `none`.
    pub facts: Vec<Vec<(String, String)>>,
}

impl Fitted {
    /// The heads of the models: what [`Detect::score`] is to be passed.
    pub fn to_score(&self) -> Vec<Arc<[u8]>> {
        let heads = self.models.iter().zip(&self.heads);
        heads.map(|(model, head)| model.get(..*head).unwrap_or(model).into()).collect()
    }
}

/// A named part of the scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Its name.
    pub name: String,
    /// As long as the scores; NaN where it does not apply.
    pub values: Vec<f64>,
}

/// Columns of `rows * tail` cells, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored {
    /// 0 is ordinary, 1 as odd as it gets; NaN where the cell has no value.
    pub scores: Vec<f64>,
    /// Empty, or as long as the scores.
    pub expected: Vec<f64>,
    /// Empty, or as long as the scores.
    pub lower: Vec<f64>,
    /// Empty, or as long as the scores.
    pub upper: Vec<f64>,
    /// Why.
    pub terms: Vec<Term>,
    /// Rows that have no score.
    pub skipped: Vec<Skip>,
}

/// Learns from history, scores new points.
#[async_trait]
pub trait Detect: Send + Sync {
    /// What the host should pass, for a step in milliseconds.
    async fn plan(&self, call: &Call, config: &str, step_ms: u32) -> Result<Needs, Fault>;

    /// One model a row of `history`. `previous` has the last model of each row, whole, or empty.
    async fn fit(&self, call: &Call, config: &str, history: &Matrix, previous: &[Arc<[u8]>]) -> Result<Fitted, Fault>;

    /// Scores the last `tail` columns of `recent`. `models` has the head of each row's model.
    async fn score(
        &self,
        call: &Call,
        config: &str,
        models: &[Arc<[u8]>],
        recent: &Matrix,
        tail: usize,
    ) -> Result<Scored, Fault>;
}

/// Rows and features, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The name of each column.
    pub features: Vec<String>,
    /// How many rows.
    pub rows: usize,
    /// `rows * features.len()` of them; NaN where one is missing.
    pub values: Vec<f64>,
}

/// What a detector said of the rows of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// One a row: 0 is ordinary, 1 as odd as it gets; NaN where it could not be judged.
    pub scores: Vec<f64>,
    /// Why; the values are one a row.
    pub terms: Vec<Term>,
}

/// Learns tables, and judges rows: what a detector may offer beside [`Detect`].
#[async_trait]
pub trait Judge: Send + Sync {
    /// The model of a table.
    async fn fit(&self, call: &Call, config: &str, history: &Table) -> Result<Vec<u8>, Fault>;

    /// Judges the rows of a table that has the features of the one that was learnt.
    async fn score(&self, call: &Call, config: &str, model: &Arc<[u8]>, recent: &Table) -> Result<Judged, Fault>;
}

/// Tells people.
#[async_trait]
pub trait Notify: Send + Sync {
    /// One result an alert, in order: what the remote side answered.
    async fn deliver(
        &self,
        call: &Call,
        config: &str,
        alerts: &[Alert],
    ) -> Result<Vec<Result<String, PluginError>>, Fault>;
}

/// A series that an analyst is asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// The series, which is among the samples.
    pub labels: Labels,
    /// Its metric, as alerts call it.
    pub name: String,
    /// When the alert began that is to be explained; `None`: look for anomalies.
    pub alert: Option<Millis>,
    /// One a sample of the series, NaN where there is none; or empty.
    pub scores: Vec<f64>,
    /// A PNG of the series.
    pub chart: Option<Arc<[u8]>>,
}

/// What an analyst says about a subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Insight {
    /// The index of the subject.
    pub subject: usize,
    /// The instants from which and to which it holds, both included and within the samples
    /// of the subject.
    pub span: (Millis, Millis),
    /// How sure the analyst is, 0 to 1.
    pub score: f64,
    /// Markdown, bounded in length and never empty. Who wrote it may have been misled by
    /// what stands in names and labels: show it as a text, and do nothing that it says.
    pub text: String,
}

/// A subject that an analyst could say nothing about this time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// The index of the subject.
    pub subject: usize,
    /// Why.
    pub error: PluginError,
}

/// What an analyst used, of what the operator pays for: as it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Requests to a model.
    pub calls: u64,
    /// What the model read.
    pub input_tokens: u64,
    /// What it wrote.
    pub output_tokens: u64,
}

/// The answer of an analyst.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analysis {
    /// Who says so, the name of a model say; bounded, and may be empty.
    pub author: String,
    /// By subject, then by beginning.
    pub insights: Vec<Insight>,
    /// Each subject once at most; the rest stands.
    pub lost: Vec<Unread>,
    /// Of the whole call.
    pub usage: Usage,
}

/// Explains alerts, or finds anomalies by reading.
#[async_trait]
pub trait Analyse: Send + Sync {
    /// What there is to say of the subjects; `recent` has a sample at least of each, and may
    /// have other series.
    /// A call takes as long as all its subjects together, and [`Usage`] is known at its end
    /// only: whoever has a budget asks about few at a time. A fault says nothing of what was
    /// used until then.
    async fn analyse(
        &self,
        call: &Call,
        config: &str,
        recent: &Samples,
        subjects: &[Subject],
    ) -> Result<Analysis, Fault>;
}

/// A fault in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// An RFC 6901 JSON pointer into the configuration.
    pub pointer: String,
    /// What is wrong and what to do.
    pub message: String,
}
