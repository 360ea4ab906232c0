//! What stands in the log: each record is one commit, whole.
//!
//! A record says everything that was decided when it was made, numbers of new series
//! included, so that replaying it asks nothing and comes out the same, however much of it
//! had already reached the values.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::StoreError;
use super::backend::Digest;
use super::points::Packed;
use super::record::{AlertRecord, Decision, Delivery, DocumentWrite, RunRecord};
use super::window::Windows;
use crate::config::BatchKey;
use crate::series::{Kind, Labels, Millis};

/// A record of the log.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Entry {
    /// The outcome of a run.
    Commit(Box<CommitEntry>),
    /// A plugin's key: its value, or its removal.
    Kv(KvEntry),
    /// Documents of a tenant that no run wrote.
    Documents(DocumentsEntry),
    /// The end of what a batch has from before an instant.
    Clear(ClearEntry),
    /// The end of a batch.
    Drop(DropEntry),
    /// The end of a tenant.
    DropTenant(DropTenantEntry),
}

/// The outcome of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CommitEntry {
    pub batch: u32,
    pub run: RunRecord,
    /// Series that are new or changed.
    pub series: Vec<SeriesEntry>,
    pub values: Packed,
    pub scores: Packed,
    pub terms: Packed,
    pub models: Vec<ModelEntry>,
    pub alerts: Vec<AlertRecord>,
    pub watched: Vec<(u32, ByteBuf)>,
    pub deliveries: Vec<Delivery>,
    pub decisions: Vec<(u32, Decision)>,
    pub documents: Vec<DocumentWrite>,
}

/// A series of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SeriesEntry {
    pub id: u32,
    pub labels: Labels,
    pub name: String,
    pub kind: Kind,
}

/// A model, or where it lies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ModelEntry {
    pub series: u32,
    pub tag: String,
    pub plugin: String,
    pub plugin_digest: String,
    pub config_digest: String,
    pub slot: Millis,
    pub data: (Millis, Millis),
    pub left_out: usize,
    pub facts: Vec<(String, String)>,
    pub digest: Digest,
    /// How many bytes scoring reads.
    pub head: u64,
    /// Of these bytes. They are read for each new point, and checked against damage of the disk, not
    /// against somebody who writes our files: a SHA-256 of them would take longer than scoring does.
    pub head_crc32: u32,
    pub body: Body,
}

/// The bytes of a model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Body {
    /// Here.
    Inline(ByteBuf),
    /// In a blob, among the other models of the same run.
    Blob { blob: Digest, start: u64, length: u64 },
}

/// A plugin's key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KvEntry {
    pub tenant: String,
    pub plugin: String,
    pub key: String,
    pub value: Option<ByteBuf>,
}

/// Documents of a tenant that no run wrote.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DocumentsEntry {
    pub tenant: String,
    pub documents: Vec<DocumentWrite>,
}

/// The end of what a batch has from before an instant.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ClearEntry {
    pub batch: u32,
    pub before: Millis,
    /// Alerts and deliveries that go too.
    pub removed: Vec<ByteBuf>,
    /// What is left of the series that change.
    pub tails: Vec<(u32, TailEntry)>,
}

/// The end of a batch. Its number is told, since by the time of a replay the name may
/// belong to another.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DropEntry {
    pub key: BatchKey,
    pub batch: u32,
}

/// The end of a tenant, with all that it has.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DropTenantEntry {
    pub batches: Vec<DropEntry>,
    /// What its plugins and its people keep, and the tenant itself.
    pub removed: Vec<ByteBuf>,
}

/// Where a series begins and ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct TailEntry {
    /// The instants of its first and last value.
    pub span: Option<(Millis, Millis)>,
    /// Its last value.
    pub last: f64,
    /// The instants of its first and last score; after a deletion the first may be later.
    pub scored: Option<(Millis, Millis)>,
}

/// Widens a span by another.
pub(super) fn widened(span: Option<(Millis, Millis)>, (first, last): (Millis, Millis)) -> Option<(Millis, Millis)> {
    Some(span.map_or((first, last), |(a, b)| (a.min(first), b.max(last))))
}

/// A batch: its name, and how its points are cut.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BatchEntry {
    pub id: u32,
    pub key: BatchKey,
    pub windows: Windows,
}

/// The form of records; the first byte of each.
const VERSION: u8 = 3;

/// A record as bytes: field names are kept, so that a later version can add fields.
pub(super) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write_named(&mut bytes, record)
        .map_err(|e| StoreError::Invalid(format!("a record cannot be written: {e}")))?;
    Ok(bytes)
}

/// Reads what [`encode`] wrote; `place` is for the error.
pub(super) fn decode<T: DeserializeOwned>(place: &str, bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, record)) => rmp_serde::from_slice(record).map_err(|e| StoreError::damaged(place, e)),
        Some((version, _)) => Err(StoreError::damaged(place, format!("a record has the unknown form {version}"))),
        None => Err(StoreError::damaged(place, "a record is empty")),
    }
}
