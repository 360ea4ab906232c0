//! The part of the host's series that its history is made of.

#[path = "../../../../host/src/series/labels.rs"]
mod labels;
#[path = "../../../../host/src/series/samples.rs"]
mod samples;

pub use labels::{LabelError, Labels};
pub use samples::Kind;

/// See the host's.
pub type Millis = i64;
