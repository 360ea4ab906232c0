//! Score: judges the points that have no score yet.
//!
//! Each point is judged by the models that stand when its slot runs and from exactly the
//! context that the detector asked for, so how the points are cut into runs does not
//! change their scores. A span that is done once more is judged by the models of now. A series
//! without a model waits; it does not hold up the others.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::{BoundDetector, JobContext, Outcome, entity, train};
use crate::config::Combination;
use crate::fault::Fault;
use crate::plugin::Cause;
use crate::series::{Grid, Matrix, Millis};
use crate::store::{RunState, ScoreColumn, ScoreRow, SeriesId, SeriesRecord};

/// Columns that one call scores at most; a longer tail is cut.
const TAIL_COLUMNS: Millis = 1_440;

/// Series whose models are in memory together, where no detector wants all of the batch: of the
/// default detector that is 32 MB, however many series there are.
const SERIES_TOGETHER: usize = 512;

/// Spans, and the series that want them scored.
type Tails<'s> = Vec<(Range<Millis>, Vec<&'s SeriesRecord>)>;

/// What one detector says of one point.
pub(super) struct Verdict<'a> {
    pub score: f64,
    pub lower: f64,
    pub upper: f64,
    pub terms: Vec<(&'a str, f64)>,
}

pub(super) async fn run(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    if !context.bound.batch.entity_labels.is_empty() {
        return entity::score(context).await;
    }
    let mut outcome = Outcome::default();
    let mut series = context.store.series(context.key());
    series.retain(|s| context.bound.batch.score.selects(&s.name, &s.labels));
    let waiting = tails(context, &series)?;
    if waiting.is_empty() {
        return Ok(Outcome::skipped("no series has new points and a model"));
    }
    let joint = context.bound.detectors.iter().any(|detector| detector.needs.joint);
    let most = if joint { usize::MAX } else { SERIES_TOGETHER };
    let mut columns: BTreeMap<SeriesId, ScoreColumn> = BTreeMap::new();
    for (span, rows) in &waiting {
        for part in cut(span, context.step()) {
            for together in rows.chunks(most) {
                score(context, &part, together, &mut columns, &mut outcome).await?;
            }
        }
    }
    outcome.count("scores", columns.values().map(|c| c.rows.len()).sum());
    outcome.scores = columns.into_iter().filter(|(_, column)| !column.rows.is_empty()).collect();
    Ok(outcome)
}

/// Series by the span that they want scored: those that were scored together before are
/// together again, and share a matrix. A series whose model is damaged is among them, and warming.
fn tails<'s>(context: &JobContext<'_>, series: &'s [SeriesRecord]) -> Result<Tails<'s>, Fault> {
    let step = context.step();
    let policy = &context.bound.batch.score;
    let ids: Vec<_> = series.iter().map(|s| s.id).collect();
    let mut fitted: BTreeMap<SeriesId, Millis> = BTreeMap::new();
    for detector in &context.bound.detectors {
        let models = context.store.model_metadata(context.key(), &detector.entry.tag, &ids);
        for model in models.map_err(|e| context.store_fault(&e))?.into_iter().flatten() {
            if train::is_current(detector, &model) {
                let end = fitted.entry(model.series).or_insert(model.data.1);
                *end = (*end).min(model.data.1);
            }
        }
    }
    let redone = context.redone();
    let mut groups: BTreeMap<(Millis, Millis), Vec<&SeriesRecord>> = BTreeMap::new();
    for series in series {
        let (Some((first, last)), Some(fitted)) = (series.span, fitted.get(&series.id)) else { continue };
        let end = (last.div_euclid(step) * step + step).min(context.grid_now());
        if let Some(span) = &redone {
            let (start, end) = (span.start.max(first.div_euclid(step) * step), span.end.min(end));
            if start < end {
                groups.entry((start, end)).or_default().push(series);
            }
            continue;
        }
        let oldest = policy.max_n.map_or(Millis::MIN, |n| end - step * n as Millis);
        let start = series.scored.map_or(*fitted, |scored| scored.div_euclid(step) * step + step);
        let start = start.max(oldest).max(context.grid_now() - policy.max_age_ms);
        if start < end {
            groups.entry((start, end)).or_default().push(series);
        }
    }
    Ok(groups.into_iter().map(|((start, end), rows)| (start..end, rows)).collect())
}

pub(super) fn cut(span: &Range<Millis>, step: Millis) -> impl Iterator<Item = Range<Millis>> {
    let (end, part) = (span.end, step * TAIL_COLUMNS);
    std::iter::successors(Some(span.start), move |start| Some(start + part))
        .take_while(move |start| *start < end)
        .map(move |start| start..(start + part).min(end))
}

/// Scores one span of the given series with each detector and joins what they say.
async fn score(
    context: &JobContext<'_>,
    span: &Range<Millis>,
    series: &[&SeriesRecord],
    columns: &mut BTreeMap<SeriesId, ScoreColumn>,
    outcome: &mut Outcome,
) -> Result<(), Fault> {
    let batch = &context.bound.batch;
    let tail = Grid::spanning(span.start, span.end, batch.judged.step_ms);
    let mut verdicts: Vec<Vec<Verdict<'_>>> = Vec::new();
    verdicts.resize_with(series.len() * tail.columns, Vec::new);
    let several = context.bound.detectors.len() > 1;
    let mut calls = Vec::new();
    for detector in &context.bound.detectors {
        calls.push((detector, call(context, detector, &tail, series, outcome).await?));
    }
    for (detector, (rows, scored)) in &calls {
        for (row, index) in rows.iter().enumerate() {
            for column in 0..tail.columns {
                let cell = row * tail.columns + column;
                let at = |values: &[f64]| values.get(cell).copied().unwrap_or(f64::NAN);
                let score = at(&scored.scores);
                let Some(verdict) = verdicts.get_mut(index * tail.columns + column).filter(|_| score.is_finite())
                else {
                    continue;
                };
                let mut terms: Vec<(&str, f64)> = (scored.terms.iter())
                    .map(|term| (term.name.as_str(), at(&term.values)))
                    .filter(|(_, part)| part.is_finite())
                    .collect();
                if several && terms.is_empty() {
                    terms.push((&detector.entry.tag, score));
                }
                verdict.push(Verdict { score, lower: at(&scored.lower), upper: at(&scored.upper), terms });
            }
        }
    }
    for (cell, said) in verdicts.iter().enumerate() {
        let Some(score) = combine(batch.combination, said) else { continue };
        let (Some(series), time) = (series.get(cell / tail.columns), tail.time(cell % tail.columns)) else { continue };
        let band = said.iter().find(|v| v.lower.is_finite() && v.upper.is_finite());
        let score = round(score, batch.score.rounding);
        columns.entry(series.id).or_default().rows.push(ScoreRow {
            time,
            score,
            lower: band.map_or(f64::NAN, |v| v.lower),
            upper: band.map_or(f64::NAN, |v| v.upper),
            terms: if score >= batch.alert.threshold / 2.0 { largest(said) } else { Vec::new() },
        });
    }
    Ok(())
}

/// One detector's scores of the series that have a model, with the indices of those.
async fn call(
    context: &JobContext<'_>,
    detector: &BoundDetector,
    tail: &Grid,
    series: &[&SeriesRecord],
    outcome: &mut Outcome,
) -> Result<(Vec<usize>, crate::plugin::Scored), Fault> {
    let ids: Vec<_> = series.iter().map(|s| s.id).collect();
    let models = context.store.heads(context.key(), &detector.entry.tag, &ids).map_err(|e| context.store_fault(&e))?;
    let (mut rows, mut bytes): (Vec<usize>, Vec<Arc<[u8]>>) = (Vec::new(), Vec::new());
    for (index, model) in models.into_iter().enumerate() {
        if let Some(model) = model.filter(|m| train::is_current(detector, &m.metadata)) {
            rows.push(index);
            bytes.push(model.bytes);
        } else {
            outcome.count("warming", 1);
        }
    }
    if rows.is_empty() {
        return Ok((rows, crate::plugin::Scored::default()));
    }
    let step = context.step();
    let grid = Grid::spanning(tail.start - step * detector.needs.context as Millis, tail.end(), tail.step_ms);
    let ids: Vec<_> = rows.iter().filter_map(|index| ids.get(*index).copied()).collect();
    let columns =
        context.store.values(context.key(), &ids, grid.start..grid.end()).map_err(|e| context.store_fault(&e))?;
    let aggregate = context.bound.batch.judged.aggregate;
    let values = columns.iter().flat_map(|c| grid.lay(&c.timestamps, &c.values, aggregate)).collect();
    let recent = Matrix { grid, rows: rows.len(), values };
    let mut scored = detector.detect.score(&context.call(), &detector.config, &bytes, &recent, tail.columns).await?;
    // What the columns hold for a row without a result is ignored.
    for skip in std::mem::take(&mut scored.skipped) {
        let place = skip.row * tail.columns..(skip.row + 1) * tail.columns;
        if let Some(cells) = scored.scores.get_mut(place) {
            cells.fill(f64::NAN);
        }
        let name = rows.get(skip.row).and_then(|index| series.get(*index)).map_or("", |s| s.name.as_str());
        match skip.cause {
            Cause::Warming => outcome.count("warming", 1),
            Cause::Failed(why) => {
                outcome.count("failed", 1);
                outcome.state = Some(RunState::Partial);
                context.log.note(format!("{}: {name} was not scored: {why}", detector.entry.tag));
            }
        }
    }
    Ok((rows, scored))
}

pub(super) fn combine(how: Combination, said: &[Verdict<'_>]) -> Option<f64> {
    let scores = said.iter().map(|v| v.score);
    match how {
        Combination::Mean if said.is_empty() => None,
        Combination::Mean => Some(scores.sum::<f64>() / said.len() as f64),
        Combination::Min => scores.reduce(f64::min),
        Combination::Max => scores.reduce(f64::max),
    }
}

pub(super) fn largest(said: &[Verdict<'_>]) -> Vec<(String, f64)> {
    let mut terms: Vec<(String, f64)> =
        said.iter().flat_map(|v| &v.terms).map(|(name, part)| ((*name).to_owned(), *part)).collect();
    terms.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    terms.truncate(8);
    terms
}

pub(super) fn round(score: f64, decimals: u8) -> f64 {
    let scale = 10f64.powi(i32::from(decimals));
    (score * scale).round() / scale
}
