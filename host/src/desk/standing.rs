//! How an alert stands: where it is in its life, and what people did about it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::AlertView;
use crate::message::AlertPhase;

/// How an alert stands. Somebody may have acknowledged an alert that a silence hides as well: it is
/// found as both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertStanding {
    /// Its condition holds, and not yet for long enough.
    Pending,
    /// It is on, and nobody has seen to it.
    Firing,
    /// Somebody looks after it.
    Acknowledged,
    /// Nobody is told for a while.
    Snoozed,
    /// A silence matches it.
    Silenced,
    /// It is over.
    Resolved,
}

impl AlertStanding {
    /// All of them, in the order in which an alert goes through them.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Firing, Self::Acknowledged, Self::Snoozed, Self::Silenced, Self::Resolved];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Acknowledged => "acknowledged",
            Self::Snoozed => "snoozed",
            Self::Silenced => "silenced",
            Self::Resolved => "resolved",
        }
    }
}

impl AlertView {
    /// Whether it stands so.
    pub fn stands(&self, standing: AlertStanding) -> bool {
        match standing {
            AlertStanding::Pending => self.phase == AlertPhase::Pending,
            AlertStanding::Firing => self.state() == AlertStanding::Firing.name(),
            AlertStanding::Acknowledged => self.acknowledged.is_some(),
            AlertStanding::Snoozed => self.snoozed.is_some(),
            AlertStanding::Silenced => !self.silenced_by.is_empty(),
            AlertStanding::Resolved => self.phase == AlertPhase::Resolved,
        }
    }
}
