//! `anomd eval`: how good detectors are on labelled series.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{CliError, Global, open, output};
use crate::config::Environment;
use crate::eval::{
    Comparison, Contender, EvalError, Options, Outcome, Spec, Summary, Track, comparisons, default_threshold, evaluate,
    find, peak_memory_bytes, summaries,
};
use crate::node;

/// Replays labelled series through detectors, in the sandbox and with the limits of a node, and
/// says what their scores are worth.
///
/// A series is a csv with the columns `value` and `label`, and `timestamp` if it has one; a folder
/// of them is a set, and NAB's own layout is known. Several folders in one are several sets.
/// Figures: VUS-PR, AUC-PR and AUC-ROC of all rows; precision, recall and delay of the alerts
/// that a batch would have raised that says nothing of thresholds; NAB's profiles where a set
/// has its windows. `docs/detection.md` defines them.
///
/// With --out, what was done is kept, and done once: an evaluation that was interrupted goes on.
#[derive(Args)]
pub(super) struct EvalArgs {
    /// The folder of the series, or one file.
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
    /// Fails, with exit code 1, where a figure of a set is lower: vus_pr=0.4. Of two detectors, the
    /// first is held to it.
    #[arg(long, value_name = "FIGURE=VALUE")]
    min: Vec<Least>,
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

/// A figure and what it must be at least.
#[derive(Clone, Debug, PartialEq)]
struct Least {
    figure: String,
    value: f64,
}

impl FromStr for Least {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Summary::FIGURES.join(", ");
        let (figure, value) = text.split_once('=').ok_or("write vus_pr=0.4")?;
        if !Summary::FIGURES.contains(&figure) {
            return Err(format!("{figure:?} is no figure: they are {known}"));
        }
        let value = value.parse().map_err(|_| format!("{value:?} is no number: write vus_pr=0.4"))?;
        Ok(Self { figure: figure.to_owned(), value })
    }
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
    let sources = find(&args.series)?;
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
        "summaries": summaries, "comparisons": comparisons, "peak_memory_bytes": peak_memory_bytes(),
    });
    if let Some(folder) = &args.out {
        write(folder, &outcomes, &report)?;
    }
    if global.json {
        output::json(&report)?;
    } else {
        print(&summaries, &comparisons);
    }
    held(&args.min, &summaries, specs.first().map_or("", |spec| &spec.name))
}

/// Whether all that was asked for is reached.
fn held(least: &[Least], summaries: &[Summary], detector: &str) -> Result<(), CliError> {
    let mut short = Vec::new();
    for Least { figure, value } in least {
        let own = summaries.iter().filter(|summary| summary.detector == detector);
        let reached: Vec<(&str, f64)> = own.filter_map(|s| Some((s.set.as_str(), s.figure(figure)?))).collect();
        if reached.is_empty() {
            short.push(format!("no set has the figure {figure}"));
        }
        let low = reached.iter().filter(|(_, is)| is < value);
        short.extend(
            low.map(|(set, is)| format!("{figure} of {detector} on {set} is {is:.4}, where {value} was asked for")),
        );
    }
    if short.is_empty() { Ok(()) } else { Err(CliError::Run(short.join("\n"))) }
}

/// The names and fields of a row in `series.csv`.
fn columns(outcome: &Outcome) -> [(&'static str, String); 26] {
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

fn print(summaries: &[Summary], comparisons: &[Comparison]) {
    let number =
        |value: Option<f64>, decimals: usize| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.decimals$}"));
    let mut table = output::table([
        "set",
        "detector",
        "series",
        "VUS-PR (95 %)",
        "AUC-PR",
        "AUC-ROC",
        "top",
        "precision",
        "recall",
        "F1",
        "delay, rows",
        "alerts a day",
        "false",
        "CPU, µs/row",
        "model, kB",
    ]);
    for s in summaries {
        let vus = s.vus_pr.map_or_else(|| "–".to_owned(), |i| format!("{:.3} ({:.3}–{:.3})", i.mean, i.low, i.high));
        table.add_row([
            s.set.clone(),
            s.detector.clone(),
            s.series.to_string(),
            vus,
            number(s.figure("auc_pr"), 3),
            number(s.figure("auc_roc"), 3),
            number(s.top, 2),
            number(s.precision, 3),
            number(s.recall, 3),
            number(s.f1, 3),
            number(s.delay_rows, 0),
            format!("{:.3}", s.alerts_a_day),
            format!("{:.3}", s.false_alerts_a_day),
            number(s.cpu_s.map(|cpu| cpu * 1e6 / s.scored.max(1) as f64), 0),
            format!("{:.1}", s.model_bytes as f64 / 1000.0),
        ]);
    }
    output::line(table);
    for s in summaries.iter().filter(|s| !s.nab.is_empty()) {
        let mut table = output::table(["NAB profile", "points, swept", "alerts, swept", "at", "alerts at the default"]);
        for nab in &s.nab {
            table.add_row([
                nab.profile.to_owned(),
                format!("{:.1}", nab.points),
                format!("{:.1}", nab.events),
                format!("{:.2}", nab.events_threshold),
                format!("{:.1}", nab.fixed),
            ]);
        }
        output::line(format!("\n{} on {}:\n{table}", s.detector, s.set));
    }
    for s in summaries.iter().filter(|s| s.failed > 0) {
        output::line(format!("\n{} on {}: {} calls failed, and their rows count as 0", s.detector, s.set, s.failed));
    }
    for c in comparisons {
        let d = c.vus_pr.difference;
        output::line(format!(
            "\n{} against {} on {}: VUS-PR {:+.3} ({:+.3} to {:+.3}), better on {:.0} % of {} series",
            c.a,
            c.b,
            c.set,
            d.mean,
            d.low,
            d.high,
            c.vus_pr.win_rate * 100.0,
            c.vus_pr.series
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_that_is_too_low_or_not_there_fails() {
        assert_eq!("vus_pr=0.4".parse(), Ok(Least { figure: "vus_pr".into(), value: 0.4 }));
        assert!("vus=0.4".parse::<Least>().unwrap_err().contains("they are vus_pr, auc_pr"));
        assert!("f1=much".parse::<Least>().unwrap_err().contains("is no number"));
        let least = ["nab_standard=50".parse().unwrap()];
        let error = held(&least, &[], "robust").unwrap_err();
        assert_eq!(error.to_string(), "no set has the figure nab_standard");
        assert!(matches!(error, CliError::Run(_)));
    }
}
