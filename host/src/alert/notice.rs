//! Notices: what the dispatcher decided, and why, for the decision trace.

use serde::{Deserialize, Serialize};

use crate::series::Millis;
use crate::store::{DocumentKind, DocumentWrite};

/// What was decided at one look at a group, where that was something new: a message, or
/// another reason to hold an alert back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// When.
    pub at: Millis,
    /// The group: the name of its document, which may be gone. Empty for alerts without a route.
    pub group: String,
    /// The route by which the alerts came, as `batch/<name>` or its matchers from the root on.
    pub route: String,
    /// Who is told, or would be.
    pub receiver: String,
    /// The incident that the message belongs to, if there was one.
    pub incident: Option<String>,
    /// Identities of the alerts that the message names.
    pub told: Vec<String>,
    /// The message says nothing new: the group was told again after `repeat_interval`.
    pub repeat: bool,
    /// Alerts of the group that were not told, and why.
    pub held: Vec<(String, Why)>,
    /// Identities of the deliveries, one for each notifier of the receiver.
    pub deliveries: Vec<String>,
}

/// Why an alert was not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A silence covers it: its identity.
    Silenced(String),
    /// While this alert fires it is not told.
    Inhibited(String),
    /// The route is muted by this time interval.
    Muted(String),
    /// None of the route's `active_time_intervals` is on.
    Inactive,
    /// Somebody snoozed it, until then.
    Snoozed(Millis),
    /// This person knows of it already.
    Acknowledged(String),
    /// `group_wait` or `group_interval` is not over before then.
    Waiting(Millis),
    /// It is over, and the receiver does not want to hear that: `send_resolved: false`.
    ResolvedUnwanted,
    /// It was over before the reason not to tell it was gone.
    OverBeforeTold,
    /// Its batch names no `alert_methods`, and no route leads anywhere.
    Unrouted,
    /// The receiver is no longer there.
    ReceiverGone,
}

impl Notice {
    /// The document. Names are in the order of time.
    pub fn document(&self) -> DocumentWrite {
        let first = self.held.first().map(|(id, _)| id.as_str()).unwrap_or_default();
        let subject = if self.group.is_empty() { first } else { self.group.as_str() };
        DocumentWrite::of(DocumentKind::Notice, format!("{:015}-{subject}", self.at.max(0)), self)
    }
}
