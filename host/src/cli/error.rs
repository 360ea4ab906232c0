//! How a command ends that did not do what was asked. The codes are a public contract.

use std::process::ExitCode;

use crate::config::Problems;
use crate::fault::Fault;
use crate::store::StoreError;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A run failed, or a part of it.
    #[error("{0}")]
    Run(String),
    /// The command line asks for what there is not.
    #[error("{0}")]
    Usage(String),
    /// The configuration is wrong.
    #[error("{0}")]
    Config(Problems),
    /// The store cannot be used.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The node that has the store open cannot use it, or cannot be reached.
    #[error("{0}")]
    Node(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl CliError {
    pub(super) fn other(text: impl Into<String>) -> Self {
        Self::Other(text.into())
    }

    /// Prints it and gives the code.
    pub(super) fn report(&self) -> ExitCode {
        // What `check` found it has printed itself.
        let text = self.to_string();
        if !text.is_empty() {
            eprintln!("{text}");
        }
        ExitCode::from(match self {
            Self::Run(_) => 1,
            Self::Usage(_) => 2,
            Self::Config(_) => 3,
            Self::Store(_) | Self::Node(_) => 4,
            Self::Other(_) => 5,
        })
    }
}

impl From<Fault> for CliError {
    fn from(fault: Fault) -> Self {
        Self::Run(fault.to_string())
    }
}

impl From<Problems> for CliError {
    fn from(problems: Problems) -> Self {
        Self::Config(problems)
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.to_string())
    }
}
