//! Jobs whose last run failed, since when, and who has to act.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Desk, DeskError, instant};
use crate::config::{BatchKey, Job};
use crate::series::Millis;
use crate::store::{RunFilter, RunRecord, RunState};

/// Runs of a job that are looked at for the beginning of a failure.
const RUNS: usize = 100;

/// A job whose last run that had anything to do failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailingJob {
    /// The batch; `*`: the tenant's own.
    pub batch: String,
    /// The job.
    pub job: String,
    /// `failed`: nothing was done; `partial`: a part was lost.
    pub state: String,
    /// The first of the runs that failed one after the other, as far back as runs are kept.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub since: Millis,
    /// How many those are.
    pub runs: usize,
    /// The last.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub last: Millis,
    /// Who has to act: `plugin`, `limit`, `remote`, `operator`, `host`; empty where no fault says
    /// so.
    pub blame: String,
    /// What went wrong.
    pub why: String,
}

impl Desk<'_> {
    /// The failing jobs of a batch.
    pub(super) fn failing(&self, key: &BatchKey) -> Result<Vec<FailingJob>, DeskError> {
        let mut failing = Vec::new();
        for job in Job::ALL {
            let filter = |limit| RunFilter { key: Some(key.clone()), job: Some(job), limit: Some(limit) };
            // Most jobs are well, or idle: that is seen from few runs.
            let few = self.store.runs(&filter(10))?;
            match few.iter().find(|run| has_worked(run)) {
                Some(run) if !has_failed(run) => {}
                _ if few.is_empty() => {}
                _ => failing.extend(streak(&self.store.runs(&filter(RUNS))?)),
            }
        }
        Ok(failing)
    }
}

fn has_worked(run: &RunRecord) -> bool {
    !matches!(run.state, RunState::Skipped(_))
}

fn has_failed(run: &RunRecord) -> bool {
    matches!(run.state, RunState::Failed | RunState::Partial)
}

/// The runs, newest first, up to the last that was well. A run that had nothing to do says
/// nothing.
fn streak(runs: &[RunRecord]) -> Option<FailingJob> {
    let failed: Vec<&RunRecord> = runs.iter().filter(|run| has_worked(run)).take_while(|run| has_failed(run)).collect();
    let (last, first) = (failed.first()?, failed.last()?);
    Some(FailingJob {
        batch: last.slot.key.batch.clone(),
        job: last.slot.job.name().to_owned(),
        state: if last.state == RunState::Failed { "failed" } else { "partial" }.to_owned(),
        since: first.slot.scheduled,
        runs: failed.len(),
        last: last.slot.scheduled,
        blame: last.error.as_ref().map_or(String::new(), |fault| fault.blame.to_string()),
        why: match &last.error {
            Some(fault) => fault.to_string(),
            None => last.log.last().cloned().unwrap_or_default(),
        },
    })
}
