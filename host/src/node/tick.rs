//! The ticker: asks what is due, starts it, and says how long to wait.
//!
//! [`Ticker::tick`] never waits, so everything below it can be tested without a loop; only
//! [`Ticker::run`] waits. Of what is due it starts as much as there are places for, in the
//! order of [`pick`]; the rest stays due, and the end of a run brings the next tick.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{BusyGuard, Node, Planned};
use crate::config::{Batch, BatchKey, Job, Slot};
use crate::fault::Fault;
use crate::pipeline::BoundBatch;
use crate::schedule::fair::{Share, Waiting, pick};
use crate::schedule::{Due, Instants};
use crate::series::Millis;
use crate::store::RunRecord;

/// What a tick found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TickOutcome {
    /// Nothing is due before this instant.
    Until(Millis),
    /// Nothing will ever be due by itself.
    Idle,
}

/// Starts what is due.
pub struct Ticker {
    node: Arc<Node>,
    /// The instant from which a job that never ran is due.
    began: Millis,
    /// The newest slot that was started, a job each: the store knows of it only at its end.
    started: BTreeMap<(BatchKey, Job), Millis>,
    runs: JoinSet<()>,
}

/// A run of a batch that is due.
struct Start {
    bound: Arc<BoundBatch>,
    job: Job,
    due: Due,
}

impl Start {
    fn slot(&self) -> Slot {
        Slot { key: self.bound.batch.key.clone(), job: self.job, scheduled: self.due.scheduled }
    }
}

/// What of a tenant is due.
enum Errands {
    /// A summary that a cron asks for.
    Summary(Millis),
    /// All groups are to be looked at.
    Look,
    /// What groups and deliveries wait for.
    Due,
}

impl Ticker {
    /// A ticker for a node.
    pub fn new(node: Arc<Node>) -> Self {
        let began = node.clock.now();
        Self { node, began, started: BTreeMap::new(), runs: JoinSet::new() }
    }

    /// Starts what is due now.
    pub fn tick(&mut self) -> TickOutcome {
        while self.runs.try_join_next().is_some() {}
        let now = self.node.clock.now();
        let mut next: Option<Millis> = None;
        let (mut due, mut waiting) = (Vec::new(), Vec::new());
        for bound in self.node.batches() {
            if self.node.is_paused(&bound.batch.key) {
                continue;
            }
            let (start, later) = self.look(&bound, now);
            next = [next, later].into_iter().flatten().min();
            let Some(start) = start else { continue };
            match self.node.claim(&bound.batch.key) {
                Some(guard) => due.push((start, guard)),
                None => waiting.push(start.slot()),
            }
        }
        for (start, guard) in self.chosen(due, &mut waiting) {
            self.start(start, guard);
        }
        *self.node.waiting() = waiting;
        self.node.ticked.notify_waiters();
        for tenant in self.node.tenants() {
            let (errands, later) = self.look_at_tenant(&tenant, now);
            next = [next, later].into_iter().flatten().min();
            if let Some(errands) = errands {
                self.start_tenant(tenant, errands, now);
            }
        }
        next.map_or(TickOutcome::Idle, TickOutcome::Until)
    }

    /// Those of the runs that are due for which there are places, in the order in which they
    /// start. The claims of the others are given back without waking anybody; they are added to
    /// those that wait.
    fn chosen(&self, due: Vec<(Start, BusyGuard)>, left: &mut Vec<Slot>) -> Vec<(Start, BusyGuard)> {
        let running = self.node.running_batches();
        let mut under_way: BTreeMap<&str, usize> =
            running.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        for (start, _) in &due {
            // Its claim is among those that run.
            if let Some(count) = under_way.get_mut(start.bound.batch.key.tenant.as_str()) {
                *count = count.saturating_sub(1);
            }
        }
        let places = self.node.config.limits.runs_at_once.saturating_sub(under_way.values().sum());
        let runtime = self.node.catalogue.runtime();
        let share = |tenant: &str| Share {
            load: runtime.account(tenant).load(),
            running: under_way.get(tenant).copied().unwrap_or(0),
            at_once: self.node.quotas(tenant).runs_at_once.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
        };
        let waiting: Vec<Waiting<'_>> = due
            .iter()
            .map(|(start, _)| Waiting { tenant: &start.bound.batch.key.tenant, scheduled: start.due.scheduled })
            .collect();
        let picked = pick(&waiting, places, share);
        drop(waiting);
        let mut due: Vec<_> = due.into_iter().map(Some).collect();
        let chosen = picked.into_iter().filter_map(|number| due.get_mut(number)?.take()).collect();
        let mut waiting = 0;
        for (start, guard) in due.into_iter().flatten() {
            left.push(start.slot());
            guard.give_back();
            waiting += 1;
        }
        self.node.pulse.leave_waiting(waiting);
        chosen
    }

    /// What of a tenant is due, and when the next of it will be.
    fn look_at_tenant(&self, tenant: &str, now: Millis) -> (Option<Errands>, Option<Millis>) {
        let key = BatchKey::of_tenant(tenant);
        let (mut due, mut next): (Option<Millis>, Option<Millis>) = (None, None);
        for bound in self.node.batches().iter().filter(|bound| bound.batch.key.tenant == tenant) {
            let batch = &bound.batch;
            let Some(schedule) = batch.schedules.get(&Job::Summary).filter(|schedule| schedule.enabled) else {
                continue;
            };
            let instants = Instants::new(&schedule.cron, batch.timezone);
            let scheduled = self.due(&key, Job::Summary, instants, now).map(|due| due.scheduled);
            // The oldest first: those after it are due at the next tick.
            due = [due, scheduled].into_iter().flatten().min();
            next = [next, instants.next(now)].into_iter().flatten().min();
        }
        let planned = match self.node.planned(tenant) {
            Planned::Now => Some(Errands::Look),
            Planned::At(Some(time)) if time <= now => Some(Errands::Due),
            Planned::At(time) => {
                next = [next, time].into_iter().flatten().min();
                None
            }
        };
        (due.map(Errands::Summary).or(planned), next)
    }

    fn start_tenant(&mut self, tenant: String, errands: Errands, now: Millis) {
        match errands {
            Errands::Summary(scheduled) => {
                self.started.insert((BatchKey::of_tenant(&tenant), Job::Summary), scheduled);
            }
            Errands::Look | Errands::Due => self.node.begin(&tenant),
        }
        let node = self.node.clone();
        self.runs.spawn(async move {
            let work = async {
                let result = match errands {
                    Errands::Summary(scheduled) => node.run_summary(&tenant, scheduled).await.map(|run| vec![run]),
                    Errands::Look => node.run_tenant_job(&tenant, Job::Notify, now, "change").await,
                    Errands::Due => Ok(Vec::new()),
                };
                told(&tenant, result);
                told(&tenant, node.run_tenant(&tenant, now, "cron").await);
            };
            node.for_tenant(&tenant, work).await;
        });
    }

    /// What of a batch is due, and when the next of it will be.
    fn look(&self, bound: &Arc<BoundBatch>, now: Millis) -> (Option<Start>, Option<Millis>) {
        let batch = &bound.batch;
        let mut next: Option<Millis> = None;
        let mut found: Option<Start> = None;
        for (&job, schedule) in &batch.schedules {
            if !schedule.enabled || !has_cron(batch, job) {
                continue;
            }
            let instants = Instants::new(&schedule.cron, batch.timezone);
            let due = self.due(&batch.key, job, instants, now);
            next = [next, instants.next(now)].into_iter().flatten().min();
            if found.is_none() {
                found = due.map(|due| Start { bound: bound.clone(), job, due });
            }
        }
        (found, next)
    }

    fn due(&self, key: &BatchKey, job: Job, instants: Instants<'_>, now: Millis) -> Option<Due> {
        let started = self.started.get(&(key.clone(), job)).copied();
        let finished = self.node.store.last_run(key, job).ok().flatten().map(|run| run.slot.scheduled);
        match [started, finished].into_iter().flatten().max() {
            Some(last) => instants.due(last, now),
            // What never ran does not wait for its cron.
            None if job == Job::Ingest => Some(Due { scheduled: now, coalesced: 0 }),
            None => instants.due(self.began, now),
        }
    }

    fn start(&mut self, start: Start, guard: BusyGuard) {
        let Start { bound, job, due } = start;
        self.started.insert((bound.batch.key.clone(), job), due.scheduled);
        let node = self.node.clone();
        if due.coalesced > 0 {
            let BatchKey { tenant, batch } = &bound.batch.key;
            tracing::info!(tenant, batch, %job, missed = due.coalesced, "missed ticks became one run");
        }
        self.runs.spawn(async move {
            let tenant = &bound.batch.key.tenant;
            let work = async {
                let chain = bound.batch.chain && job == Job::Ingest;
                let result = if chain {
                    node.run_untold(&bound, due.scheduled, "cron").await
                } else {
                    node.run_job(&bound, job, due.scheduled, "cron").await.map(|run| vec![run])
                };
                // The batch goes on, however long it takes to tell what came of this.
                drop(guard);
                told(&bound.batch.key.to_string(), result);
                if chain || matches!(job, Job::Alert | Job::Change | Job::Capacity | Job::LlmAlert) {
                    told(tenant, node.run_tenant(tenant, node.clock.now(), "chain").await);
                }
            };
            node.for_tenant(tenant, work).await;
        });
    }

    /// Ticks until `stop` is done, then waits for what runs, for as long as the limits say.
    /// Returns how many runs were cut off.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> usize {
        tokio::pin!(stop);
        let node = self.node.clone();
        let beating = node.pulse.begin();
        loop {
            let outcome = self.tick();
            beating.beat(match outcome {
                TickOutcome::Until(time) => Some(time),
                TickOutcome::Idle => None,
            });
            let wait = async {
                match outcome {
                    TickOutcome::Until(time) => node.clock.sleep_until(time).await,
                    TickOutcome::Idle => std::future::pending().await,
                }
            };
            tokio::select! {
                () = &mut stop => break,
                () = wait => {}
                () = node.changed.notified() => {}
            }
        }
        drop(beating);
        let grace = Duration::from_millis(self.node.config.limits.shutdown_grace_ms);
        let drained = tokio::time::timeout(grace, async { while self.runs.join_next().await.is_some() {} }).await;
        if drained.is_ok() { 0 } else { self.runs.len() }
    }
}

/// Whether a job of a batch runs by its own cron: not so what the chain runs, and not what
/// is its tenant's.
pub(super) fn has_cron(batch: &Batch, job: Job) -> bool {
    match job {
        Job::Ingest | Job::Plot | Job::Delete => true,
        Job::Train | Job::Score | Job::Change | Job::Capacity | Job::Alert | Job::LlmAlert => !batch.chain,
        Job::Notify | Job::Deliver | Job::Summary => false,
    }
}

/// Logs what went wrong in runs.
pub(super) fn told(place: &str, result: Result<Vec<RunRecord>, Fault>) {
    match result {
        Ok(runs) => {
            for run in runs {
                let (BatchKey { tenant, batch }, job) = (&run.slot.key, run.slot.job);
                if let Some(error) = &run.error {
                    let (plugin, blame) = (&error.plugin, error.blame);
                    tracing::warn!(tenant, batch, %job, run = %run.slot, plugin, %blame, "{error}");
                }
                // Nobody is told of what is given up unless it stands here.
                if run.counts.get("dead").is_some_and(|dead| *dead > 0) {
                    for line in &run.log {
                        tracing::warn!(tenant, batch, %job, run = %run.slot, "given up: {line}");
                    }
                }
            }
        }
        Err(fault) => {
            let (tenant, plugin, blame) = (&fault.tenant, &fault.plugin, fault.blame);
            tracing::error!(tenant, plugin, %blame, place, "{fault}");
        }
    }
}
