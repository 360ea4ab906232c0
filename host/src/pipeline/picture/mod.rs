//! Pictures of series as they are kept: of alerts for the messages about them, and of what a
//! command or the plot job asks for.
//!
//! Only reads. What is shown is what was judged: values on the batch's judged grid, with the
//! scores and bands that were kept for them.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::alert::chart::{self, ChartInput, ChartMarker, ChartSeries};
use crate::alert::{Marker, Outlook, series_labels, series_subject, subject};
use crate::config::{Batch, BatchKey, Limits};
use crate::message::{AlertKind, Unit};
use crate::series::{Grid, Labels, Millis};
use crate::store::{
    AlertFilter, AlertRecord, Column, Database, DocumentKind, ScoreColumn, SeriesId, SeriesRecord, StoreError,
};

/// A window is never longer than so many times what `alert_max_n` asks for, however long ago
/// an alert began.
const LONGEST: Millis = 20;
const DAY: Millis = 86_400_000;
/// Columns of a picture of what is foreseen, about.
const FORESEEN: Millis = 700;

/// The picture of alerts as it was at an instant, as a PNG: of one, its values, what was
/// expected and its scores; of several, the first of their series below each other. `None`
/// where there is nothing to draw, or the store cannot be read: a message goes without.
pub fn of_alerts(store: &Database, alerts: &[(&Batch, &AlertRecord)], at: Millis, limits: &Limits) -> Option<Vec<u8>> {
    alert_chart(store, alerts, at)
        .inspect_err(|error| tracing::warn!("a message goes without its chart: {error}"))
        .ok()
        .flatten()
        .and_then(|input| chart::draw(&input, limits.chart_bytes))
}

/// The picture of series of a batch in a span, as a PNG. `None` where it would be too large.
pub fn of_series(
    store: &Database,
    batch: &Batch,
    series: &[SeriesRecord],
    span: Range<Millis>,
    most_bytes: usize,
) -> Result<Option<Vec<u8>>, StoreError> {
    let input = series_chart(store, batch, series, span)?;
    Ok(chart::draw(&input, most_bytes))
}

/// What is drawn of alerts.
fn alert_chart(
    store: &Database,
    alerts: &[(&Batch, &AlertRecord)],
    at: Millis,
) -> Result<Option<ChartInput>, StoreError> {
    let Some((first, _)) = alerts.first() else { return Ok(None) };
    let shown: Vec<(&Batch, &AlertRecord)> = alerts.iter().take(chart::SERIES).copied().collect();
    // What is foreseen has a picture of its own; among others it is shown as they are.
    let foreseen = shown.iter().all(|(_, record)| record.kind == AlertKind::Capacity && record.ended.is_none());
    let mut span: Option<Range<Millis>> = None;
    for (batch, record) in &shown {
        let own = match foreseen {
            true => outlook(batch, record, newest(store, record).map_or(at, |newest| newest.min(at))),
            false => window(batch, record, newest(store, record), at),
        };
        span = Some(span.map_or(own.clone(), |span| span.start.min(own.start)..span.end.max(own.end)));
    }
    let step_ms = shown.iter().map(|(batch, _)| batch.judged.step_ms).max().unwrap_or(1);
    let span = span.unwrap_or_default();
    // Of many days, every minute is more than there are pixels.
    let coarse = if foreseen { (span.end - span.start) / FORESEEN / Millis::from(step_ms) } else { 1 };
    let step_ms = step_ms.saturating_mul(u32::try_from(coarse.max(1)).unwrap_or(1));
    let grid = Grid::spanning(span.start, span.end, step_ms);
    let mut series = Vec::new();
    for (batch, record) in &shown {
        let mut rows = rows(store, batch, &[record.series], &grid)?;
        let Some(mut one) = rows.pop() else { continue };
        one.name = subject(record);
        one.unit = unit(&record.labels);
        one.alerts = spans(store, &record.key, &grid)?.remove(&record.series).unwrap_or_default();
        mark(&mut one, record, &grid);
        series.push(one);
    }
    let zone = if shown.iter().all(|(batch, _)| batch.timezone == first.timezone) {
        first.timezone
    } else {
        chrono_tz::Tz::UTC
    };
    let title = match shown.as_slice() {
        [(_, record)] => subject(record),
        shown if shown.len() < alerts.len() => format!("{} of {} series with alerts", shown.len(), alerts.len()),
        shown => format!("{} series with alerts", shown.len()),
    };
    Ok(Some(ChartInput { title, grid, zone, series, markers: markers(store, &shown)? }))
}

/// The span in which alerts of capacity are shown: up to when the limit will be reached, and as
/// much before, so that the trend is seen.
fn outlook(batch: &Batch, record: &AlertRecord, at: Millis) -> Range<Millis> {
    let Outlook { expected, latest, .. } = Outlook::of(record);
    let least = Millis::from(batch.judged.step_ms).saturating_mul(144).max(DAY);
    let ahead = latest.or(expected).unwrap_or(at).saturating_sub(at).clamp(least / 4, 30 * DAY);
    let ahead = ahead.saturating_add(ahead / 20);
    at.saturating_sub(ahead.max(least))..at.saturating_add(ahead)
}

/// The span in which an alert is shown: the newest `alert_max_n` columns, and what led to it.
fn window(batch: &Batch, record: &AlertRecord, newest: Option<Millis>, at: Millis) -> Range<Millis> {
    let step = Millis::from(batch.judged.step_ms);
    let columns = Millis::try_from(batch.alert.chart_n.max(10)).unwrap_or(Millis::MAX / step);
    let length = columns.saturating_mul(step);
    let until = newest.map_or(at, |newest| newest.min(at)).max(record.worst.time).max(record.started);
    let end = until.div_euclid(step).saturating_add(1).saturating_mul(step);
    let before = record.started.saturating_sub(length / 4);
    let start = end.saturating_sub(length).min(before).max(end.saturating_sub(length.saturating_mul(LONGEST)));
    start..end
}

/// The newest sample of an alert's series.
fn newest(store: &Database, record: &AlertRecord) -> Option<Millis> {
    store.last_values(&record.key, &[record.series]).pop().flatten().map(|(time, _)| time)
}

/// What belongs to the kind of an alert: scores and threshold, limits, or the level before.
fn mark(series: &mut ChartSeries, record: &AlertRecord, grid: &Grid) {
    let edges = [record.worst.lower, record.worst.upper];
    match record.kind {
        AlertKind::Anomaly => series.threshold = Some(record.threshold),
        AlertKind::Threshold => {
            series.limits = edges.into_iter().filter(|edge| edge.is_finite()).collect();
            (series.lower, series.upper, series.scores) = (Vec::new(), Vec::new(), Vec::new());
        }
        AlertKind::Change => {
            // The edges are those of a lone point; a level that changed may well be within them.
            (series.lower, series.upper, series.scores) = (Vec::new(), Vec::new(), Vec::new());
            let [lower, upper] = edges;
            series.before = Some(f64::midpoint(lower, upper)).filter(|before| before.is_finite());
        }
        AlertKind::Capacity => {
            series.limits = edges.into_iter().filter(|edge| edge.is_finite()).collect();
            series.scores = Vec::new();
            (series.lower, series.upper) = (vec![f64::NAN; grid.columns], vec![f64::NAN; grid.columns]);
            series.forecast = vec![f64::NAN; grid.columns];
            if let Some(limit) = series.limits.first().copied() {
                foresee(series, record, limit, grid);
            }
        }
        AlertKind::Llm | AlertKind::NoData => series.scores = Vec::new(),
    }
}

/// The way to a limit as it is foreseen, and between which ways that lies.
fn foresee(series: &mut ChartSeries, record: &AlertRecord, limit: f64, grid: &Grid) {
    let (from, value) = (record.worst.time, record.worst.value);
    let Outlook { expected, earliest, latest } = Outlook::of(record);
    let way = |time: Millis, reached: Option<Millis>| {
        let part = match reached {
            Some(at) if at > from => (time - from) as f64 / (at - from) as f64,
            Some(_) => 1.0,
            None => 0.0,
        };
        value + (limit - value) * part.clamp(0.0, 1.0)
    };
    for column in 0..grid.columns {
        let time = grid.time(column);
        if time < from {
            continue;
        }
        let (soon, late) = (way(time, earliest.or(expected)), way(time, latest));
        if let Some(cell) = series.forecast.get_mut(column).filter(|_| expected.is_some()) {
            *cell = way(time, expected);
        }
        if let (Some(low), Some(high)) = (series.lower.get_mut(column), series.upper.get_mut(column)) {
            (*low, *high) = (soon.min(late), soon.max(late));
        }
    }
}

/// What is drawn of series.
fn series_chart(
    store: &Database,
    batch: &Batch,
    series: &[SeriesRecord],
    span: Range<Millis>,
) -> Result<ChartInput, StoreError> {
    let shown = series.get(..chart::SERIES).unwrap_or(series);
    let step = Millis::from(batch.judged.step_ms.max(1));
    // Of the last column, too, some is in the span.
    let end = span.end.saturating_add(step - 1);
    let grid = Grid::spanning(span.start, end, batch.judged.step_ms);
    let ids: Vec<SeriesId> = shown.iter().map(|series| series.id).collect();
    let mut alerts = spans(store, &batch.key, &grid)?;
    let mut drawn = rows(store, batch, &ids, &grid)?;
    for (one, series) in drawn.iter_mut().zip(shown) {
        one.name = series_subject(&series.name, &series.labels);
        one.unit = unit(&series.labels);
        one.alerts = alerts.remove(&series.id).unwrap_or_default();
        one.threshold = Some(batch.alert.threshold);
    }
    let title = match shown {
        [only] => series_subject(&only.name, &only.labels),
        shown if shown.len() < series.len() => {
            format!("{}: the worst {} of {} series", batch.key.batch, shown.len(), series.len())
        }
        _ => batch.key.batch.clone(),
    };
    let about: Vec<Labels> =
        shown.iter().map(|series| series_labels(batch, AlertKind::Anomaly, &series.labels, &series.name)).collect();
    let mut markers: Vec<ChartMarker> = store
        .documents::<Marker>(&batch.key.tenant, DocumentKind::Event, "")?
        .into_iter()
        .filter(|(_, marker)| (grid.start..grid.end()).contains(&marker.start))
        .filter(|(_, marker)| about.iter().any(|labels| marker.is_about(labels)))
        .map(|(_, marker)| chart_marker(&marker))
        .collect();
    markers.sort_by_key(|marker| marker.start);
    Ok(ChartInput { title, grid, zone: batch.timezone, series: drawn, markers })
}

/// Values, bands and scores of series, laid on a grid.
fn rows(store: &Database, batch: &Batch, ids: &[SeriesId], grid: &Grid) -> Result<Vec<ChartSeries>, StoreError> {
    let span = grid.start..grid.end();
    let values = store.values(&batch.key, ids, span.clone())?;
    let scores = store.scores(&batch.key, ids, span)?;
    let row = |(values, scores): (Column, ScoreColumn)| {
        let mut one = ChartSeries {
            values: grid.lay(&values.timestamps, &values.values, batch.judged.aggregate),
            lower: vec![f64::NAN; grid.columns],
            upper: vec![f64::NAN; grid.columns],
            scores: vec![f64::NAN; grid.columns],
            ..ChartSeries::default()
        };
        let put = |row: &mut [f64], time: Millis, value: f64, wider: fn(f64, f64) -> f64| {
            let column = (time - grid.start).div_euclid(Millis::from(grid.step_ms));
            if let Some(cell) = usize::try_from(column).ok().and_then(|column| row.get_mut(column)) {
                // The larger of NaN and a number is the number.
                *cell = wider(*cell, value);
            }
        };
        for score in scores.rows {
            put(&mut one.lower, score.time, score.lower, f64::min);
            put(&mut one.upper, score.time, score.upper, f64::max);
            put(&mut one.scores, score.time, score.score, f64::max);
        }
        one
    };
    Ok(values.into_iter().zip(scores).map(row).collect())
}

/// The spans of a batch's alerts that reach into a grid, by series.
fn spans(store: &Database, key: &BatchKey, grid: &Grid) -> Result<BTreeMap<SeriesId, Vec<Range<Millis>>>, StoreError> {
    let length = grid.end().saturating_sub(grid.start);
    let started = grid.start.saturating_sub(length)..grid.end();
    let near =
        store.alerts(&AlertFilter { key: Some(key.clone()), started: Some(started), ..AlertFilter::default() })?;
    let open = store.alerts(&AlertFilter { key: Some(key.clone()), open: true, ..AlertFilter::default() })?;
    let mut seen = BTreeSet::new();
    let mut spans: BTreeMap<SeriesId, Vec<Range<Millis>>> = BTreeMap::new();
    for record in near.into_iter().chain(open).filter(|record| record.fired.is_some()) {
        let span = record.started..record.ended.unwrap_or_else(|| grid.end());
        if span.end > grid.start && span.start < grid.end() && seen.insert(record.id) {
            spans.entry(record.series).or_default().push(span);
        }
    }
    Ok(spans)
}

/// The events that alerts name.
fn markers(store: &Database, alerts: &[(&Batch, &AlertRecord)]) -> Result<Vec<ChartMarker>, StoreError> {
    let named: BTreeSet<(&str, &str)> = alerts
        .iter()
        .flat_map(|(_, record)| record.events.iter().map(|id| (record.key.tenant.as_str(), id.as_str())))
        .collect();
    let mut markers = Vec::new();
    for (tenant, id) in named {
        let marker: Option<Marker> = store.document(tenant, DocumentKind::Event, id)?;
        markers.extend(marker.as_ref().map(chart_marker));
    }
    markers.sort_by_key(|marker: &ChartMarker| marker.start);
    Ok(markers)
}

fn chart_marker(marker: &Marker) -> ChartMarker {
    let name = format!("{} {}", marker.kind, marker.text);
    ChartMarker { start: marker.start, end: marker.end, name: name.trim().to_owned() }
}

fn unit(labels: &Labels) -> Unit {
    Unit::of(labels.get(Labels::NAME).unwrap_or_default())
}
