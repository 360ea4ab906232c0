//! One run of one job: tries, the record, and the commit that holds both.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};

use super::tenant::{BoundTenant, Errand, TenantContext};
use super::watch::{UnderWay, Watch, Watched, Written};
use super::{
    BoundBatch, JobContext, Outcome, Redo, RunLog, alert, capacity, change, delete, deliver, host_fault, ingest,
    llmalert, notify, plot, score, summary, train,
};
use crate::config::{Job, Limits, Slot};
use crate::fault::{Blame, Fault, Retry};
use crate::schedule::Clock;
use crate::series::Millis;
use crate::store::{Commit, Database, RunRecord, RunState, StoreError};

/// What runs need, whichever batch or tenant they are of.
#[derive(Clone)]
pub struct Runner<'a> {
    /// The store.
    pub store: &'a Database,
    /// The node's limits.
    pub limits: &'a Limits,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Who is told of runs as they go on.
    pub watch: Option<&'a Arc<dyn Watch>>,
}

/// The work of a run: a batch's job, or a tenant's.
enum Work<'a> {
    Batch(JobContext<'a>),
    Tenant(TenantContext<'a>, &'a Errand),
}

impl Runner<'_> {
    /// Runs a job of a batch and commits what it did. A failed run is a record as well.
    ///
    /// A slot that has a finished run is not run again: that run's record is returned. Only a
    /// store that does not take the commit is an error.
    pub async fn execute(&self, bound: &BoundBatch, slot: Slot, reason: &str) -> Result<RunRecord, Fault> {
        if let Some(finished) = self.store.run(&slot).map_err(|e| host_fault(&slot, &e))? {
            return Ok(finished);
        }
        let log = self.log(&slot);
        self.finish(Work::Batch(self.job(bound, slot, log, None)), reason, None).await
    }

    /// Runs a job of a batch once more. Where its slot has a finished run, the record takes the
    /// place of that run's; what was said of it stands in its log.
    pub async fn execute_again(
        &self,
        bound: &BoundBatch,
        slot: Slot,
        reason: &str,
        redo: Redo,
    ) -> Result<RunRecord, Fault> {
        let log = self.log(&slot);
        let before = self.store.run(&slot).map_err(|e| host_fault(&slot, &e))?.map(|before| {
            let said = before.error.map(|fault| format!(": {}", fault.message)).unwrap_or_default();
            format!("once more: the run before was {}{said}", before.state.name())
        });
        self.finish(Work::Batch(self.job(bound, slot, log, Some(redo))), reason, before).await
    }

    /// Runs a job of a tenant, at `scheduled`; otherwise as [`Runner::execute`].
    pub async fn execute_tenant(
        &self,
        bound: &BoundTenant,
        errand: &Errand,
        scheduled: Millis,
        reason: &str,
    ) -> Result<RunRecord, Fault> {
        let slot = Slot { key: bound.key(), job: errand.job(), scheduled };
        if let Some(finished) = self.store.run(&slot).map_err(|e| host_fault(&slot, &e))? {
            return Ok(finished);
        }
        let log = self.log(&slot);
        let context = TenantContext { bound, store: self.store, limits: self.limits, slot, log };
        self.finish(Work::Tenant(context, errand), reason, None).await
    }

    /// What a job of a batch is given.
    pub(super) fn job<'b>(
        &'b self,
        bound: &'b BoundBatch,
        slot: Slot,
        log: Arc<RunLog>,
        redo: Option<Redo>,
    ) -> JobContext<'b> {
        JobContext { bound, store: self.store, limits: self.limits, slot, wall: self.clock.now(), log, redo }
    }

    fn log(&self, slot: &Slot) -> Arc<RunLog> {
        match self.watch {
            Some(watch) => RunLog::told(self.limits.run_log_lines, watch.clone(), slot.clone()),
            None => RunLog::new(self.limits.run_log_lines),
        }
    }

    /// Does the work of a run and keeps what came of it; `first` is the first of its lines.
    async fn finish(&self, work: Work<'_>, reason: &str, first: Option<String>) -> Result<RunRecord, Fault> {
        let (slot, log, again) = match &work {
            Work::Batch(context) => (context.slot.clone(), context.log.clone(), context.redo.is_some()),
            Work::Tenant(context, _) => (context.slot.clone(), context.log.clone(), false),
        };
        let failed = |error: &StoreError| host_fault(&slot, error);
        let started = self.clock.now();
        let watched = Watched::begin(self.watch, UnderWay::new(slot.clone(), reason, started, log.clone()));
        first.into_iter().for_each(|line| log.note(line));
        let stopwatch = Instant::now();
        let attempts = AtomicU32::new(0);
        let result = tokio::select! {
            biased;
            by = watched.run.cancelled() => Ok(Outcome { state: Some(RunState::Cancelled(by)), ..Outcome::default() }),
            result = attempt(&work, &attempts) => result,
        };
        let (outcome, error) = match result {
            Ok(outcome) => (outcome, None),
            Err(fault) => (Outcome { state: Some(RunState::Failed), ..Outcome::default() }, Some(fault)),
        };
        let run = RunRecord {
            slot: slot.clone(),
            state: outcome.state.unwrap_or(RunState::Done),
            attempts: attempts.load(Ordering::Relaxed),
            reason: reason.to_owned(),
            started,
            duration_ms: u64::try_from(stopwatch.elapsed().as_millis()).unwrap_or(u64::MAX),
            counts: outcome.counts,
            log: log.take(),
            error,
        };
        let commit = Commit {
            run: run.clone(),
            samples: outcome.samples,
            scores: outcome.scores,
            models: outcome.models,
            alerts: outcome.alerts,
            watched: outcome.watched,
            decisions: outcome.decisions,
            deliveries: outcome.deliveries,
            documents: outcome.documents,
        };
        let written = watched.written(&commit).unwrap_or_default();
        let keep = |commit| if again { self.store.commit_again(commit) } else { self.store.commit(commit) };
        let (run, written) = match keep(commit) {
            Ok(_) => (run, written),
            // What it brought is too much, and is not kept; that this was so is.
            Err(StoreError::Quota { what, limit }) => {
                let why = format!("{what}: {limit} is what it may have, and nothing of this run was kept");
                let run = refused(&slot, why, RunRecord { counts: BTreeMap::new(), ..run });
                keep(Commit::of(run.clone())).map_err(|e| failed(&e))?;
                (run, Written::default())
            }
            Err(error) => return Err(failed(&error)),
        };
        watched.kept(&run, &written);
        Ok(run)
    }

    /// Keeps that a run was not done because its tenant must not have more.
    pub fn refuse(&self, slot: Slot, reason: &str, why: String) -> Result<RunRecord, Fault> {
        if let Some(finished) = self.store.run(&slot).map_err(|e| host_fault(&slot, &e))? {
            return Ok(finished);
        }
        let run = RunRecord {
            slot: slot.clone(),
            state: RunState::Failed,
            attempts: 0,
            reason: reason.to_owned(),
            started: self.clock.now(),
            duration_ms: 0,
            counts: BTreeMap::new(),
            log: Vec::new(),
            error: None,
        };
        let run = refused(&slot, why, run);
        self.store.commit(Commit::of(run.clone())).map_err(|e| host_fault(&slot, &e))?;
        if let Some(watch) = self.watch {
            watch.kept(&run, &Written::default());
        }
        Ok(run)
    }
}

/// A run that a quota was in the way of.
fn refused(slot: &Slot, message: String, run: RunRecord) -> RunRecord {
    let tenant = slot.key.tenant.clone();
    let fault = Fault {
        blame: Blame::Limit,
        plugin: "store".to_owned(),
        version: String::new(),
        export: slot.job.name().to_owned(),
        message,
        remedy: format!("keep less, or have the quota raised: `anomd tenant quota {tenant}` shows what is used"),
        log_tail: Vec::new(),
        answer: None,
        until: None,
        tenant,
    };
    RunRecord { state: RunState::Failed, error: Some(fault), ..run }
}

/// Tries until it is done, until trying cannot help, or until the tries are used up.
async fn attempt(work: &Work<'_>, attempts: &AtomicU32) -> Result<Outcome, Fault> {
    let (limits, log) = match work {
        Work::Batch(context) => (context.limits, &context.log),
        Work::Tenant(context, _) => (context.limits, &context.log),
    };
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(limits.retry_first_ms))
        .with_max_delay(Duration::from_millis(limits.retry_longest_ms))
        .with_max_times(limits.run_attempts.saturating_sub(1) as usize)
        .build();
    loop {
        let attempt = attempts.fetch_add(1, Ordering::Relaxed) + 1;
        let fault = match run(work).await {
            Ok(outcome) => return Ok(outcome),
            Err(fault) => fault,
        };
        let wait = match (fault.retry(), waits.next()) {
            (Retry::Never, _) | (_, None) => return Err(fault),
            (Retry::Backoff, Some(wait)) => wait,
            (Retry::After(ms), Some(_)) => Duration::from_millis(u64::from(ms).min(limits.retry_longest_ms)),
        };
        let ms = wait.as_secs_f64() * 1_000.0;
        log.note(format!("try {attempt} failed, the next comes in {ms:.0} ms: {}", fault.message));
        tokio::time::sleep(wait).await;
    }
}

async fn run(work: &Work<'_>) -> Result<Outcome, Fault> {
    let context = match work {
        Work::Batch(context) => context,
        Work::Tenant(context, errand) => {
            return match errand {
                Errand::Notify => notify::run(context),
                Errand::Deliver(to) => deliver::run(context, to).await,
                Errand::Summary { all } => summary::run(context, *all),
            };
        }
    };
    match context.slot.job {
        Job::Ingest => ingest::run(context).await,
        Job::Train => train::run(context).await,
        Job::Score => score::run(context).await,
        Job::Change => change::run(context),
        Job::Capacity => capacity::run(context).await,
        Job::Alert => alert::run(context),
        Job::LlmAlert => llmalert::run(context).await,
        Job::Notify | Job::Deliver | Job::Summary => Ok(Outcome::skipped("it is the tenant's, and not a batch's")),
        Job::Delete => delete::run(context),
        Job::Plot => plot::run(context),
    }
}
