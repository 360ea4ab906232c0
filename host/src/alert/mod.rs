//! From scores to messages: when an alert begins and ends, and what is said to whom.
//!
//! Everything here is pure: it is given points, policy and memory, and returns records.

mod compose;
mod dispatch;
mod event;
mod group;
mod group_message;
mod inhibit;
mod labels;
mod mute;
mod notice;
mod route;
mod signal;
mod silence;

pub use compose::{alert_id, compose, compose_group, deliveries};
pub use dispatch::{Dispatch, Dispatched, Message, dispatch};
pub use event::{Change, EventRule, Memory, Point};
pub use group::{Group, Membership, Told};
pub use group_message::{EventNote, GroupMessage, Links, Member};
pub use labels::{ALERT_NAME, alert_labels};
pub use notice::{Notice, Why};
pub use route::{ALERTMANAGER, Target, batch_receiver, targets, walk};
pub use signal::Signal;
pub use silence::Silence;

#[cfg(test)]
mod tests;
