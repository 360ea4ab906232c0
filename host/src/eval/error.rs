//! Why an evaluation cannot be made.

use std::path::{Path, PathBuf};

use crate::fault::Fault;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// There is no such folder or file.
    #[error("there is no {}: name a folder of labelled series; `anomd eval --help` says how they are laid out", .0.display())]
    Absent(PathBuf),
    /// A folder without labelled series.
    #[error("no labelled series in {}: a csv has the columns `value` and `label`; `anomd eval --help` says more", .0.display())]
    Empty(PathBuf),
    /// A file that cannot be read or written.
    #[error("cannot use {}: {why}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A file that is no labelled series.
    #[error("{}: {why}", place(path, *line))]
    Wrong {
        /// Which.
        path: PathBuf,
        /// Where in it.
        line: Option<u64>,
        /// What is wrong and what to do.
        why: String,
    },
    /// A plugin refuses its configuration.
    #[error("{plugin} refuses {place}: {why}")]
    Config {
        /// The plugin.
        plugin: String,
        /// A JSON pointer, or the whole.
        place: String,
        /// What it says.
        why: String,
    },
    /// A plugin failed.
    #[error("{0}")]
    Fault(#[from] Fault),
}

impl EvalError {
    pub(super) fn unreadable(path: &Path, error: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), why: error.to_string() }
    }

    pub(super) fn wrong(path: &Path, line: Option<u64>, why: String) -> Self {
        Self::Wrong { path: path.to_owned(), line, why }
    }
}

fn place(path: &Path, line: Option<u64>) -> String {
    line.map_or_else(|| path.display().to_string(), |line| format!("{}:{line}", path.display()))
}
