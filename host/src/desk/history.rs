//! The alerts that a series has had.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::page::{Listing, newest_first};
use super::silences::active;
use super::{AlertView, Ask, Desk, DeskError, Page, selector};
use crate::store::{AlertFilter, AlertRecord};

/// Which alerts: those of one series, over or not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlertHistory {
    /// The batch.
    pub id: String,
    /// The series: its `metric_name`, a glob or a part of it, or a selector.
    pub metric: String,
    /// At most so many, the last started first.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

impl Ask for AlertHistory {
    type Reply = Page<AlertView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<AlertView>, DeskError> {
        let key = desk.batch(&self.id)?;
        let series = selector::one(desk.store, &key, &self.metric)?;
        let mut records = desk.store.alerts(&AlertFilter { key: Some(key), ..AlertFilter::default() })?;
        records.retain(|record| record.series == series.id);
        let order = |record: &AlertRecord| format!("{} {}", newest_first(record.started), record.id);
        let page = Page::of(records, order, self.cursor.as_deref(), self.limit, desk.config.limits.api_page_items)?;
        let silences = active(desk, desk.tenant)?;
        page.map(|record| AlertView::of(desk, record, &silences))
    }
}

impl Listing for AlertHistory {
    type Item = AlertView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}
