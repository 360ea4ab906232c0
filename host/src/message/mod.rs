//! What is told to people: the contract's alert, in our own types, and how numbers and texts
//! of others are written in it.

pub mod template;
pub mod text;

use serde::{Deserialize, Serialize};

pub use template::check_template;
pub use text::{Unit, Wall};

use crate::series::{Labels, Millis};

/// What raised an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertKind {
    /// Detectors: the score reached `alert_threshold`.
    Anomaly,
    /// A limit of `tholdalert_thresholds` was crossed.
    Threshold,
    /// The series changed for good.
    Change,
    /// A language model found it.
    Llm,
    /// The series stopped.
    NoData,
    /// A trend is on its way to a limit of `capacity_limits`.
    Capacity,
}

impl AlertKind {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Anomaly, Self::Threshold, Self::Change, Self::Llm, Self::NoData, Self::Capacity];

    /// Its name in labels and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anomaly => "anomaly",
            Self::Threshold => "threshold",
            Self::Change => "change",
            Self::Llm => "llm",
            Self::NoData => "no-data",
            Self::Capacity => "capacity",
        }
    }
}

/// Where an alert is in its life. That somebody has acknowledged it stands apart, in an
/// [`Act`], so that a job and a person never write the same record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertPhase {
    /// The condition holds, and not yet for long enough.
    Pending,
    /// It is on.
    Firing,
    /// It is over. One that was never firing was never told.
    Resolved,
}

impl AlertPhase {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}

/// What a person did about an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// Who acknowledged it, when, and what they wrote: it is not repeated until it is over.
    pub acknowledged: Option<(String, Millis, String)>,
    /// Until when it is told to nobody, and who said so.
    pub snoozed: Option<(Millis, String)>,
    /// What was done one after the other, the oldest first; bounded.
    pub history: Vec<Deed>,
}

/// Something that a person did about an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When.
    pub at: Millis,
    /// Who.
    pub by: String,
    /// What.
    pub what: DeedKind,
}

/// What a person can do about an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeedKind {
    /// Acknowledged it, with this comment.
    Acknowledged(String),
    /// Took the acknowledgement back.
    Unacknowledged,
    /// Snoozed it until then.
    Snoozed(Millis),
    /// Ended the snooze.
    Woken,
    /// Rated it, or took the rating back.
    Rated(Option<Rating>),
}

/// What a person says of an alert afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rating {
    /// Yes, that was one: the next fits are not shown its points.
    Up,
    /// A false alarm: its points are ordinary, and learnt from.
    Down,
}

impl Rating {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// The rating of an alert: who gave it and when. It is kept under the alert's batch and
/// identity, so that a fit finds those of its batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// Up or down.
    pub rating: Rating,
    /// Who.
    pub by: String,
    /// When.
    pub at: Millis,
}

impl Feedback {
    /// The name of the document for an alert of a batch; those of a batch begin with that for
    /// no alert.
    pub fn place(batch: &str, alert: &str) -> String {
        format!("{batch}/{alert}")
    }
}

/// What the event rule made of a point: the first condition that it failed, or what it
/// came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The smoothed score is below the threshold, or the value within its limits.
    Ordinary,
    /// Over the threshold on the side that was not asked for (`alert_direction`).
    Direction,
    /// Over the threshold, and too near to what was expected (`alert_min_deviation`).
    Deviation,
    /// Over the threshold, and not among the newest points of its run (`alert_recent_n`).
    NotRecent,
    /// Over the threshold, too soon after the last alert began (`alert_snooze_n`).
    Snoozed,
    /// Over the threshold for what an alert has told that is over: the value is back in its band.
    Returned,
    /// Over the threshold, muted by an event.
    Muted,
    /// Over the threshold, and not yet for long enough (`alert_for`).
    Pending,
    /// Over the threshold: the alert is on.
    Firing,
    /// Ordinary, and not for long enough to end the alert.
    Ending,
}

/// Whether an alert begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// It has begun.
    Firing,
    /// It is over.
    Resolved,
}

/// One series of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The series.
    pub labels: Labels,
    /// What came; NaN where not known, as all numbers here.
    pub value: f64,
    /// What was expected.
    pub expected: f64,
    /// The lower edge of the ordinary.
    pub lower: f64,
    /// The upper edge.
    pub upper: f64,
    /// 0 to 1.
    pub score: f64,
    /// The largest parts of the score, largest first.
    pub terms: Vec<(String, f64)>,
    /// When it began.
    pub started: Millis,
    /// When it was over.
    pub ended: Option<Millis>,
}

/// One message to send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The same for every attempt.
    pub id: String,
    /// The same from firing to resolved.
    pub incident: String,
    /// Whether it begins or ends.
    pub state: AlertState,
    /// What it is about: `anomaly`, `threshold`, `change`, `llm`, `no-data`, `capacity` or `summary`.
    pub kind: String,
    /// What all of its series have in common: the batch, the tenant, tags.
    pub labels: Labels,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// A page about it.
    pub link: Option<String>,
    /// Names and addresses of what the reader can do.
    pub actions: Vec<(String, String)>,
    /// A PNG.
    pub chart: Option<Vec<u8>>,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// How many were left out, after the last of `findings`.
    pub more: u32,
}
