//! Compiled components, kept between starts.
//!
//! A file is named by the sha256 of the component and by a hash of all that shapes the
//! machine code (wasmtime's version, target, flags), so a stale one is never found. Beside
//! it stands its checksum: wasmtime believes what it maps, and a disk may lie. Against
//! someone who can write here there is no defence, hence the folder is ours alone.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

/// How a compiled component was come by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It was compiled before.
    Cache,
    /// It was compiled now.
    Compiled,
}

/// A folder of compiled components.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: Arc<Path>,
    /// Of everything but the component.
    engine: Arc<str>,
}

impl Cache {
    pub(super) fn open(folder: &Path, engine: &wasmtime::Engine) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        #[cfg(unix)]
        fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        let mut hasher = StableHasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine = format!("{:016x}", hasher.finish());
        Ok(Self { folder: folder.into(), engine: engine.into() })
    }

    /// The bytes of machine code and data that are kept for a component.
    pub fn compiled_bytes(&self, digest: &str) -> Option<u64> {
        fs::metadata(self.code(digest)).ok().map(|file| file.len())
    }

    /// A small text kept with a component, whatever engine compiled it.
    pub fn note(&self, digest: &str, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(format!("{digest}.{name}"))).ok()
    }

    /// Keeps a small text with a component.
    pub fn set_note(&self, digest: &str, name: &str, text: &str) -> io::Result<()> {
        self.write(&self.folder.join(format!("{digest}.{name}")), text.as_bytes())
    }

    fn code(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}-{}.cwasm", self.engine))
    }

    pub(super) fn get(&self, engine: &wasmtime::Engine, digest: &str) -> Option<Component> {
        let code = self.code(digest);
        let sum = fs::read_to_string(code.with_extension("crc32")).ok()?;
        let loaded = match checksum(&code) {
            Ok(found) if found == sum => deserialize(engine, &code).map_err(|e| format!("{e:#}")),
            Ok(_) => Err("its checksum is wrong".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        loaded.inspect_err(|why| tracing::warn!("{}: compiled again, since {why}", code.display())).ok()
    }

    pub(super) fn put(&self, digest: &str, compiled: &[u8]) -> io::Result<()> {
        let code = self.code(digest);
        self.write(&code, compiled)?;
        self.write(&code.with_extension("crc32"), format!("{:08x}", crc32fast::hash(compiled)).as_bytes())
    }

    /// Whole or not at all, whoever else writes the same.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(bytes)?;
        file.persist(path)?;
        Ok(())
    }
}

#[expect(unsafe_code, reason = "compiled code is trusted code; this is the one place that loads it")]
fn deserialize(engine: &wasmtime::Engine, code: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file was written by `Cache::put`, from this engine's own compiler, into a
    // folder that only this user can write; its checksum was just compared, and wasmtime
    // compares version and flags.
    unsafe { Component::deserialize_file(engine, code) }
}

fn checksum(path: &Path) -> io::Result<String> {
    let mut hasher = crc32fast::Hasher::new();
    let mut file = io::BufReader::with_capacity(256 << 10, fs::File::open(path)?);
    loop {
        let chunk = io::BufRead::fill_buf(&mut file)?;
        if chunk.is_empty() {
            return Ok(format!("{:08x}", hasher.finalize()));
        }
        hasher.update(chunk);
        let read = chunk.len();
        io::BufRead::consume(&mut file, read);
    }
}

/// The same in every process, which the standard hasher does not promise.
struct StableHasher(Sha256);

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }
}
