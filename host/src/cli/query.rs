//! `anomd query`: what the store holds, with or without a running node.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::door::Door;
use super::{CliError, Global, output};
use crate::desk::{Query, QueryWhat, Rows};
use crate::series::Millis;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The series of the batch.
    Series,
    /// Points as they were ingested.
    Values,
    /// Scores, with the edges of what was expected.
    Scores,
    /// Alerts, open and resolved.
    Alerts,
    /// Finished runs, newest first.
    Runs,
    /// Messages: queued, sent, dead; each with what was tried.
    Deliveries,
}

impl From<What> for QueryWhat {
    fn from(what: What) -> Self {
        match what {
            What::Series => Self::Series,
            What::Values => Self::Values,
            What::Scores => Self::Scores,
            What::Alerts => Self::Alerts,
            What::Runs => Self::Runs,
            What::Deliveries => Self::Deliveries,
        }
    }
}

#[derive(Args)]
pub(super) struct QueryArgs {
    /// The batch; all are listed where none is named.
    batch: Option<String>,
    /// What to show.
    #[arg(long, short, value_enum, default_value = "series")]
    what: What,
    /// Only series whose name holds this text.
    #[arg(long, value_name = "TEXT")]
    metric: Option<String>,
    /// From this instant on.
    #[arg(long, value_name = "INSTANT", value_parser = output::parse_instant)]
    from: Option<Millis>,
    /// To before this instant.
    #[arg(long, value_name = "INSTANT", value_parser = output::parse_instant)]
    to: Option<Millis>,
    /// The newest so many rows of each series, or so many runs.
    #[arg(long, default_value_t = 20)]
    last: usize,
}

pub(super) async fn query(global: &Global, args: QueryArgs) -> Result<(), CliError> {
    let QueryArgs { batch, what, metric, from, to, last } = args;
    let listed = batch.is_none();
    let mut query = Query { batch, what: what.into(), metric, from, to, last: Some(last), ..Query::default() };
    let door = Door::open(global)?;
    let Rows { columns, mut rows, mut next } = door.ask(&query).await?;
    while next.is_some() {
        query.cursor = next;
        let page = door.ask(&query).await?;
        rows.extend(page.rows);
        next = page.next;
    }
    if listed {
        let batches: Vec<Value> = rows.into_iter().flatten().collect();
        if global.json {
            return output::json(&batches);
        }
        batches.iter().filter_map(Value::as_str).for_each(output::line);
        return Ok(());
    }
    if global.json {
        let object = |row: Vec<Value>| columns.iter().cloned().zip(row).collect::<serde_json::Map<_, _>>();
        return output::json(&rows.into_iter().map(object).collect::<Vec<_>>());
    }
    let mut table = output::table(Vec::<String>::new());
    table.set_header(columns);
    for row in rows {
        table.add_row(row.into_iter().map(|cell| match cell {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => other.to_string(),
        }));
    }
    output::line(table);
    Ok(())
}
