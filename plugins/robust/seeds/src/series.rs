//! The part of the host's series that its history is made of.

#[expect(dead_code, reason = "the host's, whole")]
#[path = "../../../../host/src/series/labels.rs"]
mod labels;
#[expect(dead_code, reason = "the host's, whole")]
#[path = "../../../../host/src/series/samples.rs"]
mod samples;

pub use labels::{LabelError, Labels};
pub use samples::Kind;

/// See the host's.
pub type Millis = i64;
