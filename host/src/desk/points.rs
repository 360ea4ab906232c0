//! The points of one series: values, and what was expected of them.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::page::{self, Listing};
use super::{Ask, Desk, DeskError, Page, instant, selector, series};
use crate::series::Millis;

/// Points of a page, of whatever limit.
const POINTS: usize = 10_000;

/// Which points.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PointQuery {
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
    /// At most so many, the oldest first.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

/// A point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PointView {
    /// When.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub time: Millis,
    /// What came, if anything did.
    pub value: Option<f64>,
    /// Its score.
    pub score: Option<f64>,
    /// The lower edge of what was expected.
    pub lower: Option<f64>,
    /// The upper edge.
    pub upper: Option<f64>,
}

impl Ask for PointQuery {
    type Reply = Page<PointView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<PointView>, DeskError> {
        let key = desk.batch(&self.id)?;
        let series = selector::one(desk.store, &key, &self.metric)?;
        let Range { start: mut from, end: to } =
            series::span(self.from, self.to, None, series.span.map_or(desk.now, |(_, last)| last));
        if let Some(cursor) = &self.cursor {
            let last: Millis =
                page::read(cursor)?.parse().map_err(|_| DeskError::invalid("the cursor is not one of ours"))?;
            from = from.max(last.saturating_add(1));
        }
        if from >= to {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let known = |value: f64| value.is_finite().then_some(value);
        let mut points: BTreeMap<Millis, PointView> = BTreeMap::new();
        let empty = |time| PointView { time, value: None, score: None, lower: None, upper: None };
        for column in desk.store.values(&key, &[series.id], from..to)? {
            for (time, value) in column.timestamps.into_iter().zip(column.values) {
                points.entry(time).or_insert_with(|| empty(time)).value = known(value);
            }
        }
        for row in desk.store.scores(&key, &[series.id], from..to)?.into_iter().flat_map(|column| column.rows) {
            let point = points.entry(row.time).or_insert_with(|| empty(row.time));
            (point.score, point.lower, point.upper) = (known(row.score), known(row.lower), known(row.upper));
        }
        let limit = self.limit.unwrap_or(POINTS).clamp(1, POINTS);
        let more = points.len() > limit;
        let items: Vec<PointView> = points.into_values().take(limit).collect();
        let next = items.last().filter(|_| more).map(|last| page::cursor(&last.time.to_string()));
        Ok(Page { items, next })
    }
}

impl Listing for PointQuery {
    type Item = PointView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}
