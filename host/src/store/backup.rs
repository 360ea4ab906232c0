//! Backup into one file, and restore from it.
//!
//! A backup is taken while the store runs: values, which only a sealing writes, are held
//! still, and the log is copied up to the last commit when they are through. The file does
//! not depend on the engine. Every frame of it has a checksum, it ends with a frame that
//! counts them, and it gets its name when it is whole and on disk. Files that lie beside the store
//! and belong to what it holds, as installed components do, go with it by their names.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Component, Path, PathBuf};

use super::backend::{Changes, Store};
use super::catalogue::for_each;
use super::database::{Database, sealed_key};
use super::{FORMAT, SledStore, StoreError, lock, read};
use crate::config::Limits;

const MAGIC: &str = "anomd backup ";
/// Values that are written back at once.
const RESTORE_VALUES: usize = 256;
/// Records of the log that are copied at once.
const COPY_RECORDS: usize = 64;
/// Frames are no longer than this; a length beyond it is damage, and not believed.
const FRAME_BYTES: u32 = 1 << 30;

const VALUE: u8 = b'v';
const RECORD: u8 = b'l';
const BLOB: u8 = b'b';
const FILE: u8 = b'f';
const END: u8 = b'e';

/// Files that lie beside a store in its folder and go with its backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// The folder of the store.
    pub folder: PathBuf,
    /// Their names, from there.
    pub files: Vec<PathBuf>,
}

impl Database {
    /// Writes everything that is committed, and the files beside it, into one new file. Commits go on
    /// meanwhile; the files have to stay as they are.
    pub fn backup(&self, beside: &Beside, to: &Path) -> Result<(), StoreError> {
        if to.exists() {
            return Err(StoreError::Io {
                doing: format!("writing a backup to {}", to.display()),
                detail: "it exists, and a backup never replaces anything".to_owned(),
            });
        }
        let partial = sibling(to);
        let written = self.write_backup(beside, &partial).and_then(|()| {
            fs::rename(&partial, to).map_err(|e| StoreError::io("naming", to, &e))?;
            super::blob::sync_dir(parent(to))
        });
        if written.is_err() {
            // The first failure is the one to tell.
            let _ = fs::remove_file(&partial);
        }
        written
    }

    fn write_backup(&self, beside: &Beside, path: &Path) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let store = &*inner.store;
        let file = File::create(path).map_err(|e| StoreError::io("creating", path, &e))?;
        let mut frames = FrameWriter { sink: BufWriter::new(file), path, count: 0 };
        frames.raw(format!("{MAGIC}{FORMAT}\n").as_bytes())?;

        for name in &beside.files {
            let (from, name) = (beside.folder.join(name), name.to_string_lossy());
            let bytes = fs::read(&from).map_err(|e| StoreError::io("reading", &from, &e))?;
            frames.write(FILE, &[&length(name.as_bytes()), name.as_bytes(), &bytes])?;
        }
        let _still = lock(&inner.sealing);
        for_each(store, &[], |key, value| {
            // Where the log begins is told anew where it is restored.
            if key == sealed_key() { Ok(()) } else { frames.write(VALUE, &[&length(key), key, value]) }
        })?;
        let last = read(&inner.state).sequence;
        let mut done = 0;
        loop {
            let records = store.tail(done, COPY_RECORDS)?;
            for (sequence, record) in &records {
                if *sequence <= last {
                    frames.write(RECORD, &[record])?;
                }
                done = *sequence;
            }
            if records.is_empty() || done >= last {
                break;
            }
        }
        // All that records and values refer to, since none is removed while values are still.
        for digest in store.blobs()? {
            let bytes = store.read_blob(&digest)?;
            if let Some(bytes) = bytes {
                frames.write(BLOB, &[&digest.0, &bytes])?;
            }
        }
        frames.write(END, &[&frames.count.to_be_bytes()])?;
        let file = frames.sink.into_inner().map_err(|e| StoreError::io("writing", path, e.error()))?;
        file.sync_all().map_err(|e| StoreError::io("syncing", path, &e))
    }

    /// Makes a data directory of a backup. `into` must not exist, or be empty; it gets its
    /// name when everything is there, is on disk, and could be opened.
    pub fn restore(from: &Path, into: &Path) -> Result<(), StoreError> {
        if into.exists() && fs::read_dir(into).map_err(|e| StoreError::io("reading", into, &e))?.next().is_some() {
            return Err(StoreError::NotEmpty { dir: into.to_owned() });
        }
        let partial = sibling(into);
        let restored = read_backup(from, &partial).and_then(|()| {
            fs::rename(&partial, into).map_err(|e| StoreError::io("naming", into, &e))?;
            super::blob::sync_dir(parent(into))
        });
        if restored.is_err() {
            // The first failure is the one to tell.
            let _ = fs::remove_dir_all(&partial);
        }
        restored
    }
}

fn read_backup(from: &Path, into: &Path) -> Result<(), StoreError> {
    let file = File::open(from).map_err(|e| StoreError::io("opening", from, &e))?;
    let mut frames = FrameReader { source: BufReader::new(file), path: from, count: 0 };
    frames.head()?;
    let limits = Limits::default();
    let store = std::sync::Arc::new(SledStore::open(into, limits.store_cache_bytes)?);
    let mut changes = Changes::default();
    loop {
        let (kind, payload) = frames.next()?;
        if kind != VALUE || changes.writes.len() >= RESTORE_VALUES {
            store.commit(&std::mem::take(&mut changes))?;
        }
        match kind {
            VALUE => {
                let (key, value) = split_pair(&payload).ok_or_else(|| frames.damaged("a value has no key"))?;
                changes.put(key.to_vec(), value.to_vec());
            }
            RECORD => drop(store.append(&payload)?),
            BLOB => {
                let (digest, bytes) = payload.split_at_checked(32).ok_or_else(|| frames.damaged("a blob is cut"))?;
                if store.put_blob(bytes, true)?.0 != digest {
                    return Err(frames.damaged("a blob has changed"));
                }
            }
            FILE => {
                let (name, bytes) = split_pair(&payload).ok_or_else(|| frames.damaged("a file has no name"))?;
                let name = below(name).ok_or_else(|| frames.damaged("a file would lie outside of the folder"))?;
                put_file(&into.join(name), bytes)?;
            }
            END if payload == (frames.count - 1).to_be_bytes() => break,
            END => return Err(frames.damaged("some of it is missing")),
            _ => return Err(frames.damaged("it has a part of an unknown kind")),
        }
    }
    store.sync_values()?;
    store.sync_log()?;
    Database::over(store, &limits).map(drop)
}

/// A name that leads nowhere but further down.
fn below(name: &[u8]) -> Option<&Path> {
    let name = Path::new(str::from_utf8(name).ok()?);
    let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && name.file_name().is_some()).then_some(name)
}

fn put_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = parent(path);
    fs::create_dir_all(folder).map_err(|e| StoreError::io("creating", folder, &e))?;
    let written = File::create_new(path).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|e| StoreError::io("writing", path, &e))?;
    super::blob::sync_dir(folder)
}

/// Beside a path, where what is not whole yet is written.
fn sibling(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}

fn split_pair(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = payload.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// Frames: a kind, a length, that many bytes, and the CRC-32 of all that.
struct FrameWriter<'a> {
    sink: BufWriter<File>,
    path: &'a Path,
    count: u64,
}

impl FrameWriter<'_> {
    fn raw(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.sink.write_all(bytes).map_err(|e| StoreError::io("writing", self.path, &e))
    }

    fn write(&mut self, kind: u8, parts: &[&[u8]]) -> Result<(), StoreError> {
        let total = u32::try_from(parts.iter().map(|part| part.len()).sum::<usize>()).unwrap_or(u32::MAX);
        if total > FRAME_BYTES {
            return Err(StoreError::Invalid(format!("a part of a backup of {total} bytes")));
        }
        let mut sum = crc32fast::Hasher::new();
        let head = [[kind].as_slice(), &total.to_be_bytes()].concat();
        for part in [head.as_slice()].iter().chain(parts) {
            sum.update(part);
            self.raw(part)?;
        }
        self.raw(&sum.finalize().to_be_bytes())?;
        self.count += 1;
        Ok(())
    }
}

struct FrameReader<'a> {
    source: BufReader<File>,
    path: &'a Path,
    count: u64,
}

impl FrameReader<'_> {
    fn damaged(&self, detail: &str) -> StoreError {
        StoreError::Damaged { place: format!("the backup {}", self.path.display()), detail: detail.to_owned() }
    }

    fn fill<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes).map_err(|e| self.cut(&e))?;
        Ok(bytes)
    }

    fn cut(&self, error: &std::io::Error) -> StoreError {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.damaged("it is cut short"),
            _ => StoreError::io("reading", self.path, error),
        }
    }

    fn head(&mut self) -> Result<(), StoreError> {
        let mut head = Vec::new();
        let mut byte = [0];
        while head.len() < 64 && byte != *b"\n" {
            byte = self.fill()?;
            head.extend(byte);
        }
        let text = String::from_utf8_lossy(&head);
        match text.trim_end().strip_prefix(MAGIC).and_then(|format| format.parse::<u32>().ok()) {
            Some(FORMAT) => Ok(()),
            Some(found) if found > FORMAT => Err(StoreError::Newer { dir: self.path.to_owned(), found, known: FORMAT }),
            _ => Err(self.damaged("it does not begin as a backup of anomd does")),
        }
    }

    fn next(&mut self) -> Result<(u8, Vec<u8>), StoreError> {
        let head: [u8; 5] = self.fill()?;
        let [kind, a, b, c, d] = head;
        let length = u32::from_be_bytes([a, b, c, d]);
        if length > FRAME_BYTES {
            return Err(self.damaged("a length in it cannot be true"));
        }
        let mut payload = Vec::new();
        let read = (&mut self.source).take(length.into()).read_to_end(&mut payload);
        if read.map_err(|e| self.cut(&e))? as u64 != u64::from(length) {
            return Err(self.damaged("it is cut short"));
        }
        let mut sum = crc32fast::Hasher::new();
        sum.update(&head);
        sum.update(&payload);
        if self.fill()? != sum.finalize().to_be_bytes() {
            return Err(self.damaged("a part of it has changed"));
        }
        self.count += 1;
        Ok((kind, payload))
    }
}
