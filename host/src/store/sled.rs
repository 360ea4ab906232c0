//! The storage engine on sled 0.34.
//!
//! Two instances: `store/` for the values and `wal/` for the log, which alone churns, so
//! that sled's garbage stays small. What sled does not give is added here:
//! * its `flush` writes but does not sync (it calls `sync_file_range`), so every sync is a
//!   flush and then `fdatasync` on the same file;
//! * pages over 128 KB go to files that it never syncs, so no value is over 7.5 KB: longer
//!   ones are split, with a checksum over the whole;
//! * its batches are atomic for one reader's key but not for a scan, so a gate keeps scans
//!   and commits apart;
//! * on damage it may panic, so every call is guarded and becomes a [`StoreError`].

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, RwLock, mpsc};

use super::backend::{Changes, Digest, Listeners, Pair, Sequence, Store};
use super::blob::{BlobFolder, sync_dir};
use super::directory::{Held, check_version, free_bytes};
use super::instance::Instance;
use super::{StoreError, lock, read, write};

/// The longest value that sled is given, but for a few bytes of our own.
const PART_BYTES: usize = 7_000;
/// Keys removed at once when the log is trimmed.
const TRIM_KEYS: usize = 64;

/// A storage engine in a directory: `store/`, `wal/`, `models/`, `lock`, `VERSION`.
#[derive(Debug)]
pub struct SledStore {
    values: Instance,
    log: Instance,
    blobs: BlobFolder,
    /// Held for writing while a commit is made, and for reading while several keys are read.
    gate: RwLock<()>,
    last: Mutex<Sequence>,
    listeners: Listeners,
    dir: PathBuf,
    // Dropped last: nobody may open the directory before sled has let go of it.
    _held: Held,
}

impl SledStore {
    /// Opens the store in `dir`, or creates it. `cache_bytes` bounds sled's page cache,
    /// which in practice takes up to twice what it is told.
    pub fn open(dir: &Path, cache_bytes: usize) -> Result<Self, StoreError> {
        let fresh = !dir.exists();
        fs::create_dir_all(dir).map_err(|e| StoreError::io("creating", dir, &e))?;
        let held = Held::take(dir)?;
        check_version(dir)?;
        let values = Instance::open(dir.join("store"), cache_bytes / 2)?;
        let log = Instance::open(dir.join("wal"), (cache_bytes / 8).min(16 << 20))?;
        let blobs = BlobFolder::open(dir.join("models"))?;
        sync_dir(dir)?;
        if let (true, Some(parent)) = (fresh, dir.parent().filter(|parent| !parent.as_os_str().is_empty())) {
            sync_dir(parent)?;
        }
        let last = recover_log(&log)?;
        Ok(Self {
            values,
            log,
            blobs,
            gate: RwLock::default(),
            last: Mutex::new(last),
            listeners: Listeners::default(),
            dir: dir.to_owned(),
            _held: held,
        })
    }
}

// How a value lies in sled: `0 key` holds `0 value`, or for a long one `1 parts checksum`,
// with the parts under `1 length-of-key key number`.
const PRIMARY: u8 = 0;
const OVERFLOW: u8 = 1;
const INLINE: u8 = 0;
const SPLIT: u8 = 1;

fn primary(key: &[u8]) -> Vec<u8> {
    [&[PRIMARY], key].concat()
}

fn overflow(key: &[u8], part: u32) -> Vec<u8> {
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[OVERFLOW], length.as_slice(), key, part.to_be_bytes().as_slice()].concat()
}

fn split_head(parts: u32, bytes: &[u8]) -> [u8; 8] {
    let mut head = [0; 8];
    let (count, sum) = head.split_at_mut(4);
    count.copy_from_slice(&parts.to_be_bytes());
    sum.copy_from_slice(&crc32fast::hash(bytes).to_be_bytes());
    head
}

fn read_split_head(head: &[u8]) -> Option<(u32, u32)> {
    let (count, sum) = head.split_at_checked(4)?;
    Some((u32::from_be_bytes(count.try_into().ok()?), u32::from_be_bytes(sum.get(..4)?.try_into().ok()?)))
}

/// In how many parts the value lies that a primary entry speaks of.
fn overflow_parts(entry: Option<&[u8]>) -> u32 {
    match entry.and_then(<[u8]>::split_first) {
        Some((&SPLIT, head)) => read_split_head(head).map_or(0, |(parts, _)| parts),
        _ => 0,
    }
}

impl SledStore {
    /// The value that a primary entry speaks of. The gate is held.
    fn value_of(&self, key: &[u8], entry: &[u8]) -> Result<Vec<u8>, StoreError> {
        let damaged = |detail| StoreError::damaged(self.values.dir.display(), detail);
        match entry.split_first() {
            Some((&INLINE, value)) => Ok(value.to_vec()),
            Some((&SPLIT, head)) => {
                let (parts, sum) = read_split_head(head).ok_or_else(|| damaged("a long value has no head"))?;
                let mut value = Vec::new();
                for part in 0..parts {
                    let piece = self.values.guarded("reading", || self.values.db.get(overflow(key, part)))?;
                    value.extend_from_slice(&piece.ok_or_else(|| damaged("a part of a long value is missing"))?);
                }
                if crc32fast::hash(&value) == sum { Ok(value) } else { Err(damaged("a long value has changed")) }
            }
            _ => Err(damaged("a value is in no known form")),
        }
    }
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let _gate = read(&self.gate);
        let entry = self.values.guarded("reading", || self.values.db.get(primary(key)))?;
        entry.map(|entry| self.value_of(key, &entry)).transpose()
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        let _gate = read(&self.gate);
        let entries: Vec<_> = self.values.guarded("reading", || {
            let entries = self.values.db.range(primary(prefix.max(from))..);
            let within = entries.take_while(|entry| match entry {
                Ok((key, _)) => key.strip_prefix(&[PRIMARY]).is_some_and(|key| key.starts_with(prefix)),
                Err(_) => true,
            });
            within.take(limit).collect::<sled::Result<_>>()
        })?;
        let pair = |(key, entry): (sled::IVec, sled::IVec)| {
            let key = key.get(1..).unwrap_or_default().to_vec();
            let value = self.value_of(&key, &entry)?;
            Ok((key, value))
        };
        entries.into_iter().map(pair).collect()
    }

    fn commit(&self, changes: &Changes) -> Result<(), StoreError> {
        let _gate = write(&self.gate);
        let entry = |key: &[u8]| self.values.guarded("reading", || self.values.db.get(primary(key)));
        for (key, expected) in &changes.expect {
            let found = entry(key)?.map(|entry| self.value_of(key, &entry)).transpose()?;
            if found != *expected {
                return Err(StoreError::Changed);
            }
        }
        let last: BTreeMap<&[u8], Option<&[u8]>> =
            changes.writes.iter().map(|(key, value)| (key.as_slice(), value.as_deref())).collect();
        let mut batch = sled::Batch::default();
        for (key, value) in last {
            let before = overflow_parts(entry(key)?.as_deref());
            let mut parts = 0;
            match value {
                None => batch.remove(primary(key)),
                Some(value) if value.len() <= PART_BYTES => batch.insert(primary(key), [&[INLINE], value].concat()),
                Some(value) => {
                    for piece in value.chunks(PART_BYTES) {
                        batch.insert(overflow(key, parts), piece);
                        parts += 1;
                    }
                    batch.insert(primary(key), [&[SPLIT], split_head(parts, value).as_slice()].concat());
                }
            }
            for part in parts..before {
                batch.remove(overflow(key, part));
            }
        }
        self.values.guarded("writing", || self.values.db.apply_batch(batch))
    }

    fn sync_values(&self) -> Result<(), StoreError> {
        self.values.sync()
    }

    fn check_room(&self, reserve: u64) -> Result<(), StoreError> {
        let free = free_bytes(&self.dir)?;
        if free < reserve { Err(StoreError::Low { dir: self.dir.clone(), free, reserve }) } else { Ok(()) }
    }

    fn append(&self, record: &[u8]) -> Result<Sequence, StoreError> {
        let mut last = lock(&self.last);
        let sequence = *last + 1;
        let mut batch = sled::Batch::default();
        let parts = u32::try_from(record.chunks(PART_BYTES).count().max(1)).unwrap_or(u32::MAX);
        for (part, piece) in (0..parts).zip(record.chunks(PART_BYTES).chain(record.is_empty().then_some(record))) {
            match part {
                0 => batch.insert(log_key(sequence, 0), [split_head(parts, record).as_slice(), piece].concat()),
                _ => batch.insert(log_key(sequence, part), piece),
            }
        }
        self.log.guarded("writing", || self.log.db.apply_batch(batch))?;
        *last = sequence;
        drop(last);
        self.listeners.tell(sequence);
        Ok(sequence)
    }

    fn tail(&self, after: Sequence, limit: usize) -> Result<Vec<(Sequence, Vec<u8>)>, StoreError> {
        // A record that is still being appended must not be seen in part.
        let last = lock(&self.last);
        let after = after.max(trimmed(&self.log)?);
        let mut records = Vec::new();
        let mut entries = self.log.db.range(log_key(after.saturating_add(1), 0)..log_key(*last, u32::MAX));
        while records.len() < limit {
            let Some((key, head)) = self.log.guarded("reading", || entries.next().transpose())? else { break };
            let damaged = |sequence, detail| {
                StoreError::damaged(self.log.dir.display(), format!("record {sequence} of the log {detail}"))
            };
            let (sequence, part) = read_log_key(&key).ok_or_else(|| damaged(0, "has no number"))?;
            let (count, sum) = match (part, read_split_head(&head)) {
                (0, Some(head)) => head,
                _ => return Err(damaged(sequence, "has no head")),
            };
            let mut record = head.get(8..).unwrap_or_default().to_vec();
            for part in 1..count {
                match self.log.guarded("reading", || entries.next().transpose())? {
                    Some((key, piece)) if read_log_key(&key) == Some((sequence, part)) => {
                        record.extend_from_slice(&piece)
                    }
                    _ => return Err(damaged(sequence, "is not whole")),
                }
            }
            if crc32fast::hash(&record) != sum {
                return Err(damaged(sequence, "has changed"));
            }
            records.push((sequence, record));
        }
        Ok(records)
    }

    fn trim(&self, upto: Sequence) -> Result<(), StoreError> {
        // The mark never goes back: it is where a new start counts on from.
        let upto = upto.min(*lock(&self.last)).max(trimmed(&self.log)?);
        let mut batch = sled::Batch::default();
        batch.insert(TRIMMED, upto.to_be_bytes().as_slice());
        self.log.guarded("writing", || self.log.db.apply_batch(batch))?;
        // From here on the records are not seen; a new start removes what is left of them.
        remove_trimmed(&self.log, upto)
    }

    fn sync_log(&self) -> Result<(), StoreError> {
        self.log.sync()
    }

    fn put_blob(&self, bytes: &[u8], durable: bool) -> Result<Digest, StoreError> {
        self.blobs.put(bytes, durable)
    }

    fn get_blob(&self, digest: &Digest, part: Range<u64>) -> Result<Option<Vec<u8>>, StoreError> {
        self.blobs.get(digest, part)
    }

    fn read_blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.blobs.read(digest)
    }

    fn delete_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        self.blobs.delete(digest)
    }

    fn blobs(&self) -> Result<Vec<Digest>, StoreError> {
        self.blobs.all()
    }

    fn subscribe(&self) -> mpsc::Receiver<Sequence> {
        self.listeners.add()
    }
}

// How the log lies in sled: `w sequence part`, the first part behind a head as above, and
// under `t` up to where it was trimmed.
const TRIMMED: &[u8] = b"t";
const RECORDS: u8 = b'w';

fn log_key(sequence: Sequence, part: u32) -> Vec<u8> {
    [&[RECORDS], sequence.to_be_bytes().as_slice(), part.to_be_bytes().as_slice()].concat()
}

fn read_log_key(key: &[u8]) -> Option<(Sequence, u32)> {
    let (sequence, part) = key.strip_prefix(&[RECORDS])?.split_at_checked(8)?;
    Some((Sequence::from_be_bytes(sequence.try_into().ok()?), u32::from_be_bytes(part.try_into().ok()?)))
}

fn trimmed(log: &Instance) -> Result<Sequence, StoreError> {
    let entry = log.guarded("reading", || log.db.get(TRIMMED))?;
    let number = entry.map(|entry| entry.as_ref().try_into().map(Sequence::from_be_bytes)).transpose();
    Ok(number.map_err(|_| StoreError::damaged(log.dir.display(), "its trim mark is no number"))?.unwrap_or(0))
}

fn remove_trimmed(log: &Instance, upto: Sequence) -> Result<(), StoreError> {
    loop {
        let keys: Vec<_> = log.guarded("reading", || {
            let entries = log.db.range(log_key(0, 0)..log_key(upto.saturating_add(1), 0));
            entries.keys().take(TRIM_KEYS).collect::<sled::Result<_>>()
        })?;
        if keys.is_empty() {
            return Ok(());
        }
        let mut batch = sled::Batch::default();
        keys.into_iter().for_each(|key| batch.remove(key));
        log.guarded("writing", || log.db.apply_batch(batch))?;
    }
}

/// Finishes an interrupted trim, and finds the last sequence that was given.
fn recover_log(log: &Instance) -> Result<Sequence, StoreError> {
    let upto = trimmed(log)?;
    remove_trimmed(log, upto)?;
    let entry = log.guarded("reading", || log.db.range([RECORDS]..[RECORDS + 1]).next_back().transpose())?;
    let last = entry.and_then(|(key, _)| read_log_key(&key)).map_or(0, |(sequence, _)| sequence);
    Ok(last.max(upto))
}
