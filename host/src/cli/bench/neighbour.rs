//! What a tenant notices of another one whose plugins attack without a pause.
//!
//! Tenant B has a run at fixed instants: a call with nothing to do, whose return is taken for
//! the start, then rows to score. They are as far apart as twice the CPU of a run, so that B needs
//! half a core at most. The runs are made with B alone, and while tenant A keeps more calls than
//! there are cores in loops, bombs, traps and floods of log lines: some of one, some of the
//! other, in turns, so that what else the machine does is the same for both.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use super::sandbox::Silent;
use super::walk::walk;
use super::{Budget, CliError, Figure, cores, median};
use crate::capability::kv::InMemory;
use crate::config::{Grants, Limits};
use crate::fault::Fault;
use crate::plugin::{Call, Catalogue, Detect, Runtime, Use};
use crate::series::{Grid, Matrix};

const STEP_MS: u32 = 60_000;
/// Rows of one run of B.
const ROWS: usize = 500;
/// Runs of B alone before as many beside A, and so on.
const STRETCH: usize = 20;
/// Calls of A at once, a core.
const ATTACKS: usize = 4;
/// What A does, in turns.
const KINDS: [&str; 5] = ["spin", "allocate", "spin-in-host-calls", "log-a-million-lines", "recurse"];

/// How long runs waited and took, in milliseconds.
#[derive(Default)]
struct Times {
    start: Vec<f64>,
    duration: Vec<f64>,
}

struct Tenant {
    detector: Arc<dyn Detect>,
    call: Call,
    recent: Matrix,
    models: Vec<Arc<[u8]>>,
}

impl Tenant {
    fn new(name: &str, plugin: &str, catalogue: &Catalogue) -> Result<Self, Fault> {
        let usage = Use {
            tenant: name.to_owned(),
            batch: "bench".to_owned(),
            grants: Grants::default(),
            secrets: BTreeMap::new(),
            timezone: chrono_tz::UTC,
            mail: None,
            kv: Arc::new(InMemory::default()),
            warm: false,
        };
        let detector = catalogue.get(plugin)?.detector(usage)?;
        let call = Call { now: 0, subject: format!("{name}/bench/score"), log: Arc::new(Silent) };
        let grid = Grid { start: 0, step_ms: STEP_MS, columns: 1 };
        let recent = Matrix { grid, rows: 1, values: vec![0.0] };
        Ok(Self { detector, call, recent, models: vec![Arc::from([])] })
    }

    /// Learns one row, and takes it for all.
    async fn learn(&mut self) -> Result<(), Fault> {
        let needs = self.detector.plan(&self.call, "{}", STEP_MS).await?;
        let row = walk(0, needs.history + 1);
        let part = |first: usize, columns: usize, rows: usize| {
            let start = i64::from(STEP_MS) * first as i64;
            let values = row.get(first..first + columns).unwrap_or_default().repeat(rows);
            Matrix { grid: Grid { start, step_ms: STEP_MS, columns }, rows, values }
        };
        let fitted = self.detector.fit(&self.call, "{}", &part(0, needs.history, 1), &self.models).await?;
        self.models = fitted.to_score().into_iter().cycle().take(ROWS).collect();
        self.recent = part(needs.history - needs.context, needs.context + 1, ROWS);
        Ok(())
    }

    /// One run: the milliseconds from when it was due to its start, and from there to its end.
    async fn run(&self, due: Instant) -> Result<(f64, f64), Fault> {
        self.detector.plan(&self.call, "{}", STEP_MS).await?;
        let started = Instant::now();
        self.detector.score(&self.call, "{}", &self.models, &self.recent, 1).await?;
        let ms = |span: Duration| span.as_secs_f64() * 1e3;
        Ok((ms(started.duration_since(due)), ms(started.elapsed())))
    }

    async fn runs(&self, count: usize, apart: Duration, times: &mut Times) -> Result<(), Fault> {
        let mut due = Instant::now();
        for _ in 0..count {
            // A run that is late does not make the next one late.
            due = (due + apart).max(Instant::now());
            tokio::time::sleep_until(due).await;
            let (start, duration) = self.run(due).await?;
            times.start.push(start);
            times.duration.push(duration);
        }
        Ok(())
    }

    /// Attacks until it is dropped.
    async fn attack(&self, first: usize) {
        for kind in KINDS.iter().cycle().skip(first) {
            let config = json!({"in": "score", "attack": kind}).to_string();
            // Every one of them fails.
            let _ = self.detector.score(&self.call, &config, &self.models, &self.recent, 1).await;
        }
    }
}

/// The value that 99 of 100 do not exceed.
fn p99(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len() * 99).div_ceil(100).saturating_sub(1);
    values.get(index).copied().unwrap_or_default()
}

pub(super) async fn measure(runs: usize, folder: &Path, evil: &Path) -> Result<[Figure; 2], CliError> {
    // A loop is ended after half a second, so that all kinds of attacks have their turn.
    let limits = Limits { call_cpu_ms: 500, instance_memory_bytes: 64 << 20, ..Limits::default() };
    let runtime = Runtime::new(&limits, &folder.join("cache"))?;
    let (catalogue, _) = Catalogue::load(&runtime, Some(evil)).await;
    let mut modest = Tenant::new("b", "robust", &catalogue)?;
    modest.learn().await?;
    let hostile = Tenant::new("a", "evil_detector", &catalogue)?;

    // The first run maps what the next ones find.
    modest.run(Instant::now()).await?;
    let account = runtime.account("b");
    let mut costs = Vec::new();
    for _ in 0..5 {
        let before = account.cpu_used();
        modest.run(Instant::now()).await?;
        costs.push((account.cpu_used() - before).as_secs_f64());
    }
    let apart = Duration::from_secs_f64(median(costs) * 2.0);
    let (mut quiet, mut noisy) = (Times::default(), Times::default());
    while noisy.start.len() < runs {
        let count = STRETCH.min(runs - noisy.start.len());
        modest.runs(count, apart, &mut quiet).await?;
        let attacks = join_all((0..ATTACKS * cores()).map(|number| hostile.attack(number)));
        tokio::select! {
            done = modest.runs(count, apart, &mut noisy) => done?,
            _ = attacks => return Err(CliError::other("the attacks ended")),
        }
    }

    let (start, duration) = ((p99(quiet.start), p99(noisy.start)), (p99(quiet.duration), p99(noisy.duration)));
    let most = (start.0 * 1.5).max(start.0 + 20.0);
    Ok([
        Figure::new("neighbour_start", "beside a tenant that attacks: delay of a start, p99", start.1, "ms")
            .against(start.0, "alone")
            .at_most(Budget::Value((most * 10.0).round() / 10.0)),
        Figure::new("neighbour_duration", "beside a tenant that attacks: a run, p99", duration.1, "ms")
            .against(duration.0, "alone")
            .at_most(Budget::Ratio(2.0)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_hundred_the_two_largest_are_left_out() {
        assert_eq!(p99((1..=200).map(f64::from).collect()), 198.0);
        assert_eq!(p99(vec![3.0]), 3.0);
        assert_eq!(p99(vec![]), 0.0);
    }
}
