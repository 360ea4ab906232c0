//! One sled, held at arm's length: what it answers becomes a [`StoreError`], and so does a
//! panic in it.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use super::StoreError;
use super::blob::sync_dir;

/// How often and how long a lock is waited for that nobody can hold.
const LOCK_TRIES: u32 = 250;
const LOCK_WAIT: Duration = Duration::from_millis(20);

/// One sled, with a second handle to its file.
pub(super) struct Instance {
    pub dir: PathBuf,
    pub db: sled::Db,
    file: File,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sled in {}", self.dir.display())
    }
}

impl Instance {
    pub fn open(dir: PathBuf, cache_bytes: usize) -> Result<Self, StoreError> {
        let cache_bytes = u64::try_from(cache_bytes.max(1 << 20)).unwrap_or(u64::MAX);
        let config = sled::Config::new().path(&dir).cache_capacity(cache_bytes).flush_every_ms(None);
        let open = || {
            let mut tries = 0..LOCK_TRIES;
            loop {
                match guarded(&dir, "opening", || config.open()) {
                    // The directory is ours, so this lock of sled's own is about to go: a child
                    // that was just started had a copy of its file.
                    Err(StoreError::Io { detail, .. }) if detail.contains("acquire lock") && tries.next().is_some() => {
                        std::thread::sleep(LOCK_WAIT);
                    }
                    opened => return opened,
                }
            }
        };
        let db = match open() {
            Err(StoreError::Damaged { .. }) => {
                // A snapshot that was being written at a sudden stop; sled does without it.
                remove_unfinished_snapshots(&dir)?;
                open()?
            }
            opened => opened?,
        };
        let path = dir.join("db");
        let file = File::open(&path).map_err(|e| StoreError::io("opening", &path, &e))?;
        sync_dir(&dir)?;
        Ok(Self { dir, db, file })
    }

    pub fn guarded<T>(&self, doing: &str, call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
        guarded(&self.dir, doing, call)
    }

    pub fn sync(&self) -> Result<(), StoreError> {
        self.guarded("writing", || self.db.flush())?;
        self.file.sync_data().map_err(|e| StoreError::io("syncing", &self.dir, &e))
    }
}

fn remove_unfinished_snapshots(dir: &Path) -> Result<(), StoreError> {
    let entries = fs::read_dir(dir).map_err(|e| StoreError::io("reading", dir, &e))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_some_and(|e| e == "generating") {
            fs::remove_file(&path).map_err(|e| StoreError::io("removing", &path, &e))?;
        }
    }
    Ok(())
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Calls sled; a panic becomes an error, and the panic's message a line of the log instead
/// of a stack trace on the operator's terminal.
fn guarded<T>(dir: &Path, doing: &str, call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(
            move |info| {
                if GUARDED.get() { tracing::error!("sled: {info}") } else { previous(info) }
            },
        ));
    });
    GUARDED.set(true);
    let answer = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(false);
    match answer {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(e))) if e.kind() == ErrorKind::InvalidData || e.kind() == ErrorKind::UnexpectedEof => {
            Err(StoreError::damaged(dir.display(), e))
        }
        Ok(Err(sled::Error::Io(e))) => Err(StoreError::io(doing, dir, &e)),
        Ok(Err(sled::Error::Corruption { .. })) => {
            Err(StoreError::damaged(dir.display(), "a page has not the checksum it was written with"))
        }
        Ok(Err(e)) => Err(StoreError::damaged(dir.display(), e)),
        Err(_) => Err(StoreError::damaged(dir.display(), format!("{doing} it fails"))),
    }
}
