//! `anomd event`: deploys and maintenances, for people and pipelines.

use clap::{Args, Subcommand};

use super::door::Door;
use super::output::{self, When};
use super::{CliError, Global, author};
use crate::desk::{EventAdd, EventEnd, EventQuery, EventView, instant};

#[derive(Args)]
pub(super) struct EventArgs {
    #[command(subcommand)]
    command: EventCommand,
}

#[derive(Subcommand)]
enum EventCommand {
    /// Lists the events of the last week.
    List {
        /// Also older ones.
        #[arg(long, short)]
        all: bool,
    },
    /// Enters an event: `anomd event add deploy "checkout v2.3" --match 'service="checkout"'`.
    /// Alerts that begin while it lasts, or within 30 minutes of its start, name it.
    Add {
        /// What it is, in one word: deploy, maintenance.
        kind: String,
        /// What it is, for people.
        #[arg(default_value = "")]
        text: String,
        /// Which alerts it is about, by their labels; all where this is left out.
        #[arg(long = "match", value_name = "MATCHERS", default_value = "")]
        matchers: String,
        /// When it began, instead of now.
        #[arg(long, value_name = "INSTANT", value_parser = output::parse_when)]
        start: Option<When>,
        /// When it ends. Without --end and --for it is one instant.
        #[arg(long, value_name = "INSTANT", value_parser = output::parse_when)]
        end: Option<When>,
        /// How long it lasts: 30m, 2h.
        #[arg(long = "for", value_name = "SPAN", value_parser = output::parse_span, conflicts_with = "end")]
        span: Option<i64>,
        /// No alert that matches begins while it lasts; for one instant, in the 30 minutes after.
        #[arg(long, conflicts_with = "widen")]
        mute: bool,
        /// Alerts that match begin only outside of a band so many times as wide.
        #[arg(long, value_name = "TIMES")]
        widen: Option<f64>,
        /// Who enters it, instead of $USER.
        #[arg(long)]
        by: Option<String>,
    },
    /// Ends an event now.
    End {
        /// Its name, or a beginning of it.
        id: String,
    },
}

pub(super) async fn event(global: &Global, args: EventArgs) -> Result<(), CliError> {
    let door = Door::open(global)?;
    let view = match args.command {
        EventCommand::List { all } => {
            let events = door.all(EventQuery { all, ..EventQuery::default() }, usize::MAX).await?;
            return list(global, &events);
        }
        EventCommand::Add { kind, text, matchers, start, end, span, mute, widen, by } => {
            let now = output::now();
            let start = start.map(|start| start.at(now));
            let end = end.map(|end| end.at(now)).or(span.map(|span| start.unwrap_or(now) + span));
            door.ask(&EventAdd { kind, text, matchers, start, end, mute, widen, by: author(by) }).await?
        }
        EventCommand::End { id } => door.ask(&EventEnd { id }).await?,
    };
    if global.json {
        return output::json(&view);
    }
    let until = view.end.map_or(String::new(), |end| format!(" to {}", instant::text(end)));
    output::line(format!("{}: {} {} at {}{until}", view.id, view.kind, view.text, instant::text(view.start)));
    Ok(())
}

fn list(global: &Global, events: &[EventView]) -> Result<(), CliError> {
    if global.json {
        return output::json(&events);
    }
    if events.is_empty() {
        output::line("there is no event; `anomd event list --all` shows older ones as well");
        return Ok(());
    }
    let mut table = output::table(["id", "kind", "text", "about", "from", "to", "effect", "by"]);
    for event in events {
        let effect = match (event.mute, event.widen) {
            (true, _) => "mutes".to_owned(),
            (false, Some(times)) => format!("widens {times} times"),
            (false, None) => String::new(),
        };
        table.add_row([
            event.id.clone(),
            event.kind.clone(),
            event.text.clone(),
            event.matchers.clone(),
            instant::text(event.start),
            event.end.map(instant::text).unwrap_or_default(),
            effect,
            event.by.clone(),
        ]);
    }
    output::line(table);
    Ok(())
}
