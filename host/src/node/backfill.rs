//! Backfill: a span of the past is fetched and scored again, part by part, beside the batch's
//! own schedule.
//!
//! What is there is replaced where the source gives something; what the source no longer has
//! stays. Points are judged by the models that stand now. The event rule goes on from where it
//! was, so that nobody is told of what is found in points that it has passed. It is not kept: a
//! node that stops forgets it, and what was done is done.

use std::ops::Range;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::runs::ends_all;
use super::{Node, tick};
use crate::config::{BatchKey, Job, Slot};
use crate::desk::{DeskError, instant};
use crate::fault::Fault;
use crate::pipeline::{BACKFILL, BoundBatch, Redo};
use crate::series::Millis;
use crate::store::RunRecord;

/// How long it waits for the ticker to look whether the batch's own runs are due.
const TURN: Duration = Duration::from_secs(1);

/// A backfill, under way or over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BackfillView {
    /// The batch.
    pub batch: String,
    /// The first instant of its span.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub from: Millis,
    /// Behind the last.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub to: Millis,
    /// Up to where it has come.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub reached: Millis,
    /// `running`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// The run at which it ended early.
    pub run: Option<String>,
    /// Samples that it brought.
    pub samples: u64,
    /// Points that it scored.
    pub scores: u64,
}

impl Node {
    /// Begins to fetch and score a span of a batch again. A batch has one backfill at a time.
    pub fn backfill(self: &Arc<Self>, key: &BatchKey, from: Millis, to: Millis) -> Result<BackfillView, DeskError> {
        let Some(bound) = self.batch(key) else {
            return Err(DeskError::Unknown(format!("the tenant {} has no batch `{}` taken up", key.tenant, key.batch)));
        };
        let span = self.backfill_span(&bound, from, to)?;
        let mut known = self.backfills();
        if known.get(key).is_some_and(|backfill| backfill.state == "running") {
            return Err(DeskError::Conflict(format!(
                "a backfill of {key} is under way; cancel its run, or wait until it has ended"
            )));
        }
        let view = BackfillView {
            batch: key.batch.clone(),
            from: span.start,
            to: span.end,
            reached: span.start,
            state: "running".to_owned(),
            run: None,
            samples: 0,
            scores: 0,
        };
        known.insert(key.clone(), view.clone());
        drop(known);
        let (node, tenant) = (self.clone(), key.tenant.clone());
        tokio::spawn(async move {
            node.for_tenant(&tenant, async {
                let result = node.fill(&bound, span).await;
                let state = match &result {
                    Ok(None) => "done",
                    Ok(Some(run)) if run.state.name() == "cancelled" => "cancelled",
                    Ok(Some(_)) | Err(_) => "failed",
                };
                if let Some(view) = node.backfills().get_mut(&bound.batch.key) {
                    state.clone_into(&mut view.state);
                    view.run = result.as_ref().ok().and_then(Option::as_ref).map(|run| run.slot.id());
                }
                tick::told(&bound.batch.key.to_string(), result.map(|run| run.into_iter().collect()));
            })
            .await
        });
        Ok(view)
    }

    /// The last backfill of a batch, since the node began.
    pub fn backfill_of(&self, key: &BatchKey) -> Option<BackfillView> {
        self.backfills().get(key).cloned()
    }

    fn backfills(&self) -> MutexGuard<'_, std::collections::BTreeMap<BatchKey, BackfillView>> {
        self.backfilled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The span as it is done: whole steps, none of the future, and not too long.
    fn backfill_span(&self, bound: &BoundBatch, from: Millis, to: Millis) -> Result<Range<Millis>, DeskError> {
        let step = Millis::from(bound.batch.judged.step_ms).max(1);
        let now = self.clock.now().saturating_sub(bound.batch.ingest.delay_ms);
        let floor = |time: Millis| time.div_euclid(step).saturating_mul(step);
        let (start, end) = (floor(from), floor(to.saturating_add(step - 1).min(now)));
        if start >= end {
            return Err(DeskError::Invalid(format!(
                "from {} to {} there is no whole step of {} that has passed; write a `from` before `to`, and before \
                 now",
                instant::text(from),
                instant::text(to),
                instant::span(step)
            )));
        }
        let most = Millis::try_from(self.config.limits.backfill_ms).unwrap_or(Millis::MAX);
        if end.saturating_sub(start) > most {
            return Err(DeskError::Invalid(format!(
                "the span is longer than {}, the longest that is filled at once (limits.backfill_ms); write a shorter \
                 one, and another after it",
                instant::span(most)
            )));
        }
        Ok(start..end)
    }

    /// Fills a span; the run at which it ended early, if it did.
    async fn fill(self: &Arc<Self>, bound: &Arc<BoundBatch>, span: Range<Millis>) -> Result<Option<RunRecord>, Fault> {
        let key = &bound.batch.key;
        let part = Millis::try_from(self.config.limits.backfill_part_ms).unwrap_or(Millis::MAX);
        let part = part.max(Millis::from(bound.batch.judged.step_ms));
        let mut start = span.start;
        while start < span.end {
            let end = start.saturating_add(part).min(span.end);
            // Between two parts the batch's own runs have their turn.
            let guard = loop {
                let ticked = self.ticked.notified();
                if let Some(guard) = self.claim(key) {
                    break guard;
                }
                let _ = tokio::time::timeout(TURN, ticked).await;
            };
            for job in [Job::Ingest, Job::Score] {
                let run = self.fill_part(bound, job, start..end).await?;
                if ends_all(&run) {
                    return Ok(Some(run));
                }
                if let Some(view) = self.backfills().get_mut(key) {
                    let count = |what: &str| run.counts.get(what).copied().unwrap_or(0);
                    view.samples += count("samples");
                    view.scores += count("scores");
                }
            }
            if let Some(view) = self.backfills().get_mut(key) {
                view.reached = end;
            }
            start = end;
            let ticked = self.ticked.notified();
            drop(guard);
            if start < span.end {
                let _ = tokio::time::timeout(TURN, ticked).await;
            }
        }
        Ok(None)
    }

    async fn fill_part(
        self: &Arc<Self>,
        bound: &BoundBatch,
        job: Job,
        span: Range<Millis>,
    ) -> Result<RunRecord, Fault> {
        let mut slot = Slot { key: bound.batch.key.clone(), job, scheduled: self.clock.now() };
        while self.store.run(&slot).map_err(|error| super::tenant::store_fault(&slot.key.tenant, &error))?.is_some() {
            slot.scheduled += 1;
        }
        if job == Job::Ingest
            && let Some(why) = self.over_bytes(&slot.key.tenant).await
        {
            return self.runner().refuse(slot, BACKFILL, why);
        }
        let redo = Redo { span: Some(span), refit: false, pushed: None };
        self.runner().execute_again(bound, slot, BACKFILL, redo).await
    }
}
