//! `anomd runs` and `anomd cancel`: runs as they stand, and one cut short.

use clap::Args;
use serde_json::json;

use super::door::Door;
use super::{CliError, Global, author, output};
use crate::desk::{RunList, RunView};
use crate::series::Millis;

#[derive(Args)]
pub(super) struct RunsArgs {
    /// Only those of this batch.
    batch: Option<String>,
    /// Only those of this job.
    #[arg(long)]
    job: Option<String>,
    /// Only those in this state: queued, running, done, partial, failed, skipped, cancelled.
    #[arg(long)]
    state: Option<String>,
    /// Only those planned for this instant or later.
    #[arg(long, value_name = "INSTANT", value_parser = output::parse_instant)]
    since: Option<Millis>,
    /// At most so many, the newest.
    #[arg(long, default_value_t = 20)]
    last: usize,
}

#[derive(Args)]
pub(super) struct CancelArgs {
    /// The run, as `anomd runs` names it.
    run: String,
    /// Who does it; left out: who is logged in.
    #[arg(long)]
    by: Option<String>,
}

pub(super) async fn runs(global: &Global, args: RunsArgs) -> Result<(), CliError> {
    let RunsArgs { batch, job, state, since, last } = args;
    let query = RunList { batch, job, state, since, ..RunList::default() };
    let runs = Door::open(global)?.all(query, last).await?;
    if global.json {
        return output::json(&runs);
    }
    if runs.is_empty() {
        output::line("no such run is kept");
        return Ok(());
    }
    let mut table = output::table(["run", "state", "started", "took", "by", "why"]);
    for run in runs {
        table.add_row([
            run.id,
            run.state,
            output::instant(run.started),
            format!("{} ms", run.duration_ms),
            run.reason,
            run.why.unwrap_or_default().lines().next().unwrap_or_default().to_owned(),
        ]);
    }
    output::line(table);
    Ok(())
}

pub(super) async fn cancel(global: &Global, args: CancelArgs) -> Result<(), CliError> {
    let Door::Node(client) = Door::open(global)? else {
        return Err(CliError::Usage("no node is running here, so no run is under way".to_owned()));
    };
    let path = client.path(&["runs", &args.run, "cancel"]);
    let run: RunView = client.post_as(&path, &json!({"by": author(args.by)})).await?;
    if global.json {
        return output::json(&run);
    }
    output::line(format!("{} is told to end", run.id));
    Ok(())
}
