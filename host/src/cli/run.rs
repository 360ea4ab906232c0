//! `anomd run`: a batch, now or at another time, without a schedule.

use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::{CliError, Global, open, output};
use crate::config::{Environment, Job};
use crate::node::Node;
use crate::pipeline::BoundBatch;
use crate::schedule::SystemClock;
use crate::series::Millis;
use crate::store::{RunRecord, RunState};

/// The jobs that the command line names.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum JobName {
    Ingest,
    Train,
    Score,
    Change,
    Alert,
    #[value(name = "llmalert")]
    LlmAlert,
    Notify,
    Deliver,
    Plot,
    Summary,
    Delete,
}

impl From<JobName> for Job {
    fn from(name: JobName) -> Self {
        match name {
            JobName::Ingest => Self::Ingest,
            JobName::Train => Self::Train,
            JobName::Score => Self::Score,
            JobName::Change => Self::Change,
            JobName::Alert => Self::Alert,
            JobName::LlmAlert => Self::LlmAlert,
            JobName::Notify => Self::Notify,
            JobName::Deliver => Self::Deliver,
            JobName::Plot => Self::Plot,
            JobName::Summary => Self::Summary,
            JobName::Delete => Self::Delete,
        }
    }
}

#[derive(Args)]
pub(super) struct RunArgs {
    /// The batch: its name, or its file.
    batch: String,
    /// Runs this job alone, instead of the whole chain.
    #[arg(long, conflicts_with_all = ["chain", "from"])]
    job: Option<JobName>,
    /// Runs ingest, train, score, alert and deliver, each as its input asks for it. What a
    /// command without `--job` does anyway.
    #[arg(long)]
    chain: bool,
    /// The logical now, instead of the time: 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "INSTANT", value_parser = output::parse_instant, conflicts_with = "from")]
    at: Option<Millis>,
    /// Replays the chain on a logical clock, from this instant on.
    #[arg(long, value_name = "INSTANT", value_parser = output::parse_instant, requires = "to")]
    from: Option<Millis>,
    /// The end of the replay.
    #[arg(long, value_name = "INSTANT", value_parser = output::parse_instant, requires = "from")]
    to: Option<Millis>,
    /// How far the logical clock goes at a time in a replay.
    #[arg(long, value_name = "SPAN", value_parser = output::parse_span, default_value = "1h")]
    every: Millis,
}

pub(super) async fn run(global: &Global, args: RunArgs) -> Result<(), CliError> {
    let environment = Environment::of_process();
    let config = open::node_config(global, &environment)?;
    let batch = open::batch(&args.batch, &config, &environment)?;
    let node = open::node(config, Arc::new(SystemClock)).await?;
    let bound = node.take_up(batch).await?;
    let mut runs = Vec::new();
    match (args.job, args.from, args.to) {
        (Some(job), ..) => {
            let now = args.at.unwrap_or_else(|| node.clock.now());
            let job = Job::from(job);
            if job.of_tenant() {
                runs = node.run_tenant_job(&bound.batch.key.tenant, job, now, "manual").await?;
            } else {
                runs.push(node.run_job(&bound, job, now, "manual").await?);
            }
        }
        (None, Some(from), Some(to)) => runs = replay(&node, &bound, from, to, args.every).await?,
        _ => {
            let now = args.at.unwrap_or_else(|| node.clock.now());
            runs = node.run_chain(&bound, now, "manual").await?;
        }
    }
    show(global, &node, &bound, &runs)?;
    let failed: Vec<&RunRecord> = runs.iter().filter(|run| run.state == RunState::Failed).collect();
    match failed.first() {
        None => Ok(()),
        Some(run) => {
            let why = run.error.as_ref().map(|fault| format!("\n{}: {fault}", run.slot)).unwrap_or_default();
            Err(CliError::Run(format!("{} of {} runs failed{why}", failed.len(), runs.len())))
        }
    }
}

/// The chain at each instant from `from` to `to`, and the summaries whose crons pass, with a
/// bar where somebody looks.
async fn replay(
    node: &Arc<Node>,
    bound: &BoundBatch,
    from: Millis,
    to: Millis,
    every: Millis,
) -> Result<Vec<RunRecord>, CliError> {
    let every = every.max(Millis::from(bound.batch.judged.step_ms));
    let bar = output::bar(u64::try_from((to - from) / every + 1).unwrap_or(0), "replay");
    let mut runs = Vec::new();
    let (mut before, mut now) = (from - 1, from);
    while now <= to {
        runs.extend(node.run_chain(bound, now, "replay").await?);
        runs.extend(node.run_summaries(&bound.batch.key.tenant, before, now).await?);
        before = now;
        bar.inc(1);
        now += every;
    }
    bar.finish_and_clear();
    Ok(runs)
}

fn show(global: &Global, node: &Node, bound: &BoundBatch, runs: &[RunRecord]) -> Result<(), CliError> {
    if let ([run], true) = (runs, global.json)
        && run.slot.job == Job::Ingest
    {
        return rows(node, bound, run);
    }
    if global.json {
        return output::json(&runs);
    }
    let mut table = output::table(["job", "scheduled", "state", "took", "what"]);
    for run in runs {
        let why = run.state.why().map(|why| format!(": {why}")).unwrap_or_default();
        let state = format!("{}{why}", run.state.name());
        table.add_row([
            run.slot.job.to_string(),
            output::instant(run.slot.scheduled),
            state,
            format!("{} ms", run.duration_ms),
            output::counts(run),
        ]);
    }
    output::line(table);
    for run in runs {
        for line in &run.log {
            output::line(format!("{}: {line}", run.slot.job));
        }
    }
    Ok(())
}

/// What an ingest brought, as the rows that Anomstack's ingest functions return.
fn rows(node: &Node, bound: &BoundBatch, run: &RunRecord) -> Result<(), CliError> {
    let edge = |name: &str| run.counts.get(name).and_then(|time| Millis::try_from(*time).ok()).unwrap_or(0);
    let series = node.store.series(&bound.batch.key);
    let ids: Vec<_> = series.iter().map(|s| s.id).collect();
    let columns = node.store.values(&bound.batch.key, &ids, edge("from")..edge("to"))?;
    let mut rows = Vec::new();
    for (series, column) in series.iter().zip(columns) {
        for (time, value) in column.timestamps.iter().zip(column.values) {
            rows.push(json!({
                "metric_timestamp": output::instant(*time),
                "metric_name": series.name,
                "metric_value": value,
            }));
        }
    }
    output::json(&rows)
}
