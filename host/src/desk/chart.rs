//! What a chart of a series shows: its points in columns, no more of them than are asked for, and
//! the alerts and events beside them.
//!
//! Columns hold one cell a row; `t` is in milliseconds since the Unix epoch, unlike other instants
//! of the API: a chart has thousands of them, and counts with them.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::downsample::{Rows, downsample};
use super::series::{AnomalyView, SeriesView, span};
use super::{Ask, Desk, DeskError, EventView, instant, selector};
use crate::alert::Marker;
use crate::config::{BatchKey, JudgedGrid};
use crate::message::{AlertKind, AlertPhase};
use crate::series::{Aggregate, Millis};
use crate::store::{AlertFilter, AlertRecord, Column, DocumentKind, ScoreColumn, ScoreRow, SeriesId, SeriesRecord};

/// Rows where nobody says how many.
const ROWS: usize = 1_000;
/// Terms that a chart has, those with the largest parts.
const TERMS: usize = 8;
/// Alerts and events that a chart has, the newest.
const MARKS: usize = 200;
/// How long before a span an alert may have begun that is over and reaches into it.
const LONGEST_MS: Millis = 7 * 86_400_000;

/// A chart of a series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChartQuery {
    /// The batch.
    pub id: String,
    /// The series: its `metric_name`, a glob or a part of it, or a selector.
    pub metric: String,
    /// From this instant on; left out: the last day that has samples.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub from: Option<Millis>,
    /// To before this instant.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub to: Option<Millis>,
    /// How long before its end the span begins where no beginning is named, in milliseconds; left
    /// out: a day.
    pub last_ms: Option<Millis>,
    /// How many rows, about; left out: 1000. Where there are no more points, rows are points.
    pub points: Option<usize>,
}

/// What a chart shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Chart {
    /// The series.
    pub series: SeriesView,
    /// The span, half-open.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub from: Millis,
    /// See `from`.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub to: Millis,
    /// The threshold of the batch's alerts.
    pub threshold: f64,
    /// How long the time is that a row stands for, in milliseconds; `None`: a row is a point.
    pub bucket_ms: Option<Millis>,
    /// How many points there are in the span.
    pub points: usize,
    /// When, in milliseconds since the epoch; of a bucket its first point. A row in which all is
    /// `null` is a gap.
    pub t: Vec<Millis>,
    /// The smallest value.
    pub value_min: Vec<Option<f64>>,
    /// The largest value.
    pub value_max: Vec<Option<f64>>,
    /// The highest score.
    pub score: Vec<Option<f64>>,
    /// The lowest lower edge of what was expected.
    pub lower: Vec<Option<f64>>,
    /// The highest upper edge.
    pub upper: Vec<Option<f64>>,
    /// The middle of what was expected.
    pub expected: Vec<Option<f64>>,
    /// The parts of the scores that came near the threshold.
    pub terms: Vec<TermColumn>,
    /// Alerts of the series that reach into the span, the oldest first.
    pub alerts: Vec<ChartAlert>,
    /// Events about it that reach into the span, the oldest first.
    pub events: Vec<EventView>,
}

/// A part of the scores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TermColumn {
    /// Its name.
    pub name: String,
    /// A cell a row: that of the highest score.
    pub values: Vec<Option<f64>>,
}

/// An alert in a chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChartAlert {
    /// Its identity.
    pub id: String,
    /// What raised it.
    #[schema(value_type = String)]
    pub kind: AlertKind,
    /// Where it is in its life.
    #[schema(value_type = String)]
    pub phase: AlertPhase,
    /// Its first point.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub started: Millis,
    /// When it was over.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub ended: Option<Millis>,
    /// When its worst point was.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub worst_at: Millis,
    /// The score there.
    pub score: Option<f64>,
}

impl From<AlertRecord> for ChartAlert {
    fn from(record: AlertRecord) -> Self {
        Self {
            id: record.id,
            kind: record.kind,
            phase: record.phase,
            started: record.started,
            ended: record.ended,
            worst_at: record.worst.time,
            score: known(record.worst.score),
        }
    }
}

impl Ask for ChartQuery {
    type Reply = Chart;

    fn ask(&self, desk: &Desk<'_>) -> Result<Chart, DeskError> {
        let key = desk.batch(&self.id)?;
        let series = selector::one(desk.store, &key, &self.metric)?;
        let span = span(self.from, self.to, self.last_ms, newest(&series, desk.now));
        let mut charts = charts(desk, &key, vec![(series, None)], &span, self.points.unwrap_or(ROWS))?;
        charts.pop().ok_or_else(|| DeskError::unknown(&self.metric))
    }
}

/// The newest point of a series, of any kind.
pub(super) fn newest(series: &SeriesRecord, now: Millis) -> Millis {
    series.span.map(|(_, last)| last).max(series.scored).unwrap_or(now)
}

/// The charts of series, each with what was counted of it.
pub(super) fn charts(
    desk: &Desk<'_>,
    key: &BatchKey,
    series: Vec<(SeriesRecord, Option<AnomalyView>)>,
    span: &Range<Millis>,
    points: usize,
) -> Result<Vec<Chart>, DeskError> {
    let most = points.clamp(1, desk.config.limits.chart_points);
    let mut alerts = alerts(desk, key, span)?;
    let markers = desk.store.documents::<Marker>(&key.tenant, DocumentKind::Event, "")?;
    let markers: Vec<Marker> = markers.into_iter().map(|(_, marker)| marker).collect();
    let ids: Vec<SeriesId> = series.iter().map(|(series, _)| series.id).collect();
    let columns =
        desk.store.values(key, &ids, span.clone())?.into_iter().zip(desk.store.scores(key, &ids, span.clone())?);
    let chart =
        |((series, anomaly), (values, scores)): ((SeriesRecord, Option<AnomalyView>), (Column, ScoreColumn))| {
            let judged = judged_grid(desk, key, &scores.rows);
            let rows = downsample(&values, &scores.rows, span, Millis::from(judged.step_ms), most);
            let terms = terms(&rows, &scores.rows);
            let Rows { times, least, most, score, scored: _, lower, upper, bucket_ms, points } = rows;
            let middle = |(lower, upper): (&f64, &f64)| known(f64::midpoint(*lower, *upper));
            Chart {
                events: events(desk, key, &markers, &series, span),
                alerts: alerts.remove(&series.id).unwrap_or_default().into_iter().map(ChartAlert::from).collect(),
                series: SeriesView::of(series, anomaly),
                from: span.start,
                to: span.end,
                threshold: desk.threshold(key),
                bucket_ms,
                points,
                t: times,
                expected: lower.iter().zip(&upper).map(middle).collect(),
                value_min: cells(least),
                value_max: cells(most),
                score: cells(score),
                lower: cells(lower),
                upper: cells(upper),
                terms,
            }
        };
    Ok(series.into_iter().zip(columns).map(chart).collect())
}

fn known(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn cells(column: Vec<f64>) -> Vec<Option<f64>> {
    column.into_iter().map(known).collect()
}

/// The grid on which a batch is judged; of one that is not configured any more, that on which its
/// scores lie.
pub(super) fn judged_grid(desk: &Desk<'_>, key: &BatchKey, scores: &[ScoreRow]) -> JudgedGrid {
    desk.batches.get(key).map_or_else(
        || {
            let distances = scores.windows(2).filter_map(|pair| Some(pair.last()?.time - pair.first()?.time));
            let step = distances.min().and_then(|step| u32::try_from(step).ok()).unwrap_or(60_000);
            JudgedGrid { step_ms: step, aggregate: Aggregate::Last }
        },
        |batch| batch.judged,
    )
}

/// The terms of the rows' highest scores.
fn terms(rows: &Rows, scores: &[ScoreRow]) -> Vec<TermColumn> {
    let of = |scored: &Option<usize>| scored.and_then(|index| scores.get(index)).map(|row| row.terms.as_slice());
    let mut largest: BTreeMap<&str, f64> = BTreeMap::new();
    for (name, part) in rows.scored.iter().filter_map(of).flatten().filter(|(_, part)| part.is_finite()) {
        let most = largest.entry(name).or_insert(*part);
        *most = most.max(*part);
    }
    let mut names: Vec<(&str, f64)> = largest.into_iter().collect();
    names.sort_by(|a, b| b.1.total_cmp(&a.1));
    names.truncate(TERMS);
    let column = |(name, _): (&str, f64)| {
        let part =
            |terms: &[(String, f64)]| terms.iter().find(|(own, _)| own == name).and_then(|(_, part)| known(*part));
        TermColumn {
            name: name.to_owned(),
            values: rows.scored.iter().map(|scored| of(scored).and_then(part)).collect(),
        }
    };
    names.into_iter().map(column).collect()
}

/// The alerts of a batch that reach into a span, by series, the oldest first; of each series the
/// newest ones. What was over before it fired is left out.
pub(super) fn alerts(
    desk: &Desk<'_>,
    key: &BatchKey,
    span: &Range<Millis>,
) -> Result<BTreeMap<SeriesId, Vec<AlertRecord>>, DeskError> {
    let begun = |from: Millis, open: bool| {
        let filter = AlertFilter { key: Some(key.clone()), open, started: Some(from..span.end), limit: None };
        desk.store.alerts(&filter)
    };
    let recent = span.start.saturating_sub(LONGEST_MS);
    let mut found = begun(recent, false)?;
    found.extend(begun(Millis::MIN, true)?.into_iter().filter(|alert| alert.started < recent));
    let mut all: BTreeMap<SeriesId, Vec<AlertRecord>> = BTreeMap::new();
    for alert in found {
        let was = alert.fired.is_some() || alert.phase == AlertPhase::Pending;
        let own = all.entry(alert.series).or_default();
        if was && alert.ended.is_none_or(|ended| ended >= span.start) && own.len() < MARKS {
            own.push(alert);
        }
    }
    all.values_mut().for_each(|alerts| alerts.reverse());
    Ok(all)
}

/// The events about a series that reach into a span, the oldest first; the newest of many.
fn events(
    desk: &Desk<'_>,
    key: &BatchKey,
    markers: &[Marker],
    series: &SeriesRecord,
    span: &Range<Millis>,
) -> Vec<EventView> {
    if markers.is_empty() {
        return Vec::new();
    }
    let labels = desk.labels_of(key, AlertKind::Anomaly, &series.labels, &series.name);
    let reaches = |marker: &&Marker| {
        marker.start < span.end && marker.end.unwrap_or(marker.start) >= span.start && marker.is_about(&labels)
    };
    let mut markers: Vec<&Marker> = markers.iter().filter(reaches).collect();
    markers.sort_by(|a, b| a.start.cmp(&b.start).then_with(|| a.id.cmp(&b.id)));
    let skipped = markers.len().saturating_sub(MARKS);
    markers.into_iter().skip(skipped).map(|marker| EventView::of(&key.tenant, marker.clone())).collect()
}
