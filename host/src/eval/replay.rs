//! A series through a detector, as production would have called it.
//!
//! The component, the limits, the checks, the grid, the context, the slots of refits and the
//! rounding of scores are those of the pipeline. The store is not in the way: it would write
//! and read back what is already here, and what it does to values is none of a detector's
//! merit; that scores come out of it as they went in is its own tests' to show.
//!
//! *Causal*: each point is scored by the newest model that was fit before it, from the context
//! that the detector asked for: what the server does. *Batch*: one fit sees the whole series (as
//! much of it as the detector asks for), and scores all of it: what offline tables do. A figure
//! of the one track is not comparable with one of the other.

use std::sync::Arc;

use super::contender::{Contender, Member};
use super::dataset::{Labelled, in_order};
use crate::fault::{Blame, Fault};
use crate::plugin::{Call, Cause, LogSink, Needs};
use crate::series::{Aggregate, Grid, Matrix, Millis};

/// Columns that one call scores at most, as in production.
const TAIL_COLUMNS: usize = 1_440;
/// Values without which nothing is fit: `train_min_n` of a batch that says nothing.
const LEAST_VALUES: usize = 14;
/// Decimals of a score: `score_metric_rounding` of a batch that says nothing.
const ROUNDING: f64 = 1e4;

/// What a score may have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Track {
    /// Only what came before its point, and the point.
    #[default]
    Causal,
    /// The whole series.
    Batch,
}

/// The lower and the upper edge of what was expected, as exact as a store keeps them.
pub type Band = [f32; 2];

/// What came of a replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// One a row; NaN where there is none.
    pub scores: Vec<f64>,
    /// The band of the first detector that has one, one a row.
    pub bands: Vec<Option<Band>>,
    /// Models that were fit.
    pub fits: usize,
    /// The largest model, all detectors of the contender together, in bytes.
    pub model_bytes: usize,
    /// Calls that failed, each of which leaves its rows without score or without a new model.
    pub failed: usize,
    /// Why, the first time.
    pub failure: Option<String>,
    /// The season that the newest model knows, as the plugin tells: in seconds, or `none`.
    pub season: Option<String>,
}

/// Hears nothing.
#[derive(Debug)]
struct Silent;

impl LogSink for Silent {
    fn line(&self, _: tracing::Level, _: &str, _: &str) {}
}

/// Replays a series; a detector that leaves its refits to the batch is fit every `refit` columns.
pub async fn replay(contender: &Contender, series: &Labelled, track: Track, refit: usize) -> Result<Replayed, Fault> {
    let step = Millis::from(series.step_ms);
    let rows: Vec<(usize, Millis)> = in_order(&series.timestamps).collect();
    let (Some((_, first)), Some((_, last))) = (rows.first(), rows.last()) else { return Ok(Replayed::default()) };
    let grid = Grid::spanning(*first, last.div_euclid(step) * step + step, series.step_ms);
    let (times, values): (Vec<_>, Vec<_>) =
        rows.iter().filter_map(|(row, time)| Some((*time, *series.values.get(*row)?))).unzip();
    let values = grid.lay(&times, &values, Aggregate::Last);
    let mut replayed = Replayed::default();
    let mut sums = vec![(0.0, 0_u32); grid.columns];
    let mut bands: Vec<Option<Band>> = vec![None; grid.columns];
    for member in &contender.members {
        let mut row = Row {
            member,
            grid,
            values: &values,
            scores: vec![f64::NAN; grid.columns],
            bands: vec![None; grid.columns],
            replayed: &mut replayed,
            largest: 0,
        };
        row.run(track, refit).await?;
        let (scores, own, largest) = (row.scores, row.bands, row.largest);
        bands.iter_mut().zip(own).for_each(|(band, own)| *band = band.or(own));
        replayed.model_bytes += largest;
        for ((sum, votes), score) in sums.iter_mut().zip(scores).filter(|(_, score)| score.is_finite()) {
            *sum += score;
            *votes += 1;
        }
    }
    let combined = |column: usize| match sums.get(column) {
        Some((sum, votes)) if *votes > 0 => (sum / f64::from(*votes) * ROUNDING).round() / ROUNDING,
        _ => f64::NAN,
    };
    replayed.scores = vec![f64::NAN; series.timestamps.len()];
    replayed.bands = vec![None; series.timestamps.len()];
    for (row, time) in rows {
        let column = usize::try_from((time - grid.start).div_euclid(step)).unwrap_or(usize::MAX);
        if let Some((score, band)) = replayed.scores.get_mut(row).zip(replayed.bands.get_mut(row)) {
            (*score, *band) = (combined(column), bands.get(column).copied().flatten());
        }
    }
    Ok(replayed)
}

/// What a fit gave, for the next one and for scoring.
struct Model {
    whole: Arc<[u8]>,
    head: Arc<[u8]>,
}

/// One detector on one series.
struct Row<'a> {
    member: &'a Member,
    grid: Grid,
    values: &'a [f64],
    scores: Vec<f64>,
    bands: Vec<Option<Band>>,
    replayed: &'a mut Replayed,
    largest: usize,
}

impl Row<'_> {
    async fn run(&mut self, track: Track, refit: usize) -> Result<(), Fault> {
        let call = self.call(0);
        let needs = self.member.detect.plan(&call, &self.member.config, self.grid.step_ms).await?;
        let columns = self.grid.columns;
        if track == Track::Batch {
            if let Some(model) = self.fit(needs, columns, Arc::from([])).await? {
                self.score(needs, &model.head, 0..columns).await?;
            }
            return Ok(());
        }
        let refit = if needs.refit > 0 { needs.refit } else { refit.max(1) };
        let mut model: Option<Model> = None;
        let mut from = 0;
        while from < columns {
            // The next slot: a multiple of the span on the grid of all time.
            let place = (self.grid.time(from) / Millis::from(self.grid.step_ms)).rem_euclid(refit as Millis);
            let to = (from + refit - usize::try_from(place).unwrap_or(0)).min(columns);
            if place == 0 && from > 0 {
                let previous = model.as_ref().map_or_else(|| Arc::from([]), |model| Arc::clone(&model.whole));
                model = self.fit(needs, from, previous).await?.or(model);
            }
            if let Some(model) = &model {
                self.score(needs, &model.head, from..to).await?;
            }
            from = to;
        }
        Ok(())
    }

    fn call(&self, column: usize) -> Call {
        let now = self.grid.time(column);
        Call { now, subject: format!("default/eval/{now}"), log: Arc::new(Silent) }
    }

    /// The columns of a span, of which some may lie before the first: those are missing.
    fn matrix(&self, from: i64, to: usize) -> Matrix {
        let start = self.grid.start + Millis::from(self.grid.step_ms) * from;
        let before = usize::try_from(-from).unwrap_or(0);
        let first = usize::try_from(from).unwrap_or(0);
        let mut values = vec![f64::NAN; before];
        values.extend_from_slice(self.values.get(first..to).unwrap_or_default());
        Matrix { grid: Grid { start, step_ms: self.grid.step_ms, columns: values.len() }, rows: 1, values }
    }

    /// A model of the columns before `end`; `None` while there is too little to learn from.
    async fn fit(&mut self, needs: Needs, end: usize, previous: Arc<[u8]>) -> Result<Option<Model>, Fault> {
        let history = self.matrix(end.saturating_sub(needs.history) as i64, end);
        if history.values.iter().filter(|value| value.is_finite()).count() < LEAST_VALUES {
            return Ok(None);
        }
        let fitted = self.member.detect.fit(&self.call(end), &self.member.config, &history, &[previous]).await;
        let Some(fitted) = self.answered(fitted)? else { return Ok(None) };
        let head = fitted.to_score().pop();
        if let Some(skip) = fitted.skipped.into_iter().next() {
            self.note(skip.cause);
            return Ok(None);
        }
        self.replayed.fits += 1;
        let season = fitted.facts.into_iter().flatten().find(|(name, _)| name == "season");
        self.replayed.season = season.map(|(_, value)| value).or(self.replayed.season.take());
        let whole = fitted.models.into_iter().next().map(Arc::<[u8]>::from);
        self.largest = self.largest.max(whole.as_ref().map_or(0, |model| model.len()));
        Ok(whole.zip(head).map(|(whole, head)| Model { whole, head }))
    }

    async fn score(&mut self, needs: Needs, head: &Arc<[u8]>, span: std::ops::Range<usize>) -> Result<(), Fault> {
        let mut from = span.start;
        while from < span.end {
            let to = (from + TAIL_COLUMNS).min(span.end);
            let recent = self.matrix(from as i64 - needs.context as i64, to);
            let (call, models) = (self.call(to), [Arc::clone(head)]);
            let scored = self.member.detect.score(&call, &self.member.config, &models, &recent, to - from).await;
            let Some(scored) = self.answered(scored)? else {
                from = to;
                continue;
            };
            match scored.skipped.into_iter().next() {
                Some(skip) => self.note(skip.cause),
                None => {
                    let cells = self.scores.get_mut(from..to).into_iter().flatten();
                    cells.zip(scored.scores).for_each(|(cell, score)| *cell = score);
                    let edges = scored.lower.into_iter().zip(scored.upper);
                    let known = |(lower, upper): (f64, f64)| {
                        (lower.is_finite() && upper.is_finite()).then_some([lower as f32, upper as f32])
                    };
                    let cells = self.bands.get_mut(from..to).into_iter().flatten();
                    cells.zip(edges).for_each(|(cell, edges)| *cell = known(edges));
                }
            }
            from = to;
        }
        Ok(())
    }

    fn note(&mut self, cause: Cause) {
        if let Cause::Failed(why) = cause {
            self.failed(format!("{}: {why}", self.member.plugin));
        }
    }

    /// What a call gave. A component that fails fails this call, and is called again for the next
    /// rows: so does a run.
    fn answered<T>(&mut self, answer: Result<T, Fault>) -> Result<Option<T>, Fault> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(fault) if matches!(fault.blame, Blame::Plugin | Blame::Limit) => {
                self.failed(fault.to_string().lines().next().unwrap_or_default().to_owned());
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    fn failed(&mut self, why: String) {
        self.replayed.failed += 1;
        self.replayed.failure.get_or_insert(why);
    }
}
