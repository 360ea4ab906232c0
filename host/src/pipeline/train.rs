//! Train: fits a model of each series for each detector.
//!
//! A fit sees the history that ends at the scheduled time of its slot, and nothing later.
//! Slots of fits lie on the grid ([`fit_slots`]), so a replay fits where the live run did.
//! Points that a person has said were anomalies are not in it ([`LeftOut`]).

use std::sync::Arc;

use super::left_out::LeftOut;
use super::{BoundDetector, JobContext, Outcome, entity};
use crate::config::Job;
use crate::fault::Fault;
use crate::plugin::Cause;
use crate::schedule::Instants;
use crate::series::{Grid, Matrix, Millis};
use crate::store::{ModelMetadata, ModelWrite, RunState, SeriesId, SeriesRecord};

/// Series whose history is in memory together, where the detector does not want all of the batch: of
/// the default detector that is some 40 MB, however many series there are.
const SERIES_TOGETHER: usize = 128;

pub(super) async fn run(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    if !context.bound.batch.entity_labels.is_empty() {
        return entity::train(context).await;
    }
    let mut outcome = Outcome::default();
    let mut series = context.store.series(context.key());
    series.retain(|s| context.bound.batch.train.selects(&s.name, &s.labels));
    let left_out = LeftOut::of(context)?;
    for detector in &context.bound.detectors {
        fit(context, detector, &series, &left_out, &mut outcome).await?;
    }
    if outcome.models.is_empty() && outcome.counts.get("failed").is_none_or(|n| *n == 0) {
        outcome.state = Some(RunState::Skipped("no series has enough history, or each has its model".to_owned()));
    }
    Ok(outcome)
}

async fn fit(
    context: &JobContext<'_>,
    detector: &BoundDetector,
    series: &[SeriesRecord],
    left_out: &LeftOut,
    outcome: &mut Outcome,
) -> Result<(), Fault> {
    let policy = &context.bound.batch.train;
    let slot = last_fit_slot(context.bound, detector, context.grid_now());
    let ids: Vec<_> = series.iter().map(|s| s.id).collect();
    let kept = context.store.model_metadata(context.key(), &detector.entry.tag, &ids);
    let mut wanting: Vec<(&SeriesRecord, bool)> = Vec::new();
    for (series, model) in series.iter().zip(kept.map_err(|e| context.store_fault(&e))?) {
        let model = model.filter(|m| is_current(detector, m));
        let stands = match &model {
            Some(model) => stands(context, model, slot)?,
            None => false,
        };
        if !stands && series.span.is_some_and(|(first, _)| first < slot) {
            wanting.push((series, model.is_some()));
        }
    }
    if wanting.is_empty() {
        return Ok(());
    }
    let columns = detector.needs.history.min(policy.max_n.unwrap_or(usize::MAX));
    let oldest = (context.now() - policy.max_age_ms).max(slot - context.step() * columns as Millis);
    let first = wanting.iter().filter_map(|(s, _)| s.span).map(|(first, _)| first).min().unwrap_or(slot);
    let grid = Grid::spanning(first.max(oldest), slot, context.bound.batch.judged.step_ms);
    let most = if detector.needs.joint { wanting.len() } else { SERIES_TOGETHER };
    for together in wanting.chunks(most) {
        fit_together(context, detector, together, grid, left_out, outcome).await?;
    }
    Ok(())
}

/// Fits series to their history on a grid. Each comes with whether there is a model to go on from.
async fn fit_together(
    context: &JobContext<'_>,
    detector: &BoundDetector,
    series: &[(&SeriesRecord, bool)],
    grid: Grid,
    left_out: &LeftOut,
    outcome: &mut Outcome,
) -> Result<(), Fault> {
    let policy = &context.bound.batch.train;
    let ids: Vec<_> = series.iter().map(|(s, _)| s.id).collect();
    let columns =
        context.store.values(context.key(), &ids, grid.start..grid.end()).map_err(|e| context.store_fault(&e))?;

    let mut rows = Vec::new();
    let mut values = Vec::new();
    for (&(series, is_kept), mut column) in series.iter().zip(columns) {
        let unseen = left_out.take_from(series.id, &mut column);
        if column.values.len() < policy.min_n.max(1) {
            outcome.count("warming", 1);
            continue;
        }
        values.extend(grid.lay(&column.timestamps, &column.values, context.bound.batch.judged.aggregate));
        let keep = if is_kept { previous(context, detector, series.id)? } else { Arc::from([]) };
        let seen = column.timestamps.last().map_or(grid.start, |last| grid.after(*last));
        rows.push((series, seen, unseen, keep));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let matrix = Matrix { grid, rows: rows.len(), values };
    let keeps: Vec<Arc<[u8]>> = rows.iter().map(|(.., keep)| keep.clone()).collect();
    let fitted = detector.detect.fit(&context.call(), &detector.config, &matrix, &keeps).await?;
    let mut skipped = std::collections::BTreeMap::new();
    for skip in fitted.skipped {
        skipped.insert(skip.row, skip.cause);
    }
    let models = fitted.models.into_iter().zip(fitted.heads).zip(fitted.facts);
    for (index, ((series, seen, unseen, _), ((bytes, head), facts))) in rows.into_iter().zip(models).enumerate() {
        match skipped.get(&index) {
            Some(Cause::Warming) => outcome.count("warming", 1),
            Some(Cause::Failed(why)) => {
                outcome.count("failed", 1);
                outcome.state = Some(RunState::Partial);
                context.log.note(format!("{}: {} was not fit: {why}", detector.entry.tag, series.name));
            }
            None => {
                outcome.count("models", 1);
                LeftOut::count(unseen, outcome);
                outcome.models.push(ModelWrite {
                    series: series.id,
                    tag: detector.entry.tag.clone(),
                    plugin: detector.entry.plugin.clone(),
                    plugin_digest: detector.plugin_digest.clone(),
                    config_digest: detector.config_digest.clone(),
                    slot: grid.end(),
                    data: (grid.start, seen),
                    left_out: unseen,
                    facts,
                    head,
                    bytes,
                });
            }
        }
    }
    Ok(())
}

/// The bytes of the model that a fit goes on from; none where they are missing or damaged.
fn previous(context: &JobContext<'_>, detector: &BoundDetector, series: SeriesId) -> Result<Arc<[u8]>, Fault> {
    let models = context.store.models(context.key(), &detector.entry.tag, &[series]);
    let model = models.map_err(|e| context.store_fault(&e))?.pop().flatten();
    let model = model.filter(|model| is_current(detector, &model.metadata));
    Ok(model.map_or_else(|| Arc::from([]), |model| model.bytes))
}

/// Whether a model can be used: the same component wrote it with the same configuration.
pub(super) fn is_current(detector: &BoundDetector, model: &ModelMetadata) -> bool {
    model.plugin_digest == detector.plugin_digest && model.config_digest == detector.config_digest
}

/// Whether a current model is left as it is: it is not older than the slot, and scoring can read
/// it. What is damaged behind its head is noticed by its next fit, which alone would read that.
pub(super) fn stands(context: &JobContext<'_>, model: &ModelMetadata, slot: Millis) -> Result<bool, Fault> {
    let refit = context.redo.as_ref().is_some_and(|redo| redo.refit);
    if model.slot < slot || model.slot == slot && refit {
        return Ok(false);
    }
    let heads = context.store.heads(context.key(), &model.tag, &[model.series]);
    Ok(heads.map_err(|e| context.store_fault(&e))?.iter().any(Option::is_some))
}

/// The slots of a detector's fits in `after..=until`, without `after`: whole multiples of
/// its refit span on the grid, or, where it leaves that to the batch, the instants of the
/// batch's train cron, rounded down to the step.
pub(super) fn fit_slots(
    bound: &super::BoundBatch,
    detector: &BoundDetector,
    after: Millis,
    until: Millis,
) -> Vec<Millis> {
    let step = Millis::from(bound.batch.judged.step_ms);
    if detector.needs.refit > 0 {
        return multiples(step * detector.needs.refit as Millis, after, until);
    }
    let Some(schedule) = bound.batch.schedules.get(&Job::Train) else { return Vec::new() };
    let instants = Instants::new(&schedule.cron, bound.batch.timezone).between(after, until);
    let mut slots: Vec<_> = instants.map(|at| at.div_euclid(step) * step).filter(|slot| *slot > after).collect();
    slots.dedup();
    slots
}

fn multiples(span: Millis, after: Millis, until: Millis) -> Vec<Millis> {
    (after.div_euclid(span) + 1..=until.div_euclid(span)).map(|n| n * span).collect()
}

/// The newest slot at or before `end`; `end` itself where there is none.
pub(super) fn last_fit_slot(bound: &super::BoundBatch, detector: &BoundDetector, end: Millis) -> Millis {
    let step = Millis::from(bound.batch.judged.step_ms);
    if detector.needs.refit > 0 {
        let span = step * detector.needs.refit as Millis;
        return end.div_euclid(span) * span;
    }
    // A day is enough to look at: a batch that trains more seldom is fit by its cron's own slot.
    fit_slots(bound, detector, end - 86_400_000, end).last().copied().unwrap_or(end)
}
