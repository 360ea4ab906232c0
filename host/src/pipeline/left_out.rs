//! What a fit is not shown: the points of alerts that a person has rated up, which says that
//! they were anomalies and not how the series is.
//!
//! Only alerts that judge single points count: those of detectors, of thresholds and of language
//! models. A lasting change is what the series is like from then on, a forecast is of a
//! trend, and missing data has no points. An alert that is not over leaves out all that has
//! come since it began; where that is how things are now, the rating is to be taken back. A
//! replay of history goes by the ratings of today.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{JobContext, Outcome};
use crate::fault::Fault;
use crate::message::{AlertKind, Feedback, Rating};
use crate::series::Millis;
use crate::store::{Column, DocumentKind, SeriesId};

/// Spans that fits are not shown, by series.
#[derive(Debug, Default)]
pub(super) struct LeftOut(BTreeMap<SeriesId, Vec<Range<Millis>>>);

impl LeftOut {
    /// Those of the batch.
    pub fn of(context: &JobContext<'_>) -> Result<Self, Fault> {
        let key = context.key();
        let place = Feedback::place(&key.batch, "");
        let rated = context.store.documents::<Feedback>(&key.tenant, DocumentKind::Feedback, &place);
        let ids: BTreeSet<String> = (rated.map_err(|e| context.store_fault(&e))?.into_iter())
            .filter(|(_, feedback)| feedback.rating == Rating::Up)
            .filter_map(|(name, _)| Some(name.strip_prefix(&place)?.to_owned()))
            .collect();
        let mut spans: BTreeMap<SeriesId, Vec<Range<Millis>>> = BTreeMap::new();
        for alert in context.store.alerts_named(key, &ids).map_err(|e| context.store_fault(&e))? {
            if matches!(alert.kind, AlertKind::Anomaly | AlertKind::Threshold | AlertKind::Llm) {
                spans.entry(alert.series).or_default().push(alert.started..alert.ended.unwrap_or(Millis::MAX));
            }
        }
        Ok(Self(spans))
    }

    /// Whether a point of a series is left out.
    pub fn has(&self, series: SeriesId, time: Millis) -> bool {
        self.0.get(&series).is_some_and(|spans| spans.iter().any(|span| span.contains(&time)))
    }

    /// Enters into what a run counted that a fit did not see so many points.
    pub fn count(points: usize, outcome: &mut Outcome) {
        if points > 0 {
            outcome.count("left_out", points);
        }
    }

    /// Takes the points that are left out away; returns how many those were.
    pub fn take_from(&self, series: SeriesId, column: &mut Column) -> usize {
        if !self.0.contains_key(&series) {
            return 0;
        }
        let before = column.values.len();
        let points = std::mem::take(&mut column.timestamps).into_iter().zip(std::mem::take(&mut column.values));
        (column.timestamps, column.values) = points.filter(|(time, _)| !self.has(series, *time)).unzip();
        before.saturating_sub(column.values.len())
    }
}
