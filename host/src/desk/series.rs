//! The series of a batch, in pages: those that a text finds, the oddest first where that is
//! asked for.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::page::Listing;
use super::selector::Selector;
use super::{Ask, Desk, DeskError, Page, instant};
use crate::config::{AlertPolicy, BatchKey};
use crate::series::Millis;
use crate::store::{SeriesId, SeriesRecord, Tally};

/// What is looked at where no span is named.
pub(super) const DAY_MS: Millis = 86_400_000;

/// Which series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeriesQuery {
    /// The batch.
    pub id: String,
    /// Only those that this finds: words of the name or of values of labels, a glob of the name, or
    /// a selector, `{job="api"}`.
    pub metric: Option<String>,
    /// In which order they come.
    pub order: SeriesOrder,
    /// Anomaly is counted from this instant on; left out: the last day that has samples.
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
    /// At most so many.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

/// In which order series come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeriesOrder {
    /// As they were first seen.
    #[default]
    Number,
    /// By name.
    Name,
    /// Those with the largest part of points over the threshold first, and of equals those with the
    /// higher mean score. A page goes on where the last one ended only as long as nothing new is scored.
    Anomaly,
}

/// A series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SeriesView {
    /// Its number in the batch.
    pub number: u32,
    /// Its `metric_name`.
    pub metric: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its first sample.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub first: Option<Millis>,
    /// Its last sample.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub last: Option<Millis>,
    /// Its last score.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub scored: Option<Millis>,
    /// How odd it was in the span, where the order is by anomaly or a span is named.
    #[serde(default)]
    pub anomaly: Option<AnomalyView>,
}

/// The scores of a series in a span, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnomalyView {
    /// Scored points.
    pub points: u64,
    /// Those of them with a score of at least the threshold. It is taken in steps of 0.01 from 0.5
    /// on and of 0.1 below; one in between counts as the next step.
    pub over: u64,
    /// Their part of all; 0 where nothing was scored.
    pub rate: f64,
    /// The mean score.
    pub mean: f64,
    /// The highest score.
    pub max: f64,
}

impl AnomalyView {
    pub(super) fn of(tally: &Tally, threshold: f64) -> Self {
        let (points, over) = (tally.points(), tally.over(threshold));
        Self { points, over, rate: over as f64 / points.max(1) as f64, mean: tally.mean(), max: tally.max() }
    }

    /// A text that sorts the oddest first.
    fn key(&self) -> String {
        let part = |part: f64| 1_000_000_000 - (part.clamp(0.0, 1.0) * 1e9) as u64;
        format!("{:010} {:010}", part(self.rate), part(self.mean))
    }
}

impl SeriesView {
    pub(super) fn of(series: SeriesRecord, anomaly: Option<AnomalyView>) -> Self {
        Self {
            number: series.id.0,
            labels: series.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            metric: series.name,
            first: series.span.map(|(first, _)| first),
            last: series.span.map(|(_, last)| last),
            scored: series.scored,
            anomaly,
        }
    }
}

impl Ask for SeriesQuery {
    type Reply = Page<SeriesView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<SeriesView>, DeskError> {
        let (key, span) = self.place(desk)?;
        self.found(desk, &key, &span)?.map(|(series, anomaly)| Ok(SeriesView::of(series, anomaly)))
    }
}

impl SeriesQuery {
    /// The batch, and the span in which anomaly is counted.
    pub(super) fn place(&self, desk: &Desk<'_>) -> Result<(BatchKey, Range<Millis>), DeskError> {
        let key = desk.batch(&self.id)?;
        let newest = desk.store.newest(&key).unwrap_or(desk.now);
        let span = span(self.from, self.to, self.last_ms, newest);
        Ok((key, span))
    }

    /// A page of series, with how odd they were.
    pub(super) fn found(
        &self,
        desk: &Desk<'_>,
        key: &BatchKey,
        span: &Range<Millis>,
    ) -> Result<Page<(SeriesRecord, Option<AnomalyView>)>, DeskError> {
        let selector = Selector::of(self.metric.as_ref())?;
        let found = desk.store.series_where(key, |name, labels| selector.matches(name, labels));
        let counted = self.order == SeriesOrder::Anomaly || self.from.is_some() || self.to.is_some();
        let tallies = if counted { Some(tallies(desk, key, span)?) } else { None };
        let threshold = desk.threshold(key);
        let anomaly = |id: SeriesId| {
            let tally = tallies.as_ref()?.get(&id);
            Some(tally.map_or_else(AnomalyView::default, |tally| AnomalyView::of(tally, threshold)))
        };
        let order = |series: &SeriesRecord| match self.order {
            SeriesOrder::Number => format!("{:010}", series.id.0),
            // Cut, since a cursor has to hold it.
            SeriesOrder::Name => format!("{:.200} {:010}", series.name, series.id.0),
            SeriesOrder::Anomaly => {
                format!("{} {:010}", anomaly(series.id).unwrap_or_default().key(), series.id.0)
            }
        };
        let mut ordered: Vec<(String, SeriesRecord)> = found.into_iter().map(|s| (order(&s), s)).collect();
        ordered.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let most = desk.config.limits.api_page_items;
        let page = Page::of(ordered, |(order, _)| order.clone(), self.cursor.as_deref(), self.limit, most)?;
        page.map(|(_, series)| {
            let anomaly = anomaly(series.id);
            Ok((series, anomaly))
        })
    }
}

impl Desk<'_> {
    /// The threshold of a batch's alerts, as it is configured now.
    pub(super) fn threshold(&self, key: &BatchKey) -> f64 {
        self.batches.get(key).map_or_else(|| AlertPolicy::default().threshold, |batch| batch.alert.threshold)
    }
}

/// The half-open span that is asked for; without a beginning the last day up to its end, or so long
/// as `last_ms` says, and without an end that up to the newest point.
pub(super) fn span(from: Option<Millis>, to: Option<Millis>, last_ms: Option<Millis>, newest: Millis) -> Range<Millis> {
    let to = to.unwrap_or(newest.saturating_add(1));
    from.unwrap_or_else(|| to.saturating_sub(last_ms.unwrap_or(DAY_MS).max(1)))..to
}

/// The scores of each series of a batch in a span, counted; series without any are left out.
pub(super) fn tallies(
    desk: &Desk<'_>,
    key: &BatchKey,
    span: &Range<Millis>,
) -> Result<BTreeMap<SeriesId, Tally>, DeskError> {
    let mut all: BTreeMap<SeriesId, Tally> = BTreeMap::new();
    desk.store.tallies(key, span, |_, series, tally| all.entry(series).or_default().add(tally))?;
    Ok(all)
}

impl Listing for SeriesQuery {
    type Item = SeriesView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}
