//! One plain question: is this value what the season says?
//!
//! Two answers to what the season says: the median of what was at this time of the last seasons
//! ([`expectation`]), or a level and a season that follow the series ([`winters`]), whose state is
//! one season. Where there is no season it is a moving average. How odd a deviation is, is
//! calibrated on those of the past; and the band that charts show is the ordinary by that.
//!
//! A score depends on the model and the columns of [`context`] and nothing else.

use anomd_detector::{Cause, Descriptor, Detector, Error, Needs, RowScores, export_detector};
use serde::Deserialize;
use signal::odds::Direction;
use signal::period::Period;

pub mod expectation;
pub mod fit;
pub mod model;
pub mod winters;

#[cfg(test)]
mod tests;

use expectation::{MEMORY, Row, expectations};
use model::Model;

const SCHEMA: &str = include_str!("schema.json");
/// Columns of history that are learned from at most: ten days of minutes.
const HISTORY: u32 = 14_400;
const WEEK_MS: u32 = 604_800_000;
/// Values without which nothing is learned.
const LEAST: usize = 60;
/// The surprise at the edges of the band.
const EDGE: f32 = 4.0;

/// Five weeks, where that is not too much.
fn history(step_ms: u32) -> u32 {
    (5 * (WEEK_MS / step_ms.max(1))).clamp(500, HISTORY)
}

/// Columns between two fits: six hours of minutes, and no more at finer steps.
fn refit(step_ms: u32) -> u32 {
    (6 * 3_600_000 / step_ms.max(1)).clamp(12, 360)
}

/// Columns before a point that its score depends on: what a moving average remembers; what was not
/// learned yet, for smoothing.
pub fn context(algorithm: Algorithm, step_ms: u32) -> u32 {
    match algorithm {
        Algorithm::Median => MEMORY as u32,
        Algorithm::HoltWinters => 2 * refit(step_ms),
    }
}

/// A row of values on the grid.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// The values, oldest first; NaN where one is missing.
    pub values: &'a [f64],
    /// The column of the first, counted from the Unix epoch.
    pub start: i64,
    /// Milliseconds between columns.
    pub step_ms: u32,
}

impl<'a> From<anomd_detector::Row<'a>> for Series<'a> {
    fn from(row: anomd_detector::Row<'a>) -> Self {
        Self { values: row.values, start: row.start.div_euclid(i64::from(row.step.max(1))), step_ms: row.step }
    }
}

/// What says what a value should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// The last seasons themselves.
    #[default]
    Median,
    /// A level and a season that follow them.
    HoltWinters,
}

/// The configuration: nothing has to be set.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    algorithm: Algorithm,
    season: Period,
    alpha: f32,
    gamma: f32,
    direction: Direction,
}

impl Default for Config {
    fn default() -> Self {
        let (algorithm, season, direction) = Default::default();
        Self { algorithm, season, alpha: 0.1, gamma: 0.1, direction }
    }
}

/// The result for one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// 0 to 1; NaN where the value is missing.
    pub score: f64,
    /// What was expected.
    pub expected: f64,
    /// The lower edge of the ordinary.
    pub lower: f64,
    /// The upper edge.
    pub upper: f64,
    /// How odd the deviation is: −log10 of its probability.
    pub surprise: f64,
}

/// Judges the last `tail` values of a series.
pub fn judge(config: &Config, model: &Model, series: Series<'_>, tail: usize) -> Vec<Judgement> {
    let judged: Vec<f32> = series.values.iter().map(|&value| model.transform.apply(value)).collect();
    let first = judged.len().saturating_sub(tail);
    let row = Row { judged: &judged, start: series.start };
    let context = context(model.algorithm, model.step_ms) as usize;
    let expected = expectations(model, (config.alpha, config.gamma), row, first, context);
    let edge = model.odds.tail.score(EDGE);
    let judge = |(index, middle): (usize, f32)| {
        let column = series.start + index as i64;
        let spread = model.spread[model.phase(column)];
        let off = judged[index] - middle;
        // Of a first weekend nobody knows what it should be.
        let counts = config.direction.counts(off) && model.kinds.contain(column, model.step_ms);
        let surprise = if counts { model.odds.surprise(off.abs() / spread) } else { 0.0 };
        let judgeable = judged[index].is_finite() && middle.is_finite();
        let score = signal::odds::score(surprise, model.seen, model.step_ms);
        let (score, surprise) = if judgeable { (score, f64::from(surprise)) } else { (f64::NAN, f64::NAN) };
        Judgement {
            score,
            expected: model.transform.invert(middle),
            lower: model.transform.invert(middle - edge * spread),
            upper: model.transform.invert(middle + edge * spread),
            surprise,
        }
    };
    (first..judged.len()).zip(expected).map(judge).collect()
}

struct Seasonal;

impl Detector for Seasonal {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: "seasonal".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Holds a value against what it was at this time of the last seasons, or against Holt and \
                      Winters' forecast; a moving average where there is no season"
                .into(),
            config_schema: SCHEMA.into(),
            origins: vec![],
            secrets: vec![],
        }
    }

    fn plan(config: &Config, step: u32) -> Result<Needs, Error> {
        Ok(Needs { history: history(step), context: context(config.algorithm, step), refit: refit(step), joint: false })
    }

    fn fit(config: &Config, history: anomd_detector::Row<'_>, previous: &[u8]) -> Result<Vec<u8>, Cause> {
        let model = fit::fit(config, history.into(), Model::decode(previous));
        model.map(|model| model.encode()).ok_or(Cause::Warming)
    }

    fn score(config: &Config, model: &[u8], recent: anomd_detector::Row<'_>, tail: usize) -> Result<RowScores, Cause> {
        if model.is_empty() {
            return Err(Cause::Warming);
        }
        let model = Model::decode(model)
            .filter(|model| model.step_ms == recent.step && model.algorithm == config.algorithm)
            .ok_or_else(|| Cause::Failed("the model is of another layout or step: it has to be fit anew".into()))?;
        let judged = judge(config, &model, recent.into(), tail);
        let column = |of: fn(&Judgement) -> f64| judged.iter().map(of).collect::<Vec<_>>();
        // The same names in each row of a call.
        let (season, average) = match model.belief.season {
            Some(_) => (column(|j| j.surprise), vec![f64::NAN; judged.len()]),
            None => (vec![f64::NAN; judged.len()], column(|j| j.surprise)),
        };
        Ok(RowScores {
            scores: column(|j| j.score),
            expected: column(|j| j.expected),
            lower: column(|j| j.lower),
            upper: column(|j| j.upper),
            terms: vec![("seasonal-resid", season), ("ewma-resid", average)],
        })
    }
}

export_detector!(Seasonal);
