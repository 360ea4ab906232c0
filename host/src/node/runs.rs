//! Runs as people see and begin them: those that wait, those under way and those that ended, in
//! one list; one more time, from a stage on, or cut short.

use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{BusyGuard, Node, tick};
use crate::config::{BatchKey, Job, Slot};
use crate::desk::{Ask as _, Desk, DeskError, Page, RunList, RunView};
use crate::fault::Fault;
use crate::pipeline::{BoundBatch, Redo, UnderWay};
use crate::series::Millis;
use crate::store::{RunRecord, RunState};

/// How long after it was planned a run of a claimed batch may still not be under way.
const SOON_MS: Millis = 60_000;

/// A run with those that belong to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunDetail {
    /// The run, with its lines.
    pub run: RunView,
    /// The runs of its batch for the same instant, itself among them, in the order of the chain;
    /// without their lines.
    pub chain: Vec<RunView>,
    /// The stages from which its batch can be run once more: `ingest`, `train`, `score`, `alert`.
    pub stages: Vec<String>,
}

/// The stages from which a chain can be run once more.
pub const STAGES: [Job; 4] = [Job::Ingest, Job::Train, Job::Score, Job::Alert];

impl Node {
    /// The runs of a tenant: first those that wait and those under way, then those that ended.
    pub fn runs(&self, desk: &Desk<'_>, asked: &RunList) -> Result<Page<RunView>, DeskError> {
        let mut page = asked.ask(desk)?;
        if asked.cursor.is_none() {
            let open = self.open_runs(desk.tenant).into_iter().filter(|run| asked.wants_open(run));
            page.items.splice(0..0, open);
        }
        Ok(page)
    }

    /// The runs of a tenant that wait for a place, and those under way, the newest first.
    pub fn open_runs(&self, tenant: &str) -> Vec<RunView> {
        let now = self.clock.now();
        let under_way = self.live().under_way(tenant);
        let queued = self.queued().into_iter().filter(|slot| slot.key.tenant == tenant);
        let queued = queued.filter(|slot| under_way.iter().all(|run| run.slot != *slot));
        let queued = queued.map(|slot| RunView::open(&slot, "queued", "cron", now, now, Vec::new()));
        let running = under_way.iter().rev().map(|run| running(run, now, false));
        queued.chain(running).collect()
    }

    /// A run of a tenant, whether it has ended or not.
    pub fn run_detail(&self, tenant: &str, id: &str) -> Result<RunDetail, DeskError> {
        let slot = slot(tenant, id)?;
        let now = self.clock.now();
        let of = |slot: &Slot, lines: bool| -> Result<Option<RunView>, DeskError> {
            // First what is under way: a run that is done once more has an older record.
            if let Some(run) = self.live().run(slot) {
                return Ok(Some(running(&run, now, lines)));
            }
            let view = self.store.run(slot)?.map(RunView::from);
            Ok(view.map(|view| if lines { view } else { view.without_lines() }))
        };
        let run = match of(&slot, true)? {
            Some(run) => run,
            None if self.is_soon(&slot, now) => RunView::open(&slot, "queued", "cron", now, now, Vec::new()),
            None => return Err(unknown(id)),
        };
        let mut chain = Vec::new();
        for job in Job::ALL {
            chain.extend(of(&Slot { job, ..slot.clone() }, false)?);
        }
        let stages = match self.batch(&slot.key) {
            Some(bound) => stages(&bound, slot.job).map(|job| job.name().to_owned()).collect(),
            None => Vec::new(),
        };
        Ok(RunDetail { run, chain, stages })
    }

    /// Whether a run waits, or was begun just now and is not under way yet.
    fn is_soon(&self, slot: &Slot, now: Millis) -> bool {
        let claimed = self.busy.lock().unwrap_or_else(PoisonError::into_inner).contains(&slot.key);
        self.queued().contains(slot) || claimed && (now - SOON_MS..=now).contains(&slot.scheduled)
    }

    /// Starts a run of a batch at once: its chain, or one job. Gives the slot in which it begins.
    pub fn start_named(self: &Arc<Self>, key: &BatchKey, job: Option<Job>) -> Result<Slot, DeskError> {
        let Some(bound) = self.batch(key) else {
            return Err(DeskError::Conflict(format!("the batch {key} is not taken up; see what is wrong with it")));
        };
        let scheduled = self.start(&bound, job).map_err(DeskError::Conflict)?;
        Ok(Slot { key: key.clone(), job: job.unwrap_or(Job::Ingest), scheduled })
    }

    /// Cuts a run short that is under way: it ends as cancelled.
    pub fn cancel_run(&self, tenant: &str, id: &str, by: &str) -> Result<RunView, DeskError> {
        let slot = slot(tenant, id)?;
        let Some(run) = self.live().run(&slot) else {
            return Err(match self.store.run(&slot)? {
                Some(run) => {
                    let state = run.state.name();
                    DeskError::Conflict(format!("the run {id} has ended ({state}), so there is nothing to cancel"))
                }
                None => unknown(id),
            });
        };
        run.cancel(by);
        Ok(running(&run, self.clock.now(), true))
    }

    /// Does a run once more, in its own slot; where its batch is a chain, those after it too.
    pub fn retry_run(self: &Arc<Self>, tenant: &str, id: &str) -> Result<RunView, DeskError> {
        let slot = slot(tenant, id)?;
        let (bound, guard) = self.claim_again(&slot, id)?;
        let chained = bound.batch.chain && (slot.job == Job::Ingest || slot.job.is_chained());
        let view = self.begun(&slot, "retry");
        let node = self.clone();
        self.in_background(slot.key.clone(), guard, async move {
            if chained {
                return node.runner().rerun_chain(&bound, slot.job, slot.scheduled, None, "retry").await;
            }
            Ok(vec![node.runner().execute_again(&bound, slot, "retry", Redo::default()).await?])
        });
        Ok(view)
    }

    /// Runs the chain of a run once more, from a stage on: what it fetched is fetched again, its
    /// span is scored again, whether it was or not. Nobody is told twice of what was told.
    pub fn rerun_from(self: &Arc<Self>, tenant: &str, id: &str, stage: Job) -> Result<RunView, DeskError> {
        let slot = slot(tenant, id)?;
        let (bound, guard) = self.claim_again(&slot, id)?;
        if !stages(&bound, slot.job).any(|known| known == stage) {
            let names: Vec<&str> = stages(&bound, slot.job).map(Job::name).collect();
            return Err(DeskError::Invalid(match names.as_slice() {
                [] => format!("the job {} is no part of a chain; retry the run itself", slot.job),
                names => format!("`{stage}` is not where a run can begin again; there are {}", names.join(", ")),
            }));
        }
        let span = self.runner().span_of(&bound, &slot)?;
        let view = self.begun(&Slot { job: stage, ..slot.clone() }, "rerun");
        let node = self.clone();
        self.in_background(slot.key.clone(), guard, async move {
            node.runner().rerun_chain(&bound, stage, slot.scheduled, span, "rerun").await
        });
        Ok(view)
    }

    /// A run that begins now.
    fn begun(&self, slot: &Slot, reason: &str) -> RunView {
        let now = self.clock.now();
        RunView::open(slot, "running", reason, now, now, Vec::new())
    }

    /// The batch of a run that has ended, claimed for doing it once more.
    fn claim_again(self: &Arc<Self>, slot: &Slot, id: &str) -> Result<(Arc<BoundBatch>, BusyGuard), DeskError> {
        if self.live().run(slot).is_some() {
            return Err(DeskError::Conflict(format!("the run {id} is under way; cancel it first")));
        }
        if self.store.run(slot)?.is_none() {
            return Err(unknown(id));
        }
        if slot.key.is_tenant() {
            return Err(DeskError::Conflict(format!(
                "{} is a job of the tenant: it runs by itself when something is due, and tries again what failed",
                slot.job
            )));
        }
        let Some(bound) = self.batch(&slot.key) else {
            let key = &slot.key;
            return Err(DeskError::Conflict(format!("the batch {key} is not taken up; see what is wrong with it")));
        };
        let guard = self.claim_asked(&slot.key).map_err(DeskError::Conflict)?;
        Ok((bound, guard))
    }

    /// Does work of a claimed batch in the background, and tells what came of it.
    pub(super) fn in_background(
        self: &Arc<Self>,
        key: BatchKey,
        guard: BusyGuard,
        work: impl Future<Output = Result<Vec<RunRecord>, Fault>> + Send + 'static,
    ) {
        let node = self.clone();
        tokio::spawn(async move {
            let whole = async {
                let result = work.await;
                drop(guard);
                tick::told(&key.to_string(), result);
                tick::told(&key.tenant, node.run_tenant(&key.tenant, node.clock.now(), "chain").await);
            };
            node.for_tenant(&key.tenant, whole).await
        });
    }
}

/// The stages of a batch from which a run of a job can begin again; none where the job is no part
/// of the chain.
fn stages(bound: &BoundBatch, job: Job) -> impl Iterator<Item = Job> + '_ {
    let chained = job == Job::Ingest || job.is_chained();
    STAGES.into_iter().filter(move |stage| chained && (*stage == Job::Ingest || bound.batch.runs(*stage)))
}

fn slot(tenant: &str, id: &str) -> Result<Slot, DeskError> {
    Slot::of_id(tenant, id).ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> DeskError {
    DeskError::Unknown(format!("there is no run `{id}`; `anomd runs` lists those that are kept"))
}

fn running(run: &UnderWay, now: Millis, lines: bool) -> RunView {
    let lines = if lines { run.log.lines() } else { Vec::new() };
    RunView::open(&run.slot, "running", &run.reason, run.started, now, lines)
}

/// Whether a run ended so that what follows it makes no sense.
pub(super) fn ends_all(run: &RunRecord) -> bool {
    matches!(run.state, RunState::Failed | RunState::Cancelled(_))
}
