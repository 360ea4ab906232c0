//! Sealing: the layer in memory becomes blocks and records, and the log is trimmed.
//!
//! The layer is frozen and another takes commits; what is frozen is laid over what the
//! engine has, written in pieces, synced, and only then the log goes. A sealing that is cut
//! short leaves some pieces written: the next start replays the log over them and comes to
//! the same. Nobody reads less meanwhile, since the frozen layer stays until all is written.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::backend::{Changes, Digest, Store};
use super::blocks::Blocks;
use super::catalogue::{STRIPE, for_each};
use super::chunk::{self, Coded};
use super::database::{Database, Inner, dropped_key, next_batch_key, sealed_key};
use super::entry::{BatchEntry, Body, ModelEntry, TailEntry, decode, encode};
use super::keys::{Space, after};
use super::layer::{BatchPoints, Kept, Layer};
use super::points::Points;
use super::tally::tally_key;
use super::window::Windows;
use super::{SCAN_KEYS, Sequence, StoreError, lock, read, write};
use crate::config::BatchKey;
use crate::series::Millis;

/// Values that are written at once. An engine's batch is written in no order; in small pieces
/// keys come nearly as they sort, which leaves sled a quarter less garbage than pieces of 500.
const PIECE_VALUES: usize = 64;
/// The step that is taken for a batch of which no two points are known.
const UNKNOWN_STEP: Millis = 300_000;
/// How many distances between points the step is judged by.
const STEP_SAMPLE: usize = 10_000;

/// How many times what is sealed at once may wait before commits do.
const BACKLOG: usize = 3;

/// What is remembered from one sealing to the next.
#[derive(Debug, Default)]
pub(super) struct Sealer {
    /// What stands as the place up to which the log is sealed.
    pub sealed: Option<Vec<u8>>,
    /// How many run records a job of a batch has, by the beginning of their keys.
    pub runs: HashMap<Vec<u8>, usize>,
}

/// What a sealing has to write, as it was when the layer was frozen.
struct Sealing {
    layer: Arc<Layer>,
    sequence: Sequence,
    next_batch: u32,
    batches: Vec<SealedBatch>,
}

struct SealedBatch {
    id: u32,
    key: BatchKey,
    windows: Windows,
    series: usize,
    tails: Vec<(u32, Vec<TailEntry>)>,
}

impl Database {
    /// Moves what is in memory into blocks on disk, and trims the log. It happens by itself
    /// when the log has grown; commits and reads go on meanwhile.
    pub fn seal(&self) -> Result<(), StoreError> {
        self.inner.seal()
    }
}

impl Inner {
    /// Seals beside what goes on, if the log has grown; if sealing does not keep up, makes
    /// the caller wait for it.
    pub fn seal_if_grown(self: &Arc<Self>) {
        let grown = |times: usize| {
            let active = &read(&self.state).active;
            active.bytes / times >= self.limits.store_log_bytes || active.rows / times >= self.limits.store_log_points
        };
        if !grown(1) {
            return;
        }
        if grown(BACKLOG) {
            // A failure has stopped the store, or will be met again: the next write tells.
            let _ = self.seal();
            return;
        }
        let mut thread = lock(&self.sealer);
        if thread.as_ref().is_none_or(JoinHandle::is_finished) {
            let inner = self.clone();
            let seal = move || drop(inner.seal());
            *thread = std::thread::Builder::new().name("store-seal".to_owned()).spawn(seal).ok();
        }
    }

    /// See [`Database::seal`]. After a failed write the store accepts none.
    pub fn seal(&self) -> Result<(), StoreError> {
        let mut sealer = lock(&self.sealing);
        self.check_running()?;
        // Less than for a commit, since a sealing makes room; but some it needs.
        self.store.check_room(self.limits.disk_reserve_bytes / 4)?;
        let Some(sealing) = self.freeze()? else { return Ok(()) };
        self.write_sealing(&mut sealer, &sealing).inspect_err(|e| self.stop(e))?;
        write(&self.state).frozen = None;
        let touches_models = sealing.layer.with_prefix(&Space::Model.key().done()).next().is_some();
        if touches_models || !sealing.layer.dropped.is_empty() {
            self.sweep_blobs()?;
        }
        Ok(())
    }

    /// How many bytes all blocks have.
    pub fn block_bytes(&self) -> Result<usize, StoreError> {
        let mut bytes = 0;
        for_each(&*self.store, &Space::Block.key().done(), |_, block| {
            bytes += block.len();
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Freezes the active layer; `None` if there is nothing in it.
    fn freeze(&self) -> Result<Option<Sealing>, StoreError> {
        let writer = lock(&self.writer);
        // The values must never be ahead of the log.
        self.sync_log(&writer)?;
        let mut state = write(&self.state);
        let state = &mut *state;
        if state.active.bytes == 0 {
            return Ok(None);
        }
        let layer = Arc::new(std::mem::take(&mut state.active));
        state.frozen = Some(layer.clone());
        let mut batches = Vec::new();
        for (id, points) in &layer.points {
            let Some(batch) = state.catalogue.batches.get_mut(id) else { continue };
            if let Some(upto) = batch.series.iter().filter_map(|series| newest(&series.tail)).max() {
                batch.windows.fit(step(points), upto);
            }
            let touched = points.values.keys().chain(points.scores.keys()).chain(&points.tails);
            let stripes: BTreeSet<u32> = touched.map(|series| series / STRIPE).collect();
            batches.push(SealedBatch {
                id: *id,
                key: batch.key.clone(),
                windows: batch.windows.clone(),
                series: batch.series.len(),
                tails: stripes.into_iter().map(|stripe| (stripe, batch.tails(stripe))).collect(),
            });
        }
        Ok(Some(Sealing { layer, sequence: state.sequence, next_batch: state.catalogue.next, batches }))
    }

    fn write_sealing(&self, sealer: &mut Sealer, sealing: &Sealing) -> Result<(), StoreError> {
        let Sealing { layer, sequence, next_batch, batches } = sealing;
        let Layer { records, points, dropped, rows: _, bytes: _ } = &**layer;
        let mut pieces = Pieces { store: &*self.store, changes: Changes::default() };
        for (key, value) in records {
            pieces.write(key.clone(), value.clone())?;
        }
        for batch in batches {
            let entry = BatchEntry { id: batch.id, key: batch.key.clone(), windows: batch.windows.clone() };
            pieces.write(Space::Batch.batch(batch.id).done(), Some(encode(&entry)?))?;
            for (stripe, tails) in &batch.tails {
                pieces.write(Space::Tail.batch(batch.id).number(*stripe).done(), Some(encode(tails)?))?;
            }
            let Some(points) = points.get(&batch.id) else { continue };
            let blocks = Blocks {
                store: &*self.store,
                key: &batch.key,
                batch: batch.id,
                windows: &batch.windows,
                series: batch.series,
            };
            pieces.points::<f64>(&blocks, points)?;
            pieces.points::<super::points::Score>(&blocks, points)?;
            pieces.points::<super::points::Terms>(&blocks, points)?;
        }
        self.trim_runs(sealer, layer, &mut pieces)?;
        pieces.write(next_batch_key(), Some(encode(next_batch)?))?;
        pieces.write(dropped_key(), Some(encode(dropped)?))?;
        let sealed = Some(encode(sequence)?);
        // Whoever else seals this engine is found here, before the log goes.
        pieces.changes.expect.push((sealed_key(), sealer.sealed.take()));
        pieces.changes.writes.push((sealed_key(), sealed.clone()));
        pieces.flush()?;
        sealer.sealed = sealed;
        self.store.sync_values()?;
        remove_dropped(&*self.store)?;
        // Needs no sync: a log that is longer than it need be is only replayed for nothing.
        self.store.trim(*sequence)
    }

    /// Deletes the oldest runs of each job, when there are clearly more than are kept.
    fn trim_runs(&self, sealer: &mut Sealer, layer: &Layer, pieces: &mut Pieces<'_>) -> Result<(), StoreError> {
        let space = Space::Run.key().done();
        let mut added: BTreeMap<&[u8], usize> = BTreeMap::new();
        for (key, _) in layer.with_prefix(&space) {
            // All but the time.
            *added.entry(key.get(..key.len().saturating_sub(8)).unwrap_or_default()).or_default() += 1;
        }
        let kept = self.limits.runs_kept;
        for (prefix, added) in added {
            let known = sealer.runs.get(prefix).map(|count| count + added);
            if known.is_some_and(|count| count <= kept + kept / 8) {
                sealer.runs.insert(prefix.to_vec(), known.unwrap_or_default());
                continue;
            }
            pieces.flush()?;
            let mut count = 0;
            for_each(&*self.store, prefix, |key, _| {
                count += 1;
                if count > kept { pieces.write(key.to_vec(), None) } else { Ok(()) }
            })?;
            sealer.runs.insert(prefix.to_vec(), count.min(kept));
        }
        Ok(())
    }

    /// Removes blobs to which no model refers.
    fn sweep_blobs(&self) -> Result<(), StoreError> {
        // Held throughout, so that no blob appears that could be taken for an old one.
        let fresh = lock(&self.fresh_blobs);
        let mut live: BTreeSet<Digest> = fresh.keys().copied().collect();
        self.visit(&Space::Model.key(), &[], |_, value| {
            let entry: ModelEntry = decode("a model", value)?;
            if let Body::Blob { blob, .. } = entry.body {
                live.insert(blob);
            }
            Ok(true)
        })?;
        for blob in self.store.blobs()?.iter().filter(|blob| !live.contains(blob)) {
            self.store.delete_blob(blob)?;
        }
        Ok(())
    }
}

/// Deletes what ended batches had. Only when the log has nothing of them any more: a replay
/// leans on what was sealed before it.
pub(super) fn remove_dropped(store: &dyn Store) -> Result<(), StoreError> {
    let Some(dropped) = store.get(&dropped_key())? else { return Ok(()) };
    let dropped: BTreeSet<u32> = decode("the list of ended batches", &dropped)?;
    let mut pieces = Pieces { store, changes: Changes::default() };
    for batch in dropped {
        for space in Space::ALL.into_iter().filter(|space| space.of_batch()) {
            pieces.delete_all(&space.batch(batch).done())?;
        }
    }
    pieces.write(dropped_key(), None)?;
    pieces.flush()
}

/// The newest point of a series, of any kind.
fn newest(tail: &TailEntry) -> Option<Millis> {
    tail.span.map(|(_, last)| last).max(tail.scored.map(|(_, last)| last))
}

/// How far apart the points of a batch are: the median.
fn step(points: &BatchPoints) -> Millis {
    let distances =
        |times: &[Millis]| times.windows(2).filter_map(|pair| pair.last()?.checked_sub(*pair.first()?)).collect();
    let of = |times: Vec<&[Millis]>| -> Vec<Millis> {
        times.into_iter().flat_map(|times| -> Vec<Millis> { distances(times) }).take(STEP_SAMPLE).collect()
    };
    let mut found = of(points.values.values().map(Points::times).collect());
    if found.is_empty() {
        found = of(points.scores.values().map(Points::times).collect());
    }
    let middle = found.len() / 2;
    if found.is_empty() { UNKNOWN_STEP } else { *found.select_nth_unstable(middle).1 }
}

/// Changes on their way into the engine, in pieces.
struct Pieces<'a> {
    store: &'a dyn Store,
    changes: Changes,
}

impl Pieces<'_> {
    fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.changes.writes.push((key, value));
        if self.changes.writes.len() >= PIECE_VALUES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.store.commit(&std::mem::take(&mut self.changes))
    }

    fn delete_all(&mut self, prefix: &[u8]) -> Result<(), StoreError> {
        for_each(self.store, prefix, |key, _| self.write(key.to_vec(), None))
    }

    /// Lays the points of a batch over its blocks.
    fn points<T: Kept + Coded>(&mut self, blocks: &Blocks<'_>, points: &BatchPoints) -> Result<(), StoreError> {
        let cleared = points.cleared.unwrap_or(Millis::MIN);
        let mut stripes = by_window(T::of(points), blocks.windows);
        if cleared > Millis::MIN {
            self.clear::<T>(blocks, cleared, &mut stripes)?;
        }
        for ((start, stripe), newer) in stripes {
            let window = blocks.windows.at(start);
            let (mut columns, before) = blocks.read_stripe::<T>(&window, stripe)?;
            columns.values_mut().for_each(|points| points.clear_before(cleared));
            for (series, points) in newer {
                columns.entry(series).or_default().merge(points);
            }
            columns.values_mut().for_each(|points| points.retain(T::counts));
            columns.retain(|_, points| !points.is_empty());
            let columns: Vec<_> = columns.iter().map(|(series, points)| (*series, points)).collect();
            let parts = chunk::encode(&columns)
                .map_err(|e| StoreError::Invalid(format!("points of {} cannot be packed: {e}", blocks.key)))?;
            let after = parts.len();
            for (part, block) in parts.into_iter().enumerate() {
                self.write(blocks.part_key::<T>(start, stripe, part), Some(block))?;
            }
            for part in after..before {
                self.write(blocks.part_key::<T>(start, stripe, part), None)?;
            }
            if T::TALLIED {
                self.write(tally_key(blocks.batch, start, stripe), T::tally(&columns))?;
            }
        }
        Ok(())
    }

    /// Deletes the blocks of windows that lie before an instant, and enters the stripes of
    /// the one in which it lies.
    fn clear<T: Kept + Coded>(
        &mut self,
        blocks: &Blocks<'_>,
        cleared: Millis,
        stripes: &mut Stripes<T>,
    ) -> Result<(), StoreError> {
        let prefix = blocks.prefix::<T>().done();
        let boundary = blocks.windows.at(cleared).start;
        let mut from = prefix.clone();
        loop {
            let page = blocks.store.scan(&prefix, &from, SCAN_KEYS)?;
            for (key, _) in &page {
                match blocks.window_of::<T>(key) {
                    Some(start) if start < boundary => {
                        // Points that came after the deletion may be on their way here.
                        let rewritten = blocks.stripe_of::<T>(key).is_some_and(|s| stripes.contains_key(&(start, s)));
                        if !rewritten {
                            self.write(key.clone(), None)?;
                            if T::TALLIED
                                && let Some(stripe) = blocks.stripe_of::<T>(key)
                            {
                                self.write(tally_key(blocks.batch, start, stripe), None)?;
                            }
                        }
                    }
                    Some(start) if start == boundary => {
                        if let Some(stripe) = blocks.stripe_of::<T>(key) {
                            stripes.entry((start, stripe)).or_default();
                        }
                    }
                    _ => return Ok(()),
                }
            }
            match page.last() {
                Some((key, _)) if page.len() == SCAN_KEYS => from = after(key),
                _ => return Ok(()),
            }
        }
    }
}

/// New points by window and stripe.
type Stripes<T> = BTreeMap<(Millis, u32), BTreeMap<u32, Points<T>>>;

fn by_window<T: Clone>(columns: &BTreeMap<u32, Points<T>>, windows: &Windows) -> Stripes<T> {
    let mut stripes: Stripes<T> = BTreeMap::new();
    for (series, points) in columns {
        let mut next = points.times().first().copied();
        while let Some(time) = next {
            let window: Range<Millis> = windows.at(time);
            let inside = points.within(&window);
            stripes.entry((window.start, series / STRIPE)).or_default().insert(*series, inside);
            next = points.times().get(points.times().partition_point(|time| *time < window.end)).copied();
        }
    }
    stripes
}
