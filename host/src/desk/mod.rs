//! What people ask about alerts and do about them: typed requests and replies, answered
//! from the store.
//!
//! A request is a value with an [`Ask`]; the command line asks the store itself, or sends
//! the same value to a running node, whose API answers it in the same way. Nothing here
//! knows HTTP or a terminal, and the time is passed. What a person does is a document of
//! its own ([`Act`](crate::message::Act), [`Silence`](crate::alert::Silence),
//! [`Marker`](crate::alert::Marker)), so that a job and a person never write the same record.

mod alerts;
mod claim;
mod error;
mod events;
pub mod instant;
mod link;
mod query;
mod random;
mod series;
mod silences;
pub mod why;

pub use alerts::{Acknowledge, Acknowledged, AlertQuery, AlertShow, AlertView, Snooze, Snoozed, Unacknowledge};
pub use error::DeskError;
pub use events::{EventAdd, EventEnd, EventQuery, EventView};
pub use link::{Action, Claim, LinkError, Links, MessageLinks};
pub use query::{Query, QueryWhat, Rows, counts};
pub use random::{hex, random};
pub use silences::{SilenceAdd, SilenceExpire, SilenceQuery, SilenceState, SilenceView};
pub use why::{Trace, Why};

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::alert::{alert_labels, alert_name};
use crate::config::{Batch, BatchKey, DEFAULT_TENANT};
use crate::series::{Labels, Millis};
use crate::store::{AlertRecord, Database};

/// The batches as they are configured now; one whose file is gone or wrong is not there.
pub type Batches<'a> = BTreeMap<BatchKey, &'a Batch>;

/// What answers are made from.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    /// The store.
    pub store: &'a Database,
    /// How the batches are configured.
    pub batches: &'a Batches<'a>,
    /// The time.
    pub now: Millis,
}

/// A request.
pub trait Ask: Serialize + DeserializeOwned + Send + 'static {
    /// What is answered.
    type Reply: Serialize + DeserializeOwned + Send + 'static;

    /// Does what is asked.
    fn ask(&self, desk: &Desk<'_>) -> Result<Self::Reply, DeskError>;
}

impl Desk<'_> {
    fn batch(&self, named: &str) -> Result<BatchKey, DeskError> {
        batch(self.store, named)
    }

    /// What routes and silences look at.
    fn labels(&self, record: &AlertRecord) -> Labels {
        if let Some(batch) = self.batches.get(&record.key) {
            return alert_labels(batch, record);
        }
        // Without its batch an alert has no tags.
        let mut labels: BTreeMap<&str, &str> =
            BTreeMap::from([("alertname", alert_name(record.kind)), ("metric", &record.name)]);
        labels.extend(record.labels.iter());
        let own = [("batch", record.key.batch.as_str()), ("tenant", &record.key.tenant), ("kind", record.kind.name())];
        labels.extend(own);
        // The names of a map differ, so it is a label set.
        Labels::new(labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap_or_default()
    }

    /// The tenants that have anything.
    fn tenants(&self) -> Vec<String> {
        let mut tenants: Vec<String> = self.store.batches().into_iter().map(|key| key.tenant).collect();
        tenants.push(DEFAULT_TENANT.to_owned());
        tenants.sort();
        tenants.dedup();
        tenants
    }
}

fn default_tenant() -> String {
    DEFAULT_TENANT.to_owned()
}

/// The batch of this name in the store: `orders`, or `tenant/orders`.
pub fn batch(store: &Database, named: &str) -> Result<BatchKey, DeskError> {
    let (tenant, name) = named.split_once('/').unwrap_or((DEFAULT_TENANT, named));
    let key = BatchKey { tenant: tenant.to_owned(), batch: name.to_owned() };
    let known = store.batches();
    // What is the tenant's stands under `*`.
    if known.contains(&key) || key.is_tenant() {
        return Ok(key);
    }
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    Err(DeskError::unknown(match names.as_slice() {
        [] => format!("the store has no batch `{named}`; it has none: run one with `anomd run BATCH`"),
        _ => format!("the store has no batch `{named}`; it has: {}", names.join(", ")),
    }))
}
