//! The storage engine in memory: the model that other engines are tested against, and a
//! store for tests and trials. Nothing outlives the process.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Mutex, mpsc};

use super::backend::{Changes, Digest, Listeners, Pair, Sequence, Store};
use super::{StoreError, lock};

/// A storage engine that forgets everything when it is dropped.
#[derive(Debug, Default)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
    listeners: Listeners,
}

#[derive(Debug, Default)]
struct Kept {
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    log: BTreeMap<Sequence, Vec<u8>>,
    last: Sequence,
    blobs: BTreeMap<Digest, Vec<u8>>,
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(lock(&self.kept).values.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        let kept = lock(&self.kept);
        let pairs = kept.values.range::<[u8], _>((Bound::Included(prefix.max(from)), Bound::Unbounded));
        Ok(pairs
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn commit(&self, changes: &Changes) -> Result<(), StoreError> {
        let mut kept = lock(&self.kept);
        if changes.expect.iter().any(|(key, value)| kept.values.get(key) != value.as_ref()) {
            return Err(StoreError::Changed);
        }
        for (key, value) in &changes.writes {
            match value {
                Some(value) => kept.values.insert(key.clone(), value.clone()),
                None => kept.values.remove(key),
            };
        }
        Ok(())
    }

    fn sync_values(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn check_room(&self, _reserve: u64) -> Result<(), StoreError> {
        Ok(())
    }

    fn append(&self, record: &[u8]) -> Result<Sequence, StoreError> {
        let mut kept = lock(&self.kept);
        kept.last += 1;
        let sequence = kept.last;
        kept.log.insert(sequence, record.to_vec());
        drop(kept);
        self.listeners.tell(sequence);
        Ok(sequence)
    }

    fn tail(&self, after: Sequence, limit: usize) -> Result<Vec<(Sequence, Vec<u8>)>, StoreError> {
        let kept = lock(&self.kept);
        let records = kept.log.range((Bound::Excluded(after), Bound::Unbounded));
        Ok(records.take(limit).map(|(sequence, record)| (*sequence, record.clone())).collect())
    }

    fn trim(&self, upto: Sequence) -> Result<(), StoreError> {
        lock(&self.kept).log.retain(|sequence, _| *sequence > upto);
        Ok(())
    }

    fn sync_log(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn put_blob(&self, bytes: &[u8], _durable: bool) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        lock(&self.kept).blobs.insert(digest, bytes.to_vec());
        Ok(digest)
    }

    fn get_blob(&self, digest: &Digest, part: Range<u64>) -> Result<Option<Vec<u8>>, StoreError> {
        let (Ok(start), Ok(end)) = (usize::try_from(part.start), usize::try_from(part.end)) else { return Ok(None) };
        Ok(lock(&self.kept).blobs.get(digest).and_then(|bytes| bytes.get(start..end)).map(<[u8]>::to_vec))
    }

    fn read_blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(lock(&self.kept).blobs.get(digest).cloned())
    }

    fn delete_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        lock(&self.kept).blobs.remove(digest);
        Ok(())
    }

    fn blobs(&self) -> Result<Vec<Digest>, StoreError> {
        Ok(lock(&self.kept).blobs.keys().copied().collect())
    }

    fn subscribe(&self) -> mpsc::Receiver<Sequence> {
        self.listeners.add()
    }
}
