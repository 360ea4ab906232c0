//! `anomd backtest`: what would have fired, and what would fire otherwise.

mod history;
mod print;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::output::{self, When};
use super::{CliError, Global, open};
use crate::capability::kv::InMemory;
use crate::config::{self, Batch, Change, Environment, Node as NodeConfig, Problems};
use crate::eval::Spec;
use crate::eval::backtest::{BacktestError, Figures, Report, Setting, Trial, lead, pace, pair, report, run, run_in};
use crate::node;
use crate::pipeline::{BoundBatch, write_whole};
use crate::plugin::Catalogue;
use crate::schedule::SystemClock;
use crate::series::Millis;

/// Says what a batch would have told people in a span of its history, with its configuration as it
/// stands (A) and, where --set, --detector or --with is given, with another (B).
///
/// The samples are those that the store has, also while `anomd serve` runs; with --fetch they
/// come from the batch's source, and are not kept. Fits, scores and alerts are made by the jobs
/// of production on a logical clock: a model sees only what came before it. Nobody is told, and
/// nothing in the store is touched.
///
/// An example: `anomd backtest web --from 14d --set threshold=0.7 --out report.html`
#[derive(Args)]
pub(super) struct BacktestArgs {
    /// The batch: its name, or its file.
    batch: String,
    /// From this instant on: 14d for fourteen days ago, or 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "INSTANT", value_parser = output::parse_when)]
    from: When,
    /// To before this instant.
    #[arg(long, value_name = "INSTANT", value_parser = output::parse_when, default_value = "now")]
    to: When,
    /// A key of the batch with another value, for B: threshold=0.7 is alert_threshold=0.7. May be
    /// given several times; a point leads into a mapping.
    #[arg(long, value_name = "KEY=VALUE", value_parser = change)]
    set: Vec<Change>,
    /// Other detectors, for B: `pca+knn`, or `robust={"season": 3600}`.
    #[arg(long, value_name = "DETECTOR")]
    detector: Option<Spec>,
    /// Another batch file, for B. Its source is not asked: the samples are those of the batch.
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    /// Asks the batch's source for the history, and keeps nothing of it.
    #[arg(long)]
    fetch: bool,
    /// Only series whose name holds this text.
    #[arg(long, value_name = "TEXT")]
    metric: Option<String>,
    /// How far the logical clock goes at a time, instead of an hour; or, where a key such as
    /// alert_recent_n counts in runs, instead of the batch's ingest cron.
    #[arg(long, value_name = "SPAN", value_parser = output::parse_span)]
    every: Option<Millis>,
    /// Writes a report with charts: one HTML file that opens without a server.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Keys of alerts that `--set` takes without `alert_`.
const SHORT: [&str; 8] =
    ["threshold", "smooth_n", "snooze_n", "recent_n", "direction", "min_deviation", "for", "resolve_n"];

fn change(text: &str) -> Result<Change, String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} has no value: write threshold=0.7"))?;
    let key = key.trim();
    if key.split('.').any(str::is_empty) {
        return Err(format!("{text:?} names no key: write threshold=0.7"));
    }
    if key == "metric_batch" || key.starts_with("ingest_") || key == "step" {
        return Err(format!("{key} says which samples there are, and both configurations have the same"));
    }
    let key = if SHORT.contains(&key) { format!("alert_{key}") } else { key.to_owned() };
    Ok((key, value.trim().to_owned()))
}

impl From<BacktestError> for CliError {
    fn from(error: BacktestError) -> Self {
        match error {
            BacktestError::Fault(fault) => (*fault).into(),
            BacktestError::Store(error) => error.into(),
            BacktestError::Nothing(_) | BacktestError::TooMuch(_) => Self::Usage(error.to_string()),
            BacktestError::Reply(_) => Self::Node(error.to_string()),
            BacktestError::Report(_) => Self::other(error.to_string()),
        }
    }
}

/// A configuration that is tried.
struct Candidate {
    name: &'static str,
    /// What is written about it.
    title: String,
    batch: Batch,
    changes: Vec<Change>,
}

pub(super) async fn backtest(global: &Global, args: BacktestArgs) -> Result<(), CliError> {
    let environment = Environment::of_process();
    let node = open::node_config(global, &environment)?;
    let candidates = candidates(&args, &node, &environment)?;
    let (catalogue, _) = node::load_plugins(&node).await?;
    let mut bound = Vec::new();
    for candidate in &candidates {
        bound.push(bind(candidate, &node, &catalogue).await?);
    }
    let Some(first) = candidates.first() else { return Ok(()) };
    let now = output::now();
    let step = Millis::from(candidates.iter().map(|c| c.batch.judged.step_ms).max().unwrap_or(1).max(1));
    // A column that is not whole cannot have been judged.
    let whole = |time: Millis| time.div_euclid(step) * step;
    let span = whole(args.from.at(now))..whole(args.to.at(now).min(now - first.batch.ingest.delay_ms));
    if span.is_empty() {
        let (from, to) = (output::instant(span.start), output::instant(span.end));
        return Err(CliError::Usage(format!(
            "there is no whole point from {from} to {to}: points are {} apart; give an earlier --from",
            crate::message::text::duration(step)
        )));
    }
    let run_from = span.start.saturating_sub(bound.iter().map(run_in).max().unwrap_or(0));
    let wanted = run_from.saturating_sub(bound.iter().map(lead).max().unwrap_or(0))..span.end;
    let sought = history::Sought { key: &first.batch.key, metric: args.metric.as_deref(), read: wanted, told: &span };
    let (history, mut notes) = if args.fetch {
        let own = Candidate { name: "", title: String::new(), batch: first.batch.clone(), changes: Vec::new() };
        sought.fetched(bind(&own, &node, &catalogue).await?, &node.limits).await?
    } else {
        (sought.kept(global, &node).await?, Vec::new())
    };
    let batches: Vec<&Batch> = bound.iter().map(|bound| &bound.batch).collect();
    let pace = pace(&batches, &(run_from..span.end), args.every);
    let bar = output::bar((pace.len() * bound.len()) as u64, "backtest");
    let mut trials: Vec<Trial> = Vec::new();
    let note = || bar.inc(1);
    let (limits, clock) = (&node.limits, &SystemClock);
    let setting = Setting { history: &history, span: span.clone(), pace: &pace, limits, clock, note: &note };
    for (candidate, bound) in candidates.iter().zip(bound) {
        let trial = run(candidate.name, bound, &setting, trials.first()).await?;
        trials.push(trial);
    }
    bar.finish_and_clear();
    if let [a, b] = trials.as_mut_slice() {
        pair(a, b);
    }
    let figures: Vec<Figures> = trials.iter().map(|trial| Figures::of(trial, &history, trials.len() > 1)).collect();
    notes.extend(print::doubts(&trials, &figures, &history));
    let command = command(global, &args, &span);
    if let Some(path) = &args.out {
        let titles: Vec<String> = candidates.iter().map(|candidate| candidate.title.clone()).collect();
        let changes = differences(&candidates, &node, &environment)?;
        let page = report(&Report {
            trials: &trials,
            figures: &figures,
            titles: &titles,
            changes: &changes,
            command: &command,
            notes: &notes,
        })?;
        write_whole(path, page.as_bytes())
            .map_err(|e| CliError::other(format!("{} cannot be written: {e}", path.display())))?;
    }
    if global.json {
        let configurations: Vec<_> = candidates
            .iter()
            .zip(&trials)
            .zip(&figures)
            .map(|((candidate, trial), figures)| print::json(&candidate.title, trial, figures))
            .collect();
        output::json(&json!({
            "version": env!("CARGO_PKG_VERSION"), "batch": first.batch.key.to_string(),
            "from": output::instant(span.start), "to": output::instant(span.end),
            "series": history.series.len(), "samples": history.samples(), "configurations": configurations,
            "notes": notes, "command": command, "report": args.out,
        }))?;
    } else {
        let titles: Vec<&str> = candidates.iter().map(|candidate| candidate.title.as_str()).collect();
        print::terminal(&titles, &trials, &figures);
        for note in &notes {
            output::line(format!("\nNote: {note}"));
        }
        if let Some(path) = &args.out {
            output::line(format!("\nReport: {}", path.display()));
        }
    }
    let failed: usize = figures.iter().map(|figures| figures.failed).sum();
    match figures.iter().find_map(|figures| figures.failure.as_ref()) {
        Some(why) if failed > 0 => Err(CliError::Run(format!("{failed} runs failed or lost a part; the first: {why}"))),
        _ => Ok(()),
    }
}

fn candidates(args: &BacktestArgs, node: &NodeConfig, environment: &Environment) -> Result<Vec<Candidate>, CliError> {
    let batch = open::batch(&args.batch, node, environment)?;
    let mut changes = args.set.clone();
    if let Some(Spec { detectors, .. }) = &args.detector {
        let entry = |(plugin, config): &(String, serde_json::Value)| json!({"model_name": plugin, "model_tag": plugin, "model_params": config});
        let entries: Vec<_> = detectors.iter().map(entry).collect();
        changes.push(("model_configs".to_owned(), json!(entries).to_string()));
    }
    let a = Candidate { name: "A", title: "as it stands".to_owned(), batch, changes: Vec::new() };
    if changes.is_empty() && args.with.is_none() {
        return Ok(vec![a]);
    }
    let path = args.with.as_ref().unwrap_or(&a.batch.source);
    let mut other = config::load_changed(path, node, environment, &changes)?;
    // A key that nobody knows is a warning in a file, and a typing error here.
    let mut unheard = Problems::default();
    let of_set = |problem: &&config::Problem| problem.place.file.to_string_lossy().starts_with("--set ");
    other.warnings.iter().filter(of_set).for_each(|problem| unheard.push(problem.clone()));
    if unheard.iter().next().is_some() {
        return Err(unheard.into());
    }
    // What is compared is how the same samples are judged.
    other.key = a.batch.key.clone();
    other.ingest = a.batch.ingest.clone();
    if other.judged.step_ms == other.step_ms {
        other.judged.step_ms = other.judged.step_ms.max(a.batch.step_ms);
    }
    other.step_ms = a.batch.step_ms;
    let mut title: Vec<String> = args.with.iter().map(|path| path.display().to_string()).collect();
    title.extend(args.detector.iter().map(|spec| spec.name.clone()));
    title.extend(args.set.iter().map(|(key, value)| format!("{key} = {value}")));
    let b = Candidate { name: "B", title: title.join(", "), batch: other, changes };
    Ok(vec![a, b])
}

/// Binds a candidate so that its ingester may ask, its detectors judge, and nobody is told.
async fn bind(candidate: &Candidate, node: &NodeConfig, catalogue: &Catalogue) -> Result<BoundBatch, CliError> {
    let mut batch = candidate.batch.clone();
    batch.quiet();
    Ok(node::bind(batch, node, catalogue, Arc::new(InMemory::default())).await?)
}

/// The keys in which two candidates differ, as they are written.
fn differences(
    candidates: &[Candidate],
    node: &NodeConfig,
    environment: &Environment,
) -> Result<Vec<config::ChangedKey>, CliError> {
    let [a, b] = candidates else { return Ok(Vec::new()) };
    let of = |candidate: &'_ Candidate| (candidate.batch.source.clone(), candidate.changes.clone());
    let ((one, own), (other, theirs)) = (of(a), of(b));
    Ok(config::changed_keys((&one, &own), (&other, &theirs), node, environment)?)
}

/// The command that makes this backtest again: with instants, and not with spans before now.
fn command(global: &Global, args: &BacktestArgs, span: &std::ops::Range<Millis>) -> String {
    let mut words = vec!["anomd".to_owned(), "backtest".to_owned(), args.batch.clone()];
    let mut option = |name: &str, value: String| words.extend([format!("--{name}"), value]);
    option("from", output::instant(span.start));
    option("to", output::instant(span.end));
    args.set.iter().for_each(|(key, value)| option("set", format!("{key}={value}")));
    args.detector.iter().for_each(|spec| option("detector", spec.name.clone()));
    args.metric.iter().for_each(|text| option("metric", text.clone()));
    args.every.iter().for_each(|every| option("every", format!("{every}ms")));
    for (name, path) in [
        ("with", &args.with),
        ("out", &args.out),
        ("config", &global.config),
        ("data", &global.data),
        ("batches", &global.batches),
    ] {
        path.iter().for_each(|path| option(name, path.display().to_string()));
    }
    if args.fetch {
        words.push("--fetch".to_owned());
    }
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_key_and_a_value_and_not_of_the_source() {
        assert_eq!(change("threshold=0.7"), Ok(("alert_threshold".to_owned(), "0.7".to_owned())));
        assert_eq!(change("train_max_n = 500"), Ok(("train_max_n".to_owned(), "500".to_owned())));
        assert!(change("threshold").unwrap_err().contains("has no value"));
        assert!(change("=1").unwrap_err().contains("names no key"));
        assert!(change("ingest_params.url=x").unwrap_err().contains("both configurations have the same"));
    }

    #[test]
    fn a_word_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted("robust={\"season\": 1}"), "'robust={\"season\": 1}'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("2026-01-31T12:00:00Z"), "2026-01-31T12:00:00Z");
    }
}
