//! `anomd silence`: alerts that match are told to nobody for a while.

use clap::{Args, Subcommand};

use super::door::Door;
use super::output::{self, When};
use super::{CliError, Global, author};
use crate::desk::{SilenceAdd, SilenceExpire, SilenceQuery, SilenceState, SilenceView, instant};

#[derive(Args)]
pub(super) struct SilenceArgs {
    #[command(subcommand)]
    command: SilenceCommand,
}

#[derive(Subcommand)]
enum SilenceCommand {
    /// Lists the silences that hold or will.
    List {
        /// Also those that are over.
        #[arg(long, short)]
        all: bool,
    },
    /// Adds a silence: `anomd silence add 'job="api"' --for 2h --comment "moving racks"`.
    Add {
        /// What an alert must match: labels of its series, or `batch`, `metric`, `alertname`,
        /// `kind`, and the batch's `metric_tags`.
        matchers: String,
        /// For how long: 30m, 2h, 1d.
        #[arg(long = "for", value_name = "SPAN", value_parser = output::parse_span, required_unless_present = "until")]
        span: Option<i64>,
        /// Until this instant instead.
        #[arg(long, value_name = "INSTANT", value_parser = output::parse_when, conflicts_with = "span")]
        until: Option<When>,
        /// From this instant on, instead of now.
        #[arg(long, value_name = "INSTANT", value_parser = output::parse_when)]
        from: Option<When>,
        /// Why.
        #[arg(long, short, default_value = "")]
        comment: String,
        /// Who silences, instead of $USER.
        #[arg(long)]
        by: Option<String>,
    },
    /// Ends a silence now.
    Expire {
        /// Its identity, or a beginning of it.
        id: String,
    },
}

pub(super) async fn silence(global: &Global, args: SilenceArgs) -> Result<(), CliError> {
    let door = Door::open(global)?;
    let view = match args.command {
        SilenceCommand::List { all } => {
            let silences = door.all(SilenceQuery { all, ..SilenceQuery::default() }, usize::MAX).await?;
            return list(global, &silences);
        }
        SilenceCommand::Add { matchers, span, until, from, comment, by } => {
            let now = output::now();
            let start = from.map(|from| from.at(now));
            let end = until.map_or(start.unwrap_or(now) + span.unwrap_or(0), |until| until.at(now));
            door.ask(&SilenceAdd { matchers, author: author(by), comment, start, end }).await?
        }
        SilenceCommand::Expire { id } => door.ask(&SilenceExpire { id }).await?,
    };
    if global.json {
        return output::json(&view);
    }
    let SilenceView { id, matchers, start, end, alerts, .. } = &view;
    output::line(match view.state {
        SilenceState::Expired => format!("{id}: {matchers} is over"),
        SilenceState::Active => {
            format!("{id}: {matchers} until {}; {alerts} of the alerts that are on match", instant::text(*end))
        }
        SilenceState::Pending => format!("{id}: {matchers} from {} to {}", instant::text(*start), instant::text(*end)),
    });
    Ok(())
}

fn list(global: &Global, silences: &[SilenceView]) -> Result<(), CliError> {
    if global.json {
        return output::json(&silences);
    }
    if silences.is_empty() {
        output::line("no silence holds");
        return Ok(());
    }
    let mut table = output::table(["id", "state", "matchers", "from", "to", "alerts", "by", "comment"]);
    for silence in silences {
        let state = match silence.state {
            SilenceState::Pending => "pending",
            SilenceState::Active => "active",
            SilenceState::Expired => "expired",
        };
        table.add_row([
            silence.id.clone(),
            state.to_owned(),
            silence.matchers.clone(),
            instant::text(silence.start),
            instant::text(silence.end),
            silence.alerts.to_string(),
            silence.author.clone(),
            silence.comment.clone(),
        ]);
    }
    output::line(table);
    Ok(())
}
