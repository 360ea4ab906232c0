//! `anomd bench`: what the store and the sandbox cost on this machine.
//!
//! A figure is a median, where it does not say otherwise. Of what takes long it is CPU time, since
//! others may use the machine. Where something comparable can be done without anomd, it is done in
//! the same run, on the same disk and cores, and the figure stands beside the ratio: an
//! absolute number says as much of the machine as of the program. Nothing here decides
//! whether a number is good enough; what the design promises is printed beside it.

mod dashboard;
mod fleet;
mod neighbour;
mod plain;
mod sandbox;
mod storage;
mod walk;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{CliError, Global, output};
use crate::eval::Spec;
use crate::schedule::{Clock as _, SystemClock};
use crate::store;

#[derive(Args)]
pub(super) struct BenchArgs {
    /// A small run, for a first look: its figures are rough.
    #[arg(long)]
    quick: bool,
    /// The example `native` of `plugins/robust`, which runs the default detector's code
    /// natively; `make bench` builds it. Without it that comparison is left out.
    #[arg(long, value_name = "PROGRAM")]
    native: Option<PathBuf>,
    /// The folder of the guests that attack, `plugins/dist/test`; `make plugins` builds them.
    /// Without it nobody disturbs the neighbour, and that comparison is left out.
    #[arg(long, value_name = "FOLDER")]
    evil: Option<PathBuf>,
    /// Measures this part alone; can be given again.
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<Part>,
    /// Series in the store.
    #[arg(long, value_name = "NUMBER")]
    series: Option<usize>,
    /// Points of each series in the store, a commit each.
    #[arg(long, value_name = "NUMBER")]
    ticks: Option<usize>,
    /// Measures nothing but what a detector takes for the series in a folder, each a csv with the
    /// columns `value` and `label`; answers with JSON. `make cost` puts it beside PyOD.
    #[arg(long, value_name = "FOLDER")]
    fleet: Option<PathBuf>,
    /// Leaves what the dashboard is measured with in this folder, which must not be there yet, as the
    /// data of a node. `make bench` opens it in a browser.
    #[arg(long, conflicts_with = "fleet", value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// The detector of --fleet: `robust`, `pca+knn`.
    #[arg(long, default_value = "robust", value_name = "DETECTOR", requires = "fleet")]
    detector: Spec,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Writing, sealing and reading points.
    Store,
    /// What pages take of a batch of thousands of series.
    Dashboard,
    /// Compiling components and calling them.
    Sandbox,
    /// What a tenant notices of another one that attacks; needs --evil.
    Neighbour,
}

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Size {
    /// Points of each store.
    store: store::bench::Size,
    /// Whole runs whose median is taken.
    runs: usize,
    /// Calls whose median is taken.
    calls: usize,
    /// Fits whose median is taken.
    fits: usize,
    /// Rows of the large calls.
    rows: usize,
    /// Whether compiling is measured; it takes seconds.
    compile: bool,
    /// Runs of a tenant beside one that attacks.
    neighbour: usize,
    /// The batch that the dashboard shows.
    dashboard: dashboard::Size,
}

impl Size {
    const FULL: Self = Self {
        store: store::bench::Size { series: 2_000, ticks: 1_000 },
        runs: 3,
        calls: 300,
        fits: 48,
        rows: 1_000,
        compile: true,
        neighbour: 200,
        dashboard: dashboard::Size { series: 5_000, days: 14, answers: 9 },
    };
    const QUICK: Self = Self {
        store: store::bench::Size { series: 500, ticks: 200 },
        runs: 1,
        calls: 50,
        fits: 3,
        neighbour: 40,
        dashboard: dashboard::Size { series: 400, days: 7, answers: 3 },
        ..Self::FULL
    };
}

/// What the default detector's code takes natively, as CPU time.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Native {
    /// A fit of one row, in milliseconds.
    fit_ms: f64,
    /// A new point of one row, in microseconds.
    score_us: f64,
}

/// Measures that.
type RunNative<'a> = &'a dyn Fn() -> Result<Native, CliError>;

/// What the design promises at most.
#[derive(Clone, Copy, Debug)]
enum Budget {
    /// Of the value.
    Value(f64),
    /// Of the ratio.
    Ratio(f64),
}

/// One line of the table.
#[derive(Clone, Debug)]
struct Figure {
    /// The key in the JSON.
    name: &'static str,
    /// What was measured.
    what: String,
    value: f64,
    unit: &'static str,
    /// How many times that of something else, and of what.
    ratio: Option<(f64, &'static str)>,
    budget: Option<Budget>,
}

impl Figure {
    fn new(name: &'static str, what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name, what: what.into(), value, unit, ratio: None, budget: None }
    }

    /// Beside what it is put; of the same unit.
    fn against(self, baseline: f64, what: &'static str) -> Self {
        Self { ratio: Some((self.value / baseline, what)), ..self }
    }

    fn at_most(self, budget: Budget) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// Whether it is within its budget; `None` without one.
    fn within(&self) -> Option<bool> {
        match self.budget? {
            Budget::Value(most) => Some(self.value <= most),
            Budget::Ratio(most) => self.ratio.map(|(ratio, _)| ratio <= most),
        }
    }

    fn json(&self) -> Value {
        let budget = self.budget.map(|budget| match budget {
            Budget::Value(most) => json!({"of": "value", "most": most}),
            Budget::Ratio(most) => json!({"of": "ratio", "most": most}),
        });
        json!({
            "what": self.what, "value": self.value, "unit": self.unit,
            "ratio": self.ratio.map(|(ratio, _)| ratio), "against": self.ratio.map(|(_, what)| what),
            "budget": budget, "within_budget": self.within(),
        })
    }

    fn row(&self) -> [String; 4] {
        let budget = match self.budget {
            None => String::new(),
            Some(Budget::Value(most)) => format!("≤ {most} {}", self.unit),
            Some(Budget::Ratio(most)) => format!("≤ {most} ×"),
        };
        let over = if self.within() == Some(false) { ": over" } else { "" };
        let ratio = self.ratio.map(|(ratio, what)| format!("{} × {what}", short(ratio)));
        [
            self.what.clone(),
            format!("{} {}", short(self.value), self.unit),
            ratio.unwrap_or_default(),
            format!("{budget}{over}"),
        ]
    }
}

/// Three digits that count, thousands apart.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.01 => 3,
        _ => 5,
    };
    let text = format!("{value:.decimals$}");
    if decimals > 0 {
        return text;
    }
    let mut apart = String::new();
    for (place, digit) in text.chars().enumerate() {
        if place > 0 && (text.len() - place).is_multiple_of(3) {
            apart.push(' ');
        }
        apart.push(digit);
    }
    apart
}

/// The middle one, or 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// What some work gives, and the seconds that it takes.
async fn timed<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<(T, f64), E> {
    let begun = Instant::now();
    let done = work.await?;
    Ok((done, begun.elapsed().as_secs_f64()))
}

impl Native {
    fn run(program: &Path) -> Result<Self, CliError> {
        let failed = |why: String| {
            CliError::Usage(format!("cannot measure with {}: {why}; `make bench` builds it", program.display()))
        };
        let output = Command::new(program).output().map_err(|e| failed(e.to_string()))?;
        if !output.status.success() {
            return Err(failed(output.status.to_string()));
        }
        serde_json::from_slice(&output.stdout).map_err(|e| failed(e.to_string()))
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub(super) async fn bench(global: &Global, args: BenchArgs) -> Result<(), CliError> {
    if cfg!(debug_assertions) {
        eprintln!(
            "anomd itself is compiled without optimisation here, and its store is slower for it: see `make bench`"
        );
    }
    if let Some(folder) = &args.fleet {
        return output::json(&fleet::measure(global, folder, &args.detector).await?);
    }
    let mut size = if args.quick { Size::QUICK } else { Size::FULL };
    size.store.series = args.series.unwrap_or(size.store.series);
    size.store.ticks = args.ticks.unwrap_or(size.store.ticks);
    let run = args.native.map(|program| move || Native::run(&program));
    let native = run.as_ref().map(|run| run as &dyn Fn() -> Result<Native, CliError>);
    let beside = global.data.clone().unwrap_or_else(|| PathBuf::from("."));
    if args.only.contains(&Part::Neighbour) && args.evil.is_none() {
        return Err(CliError::Usage("--only neighbour needs --evil, the folder of the guests that attack".to_owned()));
    }
    let folders = Folders { beside: &beside, keep: args.keep.as_deref(), evil: args.evil.as_deref() };
    let figures = measure(size, &args.only, folders, native).await?;
    if global.json {
        return output::json(&report(size, &figures));
    }
    let mut table = output::table(["what", "value", "within this run", "budget"]);
    for figure in &figures {
        table.add_row(figure.row());
    }
    println!("{table}");
    println!(
        "{} cores; {} points in each store; {} runs of the store, {} calls, {} runs beside a neighbour.",
        cores(),
        size.store.series * size.store.ticks,
        size.runs,
        size.calls,
        size.neighbour
    );
    Ok(())
}

/// Where things are on the disk.
#[derive(Clone, Copy)]
struct Folders<'a> {
    /// What is written goes to a folder that is made here, and is gone afterwards. It should be on the
    /// disk that is meant: a `/tmp` may be memory.
    beside: &'a Path,
    /// Where the data of the dashboard stay, if they are to stay.
    keep: Option<&'a Path>,
    /// The guests that attack.
    evil: Option<&'a Path>,
}

/// The figures of these parts, or of all where there are none.
async fn measure(
    size: Size,
    only: &[Part],
    folders: Folders<'_>,
    native: Option<RunNative<'_>>,
) -> Result<Vec<Figure>, CliError> {
    let Folders { beside, keep, evil } = folders;
    let folder = tempfile::Builder::new().prefix(".anomd-bench-").tempdir_in(beside).map_err(|e| {
        CliError::Usage(format!("cannot write in {}: {e}; name a folder with --data", beside.display()))
    })?;
    let wanted = |part| only.is_empty() || only.contains(&part);
    let mut figures = Vec::new();
    if wanted(Part::Store) {
        figures.extend(storage::measure(size, folder.path())?);
    }
    if wanted(Part::Dashboard) {
        let data = keep.map_or_else(|| folder.path().join("dashboard"), Path::to_path_buf);
        std::fs::create_dir(&data)
            .map_err(|e| CliError::Usage(format!("cannot make the folder {}: {e}", data.display())))?;
        figures.extend(dashboard::measure(size.dashboard, &data, SystemClock.now())?);
    }
    if wanted(Part::Sandbox) {
        figures.extend(sandbox::measure(size, folder.path(), native).await?);
    }
    if let Some(evil) = evil.filter(|_| wanted(Part::Neighbour)) {
        figures.extend(neighbour::measure(size.neighbour, folder.path(), evil).await?);
    }
    Ok(figures)
}

fn report(size: Size, figures: &[Figure]) -> impl Serialize {
    let figures: Map<String, Value> = figures.iter().map(|figure| (figure.name.to_owned(), figure.json())).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"), "cores": cores(), "optimised": !cfg!(debug_assertions),
        "store_points": size.store.series * size.store.ticks, "runs": size.runs, "calls": size.calls,
        "figures": figures,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_json_has_each_figure_with_its_unit_and_budget() {
        let size = Size {
            store: store::bench::Size { series: 8, ticks: 4 },
            runs: 1,
            calls: 1,
            fits: 1,
            rows: 2,
            compile: false,
            neighbour: 2,
            dashboard: dashboard::Size { series: 16, days: 1, answers: 1 },
        };
        let folder = tempfile::tempdir().unwrap();
        let native = Native { fit_ms: 40.0, score_us: 50.0 };
        let evil = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist/test");
        let folders = Folders { beside: folder.path(), keep: None, evil: Some(&evil) };
        let figures = measure(size, &[], folders, Some(&|| Ok(native))).await.unwrap();
        assert!(folder.path().read_dir().unwrap().next().is_none(), "nothing is left behind");

        let report = serde_json::to_value(report(size, &figures)).unwrap();
        let units: Vec<_> = report["figures"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, figure)| format!("{name} {}", figure["unit"].as_str().unwrap()))
            .collect();
        assert_eq!(
            units,
            [
                "append_values points/s",
                "append_scored points/s",
                "block_values B/point",
                "block_scored B/point",
                "disk_values B/point",
                "disk_scored B/point",
                "scan_values points/s",
                "scan_scored points/s",
                "series_values ms",
                "model_metadata µs",
                "model_head µs",
                "batch_page_first ms",
                "batch_page ms",
                "batch_page_day ms",
                "month_chart ms",
                "month_points ms",
                "month_threshold ms",
                "plan_fresh µs",
                "plan_warm µs",
                "score_row_fresh µs",
                "score_row_warm µs",
                "score_rows_warm µs/row",
                "light_score µs/row",
                "light_fit ms",
                "light_model bytes",
                "detector_fit ms",
                "detector_score µs/row",
                "neighbour_start ms",
                "neighbour_duration ms",
            ]
        );
        // CPU time is told in steps of 10 ms, and the files of a store grow in steps, so that some are 0.
        for (name, figure) in report["figures"].as_object().unwrap() {
            assert!(figure["value"].is_number(), "{name}");
        }
        assert_eq!(report["figures"]["disk_values"]["budget"], json!({"of": "value", "most": 4.5}));
        assert_eq!(report["figures"]["detector_fit"]["budget"], json!({"of": "ratio", "most": 1.3}));
        assert_eq!(report["figures"]["detector_fit"]["against"], "the same code, native");
    }

    #[test]
    fn a_figure_over_its_budget_says_so() {
        let figure = Figure::new("fit", "fit", 60.0, "ms").against(40.0, "native");
        assert_eq!(figure.row(), ["fit", "60.0 ms", "1.50 × native", ""]);
        assert_eq!(figure.json()["within_budget"], Value::Null);
        let over = figure.clone().at_most(Budget::Ratio(1.3));
        assert_eq!(over.row()[3], "≤ 1.3 ×: over");
        assert_eq!(over.json()["within_budget"], json!(false));
        assert_eq!(figure.at_most(Budget::Value(60.0)).row()[3], "≤ 60 ms");
        assert_eq!(short(1_234_567.8), "1 234 568");
    }
}
