//! Export in Anomstack's long format, so that what reads its table reads ours; and of runs.
//!
//! The order is fixed (tenant and batch, name, labels, time, type) and nothing of the wall
//! clock or of the layout on disk shows: equal contents give equal bytes. One series is in
//! memory at a time, and the alerts of one batch.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::StoreError;
use super::database::Database;
use super::read::{AlertFilter, RunFilter};
use super::record::{AlertRecord, Peak, RunRecord, ScoreRow, SeriesId};
use crate::config::BatchKey;
use crate::series::{Labels, Millis};

/// How an export is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExportFormat {
    /// A header and rows, as RFC 4180 has them.
    #[default]
    Csv,
    /// A JSON object a line.
    JsonLines,
}

/// What is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Export {
    /// Samples, scores and alerts in the columns `metric_timestamp`, `metric_batch`,
    /// `metric_name`, `metric_type`, `metric_value`, `metadata`.
    #[default]
    Metrics,
    /// Finished runs, without what the wall clock had a part in.
    Runs,
}

/// The `metric_type` of a row, in the order of rows at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricType {
    /// A sample.
    Metric,
    /// A score.
    Score,
    /// An alert, at the point where it started; its value is 1.
    Alert,
}

impl MetricType {
    fn name(self) -> &'static str {
        match self {
            Self::Metric => "metric",
            Self::Score => "score",
            Self::Alert => "alert",
        }
    }
}

/// Which rows.
#[derive(Clone, Debug, Default)]
pub struct ExportFilter {
    /// Of this batch; `None`: of all.
    pub key: Option<BatchKey>,
    /// Of the batches of this tenant; `None`: of all.
    pub tenant: Option<String>,
    /// Of these types; `None`: of all. Runs have none.
    pub types: Option<Vec<MetricType>>,
    /// Of this half-open span: of their `metric_timestamp`, or a run's scheduled time.
    pub times: Option<Range<Millis>>,
}

/// Rows on their way out.
enum Rows<'a> {
    Csv(Box<csv::Writer<&'a mut dyn Write>>),
    JsonLines(&'a mut dyn Write),
}

impl Rows<'_> {
    /// Writes a row; columns that are no plain text are JSON in a CSV's text.
    fn write(&mut self, names: &[&str], values: &[Value]) -> Result<(), StoreError> {
        let written = match self {
            Self::Csv(csv) => {
                let texts = values.iter().map(|value| match value {
                    Value::String(text) => text.clone(),
                    value => value.to_string(),
                });
                csv.write_record(texts).map_err(io::Error::from)
            }
            Self::JsonLines(sink) => {
                let object: Map<_, _> =
                    names.iter().map(|name| (*name).to_owned()).zip(values.iter().cloned()).collect();
                writeln!(sink, "{}", Value::Object(object))
            }
        };
        written.map_err(|e| StoreError::io("writing", "the export".as_ref(), &e))
    }
}

impl Database {
    /// Writes what is asked for, and says how many rows that were.
    pub fn export(
        &self,
        what: Export,
        filter: &ExportFilter,
        sink: &mut dyn Write,
        format: ExportFormat,
    ) -> Result<u64, StoreError> {
        let names: &[&str] = match what {
            Export::Metrics => &METRIC_COLUMNS,
            Export::Runs => &RUN_COLUMNS,
        };
        let failed = |e: io::Error| StoreError::io("writing", "the export".as_ref(), &e);
        let mut rows = match format {
            ExportFormat::Csv => {
                let mut csv = csv::Writer::from_writer(sink);
                csv.write_record(names).map_err(|e| failed(e.into()))?;
                Rows::Csv(Box::new(csv))
            }
            ExportFormat::JsonLines => Rows::JsonLines(sink),
        };
        let mut count = 0;
        for (_, key) in self.inner.chosen(filter.key.as_ref()) {
            if filter.tenant.as_ref().is_some_and(|tenant| *tenant != key.tenant) {
                continue;
            }
            count += match what {
                Export::Metrics => self.export_metrics(&key, filter, &mut rows)?,
                Export::Runs => self.export_runs(&key, filter, &mut rows)?,
            };
        }
        match rows {
            Rows::Csv(mut csv) => csv.flush().map_err(failed)?,
            Rows::JsonLines(sink) => sink.flush().map_err(failed)?,
        }
        Ok(count)
    }

    fn export_metrics(&self, key: &BatchKey, filter: &ExportFilter, rows: &mut Rows<'_>) -> Result<u64, StoreError> {
        let times = filter.times.clone().unwrap_or(Millis::MIN..Millis::MAX);
        let wants = |kind: MetricType| filter.types.as_ref().is_none_or(|types| types.contains(&kind));
        let mut series: BTreeMap<(String, Labels), (Option<SeriesId>, Vec<AlertRecord>)> = BTreeMap::new();
        for record in self.series(key) {
            series.entry((record.name, record.labels)).or_default().0 = Some(record.id);
        }
        if wants(MetricType::Alert) {
            let filter = AlertFilter { key: Some(key.clone()), started: Some(times.clone()), ..AlertFilter::default() };
            // Oldest first, as rows are.
            for alert in self.alerts(&filter)?.into_iter().rev() {
                series.entry((alert.name.clone(), alert.labels.clone())).or_default().1.push(alert);
            }
        }
        let mut count = 0;
        for ((name, labels), (id, alerts)) in series {
            let metadata = metadata(key, &labels);
            let ids = id.as_slice();
            let values = if wants(MetricType::Metric) { self.values(key, ids, times.clone())? } else { Vec::new() };
            let scores = if wants(MetricType::Score) { self.scores(key, ids, times.clone())? } else { Vec::new() };
            let mut cells: Vec<(Millis, MetricType, Cell<'_>)> = Vec::new();
            for column in &values {
                let samples = column.timestamps.iter().zip(&column.values);
                cells.extend(samples.map(|(time, value)| (*time, MetricType::Metric, Cell::Value(*value))));
            }
            cells.extend(
                scores
                    .iter()
                    .flat_map(|column| &column.rows)
                    .map(|row| (row.time, MetricType::Score, Cell::Score(row))),
            );
            cells.extend(alerts.iter().map(|alert| (alert.started, MetricType::Alert, Cell::Alert(alert))));
            cells.sort_by_key(|(time, kind, _)| (*time, *kind));
            for (time, kind, cell) in cells {
                let (value, metadata) = cell.value_and_metadata(&metadata);
                let columns: [Value; 6] = [
                    rfc3339(time),
                    key.batch.as_str().into(),
                    name.as_str().into(),
                    kind.name().into(),
                    value,
                    Value::Object(metadata).to_string().into(),
                ];
                rows.write(&METRIC_COLUMNS, &columns)?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn export_runs(&self, key: &BatchKey, filter: &ExportFilter, rows: &mut Rows<'_>) -> Result<u64, StoreError> {
        let mut runs = self.runs(&RunFilter { key: Some(key.clone()), ..RunFilter::default() })?;
        runs.reverse();
        let mut count = 0;
        for run in runs {
            // All of a run's fields, so that a new one is not forgotten.
            let RunRecord { slot, state, attempts, reason, started: _, duration_ms: _, counts, log, error } = run;
            if filter.times.as_ref().is_some_and(|times| !times.contains(&slot.scheduled)) {
                continue;
            }
            let columns: [Value; 9] = [
                rfc3339(slot.scheduled),
                slot.key.tenant.into(),
                slot.key.batch.into(),
                slot.job.name().into(),
                tree(&state),
                attempts.into(),
                reason.into(),
                tree(&counts),
                json!({ "log": log, "error": tree(&error) }),
            ];
            rows.write(&RUN_COLUMNS, &columns)?;
            count += 1;
        }
        Ok(count)
    }
}

const METRIC_COLUMNS: [&str; 6] =
    ["metric_timestamp", "metric_batch", "metric_name", "metric_type", "metric_value", "metadata"];

const RUN_COLUMNS: [&str; 9] =
    ["scheduled", "tenant", "metric_batch", "job", "state", "attempts", "reason", "counts", "messages"];

/// What a row speaks of.
enum Cell<'a> {
    Value(f64),
    Score(&'a ScoreRow),
    Alert(&'a AlertRecord),
}

impl Cell<'_> {
    fn value_and_metadata(&self, common: &Map<String, Value>) -> (Value, Map<String, Value>) {
        let mut metadata = common.clone();
        match self {
            Self::Value(value) => (number(*value), metadata),
            Self::Score(ScoreRow { time: _, score, lower, upper, terms }) => {
                for (name, edge) in [("lower", lower), ("upper", upper)] {
                    if !edge.is_nan() {
                        metadata.insert(name.to_owned(), number(*edge));
                    }
                }
                if !terms.is_empty() {
                    metadata.insert("terms".to_owned(), terms_object(terms));
                }
                (number(*score), metadata)
            }
            Self::Alert(alert) => {
                let Peak { time: at, value, score, lower, upper } = alert.worst;
                let fields = json!({
                    "alert": alert.id,
                    "state": alert.phase.name(),
                    "kind": alert.kind.name(),
                    "start": rfc3339(alert.started),
                    "end": alert.ended.map(rfc3339),
                    "threshold": number(alert.threshold),
                    "worst": {
                        "time": rfc3339(at),
                        "value": number(value),
                        "score": number(score),
                        "lower": number(lower),
                        "upper": number(upper),
                    },
                    "terms": terms_object(&alert.terms),
                    "models": alert.models.iter().cloned().collect::<BTreeMap<_, _>>(),
                });
                if let Value::Object(fields) = fields {
                    metadata.extend(fields);
                }
                (number(1.0), metadata)
            }
        }
    }
}

/// What the metadata of each row of a series has. The tenant stands there where it is not
/// the one that needs no name.
fn metadata(key: &BatchKey, labels: &Labels) -> Map<String, Value> {
    let mut metadata = Map::new();
    if key.tenant != "default" {
        metadata.insert("tenant".to_owned(), key.tenant.as_str().into());
    }
    let labels: Map<_, _> = labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    metadata.insert("labels".to_owned(), labels.into());
    metadata
}

fn terms_object(terms: &[(String, f64)]) -> Value {
    Value::Object(terms.iter().map(|(name, value)| (name.clone(), number(*value))).collect())
}

/// A number; those that JSON does not have as texts, spelled as Prometheus does, NaN as null.
fn number(value: f64) -> Value {
    match value {
        f64::INFINITY => "+Inf".into(),
        f64::NEG_INFINITY => "-Inf".into(),
        value => value.into(),
    }
}

fn tree(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// An instant as text; one beyond the years that a calendar has, as milliseconds.
fn rfc3339(time: Millis) -> Value {
    match chrono::DateTime::from_timestamp_millis(time) {
        Some(time) => time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true).into(),
        None => time.to_string().into(),
    }
}
