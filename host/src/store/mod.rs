//! What anomd keeps: series and their points, models, runs, alerts and deliveries.
//!
//! One [`Commit`] is the whole outcome of one run and is atomic: after a crash all of it
//! is there or none. Everything in it is idempotent, so that a run that is done twice is
//! done once. Calls block; they are short.
//!
//! **The log record is the commit.** It is appended and synced, then applied to a layer in
//! memory; when the layer has grown, it is *sealed*: its points go into compressed blocks
//! and its records under their keys, and then the log is trimmed. A start replays the log
//! over what is sealed. Nothing but a sealing writes values, so that values and log never
//! have to be changed together, and a sealing that is cut short is simply done again.
//!
//! What is not kept: samples whose value is NaN, which is how a missing one is spelled, and
//! scores that are NaN.

mod account;
mod apply;
mod backend;
mod backup;
pub mod bench;
mod blob;
mod blocks;
mod catalogue;
mod chunk;
mod commit;
mod database;
mod directory;
mod document;
mod dump;
mod entry;
mod error;
mod export;
mod instance;
mod keys;
mod kv;
mod layer;
mod memory;
mod model;
mod points;
mod read;
mod record;
mod retain;
mod seal;
mod sled;
mod tally;
mod tenant;
mod window;

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use backend::{Changes, Digest, Pair, Sequence, Store};
pub use backup::Beside;
pub use commit::Committed;
pub use database::{Database, Durability};
pub use error::StoreError;
pub use export::{Export, ExportFilter, ExportFormat, MetricType};
pub use memory::MemoryStore;
pub use read::{AlertFilter, DeliveryFilter, RunFilter};
pub use record::{
    AlertRecord, Attempt, Column, Commit, Decision, Delivery, DocumentKind, DocumentWrite, FitRecord, ModelMetadata,
    ModelRecord, ModelWrite, Peak, RunRecord, RunState, ScoreColumn, ScoreRow, SeriesId, SeriesRecord,
};
pub use retain::Deleted;
pub use sled::SledStore;
pub use tally::Tally;

/// The format of the directory; a version of anomd reads those up to its own.
const FORMAT: u32 = 1;

/// Keys that are read from an engine at once.
const SCAN_KEYS: usize = 512;

// A panic while a lock is held is a fault of ours; what it guards is changed in steps that
// leave it sound, so that going on is better than falling with it.

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
