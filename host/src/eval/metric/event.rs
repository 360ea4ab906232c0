//! Alerts against labelled events: what a user counts.
//!
//! An event is a run of labelled rows. It is found by an alert that is on in one of them. An
//! alert that meets no event is false; one that meets several finds them all.

use super::runs;

/// An alert: on from one row to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The row at which it began to fire.
    pub from: usize,
    /// Its last row.
    pub to: usize,
}

/// Alerts and events of a series, counted. Counts of several series can be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events that there are.
    pub events: usize,
    /// Events that were found.
    pub found: usize,
    /// Alerts.
    pub alerts: usize,
    /// Alerts that met an event.
    pub right: usize,
    /// Of each event that was found: the rows from its beginning to the alert, or 0.
    pub delays: Vec<usize>,
}

impl Tally {
    /// Counts; `alerts` ascend.
    pub fn of(labels: &[bool], alerts: &[Span]) -> Self {
        let events = runs(labels);
        let meets = |alert: &Span, (first, last): &(usize, usize)| alert.from <= *last && alert.to >= *first;
        let finder = |event| alerts.iter().find(|alert| meets(alert, event)).map(|alert| (alert, event));
        let found: Vec<_> = events.iter().filter_map(finder).collect();
        Self {
            events: events.len(),
            found: found.len(),
            alerts: alerts.len(),
            right: alerts.iter().filter(|alert| events.iter().any(|event| meets(alert, event))).count(),
            delays: found.iter().map(|(alert, (first, _))| alert.from.saturating_sub(*first)).collect(),
        }
    }

    /// Adds another series.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.found += other.found;
        self.alerts += other.alerts;
        self.right += other.right;
        self.delays.extend_from_slice(&other.delays);
    }

    /// The share of alerts that were right; `None` without alerts.
    pub fn precision(&self) -> Option<f64> {
        (self.alerts > 0).then(|| self.right as f64 / self.alerts as f64)
    }

    /// The share of events that were found; `None` without events.
    pub fn recall(&self) -> Option<f64> {
        (self.events > 0).then(|| self.found as f64 / self.events as f64)
    }

    /// The harmonic mean of both; 0 where there are events and no alert; `None` without events.
    pub fn f1(&self) -> Option<f64> {
        let recall = self.recall()?;
        let precision = self.precision().unwrap_or(0.0);
        Some(if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 })
    }

    /// The median of the delays, in rows.
    pub fn delay(&self) -> Option<f64> {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        let upper = *delays.get(delays.len() / 2)?;
        let lower = *delays.get(delays.len().saturating_sub(1) / 2)?;
        Some((lower + upper) as f64 / 2.0)
    }
}

/// Whether the highest score lies at the one labelled event, give or take its length and at
/// least 100 rows: how the UCR archive is scored. `None` where there is not exactly one event.
pub fn top_is_right(labels: &[bool], scores: &[f64]) -> Option<bool> {
    let [(first, last)] = *runs(labels) else { return None };
    let slack = (last - first + 1).max(100);
    let mut top: Option<(usize, f64)> = None;
    for (row, score) in scores.iter().copied().enumerate() {
        if top.is_none_or(|(_, most)| score > most) {
            top = Some((row, score));
        }
    }
    top.map(|(row, _)| row + slack >= first && row <= last + slack)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(rows: usize, events: &[(usize, usize)]) -> Vec<bool> {
        (0..rows).map(|row| events.iter().any(|(first, last)| (*first..=*last).contains(&row))).collect()
    }

    #[test]
    fn an_alert_is_right_where_it_meets_an_event() {
        let labels = labels(100, &[(10, 19), (50, 50), (90, 99)]);
        let alerts = [
            Span { from: 12, to: 14 },
            Span { from: 17, to: 30 },
            Span { from: 45, to: 60 },
            Span { from: 70, to: 71 },
        ];
        let tally = Tally::of(&labels, &alerts);
        assert_eq!((tally.events, tally.found, tally.alerts, tally.right), (3, 2, 4, 3));
        assert_eq!(tally.delays, [2, 0]);
        assert_eq!(tally.precision(), Some(0.75));
        assert_eq!(tally.recall(), Some(2.0 / 3.0));
        assert!((tally.f1().unwrap() - 12.0 / 17.0).abs() < 1e-12);
        assert_eq!(tally.delay(), Some(1.0));
    }

    #[test]
    fn silence_where_nothing_is_labelled_is_no_fault() {
        let quiet = Tally::of(&[false; 10], &[]);
        assert_eq!((quiet.precision(), quiet.recall(), quiet.f1(), quiet.delay()), (None, None, None, None));
        assert_eq!(Tally::of(&labels(10, &[(1, 1)]), &[]).f1(), Some(0.0));
    }

    #[test]
    fn the_top_may_miss_by_a_hundred_rows() {
        let labels = labels(1000, &[(500, 510)]);
        let top = |row: usize| {
            let mut scores = vec![0.0; 1000];
            scores[row] = 1.0;
            top_is_right(&labels, &scores)
        };
        assert_eq!([top(400), top(610), top(399), top(611)], [Some(true), Some(true), Some(false), Some(false)]);
        assert_eq!(top_is_right(&[false; 3], &[0.0; 3]), None);
    }
}
