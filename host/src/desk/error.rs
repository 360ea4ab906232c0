//! Why the desk did not do what it was asked.

use crate::store::StoreError;

/// Why the desk did not do what it was asked, in sentences that end with what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// What is named is not there.
    #[error("{0}")]
    Unknown(String),
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// It makes sense, and not in the present state: the alert is over, the name is that of
    /// several.
    #[error("{0}")]
    Conflict(String),
    /// The store cannot be used.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl DeskError {
    pub(super) fn unknown(text: impl Into<String>) -> Self {
        Self::Unknown(text.into())
    }

    pub(super) fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    pub(super) fn conflict(text: impl Into<String>) -> Self {
        Self::Conflict(text.into())
    }
}
