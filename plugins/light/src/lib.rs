//! The light detector: for very large fleets. What it keeps of a series is less than 1 kB, and a
//! new point takes a microsecond or two.
//!
//! It looks for what the default detector looks for, with means that need little memory: a
//! seasonal profile of medians, a linear prediction, means of minutes and of an hour, and a few
//! shapes. See [`columns`] for the parts and [`judge`] for what becomes of them.
//!
//! A score depends on the model, the newest [`columns::CONTEXT`] columns and nothing else. The
//! state does not change from point to point: a kilobyte a series written at every minute would
//! cost a host far more than the 70 columns that are read again.

use anomd_detector::bindings::exports::anomd::plugin::detect;
use anomd_detector::{
    Cause, Descriptor, Detector, Error, Fitted, Matrix, Needs, Row, RowScores, Scored, Skip, Term, export_detect, glue,
    guest, rows,
};
use serde::Deserialize;
use signal::odds::Direction;
use signal::period::Period;

pub mod calendar;
pub mod columns;
mod eights;
pub mod fit;
pub mod judge;
pub mod model;
pub mod plain;

#[cfg(test)]
mod tests;

use columns::{Columns, Part};
use model::{Model, PARTS};

const SCHEMA: &str = include_str!("schema.json");
/// Columns of history that are learned from: ten days of minutes.
pub const HISTORY: u32 = 14_400;
/// Values without which nothing is learned.
pub const LEAST: usize = 60;

/// Columns between two fits: a day; half of it of minutes, and no more at finer steps.
pub fn refit(step_ms: u32) -> u32 {
    (24 * 3_600_000 / step_ms.max(1)).clamp(24, 720)
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

impl<'a> From<Row<'a>> for Series<'a> {
    fn from(row: Row<'a>) -> Self {
        Self { values: row.values, start: row.start.div_euclid(i64::from(row.step.max(1))), step_ms: row.step }
    }
}

/// The configuration: nothing has to be set.
#[derive(Debug, Default, Deserialize)]
pub struct Config {
    /// Found in the data, if it is not set.
    #[serde(default)]
    season: Period,
    #[serde(default)]
    direction: Direction,
}

struct Light;

impl Detector for Light {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: "light".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "For very large fleets: a kilobyte of state a series, a microsecond or two a point. \
                      Knows days and weekends; needs no configuration"
                .into(),
            config_schema: SCHEMA.into(),
            origins: vec![],
            secrets: vec![],
        }
    }

    fn plan(_: &Config, step: u32) -> Result<Needs, Error> {
        let context = (columns::CONTEXT - 1) as u32;
        Ok(Needs { history: HISTORY, context, refit: refit(step), joint: false })
    }

    fn fit(config: &Config, history: Row<'_>, previous: &[u8]) -> Result<Vec<u8>, Cause> {
        let model = fit::fit(config.season, history.into(), Model::decode(previous));
        model.map(|model| model.encode()).ok_or(Cause::Warming)
    }

    fn score(config: &Config, model: &[u8], recent: Row<'_>, tail: usize) -> Result<RowScores, Cause> {
        let mut scored = Scores::new(1, tail);
        scored.row(0, config, model, recent, tail)?;
        let terms = Part::ALL.iter().map(Part::name).zip(scored.terms).collect();
        let [scores, expected, lower, upper] = scored.columns;
        Ok(RowScores { scores, expected, lower, upper, terms })
    }
}

/// The columns of a call as they are returned: with a point a row, lists for each row would take as
/// long as the scores.
struct Scores {
    row: Columns,
    /// Scores, expected, lower, upper.
    columns: [Vec<f64>; 4],
    terms: [Vec<f64>; PARTS],
}

impl Scores {
    fn new(rows: usize, tail: usize) -> Self {
        let column = || vec![f64::NAN; rows.saturating_mul(tail)];
        Self {
            row: Columns::default(),
            columns: std::array::from_fn(|_| column()),
            terms: std::array::from_fn(|_| column()),
        }
    }

    /// Fills in a row.
    fn row(&mut self, row: usize, config: &Config, model: &[u8], recent: Row<'_>, tail: usize) -> Result<(), Cause> {
        if model.is_empty() {
            return Err(Cause::Warming);
        }
        let model = &Model::decode(model);
        let Some(model) = model.as_ref().filter(|model| model.step_ms == recent.step) else {
            return Err(Cause::Failed("the model is of another layout or step: it has to be fit anew".into()));
        };
        let judged = judge::judge(model, config.direction, recent.into(), tail, &mut self.row);
        for (cell, judged) in (row * tail..).zip(judged) {
            let said = [judged.score, judged.expected, judged.lower, judged.upper];
            let votes = judged.votes.map(f64::from);
            let put = |(column, value): (&mut Vec<f64>, f64)| {
                if let Some(at) = column.get_mut(cell) {
                    *at = value;
                }
            };
            self.columns.iter_mut().zip(said).for_each(put);
            self.terms.iter_mut().zip(votes).for_each(put);
        }
        Ok(())
    }
}

struct Detect;

impl detect::Guest for Detect {
    fn plan(config: String, step: u32) -> Result<Needs, Error> {
        glue::plan::<Light>(&config, step)
    }

    fn fit(config: String, history: Matrix, previous: Vec<Vec<u8>>) -> Result<Fitted, Error> {
        glue::fit::<Light>(&config, history, previous)
    }

    fn score(config: String, models: Vec<Vec<u8>>, recent: Matrix, tail: u32) -> Result<Scored, Error> {
        guest::report_panics();
        let config: Config = guest::parse(&config)?;
        let tail = tail as usize;
        let mut scores = Scores::new(models.len(), tail);
        let mut skipped = Vec::new();
        for (row, (recent, model)) in rows(&recent).zip(&models).enumerate() {
            if let Err(cause) = scores.row(row, &config, model, recent, tail) {
                skipped.push(Skip { row: row as u32, cause });
            }
        }
        let terms = Part::ALL.iter().zip(scores.terms);
        let terms = terms.map(|(part, values)| Term { name: part.name().into(), values }).collect();
        let [scores, expected, lower, upper] = scores.columns;
        Ok(Scored { scores, expected, lower, upper, terms, skipped })
    }
}

export_detect!(Light, Detect);
