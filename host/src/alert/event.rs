//! The event rule: one alert for one event, however many of its points are over the
//! threshold.
//!
//! A series is quiet or firing. It begins to fire at the first point whose smoothed score
//! reaches the threshold, unless an alert began less than `snooze_n` points before, and is
//! resolved after [`EventRule::RESOLVE_POINTS`] points in a row below half the threshold.
//! The rule remembers what it needs in [`Memory`], so points may come one by one or by the
//! thousand: the changes are the same. Only `recent_n` looks at how they come.

use serde::{Deserialize, Serialize};

use crate::config::AlertPolicy;
use crate::series::Millis;

/// A scored point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When.
    pub time: Millis,
    /// What came.
    pub value: f64,
    /// 0 to 1, before smoothing.
    pub score: f64,
    /// The edges of the ordinary; NaN where there are none.
    pub lower: f64,
    /// See `lower`.
    pub upper: f64,
    /// The parts of the score, if they were kept.
    pub terms: Vec<(String, f64)>,
}

/// What the rule knows of a series between two looks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The last point that was looked at.
    pub seen: Option<Millis>,
    /// The newest scores, oldest first, no more than smoothing needs.
    recent: Vec<f64>,
    /// Points since an alert began; `None`: none has.
    since_begin: Option<u64>,
    firing: Option<Firing>,
}

/// An alert that is on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Firing {
    started: Millis,
    worst: Worst,
    /// Points in a row below half the threshold.
    quiet: u64,
    /// When the first of those was.
    quiet_from: Option<Millis>,
}

/// The worst point so far. NaN is kept as `None`: JSON has no NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Worst {
    time: Millis,
    value: f64,
    score: f64,
    lower: Option<f64>,
    upper: Option<f64>,
    terms: Vec<(String, f64)>,
}

impl Worst {
    fn of(point: &Point) -> Self {
        let known = |x: f64| x.is_finite().then_some(x);
        Self {
            time: point.time,
            value: point.value,
            score: point.score,
            lower: known(point.lower),
            upper: known(point.upper),
            terms: point.terms.clone(),
        }
    }

    fn point(&self) -> Point {
        Point {
            time: self.time,
            value: self.value,
            score: self.score,
            lower: self.lower.unwrap_or(f64::NAN),
            upper: self.upper.unwrap_or(f64::NAN),
            terms: self.terms.clone(),
        }
    }
}

/// What became of a series' alert.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An alert begins.
    Began {
        /// Its first point.
        started: Millis,
        /// That point.
        worst: Point,
    },
    /// The alert that is on has a new worst point. Nobody is told.
    Worsened {
        /// When it began.
        started: Millis,
        /// The new worst point.
        worst: Point,
    },
    /// The alert is over.
    Resolved {
        /// When it began.
        started: Millis,
        /// The first point that was ordinary again.
        ended: Millis,
        /// The worst point.
        worst: Point,
    },
}

/// When an alert begins and ends.
#[derive(Clone, Copy, Debug)]
pub struct EventRule<'a>(pub &'a AlertPolicy);

impl EventRule<'_> {
    /// Points in a row below half the threshold that end an alert.
    pub const RESOLVE_POINTS: u64 = 10;

    /// Looks at points that have not been looked at, in order of time.
    pub fn watch(&self, memory: &mut Memory, points: &[Point]) -> Vec<Change> {
        let mut changes = Vec::new();
        let fresh = points.iter().filter(|p| memory.seen.is_none_or(|seen| p.time > seen) && p.score.is_finite());
        let fresh: Vec<&Point> = fresh.collect();
        for (index, point) in fresh.iter().enumerate() {
            let left = fresh.len() - index;
            let recent = self.0.recent_n.is_none_or(|n| left <= n.max(1));
            changes.extend(self.step(memory, point, recent));
        }
        changes
    }

    fn step(&self, memory: &mut Memory, point: &Point, recent: bool) -> Option<Change> {
        memory.seen = Some(point.time);
        memory.since_begin = memory.since_begin.map(|n| n.saturating_add(1));
        memory.recent.push(point.score);
        let excess = memory.recent.len().saturating_sub(self.0.smooth_n.max(1));
        memory.recent.drain(..excess);
        let score = memory.recent.iter().sum::<f64>() / memory.recent.len().max(1) as f64;

        let Some(firing) = &mut memory.firing else {
            let snoozed = memory.since_begin.is_some_and(|n| n <= self.0.snooze_n as u64);
            if !recent || snoozed || !(score >= self.0.threshold || self.0.always) {
                return None;
            }
            memory.since_begin = Some(0);
            memory.firing = Some(Firing { started: point.time, worst: Worst::of(point), quiet: 0, quiet_from: None });
            return Some(Change::Began { started: point.time, worst: point.clone() });
        };

        if score < self.0.threshold / 2.0 {
            firing.quiet += 1;
            let from = *firing.quiet_from.get_or_insert(point.time);
            if firing.quiet >= Self::RESOLVE_POINTS {
                let over = Change::Resolved { started: firing.started, ended: from, worst: firing.worst.point() };
                memory.firing = None;
                return Some(over);
            }
            return None;
        }
        firing.quiet = 0;
        firing.quiet_from = None;
        (point.score > firing.worst.score).then(|| {
            firing.worst = Worst::of(point);
            Change::Worsened { started: firing.started, worst: point.clone() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> AlertPolicy {
        AlertPolicy { smooth_n: 0, snooze_n: 0, ..AlertPolicy::default() }
    }

    fn points(scores: &[f64]) -> Vec<Point> {
        let point = |(index, &score): (usize, &f64)| Point {
            time: index as Millis,
            value: score,
            score,
            lower: f64::NAN,
            upper: f64::NAN,
            terms: Vec::new(),
        };
        scores.iter().enumerate().map(point).collect()
    }

    fn times(changes: &[Change]) -> Vec<(char, Millis)> {
        let time = |change: &Change| match change {
            Change::Began { started, .. } => ('b', *started),
            Change::Worsened { worst, .. } => ('w', worst.time),
            Change::Resolved { ended, .. } => ('r', *ended),
        };
        changes.iter().map(time).collect()
    }

    #[test]
    fn one_event_is_one_alert_and_ends_when_it_has_been_quiet_for_ten_points() {
        let mut scores = vec![0.1, 0.9, 0.5, 1.0, 0.7];
        scores.extend([0.1; 12]);
        scores.push(0.85);
        let changes = EventRule(&policy()).watch(&mut Memory::default(), &points(&scores));
        assert_eq!(times(&changes), [('b', 1), ('w', 3), ('r', 5), ('b', 17)]);
    }

    #[test]
    fn the_changes_do_not_depend_on_how_the_points_are_cut() {
        let scores: Vec<f64> = (0..900).map(|i| f64::from((i / 15 * 7919) % 101) / 100.0).collect();
        let policy = AlertPolicy { smooth_n: 3, snooze_n: 20, ..policy() };
        let all = points(&scores);
        let whole = EventRule(&policy).watch(&mut Memory::default(), &all);
        let mut memory = Memory::default();
        let mut cut = Vec::new();
        for piece in all.chunks(7) {
            // A piece that is looked at twice changes nothing.
            cut.extend(EventRule(&policy).watch(&mut memory, piece));
            let text = serde_json::to_string(&memory).unwrap();
            memory = serde_json::from_str(&text).unwrap();
            assert_eq!(EventRule(&policy).watch(&mut memory, piece), []);
        }
        assert_eq!(times(&cut), times(&whole));
        assert!(whole.iter().any(|change| matches!(change, Change::Resolved { .. })));
    }

    #[test]
    fn smoothing_and_snooze_act_on_the_newest_points() {
        let smooth = AlertPolicy { smooth_n: 3, ..policy() };
        let lone = [0.0, 0.0, 1.0, 0.0, 0.0];
        assert_eq!(EventRule(&smooth).watch(&mut Memory::default(), &points(&lone)), []);
        let lasting = [0.0, 1.0, 1.0, 1.0];
        assert_eq!(times(&EventRule(&smooth).watch(&mut Memory::default(), &points(&lasting))), [('b', 3)]);

        let mut scores = vec![0.9];
        scores.extend([0.0; 11]);
        scores.push(0.9);
        let snoozed = AlertPolicy { snooze_n: 12, ..policy() };
        let changes = EventRule(&snoozed).watch(&mut Memory::default(), &points(&scores));
        assert_eq!(times(&changes), [('b', 0), ('r', 1)]);
    }

    #[test]
    fn only_recent_points_begin_an_alert_where_recent_n_is_set() {
        let scores = [0.9, 0.0, 0.0];
        let recent = AlertPolicy { recent_n: Some(1), ..policy() };
        assert_eq!(EventRule(&recent).watch(&mut Memory::default(), &points(&scores)), []);
        assert_eq!(times(&EventRule(&recent).watch(&mut Memory::default(), &points(&[0.0, 0.9]))), [('b', 1)]);
    }
}
