//! Signals: how the jobs that raise alerts tell the router that there is something to tell.

use serde::{Deserialize, Serialize};

use crate::config::BatchKey;
use crate::series::Millis;
use crate::store::{DocumentKind, DocumentWrite};

/// An alert began to fire, or ended after it had fired, and the router has not seen it. It is
/// kept under the alert's identity, so that what comes twice is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signal {
    /// The batch of the alert.
    pub key: BatchKey,
    /// The alert.
    pub id: String,
    /// The logical now of the run that left it. A replay that begins again before it has
    /// nothing to tell yet.
    pub at: Millis,
}

impl Signal {
    /// The document that it is kept as.
    pub fn document(&self) -> DocumentWrite {
        DocumentWrite::of(DocumentKind::Signal, self.id.clone(), self)
    }

    /// The deletion of that document, for the router that has seen it.
    pub fn deletion(&self) -> DocumentWrite {
        DocumentWrite::deletion(DocumentKind::Signal, self.id.clone())
    }
}
