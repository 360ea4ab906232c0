//! Trying a batch: it is bound, fetched, fit, scored and judged in a store of its own, which
//! is forgotten. Nobody is told, and nothing that the tenant has is touched.
//!
//! It reaches what a batch of the tenant may reach and is held to the same quotas. One fit is
//! made, of what precedes the span that is shown, so that each score is of a point that the
//! model has not seen; a batch that runs is fit again and again. How long a trial may take,
//! how much history it fetches and how many there are at once is bounded.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::{Node, Untaken, bind};
use crate::config::{Batch, BatchKey, Job, Limits, Slot, load_hosted_text, named_in};
use crate::fault::Fault;
use crate::pipeline::{BoundBatch, Runner};
use crate::series::Millis;
use crate::store::{Database, RunRecord, RunState};

const DAY: Millis = 86_400_000;
/// The part of what was fetched that is judged; what precedes it is learned from.
const JUDGED_PART: Millis = 4;

/// What became of a batch that was tried.
pub struct Trial {
    /// The batch.
    pub batch: Batch,
    /// What it would keep.
    pub store: Database,
    /// Its runs, in order.
    pub runs: Vec<RunRecord>,
    /// The span that was judged; empty where nothing was fetched.
    pub span: Range<Millis>,
}

impl From<Fault> for Untaken {
    fn from(fault: Fault) -> Self {
        Self::Conflict(fault.to_string())
    }
}

impl Node {
    /// Tries a batch that a tenant has written.
    pub async fn try_batch(self: &Arc<Self>, tenant: &str, text: &str) -> Result<Trial, Untaken> {
        let Ok(_place) = self.trials.try_acquire() else {
            return Err(Untaken::Conflict(format!(
                "{} batches are being tried already (limits.trials_at_once); try again in a minute",
                self.config.limits.trials_at_once
            )));
        };
        let longest = Duration::from_millis(self.config.limits.trial_ms);
        let work = tokio::time::timeout(longest, self.tried(tenant, text));
        match self.for_tenant(tenant, work).await {
            Some(Ok(trial)) => trial,
            Some(Err(_)) => Err(Untaken::Conflict(format!(
                "the trial was cut off after {} s (limits.trial_ms); ask for less: fewer series, or a shorter \
                 ingest_history",
                longest.as_secs()
            ))),
            None => Err(Untaken::Conflict(format!("the tenant {tenant} is being deleted"))),
        }
    }

    async fn tried(&self, tenant: &str, text: &str) -> Result<Trial, Untaken> {
        let name = named_in(text).unwrap_or_else(|| "batch".to_owned());
        let mut batch = load_hosted_text(&name, text, &self.environment_of(tenant)).map_err(Untaken::Problems)?;
        batch.quiet();
        let limits = Limits { run_attempts: 1, ..self.config.limits.clone() };
        let longest = Millis::try_from(limits.trial_history_ms).unwrap_or(Millis::MAX);
        batch.ingest.history_ms = batch.ingest.history_ms.min(longest);
        let store = Database::in_memory(&limits)?;
        store.set_quotas(tenant, self.quotas(tenant));
        let bound = bind(batch, &self.config_now(), &self.catalogue, Arc::new(store.clone())).await;
        let bound = bound.map_err(Untaken::Problems)?;
        let now = self.clock.now();
        let runner = Runner { store: &store, limits: &limits, clock: self.clock.as_ref(), watch: None };
        let run = async |job: Job, scheduled: Millis| {
            let slot = Slot { key: bound.batch.key.clone(), job, scheduled };
            runner.execute(&bound, slot, "trial").await
        };
        let mut runs = vec![run(Job::Ingest, now).await?];
        let span = judged_span(&bound, &store, now);
        if !span.is_empty() && runs.iter().all(|run| run.state != RunState::Failed) {
            // A fit is of what was whole when it ran.
            runs.push(run(Job::Train, span.start + bound.batch.ingest.delay_ms).await?);
            runs.push(run(Job::Score, now).await?);
            if bound.batch.change.enabled {
                runs.push(run(Job::Change, now).await?);
            }
            runs.push(run(Job::Alert, now).await?);
        }
        Ok(Trial { batch: bound.batch, store, runs, span })
    }
}

/// The newest part of what was fetched, a day at most, on the grid.
fn judged_span(bound: &BoundBatch, store: &Database, now: Millis) -> Range<Millis> {
    let step = Millis::from(bound.batch.judged.step_ms.max(1));
    let whole = |time: Millis| time.div_euclid(step) * step;
    let end = whole(now - bound.batch.ingest.delay_ms);
    let key: &BatchKey = &bound.batch.key;
    let first = store.series(key).iter().filter_map(|series| series.span).map(|(first, _)| first).min();
    let Some(first) = first else { return end..end };
    whole(end - ((end - first) / JUDGED_PART).clamp(0, DAY))..end
}
