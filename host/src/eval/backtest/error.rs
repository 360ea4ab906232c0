//! Why there is no backtest.

use crate::fault::Fault;
use crate::store::StoreError;

/// Why there is no backtest.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// There are no samples, or no time.
    #[error("{0}")]
    Nothing(String),
    /// More samples than are read.
    #[error(
        "the span has more than {0} samples: give a later --from or a --metric, or raise limits.backtest_samples in \
         anomd.yaml"
    )]
    TooMuch(usize),
    /// A node told what is no history.
    #[error("the node answered what this command does not understand: {0}. Are they of one version?")]
    Reply(String),
    /// The report cannot be made.
    #[error("the report cannot be made: {0}; this is a fault in anomd")]
    Report(#[from] minijinja::Error),
    /// A plugin failed.
    #[error("{0}")]
    Fault(Box<Fault>),
    /// The store failed: that in memory, or the node's.
    #[error("{0}")]
    Store(#[from] StoreError),
}
