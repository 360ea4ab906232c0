//! The jobs of a tenant: who is told is decided for one at a time, and each notifier sends
//! on its own, so that a slow one holds up neither the others nor the next decision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt as _, stream};

use super::Node;
use crate::config::{Job, Slot};
use crate::fault::{Blame, Fault};
use crate::pipeline::{Address, BoundNotifier, BoundTenant, Errand};
use crate::schedule::Instants;
use crate::series::Millis;
use crate::store::{RunRecord, RunState, StoreError};

/// When a tenant's jobs are to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planned {
    /// Something changed of which no signal was left: routes, a silence.
    Now,
    /// At this instant, or when a signal comes.
    At(Option<Millis>),
}

/// Something that one run holds, and no other may: given back when it is dropped.
struct Held<'a, T: Ord> {
    all: &'a Mutex<BTreeSet<T>>,
    own: T,
}

impl<'a, T: Ord + Clone> Held<'a, T> {
    fn take(all: &'a Mutex<BTreeSet<T>>, own: T) -> Option<Self> {
        let free = all.lock().unwrap_or_else(PoisonError::into_inner).insert(own.clone());
        // Not `then_some`: what is made and dropped would give back what another holds.
        free.then(|| Self { all, own })
    }
}

impl<T: Ord> Drop for Held<'_, T> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.own);
    }
}

impl Node {
    /// A tenant as its jobs see it now.
    pub fn tenant(&self, tenant: &str) -> BoundTenant {
        let routing = self.config_now().tenants.get(tenant).map(|known| known.routing.clone()).unwrap_or_default();
        let mut batches = self.batches();
        batches.retain(|bound| bound.batch.key.tenant == tenant);
        let receivers = self.receivers.read().unwrap_or_else(PoisonError::into_inner);
        let receivers = receivers.get(tenant).cloned().unwrap_or_default();
        let links = self.links.as_ref().map(|links| links.of_messages(tenant));
        BoundTenant { tenant: tenant.to_owned(), routing, receivers, batches, links }
    }

    /// The tenants that have batches here.
    pub fn tenants(&self) -> Vec<String> {
        let mut tenants: Vec<String> = self.batches().iter().map(|bound| bound.batch.key.tenant.clone()).collect();
        tenants.dedup();
        tenants
    }

    /// Decides who is told, if anything asks for it, and sends what is due, at a logical now.
    pub async fn run_tenant(&self, tenant: &str, now: Millis, reason: &str) -> Result<Vec<RunRecord>, Fault> {
        let bound = self.tenant(tenant);
        let result = self.notify_and_deliver(&bound, now, reason).await;
        self.plan(&bound, now, result)
    }

    async fn notify_and_deliver(
        &self,
        bound: &BoundTenant,
        now: Millis,
        reason: &str,
    ) -> Result<Vec<RunRecord>, Fault> {
        let mut runs = Vec::new();
        let lock = self.notify_lock(&bound.tenant);
        let deciding = lock.lock().await;
        let due = bound.notify_due(&self.store, now).map_err(|e| store_fault(&bound.tenant, &e))?;
        if due.is_some_and(|due| due <= now) {
            runs.push(self.run_errand(bound, &Errand::Notify, now, reason).await?);
        }
        drop(deciding);
        let failed = runs.iter().any(|run: &RunRecord| run.state == RunState::Failed);
        runs.extend(self.deliver(bound, now, reason, failed).await?);
        Ok(runs)
    }

    /// Runs one of a tenant's own jobs, whether or not anything asks for it; then sends what
    /// is due by then.
    pub async fn run_tenant_job(
        &self,
        tenant: &str,
        job: Job,
        now: Millis,
        reason: &str,
    ) -> Result<Vec<RunRecord>, Fault> {
        let bound = self.tenant(tenant);
        let errand = match job {
            Job::Notify => Some(Errand::Notify),
            Job::Summary => Some(Errand::Summary { all: true }),
            _ => None,
        };
        let result = self.run_and_deliver(&bound, errand, now, reason).await;
        self.plan(&bound, now, result)
    }

    async fn run_and_deliver(
        &self,
        bound: &BoundTenant,
        errand: Option<Errand>,
        now: Millis,
        reason: &str,
    ) -> Result<Vec<RunRecord>, Fault> {
        let mut runs = Vec::new();
        if let Some(errand) = errand {
            let lock = self.notify_lock(&bound.tenant);
            let _deciding = lock.lock().await;
            runs.push(self.run_errand(bound, &errand, now, reason).await?);
        }
        let failed = runs.iter().any(|run: &RunRecord| run.state == RunState::Failed);
        runs.extend(self.deliver(bound, now, reason, failed).await?);
        Ok(runs)
    }

    /// Runs and sends the summaries that the crons of a tenant's batches ask for after an
    /// instant and up to another: in a replay, where no ticker does it.
    pub async fn run_summaries(&self, tenant: &str, after: Millis, now: Millis) -> Result<Vec<RunRecord>, Fault> {
        let mut scheduled = BTreeSet::new();
        for bound in self.batches().iter().filter(|bound| bound.batch.key.tenant == tenant) {
            let schedule = bound.batch.schedules.get(&Job::Summary).filter(|schedule| schedule.enabled);
            let instants = schedule.map(|schedule| Instants::new(&schedule.cron, bound.batch.timezone));
            scheduled.extend(instants.into_iter().flat_map(|instants| instants.between(after, now)));
        }
        let mut runs = Vec::new();
        for at in scheduled {
            runs.push(self.run_summary(tenant, at).await?);
        }
        if !runs.is_empty() {
            runs.extend(self.run_tenant(tenant, now, "chain").await?);
        }
        Ok(runs)
    }

    /// The summary that a cron asks for.
    pub(super) async fn run_summary(&self, tenant: &str, scheduled: Millis) -> Result<RunRecord, Fault> {
        self.counted(
            self.runner()
                .execute_tenant(&self.tenant(tenant), &Errand::Summary { all: false }, scheduled, "cron")
                .await,
        )
    }

    /// Has a tenant's groups looked at soon, although no signal was left: when a silence or
    /// an act was written, or routes have changed.
    pub fn look_again(&self, tenant: &str) {
        self.plans().insert(tenant.to_owned(), Planned::Now);
        self.changed.notify_one();
        self.live().acted(tenant);
    }

    /// When a tenant's jobs are to be looked at.
    pub(super) fn planned(&self, tenant: &str) -> Planned {
        // Of what was left by an earlier process nothing is known.
        self.plans().get(tenant).copied().unwrap_or(Planned::Now)
    }

    /// Says that what was planned is being done: from here on something else is.
    pub(super) fn begin(&self, tenant: &str) {
        self.plans().insert(tenant.to_owned(), Planned::At(None));
    }

    /// Forgets what is planned for a tenant that is gone.
    pub(super) fn forget_plans(&self, tenant: &str) {
        self.plans().remove(tenant);
        self.deciding.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
    }

    fn plans(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Planned>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what is due, by several notifiers at once; not by those that are sending already.
    /// `failed`: so did what was to decide before this.
    async fn deliver(
        &self,
        bound: &BoundTenant,
        now: Millis,
        reason: &str,
        failed: bool,
    ) -> Result<Vec<RunRecord>, Fault> {
        let (due, _) = bound.due(&self.store, now).map_err(|e| store_fault(&bound.tenant, &e))?;
        let held = due.into_iter().filter_map(|to| Held::take(&self.sending, (bound.tenant.clone(), to)));
        let sending: Vec<_> = held.map(|held| self.send(bound, held, now, reason, failed)).collect();
        // What comes while these send is not to wait for the slowest of them.
        self.plan_next(bound, now, failed);
        let at_once = self.config.limits.notifiers_at_once.max(1);
        let results: Vec<_> = stream::iter(sending).buffer_unordered(at_once).collect().await;
        let mut runs = Vec::new();
        for sent in results {
            runs.extend(sent?);
        }
        runs.sort_by(|a, b| a.slot.cmp(&b.slot));
        Ok(runs)
    }

    /// Sends what one notifier has to send by `now`.
    async fn send(
        &self,
        bound: &BoundTenant,
        held: Held<'_, (String, Address)>,
        now: Millis,
        reason: &str,
        failed: bool,
    ) -> Result<Vec<RunRecord>, Fault> {
        let errand = Errand::Deliver(held.own.1.clone());
        let mut runs = Vec::new();
        loop {
            let (due, _) = bound.due(&self.store, now).map_err(|e| store_fault(&bound.tenant, &e))?;
            if !due.contains(&held.own.1) {
                break;
            }
            runs.push(self.run_errand(bound, &errand, now, reason).await?);
        }
        drop(held);
        self.plan_next(bound, now, failed);
        Ok(runs)
    }

    /// Runs an errand in the first slot from `now` on that is free: two runs of a job may be
    /// asked for at the same instant.
    async fn run_errand(
        &self,
        bound: &BoundTenant,
        errand: &Errand,
        now: Millis,
        reason: &str,
    ) -> Result<RunRecord, Fault> {
        let mut slot = Slot { key: bound.key(), job: errand.job(), scheduled: now };
        let _slot = loop {
            if let Some(held) = Held::take(&self.slots, slot.clone())
                && self.store.run(&slot).map_err(|e| store_fault(&bound.tenant, &e))?.is_none()
            {
                break held;
            }
            slot.scheduled += 1;
        };
        self.counted(self.runner().execute_tenant(bound, errand, slot.scheduled, reason).await)
    }

    fn notify_lock(&self, tenant: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        locks.entry(tenant.to_owned()).or_default().clone()
    }

    /// Finds out when the tenant's jobs are due next, after these runs.
    fn plan(
        &self,
        bound: &BoundTenant,
        now: Millis,
        result: Result<Vec<RunRecord>, Fault>,
    ) -> Result<Vec<RunRecord>, Fault> {
        let failed = result.as_ref().map_or(true, |runs| runs.iter().any(|run| run.state == RunState::Failed));
        self.plan_next(bound, now, failed);
        result
    }

    fn plan_next(&self, bound: &BoundTenant, now: Millis, failed: bool) {
        // What cannot be read or written now is not asked for again and again.
        let later = now.saturating_add_unsigned(self.config.limits.retry_longest_ms);
        let next = match self.next_due(bound, now) {
            Ok(next) if !failed => next,
            _ => Some(later),
        };
        let mut planned = self.plans();
        if planned.get(&bound.tenant) != Some(&Planned::Now) {
            planned.insert(bound.tenant.clone(), Planned::At(next));
        }
        drop(planned);
        self.changed.notify_one();
    }

    fn next_due(&self, bound: &BoundTenant, now: Millis) -> Result<Option<Millis>, StoreError> {
        let notify = bound.notify_due(&self.store, now)?;
        let (due, next) = bound.due(&self.store, now)?;
        // What is being sent is planned again by whoever sends it.
        let sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = due.into_iter().any(|to| !sending.contains(&(bound.tenant.clone(), to)));
        Ok([notify, next, waits.then_some(now)].into_iter().flatten().min())
    }
}

pub(super) fn store_fault(tenant: &str, error: &StoreError) -> Fault {
    host_fault(tenant, error.to_string())
}

/// A fault that no plugin had a part in.
pub(super) fn host_fault(tenant: &str, message: String) -> Fault {
    Fault {
        blame: Blame::Host,
        tenant: tenant.to_owned(),
        plugin: "store".to_owned(),
        version: String::new(),
        export: String::new(),
        message,
        remedy: String::new(),
        log_tail: Vec::new(),
        answer: None,
        until: None,
    }
}

/// Notifiers by tenant, receiver and name.
pub(super) type Receivers = BTreeMap<String, BTreeMap<String, BTreeMap<String, Arc<BoundNotifier>>>>;
