//! Finished runs, as people and programs read them.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::page::{self, Listing, newest_first};
use super::{Ask, Desk, DeskError, Page, instant};
use crate::config::{Job, Slot};
use crate::series::Millis;
use crate::store::{RunFilter, RunRecord};

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

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// Its name in addresses, unique within the tenant.
    pub id: String,
    /// The batch; `*`: the tenant.
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
    /// `done`, `partial`, `failed`, `skipped` or `cancelled`; `queued` or `running` while it has
    /// not ended.
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
    /// Who has to act, where something went wrong: `plugin`, `limit`, `remote`, `operator` or
    /// `host`.
    pub blame: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
}

impl From<RunRecord> for RunView {
    fn from(run: RunRecord) -> Self {
        let error = run.error.as_ref();
        Self {
            id: run.slot.id(),
            blame: error.map(|fault| fault.blame.to_string()),
            remedy: error.map(|fault| fault.remedy.clone()).filter(|remedy| !remedy.is_empty()),
            why: error.map(ToString::to_string).or_else(|| run.state.why()),
            batch: run.slot.key.batch,
            job: run.slot.job.name().to_owned(),
            scheduled: run.slot.scheduled,
            started: run.started,
            duration_ms: run.duration_ms,
            state: run.state.name().to_owned(),
            attempts: run.attempts,
            reason: run.reason,
            counts: run.counts,
            log: run.log,
        }
    }
}

impl RunView {
    /// A run that has not ended.
    pub fn open(slot: &Slot, state: &str, reason: &str, started: Millis, now: Millis, log: Vec<String>) -> Self {
        Self {
            id: slot.id(),
            batch: slot.key.batch.clone(),
            job: slot.job.name().to_owned(),
            scheduled: slot.scheduled,
            started,
            duration_ms: u64::try_from(now.saturating_sub(started)).unwrap_or(0),
            state: state.to_owned(),
            attempts: 0,
            reason: reason.to_owned(),
            counts: BTreeMap::new(),
            log,
            why: None,
            blame: None,
            remedy: None,
        }
    }

    /// The same without its lines, as lists have it.
    pub fn without_lines(self) -> Self {
        Self { log: Vec::new(), ..self }
    }
}

/// Which runs, of all batches. Lists come without the lines of the runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunList {
    /// Of this batch; `*`: the tenant's own; left out: of all.
    pub batch: Option<String>,
    /// Of this job.
    pub job: Option<String>,
    /// In this state.
    pub state: Option<String>,
    /// Planned for this instant or later.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub since: Option<Millis>,
    /// At most so many, the newest first; those that have not ended come before them.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

impl RunList {
    /// The states of a run.
    pub const STATES: [&str; 7] = ["queued", "running", "done", "partial", "failed", "skipped", "cancelled"];

    /// Whether a run that has not ended is asked for.
    pub fn wants_open(&self, run: &RunView) -> bool {
        let is = |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|wanted| wanted == own);
        is(&self.batch, &run.batch)
            && is(&self.job, &run.job)
            && is(&self.state, &run.state)
            && self.since.is_none_or(|since| run.scheduled >= since)
    }
}

impl Ask for RunList {
    type Reply = Page<RunView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<RunView>, DeskError> {
        let job = self.job.as_deref().map(Job::from_str).transpose().map_err(DeskError::Invalid)?;
        if let Some(state) = self.state.as_deref().filter(|state| !Self::STATES.contains(state)) {
            return Err(DeskError::invalid(format!(
                "`{state}` is no state of a run; there are {}",
                Self::STATES.join(", ")
            )));
        }
        let keys = match self.batch.as_deref() {
            Some(named) => match desk.batch(named) {
                Ok(key) => vec![key],
                // One that is configured and never ran has no runs.
                Err(_) if desk.batches.keys().any(|key| key.tenant == desk.tenant && key.batch == named) => Vec::new(),
                Err(unknown) => return Err(unknown),
            },
            None => desk.store.batches_of(desk.tenant),
        };
        let most = desk.config.limits.api_page_items;
        // What stands before the cursor was told; of one instant a batch has a run of each job.
        let newest = self.cursor.as_deref().map(page::read).transpose()?.and_then(|text| page::time_of(&text));
        let span = self.since.unwrap_or(Millis::MIN)..newest.unwrap_or(Millis::MAX).saturating_add(1);
        let wanted = |run: &RunRecord| self.state.as_deref().is_none_or(|state| state == run.state.name());
        let enough = page::size(self.limit, most) + 2;
        let mut runs = Vec::new();
        for key in &keys {
            runs.extend(desk.store.runs_between(key, job, span.clone(), enough, wanted)?);
        }
        let order = |run: &RunRecord| {
            let Slot { key, job, scheduled } = &run.slot;
            format!("{} {:02} {key}", newest_first(*scheduled), 99 - *job as usize)
        };
        runs.sort_by_cached_key(order);
        let page = Page::of(runs, order, self.cursor.as_deref(), self.limit, most)?;
        page.map(|run| Ok(RunView::from(run).without_lines()))
    }
}

impl Listing for RunList {
    type Item = RunView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
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
