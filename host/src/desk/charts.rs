//! The small charts of a batch's series, in pages: what its page in the dashboard shows.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::chart::{Chart, charts};
use super::page::Listing;
use super::series::{SeriesOrder, SeriesQuery};
use super::{Ask, Desk, DeskError, Page, instant};
use crate::series::Millis;

/// Charts of a page where nobody says how many, and at most.
const CHARTS: (usize, usize) = (24, 100);
/// Rows of a chart where nobody says how many, and at most: small ones.
const ROWS: (usize, usize) = (200, 2_000);

/// Which charts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChartsQuery {
    /// The batch.
    pub id: String,
    /// Only series that this finds: words of the name or of values of labels, a glob of the name, or
    /// a selector, `{job="api"}`.
    pub metric: Option<String>,
    /// In which order they come.
    pub order: SeriesOrder,
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
    /// How many rows each has, about; left out: 200.
    pub points: Option<usize>,
    /// At most so many charts; left out: 24.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

impl Ask for ChartsQuery {
    type Reply = Page<Chart>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<Chart>, DeskError> {
        let Self { id, metric, order, from, to, last_ms, points, limit, cursor } = self.clone();
        let limit = Some(limit.unwrap_or(CHARTS.0).min(CHARTS.1));
        let series = SeriesQuery { id, metric, order, from, to, last_ms, limit, cursor };
        let (key, span) = series.place(desk)?;
        // All charts of a page are of one span, whatever comes meanwhile.
        let series = SeriesQuery { from: Some(span.start), to: Some(span.end), ..series };
        let Page { items, next } = series.found(desk, &key, &span)?;
        let items = charts(desk, &key, items, &span, points.unwrap_or(ROWS.0).min(ROWS.1))?;
        Ok(Page { items, next })
    }
}

impl Listing for ChartsQuery {
    type Item = Chart;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}
