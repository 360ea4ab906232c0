//! What would have fired under another threshold.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::chart::{judged_grid, newest};
use super::series::{DAY_MS, span};
use super::{Ask, Desk, DeskError, instant, selector};
use crate::alert::{Episode, Marker, PolicyRecord, judged, replay};
use crate::config::AlertPolicy;
use crate::message::AlertKind;
use crate::series::Millis;
use crate::store::DocumentKind;

/// How long before the span the rule begins to look, so that what was on at its beginning is on.
const LEAD_MS: Millis = DAY_MS;
/// Alerts that an answer lists, the newest; all are counted.
const LISTED: usize = 500;

/// Asks what would have fired.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WhatIfQuery {
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
    /// `alert_threshold`, 0 to 1; left out: that of the batch. All else is as the batch has it.
    pub threshold: Option<f64>,
}

/// What would have fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WhatIf {
    /// The threshold that was asked for.
    pub threshold: f64,
    /// The one that the batch has.
    pub configured: f64,
    /// The span, half-open.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub from: Millis,
    /// See `from`.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub to: Millis,
    /// Scored points in the span.
    pub points: usize,
    /// Those of them with a score of at least the threshold.
    pub over: usize,
    /// How many alerts would have been on.
    pub count: usize,
    /// These, the oldest first; of more than 500 the newest.
    pub alerts: Vec<WouldFire>,
}

/// An alert that would have fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WouldFire {
    /// Its first point.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub started: Millis,
    /// The point at which it would have fired.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub fired: Millis,
    /// When it would have been over; `None`: not by the end of the span.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub ended: Option<Millis>,
    /// When its worst point was.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub worst_at: Millis,
    /// The score there.
    pub score: f64,
}

impl Ask for WhatIfQuery {
    type Reply = WhatIf;

    fn ask(&self, desk: &Desk<'_>) -> Result<WhatIf, DeskError> {
        let key = desk.batch(&self.id)?;
        let configured = desk.threshold(&key);
        let threshold = self.threshold.unwrap_or(configured);
        if !(0.0..=1.0).contains(&threshold) {
            return Err(DeskError::invalid(format!("a threshold is a number from 0 to 1, and not {threshold}")));
        }
        let series = selector::one(desk.store, &key, &self.metric)?;
        let span = span(self.from, self.to, self.last_ms, newest(&series, desk.now));
        let looked = span.start.saturating_sub(LEAD_MS)..span.end;
        let scores = desk.store.scores(&key, &[series.id], looked.clone())?.pop().unwrap_or_default().rows;
        let within = || scores.iter().filter(|row| span.contains(&row.time));
        let (points, over) = (within().count(), within().filter(|row| row.score >= threshold).count());
        let grid = judged_grid(desk, &key, &scores);
        let policy = desk.batches.get(&key).map_or_else(AlertPolicy::default, |batch| batch.alert.clone());
        // The rule asks for the value only where the side or the distance of a point matters.
        let values = desk.store.values(&key, &[series.id], looked)?.pop().unwrap_or_default();
        let judged = judged(scores, &values, &grid);
        let policy = PolicyRecord::anomaly(&AlertPolicy { threshold, ..policy });
        let labels = desk.labels_of(&key, AlertKind::Anomaly, &series.labels, &series.name);
        let markers = desk.store.documents::<Marker>(&key.tenant, DocumentKind::Event, "")?;
        let about = markers.iter().map(|(_, marker)| marker).filter(|marker| marker.is_about(&labels)).collect();
        let mut episodes = replay(&policy, about, &judged);
        episodes.retain(|episode| episode.ended.is_none_or(|ended| ended > span.start));
        let count = episodes.len();
        let listed = episodes.into_iter().skip(count.saturating_sub(LISTED));
        Ok(WhatIf {
            threshold,
            configured,
            from: span.start,
            to: span.end,
            points,
            over,
            count,
            alerts: listed.filter_map(would_fire).collect(),
        })
    }
}

fn would_fire(episode: Episode) -> Option<WouldFire> {
    Some(WouldFire {
        started: episode.started,
        fired: episode.fired?,
        ended: episode.ended,
        worst_at: episode.worst.time,
        score: episode.worst.score,
    })
}
