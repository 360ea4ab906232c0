//! The store as the pipeline uses it: opening, and the way of a commit into the log.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

use serde_bytes::ByteBuf;
use tokio::sync::broadcast;

use super::backend::{Digest, Sequence, Store};
use super::catalogue::Catalogue;
use super::entry::{Body, CommitEntry, Entry, ModelEntry, SeriesEntry, decode, encode};
use super::keys::{Key, Space};
use super::layer::Layer;
use super::points::{Packed, Points, Score, Terms};
use super::record::{Commit, ModelWrite, ScoreRow, SeriesId};
use super::seal::{Sealer, remove_dropped};
use super::sled::SledStore;
use super::{StoreError, lock, read, write};
use crate::config::{BatchKey, Limits, Slot};
use crate::series::Labels;

/// Models up to this size stand in the log; longer ones in a file.
const INLINE_MODEL_BYTES: usize = 2 << 10;
/// Records that are read from the log at once.
const REPLAY_RECORDS: usize = 64;
/// Finished runs that a slow listener may be behind.
const LISTENER_BACKLOG: usize = 1_024;

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it would survive a power cut.
    #[default]
    Durable,
    /// When it is in memory. A crash loses the newest commits, whole; it never leaves one
    /// without those before it. For replays that can be done again.
    Relaxed,
}

/// What a commit gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The number of each series of the commit's samples, in their order.
    pub series: Vec<SeriesId>,
    /// Its place in the log.
    pub sequence: Sequence,
}

/// The store. Clones share it; it is closed when the last is dropped.
#[derive(Clone)]
pub struct Database {
    // Dropped before what it waits for is.
    _closer: Arc<Closer>,
    pub(super) inner: Arc<Inner>,
}

/// Waits for a sealing that goes on, so that nothing holds the store when the last
/// [`Database`] is dropped.
struct Closer(Arc<Inner>);

impl Drop for Closer {
    fn drop(&mut self) {
        let sealer = lock(&self.0.sealer).take();
        if let Some(sealer) = sealer {
            // It has told how it ended.
            let _ = sealer.join();
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({:?})", self.inner.store)
    }
}

pub(super) struct Inner {
    pub store: Arc<dyn Store>,
    pub limits: Limits,
    /// What readers see. Locked for short: no disk is touched under it.
    pub state: RwLock<State>,
    /// Commits that wait for the next write.
    queue: Mutex<Vec<Arc<Ticket>>>,
    /// Held by whoever writes to the log.
    pub writer: Mutex<Writer>,
    /// Held while values are written, or must not be.
    pub sealing: Mutex<Sealer>,
    /// The sealing that goes on by itself.
    pub sealer: Mutex<Option<JoinHandle<()>>>,
    relaxed: AtomicBool,
    /// The first failed write, after which nothing is accepted.
    stopped: Mutex<Option<String>>,
    /// Blobs of commits that are not applied yet, which nothing refers to.
    pub fresh_blobs: Mutex<HashMap<Digest, usize>>,
    finished: broadcast::Sender<Slot>,
}

/// What readers see.
#[derive(Debug, Default)]
pub(super) struct State {
    pub catalogue: Catalogue,
    pub active: Layer,
    pub frozen: Option<Arc<Layer>>,
    /// The last record of the log that is applied.
    pub sequence: Sequence,
}

/// What only a writer needs.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// How many bytes each plugin keeps, by tenant and plugin; found out when first needed.
    pub kv_bytes: BTreeMap<(String, String), usize>,
}

/// A commit on its way into the log.
struct Ticket {
    key: BatchKey,
    staged: Mutex<Option<Staged>>,
    answer: Mutex<Option<Result<Committed, StoreError>>>,
}

/// A commit whose blobs are written.
struct Staged {
    commit: Commit,
    models: Vec<ModelEntry>,
}

/// Points of a commit, beside its entry.
#[derive(Default)]
pub(super) struct Outcome {
    pub values: Vec<(u32, Points<f64>)>,
    pub scores: Vec<(u32, Points<Score>)>,
    pub terms: Vec<(u32, Points<Terms>)>,
}

impl Database {
    /// Opens the store in a directory, or creates it, and replays its log.
    ///
    /// Fails if another process has it open, if it is of a newer format, or damaged.
    pub fn open(dir: &Path, limits: &Limits) -> Result<Self, StoreError> {
        Self::over(Arc::new(SledStore::open(dir, limits.store_cache_bytes)?), limits)
    }

    /// A store that is forgotten when it is dropped.
    pub fn in_memory(limits: &Limits) -> Result<Self, StoreError> {
        Self::over(Arc::new(super::MemoryStore::default()), limits)
    }

    /// Opens the store that an engine holds. An engine belongs to one database at a time.
    pub fn over(store: Arc<dyn Store>, limits: &Limits) -> Result<Self, StoreError> {
        remove_dropped(&*store)?;
        let mut state = State { catalogue: Catalogue::load(&*store)?, ..State::default() };
        let meta = |key: Vec<u8>| -> Result<u64, StoreError> {
            store.get(&key)?.map_or(Ok(0), |value| decode("its head", &value))
        };
        state.sequence = meta(sealed_key())?;
        state.catalogue.next = state.catalogue.next.max(u32::try_from(meta(next_batch_key())?).unwrap_or(u32::MAX));
        if store.tail(0, 1)?.first().is_some_and(|(first, _)| *first <= state.sequence) {
            // A sealing was cut short just before its end: what it wrote may not be on disk yet.
            store.sync_values()?;
            store.trim(state.sequence)?;
        }
        loop {
            let records = store.tail(state.sequence, REPLAY_RECORDS)?;
            if records.is_empty() {
                break;
            }
            for (sequence, record) in records {
                if sequence != state.sequence + 1 {
                    return Err(StoreError::damaged("the log", format!("record {} is missing", state.sequence + 1)));
                }
                let place = format!("record {sequence} of the log");
                let entry: Entry = decode(&place, &record)?;
                let outcome = entry.outcome().ok_or_else(|| StoreError::damaged(&place, "its columns do not fit"))?;
                state.apply(entry, outcome, sequence, record.len())?;
            }
        }
        let inner = Inner {
            store,
            limits: limits.clone(),
            state: RwLock::new(state),
            queue: Mutex::default(),
            writer: Mutex::default(),
            sealing: Mutex::default(),
            sealer: Mutex::default(),
            relaxed: AtomicBool::new(false),
            stopped: Mutex::default(),
            fresh_blobs: Mutex::default(),
            finished: broadcast::Sender::new(LISTENER_BACKLOG),
        };
        let inner = Arc::new(inner);
        Ok(Self { _closer: Arc::new(Closer(inner.clone())), inner })
    }

    /// Sets when commits are acknowledged from now on. Going back to [`Durability::Durable`]
    /// makes durable what was not.
    pub fn set_durability(&self, durability: Durability) -> Result<(), StoreError> {
        self.inner.relaxed.store(durability == Durability::Relaxed, Ordering::SeqCst);
        self.inner.sync_log(&lock(&self.inner.writer))
    }

    /// Slots of runs as they are finished, from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Slot> {
        self.inner.finished.subscribe()
    }

    /// Keeps the outcome of a run: all of it or, on an error, nothing.
    ///
    /// [`StoreError::Conflict`] if the run is already finished; [`StoreError::Quota`] if the
    /// batch would have too many series. After any other error the store accepts no writes
    /// until it is opened again, and whether this commit is then there is open.
    pub fn commit(&self, mut commit: Commit) -> Result<Committed, StoreError> {
        let inner = &self.inner;
        inner.check_running()?;
        let models = std::mem::take(&mut commit.models);
        let (models, blob) = inner.stage_models(models)?;
        let key = commit.run.slot.key.clone();
        let staged = Mutex::new(Some(Staged { commit, models }));
        let ticket = Arc::new(Ticket { key, staged, answer: Mutex::default() });
        lock(&inner.queue).push(ticket.clone());
        // Whoever gets the lock first writes for all that wait, with one sync.
        let mut writer = lock(&inner.writer);
        let answer = loop {
            if let Some(answer) = lock(&ticket.answer).take() {
                break answer;
            }
            inner.write_group(&mut writer);
        };
        drop(writer);
        if let Some(blob) = blob {
            inner.release_blob(&blob);
        }
        inner.seal_if_grown();
        answer
    }
}

impl Inner {
    /// Refuses if an earlier write has failed.
    pub fn check_running(&self) -> Result<(), StoreError> {
        match &*lock(&self.stopped) {
            Some(cause) => Err(StoreError::Stopped { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// Accepts nothing more, since what is on disk is no longer known.
    pub fn stop(&self, error: &StoreError) {
        lock(&self.stopped).get_or_insert_with(|| error.to_string());
    }

    fn durable(&self) -> bool {
        !self.relaxed.load(Ordering::SeqCst)
    }

    pub fn sync_log(&self, _writer: &Writer) -> Result<(), StoreError> {
        self.check_running()?;
        self.store.sync_log().inspect_err(|e| self.stop(e))
    }

    /// Writes one record and applies it. The writer is locked, so that nothing comes between
    /// what the record was made from and the record.
    pub fn write_entry(&self, _writer: &mut Writer, entry: Entry) -> Result<Sequence, StoreError> {
        self.check_running()?;
        let record = encode(&entry)?;
        let sequence = self.store.append(&record).inspect_err(|e| self.stop(e))?;
        if self.durable() {
            self.store.sync_log().inspect_err(|e| self.stop(e))?;
        }
        write(&self.state).apply(entry, Outcome::default(), sequence, record.len())?;
        Ok(sequence)
    }

    /// Writes the commits that wait, one a batch: what a commit decides depends on those
    /// before it of its batch, and these must have been applied.
    fn write_group(&self, writer: &mut Writer) {
        let mut seen = HashSet::new();
        let (group, later): (Vec<_>, Vec<_>) =
            lock(&self.queue).drain(..).partition(|ticket| seen.insert(ticket.key.clone()));
        lock(&self.queue).splice(0..0, later);

        let mut written = Vec::new();
        let mut next_batch = read(&self.state).catalogue.next;
        for ticket in group {
            let Some(staged) = lock(&ticket.staged).take() else { continue };
            let prepared = self
                .check_running()
                .and_then(|()| self.prepare(staged, &mut next_batch))
                .and_then(|(entry, outcome, series)| Ok((encode(&entry)?, entry, outcome, series)));
            let appended = prepared.and_then(|(record, entry, outcome, series)| {
                let sequence = self.store.append(&record).inspect_err(|e| self.stop(e))?;
                Ok((entry, outcome, record.len(), Committed { series, sequence }))
            });
            match appended {
                Ok(appended) => written.push((ticket, appended)),
                Err(error) => *lock(&ticket.answer) = Some(Err(error)),
            }
        }
        let synced = if self.durable() && !written.is_empty() { self.sync_log(writer) } else { self.check_running() };
        for (ticket, (entry, outcome, bytes, committed)) in written {
            let slot = entry.slot().cloned();
            let applied =
                synced.clone().and_then(|()| write(&self.state).apply(entry, outcome, committed.sequence, bytes));
            if let (Ok(()), Some(slot)) = (&applied, slot) {
                // Nobody needs to listen.
                let _ = self.finished.send(slot);
            }
            *lock(&ticket.answer) = Some(applied.map(|()| committed));
        }
    }

    /// Decides everything about a commit, and writes nothing.
    fn prepare(&self, staged: Staged, next_batch: &mut u32) -> Result<(Entry, Outcome, Vec<SeriesId>), StoreError> {
        let Staged { commit, models } = staged;
        let Commit { run, samples, scores, models: _, alerts, watched, deliveries } = commit;
        let key = run.slot.key.clone();
        let state = read(&self.state);
        let found = state.catalogue.find(&key);
        let (batch, known) = match found {
            Some((batch, known)) => (batch, Some(known)),
            None => {
                let batch = *next_batch;
                *next_batch += 1;
                (batch, None)
            }
        };
        let slot_key = run_key(batch, &run.slot);
        let overlaid = state.overlay(&slot_key).map(|value| value.is_some());
        if known.is_some() && overlaid.map_or_else(|| Ok(self.store.get(&slot_key)?.is_some()), Ok)? {
            return Err(StoreError::Conflict(run.slot));
        }

        let mut series: Vec<SeriesEntry> = Vec::new();
        let mut numbers: HashMap<Labels, u32> = HashMap::new();
        let mut next = known.map_or(0, |batch| batch.series.len());
        let mut ids = Vec::new();
        let mut values: BTreeMap<u32, Points<f64>> = BTreeMap::new();
        for (labels, name, kind, column) in samples {
            if column.timestamps.len() != column.values.len() {
                return Err(StoreError::Invalid(format!("samples of {labels} in columns of different lengths")));
            }
            let id = known.and_then(|batch| batch.index.get(&labels)).or_else(|| numbers.get(&labels)).copied();
            let id = match id {
                Some(id) => {
                    let changed = known.and_then(|batch| batch.series(id));
                    if changed.is_some_and(|state| state.name != name || state.kind != kind) {
                        series.push(SeriesEntry { id, labels, name, kind });
                    }
                    id
                }
                None => {
                    let limit = self.limits.series_per_batch;
                    let id = u32::try_from(next).ok().filter(|_| next < limit).ok_or_else(|| StoreError::Quota {
                        what: format!("too many series in {key} (`series_per_batch`)"),
                        limit,
                    })?;
                    next += 1;
                    numbers.insert(labels.clone(), id);
                    series.push(SeriesEntry { id, labels, name, kind });
                    id
                }
            };
            ids.push(SeriesId(id));
            let samples = column.timestamps.into_iter().zip(column.values).filter(|(_, value)| !value.is_nan());
            values.entry(id).or_default().merge(Points::new(samples));
        }

        let mut kept: BTreeMap<u32, (Points<Score>, Points<Terms>)> = BTreeMap::new();
        for (SeriesId(id), column) in scores {
            if usize::try_from(id).is_ok_and(|id| id >= next) {
                return Err(StoreError::Invalid(format!("scores of series {id} of {key}, which does not exist")));
            }
            let scored = known.and_then(|batch| Some(batch.series(id)?.tail.scored?.1));
            let (scores, terms) = split_scores(&column.rows, scored);
            let (all_scores, all_terms) = kept.entry(id).or_default();
            all_scores.merge(scores);
            all_terms.merge(terms);
        }
        drop(state);

        values.retain(|_, points| !points.is_empty());
        let mut outcome = Outcome { values: values.into_iter().collect(), ..Outcome::default() };
        for (id, (scores, terms)) in kept {
            if !scores.is_empty() {
                outcome.scores.push((id, scores));
            }
            if !terms.is_empty() {
                outcome.terms.push((id, terms));
            }
        }
        let entry = CommitEntry {
            batch,
            run,
            series,
            values: Packed::pack(outcome.values.iter().map(|(id, points)| (*id, points))),
            scores: Packed::pack(outcome.scores.iter().map(|(id, points)| (*id, points))),
            terms: Packed::pack(outcome.terms.iter().map(|(id, points)| (*id, points))),
            models,
            alerts,
            watched: watched.into_iter().map(|(id, bytes)| (id.0, ByteBuf::from(bytes))).collect(),
            deliveries,
        };
        Ok((Entry::Commit(Box::new(entry)), outcome, ids))
    }

    /// Writes the longer models of a run into one blob, before anything refers to it.
    fn stage_models(&self, models: Vec<ModelWrite>) -> Result<(Vec<ModelEntry>, Option<Digest>), StoreError> {
        let mut pack = Vec::new();
        let mut places = Vec::new();
        for model in models.iter().filter(|model| model.bytes.len() > INLINE_MODEL_BYTES) {
            places.push(pack.len() as u64);
            pack.extend_from_slice(&model.bytes);
        }
        let blob = if pack.is_empty() {
            None
        } else {
            let digest = Digest::of(&pack);
            // Entered before it is written, so that no sweep takes it for garbage.
            *lock(&self.fresh_blobs).entry(digest).or_default() += 1;
            if let Err(error) = self.store.put_blob(&pack, self.durable()) {
                self.release_blob(&digest);
                return Err(error);
            }
            Some(digest)
        };
        let mut places = places.into_iter();
        let entry = |model: ModelWrite| {
            let digest = Digest::of(&model.bytes);
            let length = model.bytes.len() as u64;
            let body = match blob.filter(|_| model.bytes.len() > INLINE_MODEL_BYTES) {
                Some(blob) => Body::Blob { blob, start: places.next().unwrap_or(0), length },
                None => Body::Inline(ByteBuf::from(model.bytes)),
            };
            ModelEntry {
                series: model.series.0,
                tag: model.tag,
                plugin: model.plugin,
                plugin_digest: model.plugin_digest,
                config_digest: model.config_digest,
                data: model.data,
                digest,
                body,
            }
        };
        Ok((models.into_iter().map(entry).collect(), blob))
    }

    fn release_blob(&self, digest: &Digest) {
        let mut fresh = lock(&self.fresh_blobs);
        if let Some(count) = fresh.get_mut(digest) {
            *count -= 1;
            if *count == 0 {
                fresh.remove(digest);
            }
        }
    }
}

/// Scores and their terms. A row that may replace one with terms, and has none itself, takes
/// them away.
fn split_scores(rows: &[ScoreRow], scored: Option<i64>) -> (Points<Score>, Points<Terms>) {
    let kept = rows.iter().filter_map(|row| Some((row, Score::of(row)?)));
    let scores = Points::new(kept.clone().map(|(row, score)| (row.time, score)));
    let terms = kept.filter_map(|(row, _)| {
        let terms: Terms = row.terms.iter().filter(|(_, value)| !value.is_nan()).cloned().collect();
        (!terms.is_empty() || Some(row.time) <= scored).then_some((row.time, terms))
    });
    (scores, Points::new(terms))
}

/// Where the place in the log stands up to which it is sealed.
pub(super) fn sealed_key() -> Vec<u8> {
    Space::Meta.key().last("sealed").done()
}

/// Where the batches stand that have ended, until all of theirs is deleted.
pub(super) fn dropped_key() -> Vec<u8> {
    Space::Meta.key().last("dropped").done()
}

/// Where the number of the next batch stands.
pub(super) fn next_batch_key() -> Vec<u8> {
    Space::Meta.key().last("next batch").done()
}

pub(super) fn run_key(batch: u32, slot: &Slot) -> Vec<u8> {
    Space::Run.batch(batch).job(slot.job).newest_first(slot.scheduled).done()
}

pub(super) fn model_key(batch: u32, tag: &str, series: u32) -> Key {
    Space::Model.batch(batch).text(tag).number(series)
}
