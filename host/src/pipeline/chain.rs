//! The chain: an ingest, and then each job whose input it made, so that an anomaly is told
//! seconds after its sample.
//!
//! A chain that covers much time, after a stop say, fits and scores alternately, slot by
//! slot of the grid: the points between two fits are judged by the first of them, as they
//! would have been live. A chain that was cut off is taken up where it was: each job's slot
//! that has a finished run is passed over. A job that is disabled is passed over.

use super::{BoundBatch, JobContext, RunLog, execute, llmalert, train};
use crate::config::{Job, Limits, Slot};
use crate::fault::Fault;
use crate::schedule::Clock;
use crate::series::Millis;
use crate::store::{Database, RunRecord, RunState};

/// The runs of a chain, in order. It ends early at an ingest that failed.
pub type ChainReport = Vec<RunRecord>;

/// Runs the chain of a batch at a logical now.
pub async fn run_chain(
    bound: &BoundBatch,
    store: &Database,
    limits: &Limits,
    clock: &dyn Clock,
    now: Millis,
    reason: &str,
) -> Result<ChainReport, Fault> {
    let at = |job: Job, scheduled: Millis| Slot { key: bound.batch.key.clone(), job, scheduled };
    let mut report = Vec::new();
    let ingest = execute(bound, store, limits, clock, at(Job::Ingest, now), reason).await?;
    let failed = ingest.state == RunState::Failed;
    report.push(ingest);
    if failed {
        return Ok(report);
    }
    let fits = if bound.batch.runs(Job::Train) { fits(bound, store, &at(Job::Train, now))? } else { Vec::new() };
    for fit in fits {
        if fit.score_first {
            report.push(execute(bound, store, limits, clock, at(Job::Score, fit.whole), "chain").await?);
        }
        report.push(execute(bound, store, limits, clock, at(Job::Train, fit.whole), "chain").await?);
    }
    for job in [Job::Score, Job::Change, Job::Capacity, Job::Alert] {
        let wanted = match job {
            Job::Change => bound.batch.change.enabled,
            Job::Capacity => bound.batch.capacity.enabled,
            _ => true,
        };
        if wanted && bound.batch.runs(job) {
            report.push(execute(bound, store, limits, clock, at(job, now), "chain").await?);
        }
    }
    let slot = at(Job::LlmAlert, now);
    let context = JobContext { bound, store, limits, slot: slot.clone(), wall: clock.now(), log: RunLog::new(0) };
    if llmalert::is_due(&context)? {
        report.push(execute(bound, store, limits, clock, slot, "chain").await?);
    }
    Ok(report)
}

struct Fit {
    /// The first instant at which its history is whole, and so its slot.
    whole: Millis,
    /// Whether points before it wait for the models that stand now.
    score_first: bool,
}

/// The fits that are due: after the newest that ran, up to now. Where none ever ran, the
/// newest slot alone: what lies before it is history.
fn fits(bound: &BoundBatch, store: &Database, slot: &Slot) -> Result<Vec<Fit>, Fault> {
    let step = Millis::from(bound.batch.judged.step_ms);
    let delay = bound.batch.ingest.delay_ms;
    let end = |now: Millis| (now - delay).div_euclid(step) * step;
    let last = store.last_run(&slot.key, Job::Train).map_err(|e| super::host_fault(slot, &e))?;
    let (mut times, score_first): (Vec<Millis>, bool) = match last {
        None => {
            let newest = |detector| train::last_fit_slot(bound, detector, end(slot.scheduled));
            (bound.detectors.iter().map(newest).max().into_iter().collect(), false)
        }
        Some(last) => {
            let (after, until) = (end(last.slot.scheduled), end(slot.scheduled));
            let due = |detector| train::fit_slots(bound, detector, after, until);
            (bound.detectors.iter().flat_map(due).collect(), true)
        }
    };
    times.sort_unstable();
    times.dedup();
    Ok(times.into_iter().map(|time| Fit { whole: time + delay, score_first }).collect())
}
