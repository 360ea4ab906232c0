//! What people ask about alerts and do about them: typed requests and replies, answered
//! from the store.
//!
//! A request is a value with an [`Ask`]; the command line asks the store itself, or sends
//! the same value to a running node, whose API answers it in the same way. Nothing here
//! knows HTTP or a terminal, and the time is passed. What a person does is a document of
//! its own ([`Act`](crate::message::Act), [`Silence`](crate::alert::Silence),
//! [`Marker`](crate::alert::Marker)), so that a job and a person never write the same record.

mod alerts;
mod anomaly;
mod around;
mod chart;
mod charts;
mod claim;
mod downsample;
mod error;
mod events;
mod failing;
mod freshness;
mod history;
pub mod instant;
mod link;
mod models;
mod overview;
mod page;
mod points;
mod query;
mod random;
mod ranking;
mod runs;
mod selector;
mod series;
mod silences;
mod standing;
pub mod tenants;
mod timeline;
mod what_if;
pub mod why;

pub use alerts::{
    Acknowledge, Acknowledged, AlertQuery, AlertShow, AlertView, Rate, Rated, Snooze, Snoozed, Unacknowledge,
};
pub use around::AroundPoint;
pub use chart::{Chart, ChartAlert, ChartQuery, TermColumn};
pub use charts::ChartsQuery;
pub use error::DeskError;
pub use events::{EventAdd, EventEnd, EventQuery, EventView};
pub use failing::FailingJob;
pub use freshness::Freshness;
pub use history::AlertHistory;
pub use link::{Action, Claim, LinkError, Links, MessageLinks};
pub use models::{ModelQuery, ModelView};
pub use overview::{BatchHealth, Overview, OverviewView};
pub use page::{Listing, Page};
pub use points::{PointQuery, PointView};
pub use query::{Query, QueryWhat, Rows, counts};
pub use random::{hex, random};
pub use ranking::{RankedSeries, Ranking};
pub use runs::{RunList, RunQuery, RunView};
pub use series::{AnomalyView, SeriesOrder, SeriesQuery, SeriesView};
pub use silences::{SilenceAdd, SilenceExpire, SilencePreview, SilenceQuery, SilenceState, SilenceView};
pub use standing::AlertStanding;
pub use timeline::{Timeline, TimelineEntry, TimelineView};
pub use what_if::{WhatIf, WhatIfQuery, WouldFire};
pub use why::{Trace, Why};

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::alert::{alert_name, series_labels};
use crate::config::{Batch, BatchKey, Node as NodeConfig};
use crate::message::AlertKind;
use crate::series::{Labels, Millis};
use crate::store::{AlertFilter, AlertRecord, Database};

/// The batches as they are configured now; one whose file is gone or wrong is not there.
pub type Batches<'a> = BTreeMap<BatchKey, &'a Batch>;

/// What answers are made from.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    /// The store.
    pub store: &'a Database,
    /// How the batches are configured.
    pub batches: &'a Batches<'a>,
    /// The node's file.
    pub config: &'a NodeConfig,
    /// The tenant that asks: nothing of another is answered, and nothing of another changed.
    pub tenant: &'a str,
    /// The time.
    pub now: Millis,
}

/// A request.
pub trait Ask: Serialize + DeserializeOwned + Send + 'static {
    /// What is answered.
    type Reply: Serialize + DeserializeOwned + ToSchema + Send + 'static;

    /// Does what is asked.
    fn ask(&self, desk: &Desk<'_>) -> Result<Self::Reply, DeskError>;
}

impl Desk<'_> {
    fn batch(&self, named: &str) -> Result<BatchKey, DeskError> {
        batch(self.store, self.tenant, named)
    }

    /// What routes and silences look at.
    fn labels(&self, record: &AlertRecord) -> Labels {
        self.labels_of(&record.key, record.kind, &record.labels, &record.name)
    }

    /// What they would look at in an alert of a series.
    fn labels_of(&self, key: &BatchKey, kind: AlertKind, series: &Labels, name: &str) -> Labels {
        if let Some(batch) = self.batches.get(key) {
            return series_labels(batch, kind, series, name);
        }
        // Without its batch an alert has no tags.
        let mut labels: BTreeMap<&str, &str> = BTreeMap::from([("alertname", alert_name(kind)), ("metric", name)]);
        labels.extend(series.iter());
        let own = [("batch", key.batch.as_str()), ("tenant", &key.tenant), ("kind", kind.name())];
        labels.extend(own);
        // The names of a map differ, so it is a label set.
        Labels::new(labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap_or_default()
    }

    /// The alerts of this desk's tenant that a filter chooses, the last started first.
    fn alerts(&self, filter: &AlertFilter) -> Result<Vec<AlertRecord>, DeskError> {
        let mut alerts = Vec::new();
        let own = match &filter.key {
            Some(key) => vec![key.clone()],
            None => self.store.batches_of(self.tenant),
        };
        for key in own {
            alerts.extend(self.store.alerts(&AlertFilter { key: Some(key), ..filter.clone() })?);
        }
        alerts.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| (&a.key, &a.id).cmp(&(&b.key, &b.id))));
        Ok(alerts)
    }
}

/// The batch of this name among those of a tenant in the store: `orders`, or `tenant/orders`.
pub fn batch(store: &Database, tenant: &str, named: &str) -> Result<BatchKey, DeskError> {
    let (of, name) = named.split_once('/').unwrap_or((tenant, named));
    if of != tenant {
        return Err(DeskError::unknown(format!(
            "`{named}` is no batch of the tenant {tenant}; a command asks for another with --tenant"
        )));
    }
    let key = BatchKey { tenant: tenant.to_owned(), batch: name.to_owned() };
    let known = store.batches_of(tenant);
    // What is the tenant's stands under `*`.
    if known.contains(&key) || key.is_tenant() {
        return Ok(key);
    }
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    Err(DeskError::unknown(match names.as_slice() {
        [] => format!("the store has no batch `{named}`; it has none: run one with `anomd run BATCH`"),
        _ => format!("the store has no batch `{named}`; it has: {}", names.join(", ")),
    }))
}

#[cfg(test)]
mod story;
#[cfg(test)]
mod tests;
