//! What the event rule keeps of a series between two looks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::policy::{Point, PolicyRecord};
use crate::message::AlertKind;
use crate::series::Millis;
use crate::store::Decision;

/// What is kept of a series: a track for each kind of alert. Jobs of a batch run one after
/// the other, and each changes the tracks of its own kinds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    tracks: BTreeMap<AlertKind, Track>,
}

impl Memory {
    /// Reads what [`Memory::encode`] wrote. A memory of another format begins anew: the worst
    /// is an event that is told twice.
    pub fn decode(bytes: &[u8]) -> Self {
        rmp_serde::from_slice(bytes).unwrap_or_default()
    }

    /// As it is kept in the store.
    pub fn encode(&self) -> Vec<u8> {
        // Maps with names and plain values: nothing here can fail to be written.
        rmp_serde::to_vec_named(self).unwrap_or_default()
    }

    /// The track of a kind; `None` if it has never looked.
    pub fn track(&self, kind: AlertKind) -> Option<&Track> {
        self.tracks.get(&kind)
    }

    /// The track of a kind, a new one if it has never looked.
    pub fn track_mut(&mut self, kind: AlertKind) -> &mut Track {
        self.tracks.entry(kind).or_default()
    }
}

/// What is kept of a series for one kind of alert. It is written at each look, so that what is
/// empty is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Track {
    /// The last point that was looked at.
    pub(super) seen: Option<Millis>,
    /// The newest scores, oldest first, no more than smoothing needs.
    pub(super) recent: Vec<f64>,
    /// Points since an alert began to fire; `None`: none has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) since_begin: Option<u64>,
    /// When the newest alerts began to fire, no more than flap damping needs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) begun: Vec<Millis>,
    #[serde(skip_serializing_if = "State::is_quiet")]
    pub(super) state: State,
    /// The span that goes on.
    pub(super) decision: Option<Decision>,
}

impl Track {
    /// The last point that was looked at.
    pub fn seen(&self) -> Option<Millis> {
        self.seen
    }

    /// What was made of the newest points: the span that goes on.
    pub fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }

    /// The alert that is on or may come to be.
    pub fn episode(&self) -> Option<&Episode> {
        match &self.state {
            State::Quiet => None,
            State::Pending(episode) | State::Firing(episode) => Some(episode),
        }
    }
}

/// Where a track is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// There is no alert.
    #[default]
    Quiet,
    /// The conditions hold, and not yet for long enough.
    Pending(Episode),
    /// An alert is on.
    Firing(Episode),
}

impl State {
    fn is_quiet(&self) -> bool {
        *self == Self::Quiet
    }
}

/// One alert, from its first point on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// The identity of the alert.
    pub id: String,
    /// Its first point.
    pub started: Millis,
    /// The point at which it began to fire; `None` while pending.
    pub fired: Option<Millis>,
    /// The point at which it was over.
    pub ended: Option<Millis>,
    /// The worst point so far.
    pub worst: Point,
    /// The markers that it is put down to.
    pub events: Vec<String>,
    /// Quiet points that end it, in multiples of `resolve_n`: more than 1 where it flaps.
    pub(super) patience: u32,
    /// Points in a row that were quiet.
    pub(super) quiet: u64,
    /// When the first of those was.
    pub(super) quiet_from: Option<Millis>,
}

impl Episode {
    /// Its first quiet point after the last that was not; `None` while it goes on.
    pub fn quiet_from(&self) -> Option<Millis> {
        self.ended.or(self.quiet_from)
    }

    /// Quiet points in a row that end it.
    pub fn quiet_points(&self, policy: &PolicyRecord) -> u64 {
        (policy.resolve_n.max(1) as u64).saturating_mul(u64::from(self.patience.max(1)))
    }
}
