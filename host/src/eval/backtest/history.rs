//! What a backtest is made on: the samples of a batch as they came, and what people entered
//! and did meanwhile.

use std::collections::BTreeMap;
use std::ops::Range;

use super::BacktestError;
use crate::alert::Marker;
use crate::config::{BatchKey, Job, Limits, Slot};
use crate::fault::Fault;
use crate::message::AlertKind;
use crate::pipeline::{BoundBatch, Runner};
use crate::schedule::Clock;
use crate::series::{Kind, Labels, Millis};
use crate::store::{Column, Database, RunState};

/// The samples of a batch.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The series, by name.
    pub series: Vec<Recorded>,
    /// Deploys and maintenances: some mute alerts.
    pub markers: Vec<Marker>,
    /// The alerts that the node really raised in the span, where its store was asked.
    pub raised: Vec<Raised>,
}

/// A series as it was recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its identity.
    pub labels: Labels,
    /// Its `metric_name`.
    pub name: String,
    /// What it measures.
    pub kind: Kind,
    /// Its samples, ascending in time.
    pub column: Column,
}

/// An alert that a node raised.
#[derive(Clone, Debug, PartialEq)]
pub struct Raised {
    /// What raised it.
    pub kind: AlertKind,
    /// The series.
    pub labels: Labels,
    /// The first point over the threshold.
    pub started: Millis,
    /// The point at which it was over.
    pub ended: Option<Millis>,
    /// Whether somebody acknowledged it: the nearest there is to "this was no false alarm".
    pub acknowledged: bool,
}

impl History {
    /// Samples, all series together.
    pub fn samples(&self) -> usize {
        self.series.iter().map(|series| series.column.values.len()).sum()
    }

    /// The first and the last sample.
    pub fn span(&self) -> Option<(Millis, Millis)> {
        let first = self.series.iter().filter_map(|s| s.column.timestamps.first()).min()?;
        let last = self.series.iter().filter_map(|s| s.column.timestamps.last()).max()?;
        Some((*first, *last))
    }

    /// The samples of a batch in a store, of the series whose name holds a text.
    pub fn of_store(
        store: &Database,
        key: &BatchKey,
        metric: Option<&str>,
        span: Range<Millis>,
        limits: &Limits,
    ) -> Result<Self, BacktestError> {
        let (mut history, mut count) = (Self::default(), 0);
        for series in store.series(key) {
            if metric.is_some_and(|text| !series.name.contains(text)) {
                continue;
            }
            let column = store.values(key, &[series.id], span.clone())?.pop().unwrap_or_default();
            count += column.values.len();
            if count > limits.backtest_samples {
                return Err(BacktestError::TooMuch(limits.backtest_samples));
            }
            if !column.values.is_empty() {
                let (labels, name, kind) = (series.labels, series.name, series.kind);
                history.series.push(Recorded { labels, name, kind, column });
            }
        }
        history.series.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(history)
    }

    /// What the batch's own ingester gives for a span; nothing of it is kept anywhere. It is
    /// asked as a first ingest asks it. What it could not give is in the second value.
    pub async fn fetched(
        mut bound: BoundBatch,
        metric: Option<&str>,
        span: Range<Millis>,
        limits: &Limits,
        clock: &dyn Clock,
    ) -> Result<(Self, Vec<String>), BacktestError> {
        let store = Database::in_memory(limits)?;
        bound.batch.ingest.history_ms = span.end - span.start;
        let slot =
            Slot { key: bound.batch.key.clone(), job: Job::Ingest, scheduled: span.end + bound.batch.ingest.delay_ms };
        let runner = Runner { store: &store, limits, clock, watch: None };
        let run = runner.execute(&bound, slot, "backtest").await?;
        match (run.state, run.error) {
            (RunState::Failed, Some(fault)) => return Err(fault.into()),
            (RunState::Skipped(why), _) => return Err(BacktestError::Nothing(why)),
            _ => {}
        }
        let lost = run.log.into_iter().filter(|line| line.starts_with("lost ")).collect();
        Ok((Self::of_store(&store, &bound.batch.key, metric, span, limits)?, lost))
    }
}

/// The samples of a batch in the rows of an export, in JSON lines: how a running node tells
/// them.
///
/// Lines come in parts of any size. What is no row of a sample is refused; what the node wrote
/// is held to the same bound as a store's.
#[derive(Debug, Default)]
pub struct Rows {
    series: BTreeMap<(String, Labels), Column>,
    /// The metadata of the last row, and whose it is: rows of a series follow each other.
    last: Option<(String, (String, Labels))>,
    metric: Option<String>,
    count: usize,
    most: usize,
    part: Vec<u8>,
}

#[derive(serde::Deserialize)]
struct Row {
    metric_timestamp: String,
    metric_name: String,
    metric_value: Option<f64>,
    metadata: String,
}

#[derive(serde::Deserialize)]
struct Metadata {
    labels: BTreeMap<String, String>,
}

impl Rows {
    /// Takes rows of the series whose name holds a text.
    pub fn new(metric: Option<&str>, limits: &Limits) -> Self {
        Self { metric: metric.map(str::to_owned), most: limits.backtest_samples, ..Self::default() }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), BacktestError> {
        let wrong = |why: String| BacktestError::Reply(why);
        let row: Row = serde_json::from_slice(line).map_err(|e| wrong(e.to_string()))?;
        if self.metric.as_ref().is_some_and(|text| !row.metric_name.contains(text.as_str())) {
            return Ok(());
        }
        let Some(value) = row.metric_value.filter(|value| value.is_finite()) else { return Ok(()) };
        let time = crate::desk::instant::parse(&row.metric_timestamp).map_err(wrong)?;
        let known =
            self.last.as_ref().is_some_and(|(text, (name, _))| *text == row.metadata && *name == row.metric_name);
        if !known {
            let metadata: Metadata = serde_json::from_str(&row.metadata).map_err(|e| wrong(e.to_string()))?;
            let labels = Labels::new(metadata.labels).map_err(|e| wrong(e.to_string()))?;
            self.last = Some((row.metadata, (row.metric_name, labels)));
        }
        let Some((_, of)) = &self.last else { return Ok(()) };
        self.count += 1;
        if self.count > self.most {
            return Err(BacktestError::TooMuch(self.most));
        }
        let column = match self.series.get_mut(of) {
            Some(column) => column,
            None => self.series.entry(of.clone()).or_default(),
        };
        // An export is in order of time.
        if column.timestamps.last().is_none_or(|last| time > *last) {
            column.timestamps.push(time);
            column.values.push(value);
        }
        Ok(())
    }

    /// Takes a part of the rows.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), BacktestError> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            if self.part.is_empty() {
                self.line(line)?;
            } else {
                self.part.extend_from_slice(line);
                let whole = std::mem::take(&mut self.part);
                self.line(&whole)?;
            }
        }
        self.part.extend_from_slice(bytes);
        if self.part.len() > LINE_BYTES {
            return Err(BacktestError::Reply(format!("a row has more than {LINE_BYTES} bytes")));
        }
        Ok(())
    }

    /// The history, when all rows have come.
    pub fn history(self) -> History {
        let recorded = |((name, labels), column)| Recorded { labels, name, kind: Kind::default(), column };
        History { series: self.series.into_iter().map(recorded).collect(), ..History::default() }
    }
}

/// Bytes of one row.
const LINE_BYTES: usize = 1 << 20;

impl std::io::Write for Rows {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.take(bytes).map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl From<Fault> for BacktestError {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, time: &str, value: &str) -> String {
        let metadata = serde_json::json!({"labels": {"__name__": name}}).to_string();
        format!(
            "{{\"metric_timestamp\":\"{time}\",\"metric_name\":\"{name}\",\"metric_type\":\"metric\",\"metric_value\":{value},\
             \"metadata\":{}}}\n",
            serde_json::to_string(&metadata).unwrap()
        )
    }

    #[test]
    fn rows_come_in_parts_of_any_size() {
        let text = [
            row("load", "2026-01-01T00:00:00Z", "1.5"),
            row("load", "2026-01-01T00:01:00Z", "2"),
            row("up", "2026-01-01T00:00:00Z", "null"),
        ]
        .concat();
        for size in [1, 7, 1_000] {
            let mut rows = Rows::new(None, &Limits::default());
            text.as_bytes().chunks(size).for_each(|part| rows.take(part).unwrap());
            let history = rows.history();
            assert_eq!(history.series.len(), 1);
            assert_eq!(history.series[0].column.values, [1.5, 2.0]);
        }
    }

    #[test]
    fn what_is_no_row_is_refused_and_what_is_too_much_too() {
        let mut rows = Rows::new(None, &Limits::default());
        assert!(matches!(rows.take(b"<html>\n"), Err(BacktestError::Reply(_))));
        let mut rows = Rows::new(None, &Limits { backtest_samples: 1, ..Limits::default() });
        rows.take(row("load", "2026-01-01T00:00:00Z", "1").as_bytes()).unwrap();
        let error = rows.take(row("load", "2026-01-01T00:01:00Z", "1").as_bytes()).unwrap_err();
        assert!(error.to_string().contains("limits.backtest_samples"), "{error}");
    }
}
