//! `anomd why`: the chain of reasons behind an alert, or behind none.

use clap::Args;

use super::door::Door;
use super::output::{self, When};
use super::{CliError, Global};
use crate::desk::Why;

#[derive(Args)]
pub(super) struct WhyArgs {
    /// The batch.
    batch: String,
    /// The series: its name, a part of it, a glob, or a selector as `cpu{mode="idle"}`.
    metric: String,
    /// The instant to explain: 2026-01-31T12:00:00Z, or `10m` for ten minutes ago. The newest
    /// scored point where this is left out.
    #[arg(long, value_name = "INSTANT", value_parser = output::parse_when)]
    at: Option<When>,
}

pub(super) async fn why(global: &Global, args: WhyArgs) -> Result<(), CliError> {
    let WhyArgs { batch, metric, at } = args;
    let trace = Door::open(global)?.ask(&Why { batch, metric, at: at.map(|at| at.at(output::now())) }).await?;
    if global.json {
        return output::json(&trace);
    }
    output::line(trace.to_string().trim_end());
    Ok(())
}
