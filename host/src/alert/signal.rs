//! Signals: what the jobs of batches leave for the dispatcher.

use serde::{Deserialize, Serialize};

use crate::config::BatchKey;
use crate::store::{AlertRecord, DocumentKind, DocumentWrite};

/// An alert that began to fire, or ended after it did, and that the dispatcher has not seen.
/// It is kept under the alert's identity: one that began and ended is one signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Its batch.
    pub key: BatchKey,
    /// Its identity.
    pub id: String,
}

impl Signal {
    /// The document to be written in the commit that changes the alert.
    pub fn of(record: &AlertRecord) -> DocumentWrite {
        let signal = Self { key: record.key.clone(), id: record.id.clone() };
        DocumentWrite::of(DocumentKind::Signal, record.id.clone(), &signal)
    }
}
