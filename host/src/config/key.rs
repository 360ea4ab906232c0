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

impl BatchKey {
    /// The name under which jobs run that are one for all batches of a tenant; no batch can
    /// have it.
    pub const TENANT: &str = "*";

    /// Where the jobs of a tenant stand that are not one batch's.
    pub fn of_tenant(tenant: impl Into<String>) -> Self {
        Self { tenant: tenant.into(), batch: Self::TENANT.to_owned() }
    }

    /// Whether it is no batch but the place of a tenant's own jobs.
    pub fn is_tenant(&self) -> bool {
        self.batch == Self::TENANT
    }
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
    /// Finds what changed for good.
    Change,
    /// Finds trends that are on their way to a limit.
    Capacity,
    /// Raises and resolves alerts.
    Alert,
    /// Lets a language model read the series.
    LlmAlert,
    /// Groups alerts and decides who is told. It is the tenant's, not a batch's.
    Notify,
    /// Sends what is queued. It is the tenant's.
    Deliver,
    /// Draws the batch.
    Plot,
    /// Tells what happened in the last day. It is the tenant's.
    Summary,
    /// Deletes what is old.
    Delete,
}

impl Job {
    /// All jobs, in the order of the chain.
    pub const ALL: [Self; 12] = [
        Self::Ingest,
        Self::Train,
        Self::Score,
        Self::Change,
        Self::Capacity,
        Self::Alert,
        Self::LlmAlert,
        Self::Notify,
        Self::Deliver,
        Self::Plot,
        Self::Summary,
        Self::Delete,
    ];

    /// Whether it is one for all batches of a tenant, under [`BatchKey::of_tenant`].
    pub fn of_tenant(self) -> bool {
        matches!(self, Self::Notify | Self::Deliver | Self::Summary)
    }

    /// Whether it follows the job before it where a batch has `chain: true`.
    pub fn is_chained(self) -> bool {
        matches!(self, Self::Train | Self::Score | Self::Change | Self::Capacity | Self::Alert)
    }

    /// Its name in configurations and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Train => "train",
            Self::Score => "score",
            Self::Change => "change",
            Self::Capacity => "capacity",
            Self::Alert => "alert",
            Self::LlmAlert => "llmalert",
            Self::Notify => "notify",
            Self::Deliver => "deliver",
            Self::Plot => "plot",
            Self::Summary => "summary",
            Self::Delete => "delete",
        }
    }
}

impl std::str::FromStr for Job {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|job| job.name() == name).ok_or_else(|| format!("`{name}` is not a job"))
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

impl Slot {
    /// Its name in addresses, unique within its tenant: `orders.ingest.1767225600000`.
    pub fn id(&self) -> String {
        format!("{}.{}.{}", self.key.batch, self.job, self.scheduled)
    }

    /// The slot of a tenant with this name; `None`: it is no name of one.
    pub fn of_id(tenant: &str, id: &str) -> Option<Self> {
        // The name of a batch may have dots itself.
        let mut parts = id.rsplitn(3, '.');
        let scheduled = parts.next()?.parse().ok()?;
        let job = parts.next()?.parse().ok()?;
        let batch = parts.next().filter(|batch| !batch.is_empty())?.to_owned();
        Some(Self { key: BatchKey { tenant: tenant.to_owned(), batch }, job, scheduled })
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = chrono::DateTime::from_timestamp_millis(self.scheduled).unwrap_or_default();
        write!(f, "{}/{}/{}", self.key, self.job, at.format("%Y-%m-%dT%H:%M:%S%.fZ"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_found_by_its_name_in_addresses_whatever_its_batch_is_called() {
        for batch in ["orders", "eu.west-1.orders", BatchKey::TENANT] {
            let key = BatchKey { tenant: "shop".to_owned(), batch: batch.to_owned() };
            let slot = Slot { key, job: Job::Ingest, scheduled: 1_767_225_600_000 };
            assert_eq!(Slot::of_id("shop", &slot.id()), Some(slot));
        }
        for id in ["", "orders", "orders.ingest", "orders.ingest.soon", "orders.cook.1", ".ingest.1"] {
            assert_eq!(Slot::of_id("shop", id), None, "{id}");
        }
    }
}
