//! Retention: what is deleted, and how a deletion goes through the log like everything else.

use serde_bytes::ByteBuf;

use super::apply::{alert_keys, delivery_keys};
use super::database::{Database, Inner};
use super::entry::{ClearEntry, DropEntry, Entry, TailEntry, decode};
use super::keys::Space;
use super::points::Points;
use super::read::{AlertFilter, DeliveryFilter};
use super::record::{Decision, FitRecord, SeriesId};
use super::{StoreError, lock, read};
use crate::config::BatchKey;
use crate::message::AlertPhase;
use crate::series::Millis;

/// How long before the oldest kept point a fit is kept that may have judged it.
const FIT_KEPT_MS: Millis = 7 * 86_400_000;

/// What a deletion found to delete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Series that lost samples or scores.
    pub series: usize,
    /// Alerts, decisions, fits and deliveries.
    pub records: usize,
}

impl Database {
    /// Deletes what a batch has from before an instant: samples, scores, alerts that are
    /// resolved and started before it, deliveries that are settled and were queued before it.
    /// Series, models, open alerts and runs stay. The room on disk comes back with later
    /// sealings.
    pub fn delete_before(&self, key: &BatchKey, before: Millis) -> Result<Deleted, StoreError> {
        let inner = &*self.inner;
        let mut writer = lock(&inner.writer);
        let Some(batch) = inner.batch_id(key) else { return Ok(Deleted::default()) };
        let mut removed = Vec::new();
        let alerts =
            AlertFilter { key: Some(key.clone()), started: Some(Millis::MIN..before), ..AlertFilter::default() };
        for alert in self.alerts(&alerts)?.iter().filter(|alert| alert.phase == AlertPhase::Resolved) {
            removed.push(ByteBuf::from(alert_keys(batch, alert).1));
        }
        let deliveries = self.deliveries(&DeliveryFilter { key: Some(key.clone()), state: None })?;
        let settled = |delivery: &&super::Delivery| delivery.state != super::apply::QUEUED && delivery.queued < before;
        for delivery in deliveries.iter().filter(settled) {
            // It lies with the tenant's own records.
            let place = inner.batch_id(&delivery.key).unwrap_or(batch);
            removed.push(ByteBuf::from(delivery_keys(place, delivery).1));
        }
        for space in [Space::Decision, Space::Fit] {
            for (key, value) in inner.scan(&space.batch(batch), None)? {
                let over = match space {
                    Space::Decision => decode::<Decision>("a decision", &value)?.to,
                    // The fit that stands is needed as long as what it judged.
                    _ => decode::<FitRecord>("a fit", &value)?.scheduled.saturating_add(FIT_KEPT_MS),
                };
                if over < before {
                    removed.push(ByteBuf::from(key));
                }
            }
        }
        let tails = inner.tails_from(key, before)?;
        let deleted = Deleted { series: tails.len(), records: removed.len() };
        if deleted != Deleted::default() {
            let entry = ClearEntry { batch, before, removed, tails };
            inner.write_entry(&mut writer, Entry::Clear(entry))?;
        }
        Ok(deleted)
    }

    /// Deletes a batch with everything that it has. A later commit begins it anew, with new
    /// numbers.
    pub fn delete_batch(&self, key: &BatchKey) -> Result<(), StoreError> {
        let mut writer = lock(&self.inner.writer);
        let Some(batch) = self.inner.batch_id(key) else { return Ok(()) };
        self.inner.write_entry(&mut writer, Entry::Drop(DropEntry { key: key.clone(), batch }))?;
        Ok(())
    }
}

impl Inner {
    /// What is left of the series that have something from before an instant.
    fn tails_from(&self, key: &BatchKey, before: Millis) -> Result<Vec<(u32, TailEntry)>, StoreError> {
        let state = read(&self.state);
        let Some((_, batch)) = state.catalogue.find(key) else { return Ok(Vec::new()) };
        let windows = batch.windows.clone();
        let mut tails = Vec::new();
        // Series whose new first sample has to be looked for.
        let mut open = Vec::new();
        for (id, series) in (0..).zip(&batch.series) {
            let TailEntry { span, last, scored } = series.tail.clone();
            let changes =
                span.is_some_and(|(first, _)| first < before) || scored.is_some_and(|(first, _)| first < before);
            if !changes {
                continue;
            }
            let kept = span.filter(|(_, last)| *last >= before);
            if kept.is_some_and(|(first, _)| first < before) {
                open.push(id);
            }
            let scored = scored.filter(|(_, last)| *last >= before).map(|(first, last)| (first.max(before), last));
            tails.push((id, TailEntry { span: kept, last, scored }));
        }
        drop(state);
        let mut window = before..windows.at(before).end;
        while !open.is_empty() && !window.is_empty() {
            let ids: Vec<_> = open.iter().copied().map(SeriesId).collect();
            let columns: Vec<Points<f64>> = self.points(key, &ids, &window)?;
            let found: std::collections::BTreeMap<u32, Millis> =
                open.iter().zip(&columns).filter_map(|(id, points)| Some((*id, points.span()?.0))).collect();
            open.retain(|id| !found.contains_key(id));
            for (id, tail) in &mut tails {
                if let (Some(first), Some((start, _))) = (found.get(id), tail.span.as_mut()) {
                    *start = *first;
                }
            }
            window = windows.at(window.end);
            // The last samples are known: where nothing is left to be found, this ends.
            let furthest = tails.iter().filter(|(id, _)| open.contains(id)).filter_map(|(_, tail)| Some(tail.span?.1));
            if furthest.max().is_none_or(|last| last < window.start) {
                break;
            }
        }
        Ok(tails)
    }
}
