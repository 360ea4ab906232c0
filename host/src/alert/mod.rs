//! From scores to messages: when an alert begins and ends, and what is said to whom.
//!
//! Everything here is pure: it is given points, policy and memory, and returns records.

pub mod chart;
mod compose;
mod event;
mod group_message;
mod labels;

pub use compose::{alert_id, compose, compose_group, deliveries, subject};
pub use event::{Change, EventRule, Memory, Point};
pub use group_message::{EventNote, GroupMessage, Links, Member};
pub use labels::{ALERT_NAME, alert_labels};
