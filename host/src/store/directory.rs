//! The data directory: who has it open, and in which format it is.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

use super::{FORMAT, StoreError};

/// The lock of a directory, until it is dropped.
#[derive(Debug)]
pub(super) struct Held(File);

impl Held {
    /// Takes the lock file, or says who has it.
    pub fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("lock");
        let failed = |e: &std::io::Error| StoreError::io("locking", &path, e);
        let mut options = OpenOptions::new();
        let mut file =
            options.create(true).truncate(false).read(true).write(true).open(&path).map_err(|e| failed(&e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(StoreError::InUse { dir: dir.to_owned(), pid });
            }
            Err(TryLockError::Error(e)) => return Err(failed(&e)),
        }
        // On a full disk the number is lost, but not the lock: reads may still be wanted.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // To close it is not enough: a child that is just being started has a copy.
        let _ = self.0.unlock();
    }
}

/// What the disk of a directory has left, in bytes.
pub(super) fn free_bytes(dir: &Path) -> Result<u64, StoreError> {
    let disk = rustix::fs::statvfs(dir).map_err(|e| StoreError::io("asking for the free space of", dir, &e.into()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Checks the format before sled sees the directory, and notes it in a new one.
pub(super) fn check_version(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join("VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim().strip_prefix("anomd store ").and_then(|n| n.parse::<u32>().ok()) {
            Some(FORMAT) => Ok(()),
            Some(found) if found > FORMAT => Err(StoreError::Newer { dir: dir.to_owned(), found, known: FORMAT }),
            _ => Err(StoreError::damaged(path.display(), "it does not name a format of anomd's store")),
        },
        Err(e) if e.kind() == ErrorKind::NotFound && !dir.join("store").exists() => {
            let write = || {
                let mut file = File::create(&path)?;
                writeln!(file, "anomd store {FORMAT}")?;
                file.sync_all()
            };
            write().map_err(|e| StoreError::io("writing", &path, &e))
        }
        Err(e) => Err(StoreError::io("reading", &path, &e)),
    }
}
