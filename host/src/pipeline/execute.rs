//! One run of one job: tries, the record, and the commit that holds both.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};

use super::tenant::{BoundTenant, Errand, TenantContext};
use super::{
    BoundBatch, JobContext, Outcome, RunLog, alert, capacity, change, delete, deliver, host_fault, ingest, llmalert,
    notify, plot, score, summary, train,
};
use crate::config::{Job, Limits, Slot};
use crate::fault::{Blame, Fault, Retry};
use crate::schedule::Clock;
use crate::series::Millis;
use crate::store::{Commit, Database, RunRecord, RunState, StoreError};

/// A run under way: a batch's job, or a tenant's.
enum Work<'a> {
    Batch(JobContext<'a>),
    Tenant(TenantContext<'a>, &'a Errand),
}

/// Runs a job of a batch and commits what it did. A failed run is a record as well.
///
/// A slot that has a finished run is not run again: that run's record is returned. Only a
/// store that does not take the commit is an error.
pub async fn execute(
    bound: &BoundBatch,
    store: &Database,
    limits: &Limits,
    clock: &dyn Clock,
    slot: Slot,
    reason: &str,
) -> Result<RunRecord, Fault> {
    let log = RunLog::new(limits.run_log_lines);
    finish(Work::Batch(JobContext { bound, store, limits, slot, wall: clock.now(), log }), clock, reason).await
}

/// Runs a job of a tenant, at `scheduled`; otherwise as [`execute`].
pub async fn execute_tenant(
    bound: &BoundTenant,
    store: &Database,
    limits: &Limits,
    clock: &dyn Clock,
    errand: &Errand,
    scheduled: Millis,
    reason: &str,
) -> Result<RunRecord, Fault> {
    let slot = Slot { key: bound.key(), job: errand.job(), scheduled };
    let log = RunLog::new(limits.run_log_lines);
    finish(Work::Tenant(TenantContext { bound, store, limits, slot, log }, errand), clock, reason).await
}

async fn finish(work: Work<'_>, clock: &dyn Clock, reason: &str) -> Result<RunRecord, Fault> {
    let (store, slot, log) = match &work {
        Work::Batch(context) => (context.store, context.slot.clone(), context.log.clone()),
        Work::Tenant(context, _) => (context.store, context.slot.clone(), context.log.clone()),
    };
    let failed = |error: &StoreError| host_fault(&slot, error);
    if let Some(finished) = store.run(&slot).map_err(|e| failed(&e))? {
        return Ok(finished);
    }
    let started = clock.now();
    let stopwatch = Instant::now();
    let (attempts, result) = attempt(&work).await;
    let (outcome, error) = match result {
        Ok(outcome) => (outcome, None),
        Err(fault) => (Outcome { state: Some(RunState::Failed), ..Outcome::default() }, Some(fault)),
    };
    let run = RunRecord {
        slot: slot.clone(),
        state: outcome.state.unwrap_or(RunState::Done),
        attempts,
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
    match store.commit(commit) {
        Ok(_) => Ok(run),
        // What it brought is too much, and is not kept; that this was so is.
        Err(StoreError::Quota { what, limit }) => {
            let why = format!("{what}: {limit} is what it may have, and nothing of this run was kept");
            let run = refused(&slot, why, RunRecord { counts: std::collections::BTreeMap::new(), ..run });
            store.commit(Commit::of(run.clone())).map_err(|e| failed(&e))?;
            Ok(run)
        }
        Err(error) => Err(failed(&error)),
    }
}

/// Keeps that a run was not done because its tenant must not have more.
pub fn refuse(store: &Database, clock: &dyn Clock, slot: Slot, reason: &str, why: String) -> Result<RunRecord, Fault> {
    if let Some(finished) = store.run(&slot).map_err(|e| host_fault(&slot, &e))? {
        return Ok(finished);
    }
    let run = RunRecord {
        slot: slot.clone(),
        state: RunState::Failed,
        attempts: 0,
        reason: reason.to_owned(),
        started: clock.now(),
        duration_ms: 0,
        counts: std::collections::BTreeMap::new(),
        log: Vec::new(),
        error: None,
    };
    let run = refused(&slot, why, run);
    store.commit(Commit::of(run.clone())).map_err(|e| host_fault(&slot, &e))?;
    Ok(run)
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
async fn attempt(work: &Work<'_>) -> (u32, Result<Outcome, Fault>) {
    let (limits, log) = match work {
        Work::Batch(context) => (context.limits, &context.log),
        Work::Tenant(context, _) => (context.limits, &context.log),
    };
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(limits.retry_first_ms))
        .with_max_delay(Duration::from_millis(limits.retry_longest_ms))
        .with_max_times(limits.run_attempts.saturating_sub(1) as usize)
        .build();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let fault = match run(work).await {
            Ok(outcome) => return (attempts, Ok(outcome)),
            Err(fault) => fault,
        };
        let wait = match (fault.retry(), waits.next()) {
            (Retry::Never, _) | (_, None) => return (attempts, Err(fault)),
            (Retry::Backoff, Some(wait)) => wait,
            (Retry::After(ms), Some(_)) => Duration::from_millis(u64::from(ms).min(limits.retry_longest_ms)),
        };
        let ms = wait.as_secs_f64() * 1_000.0;
        log.note(format!("try {attempts} failed, the next comes in {ms:.0} ms: {}", fault.message));
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
