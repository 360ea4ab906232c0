//! The lock file of a tenant: which component each installed plugin is, to the byte.
//!
//! It lies beside the components in the folder of the tenant's plugins. Components are named by
//! their digests, so the lock file alone decides which of them is in use, and it is replaced as
//! a whole: after a crash it is the old one or the new one. A component with another digest
//! than it says is not loaded.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::difference::Profile;

/// Its name.
pub const LOCK_FILE: &str = "plugins.lock";
/// The form of the file that is written and read.
const FORM: u32 = 1;
/// More than this is not read.
const MOST_BYTES: u64 = 4 << 20;
/// Earlier generations that are remembered.
const PAST: usize = 20;

/// An installed plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// What it says it is and asks for.
    #[serde(flatten)]
    pub profile: Profile,
    /// Where it came from: a URL, or the name of a file.
    pub source: String,
    /// `sha256:` and the digest of its file, in hex.
    pub digest: String,
    /// 1 for the first that had this name, and one more with each upgrade.
    pub generation: u32,
    /// When it was installed, as RFC 3339 has it.
    pub installed: String,
    /// Those before it, the newest first.
    #[serde(default)]
    pub past: Vec<Past>,
}

/// An earlier generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Past {
    /// The version that it said it was.
    pub version: String,
    /// Where it came from.
    pub source: String,
    /// `sha256:` and the digest of its file, in hex.
    pub digest: String,
    /// Its number.
    pub generation: u32,
    /// When it was installed.
    pub installed: String,
}

/// A lock file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lockfile {
    form: u32,
    /// By the name that batches use.
    pub plugins: BTreeMap<String, Locked>,
}

impl Locked {
    /// Its digest in hex, as its file is named.
    pub fn hex(&self) -> &str {
        self.digest.strip_prefix("sha256:").unwrap_or(&self.digest)
    }

    /// One that comes after another.
    #[must_use]
    pub fn after(mut self, earlier: Option<&Self>) -> Self {
        if let Some(earlier) = earlier {
            let Self { profile, source, digest, generation, installed, past } = earlier.clone();
            self.generation = generation.saturating_add(1);
            let last = Past { version: profile.version, source, digest, generation, installed };
            self.past = std::iter::once(last).chain(past).take(PAST).collect();
        }
        self
    }
}

impl Lockfile {
    /// Reads the lock file of a folder; an empty one where there is none.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join(LOCK_FILE);
        let wrong = |why: String| format!("cannot read {}: {why}", path.display());
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(wrong(error.to_string())),
        };
        let mut text = String::new();
        file.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
        let read: Self = serde_yaml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if read.form != FORM {
            return Err(wrong(format!("it has the form {}, and this anomd reads {FORM}", read.form)));
        }
        let hex = |locked: &Locked| locked.hex().len() == 64 && locked.hex().bytes().all(|b| b.is_ascii_hexdigit());
        match read.plugins.iter().find(|(_, locked)| !hex(locked)) {
            // It is part of a path.
            Some((name, locked)) => Err(wrong(format!("the digest of {name} is {:?}, and no sha256", locked.digest))),
            None => Ok(read),
        }
    }

    /// Replaces the lock file of a folder.
    pub fn write(&mut self, folder: &Path) -> io::Result<()> {
        self.form = FORM;
        let text = serde_yaml::to_string(self).map_err(io::Error::other)?;
        let text = format!("# Written by `anomd plugin`: which component each installed plugin is.\n{text}");
        replace(&folder.join(LOCK_FILE), text.as_bytes())
    }

    /// The file of a component in a folder.
    pub fn file(folder: &Path, hex: &str) -> PathBuf {
        folder.join(format!("{hex}.wasm"))
    }
}

/// Writes a file as a whole: whoever reads it sees the old content or the new.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&partial, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(version: &str) -> Locked {
        Locked {
            profile: Profile { version: version.to_owned(), ..Profile::default() },
            source: "theirs.wasm".to_owned(),
            digest: format!("sha256:{}", "0123456789abcdef".repeat(4)),
            generation: 1,
            installed: "2026-01-01T00:00:00Z".to_owned(),
            past: Vec::new(),
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_generations_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Lockfile::read(folder.path()), Ok(Lockfile::default()));
        let mut lock = Lockfile::default();
        let second = locked("2").after(Some(&locked("1")));
        lock.plugins.insert("theirs".to_owned(), locked("3").after(Some(&second)));
        lock.write(folder.path()).unwrap();
        let read = Lockfile::read(folder.path()).unwrap();
        assert_eq!(read, lock);
        let theirs = &read.plugins["theirs"];
        let past: Vec<_> = theirs.past.iter().map(|past| (past.version.as_str(), past.generation)).collect();
        assert_eq!((theirs.generation, past), (3, vec![("2", 2), ("1", 1)]));
    }

    #[test]
    fn a_digest_that_would_lead_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut lock = Lockfile::default();
        let evil = Locked { digest: "sha256:../../../etc/passwd".to_owned(), ..locked("1") };
        lock.plugins.insert("theirs".to_owned(), evil);
        lock.write(folder.path()).unwrap();
        assert!(Lockfile::read(folder.path()).unwrap_err().contains("and no sha256"));
    }
}
