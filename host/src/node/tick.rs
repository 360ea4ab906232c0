//! The ticker: asks what is due, starts it, and says how long to wait.
//!
//! [`Ticker::tick`] never waits, so everything below it can be tested without a loop; only
//! [`Ticker::run`] waits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{BusyGuard, Node};
use crate::config::{BatchKey, Job};
use crate::pipeline::BoundBatch;
use crate::schedule::{Due, Instants};
use crate::series::Millis;
use crate::store::DeliveryFilter;

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

/// A run that is due.
struct Start {
    bound: Arc<BoundBatch>,
    job: Job,
    due: Due,
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
        for bound in self.node.batches() {
            let (start, later) = self.look(&bound, now);
            next = [next, later].into_iter().flatten().min();
            let Some(start) = start else { continue };
            if let Some(guard) = self.node.claim(&bound.batch.key) {
                self.start(start, guard);
            }
        }
        next.map_or(TickOutcome::Idle, TickOutcome::Until)
    }

    /// What of a batch is due, and when the next of it will be.
    fn look(&self, bound: &Arc<BoundBatch>, now: Millis) -> (Option<Start>, Option<Millis>) {
        let batch = &bound.batch;
        let mut next: Option<Millis> = None;
        let mut found: Option<Start> = None;
        for (&job, schedule) in &batch.schedules {
            if !schedule.enabled || (batch.chain && job != Job::Ingest) {
                continue;
            }
            let instants = Instants::new(&schedule.cron, batch.timezone);
            let due = self.due(&batch.key, job, instants, now);
            next = [next, instants.next(now)].into_iter().flatten().min();
            if found.is_none() {
                found = due.map(|due| Start { bound: bound.clone(), job, due });
            }
        }
        if let Some(retry) = self.retry(&batch.key) {
            if retry <= now && found.is_none() {
                let due = Due { scheduled: now, coalesced: 0 };
                found = Some(Start { bound: bound.clone(), job: Job::Deliver, due });
            } else if retry > now {
                next = [next, Some(retry)].into_iter().flatten().min();
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

    /// When the next delivery is tried again.
    fn retry(&self, key: &BatchKey) -> Option<Millis> {
        let queued = self.node.store.deliveries(&DeliveryFilter::queued(key)).ok()?;
        queued.iter().map(|delivery| delivery.due).min()
    }

    fn start(&mut self, start: Start, guard: BusyGuard) {
        let Start { bound, job, due } = start;
        self.started.insert((bound.batch.key.clone(), job), due.scheduled);
        let node = self.node.clone();
        if due.coalesced > 0 {
            tracing::info!(batch = %bound.batch.key, %job, missed = due.coalesced, "missed ticks became one run");
        }
        self.runs.spawn(async move {
            let _guard = guard;
            let result = if bound.batch.chain && job == Job::Ingest {
                node.run_chain(&bound, due.scheduled, "cron").await
            } else {
                node.run_job(&bound, job, due.scheduled, "cron").await.map(|run| vec![run])
            };
            match result {
                Ok(runs) => {
                    for run in runs.iter().filter(|run| run.error.is_some()) {
                        let error = run.error.as_ref().map(ToString::to_string).unwrap_or_default();
                        tracing::warn!(run = %run.slot, "{error}");
                    }
                }
                Err(fault) => tracing::error!(batch = %bound.batch.key, "{fault}"),
            }
        });
    }

    /// Ticks until `stop` is done, then waits for what runs, for as long as the limits say.
    /// Returns how many runs were cut off.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> usize {
        tokio::pin!(stop);
        loop {
            let outcome = self.tick();
            let node = self.node.clone();
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
        let grace = Duration::from_millis(self.node.config.limits.shutdown_grace_ms);
        let drained = tokio::time::timeout(grace, async { while self.runs.join_next().await.is_some() {} }).await;
        if drained.is_ok() { 0 } else { self.runs.len() }
    }
}
