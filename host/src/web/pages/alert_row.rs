//! Alerts as lists show them.

use super::batch::apart;
use super::frame::{Frame, encoded};
use super::moment::{Moment, lasted};
use crate::desk::AlertView;
use crate::message::AlertKind;
use crate::series::Millis;

/// An alert in a list.
pub(super) struct AlertRow {
    pub id: String,
    pub href: String,
    pub state: &'static str,
    /// The class of the badge.
    pub mood: &'static str,
    pub kind: &'static str,
    pub batch: String,
    pub batch_href: String,
    pub metric: String,
    /// The metric up to its labels, and these.
    pub family: String,
    pub rest: String,
    pub since: Moment,
    /// How long it is on, or was.
    pub lasted: String,
    pub score: String,
    /// `up`, `down`, or nothing.
    pub rated: &'static str,
    /// Who saw to it, or what hides it.
    pub note: String,
}

impl AlertRow {
    /// A row of a page that is made at `now`.
    pub fn of(alert: &AlertView, frame: &Frame, now: Millis) -> Self {
        let scored = matches!(alert.kind, AlertKind::Anomaly);
        let note = match (&alert.acknowledged, &alert.snoozed) {
            (Some(act), _) if act.comment.is_empty() => format!("by {}", act.by),
            (Some(act), _) => format!("by {}: {}", act.by, act.comment),
            (None, Some(snoozed)) => format!("by {} until {}", snoozed.by, Moment::of(snoozed.until, now).short),
            (None, None) if alert.silenced_by.is_empty() => String::new(),
            (None, None) => format!("by silence {}", alert.silenced_by.join(", ")),
        };
        Self {
            href: frame.at(&format!("/alerts/{}", encoded(&alert.id))),
            batch_href: frame.at(&format!("/batches/{}", encoded(&alert.batch))),
            state: alert.state(),
            mood: mood(alert.state()),
            kind: alert.kind.name(),
            since: Moment::of(alert.started, now),
            lasted: lasted(alert.ended.unwrap_or(now).saturating_sub(alert.started)),
            score: alert.score.filter(|_| scored).map_or(String::new(), |score| format!("{score:.2}")),
            rated: alert.rated.as_ref().map_or("", |rated| rated.rating.name()),
            note,
            id: alert.id.clone(),
            batch: alert.batch.clone(),
            family: apart(&alert.metric).0.to_owned(),
            rest: apart(&alert.metric).1.to_owned(),
            metric: alert.metric.clone(),
        }
    }

    /// Whether it fires and nobody has seen to it.
    pub fn is_unseen(&self) -> bool {
        self.state == "firing"
    }
}

/// The class of the badge of a state.
pub(in crate::web) fn mood(state: &str) -> &'static str {
    match state {
        "firing" => "bad",
        "acknowledged" | "pending" => "warn",
        "resolved" => "good",
        _ => "",
    }
}
