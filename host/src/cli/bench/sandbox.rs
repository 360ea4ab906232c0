//! What a call into a component costs, and what the default detector takes in there.
//!
//! The calls are those of the pipeline (`plugin::Detect`), with all that they do on the way:
//! the thread, the place, the instance, the limits, the copies, the checks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::walk::walk;
use super::{Budget, CliError, Figure, RunNative, Size, median, timed};
use crate::capability::kv::InMemory;
use crate::config::{Grants, Limits};
use crate::engine::{Engine, Source};
use crate::eval::cpu_seconds;
use crate::fault::Fault;
use crate::plugin::{Call, Catalogue, Detect, Fitted, LogSink, Needs, Runtime, Use, bundled};
use crate::series::{Grid, Matrix, Millis};

/// The default detector: bundled, and what most calls go to.
const DETECTOR: &str = "robust";
/// The one for very large fleets.
const LIGHT: &str = "light";
const CONFIG: &str = "{}";
const STEP_MS: u32 = 60_000;
const START: Millis = 1_767_225_600_000;
/// Rows that are really fit; larger calls use their models again. A series each in the calls that are
/// put beside the native code: the models of few would stay in its cache, which no fleet's do.
const FITTED: usize = TOGETHER;
/// Rows of the calls that are put beside the native code: few enough for one call of one
/// thread, and enough that the crossing is no large part.
const TOGETHER: usize = 32;

/// Hears nothing.
#[derive(Debug)]
pub(super) struct Silent;

impl LogSink for Silent {
    fn line(&self, _: tracing::Level, _: &str, _: &str) {}
}

/// The detector in both ways to be bound, and what it is called with.
struct Subject {
    fresh: Arc<dyn Detect>,
    warm: Arc<dyn Detect>,
    call: Call,
    needs: Needs,
    rows: Vec<Vec<f64>>,
    models: Vec<Vec<u8>>,
    heads: Vec<Arc<[u8]>>,
}

impl Subject {
    async fn prepare(catalogue: &Catalogue, detector: &str) -> Result<Self, Fault> {
        let plugin = catalogue.get(detector)?;
        let usage = |warm| Use {
            tenant: "default".to_owned(),
            batch: "bench".to_owned(),
            grants: Grants::default(),
            secrets: BTreeMap::new(),
            timezone: chrono_tz::UTC,
            mail: None,
            kv: Arc::new(InMemory::default()),
            warm,
        };
        let (fresh, warm) = (plugin.detector(usage(false))?, plugin.detector(usage(true))?);
        let call = Call { now: START, subject: "default/bench/score".to_owned(), log: Arc::new(Silent) };
        let needs = warm.plan(&call, CONFIG, STEP_MS).await?;
        let rows = (0..FITTED).map(|row| walk(row, needs.history + 1)).collect();
        let mut subject = Self { fresh, warm, call, needs, rows, models: Vec::new(), heads: Vec::new() };
        for row in 0..FITTED {
            let fitted = subject.fit(row).await?;
            subject.heads.extend(fitted.to_score());
            subject.models.extend(fitted.models);
        }
        Ok(subject)
    }

    /// Fits a row to all but its last minute.
    async fn fit(&self, row: usize) -> Result<Fitted, Fault> {
        let history = self.matrix(row..row + 1, 0..self.needs.history);
        self.warm.fit(&self.call, CONFIG, &history, &[Arc::from([])]).await
    }

    /// A span of minutes of rows; there are no more than [`FITTED`] different ones.
    fn matrix(&self, rows: std::ops::Range<usize>, minutes: std::ops::Range<usize>) -> Matrix {
        let start = START + Millis::from(STEP_MS) * minutes.start as Millis;
        let grid = Grid { start, step_ms: STEP_MS, columns: minutes.len() };
        let mut values = Vec::with_capacity(rows.len() * minutes.len());
        for row in self.rows.iter().cycle().skip(rows.start).take(rows.len()) {
            values.extend_from_slice(row.get(minutes.clone()).unwrap_or_default());
        }
        Matrix { grid, rows: rows.len(), values }
    }

    /// The seconds that planning takes: the guest has next to nothing to do.
    async fn plan(&self, detector: &Arc<dyn Detect>, calls: usize) -> Result<f64, Fault> {
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            times.push(timed(detector.plan(&self.call, CONFIG, STEP_MS)).await?.1);
        }
        Ok(median(times))
    }

    /// The seconds that it takes to score the newest minute of so many rows.
    async fn score(&self, detector: &Arc<dyn Detect>, rows: usize, calls: usize) -> Result<f64, CliError> {
        Ok(median(self.score_times(detector, rows, calls).await?))
    }

    /// The seconds of CPU that a row takes when so many are scored together.
    async fn score_cpu(&self, rows: usize, calls: usize) -> Result<f64, CliError> {
        let begun = cpu_seconds();
        self.score_times(&self.warm, rows, calls).await?;
        Ok((cpu_seconds() - begun) / (rows * calls) as f64)
    }

    async fn score_times(&self, detector: &Arc<dyn Detect>, rows: usize, calls: usize) -> Result<Vec<f64>, CliError> {
        let recent = self.matrix(0..rows, self.needs.history - self.needs.context..self.needs.history + 1);
        let heads: Vec<_> = self.heads.iter().cycle().take(rows).cloned().collect();
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            let (scored, took) = timed(detector.score(&self.call, CONFIG, &heads, &recent, 1)).await?;
            if !scored.skipped.is_empty() || scored.scores.len() != rows {
                return Err(CliError::other(format!("{} of {rows} rows were not scored", scored.skipped.len())));
            }
            times.push(took);
        }
        Ok(times)
    }
}

pub(super) async fn measure(size: Size, folder: &Path, native: Option<RunNative<'_>>) -> Result<Vec<Figure>, CliError> {
    let limits = Limits::default();
    let cache = folder.join("cache");
    let load = async || {
        let runtime = Runtime::new(&limits, &cache)?;
        Ok::<_, Fault>(Catalogue::load(&runtime, None).await)
    };
    let ((catalogue, _), first) = timed(load()).await?;
    let mut figures = Vec::new();
    if size.compile {
        let mut later = Vec::new();
        for _ in 0..size.runs {
            later.push(timed(load()).await?.1);
        }
        let what = format!("first start: compile {} components", catalogue.iter().count());
        let figure = Figure::new("start_first", what, first * 1e3, "ms");
        figures.push(figure.against(median(later) * 1e3, "a later start"));
        figures.push(compile(size, folder, &limits).await?);
    }

    let subject = Subject::prepare(&catalogue, DETECTOR).await?;
    let empty = empty_call(&limits, &cache, size.calls).await?;
    let (fresh, warm) = (&subject.fresh, &subject.warm);
    subject.plan(fresh, size.calls / 10).await?;
    let plan = (subject.plan(fresh, size.calls).await?, subject.plan(warm, size.calls).await?);
    subject.score(warm, size.rows, 1).await?;
    let one = (subject.score(fresh, 1, size.calls).await?, subject.score(warm, 1, size.calls).await?);
    let many = subject.score_cpu(size.rows, size.runs * 3).await?;
    let same = "the same in a warm instance";
    let figure = |name, what: &str, seconds: f64, unit| Figure::new(name, what, seconds * 1e6, unit);
    figures.extend([
        figure("plan_fresh", "call with nothing to do, fresh instance", plan.0, "µs").against(plan.1 * 1e6, same),
        figure("plan_warm", "call with nothing to do, warm instance", plan.1, "µs")
            .against(empty * 1e6, "an empty native call there"),
        figure("score_row_fresh", "default detector: score 1 row, fresh", one.0, "µs").against(one.1 * 1e6, same),
        figure("score_row_warm", "default detector: score 1 row, warm", one.1, "µs"),
        figure("score_rows_warm", &format!("default detector: score {} rows, CPU", size.rows), many, "µs/row")
            .against(one.1 * 1e6, "a call for each row, elapsed")
            .at_most(Budget::Value(100.0)),
    ]);
    figures.extend(light(size, &Subject::prepare(&catalogue, LIGHT).await?).await?);
    if let Some(native) = native {
        figures.extend(beside_native(size, &subject, native).await?);
    }
    Ok(figures)
}

/// The least that a call can be: to the guests' threads and back.
async fn empty_call(limits: &Limits, cache: &Path, calls: usize) -> Result<f64, CliError> {
    let engine = Engine::new(limits, cache).map_err(CliError::other)?;
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let call = timed(engine.executor().run(std::future::ready(()))).await;
        times.push(call.map_err(|lost| CliError::other(lost.to_string()))?.1);
    }
    Ok(median(times))
}

/// The time to compile the detector, beside that to map what was compiled before.
async fn compile(size: Size, folder: &Path, limits: &Limits) -> Result<Figure, CliError> {
    let bytes: Arc<[u8]> = bundled(DETECTOR).unwrap_or_default().into();
    let (mut cold, mut cached) = (Vec::new(), Vec::new());
    for _ in 0..size.runs {
        let cache = tempfile::tempdir_in(folder)?;
        let engine = Engine::new(limits, cache.path()).map_err(CliError::other)?;
        for (times, from) in [(&mut cold, Source::Compiled), (&mut cached, Source::Cache)] {
            // Any digest will do in a cache of one.
            let ((_, source), took) =
                timed(engine.compile(Arc::clone(&bytes), DETECTOR)).await.map_err(CliError::other)?;
            if source != from {
                return Err(CliError::other(format!("the cache of compiled components gave {source:?}")));
            }
            times.push(took * 1e3);
        }
    }
    let figure = Figure::new("compile", "compile the default detector", median(cold), "ms");
    Ok(figure.against(median(cached), "mapping it from the cache"))
}

/// The detector for large fleets: a new point in a large call, a fit, and what it keeps.
async fn light(size: Size, subject: &Subject) -> Result<[Figure; 3], CliError> {
    subject.score(&subject.warm, size.rows, 1).await?;
    // A call takes little: as many as CPU time, which is told in hundredths of a second, needs.
    let point = subject.score_cpu(size.rows, size.calls).await?;
    let begun = cpu_seconds();
    for fit in 0..size.fits * 10 {
        subject.fit(fit % FITTED).await?;
    }
    let fit = (cpu_seconds() - begun) / (size.fits * 10) as f64;
    let bytes = subject.models.iter().map(Vec::len).max().unwrap_or(0);
    let what = format!("light detector: score {} rows, CPU", size.rows);
    Ok([
        Figure::new("light_score", what, point * 1e6, "µs/row").at_most(Budget::Value(2.0)),
        Figure::new("light_fit", "light detector: fit 1 row, CPU", fit * 1e3, "ms"),
        Figure::new("light_model", "light detector: what it keeps of a series", bytes as f64, "bytes")
            .at_most(Budget::Value(1024.0)),
    ])
}

/// The default detector here and the same code compiled for this machine, in turns.
async fn beside_native(size: Size, subject: &Subject, native: RunNative<'_>) -> Result<[Figure; 2], CliError> {
    let (mut fits, mut scores) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for _ in 0..size.runs {
        let native = native()?;
        fits.1.push(native.fit_ms);
        scores.1.push(native.score_us);
        let begun = cpu_seconds();
        for fit in 0..size.fits {
            subject.fit(fit % FITTED).await?;
        }
        fits.0.push((cpu_seconds() - begun) * 1e3 / size.fits as f64);
        scores.0.push(subject.score_cpu(TOGETHER, size.calls).await? * 1e6);
    }
    let against = "the same code, native";
    let fit = Figure::new("detector_fit", "default detector: fit 1 row, CPU", median(fits.0), "ms");
    let what = format!("default detector: score {TOGETHER} rows, CPU");
    let score = Figure::new("detector_score", what, median(scores.0), "µs/row");
    Ok([
        fit.against(median(fits.1), against).at_most(Budget::Ratio(1.3)),
        score.against(median(scores.1), against).at_most(Budget::Ratio(1.3)),
    ])
}
