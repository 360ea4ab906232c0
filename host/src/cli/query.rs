//! `anomd query`: what the store holds, without a running node.

use std::ops::Range;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{CliError, Global, open, output};
use crate::config::BatchKey;
use crate::series::Millis;
use crate::store::{AlertFilter, Database, DeliveryFilter, Peak, RunFilter, RunState, SeriesRecord};

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

pub(super) fn query(global: &Global, args: QueryArgs) -> Result<(), CliError> {
    let store = open::store(global)?;
    let Some(named) = &args.batch else {
        let batches: Vec<String> = store.batches().iter().map(ToString::to_string).collect();
        if global.json {
            return output::json(&batches);
        }
        batches.iter().for_each(output::line);
        return Ok(());
    };
    let key = open::stored_batch(&store, named)?;
    let (columns, rows) = match args.what {
        What::Series => series(&store, &key, &args)?,
        What::Values => values(&store, &key, &args)?,
        What::Scores => scores(&store, &key, &args)?,
        What::Alerts => alerts(&store, &key, &args)?,
        What::Runs => runs(&store, &key, &args)?,
        What::Deliveries => deliveries(&store, &key)?,
    };
    if global.json {
        let object = |row: &Vec<Value>| -> Value {
            columns.iter().map(|c| (*c).to_owned()).zip(row.iter().cloned()).collect::<serde_json::Map<_, _>>().into()
        };
        return output::json(&rows.iter().map(object).collect::<Vec<_>>());
    }
    let mut table = output::table([]);
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

type Rows = (Vec<&'static str>, Vec<Vec<Value>>);

fn selected(store: &Database, key: &BatchKey, args: &QueryArgs) -> Result<Vec<SeriesRecord>, CliError> {
    let mut series = store.series(key);
    if let Some(text) = &args.metric {
        series.retain(|s| s.name.contains(text.as_str()));
    }
    Ok(series)
}

fn span(args: &QueryArgs) -> Range<Millis> {
    args.from.unwrap_or(Millis::MIN / 2)..args.to.unwrap_or(Millis::MAX / 2)
}

fn instant(time: Option<Millis>) -> Value {
    time.map_or(Value::Null, |time| output::instant(time).into())
}

fn series(store: &Database, key: &BatchKey, args: &QueryArgs) -> Result<Rows, CliError> {
    let rows = selected(store, key, args)?.into_iter().map(|s| {
        vec![s.name.into(), instant(s.span.map(|span| span.0)), instant(s.span.map(|span| span.1)), instant(s.scored)]
    });
    Ok((vec!["metric_name", "first", "last", "scored_to"], rows.collect()))
}

fn values(store: &Database, key: &BatchKey, args: &QueryArgs) -> Result<Rows, CliError> {
    let mut rows = Vec::new();
    for s in selected(store, key, args)? {
        for column in store.values(key, &[s.id], span(args))? {
            let from = column.values.len().saturating_sub(args.last);
            let points = column.timestamps.iter().zip(&column.values).skip(from);
            rows.extend(points.map(|(time, value)| vec![instant(Some(*time)), s.name.clone().into(), json!(value)]));
        }
    }
    Ok((vec!["metric_timestamp", "metric_name", "metric_value"], rows))
}

fn scores(store: &Database, key: &BatchKey, args: &QueryArgs) -> Result<Rows, CliError> {
    let mut rows = Vec::new();
    for s in selected(store, key, args)? {
        for column in store.scores(key, &[s.id], span(args))? {
            let from = column.rows.len().saturating_sub(args.last);
            rows.extend(column.rows.into_iter().skip(from).map(|row| {
                let terms: Vec<String> = row.terms.iter().map(|(name, part)| format!("{name} {part:.2}")).collect();
                vec![
                    instant(Some(row.time)),
                    s.name.clone().into(),
                    json!(row.score),
                    json!(row.lower),
                    json!(row.upper),
                    terms.join(", ").into(),
                ]
            }));
        }
    }
    Ok((vec!["metric_timestamp", "metric_name", "score", "lower", "upper", "terms"], rows))
}

fn alerts(store: &Database, key: &BatchKey, args: &QueryArgs) -> Result<Rows, CliError> {
    let span = span(args);
    let matches = |name: &str| args.metric.as_ref().is_none_or(|text| name.contains(text.as_str()));
    let alerts = store
        .alerts(&AlertFilter { key: Some(key.clone()), ..AlertFilter::default() })?
        .into_iter()
        .filter(|a| span.contains(&a.started) && matches(&a.name));
    let rows = alerts.map(|a| {
        let Peak { time: at, value, score, lower, upper } = a.worst;
        let expected = if lower.is_finite() { format!("{lower:.4} to {upper:.4}") } else { String::new() };
        vec![
            instant(Some(a.started)),
            instant(a.ended),
            a.phase.name().into(),
            a.name.into(),
            json!(score),
            json!(value),
            expected.into(),
            instant(Some(at)),
            a.id.into(),
        ]
    });
    Ok((
        vec!["started", "ended", "state", "metric_name", "score", "value", "expected", "worst_at", "id"],
        rows.collect(),
    ))
}

fn runs(store: &Database, key: &BatchKey, args: &QueryArgs) -> Result<Rows, CliError> {
    let rows =
        store.runs(&RunFilter { key: Some(key.clone()), job: None, limit: Some(args.last) })?.into_iter().map(|run| {
            let state = match &run.state {
                RunState::Done => "done".to_owned(),
                RunState::Partial => "partial".to_owned(),
                RunState::Failed => "failed".to_owned(),
                RunState::Skipped(why) => format!("skipped: {why}"),
            };
            let counts = output::counts(&run);
            let said = run.error.map(|e| e.to_string()).into_iter().chain(run.log).collect::<Vec<_>>().join("\n");
            vec![
                instant(Some(run.slot.scheduled)),
                run.slot.job.name().into(),
                state.into(),
                json!(run.attempts),
                json!(run.duration_ms),
                counts.into(),
                said.into(),
            ]
        });
    Ok((vec!["scheduled", "job", "state", "tries", "ms", "what", "said"], rows.collect()))
}

fn deliveries(store: &Database, key: &BatchKey) -> Result<Rows, CliError> {
    let rows = store.deliveries(&DeliveryFilter { key: Some(key.clone()), state: None })?.into_iter().map(|d| {
        let last = d.attempts.last().map(|attempt| match &attempt.outcome {
            Ok(receipt) => receipt.clone(),
            Err(why) => why.clone(),
        });
        vec![
            instant(Some(d.queued)),
            d.method.into(),
            d.state.into(),
            json!(d.attempts.len()),
            d.alert.title.into(),
            last.map_or(Value::Null, Value::from),
            d.id.into(),
        ]
    });
    Ok((vec!["queued", "method", "state", "tries", "title", "answer", "id"], rows.collect()))
}
