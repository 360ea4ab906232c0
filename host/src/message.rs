//! What is told to people: the contract's alert, in our own types.

use serde::{Deserialize, Serialize};

use crate::series::{Labels, Millis};

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
}
