//! The series of a batch, in pages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::page::Listing;
use super::{Ask, Desk, DeskError, Page, instant};
use crate::series::Millis;
use crate::store::SeriesRecord;

/// Which series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SeriesQuery {
    /// The batch.
    pub id: String,
    /// Only those whose name holds this text.
    pub metric: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
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
}

impl From<SeriesRecord> for SeriesView {
    fn from(series: SeriesRecord) -> Self {
        Self {
            number: series.id.0,
            labels: series.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            metric: series.name,
            first: series.span.map(|(first, _)| first),
            last: series.span.map(|(_, last)| last),
            scored: series.scored,
        }
    }
}

impl Ask for SeriesQuery {
    type Reply = Page<SeriesView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<SeriesView>, DeskError> {
        let key = desk.batch(&self.id)?;
        let wanted = |series: &SeriesRecord| self.metric.as_ref().is_none_or(|text| series.name.contains(text));
        let series = desk.store.series(&key).into_iter().filter(wanted).map(SeriesView::from);
        let most = desk.config.limits.api_page_items;
        Page::of(series, |series| format!("{:010}", series.number), self.cursor.as_deref(), self.limit, most)
    }
}

impl Listing for SeriesQuery {
    type Item = SeriesView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}
