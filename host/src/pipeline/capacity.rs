//! Capacity: finds trends that are on their way to a limit, and when they will reach it.
//!
//! A limit has a detector of its own, beside those of `model_configs`, on a grid of its own
//! that is as coarse as its horizon is long. Its models are fit here, at the slots that the
//! detector asks for, so that a point is judged by the model of its slot however late it is
//! judged. The first time a series is looked at, its newest column alone is judged.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::raise::{Policy, Raise};
use super::{BoundDetector, JobContext, Outcome, train};
use crate::alert::{Outlook, Point, PolicyRecord};
use crate::config::{Bounds, CapacityPolicy, CapacityUse};
use crate::fault::Fault;
use crate::message::AlertKind;
use crate::plugin::{Cause, Scored};
use crate::series::{Aggregate, Grid, Labels, Matrix, Millis};
use crate::store::{ModelRecord, ModelWrite, RunState, SeriesId, SeriesRecord, StoreError};

/// Columns of a series that one run judges at most: what is older is no news.
const MOST_COLUMNS: Millis = 1_008;

pub(super) async fn run(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    let policy = &context.bound.batch.capacity;
    if !policy.enabled {
        return Ok(Outcome::skipped("no trend is watched: write `capacity_limits`"));
    }
    let mut raise = Raise::new(context)?;
    let all = context.store.series(context.key());
    let mut fits = Fits::default();
    for series in &all {
        let Some(index) = policy.limit(&series.name, &series.labels) else { continue };
        let (Some(limit), Some(detector)) = (policy.limits.get(index), context.bound.capacity.get(index)) else {
            continue;
        };
        let whole = match &limit.of {
            None => None,
            Some(name) => match all.iter().find(|other| is_whole(other, name, series)) {
                Some(whole) => Some(whole.id),
                None => {
                    context.log.note(format!("{}: there is no {name} with its labels", series.name));
                    fits.lost = true;
                    continue;
                }
            },
        };
        let watch = Watch { context, limit, detector, series, whole };
        watch.run(&mut raise, &mut fits).await?;
    }
    let mut outcome = raise.finish("no new points, or too little history")?;
    if !fits.models.is_empty() {
        outcome.state = None;
        outcome.count("models", fits.models.len());
    }
    if fits.lost {
        outcome.state = Some(RunState::Partial);
    }
    outcome.count("warming", fits.warming);
    outcome.models.extend(fits.models.into_values());
    Ok(outcome)
}

/// Whether a series is the whole of which another is a part: of that name, and with its labels.
fn is_whole(whole: &SeriesRecord, name: &str, part: &SeriesRecord) -> bool {
    let named = whole.labels.get(Labels::NAME) == Some(name) || whole.name == name;
    let rest = |labels: &Labels| {
        let rest = labels.iter().filter(|(label, _)| *label != Labels::NAME);
        rest.map(|(label, value)| (label.to_owned(), value.to_owned())).collect::<Vec<_>>()
    };
    named && whole.id != part.id && rest(&whole.labels) == rest(&part.labels)
}

/// What was fit in a run: the newest model of each series.
#[derive(Default)]
struct Fits {
    models: BTreeMap<SeriesId, ModelWrite>,
    warming: usize,
    /// Something was not judged that should have been.
    lost: bool,
}

/// A series and its limit.
struct Watch<'a> {
    context: &'a JobContext<'a>,
    limit: &'a CapacityUse,
    detector: &'a BoundDetector,
    series: &'a SeriesRecord,
    /// The series that the limit is a share of.
    whole: Option<SeriesId>,
}

/// Columns of a series: what came, and what is judged of it.
struct Columns {
    grid: Grid,
    values: Vec<f64>,
    /// The same, or the share of the whole.
    judged: Vec<f64>,
    /// The limit in the unit of the series.
    scale: Vec<f64>,
}

impl Watch<'_> {
    async fn run(&self, raise: &mut Raise<'_>, fits: &mut Fits) -> Result<(), Fault> {
        let step = Millis::from(self.limit.step_ms);
        let Some((_, last)) = self.series.span else { return Ok(()) };
        let policy = Policy::new(PolicyRecord::capacity(self.limit, &self.context.bound.batch.alert));
        let now = (self.context.now() - self.context.bound.batch.ingest.delay_ms).div_euclid(step) * step;
        let end = (last.div_euclid(step) * step + step).min(now);
        let seen = raise.seen(self.series, AlertKind::Capacity);
        let first = seen.map_or(end - step, |seen| seen + step).max(end - MOST_COLUMNS * step);
        if first >= end {
            return raise.end_if_gone(self.series, &policy, step);
        }
        let refit = step * Millis::try_from(self.detector.needs.refit.max(1)).unwrap_or(1);
        let mut points = Vec::new();
        let mut from = first;
        while from < end {
            let slot = from.div_euclid(refit) * refit;
            let to = end.min(slot + refit);
            if let Some(model) = self.model(slot, fits).await? {
                points.extend(self.judge(&model, from, to, fits).await?);
            }
            from = to;
        }
        raise.watch(self.series, &policy, &points)?;
        let foreseen = |point: &&Point| point.terms.iter().any(|(name, _)| Outlook::is_term(name));
        match points.iter().rev().find(foreseen).filter(|point| point.score >= policy.record.threshold / 2.0) {
            Some(newest) => raise.renew(self.series, AlertKind::Capacity, newest),
            None => Ok(()),
        }
    }

    /// The head of the model of a slot: of the one that is kept, or of a new one; `None` where there
    /// is too little history.
    async fn model(&self, slot: Millis, fits: &mut Fits) -> Result<Option<Arc<[u8]>>, Fault> {
        if let Some(fit) = fits.models.get(&self.series.id).filter(|fit| fit.slot == slot) {
            return Ok(Some(fit.bytes.get(..fit.head).unwrap_or(&fit.bytes).into()));
        }
        let context = self.context;
        let kept = |read: Result<Vec<Option<ModelRecord>>, StoreError>| {
            let kept = read.map_err(|e| context.store_fault(&e))?.pop().flatten();
            Ok::<_, Fault>(kept.filter(|model| train::is_current(self.detector, &model.metadata)))
        };
        let (key, tag, series) = (context.key(), CapacityPolicy::TAG, [self.series.id]);
        if let Some(head) = kept(context.store.heads(key, tag, &series))?.filter(|head| head.metadata.slot >= slot) {
            return Ok(Some(head.bytes));
        }
        let step = Millis::from(self.limit.step_ms);
        let length = step * Millis::try_from(self.detector.needs.history).unwrap_or(0);
        let begin = self.series.span.map_or(slot, |(first, _)| first).max(slot - length);
        let columns = self.columns(Grid::spanning(begin, slot, self.limit.step_ms))?;
        if columns.grid.columns == 0 {
            fits.warming += 1;
            return Ok(None);
        }
        let data = (columns.grid.start, columns.grid.end());
        let matrix = Matrix { grid: columns.grid, rows: 1, values: columns.judged };
        let previous =
            kept(context.store.models(key, tag, &series))?.map_or_else(|| Arc::from([]), |model| model.bytes);
        let detector = self.detector;
        let mut fitted = detector.detect.fit(&context.call(), &detector.config, &matrix, &[previous]).await?;
        if let Some(skip) = fitted.skipped.pop() {
            self.skipped(skip.cause, fits);
            return Ok(None);
        }
        let head = fitted.to_score().pop();
        let (Some(bytes), Some(head)) = (fitted.models.pop(), head) else { return Ok(None) };
        let write = ModelWrite {
            series: self.series.id,
            tag: CapacityPolicy::TAG.to_owned(),
            plugin: detector.entry.plugin.clone(),
            plugin_digest: detector.plugin_digest.clone(),
            config_digest: detector.config_digest.clone(),
            slot,
            data,
            left_out: 0,
            facts: fitted.facts.pop().unwrap_or_default(),
            head: head.len(),
            bytes,
        };
        fits.models.insert(self.series.id, write);
        Ok(Some(head))
    }

    /// The points of a span, by one model.
    async fn judge(&self, model: &Arc<[u8]>, from: Millis, to: Millis, fits: &mut Fits) -> Result<Vec<Point>, Fault> {
        let (step, detector) = (Millis::from(self.limit.step_ms), self.detector);
        let before = step * Millis::try_from(detector.needs.context).unwrap_or(0);
        let Columns { grid, values, judged, scale } =
            self.columns(Grid::spanning(from - before, to, self.limit.step_ms))?;
        let tail = usize::try_from((to - from) / step).unwrap_or(0);
        let first = grid.columns.saturating_sub(tail);
        let matrix = Matrix { grid, rows: 1, values: judged };
        let call = self.context.call();
        let models = std::slice::from_ref(model);
        let mut scored = detector.detect.score(&call, &detector.config, models, &matrix, tail).await?;
        if let Some(skip) = scored.skipped.pop() {
            self.skipped(skip.cause, fits);
            return Ok(Vec::new());
        }
        let at = |row: &[f64], index: usize| row.get(index).copied().unwrap_or(f64::NAN);
        let Bounds { lower, upper } = self.limit.bounds;
        let point = |index: usize| {
            let scale = at(&scale, first + index);
            let edge = |edge: Option<f64>| edge.map_or(f64::NAN, |edge| edge * scale);
            Point {
                time: matrix.grid.time(first + index),
                value: at(&values, first + index),
                score: at(&scored.scores, index),
                lower: edge(lower),
                upper: edge(upper),
                terms: forecast(&scored, index),
            }
        };
        Ok((0..tail).map(point).filter(|point| point.score.is_finite()).collect())
    }

    fn skipped(&self, cause: Cause, fits: &mut Fits) {
        match cause {
            Cause::Warming => fits.warming += 1,
            Cause::Failed(why) => {
                fits.lost = true;
                self.context.log.note(format!("capacity: {} was not judged: {why}", self.series.name));
            }
        }
    }

    fn columns(&self, grid: Grid) -> Result<Columns, Fault> {
        let context = self.context;
        let ids: Vec<SeriesId> = std::iter::once(self.series.id).chain(self.whole).collect();
        let columns = context.store.values(context.key(), &ids, grid.start..grid.end());
        let mut rows = columns.map_err(|e| context.store_fault(&e))?.into_iter();
        let mut lay = || rows.next().map(|row| grid.lay(&row.timestamps, &row.values, Aggregate::Mean));
        let values = lay().unwrap_or_default();
        let scale = match self.whole {
            None => vec![1.0; values.len()],
            // The whole changes seldom: what is missing is what it was.
            Some(_) => held(lay().unwrap_or_default()),
        };
        let judged = values.iter().zip(&scale).map(|(value, scale)| value / scale);
        // What is divided by nothing is not known.
        let judged = judged.map(|share| if share.is_finite() { share } else { f64::NAN }).collect();
        Ok(Columns { grid, values, judged, scale })
    }
}

/// The forecast of a cell.
fn forecast(scored: &Scored, index: usize) -> Vec<(String, f64)> {
    let terms = scored.terms.iter().filter(|term| Outlook::is_term(&term.name));
    let known = terms.filter_map(|term| Some((term.name.clone(), *term.values.get(index)?)));
    known.filter(|(_, hours)| hours.is_finite()).collect()
}

/// A row in which what is missing is the value before it; at the beginning, the first after it.
fn held(mut row: Vec<f64>) -> Vec<f64> {
    let mut last = row.iter().copied().find(|value| value.is_finite()).unwrap_or(f64::NAN);
    for value in &mut row {
        if value.is_finite() {
            last = *value;
        } else {
            *value = last;
        }
    }
    row
}
