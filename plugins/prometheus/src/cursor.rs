//! What one page tells the next.

use anomd_ingester::Error;
use serde::{Deserialize, Serialize};

use crate::metadata::Families;

/// How far a window has been fetched, and what had to be found out once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// Metrics that the prefixes stand for.
    pub found: Vec<String>,
    pub families: Families,
    /// The server tells no types, and that has been said.
    pub untyped: bool,
    /// Index of the target.
    pub target: usize,
    /// The next instant of that target.
    pub from: i64,
    /// Points that its ranges may have; `None`: as many as the configuration allows.
    pub points: Option<u32>,
    /// What has been told about that target.
    pub told: Vec<Remark>,
    /// Hashes of the label sets that each target gave, so that none is given by two.
    pub seen: Vec<Vec<u64>>,
    pub post_refused: bool,
    /// Whether any query was answered.
    pub answered: bool,
    /// The first failure that is not the operator's query, in case none is answered.
    pub failure: Option<Outage>,
}

/// What is told once a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Remark {
    Histograms,
    /// It gives series that the target of this index gave.
    Repeats(usize),
}

/// A failure that is the server's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outage {
    Unauthorized(String),
    Busy(Option<u32>),
    Unavailable(String),
}

impl Outage {
    /// The outage that an error is, if it is one.
    pub fn of(error: &Error) -> Option<Self> {
        match error {
            Error::Unauthorized(text) => Some(Self::Unauthorized(text.clone())),
            Error::Busy(wait) => Some(Self::Busy(*wait)),
            Error::Unavailable(text) => Some(Self::Unavailable(text.clone())),
            Error::BadConfig(_) | Error::Unsupported(_) | Error::Internal(_) => None,
        }
    }

    pub fn into_error(self) -> Error {
        match self {
            Self::Unauthorized(text) => Error::Unauthorized(text),
            Self::Busy(wait) => Error::Busy(wait),
            Self::Unavailable(text) => Error::Unavailable(text),
        }
    }
}

impl Cursor {
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|e| Error::Internal(format!("the cursor cannot be written: {e}")))
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        serde_json::from_slice(bytes).map_err(|e| Error::Internal(format!("the cursor cannot be read: {e}")))
    }

    /// Goes on to the next target.
    pub fn advance(&mut self, start: i64) {
        self.target += 1;
        self.from = start;
        self.points = None;
        self.told.clear();
    }

    /// Whether a remark is to be made: it is, once.
    pub fn first(&mut self, remark: Remark) -> bool {
        let new = !self.told.contains(&remark);
        if new {
            self.told.push(remark);
        }
        new
    }
}
