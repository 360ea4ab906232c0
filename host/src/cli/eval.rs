//! `anomd eval`: how good detectors are on labelled series.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

mod bound;
mod table;

use super::{CliError, Global, open, output};
use crate::config::Environment;
use crate::eval::{
    Contender, EvalError, Options, Outcome, Set, Source, Spec, Track, comparisons, default_threshold, evaluate, find,
    peak_memory_bytes, summaries,
};
use crate::node;
use bound::{Bound, held, threshold};

/// Replays labelled series through detectors, in the sandbox and with the limits of a node, and
/// says what their scores are worth.
///
/// A series is a csv with the columns `value` and `label`, and `timestamp` if it has one; a folder
/// of them is a set, and NAB's own layout is known. Several folders in one are several sets.
/// Figures: VUS-PR, AUC-PR and AUC-ROC of all rows; precision, recall and delay of the alerts
/// that a batch would have raised that says nothing of thresholds; NAB's profiles where a set
/// has its windows. `docs/detection.md` defines them.
///
/// Beside folders there are series that are made up: `generated:silence` has nothing wrong,
/// `generated:incidents` one labelled incident a series, and `generated:season` tells how often
/// the day is found in series that have one.
///
/// With --out, what was done is kept, and done once: an evaluation that was interrupted goes on.
#[derive(Args)]
pub(super) struct EvalArgs {
    /// The folder of the series, or one file, or a generated set: `generated:silence`.
    #[arg(env = "DATA", default_value = "../shared/data", value_name = "FOLDER")]
    series: PathBuf,
    /// A detector: `robust`, `pca+knn` for the mean of two, `robust={"season": 3600}`.
    #[arg(long, default_value = "robust", value_name = "DETECTOR")]
    detector: Spec,
    /// The detector's configuration, as JSON; of several detectors, by their names.
    #[arg(long, value_name = "JSON")]
    params: Option<String>,
    /// What a score may have seen.
    #[arg(long, value_enum, default_value_t)]
    track: Track,
    /// Evaluates two detectors on the same series and compares them pair by pair.
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["detector", "params"])]
    compare: Vec<Spec>,
    /// Which series are generated: equal seeds give equal series.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many series are generated.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    count: Option<u16>,
    /// Thresholds at which alerts are counted, beside those of the default.
    #[arg(long, default_value = "0.7,0.8", value_delimiter = ',', value_parser = threshold)]
    threshold: Vec<f64>,
    /// Fails, with exit code 1, where a figure of a set is lower: vus_pr=0.4, recall@0.7=0.8. Of two
    /// detectors, the first is held to it.
    #[arg(long, value_name = "FIGURE=VALUE")]
    min: Vec<Bound>,
    /// The same where a figure is higher: alerts_a_day@0.7=0.05.
    #[arg(long, value_name = "FIGURE=VALUE")]
    max: Vec<Bound>,
    /// Keeps outcomes there, and writes series.csv, series.json and summary.json.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Series at once. CPU is told by series and detector where it is 1.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Seconds between rows that have no time of their own.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400), value_name = "SECONDS")]
    step: u32,
    /// Rows between two fits of a detector that leaves them to the batch.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..), value_name = "ROWS")]
    refit: u32,
}

/// What is a folder or file, or generated.
fn sources(args: &EvalArgs) -> Result<Vec<Source>, CliError> {
    let Some(name) = args.series.to_str().and_then(|text| text.strip_prefix("generated:")) else {
        return Ok(find(&args.series)?);
    };
    let set: Set = name.parse().map_err(CliError::Usage)?;
    Ok(set.sources(args.seed, args.count.map_or(set.usual_count(), usize::from)))
}

impl From<EvalError> for CliError {
    fn from(error: EvalError) -> Self {
        match error {
            EvalError::Fault(fault) => fault.into(),
            EvalError::File { .. } => Self::other(error.to_string()),
            _ => Self::Usage(error.to_string()),
        }
    }
}

pub(super) async fn eval(global: &Global, args: EvalArgs) -> Result<(), CliError> {
    let specs = match (&args.compare[..], &args.params) {
        ([], None) => vec![args.detector.clone()],
        ([], Some(config)) => {
            let text = format!("{}={config}", args.detector.name);
            vec![text.parse().map_err(CliError::Usage)?]
        }
        (both, _) => both.to_vec(),
    };
    let sources = sources(&args)?;
    let (catalogue, faults) = node::load_plugins(&open::node_config(global, &Environment::of_process())?).await?;
    let mut contenders = Vec::new();
    for spec in &specs {
        // A plugin that does not load matters here if it is asked for.
        let broken = |fault: &&crate::fault::Fault| spec.detectors.iter().any(|(plugin, _)| *plugin == fault.plugin);
        if let Some(fault) = faults.iter().find(broken) {
            return Err(fault.clone().into());
        }
        contenders.push(Contender::bind(spec, &catalogue).await?);
    }
    let options = Options {
        track: args.track,
        step_ms: args.step * 1000,
        refit: args.refit as usize,
        jobs: usize::from(args.jobs),
        thresholds: args.threshold.clone(),
        folder: args.out.as_ref().map(|folder| folder.join("outcomes")),
    };
    let bar = ProgressBar::new((sources.len() * contenders.len()) as u64);
    let style = "{bar:30} {pos}/{len} {elapsed} and {eta} to go  {msg}";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let outcomes = evaluate(&sources, &contenders, &options, &|outcome, _| {
        bar.set_message(format!("{} {}", outcome.detector, outcome.file));
        bar.inc(1);
        if let Some(failure) = &outcome.cost.failure {
            bar.suspend(|| eprintln!("{}/{}: {failure}", outcome.set, outcome.file));
        }
    })
    .await?;
    bar.finish_and_clear();
    let summaries = summaries(&outcomes, &sources, &options)?;
    let comparisons = comparisons(&outcomes);
    let report = json!({
        "version": env!("CARGO_PKG_VERSION"), "track": args.track, "threshold": default_threshold(),
        "seed": args.series.to_string_lossy().starts_with("generated:").then_some(args.seed),
        "summaries": summaries, "comparisons": comparisons, "peak_memory_bytes": peak_memory_bytes(),
    });
    if let Some(folder) = &args.out {
        write(folder, &outcomes, &report)?;
    }
    if global.json {
        output::json(&report)?;
    } else {
        table::print(&summaries, &comparisons);
    }
    held(&args.min, &args.max, &summaries, specs.first().map_or("", |spec| &spec.name))
}

/// The names and fields of a row in `series.csv`.
fn columns(outcome: &Outcome) -> [(&'static str, String); 27] {
    let (figures, cost) = (&outcome.figures, &outcome.cost);
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let tally = figures.tally();
    [
        ("set", outcome.set.clone()),
        ("file", outcome.file.clone()),
        ("detector", outcome.detector.clone()),
        ("track", if outcome.track == Track::Causal { "causal" } else { "batch" }.to_owned()),
        ("rows", figures.rows.to_string()),
        ("scored", figures.scored.to_string()),
        ("window", figures.window.to_string()),
        ("vus_pr", number(figures.vus_pr)),
        ("auc_pr", number(figures.auc_pr)),
        ("auc_roc", number(figures.auc_roc)),
        ("top", figures.top.map(|top| u8::from(top).to_string()).unwrap_or_default()),
        ("events", figures.events.to_string()),
        ("found", figures.found.to_string()),
        ("alerts", figures.alerts.to_string()),
        ("right", figures.right.to_string()),
        ("precision", number(tally.precision())),
        ("recall", number(tally.recall())),
        ("f1", number(tally.f1())),
        ("delay_rows", number(tally.delay())),
        ("alerts_a_day", number(Some(figures.alerts as f64 / figures.days.max(f64::MIN_POSITIVE)))),
        ("season_s", figures.season.clone().unwrap_or_default()),
        ("fits", cost.fits.to_string()),
        ("model_bytes", cost.model_bytes.to_string()),
        ("cpu_s", number(cost.cpu_s)),
        ("wall_s", cost.wall_s.to_string()),
        ("failed", cost.failed.to_string()),
        ("failure", cost.failure.clone().unwrap_or_default()),
    ]
}

fn write(folder: &Path, outcomes: &[Outcome], report: &Value) -> Result<(), CliError> {
    let unwritten = |path: &Path, why: String| CliError::other(format!("cannot write {}: {why}", path.display()));
    let path = folder.join("series.csv");
    let mut table = csv::Writer::from_path(&path).map_err(|e| unwritten(&path, e.to_string()))?;
    for (row, outcome) in outcomes.iter().enumerate() {
        let columns = columns(outcome);
        if row == 0 {
            table.write_record(columns.iter().map(|(name, _)| *name)).map_err(|e| unwritten(&path, e.to_string()))?;
        }
        table.write_record(columns.iter().map(|(_, field)| field)).map_err(|e| unwritten(&path, e.to_string()))?;
    }
    table.flush().map_err(|e| unwritten(&path, e.to_string()))?;
    // Where the scores are is the folder of outcomes.
    let series: Vec<Value> = outcomes
        .iter()
        .map(|o| json!({"set": o.set, "file": o.file, "detector": o.detector, "track": o.track, "figures": o.figures, "cost": o.cost}))
        .collect();
    for (name, value) in [("series.json", json!(series)), ("summary.json", report.clone())] {
        let path = folder.join(name);
        let text = serde_json::to_string_pretty(&value).map_err(|e| CliError::other(e.to_string()))?;
        fs::write(&path, text + "\n").map_err(|e| unwritten(&path, e.to_string()))?;
    }
    Ok(())
}
