//! The names that runs, records and messages are kept under.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::series::Millis;

/// A batch of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BatchKey {
    /// The tenant's name.
    pub tenant: String,
    /// The batch's name, unique within the tenant.
    pub batch: String,
}

impl fmt::Display for BatchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.batch)
    }
}

/// The jobs of a batch, in the order of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Job {
    /// Fetches samples.
    Ingest,
    /// Fits models.
    Train,
    /// Scores points.
    Score,
    /// Raises and resolves alerts, and queues their deliveries.
    Alert,
    /// Sends what is queued.
    Deliver,
}

impl Job {
    /// All jobs, in the order of the chain.
    pub const ALL: [Self; 5] = [Self::Ingest, Self::Train, Self::Score, Self::Alert, Self::Deliver];

    /// Its name in configurations and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Train => "train",
            Self::Score => "score",
            Self::Alert => "alert",
            Self::Deliver => "deliver",
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One planned execution: what a run record is kept under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// The batch.
    pub key: BatchKey,
    /// The job.
    pub job: Job,
    /// The instant for which it is planned: the logical now of the run.
    pub scheduled: Millis,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = chrono::DateTime::from_timestamp_millis(self.scheduled).unwrap_or_default();
        write!(f, "{}/{}/{}", self.key, self.job, at.format("%Y-%m-%dT%H:%M:%S%.fZ"))
    }
}
