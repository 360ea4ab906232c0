//! From scores to messages: when an alert begins and ends, and what is said to whom.
//!
//! Everything here is pure: it is given points, policy and memory, and returns records.

mod compose;
mod event;
mod labels;
mod marker;
mod memory;
mod notice;
mod policy;
mod silence;

pub use compose::{alert_id, compose, deliveries};
pub use event::{Change, EventRule, Memory as EventMemory, Point};
pub use labels::alert_labels;
pub use marker::{Effect, Marker, MarkerError};
pub use memory::{Episode, Memory, Track};
pub use notice::{Notice, Why};
pub use policy::PolicyRecord;
pub use silence::Silence;
