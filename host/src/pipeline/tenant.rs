//! A tenant as its own jobs see it: its batches, its routes, and everybody who can be told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{BoundBatch, BoundNotifier, RunLog, host_fault};
use crate::alert::{Group, Links, Message, Signal, batch_of};
use crate::config::{BatchKey, Job, Limits, Routing, Slot};
use crate::fault::Fault;
use crate::plugin::Call;
use crate::series::Millis;
use crate::store::{Database, Delivery, DeliveryFilter, DocumentKind, StoreError};

/// Where the readers of a message find more; `None`: nowhere that they can reach.
pub type MakeLinks = dyn Fn(&Message) -> Option<Links> + Send + Sync;

/// A tenant whose receivers have been found, granted and checked.
pub struct BoundTenant {
    /// Its name.
    pub tenant: String,
    /// Its routes.
    pub routing: Routing,
    /// The notifiers of its receivers, by the receiver's name and their own.
    pub receivers: BTreeMap<String, BTreeMap<String, Arc<BoundNotifier>>>,
    /// Its batches that have been taken up.
    pub batches: Vec<Arc<BoundBatch>>,
    /// Makes links.
    pub links: Option<Arc<MakeLinks>>,
}

/// A notifier of a receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// `batch/<name>`, or a receiver of the tenant.
    pub receiver: String,
    /// The notifier's entry.
    pub method: String,
}

/// What one run of a tenant's job is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Decide who is told.
    Notify,
    /// Send what is due by one notifier: each has runs of its own, so that a slow one holds
    /// up no other.
    Deliver(Address),
    /// Tell of the last day.
    Summary {
        /// Of all batches, and not just of those whose cron has an instant at the run's now.
        all: bool,
    },
}

impl Errand {
    /// The job that it is a run of.
    pub fn job(&self) -> Job {
        match self {
            Self::Notify => Job::Notify,
            Self::Deliver(_) => Job::Deliver,
            Self::Summary { .. } => Job::Summary,
        }
    }
}

impl BoundTenant {
    /// Under what its runs are kept.
    pub fn key(&self) -> BatchKey {
        BatchKey::of_tenant(&self.tenant)
    }

    /// A batch.
    pub fn batch(&self, name: &str) -> Option<&Arc<BoundBatch>> {
        self.batches.iter().find(|bound| bound.batch.key.batch == name)
    }

    /// Whether a receiver is there now; not so that of a batch that has not been taken up.
    pub(super) fn knows(&self, receiver: &str) -> bool {
        batch_of(receiver).is_none_or(|name| self.batch(name).is_some())
    }

    /// The notifier of an address; `None`: the receiver does not have it.
    pub(super) fn notifier(&self, to: &Address) -> Option<&BoundNotifier> {
        match batch_of(&to.receiver) {
            Some(name) => self.batch(name)?.notifiers.iter().find(|notifier| notifier.entry.plugin == to.method),
            None => self.receivers.get(&to.receiver)?.get(&to.method).map(AsRef::as_ref),
        }
    }

    /// When the dispatcher is to be asked next: now, if signals wait; `None`: when one comes.
    /// Where time has gone back, in a replay that is taken up again, that is not before the
    /// run that left the last of them.
    pub fn notify_due(&self, store: &Database, now: Millis) -> Result<Option<Millis>, StoreError> {
        let known: BTreeSet<&BatchKey> = self.batches.iter().map(|bound| &bound.batch.key).collect();
        let signals = store.documents::<Signal>(&self.tenant, DocumentKind::Signal, "")?;
        let left = signals.iter().filter(|(_, signal)| known.contains(&signal.key)).map(|(_, signal)| signal.at).max();
        if let Some(left) = left {
            return Ok(Some(left.max(now)));
        }
        let groups = store.documents::<Group>(&self.tenant, DocumentKind::Group, "")?;
        // Nothing can be said of a group all of whose batches are not here.
        let here = |group: &Group| group.members.values().any(|member| known.contains(&member.key));
        Ok(groups.iter().filter(|(_, group)| here(group)).map(|(_, group)| group.next_flush).min())
    }

    /// The addresses that have something to send by `now`, and when the next of the others is.
    pub fn due(&self, store: &Database, now: Millis) -> Result<(BTreeSet<Address>, Option<Millis>), StoreError> {
        let (mut due, mut next) = (BTreeSet::new(), None);
        for delivery in store.deliveries(&DeliveryFilter::queued(&self.key()))? {
            if !self.knows(&delivery.receiver) {
                continue;
            }
            if delivery.due <= now {
                due.insert(Address::of(&delivery));
            } else {
                next = Some(next.map_or(delivery.due, |next: Millis| next.min(delivery.due)));
            }
        }
        Ok((due, next))
    }
}

impl Address {
    pub(super) fn of(delivery: &Delivery) -> Self {
        Self { receiver: delivery.receiver.clone(), method: delivery.method.clone() }
    }
}

/// What a tenant's job is given.
pub(super) struct TenantContext<'a> {
    pub bound: &'a BoundTenant,
    pub store: &'a Database,
    pub limits: &'a Limits,
    /// The run; its scheduled time is the job's now.
    pub slot: Slot,
    /// What the run says of itself.
    pub log: Arc<RunLog>,
}

impl TenantContext<'_> {
    pub(super) fn tenant(&self) -> &str {
        &self.bound.tenant
    }

    pub(super) fn now(&self) -> Millis {
        self.slot.scheduled
    }

    pub(super) fn call(&self) -> Call {
        Call { now: self.now(), subject: self.slot.to_string(), log: self.log.clone() }
    }

    pub(super) fn store_fault(&self, error: &StoreError) -> Fault {
        host_fault(&self.slot, error)
    }
}
