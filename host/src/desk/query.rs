//! What the store holds, as rows: series, values, scores, alerts, runs, deliveries.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::selector::Selector;
use super::{Ask, Desk, DeskError, instant, page};
use crate::config::BatchKey;
use crate::series::Millis;
use crate::store::{AlertFilter, DeliveryFilter, Peak, RunFilter, RunRecord, SeriesRecord};

/// What to show of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueryWhat {
    /// The series of the batch.
    #[default]
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

/// Asks for rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// The batch; all are listed where none is named.
    pub batch: Option<String>,
    /// What of it.
    pub what: QueryWhat,
    /// Only series that this finds: words, a glob of the name, or a selector.
    pub metric: Option<String>,
    /// From this instant on.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub from: Option<Millis>,
    /// To before this instant.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub to: Option<Millis>,
    /// The newest so many rows of each series, or so many runs.
    pub last: Option<usize>,
    /// At most so many rows in an answer.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rows {
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Its rows, a cell a column.
    #[schema(value_type = Vec<Vec<Value>>)]
    pub rows: Vec<Vec<Value>>,
    /// What to pass as `cursor` for the rows after these; `None`: there are none.
    #[serde(default)]
    pub next: Option<String>,
}

impl Rows {
    fn of(columns: &[&str], rows: Vec<Vec<Value>>) -> Self {
        Self { columns: columns.iter().map(|name| (*name).to_owned()).collect(), rows, next: None }
    }
}

/// Rows where none are asked for by number.
const LAST: usize = 20;
/// Rows of one answer.
const ROWS: usize = 10_000;

impl Ask for Query {
    type Reply = Rows;

    fn ask(&self, desk: &Desk<'_>) -> Result<Rows, DeskError> {
        let from = match &self.cursor {
            Some(cursor) => {
                page::read(cursor)?.parse().map_err(|_| DeskError::invalid("the cursor is not one of ours"))?
            }
            None => 0,
        };
        let to = self.limit.unwrap_or(ROWS).clamp(1, ROWS).saturating_add(from);
        let mut rows = self.rows_up_to(desk, to.saturating_add(1))?;
        rows.next = (rows.rows.len() > to).then(|| page::cursor(&to.to_string()));
        rows.rows.truncate(to);
        rows.rows.drain(..from.min(rows.rows.len()));
        Ok(rows)
    }
}

impl Query {
    /// The rows, or at least the first `most` of them.
    fn rows_up_to(&self, desk: &Desk<'_>, most: usize) -> Result<Rows, DeskError> {
        let Some(named) = &self.batch else {
            let batches = desk.store.batches_of(desk.tenant).into_iter().map(|key| vec![key.to_string().into()]);
            return Ok(Rows::of(&["batch"], batches.collect()));
        };
        let key = desk.batch(named)?;
        match self.what {
            QueryWhat::Series => self.series(desk, &key),
            QueryWhat::Values => self.values(desk, &key, most),
            QueryWhat::Scores => self.scores(desk, &key, most),
            QueryWhat::Alerts => self.alerts(desk, &key),
            QueryWhat::Runs => self.runs(desk, &key),
            QueryWhat::Deliveries => self.deliveries(desk, &key),
        }
    }
}

fn cell(time: Option<Millis>) -> Value {
    time.map_or(Value::Null, |time| instant::text(time).into())
}

impl Query {
    fn last(&self) -> usize {
        self.last.unwrap_or(LAST)
    }

    fn selected(&self, desk: &Desk<'_>, key: &BatchKey) -> Result<Vec<SeriesRecord>, DeskError> {
        let selector = Selector::of(self.metric.as_ref())?;
        Ok(desk.store.series_where(key, |name, labels| selector.matches(name, labels)))
    }

    fn span(&self) -> Range<Millis> {
        self.from.unwrap_or(Millis::MIN / 2)..self.to.unwrap_or(Millis::MAX / 2)
    }

    fn series(&self, desk: &Desk<'_>, key: &BatchKey) -> Result<Rows, DeskError> {
        let row = |s: SeriesRecord| {
            vec![s.name.into(), cell(s.span.map(|span| span.0)), cell(s.span.map(|span| span.1)), cell(s.scored)]
        };
        let rows = self.selected(desk, key)?.into_iter().map(row).collect();
        Ok(Rows::of(&["metric_name", "first", "last", "scored_to"], rows))
    }

    fn values(&self, desk: &Desk<'_>, key: &BatchKey, most: usize) -> Result<Rows, DeskError> {
        let mut rows = Vec::new();
        for s in self.selected(desk, key)? {
            if rows.len() >= most {
                break;
            }
            for column in desk.store.values(key, &[s.id], self.span())? {
                let from = column.values.len().saturating_sub(self.last());
                let points = column.timestamps.iter().zip(&column.values).skip(from);
                rows.extend(points.map(|(time, value)| vec![cell(Some(*time)), s.name.clone().into(), json!(value)]));
            }
        }
        Ok(Rows::of(&["metric_timestamp", "metric_name", "metric_value"], rows))
    }

    fn scores(&self, desk: &Desk<'_>, key: &BatchKey, most: usize) -> Result<Rows, DeskError> {
        let mut rows = Vec::new();
        for s in self.selected(desk, key)? {
            if rows.len() >= most {
                break;
            }
            for column in desk.store.scores(key, &[s.id], self.span())? {
                let from = column.rows.len().saturating_sub(self.last());
                rows.extend(column.rows.into_iter().skip(from).map(|row| {
                    let terms: Vec<String> = row.terms.iter().map(|(name, part)| format!("{name} {part:.2}")).collect();
                    vec![
                        cell(Some(row.time)),
                        s.name.clone().into(),
                        json!(row.score),
                        json!(row.lower),
                        json!(row.upper),
                        terms.join(", ").into(),
                    ]
                }));
            }
        }
        Ok(Rows::of(&["metric_timestamp", "metric_name", "score", "lower", "upper", "terms"], rows))
    }

    fn alerts(&self, desk: &Desk<'_>, key: &BatchKey) -> Result<Rows, DeskError> {
        let selector = Selector::of(self.metric.as_ref())?;
        let filter = AlertFilter { key: Some(key.clone()), started: Some(self.span()), ..AlertFilter::default() };
        let alerts =
            desk.store.alerts(&filter)?.into_iter().filter(|alert| selector.matches(&alert.name, &alert.labels));
        let rows = alerts.map(|a| {
            let Peak { time: at, value, score, lower, upper } = a.worst;
            let expected = if lower.is_finite() { format!("{lower:.4} to {upper:.4}") } else { String::new() };
            vec![
                cell(Some(a.started)),
                cell(a.ended),
                a.phase.name().into(),
                a.kind.name().into(),
                a.name.into(),
                json!(score),
                json!(value),
                expected.into(),
                cell(Some(at)),
                a.id.into(),
            ]
        });
        let columns =
            ["started", "ended", "state", "kind", "metric_name", "score", "value", "expected", "worst_at", "id"];
        Ok(Rows::of(&columns, rows.collect()))
    }

    fn runs(&self, desk: &Desk<'_>, key: &BatchKey) -> Result<Rows, DeskError> {
        let filter = RunFilter { key: Some(key.clone()), job: None, limit: Some(self.last()) };
        let rows = desk.store.runs(&filter)?.into_iter().map(|run| {
            let why = run.state.why().map(|why| format!(": {why}")).unwrap_or_default();
            let state = format!("{}{why}", run.state.name());
            let counts = counts(&run);
            let said = run.error.map(|e| e.to_string()).into_iter().chain(run.log).collect::<Vec<_>>().join("\n");
            vec![
                cell(Some(run.slot.scheduled)),
                run.slot.job.name().into(),
                state.into(),
                json!(run.attempts),
                json!(run.duration_ms),
                counts.into(),
                said.into(),
            ]
        });
        Ok(Rows::of(&["scheduled", "job", "state", "tries", "ms", "what", "said"], rows.collect()))
    }

    fn deliveries(&self, desk: &Desk<'_>, key: &BatchKey) -> Result<Rows, DeskError> {
        let deliveries = desk.store.deliveries(&DeliveryFilter { key: Some(key.clone()), state: None })?;
        let rows = deliveries.into_iter().map(|d| {
            let last = d.attempts.last().map(|attempt| match &attempt.outcome {
                Ok(receipt) => receipt.clone(),
                Err(why) => why.clone(),
            });
            vec![
                cell(Some(d.queued)),
                d.receiver.into(),
                d.method.into(),
                d.state.into(),
                json!(d.attempts.len()),
                d.alert.title.into(),
                last.map_or(Value::Null, Value::from),
                d.id.into(),
            ]
        });
        Ok(Rows::of(&["queued", "receiver", "method", "state", "tries", "title", "answer", "id"], rows.collect()))
    }
}

/// What a run counted, without the edges of its window and what it did not meet.
pub fn counts(run: &RunRecord) -> String {
    let shown = run.counts.iter().filter(|(what, n)| **n > 0 && !matches!(what.as_str(), "from" | "to"));
    shown.map(|(what, n)| format!("{n} {what}")).collect::<Vec<_>>().join(", ")
}
