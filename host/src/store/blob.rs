//! Blobs as files, named by the SHA-256 of their bytes.
//!
//! A file is written under another name, synced, and renamed, so that a name in the folder
//! means whole contents.

use std::fs::{self, File};
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::StoreError;
use super::backend::Digest;

/// A folder of blobs.
#[derive(Debug)]
pub(super) struct BlobFolder {
    dir: PathBuf,
    written: AtomicU64,
}

impl BlobFolder {
    /// Opens or creates the folder, and removes what an interrupted write left.
    pub(super) fn open(dir: PathBuf) -> Result<Self, StoreError> {
        fs::create_dir_all(&dir).map_err(|e| StoreError::io("creating", &dir, &e))?;
        let folder = Self { dir, written: AtomicU64::new(0) };
        for path in folder.list()?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "partial")) {
            fs::remove_file(&path).map_err(|e| StoreError::io("removing", &path, &e))?;
        }
        Ok(folder)
    }

    fn list(&self) -> Result<Vec<PathBuf>, StoreError> {
        let failed = |e| StoreError::io("reading", &self.dir, &e);
        fs::read_dir(&self.dir).map_err(failed)?.map(|entry| Ok(entry.map_err(failed)?.path())).collect()
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }

    pub(super) fn put(&self, bytes: &[u8], durable: bool) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        // One that was written without a sync, by an earlier call that did not ask, must not pass.
        if !durable && path.exists() {
            return Ok(digest);
        }
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let partial = self.dir.join(format!("{digest}-{number}.partial"));
        let written = write(&partial, bytes, durable).and_then(|()| fs::rename(&partial, &path));
        if let Err(e) = written {
            // The first failure is the one to tell.
            let _ = fs::remove_file(&partial);
            return Err(StoreError::io("writing", &path, &e));
        }
        if durable {
            sync_dir(&self.dir)?;
        }
        Ok(digest)
    }

    pub(super) fn get(&self, digest: &Digest, part: Range<u64>) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(digest);
        let file = match File::open(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|e| StoreError::io("opening", &path, &e))?,
        };
        let length = file.metadata().map_err(|e| StoreError::io("reading", &path, &e))?.len();
        let (true, Some(wanted)) = (part.end <= length, part.end.checked_sub(part.start)) else { return Ok(None) };
        let Ok(wanted) = usize::try_from(wanted) else { return Ok(None) };
        let mut bytes = vec![0; wanted];
        file.read_exact_at(&mut bytes, part.start).map_err(|e| StoreError::io("reading", &path, &e))?;
        Ok(Some(bytes))
    }

    pub(super) fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(digest);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes).filter(|bytes| Digest::of(bytes) == *digest)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StoreError::io("reading", &path, &e)),
        }
    }

    pub(super) fn delete(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("removing", &path, &e)),
            _ => Ok(()),
        }
    }

    pub(super) fn all(&self) -> Result<Vec<Digest>, StoreError> {
        let names = self.list()?.into_iter();
        Ok(names.filter_map(|path| Digest::parse(path.file_name()?.to_str()?)).collect())
    }
}

fn write(path: &Path, bytes: &[u8], durable: bool) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    if durable { file.sync_all() } else { Ok(()) }
}

/// Makes names in a folder durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| StoreError::io("syncing", dir, &e))
}
