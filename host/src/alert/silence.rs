//! Silences: alerts that match are told to nobody for a time.

use serde::{Deserialize, Serialize};

use crate::series::{Labels, Matchers, Millis};

/// Alerts that match are told to nobody from `start` to before `end`.
///
/// It holds back that an alert begins or goes on. That an alert is over is told to those who
/// were told that it began, silence or not: an incident that somebody opened must not stay
/// open for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its identity.
    pub id: String,
    /// What it is about: the labels of [`alert_labels`](super::alert_labels).
    pub matchers: Matchers,
    /// Who made it.
    pub author: String,
    /// Why.
    pub comment: String,
    /// From when on.
    pub start: Millis,
    /// Until when; the instant itself is not part of it.
    pub end: Millis,
}

impl Silence {
    /// Whether it is in force.
    pub fn is_active(&self, now: Millis) -> bool {
        (self.start..self.end).contains(&now)
    }

    /// Whether it holds back an alert.
    pub fn covers(&self, labels: &Labels, now: Millis) -> bool {
        self.is_active(now) && self.matchers.matches(labels)
    }

    /// Whether it is in force and will not be in `span_ms`: time to ask whether it should go on.
    pub fn expires_within(&self, span_ms: Millis, now: Millis) -> bool {
        self.is_active(now) && self.end <= now.saturating_add(span_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_holds_from_its_start_to_before_its_end() {
        let matchers = "team=db, instance=~\"db-.*\"".parse().unwrap();
        let (author, comment) = ("ana".to_owned(), "moving the disks".to_owned());
        let silence = Silence { id: "s".into(), matchers, author, comment, start: 1_000, end: 2_000 };
        let pairs = [("team", "db"), ("instance", "db-1")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        let own = Labels::new(pairs).unwrap();
        let covered: Vec<Millis> =
            [999, 1_000, 1_999, 2_000].into_iter().filter(|&now| silence.covers(&own, now)).collect();
        assert_eq!(covered, [1_000, 1_999]);
        let other = Labels::new([("team".to_owned(), "db".to_owned())]).unwrap();
        assert!(!silence.covers(&other, 1_500));
        assert!(silence.expires_within(600, 1_500) && !silence.expires_within(400, 1_500));
        assert!(!silence.expires_within(600, 2_000), "what is over does not expire");
    }
}
