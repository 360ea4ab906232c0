//! What a detector takes for a fleet of series: one fit of each, then minute after minute one
//! new point of all, in the calls that a batch makes. `tests/cost` puts it beside PyOD.
//!
//! Compiling the component and reading the series are not in it.

use std::path::Path;
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::CliError;
use crate::config::Environment;
use crate::eval::{Contender, Labelled, Member, Spec, find, peak_memory_bytes};
use crate::plugin::{Call, LogSink};
use crate::series::{Grid, Matrix, Millis};
use crate::{cli, node};

/// Columns that are scored after the fit.
const TAIL: usize = 60;
const STEP_MS: u32 = 60_000;
/// A measurement is made again until it has taken so many seconds of CPU.
const LEAST_SECONDS: f64 = 0.5;

/// Hears nothing.
#[derive(Debug)]
struct Silent;

impl LogSink for Silent {
    fn line(&self, _: tracing::Level, _: &str, _: &str) {}
}

/// Fits the detectors to all but the last 60 columns of the series in a folder and scores
/// those, all in one call and then a column a call. The answer has, of each detector, CPU
/// milliseconds a fit, microseconds a point in either way, columns between its fits and bytes
/// a model; and the mean scores, a row a series.
pub(super) async fn measure(global: &cli::Global, folder: &Path, spec: &Spec) -> Result<Value, CliError> {
    let config = cli::open::node_config(global, &Environment::of_process())?;
    let (catalogue, _) = node::load_plugins(&config).await?;
    let contender = Contender::bind(spec, &catalogue).await?;
    let series: Vec<Labelled> = find(folder)?.iter().map(|s| s.read(STEP_MS)).collect::<Result<_, _>>()?;
    let columns = series.iter().map(|s| s.values.len()).min().unwrap_or(0);
    if columns <= TAIL {
        return Err(CliError::Usage(format!("{} has no series of more than {TAIL} rows", folder.display())));
    }
    let fleet = Fleet { series, columns };
    let (mut members, mut sums) = (Vec::new(), vec![0.0; fleet.series.len() * TAIL]);
    for member in contender.members() {
        let (figures, scores) = fleet.run(member).await?;
        sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score);
        members.push(figures);
    }
    let mean = |sum: &f64| sum / members.len() as f64;
    let scores: Vec<Vec<f64>> = sums.chunks(TAIL).map(|row| row.iter().map(mean).collect()).collect();
    Ok(json!({
        "detector": spec.name, "series": fleet.series.len(), "history": columns - TAIL, "tail": TAIL,
        "optimised": !cfg!(debug_assertions), "members": members, "scores": scores,
        "peak_memory_bytes": peak_memory_bytes(),
    }))
}

/// Seconds that all threads of this process have run, ended ones too: finer than `eval` tells them,
/// since what is between two calls is left out.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

struct Fleet {
    series: Vec<Labelled>,
    /// Of the shortest.
    columns: usize,
}

impl Fleet {
    fn matrix(&self, columns: std::ops::Range<usize>) -> Matrix {
        let begun = self.series.first().and_then(|s| s.timestamps.first()).copied().unwrap_or_default();
        let start = begun + Millis::from(STEP_MS) * columns.start as Millis;
        let values =
            self.series.iter().flat_map(|s| s.values.get(columns.clone()).unwrap_or_default()).copied().collect();
        Matrix { grid: Grid { start, step_ms: STEP_MS, columns: columns.len() }, rows: self.series.len(), values }
    }

    async fn run(&self, member: &Member) -> Result<(Value, Vec<f64>), CliError> {
        let (detect, config) = (&member.detect, &member.config);
        let fitted_until = self.columns - TAIL;
        let now = self.matrix(self.columns..self.columns).grid.start;
        let call = Call { now, subject: "default/bench/fleet".to_owned(), log: Arc::new(Silent) };
        let needs = detect.plan(&call, config, STEP_MS).await?;
        let history = self.matrix(fitted_until.saturating_sub(needs.history)..fitted_until);
        let none: Vec<Arc<[u8]>> = vec![Arc::from([]); self.series.len()];

        // The first call makes the instances.
        let fitted = detect.fit(&call, config, &history, &none).await?;
        let without = |count: usize| CliError::other(format!("{}: {count} series have no result", member.plugin));
        if !fitted.skipped.is_empty() {
            return Err(without(fitted.skipped.len()));
        }
        let heads = fitted.to_score();
        let (mut fits, begun) = (0, cpu_seconds());
        while cpu_seconds() - begun < LEAST_SECONDS {
            detect.fit(&call, config, &history, &none).await?;
            fits += self.series.len();
        }
        let fit_ms = (cpu_seconds() - begun) * 1e3 / fits as f64;

        let context = |column: usize| column.saturating_sub(needs.context);
        let tail = self.matrix(context(fitted_until)..self.columns);
        let scored = detect.score(&call, config, &heads, &tail, TAIL).await?;
        if !scored.skipped.is_empty() {
            return Err(without(scored.skipped.len()));
        }
        let (mut points, begun) = (0, cpu_seconds());
        while cpu_seconds() - begun < LEAST_SECONDS {
            detect.score(&call, config, &heads, &tail, TAIL).await?;
            points += self.series.len() * TAIL;
        }
        let tail_us = (cpu_seconds() - begun) * 1e6 / points as f64;

        // A node has the columns of one tick at a time in memory, and so has this.
        let (mut points, mut seconds) = (0, 0.0);
        while seconds < LEAST_SECONDS {
            for column in fitted_until..self.columns {
                let tick = self.matrix(context(column)..column + 1);
                let begun = cpu_seconds();
                detect.score(&call, config, &heads, &tick, 1).await?;
                seconds += cpu_seconds() - begun;
                points += self.series.len();
            }
        }
        let tick_us = seconds * 1e6 / points as f64;
        let bytes = fitted.models.iter().map(Vec::len).sum::<usize>() / fitted.models.len();
        let figures = json!({
            "plugin": member.plugin, "refit": needs.refit, "fit_ms": fit_ms, "tail_us": tail_us, "tick_us": tick_us,
            "model_bytes": bytes,
        });
        Ok((figures, scored.scores))
    }
}
