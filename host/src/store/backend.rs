//! The small interface that a storage engine has to fulfil: keys in order, a log, blobs.
//!
//! An engine knows bytes only. What it guarantees, and what [`conformance`](super::conformance)
//! holds every engine to:
//! * `commit` is atomic: readers and a restart see all of its changes or none;
//! * sequences of the log ascend by one and are never given twice, also after `trim`;
//! * what was there when `sync_log` or `sync_values` returned is there after a crash;
//! * after a crash, the log holds a prefix of what was appended: nothing torn, no holes;
//! * a blob is found under the SHA-256 of its bytes, whole or not at all.
//!
//! It does not promise that log and values are in step: the layer above replays the log.

use std::fmt;
use std::ops::Range;
use std::sync::mpsc;

use super::StoreError;

/// The place of a record in the log; the first is 1.
pub type Sequence = u64;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Changes that are made together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Keys with their new value; `None` removes. A key that stands twice takes its last.
    pub writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// What must hold before anything is written: a key has this value, or is absent.
    pub expect: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Changes {
    /// Sets a key.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes.push((key, Some(value)));
    }

    /// Removes a key.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.writes.push((key, None));
    }
}

/// A storage engine.
pub trait Store: Send + Sync + fmt::Debug {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The values of many keys, in their order.
    fn multi_get(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    /// The first `limit` keys that begin with `prefix` and are not less than `from`, in
    /// order, with their values. One call sees no half of a commit.
    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError>;

    /// Makes all changes or none; [`StoreError::Changed`] if an expectation does not hold.
    fn commit(&self, changes: &Changes) -> Result<(), StoreError>;

    /// Returns when everything committed before is durable.
    fn sync_values(&self) -> Result<(), StoreError>;

    /// [`StoreError::Low`] if the disk has less than so many bytes left.
    fn check_room(&self, reserve: u64) -> Result<(), StoreError>;

    /// Appends a record to the log.
    fn append(&self, record: &[u8]) -> Result<Sequence, StoreError>;

    /// The first `limit` records after a place in the log.
    fn tail(&self, after: Sequence, limit: usize) -> Result<Vec<(Sequence, Vec<u8>)>, StoreError>;

    /// Drops the log up to and with a place.
    fn trim(&self, upto: Sequence) -> Result<(), StoreError>;

    /// Returns when everything appended before is durable.
    fn sync_log(&self) -> Result<(), StoreError>;

    /// Keeps bytes under their hash; durable when it returns, if so asked.
    fn put_blob(&self, bytes: &[u8], durable: bool) -> Result<Digest, StoreError>;

    /// A part of a blob; `None` if there is no such blob, or it is shorter.
    fn get_blob(&self, digest: &Digest, part: Range<u64>) -> Result<Option<Vec<u8>>, StoreError>;

    /// The whole of a blob, checked against its hash; `None` if there is none, or it has changed.
    fn read_blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError>;

    /// Forgets a blob; one that is not there is no error.
    fn delete_blob(&self, digest: &Digest) -> Result<(), StoreError>;

    /// All blobs, in no order.
    fn blobs(&self) -> Result<Vec<Digest>, StoreError>;

    /// Hears of each append from now on. A receiver that does not keep up misses some,
    /// and finds them with `tail`.
    fn subscribe(&self) -> mpsc::Receiver<Sequence>;
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Digest(#[serde(with = "serde_bytes")] pub [u8; 32]);

impl Digest {
    /// The hash of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Reads what `Display` writes.
    pub fn parse(hex: &str) -> Option<Self> {
        let mut digest = [0; 32];
        if hex.len() != 64 || !hex.is_ascii() {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(digest))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Those who listen to the log of an engine.
#[derive(Debug, Default)]
pub(super) struct Listeners(std::sync::Mutex<Vec<mpsc::SyncSender<Sequence>>>);

impl Listeners {
    const BACKLOG: usize = 1024;

    pub(super) fn add(&self) -> mpsc::Receiver<Sequence> {
        let (sender, receiver) = mpsc::sync_channel(Self::BACKLOG);
        super::lock(&self.0).push(sender);
        receiver
    }

    pub(super) fn tell(&self, sequence: Sequence) {
        super::lock(&self.0)
            .retain(|sender| !matches!(sender.try_send(sequence), Err(mpsc::TrySendError::Disconnected(_))));
    }
}
