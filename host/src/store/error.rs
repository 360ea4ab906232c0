//! Why the store could not do what it was asked, in sentences that end with what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::Slot;

/// Why the store could not do what it was asked. It can be cloned, because commits that
/// shared one write share its failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Another process has the directory open.
    InUse {
        /// The data directory.
        dir: PathBuf,
        /// The process that holds it, if it could be read.
        pid: Option<u32>,
    },
    /// The directory was written in a format that this version does not know.
    Newer {
        /// The data directory.
        dir: PathBuf,
        /// The format found.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// A restore was to go into a directory that has something in it.
    NotEmpty {
        /// The directory.
        dir: PathBuf,
    },
    /// The disk is nearly full. Nothing was tried, and nothing has to be started again.
    Low {
        /// The data directory.
        dir: PathBuf,
        /// What is left, in bytes.
        free: u64,
        /// What must be left.
        reserve: u64,
    },
    /// The disk is full.
    Full {
        /// The data directory, or the file that was written.
        dir: PathBuf,
        /// What was being done.
        doing: String,
    },
    /// What was read is not what was written.
    Damaged {
        /// Where: a batch and a window, a file.
        place: String,
        /// What is wrong with it.
        detail: String,
    },
    /// An earlier write failed, so that nothing more is accepted; reads go on.
    Stopped {
        /// How it failed.
        cause: String,
    },
    /// The operating system refused.
    Io {
        /// What was being done.
        doing: String,
        /// What it answered.
        detail: String,
    },
    /// The slot already has a finished run; nothing of the commit was kept.
    Conflict(Slot),
    /// A key has not the value that was expected; nothing of the batch was kept.
    Changed,
    /// More than a limit allows; nothing of it was kept.
    Quota {
        /// What would be exceeded: `series of default/app (limits.series_per_batch)`.
        what: String,
        /// The limit.
        limit: usize,
    },
    /// The caller asked for what makes no sense: a fault in anomd.
    Invalid(String),
}

impl StoreError {
    /// An error of the operating system; a full disk is told apart.
    pub(crate) fn io(doing: impl Into<String>, path: &Path, error: &io::Error) -> Self {
        let doing = doing.into();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { dir: path.to_owned(), doing },
            _ => Self::Io { doing: format!("{doing} {}", path.display()), detail: error.to_string() },
        }
    }

    /// Something that was read and cannot be true.
    pub(super) fn damaged(place: impl fmt::Display, detail: impl fmt::Display) -> Self {
        Self::Damaged { place: place.to_string(), detail: detail.to_string() }
    }
}

impl std::error::Error for StoreError {}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { dir, pid } => {
                write!(f, "the store in {} is in use by another anomd", dir.display())?;
                if let Some(pid) = pid {
                    write!(f, " (process {pid})")?;
                }
                f.write_str(". Stop that process, or give this one a directory of its own with `data:` in anomd.yaml.")
            }
            Self::Newer { dir, found, known } => write!(
                f,
                "the store in {} was written by a newer anomd: its format is {found}, and this version knows formats \
                 up to {known}. Start the newer version, or restore a backup that this version wrote into an empty \
                 directory with `anomd restore BACKUP DIRECTORY`.",
                dir.display()
            ),
            Self::NotEmpty { dir } => write!(
                f,
                "{} is not empty, and a restore never writes over anything. Name a directory that does not exist yet.",
                dir.display()
            ),
            Self::Low { dir, free, reserve } => write!(
                f,
                "the disk of {} has {} MB left, and nothing is written below {} MB (`disk_reserve_bytes`), so that the \
                 store can always be read and opened. What was acknowledged is safe. Free some space; anomd then goes \
                 on by itself.",
                dir.display(),
                free >> 20,
                reserve >> 20
            ),
            Self::Full { dir, doing } => write!(
                f,
                "no space is left on the disk of {} ({doing}). What was acknowledged is safe and can be read. Free \
                 some space, then start anomd again.",
                dir.display()
            ),
            Self::Damaged { place, detail } => write!(
                f,
                "the store is damaged: {place}: {detail}. Restore the last backup into a new directory with `anomd \
                 restore BACKUP DIRECTORY` and point `data:` there; keep the damaged directory until that is done."
            ),
            Self::Stopped { cause } => write!(
                f,
                "the store accepts no writes since one has failed: {cause} Reads go on. When the cause is removed, \
                 start anomd again."
            ),
            Self::Io { doing, detail } => write!(
                f,
                "{doing}: {detail}. Check that the directory exists, that anomd may write to it, and that its disk \
                 is sound."
            ),
            Self::Conflict(slot) => {
                write!(
                    f,
                    "the run {slot} is already finished, so this second outcome was not kept. Nothing has to be done."
                )
            }
            Self::Changed => f.write_str("a value was changed by another writer in between. Read it again and retry."),
            Self::Quota { what, limit } => {
                write!(f, "{what}: the limit is {limit}. Keep less, or raise the limit in anomd.yaml.")
            }
            Self::Invalid(text) => write!(
                f,
                "the store was asked for what makes no sense: {text}. This is a fault in anomd; please report it."
            ),
        }
    }
}
