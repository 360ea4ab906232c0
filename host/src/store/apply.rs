//! What a record of the log does to the state, whether it was just written or is replayed.
//!
//! No disk is touched and nothing is decided here: a record applied twice, or over a state
//! that already has what later records did, comes to the same in the end.

use super::database::{Outcome, State, model_key, run_key};
use super::document::document_prefix;
use super::entry::{
    BatchEntry, ClearEntry, CommitEntry, DocumentsEntry, DropEntry, DropTenantEntry, Entry, KvEntry, SeriesEntry,
    TailEntry, encode, widened,
};
use super::keys::Space;
use super::record::{AlertRecord, Delivery, DocumentWrite, FitRecord};
use super::{Sequence, StoreError};
use crate::message::AlertPhase;
use crate::series::Millis;

/// The state in which a delivery waits.
pub(super) const QUEUED: &str = "queued";

impl Entry {
    /// Its points; `None` if its columns do not fit together.
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Commit(entry) => Some(Outcome {
                values: entry.values.unpack()?,
                scores: entry.scores.unpack()?,
                terms: entry.terms.unpack()?,
            }),
            Self::Kv(_) | Self::Documents(_) | Self::Clear(_) | Self::Drop(_) | Self::DropTenant(_) => {
                Some(Outcome::default())
            }
        }
    }
}

impl State {
    /// What memory says of a key: `Some(None)` if it was removed, `None` if only the engine knows.
    pub fn overlay(&self, key: &[u8]) -> Option<Option<&Vec<u8>>> {
        let frozen = || self.frozen.as_ref().and_then(|layer| layer.records.get(key));
        self.active.records.get(key).or_else(frozen).map(Option::as_ref)
    }

    /// Applies a record of `bytes` bytes.
    pub fn apply(
        &mut self,
        entry: Entry,
        outcome: Outcome,
        sequence: Sequence,
        bytes: usize,
    ) -> Result<(), StoreError> {
        match entry {
            Entry::Commit(entry) => self.apply_commit(*entry, outcome)?,
            Entry::Kv(KvEntry { tenant, plugin, key, value }) => {
                let key = Space::Kv.key().text(&tenant).text(&plugin).last(&key).done();
                self.active.records.insert(key, value.map(serde_bytes::ByteBuf::into_vec));
            }
            Entry::Documents(DocumentsEntry { tenant, documents }) => self.apply_documents(&tenant, documents),
            Entry::Clear(entry) => self.apply_clear(entry),
            Entry::Drop(entry) => self.apply_drop(&entry),
            Entry::DropTenant(DropTenantEntry { batches, removed }) => {
                batches.iter().for_each(|entry| self.apply_drop(entry));
                for key in removed {
                    self.active.delete(key.into_vec());
                }
            }
        }
        self.active.bytes += bytes;
        self.sequence = sequence;
        Ok(())
    }

    fn apply_commit(&mut self, entry: CommitEntry, outcome: Outcome) -> Result<(), StoreError> {
        let CommitEntry {
            batch: id,
            run,
            series,
            values: _,
            scores: _,
            terms: _,
            models,
            alerts,
            watched,
            deliveries,
            decisions,
            documents,
        } = entry;
        let Outcome { values, scores, terms } = outcome;
        // A replay may meet a later batch of the same name, already sealed; its own turn comes.
        if self.catalogue.names.get(&run.slot.key) != Some(&id) {
            let windows = self.catalogue.add(id, &run.slot.key).windows.clone();
            let entry = BatchEntry { id, key: run.slot.key.clone(), windows };
            self.active.put(Space::Batch.batch(id).done(), encode(&entry)?);
        }
        let Some(batch) = self.catalogue.batches.get_mut(&id) else { return Ok(()) };
        for entry in series {
            let SeriesEntry { id: series, .. } = entry;
            self.active.put(Space::Series.batch(id).number(series).done(), encode(&entry)?);
            batch.set(entry, "the log")?;
        }
        for (series, points) in &values {
            let (Some(state), Some((first, _)), Some((last, value))) =
                (batch.series_mut(*series), points.span(), points.last())
            else {
                continue;
            };
            let TailEntry { span, last: last_value, scored: _ } = &mut state.tail;
            if span.is_none_or(|(_, known)| known <= last) {
                *last_value = *value;
            }
            *span = widened(*span, (first, last));
        }
        for (series, points) in &scores {
            if let (Some(state), Some(span)) = (batch.series_mut(*series), points.span()) {
                state.tail.scored = widened(state.tail.scored, span);
            }
        }
        self.active.add(id, values, scores, terms);
        for model in models {
            self.active.put(model_key(id, &model.tag, model.series).done(), encode(&model)?);
            let fit = FitRecord {
                tag: model.tag.clone(),
                scheduled: run.slot.scheduled,
                plugin: model.plugin,
                plugin_digest: model.plugin_digest,
                config_digest: model.config_digest,
                slot: model.slot,
                data: model.data,
                left_out: model.left_out,
                digest: model.digest.to_string(),
                facts: model.facts,
            };
            self.active.put(fit_key(id, model.series, &fit.tag, fit.scheduled), encode(&fit)?);
        }
        for alert in alerts {
            let (open, closed) = alert_keys(id, &alert);
            let (to, from) = if alert.phase == AlertPhase::Resolved { (closed, open) } else { (open, closed) };
            self.active.put(to, encode(&alert)?);
            self.active.delete(from);
        }
        for (series, memory) in watched {
            self.active.put(Space::Watched.batch(id).number(series).done(), memory.into_vec());
        }
        for delivery in deliveries {
            let (queued, settled) = delivery_keys(id, &delivery);
            let (to, from) = if delivery.state == QUEUED { (queued, settled) } else { (settled, queued) };
            self.active.put(to, encode(&delivery)?);
            self.active.delete(from);
        }
        for (series, decision) in decisions {
            let place = Space::Decision.batch(id).number(series).byte(decision.kind as u8);
            self.active.put(place.newest_first(decision.from).done(), encode(&decision)?);
        }
        self.apply_documents(&run.slot.key.tenant, documents);
        self.active.put(run_key(id, &run.slot), encode(&run)?);
        Ok(())
    }

    fn apply_drop(&mut self, DropEntry { key, batch }: &DropEntry) {
        self.catalogue.remove(*batch, key);
        self.active.points.remove(batch);
        for space in Space::ALL.into_iter().filter(|space| space.of_batch()) {
            let prefix = space.batch(*batch).done();
            let keys: Vec<_> = self.active.with_prefix(&prefix).map(|(key, _)| key.clone()).collect();
            keys.iter().for_each(|key| drop(self.active.records.remove(key)));
        }
        self.active.dropped.insert(*batch);
    }

    fn apply_documents(&mut self, tenant: &str, documents: Vec<DocumentWrite>) {
        for DocumentWrite { kind, id, value } in documents {
            self.active.records.insert(document_prefix(tenant, kind).last(&id).done(), value);
        }
    }

    fn apply_clear(&mut self, entry: ClearEntry) {
        let ClearEntry { batch, before, removed, tails } = entry;
        self.active.clear(batch, before);
        for key in removed {
            self.active.delete(key.into_vec());
        }
        let (Some(state), Some(points)) = (self.catalogue.batches.get_mut(&batch), self.active.points.get_mut(&batch))
        else {
            return;
        };
        for (series, tail) in tails {
            if let Some(state) = state.series_mut(series) {
                state.tail = tail;
            }
            points.tails.insert(series);
        }
    }
}

/// Where a fit lies: those of a series and tag together, the newest first.
pub(super) fn fit_key(batch: u32, series: u32, tag: &str, scheduled: Millis) -> Vec<u8> {
    Space::Fit.batch(batch).number(series).text(tag).newest_first(scheduled).done()
}

/// Where an alert lies while it goes on, and when it is over.
pub(super) fn alert_keys(batch: u32, alert: &AlertRecord) -> (Vec<u8>, Vec<u8>) {
    let key = |space: Space| space.batch(batch).newest_first(alert.started).last(&alert.id).done();
    (key(Space::OpenAlert), key(Space::ClosedAlert))
}

/// Where a delivery lies while it waits, and when it is sent or given up.
pub(super) fn delivery_keys(batch: u32, delivery: &Delivery) -> (Vec<u8>, Vec<u8>) {
    let key = |space: Space| space.batch(batch).last(&delivery.id).done();
    (key(Space::Queued), key(Space::Settled))
}
