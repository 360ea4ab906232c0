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
    /// Whether scores have been high without a break since an alert ended.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) fading: bool,
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
    /// The excursion that it tells of, if the value has left its band.
    pub(super) excursion: Option<Excursion>,
}

/// How a value left its band.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Excursion {
    /// The middle of the band that it left.
    pub(super) middle: f64,
    /// The value that was furthest from there.
    pub(super) furthest: f64,
    /// Points in a row that have been back.
    pub(super) back: u64,
    /// When the first of those was.
    pub(super) back_from: Option<Millis>,
}

impl Excursion {
    /// Of a value that leaves a band with this middle.
    pub(super) fn new(middle: f64, value: f64) -> Self {
        Self { middle, furthest: value, back: 0, back_from: None }
    }

    /// How many points in a row have been back, with this one. One without a band says nothing.
    pub(super) fn watch(&mut self, point: &Point) -> u64 {
        if point.is_inside() && self.is_home(point.value) {
            self.back = self.back.saturating_add(1);
            self.back_from.get_or_insert(point.time);
        } else if point.middle().is_some() {
            (self.back, self.back_from) = (0, None);
        }
        self.back
    }

    /// Whether a value is where it came from, rather than where it went: a band that follows what
    /// it sees holds both.
    fn is_home(&self, value: f64) -> bool {
        (value - self.middle).abs() < (value - self.furthest).abs()
    }
}

impl Episode {
    /// Quiet points in a row that end it.
    pub fn quiet_points(&self, policy: &PolicyRecord) -> u64 {
        (policy.resolve_n.max(1) as u64).saturating_mul(u64::from(self.patience.max(1)))
    }

    /// Points in a row within the band that end it, if any number of them does.
    pub(super) fn return_points(&self, policy: &PolicyRecord) -> Option<u64> {
        Some((policy.return_n? as u64).saturating_mul(u64::from(self.patience.max(1))))
    }

    /// When what it tells of was over; `None` while it goes on.
    pub fn over_from(&self) -> Option<Millis> {
        if self.ended.is_some() {
            return self.ended;
        }
        let back = self.excursion.and_then(|excursion| excursion.back_from);
        self.quiet_from.into_iter().chain(back).min()
    }
}
