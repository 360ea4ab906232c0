//! From scores to messages: when an alert begins and ends, and what is said to whom.
//!
//! Everything here is pure: it is given points, policy and memory, and returns records.

pub mod change;
mod compose;
mod event;
mod labels;
mod marker;
mod memory;
mod policy;
mod signal;

pub use compose::{alert_id, compose, deliveries};
pub use event::{Change, EventRule, Look, News};
pub use labels::{alert_labels, alert_name, series_labels};
pub use marker::{Effect, Marker, MarkerError, strongest};
pub use memory::{Episode, Memory, Track};
pub use policy::{Point, PolicyRecord};
pub use signal::Signal;
