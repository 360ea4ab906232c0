//! From scores to messages: when an alert begins and ends, and what is said to whom.
//!
//! Everything here is pure: it is given points, policy and memory, and returns records.

mod budget;
pub mod change;
pub mod chart;
mod compose;
mod dispatch;
mod event;
mod group;
mod group_message;
mod inhibit;
mod labels;
mod marker;
mod memory;
mod mute;
mod notice;
mod outlook;
mod policy;
mod replay;
mod route;
mod signal;
mod silence;

pub use budget::{Budget, Exhausted, Spent, used_by};
pub use compose::{alert_id, compose_group, series_subject, subject, worse};
pub use dispatch::{Dispatch, Dispatched, Message, dispatch};
pub use event::{Change, EventRule, Look, News};
pub use group::{Group, Membership, Told};
pub use group_message::{EventNote, GroupMessage, Links, Member, common_labels};
pub use labels::{alert_labels, alert_name, series_labels};
pub use marker::{Effect, Marker, MarkerError, strongest};
pub use memory::{Episode, Memory, Track};
pub use notice::{Notice, Why};
pub use outlook::Outlook;
pub use policy::{Point, PolicyRecord};
pub use replay::{judged, replay};
pub use route::{
    ALERTMANAGER, Target, batch_of, batch_receiver, handed, is_routed, methods, notifiers, receiver_of, targets, walk,
};
pub use signal::Signal;
pub use silence::Silence;

#[cfg(test)]
mod tests;
