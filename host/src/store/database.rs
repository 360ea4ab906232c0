//! The store as the pipeline uses it: what it consists of, opening, replaying the log.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

use tokio::sync::broadcast;

use super::account::Accounts;
use super::backend::{Digest, Sequence, Store};
use super::catalogue::Catalogue;
use super::commit::Ticket;
use super::entry::{Entry, decode, encode};
use super::keys::{Key, Space};
use super::layer::Layer;
use super::points::{Points, Score, Terms};
use super::seal::{Sealer, remove_dropped};
use super::sled::SledStore;
use super::{StoreError, lock, write};
use crate::config::{Limits, Slot};

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

/// The store. Clones share it; it is closed when the last is dropped.
#[derive(Clone)]
pub struct Database {
    // Dropped before what it waits for is.
    _closer: Arc<Closer>,
    pub(super) inner: Arc<Inner>,
    folder: Option<Arc<Path>>,
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
    pub queue: Mutex<Vec<Arc<Ticket>>>,
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
    pub finished: broadcast::Sender<Slot>,
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
    /// What tenants have of what their quotas bound.
    pub accounts: Accounts,
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
        let database = Self::over(Arc::new(SledStore::open(dir, limits.store_cache_bytes)?), limits)?;
        Ok(Self { folder: Some(Arc::from(dir)), ..database })
    }

    /// Says why it accepts no writes, if it does not: an earlier one failed, or the disk is nearly
    /// full.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        self.inner.check_writable()
    }

    /// The folder that it is in; `None`: it is in memory.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// A store that is forgotten when it is dropped.
    pub fn in_memory(limits: &Limits) -> Result<Self, StoreError> {
        Self::over(Arc::new(super::MemoryStore::default()), limits)
    }

    /// Opens the store that an engine holds. An engine belongs to one database at a time.
    pub fn over(store: Arc<dyn Store>, limits: &Limits) -> Result<Self, StoreError> {
        remove_dropped(&*store)?;
        let mut state = State { catalogue: Catalogue::load(&*store)?, ..State::default() };
        let number = |value: Option<&Vec<u8>>| value.map_or(Ok(0), |value| decode::<u64>("its head", value));
        let sealed = store.get(&sealed_key())?;
        state.sequence = number(sealed.as_ref())?;
        let next = u32::try_from(number(store.get(&next_batch_key())?.as_ref())?).unwrap_or(u32::MAX);
        state.catalogue.next = state.catalogue.next.max(next);
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
            sealing: Mutex::new(Sealer { sealed, ..Sealer::default() }),
            sealer: Mutex::default(),
            relaxed: AtomicBool::new(false),
            stopped: Mutex::default(),
            fresh_blobs: Mutex::default(),
            finished: broadcast::Sender::new(LISTENER_BACKLOG),
        };
        let inner = Arc::new(inner);
        Ok(Self { _closer: Arc::new(Closer(inner.clone())), inner, folder: None })
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
}

impl Inner {
    /// Refuses if an earlier write has failed.
    pub fn check_running(&self) -> Result<(), StoreError> {
        match &*lock(&self.stopped) {
            Some(cause) => Err(StoreError::Stopped { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// Refuses also while the disk is nearly full.
    pub fn check_writable(&self) -> Result<(), StoreError> {
        self.check_running()?;
        self.store.check_room(self.limits.disk_reserve_bytes)
    }

    /// Accepts nothing more, since what is on disk is no longer known.
    pub fn stop(&self, error: &StoreError) {
        lock(&self.stopped).get_or_insert_with(|| error.to_string());
    }

    pub fn durable(&self) -> bool {
        !self.relaxed.load(Ordering::SeqCst)
    }

    pub fn sync_log(&self, _writer: &Writer) -> Result<(), StoreError> {
        self.check_running()?;
        self.store.sync_log().inspect_err(|e| self.stop(e))
    }

    /// Writes one record and applies it. The writer is locked, so that nothing comes between
    /// what the record was made from and the record.
    pub fn write_entry(&self, _writer: &mut Writer, entry: Entry) -> Result<Sequence, StoreError> {
        self.check_writable()?;
        let record = encode(&entry)?;
        let sequence = self.store.append(&record).inspect_err(|e| self.stop(e))?;
        if self.durable() {
            self.store.sync_log().inspect_err(|e| self.stop(e))?;
        }
        write(&self.state).apply(entry, Outcome::default(), sequence, record.len())?;
        Ok(sequence)
    }
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
