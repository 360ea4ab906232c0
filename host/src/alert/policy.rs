//! What the event rule of one kind of alert goes by, and the points that it judges.
//!
//! Every kind is judged by one rule over one kind of point: what raises alerts turns what it
//! knows into a score, and says here at which score an alert begins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{
    AlertPolicy, Bounds, CapacityUse, ChangePolicy, Deviation, Direction, LlmPolicy, ThresholdPolicy, config_digest,
};
use crate::message::AlertKind;
use crate::series::Millis;
use crate::store::{DocumentKind, DocumentWrite};

/// To be within the band says less than a low score does, so it takes so many times the points.
const RETURN: usize = 3;

/// A judged point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When.
    pub time: Millis,
    /// What came; NaN where nothing did.
    pub value: f64,
    /// How odd it is, before smoothing: 0 to 1, or for a kind without scores how far it is
    /// over its limit, 1 being at it. Points without one are passed over.
    pub score: f64,
    /// The edges of the ordinary; NaN where there are none.
    pub lower: f64,
    /// See `lower`.
    pub upper: f64,
    /// The parts of the score, if they were kept.
    pub terms: Vec<(String, f64)>,
}

impl Point {
    fn band(&self) -> Option<(f64, f64)> {
        (self.lower.is_finite() && self.upper.is_finite()).then_some((self.lower, self.upper))
    }

    /// Whether it lies on the side that is asked for, seen from the middle of the band. One
    /// without value or band does.
    pub(super) fn is_on(&self, side: Direction) -> bool {
        // A limit may be on one side alone.
        let middle = match (self.lower.is_finite(), self.upper.is_finite()) {
            (true, true) => f64::midpoint(self.lower, self.upper),
            (true, false) => self.lower,
            (false, true) => self.upper,
            (false, false) => return true,
        };
        match side {
            Direction::Both => true,
            Direction::Above => self.value.is_nan() || self.value >= middle,
            Direction::Below => self.value.is_nan() || self.value <= middle,
        }
    }

    /// Whether it lies so far outside of the band, measured from the nearer edge; `part` of
    /// that is enough. One without value or band does.
    pub(super) fn is_far(&self, least: Option<Deviation>, part: f64) -> bool {
        let (Some(least), Some((lower, upper)), false) = (least, self.band(), self.value.is_nan()) else {
            return true;
        };
        let (distance, edge) =
            if self.value > upper { (self.value - upper, upper) } else { (lower - self.value, lower) };
        let wanted = match least {
            Deviation::Absolute(wanted) => wanted,
            Deviation::Relative(wanted) => wanted * edge.abs(),
        };
        distance > 0.0 && distance >= wanted * part
    }

    /// The middle of its band; `None` without a value or a band.
    pub(super) fn middle(&self) -> Option<f64> {
        let (lower, upper) = self.band().filter(|_| !self.value.is_nan())?;
        Some(f64::midpoint(lower, upper))
    }

    /// Whether it is known to lie within its band.
    pub(super) fn is_inside(&self) -> bool {
        self.is_beyond(1.0) == Some(false)
    }

    /// Whether it lies outside of the band made `factor` times as wide; `None` where there is
    /// no band.
    pub(super) fn is_beyond(&self, factor: f64) -> Option<bool> {
        let (lower, upper) = self.band().filter(|_| !self.value.is_nan())?;
        let middle = f64::midpoint(lower, upper);
        Some((self.value - middle).abs() > (upper - lower) / 2.0 * factor)
    }
}

/// The policy of one kind of alert, with every default filled in. Alerts and decisions name it
/// by its identity, and it is kept as a document of the kind [`DocumentKind::Policy`], so that
/// what was in force can be read when the batch has long been changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Of which kind of alert.
    pub kind: AlertKind,
    /// An alert begins at this score, and ends below half of it.
    pub threshold: f64,
    /// The mean of the newest so many scores is compared; 0 and 1: the score.
    pub smooth_n: usize,
    /// After an alert began, none begins for so many points.
    pub snooze_n: usize,
    /// An alert begins only at the newest so many points of a run; `None`: at any.
    pub recent_n: Option<usize>,
    /// Every point counts as over the threshold.
    pub always: bool,
    /// On which side of what was expected a point must be.
    pub direction: Direction,
    /// How far from what was expected a point must be.
    pub min_deviation: Option<Deviation>,
    /// How long the conditions must hold before the alert fires, in milliseconds.
    pub for_ms: Millis,
    /// Points in a row below half the threshold that end an alert.
    pub resolve_n: usize,
    /// Points in a row within the band that end an alert whose value has left it, whatever they
    /// score; `None`: no number of points does.
    pub return_n: Option<usize>,
    /// From so many alerts within `flap_window_ms` on, each further one needs twice the quiet
    /// points to end; `None`: none does.
    pub flap_n: Option<usize>,
    /// See `flap_n`; in milliseconds.
    pub flap_window_ms: Millis,
    /// What the score was made with: `lower` and `upper` of a limit, `after_ms` of missing
    /// data, `change_threshold`, and so on.
    pub inputs: BTreeMap<String, f64>,
}

impl PolicyRecord {
    /// Detectors' scores: `alert_*`.
    pub fn anomaly(alert: &AlertPolicy) -> Self {
        Self {
            threshold: alert.threshold,
            smooth_n: alert.smooth_n,
            snooze_n: alert.snooze_n,
            recent_n: alert.recent_n,
            always: alert.always,
            direction: alert.direction,
            min_deviation: alert.min_deviation,
            for_ms: alert.for_ms,
            return_n: Some(alert.resolve_n.max(1).saturating_mul(RETURN)),
            ..Self::plain(AlertKind::Anomaly, alert)
        }
    }

    /// A limit: `tholdalert_*`. How an alert ends is said by `alert_resolve_n` and
    /// `alert_flap_*`, here and for all other kinds.
    pub fn threshold(threshold: &ThresholdPolicy, bounds: Bounds, alert: &AlertPolicy) -> Self {
        let edges = [("lower", bounds.lower), ("upper", bounds.upper)];
        Self {
            snooze_n: threshold.snooze_n,
            recent_n: threshold.recent_n,
            inputs: edges.into_iter().filter_map(|(name, edge)| Some((name.to_owned(), edge?))).collect(),
            ..Self::plain(AlertKind::Threshold, alert)
        }
    }

    /// A lasting change: `change_*`.
    pub fn change(change: &ChangePolicy, alert: &AlertPolicy) -> Self {
        let inputs = [
            ("change_threshold", change.threshold),
            ("change_detect_last_n", change.last_n as f64),
            ("change_max_n", change.max_n as f64),
            ("change_smooth_n", change.smooth_n as f64),
        ];
        Self {
            snooze_n: change.snooze_n,
            inputs: inputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..Self::plain(AlertKind::Change, alert)
        }
    }

    /// What a language model found: `llmalert_*`. A finding scores 1, and everything else 0.
    pub fn llm(llm: &LlmPolicy, alert: &AlertPolicy) -> Self {
        Self { threshold: 0.5, recent_n: Some(llm.recent_n), ..Self::plain(AlertKind::Llm, alert) }
    }

    /// A trend on its way to a limit: `capacity_limits`. 0.8 is what the component promises.
    pub fn capacity(limit: &CapacityUse, alert: &AlertPolicy) -> Self {
        let Bounds { lower, upper } = limit.bounds;
        let inputs = [("lower", lower), ("upper", upper), ("horizon_ms", Some(limit.horizon_ms as f64))];
        let inputs = inputs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        Self { inputs, ..Self::capacity_without_limit(alert) }
    }

    /// The same of a series that has no limit any more.
    pub fn capacity_without_limit(alert: &AlertPolicy) -> Self {
        Self { threshold: 0.8, ..Self::plain(AlertKind::Capacity, alert) }
    }

    /// A series that stopped: `alert_no_data_after`. One new sample ends it.
    pub fn no_data(after_ms: Millis, alert: &AlertPolicy) -> Self {
        Self {
            resolve_n: 1,
            inputs: BTreeMap::from([("after_ms".to_owned(), after_ms as f64)]),
            ..Self::plain(AlertKind::NoData, alert)
        }
    }

    /// No condition but being over the limit.
    fn plain(kind: AlertKind, alert: &AlertPolicy) -> Self {
        Self {
            kind,
            threshold: 1.0,
            smooth_n: 1,
            snooze_n: 0,
            recent_n: None,
            always: false,
            direction: Direction::Both,
            min_deviation: None,
            for_ms: 0,
            resolve_n: alert.resolve_n,
            return_n: None,
            flap_n: alert.flap_n,
            flap_window_ms: alert.flap_window_ms,
            inputs: BTreeMap::new(),
        }
    }

    /// Its identity: the first 8 bytes of a digest of all that is in it, in hex.
    pub fn id(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        config_digest(&value).chars().take(16).collect()
    }

    /// The document that it is kept as.
    pub fn document(&self) -> DocumentWrite {
        DocumentWrite::of(DocumentKind::Policy, self.id(), self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(value: f64, lower: f64, upper: f64) -> Point {
        Point { time: 0, value, score: 1.0, lower, upper, terms: Vec::new() }
    }

    #[test]
    fn the_side_of_a_point_is_seen_from_the_middle_of_its_band() {
        let sides = |p: &Point| [Direction::Both, Direction::Above, Direction::Below].map(|side| p.is_on(side));
        assert_eq!(sides(&point(9.0, 0.0, 4.0)), [true, true, false]);
        assert_eq!(sides(&point(3.0, 0.0, 4.0)), [true, true, false]);
        assert_eq!(sides(&point(-1.0, 0.0, 4.0)), [true, false, true]);
        assert_eq!(sides(&point(-1.0, f64::NAN, f64::NAN)), [true; 3]);
        assert_eq!(sides(&point(f64::NAN, 0.0, 4.0)), [true; 3]);
        assert_eq!(sides(&point(5.0, f64::NAN, 4.0)), [true, true, false]);
    }

    #[test]
    fn the_distance_is_from_the_nearer_edge_absolute_or_as_a_part_of_it() {
        let far = |value: f64, least: Deviation| point(value, 10.0, 20.0).is_far(Some(least), 1.0);
        let distances = [8.0, 9.0, 15.0, 21.0, 22.0];
        assert_eq!(distances.map(|v| far(v, Deviation::Absolute(2.0))), [true, false, false, false, true]);
        assert_eq!(distances.map(|v| far(v, Deviation::Relative(0.1))), [true, true, false, false, true]);
        assert!(point(15.0, f64::NAN, f64::NAN).is_far(Some(Deviation::Absolute(9.0)), 1.0));
        assert!(!point(0.0, -1.0, 0.0).is_far(Some(Deviation::Relative(0.1)), 1.0), "the edge itself is ordinary");
    }

    #[test]
    fn a_policy_is_named_by_what_is_in_it_and_read_again() {
        let mut alert = AlertPolicy { min_deviation: Some(Deviation::Relative(0.1)), ..AlertPolicy::default() };
        let before = PolicyRecord::anomaly(&alert);
        assert_eq!(before.id(), PolicyRecord::anomaly(&alert).id());
        alert.threshold = 0.7;
        assert_ne!(before.id(), PolicyRecord::anomaly(&alert).id());
        let bytes = before.document().value.unwrap();
        assert_eq!(rmp_serde::from_slice::<PolicyRecord>(&bytes).unwrap(), before);
        let json = serde_json::to_value(&before).unwrap();
        assert_eq!(json["min_deviation"]["relative"], 0.1);
        assert_eq!(serde_json::from_value::<PolicyRecord>(json).unwrap(), before);
    }
}
