//! Scores through the event rule that alerts in production: one event, one alert.

use super::dataset::in_order;
use super::metric::event::Span;
use crate::alert::{Point, PolicyRecord, replay};
use crate::config::AlertPolicy;
use crate::series::Millis;

/// The threshold of a batch that says nothing.
pub fn default_threshold() -> f64 {
    AlertPolicy::default().threshold
}

/// The alerts of a series under the policy of a batch that says nothing but this threshold:
/// rows at which they fired, to their last row that was not quiet.
pub fn alerts(timestamps: &[Millis], values: &[f64], scores: &[f64], threshold: f64) -> Vec<Span> {
    let policy = PolicyRecord::anomaly(&AlertPolicy { threshold, ..AlertPolicy::default() });
    let rows: Vec<(usize, Millis)> = in_order(timestamps).collect();
    let at = |column: &[f64], row: usize| column.get(row).copied().unwrap_or(f64::NAN);
    let point = |(row, time): &(usize, Millis)| Point {
        time: *time,
        value: at(values, *row),
        score: at(scores, *row),
        lower: f64::NAN,
        upper: f64::NAN,
        terms: Vec::new(),
    };
    let points: Vec<Point> = rows.iter().map(point).collect();
    // The first row at an instant or after it, and the last row before it.
    let first = |time: Millis| rows.get(rows.partition_point(|(_, t)| *t < time)).map(|(row, _)| *row);
    let before = |time: Millis| rows.get(rows.partition_point(|(_, t)| *t < time).checked_sub(1)?).map(|(row, _)| *row);
    let alerts = replay(&policy, Vec::new(), &points).into_iter();
    alerts
        .filter_map(|alert| {
            let from = first(alert.fired?)?;
            // What is still on ends after the last row.
            let end = alert.quiet_from().unwrap_or(Millis::MAX);
            Some(Span { from, to: before(end).unwrap_or(from).max(from) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_points_of_one_event_are_one_alert() {
        let times: Vec<Millis> = (0..100).map(|i| i * 60_000).collect();
        let mut scores = vec![0.0; 100];
        scores[20..25].fill(0.9);
        scores[30] = 0.85;
        scores[95] = 1.0;
        let alerts = alerts(&times, &[1.0; 100], &scores, default_threshold());
        assert_eq!(alerts, [Span { from: 20, to: 30 }, Span { from: 95, to: 95 }]);
    }
}
