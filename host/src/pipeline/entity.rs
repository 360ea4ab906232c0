//! Entities: series that agree in the labels of `entity_labels` (the CPU, the memory and the
//! latency of one instance, say) are the features of one thing, and are judged together.
//!
//! An entity has a series of its own in the batch: its labels are the entity's, its `__name__` is
//! that of the batch, its values are its scores. It is scored, told, silenced and kept like any
//! other; its features are kept and not judged. The train job enters it, and fits it from its
//! next run on.
//!
//! A column is a row of the table: it has a score once each feature has a value for it. A feature
//! whose newest sample is [`ALIVE_COLUMNS`] older than that of another is left out, and so is
//! what has just come; either way the features are others, and a model is fit anew.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::json;

use super::left_out::LeftOut;
use super::score::{Verdict, combine, cut, largest, round};
use super::train::{last_fit_slot, stands};
use super::{BoundDetector, JobContext, Outcome};
use crate::config::config_digest;
use crate::fault::{Blame, Fault};
use crate::plugin::Table;
use crate::series::{Grid, Kind, Labels, MetricName, Millis};
use crate::store::{Column, ModelMetadata, ModelWrite, RunState, ScoreColumn, ScoreRow, SeriesRecord};

/// How many columns a feature may be behind.
const ALIVE_COLUMNS: Millis = 60;

/// One entity, as the store has it now.
struct Entity<'s> {
    labels: Labels,
    /// Its own series, once it has been entered.
    record: Option<&'s SeriesRecord>,
    /// Sorted by their names as features.
    features: Vec<(String, &'s SeriesRecord)>,
}

impl<'s> Entity<'s> {
    /// All of a batch, by labels.
    fn all(context: &JobContext<'_>, series: &'s [SeriesRecord]) -> Vec<Self> {
        let batch = &context.bound.batch;
        let (mut own, mut features) = (BTreeMap::new(), BTreeMap::<Labels, Vec<_>>::new());
        for series in series {
            let (of_entity, rest): (Vec<_>, Vec<_>) = (series.labels.clone().into_pairs().into_iter())
                .partition(|(name, _)| batch.entity_labels.contains(name));
            if of_entity.len() != batch.entity_labels.len() {
                continue;
            }
            let name = (Labels::NAME.to_owned(), batch.key.batch.clone());
            let is_own = rest == [name.clone()];
            let Ok(labels) = Labels::new(of_entity.into_iter().chain([name])) else { continue };
            if is_own {
                own.insert(labels, series);
            } else if let Ok(rest) = Labels::new(rest)
                && let Some((_, last)) = series.span
                && batch.train.selects(&series.name, &series.labels)
            {
                features.entry(labels).or_default().push((MetricName::Lossless.render(&rest), series, last));
            }
        }
        let entity = |(labels, mut features): (Labels, Vec<(String, &'s SeriesRecord, Millis)>)| {
            let newest = features.iter().map(|(.., last)| *last).max().unwrap_or_default();
            features.retain(|(.., last)| newest - last <= ALIVE_COLUMNS * context.step());
            features.sort_by(|a, b| a.0.cmp(&b.0));
            let features = features.into_iter().map(|(name, series, _)| (name, series)).collect();
            Self { record: own.get(&labels).copied(), labels, features }
        };
        features.into_iter().map(entity).collect()
    }

    /// The samples of its features from the first to the last instant at which one may be.
    fn span(&self) -> Option<(Millis, Millis)> {
        let spans = || self.features.iter().filter_map(|(_, series)| series.span);
        let first = spans().map(|(first, _)| first).min()?;
        Some((first, spans().map(|(_, last)| last).min()?))
    }

    /// What a model of it is kept under: the features are a part of the configuration.
    fn digest(&self, detector: &BoundDetector) -> String {
        let names: Vec<&str> = self.features.iter().map(|(name, _)| name.as_str()).collect();
        config_digest(&json!({"config": detector.config_digest, "features": names}))
    }

    fn is_current(&self, detector: &BoundDetector, model: &ModelMetadata) -> bool {
        model.plugin_digest == detector.plugin_digest && model.config_digest == self.digest(detector)
    }

    /// A row a column of the grid.
    fn table(&self, context: &JobContext<'_>, grid: Grid) -> Result<Table, Fault> {
        let ids: Vec<_> = self.features.iter().map(|(_, series)| series.id).collect();
        let columns = context.store.values(context.key(), &ids, grid.start..grid.end());
        let columns = columns.map_err(|e| context.store_fault(&e))?;
        let aggregate = context.bound.batch.judged.aggregate;
        let features: Vec<Vec<f64>> = columns.iter().map(|c| grid.lay(&c.timestamps, &c.values, aggregate)).collect();
        let cell = |row: usize| features.iter().map(move |feature| feature.get(row).copied().unwrap_or(f64::NAN));
        Ok(Table {
            features: self.features.iter().map(|(name, _)| name.clone()).collect(),
            rows: grid.columns,
            values: (0..grid.columns).flat_map(cell).collect(),
        })
    }
}

/// Whether a fault is of one entity, and leaves the others alone.
fn is_own(fault: &Fault) -> bool {
    fault.blame != Blame::Host
}

/// Train: enters new entities, and fits those whose model is none or too old.
pub(super) async fn train(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let series = context.store.series(context.key());
    let entities = Entity::all(context, &series);
    for entity in entities.iter().filter(|entity| entity.record.is_none()) {
        let name = context.bound.batch.metric_name.render(&entity.labels);
        outcome.samples.push((entity.labels.clone(), name, Kind::Gauge, Column::default()));
        outcome.count("entities", 1);
    }
    let left_out = LeftOut::of(context)?;
    for detector in &context.bound.detectors {
        for entity in &entities {
            fit(context, detector, entity, &left_out, &mut outcome).await?;
        }
    }
    if outcome.models.is_empty() && outcome.samples.is_empty() && !outcome.counts.contains_key("failed") {
        outcome.state = Some(RunState::Skipped("no entity has enough history, or each has its model".to_owned()));
    }
    Ok(outcome)
}

async fn fit(
    context: &JobContext<'_>,
    detector: &BoundDetector,
    entity: &Entity<'_>,
    left_out: &LeftOut,
    outcome: &mut Outcome,
) -> Result<(), Fault> {
    let (Some(judge), Some(record), Some((first, last))) = (&detector.judge, entity.record, entity.span()) else {
        return Ok(());
    };
    let policy = &context.bound.batch.train;
    let slot = last_fit_slot(context.bound, detector, context.grid_now());
    let kept = model(context, detector, record)?.filter(|model| entity.is_current(detector, model));
    let stands = match &kept {
        Some(model) => stands(context, model, slot)?,
        None => false,
    };
    if first >= slot || stands {
        return Ok(());
    }
    let columns = detector.needs.history.min(policy.max_n.unwrap_or(usize::MAX));
    let oldest = (context.now() - policy.max_age_ms).max(slot - context.step() * columns as Millis);
    let grid = Grid::spanning(first.max(oldest), slot, context.bound.batch.judged.step_ms);
    let mut history = entity.table(context, grid)?;
    let mut unseen = 0;
    for (column, row) in history.values.chunks_mut(history.features.len().max(1)).enumerate() {
        if left_out.has(record.id, grid.time(column)) && row.iter().any(|value| value.is_finite()) {
            row.fill(f64::NAN);
            unseen += 1;
        }
    }
    let complete = history.values.chunks(history.features.len().max(1));
    if complete.filter(|row| row.iter().all(|value| value.is_finite())).count() < policy.min_n.max(1) {
        outcome.count("warming", 1);
        return Ok(());
    }
    match judge.fit(&context.call(), &detector.config, &history).await {
        Ok(bytes) => {
            outcome.count("models", 1);
            LeftOut::count(unseen, outcome);
            outcome.models.push(ModelWrite {
                series: record.id,
                tag: detector.entry.tag.clone(),
                plugin: detector.entry.plugin.clone(),
                plugin_digest: detector.plugin_digest.clone(),
                config_digest: entity.digest(detector),
                slot,
                data: (grid.start, grid.after(last)),
                left_out: unseen,
                facts: Vec::new(),
                head: bytes.len(),
                bytes,
            });
        }
        Err(fault) if is_own(&fault) => failed(context, detector, record, "fit", &fault, outcome),
        Err(fault) => return Err(fault),
    }
    Ok(())
}

fn failed(
    context: &JobContext<'_>,
    detector: &BoundDetector,
    record: &SeriesRecord,
    what: &str,
    fault: &Fault,
    outcome: &mut Outcome,
) {
    outcome.count("failed", 1);
    outcome.state = Some(RunState::Partial);
    context.log.note(format!("{}: {} was not {what}: {}", detector.entry.tag, record.name, fault.message));
}

fn model(
    context: &JobContext<'_>,
    detector: &BoundDetector,
    record: &SeriesRecord,
) -> Result<Option<ModelMetadata>, Fault> {
    let models = context.store.model_metadata(context.key(), &detector.entry.tag, &[record.id]);
    Ok(models.map_err(|e| context.store_fault(&e))?.into_iter().flatten().next())
}

/// Score: judges the columns of each entity that have no score yet and a value of each feature.
pub(super) async fn score(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let series = context.store.series(context.key());
    for entity in Entity::all(context, &series) {
        let Some(record) = entity.record.filter(|s| context.bound.batch.score.selects(&s.name, &s.labels)) else {
            continue;
        };
        let mut rows = Vec::new();
        if let Some((models, span)) = waiting(context, &entity, record)? {
            for part in cut(&span, context.step()) {
                rows.extend(judged(context, &entity, &models, part, &mut outcome).await?);
            }
        }
        if rows.is_empty() {
            continue;
        }
        outcome.count("scores", rows.len());
        let column = Column {
            timestamps: rows.iter().map(|row| row.time).collect(),
            values: rows.iter().map(|row| row.score).collect(),
        };
        outcome.samples.push((record.labels.clone(), record.name.clone(), Kind::Gauge, column));
        outcome.scores.push((record.id, ScoreColumn { rows }));
    }
    if outcome.scores.is_empty() && outcome.state.is_none() {
        return Ok(Outcome::skipped("no entity has new points of all its features and a model"));
    }
    Ok(outcome)
}

type Models<'a> = Vec<(&'a BoundDetector, Arc<[u8]>)>;

/// The models of an entity, and the span that wants scores.
fn waiting<'a>(
    context: &JobContext<'a>,
    entity: &Entity<'_>,
    record: &SeriesRecord,
) -> Result<Option<(Models<'a>, Range<Millis>)>, Fault> {
    let policy = &context.bound.batch.score;
    let mut fitted: Option<Millis> = None;
    for detector in &context.bound.detectors {
        if let Some(model) = model(context, detector, record)?.filter(|m| entity.is_current(detector, m)) {
            fitted = Some(fitted.map_or(model.data.1, |end| end.min(model.data.1)));
        }
    }
    let (Some(fitted), Some((first, last))) = (fitted, entity.span()) else { return Ok(None) };
    let step = context.step();
    let end = (last.div_euclid(step) * step + step).min(context.grid_now());
    if let Some(span) = context.redone() {
        let span = span.start.max(first.div_euclid(step) * step)..span.end.min(end);
        return readable(context, entity, record, span);
    }
    let oldest = policy.max_n.map_or(Millis::MIN, |n| end - step * n as Millis);
    let start = record.scored.map_or(fitted, |scored| scored.div_euclid(step) * step + step);
    let start = start.max(oldest).max(context.grid_now() - policy.max_age_ms);
    readable(context, entity, record, start..end)
}

/// A span that is not empty, with the models that can be read.
fn readable<'a>(
    context: &JobContext<'a>,
    entity: &Entity<'_>,
    record: &SeriesRecord,
    span: Range<Millis>,
) -> Result<Option<(Models<'a>, Range<Millis>)>, Fault> {
    let mut models = Vec::new();
    for detector in context.bound.detectors.iter().filter(|_| !span.is_empty()) {
        let heads = context.store.heads(context.key(), &detector.entry.tag, &[record.id]);
        let head = heads.map_err(|e| context.store_fault(&e))?.pop().flatten();
        if let Some(model) = head.filter(|model| entity.is_current(detector, &model.metadata)) {
            models.push((detector, model.bytes));
        }
    }
    Ok((!models.is_empty()).then_some((models, span)))
}

/// The scores of a span.
async fn judged(
    context: &JobContext<'_>,
    entity: &Entity<'_>,
    models: &Models<'_>,
    span: Range<Millis>,
    outcome: &mut Outcome,
) -> Result<Vec<ScoreRow>, Fault> {
    let batch = &context.bound.batch;
    let grid = Grid::spanning(span.start, span.end, batch.judged.step_ms);
    let recent = entity.table(context, grid)?;
    let mut answers = Vec::new();
    for (detector, model) in models {
        let Some(judge) = &detector.judge else { continue };
        match judge.score(&context.call(), &detector.config, model, &recent).await {
            Ok(judged) => answers.push((*detector, judged)),
            Err(fault) if is_own(&fault) => {
                let Some(record) = entity.record else { continue };
                failed(context, detector, record, "scored", &fault, outcome);
            }
            Err(fault) => return Err(fault),
        }
    }
    let row = |index: usize| {
        let at = |values: &[f64]| values.get(index).copied().unwrap_or(f64::NAN);
        let verdict = |(detector, judged): &'_ (&BoundDetector, crate::plugin::Judged)| {
            let score = at(&judged.scores);
            let terms = judged.terms.iter().map(|term| (term.name.clone(), at(&term.values)));
            let mut terms: Vec<(String, f64)> = terms.filter(|(_, part)| part.is_finite()).collect();
            if models.len() > 1 && terms.is_empty() {
                terms.push((detector.entry.tag.clone(), score));
            }
            score.is_finite().then_some((score, terms))
        };
        let said: Vec<(f64, Vec<(String, f64)>)> = answers.iter().filter_map(verdict).collect();
        let said: Vec<Verdict<'_>> = (said.iter())
            .map(|(score, terms)| Verdict {
                score: *score,
                lower: f64::NAN,
                upper: f64::NAN,
                terms: terms.iter().map(|(name, part)| (name.as_str(), *part)).collect(),
            })
            .collect();
        let score = round(combine(batch.combination, &said)?, batch.score.rounding);
        Some(ScoreRow {
            time: grid.time(index),
            score,
            lower: f64::NAN,
            upper: f64::NAN,
            terms: if score >= batch.alert.threshold / 2.0 { largest(&said) } else { Vec::new() },
        })
    };
    Ok((0..grid.columns).filter_map(row).collect())
}
