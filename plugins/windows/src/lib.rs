//! Detectors that see a whole series before they score it: for `anomd backtest`, and for tables
//! of such detectors.
//!
//! Windows are rebuilt from others ([`dictionary`]), what is left over is scanned over scales and
//! calibrated ([`scan`]). `algorithm` says what windows are rebuilt from:
//!
//! * `winknn-batch`: the most similar of some hundred windows that do not overlap it;
//! * `kmeans-win`: the nearest of a few centres;
//! * `pca-win`: the principal subspace of all.
//!
//! The contract gives a score only what came before its point. So `fit` does the work: it keeps
//! the scores of its history, and `score` answers a column of the history with what was found then,
//! whatever is passed. Such a score knew what came later. A column after the history is judged by
//! the windows that end there ([`live`]): these scores are causal, and less sharp.

use anomd_detector::{Cause, Descriptor, Detector, Error, Needs, Problem, Row, RowScores, export_detector};

pub mod cluster;
pub mod config;
pub mod dictionary;
pub mod live;
pub mod model;
pub mod prototype;
pub mod scan;
pub mod series;
pub mod subspace;

pub use config::{Algorithm, Config};
use dictionary::{Learnt, Residual};
use live::Live;
use model::{Model, Span};
use series::{Scaling, Series};

const SCHEMA: &str = include_str!("schema.json");
/// Columns of a history: two bytes each leave room for the rest of a model of 1 MiB.
const HISTORY: u32 = 250_000;
/// A history has at least so many windows' lengths.
const WINDOWS: usize = 8;
/// The shortest window, whatever is configured.
const SHORTEST: usize = 8;

/// The statistic of a history, one a column, and what judges columns after it.
pub fn judge(config: &Config, values: &[f64]) -> Result<(Vec<f64>, Live), Cause> {
    let scaling = Scaling::of(values).ok_or(Cause::Warming)?;
    let series = Series::new(values, scaling);
    let longest = series.len() / WINDOWS;
    if longest < SHORTEST {
        return Err(Cause::Warming);
    }
    let mut lengths: Vec<usize> = config.windows.iter().map(|length| (*length).min(longest)).collect();
    lengths.sort_unstable();
    lengths.dedup();
    // Views of different lengths leave different amounts over: each counts in units of its own mean.
    let mut together = vec![0.0; series.len()];
    let mut trusts = vec![(0.0, 0.0f64); series.len()];
    let mut views = Vec::new();
    for length in lengths {
        let learnt = Learnt::of(config, &series, length, config.references())?;
        let Residual { columns, trust, mean } = learnt.residual(&series);
        let cells = together.iter_mut().zip(&mut trusts).zip(columns.iter().zip(trust));
        for ((sum, (all, most)), (square, trust)) in cells.filter(|(_, (square, _))| square.is_finite()) {
            *sum += trust * square / mean.max(f64::MIN_POSITIVE);
            *all += trust;
            *most = most.max(trust);
        }
        views.push((learnt, mean));
    }
    for (sum, (all, _)) in together.iter_mut().zip(&trusts) {
        *sum = if *all > 0.0 { *sum / all } else { f64::NAN };
    }
    // At an end and beside a gap few windows say something: what they lack counts as ordinary.
    let mut known: Vec<f64> = together.iter().copied().filter(|v| v.is_finite()).collect();
    let ordinary = scan::quantile(&mut known, 0.5);
    together.iter_mut().zip(trusts).for_each(|(v, (_, trust))| *v = trust * *v + (1.0 - trust) * ordinary);
    let widths: Vec<usize> = config.scales.iter().map(|width| (*width).min(longest * 2)).collect();
    let statistic = scan::scan(&together, &widths);
    Ok((statistic, Live::of(config, &series, scaling, views)?))
}

/// The component.
pub struct Windows;

impl Detector for Windows {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Scores a history with all of it in view, by what no other part of it looks like: \
                      winknn-batch, kmeans-win, pca-win"
                .into(),
            config_schema: SCHEMA.into(),
            origins: vec![],
            secrets: vec![],
        }
    }

    fn check(config: &Config) -> Vec<Problem> {
        config.problems()
    }

    fn plan(config: &Config, _step: u32) -> Result<Needs, Error> {
        // The batch says when: a fit is made to look back, and costs seconds.
        Ok(Needs { history: HISTORY, context: config.longest() as u32, refit: 0, joint: false })
    }

    fn fit(config: &Config, history: Row<'_>, _previous: &[u8]) -> Result<Vec<u8>, Cause> {
        let first = history.values.iter().position(|v| v.is_finite()).ok_or(Cause::Warming)?;
        let (statistic, live) = judge(config, &history.values[first..])?;
        let calibration = scan::Calibration::of(&statistic);
        let scores: Vec<f64> = statistic.iter().map(|s| calibration.score(*s)).collect();
        let start = history.start + first as i64 * i64::from(history.step);
        Ok(model::encode(Span { start, step: history.step }, &scores, &live))
    }

    fn score(config: &Config, model: &[u8], recent: Row<'_>, tail: usize) -> Result<RowScores, Cause> {
        let model = Model::open(model)?;
        if model.step() != recent.step {
            return Err(Cause::Failed("the model is of another step; train the batch again".into()));
        }
        let mut live = None;
        let mut scores = Vec::with_capacity(tail);
        let context = config.longest();
        for column in recent.values.len().saturating_sub(tail)..recent.values.len() {
            let time = recent.start + column as i64 * i64::from(recent.step);
            if let Some(known) = model.known(time) {
                scores.push(known);
                continue;
            }
            let (live, room) = match &mut live {
                Some(both) => both,
                None => {
                    let read = model.live()?;
                    let room = read.room();
                    live.insert((read, room))
                }
            };
            // The point and its context, and nothing else that the call may have.
            scores.push(live.score(&recent.values[column.saturating_sub(context)..=column], room));
        }
        Ok(RowScores { scores, ..RowScores::default() })
    }
}

export_detector!(Windows);

#[cfg(test)]
mod tests;
