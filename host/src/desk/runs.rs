//! Finished runs, as people and programs read them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::page::{Listing, newest_first};
use super::{Ask, Desk, DeskError, Page, instant};
use crate::series::Millis;
use crate::store::{RunFilter, RunRecord, RunState};

/// Which runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunQuery {
    /// Of this batch; `*`: the tenant's own.
    pub id: String,
    /// At most so many, the newest first.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// The batch.
    pub batch: String,
    /// The job.
    pub job: String,
    /// The instant for which it was planned.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub scheduled: Millis,
    /// When it began, by the wall clock.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub started: Millis,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// `done`, `partial`, `failed` or `skipped`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was started: `cron`, `chain`, `manual`.
    pub reason: String,
    /// What it counted.
    pub counts: BTreeMap<String, u64>,
    /// What its plugins and the job said.
    pub log: Vec<String>,
    /// What went wrong, or why nothing was done.
    pub why: Option<String>,
}

impl From<RunRecord> for RunView {
    fn from(run: RunRecord) -> Self {
        let (state, skipped) = match run.state {
            RunState::Done => ("done", None),
            RunState::Partial => ("partial", None),
            RunState::Failed => ("failed", None),
            RunState::Skipped(why) => ("skipped", Some(why)),
        };
        Self {
            batch: run.slot.key.batch,
            job: run.slot.job.name().to_owned(),
            scheduled: run.slot.scheduled,
            started: run.started,
            duration_ms: run.duration_ms,
            state: state.to_owned(),
            attempts: run.attempts,
            reason: run.reason,
            counts: run.counts,
            log: run.log,
            why: run.error.map(|fault| fault.to_string()).or(skipped),
        }
    }
}

impl Ask for RunQuery {
    type Reply = Page<RunView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<RunView>, DeskError> {
        let key = desk.batch(&self.id)?;
        // Of one instant the later job of the chain comes first.
        let order = |run: &RunRecord| format!("{} {:02}", newest_first(run.slot.scheduled), 99 - run.slot.job as usize);
        let runs = desk.store.runs(&RunFilter { key: Some(key), job: None, limit: None })?;
        let page = Page::of(runs, order, self.cursor.as_deref(), self.limit, desk.config.limits.api_page_items)?;
        page.map(|run| Ok(RunView::from(run)))
    }
}

impl Listing for RunQuery {
    type Item = RunView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}
