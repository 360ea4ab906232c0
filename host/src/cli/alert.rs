//! `anomd alert`: alerts, and what a person does about one.

use clap::{Args, Subcommand, ValueEnum};

use super::door::Door;
use super::output::{self, When};
use super::{CliError, Global, author};
use crate::desk::{Acknowledge, AlertQuery, AlertShow, AlertView, Rate, Snooze, Unacknowledge, instant, why};
use crate::message::{AlertKind, Rating};

#[derive(Args)]
pub(super) struct AlertArgs {
    #[command(subcommand)]
    command: AlertCommand,
}

#[derive(Subcommand)]
enum AlertCommand {
    /// Lists the alerts that are not over.
    List {
        /// Only those of this batch.
        batch: Option<String>,
        /// Also those that are over.
        #[arg(long, short)]
        all: bool,
        /// Only series whose name holds this text.
        #[arg(long, value_name = "TEXT")]
        metric: Option<String>,
        /// At most so many, the last started first.
        #[arg(long, default_value_t = 100)]
        last: usize,
    },
    /// Shows one alert.
    Show {
        /// Its identity, or a beginning of it.
        id: String,
    },
    /// Acknowledges an alert: it is not told again until it is over.
    Ack {
        /// Its identity, or a beginning of it.
        id: String,
        /// What others should know.
        #[arg(long, short, default_value = "")]
        comment: String,
        /// Who acknowledges it, instead of $USER.
        #[arg(long)]
        by: Option<String>,
    },
    /// Takes an acknowledgement back.
    Unack {
        /// Its identity, or a beginning of it.
        id: String,
        /// Who takes it back, instead of $USER.
        #[arg(long)]
        by: Option<String>,
    },
    /// Says of an alert whether it was one.
    Rate {
        /// Its identity, or a beginning of it.
        id: String,
        /// `up`: yes, and its points are left out of what the next fits learn from. `down`: a
        /// false alarm. `none` takes a rating back.
        rating: Verdict,
        /// Who says so, instead of $USER.
        #[arg(long)]
        by: Option<String>,
    },
    /// Tells nobody of an alert for a while.
    Snooze {
        /// Its identity, or a beginning of it.
        id: String,
        /// For how long: 30m, 4h, 1d. `0s` ends a snooze.
        #[arg(long = "for", value_name = "SPAN", default_value = "1h", value_parser = output::parse_span)]
        span: i64,
        /// Until this instant instead.
        #[arg(long, value_name = "INSTANT", value_parser = output::parse_when, conflicts_with = "span")]
        until: Option<When>,
        /// Who snoozes it, instead of $USER.
        #[arg(long)]
        by: Option<String>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Verdict {
    Up,
    Down,
    None,
}

pub(super) async fn alert(global: &Global, args: AlertArgs) -> Result<(), CliError> {
    let door = Door::open(global)?;
    let view = match args.command {
        AlertCommand::List { batch, all, metric, last } => {
            let query = AlertQuery { batch, metric, all, ..AlertQuery::default() };
            let alerts = door.all(query, last).await?;
            return list(global, &alerts);
        }
        AlertCommand::Show { id } => door.ask(&AlertShow { id }).await?,
        AlertCommand::Ack { id, comment, by } => door.ask(&Acknowledge { id, by: author(by), comment }).await?,
        AlertCommand::Unack { id, by } => door.ask(&Unacknowledge { id, by: author(by) }).await?,
        AlertCommand::Rate { id, rating, by } => {
            let rating = match rating {
                Verdict::Up => Some(Rating::Up),
                Verdict::Down => Some(Rating::Down),
                Verdict::None => None,
            };
            door.ask(&Rate { id, by: author(by), rating }).await?
        }
        AlertCommand::Snooze { id, span, until, by } => {
            let until = until.map_or(output::now() + span, |until| until.at(output::now()));
            door.ask(&Snooze { id, by: author(by), until }).await?
        }
    };
    if global.json {
        return output::json(&view);
    }
    output::line(why::alert_text(&view));
    Ok(())
}

fn list(global: &Global, alerts: &[AlertView]) -> Result<(), CliError> {
    if global.json {
        return output::json(&alerts);
    }
    if alerts.is_empty() {
        output::line("there is no such alert");
        return Ok(());
    }
    let mut table = output::table(["id", "state", "kind", "batch", "metric", "since", "score", "rated", "by"]);
    for alert in alerts {
        let by = match (&alert.acknowledged, &alert.snoozed) {
            (Some(act), _) => act.by.clone(),
            (None, Some(snoozed)) => format!("{} until {}", snoozed.by, instant::text(snoozed.until)),
            (None, None) => alert.silenced_by.join(", "),
        };
        table.add_row([
            alert.id.chars().take(12).collect(),
            alert.state().to_owned(),
            alert.kind.name().to_owned(),
            alert.batch.clone(),
            alert.metric.clone(),
            instant::text(alert.started),
            alert
                .score
                .filter(|_| alert.kind == AlertKind::Anomaly)
                .map_or(String::new(), |score| format!("{score:.2}")),
            alert.rated.as_ref().map_or(String::new(), |rated| rated.rating.name().to_owned()),
            by,
        ]);
    }
    output::line(table);
    Ok(())
}
