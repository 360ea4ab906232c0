//! The chain: an ingest, and then each job whose input it made, so that an anomaly is told
//! seconds after its sample.
//!
//! A chain that covers much time, after a stop say, fits and scores alternately, slot by
//! slot of the grid: the points between two fits are judged by the first of them, as they
//! would have been live. A chain that was cut off is taken up where it was: each job's slot
//! that has a finished run is passed over. A job that is disabled is passed over.

use std::ops::Range;

use super::{BoundBatch, Redo, RunLog, Runner, llmalert, train};
use crate::config::{Job, Slot};
use crate::fault::Fault;
use crate::series::Millis;
use crate::store::{Database, RunRecord, RunState, StoreError};

/// The runs of a chain, in order. It ends early at an ingest that failed.
pub type ChainReport = Vec<RunRecord>;

impl Runner<'_> {
    /// Runs the chain of a batch at a logical now. It ends where somebody cancels a run of it.
    pub async fn run_chain(&self, bound: &BoundBatch, now: Millis, reason: &str) -> Result<ChainReport, Fault> {
        let at = |job: Job, scheduled: Millis| Slot { key: bound.batch.key.clone(), job, scheduled };
        let ingest = self.execute(bound, at(Job::Ingest, now), reason).await?;
        let failed = ingest.state == RunState::Failed;
        let mut report = vec![ingest];
        if failed || was_cancelled(&report) {
            return Ok(report);
        }
        self.follow(bound, Job::Ingest, now, &mut report).await?;
        Ok(report)
    }

    /// The jobs of the chain after one of them.
    pub(super) async fn follow(
        &self,
        bound: &BoundBatch,
        after: Job,
        now: Millis,
        report: &mut ChainReport,
    ) -> Result<(), Fault> {
        let at = |job: Job, scheduled: Millis| Slot { key: bound.batch.key.clone(), job, scheduled };
        let fits = match after < Job::Train && bound.batch.runs(Job::Train) {
            true => fits(bound, self.store, &at(Job::Train, now))?,
            false => Vec::new(),
        };
        for fit in fits {
            for job in [Job::Score, Job::Train].into_iter().filter(|job| *job == Job::Train || fit.score_first) {
                report.push(self.execute(bound, at(job, fit.whole), "chain").await?);
                if was_cancelled(report) {
                    return Ok(());
                }
            }
        }
        for job in [Job::Score, Job::Change, Job::Capacity, Job::Alert] {
            let wanted = match job {
                Job::Change => bound.batch.change.enabled,
                Job::Capacity => bound.batch.capacity.enabled,
                _ => true,
            };
            if job > after && wanted && bound.batch.runs(job) {
                report.push(self.execute(bound, at(job, now), "chain").await?);
                if was_cancelled(report) {
                    return Ok(());
                }
            }
        }
        let slot = at(Job::LlmAlert, now);
        if llmalert::is_due(&self.job(bound, slot.clone(), RunLog::new(0), None))? {
            report.push(self.execute(bound, slot, "chain").await?);
        }
        Ok(())
    }
}

impl Runner<'_> {
    /// Runs the chain at an instant once more, from one of its jobs on; each record takes the
    /// place of the one before. `span`: the samples and scores of this span, whether they are
    /// there or not.
    pub async fn rerun_chain(
        &self,
        bound: &BoundBatch,
        from: Job,
        now: Millis,
        span: Option<Range<Millis>>,
        reason: &str,
    ) -> Result<ChainReport, Fault> {
        let mut report = Vec::new();
        for job in [Job::Ingest, Job::Train, Job::Score, Job::Change, Job::Capacity, Job::Alert] {
            let wanted = match job {
                Job::Change => bound.batch.change.enabled,
                Job::Capacity => bound.batch.capacity.enabled,
                _ => true,
            };
            // What is asked for is done, even if it does not run by itself.
            if job != from && (job < from || !wanted || !bound.batch.runs(job)) {
                continue;
            }
            let slot = Slot { key: bound.batch.key.clone(), job, scheduled: now };
            let redo = Redo { span: span.clone(), refit: job == from, pushed: None };
            let run = self.execute_again(bound, slot, reason, redo).await?;
            let failed = job == Job::Ingest && run.state == RunState::Failed;
            report.push(run);
            if failed || was_cancelled(&report) {
                break;
            }
        }
        Ok(report)
    }

    /// The span that a run and those of its chain were about: what the ingest of its instant
    /// fetched, else what came since the run of its job before it; `None`: nobody knows.
    pub fn span_of(&self, bound: &BoundBatch, slot: &Slot) -> Result<Option<Range<Millis>>, StoreError> {
        let ingest = self.store.run(&Slot { job: Job::Ingest, ..slot.clone() })?;
        let edge = |run: &RunRecord, name: &str| Millis::try_from(*run.counts.get(name)?).ok();
        if let Some(span) = ingest.and_then(|run| Some(edge(&run, "from")?..edge(&run, "to")?)) {
            return Ok(Some(span).filter(|span| !span.is_empty()));
        }
        let earlier = self.store.runs_between(&slot.key, Some(slot.job), Millis::MIN..slot.scheduled, 1, |_| true)?;
        let delay = bound.batch.ingest.delay_ms;
        let before = earlier.first().map(|run| run.slot.scheduled);
        Ok(before.map(|before| before.saturating_sub(delay)..slot.scheduled.saturating_sub(delay)))
    }
}

fn was_cancelled(report: &ChainReport) -> bool {
    report.last().is_some_and(|run| matches!(run.state, RunState::Cancelled(_)))
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
