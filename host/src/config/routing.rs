//! Who is told of which alert: Alertmanager's routing, in its terms.
//!
//! Everything is resolved when it is read: a route has the values that it inherits, and
//! names no receiver or interval that is not there. What the terms do is `alert::route`'s.

use std::collections::BTreeMap;

use super::document::Spans;
use super::problem::Problem;
use super::{BatchSecrets, NotifierUse, TimeInterval};
use crate::series::{Matchers, Millis};

/// `alerting` of a tenant: a tree of routes and what it names.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    /// `route`: the root, which every alert reaches; `None`: there is no tree, and alerts
    /// are told by their batch's `alert_methods` alone.
    pub route: Option<Route>,
    /// `receivers`, by name.
    pub receivers: BTreeMap<String, Receiver>,
    /// `inhibit_rules`.
    pub inhibit: Vec<InhibitRule>,
    /// `time_intervals`, by name.
    pub intervals: BTreeMap<String, Vec<TimeInterval>>,
    /// Where its parts were written.
    pub spans: Spans,
}

impl Routing {
    /// An error in a part that a layer above judges: a notifier's configuration, say.
    /// `pointer` is that of the use followed by that within the configuration.
    pub fn error_at(&self, pointer: &str, message: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem::error(self.spans.locate(pointer), pointer, message, remedy)
    }
}

/// A node of the tree.
#[derive(Clone, Debug)]
pub struct Route {
    /// `receiver`.
    pub receiver: String,
    /// `matchers`; the root has none.
    pub matchers: Matchers,
    /// `continue`: siblings after this one are tried too.
    pub continues: bool,
    /// How its alerts are grouped, and when they are told.
    pub grouping: Grouping,
    /// `mute_time_intervals`.
    pub mute: Vec<String>,
    /// `active_time_intervals`; none: always.
    pub active: Vec<String>,
    /// `routes`: the first that matches takes the alert.
    pub routes: Vec<Route>,
}

/// How alerts become messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// `group_by`: alerts with equal values of these labels are one group; `None`, written
    /// `...`: each alert by itself.
    pub by: Option<Vec<String>>,
    /// `group_wait`: from the first alert of a group to its first message, in milliseconds.
    pub wait_ms: Millis,
    /// `group_interval`: between two messages about a group that changed.
    pub interval_ms: Millis,
    /// `repeat_interval`: until a group that did not change is told again.
    pub repeat_ms: Millis,
}

impl Default for Grouping {
    /// Alertmanager's.
    fn default() -> Self {
        Self { by: Some(Vec::new()), wait_ms: 30_000, interval_ms: 300_000, repeat_ms: 4 * 3_600_000 }
    }
}

/// Where messages go.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// `send_resolved`: whether the end of an alert is told.
    pub send_resolved: bool,
    /// `notifiers`; none: what comes here is told to nobody.
    pub notifiers: Vec<NotifierUse>,
    /// `secrets`: for its notifiers; they go before the tenant's of the same name.
    pub secrets: BatchSecrets,
}

/// While an alert that matches `source` fires, those that match `target` are not told, if
/// both have the same values of the labels `equal`.
#[derive(Clone, Debug, Default)]
pub struct InhibitRule {
    /// `source_matchers`.
    pub source: Matchers,
    /// `target_matchers`.
    pub target: Matchers,
    /// `equal`.
    pub equal: Vec<String>,
}
