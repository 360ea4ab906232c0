//! One run of one job: tries, the record, and the commit that holds both.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder as _, ExponentialBuilder};

use super::{BoundBatch, JobContext, Outcome, RunLog, alert, deliver, host_fault, ingest, plot, score, train};
use crate::config::{Job, Limits, Slot};
use crate::fault::{Fault, Retry};
use crate::schedule::Clock;
use crate::store::{Commit, Database, RunRecord, RunState, StoreError};

/// Runs a job and commits what it did. A failed run is a record as well.
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
    let failed = |error: &StoreError| host_fault(&slot, error);
    if let Some(finished) = store.run(&slot).map_err(|e| failed(&e))? {
        return Ok(finished);
    }
    let started = clock.now();
    let stopwatch = Instant::now();
    let context = JobContext { bound, store, limits, slot: slot.clone(), log: RunLog::new(limits.run_log_lines) };
    let (attempts, result) = attempt(&context).await;
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
        log: context.log.take(),
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
    store.commit(commit).map_err(|e| failed(&e))?;
    Ok(run)
}

/// Tries until it is done, until trying cannot help, or until the tries are used up.
async fn attempt(context: &JobContext<'_>) -> (u32, Result<Outcome, Fault>) {
    let limits = context.limits;
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(limits.retry_first_ms))
        .with_max_delay(Duration::from_millis(limits.retry_longest_ms))
        .with_max_times(limits.run_attempts.saturating_sub(1) as usize)
        .build();
    let mut attempts = 0;
    loop {
        attempts += 1;
        let fault = match run(context).await {
            Ok(outcome) => return (attempts, Ok(outcome)),
            Err(fault) => fault,
        };
        let wait = match (fault.retry(), waits.next()) {
            (Retry::Never, _) | (_, None) => return (attempts, Err(fault)),
            (Retry::Backoff, Some(wait)) => wait,
            (Retry::After(ms), Some(_)) => Duration::from_millis(u64::from(ms).min(limits.retry_longest_ms)),
        };
        let ms = wait.as_secs_f64() * 1_000.0;
        context.log.note(format!("try {attempts} failed, the next comes in {ms:.0} ms: {}", fault.message));
        tokio::time::sleep(wait).await;
    }
}

async fn run(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    match context.slot.job {
        Job::Ingest => ingest::run(context).await,
        Job::Train => train::run(context).await,
        Job::Score => score::run(context).await,
        Job::Alert => alert::run(context),
        Job::Deliver => deliver::run(context).await,
        Job::Plot => plot::run(context),
        Job::Change | Job::LlmAlert | Job::Notify | Job::Summary | Job::Delete => Ok(Outcome::skipped("not built yet")),
    }
}
