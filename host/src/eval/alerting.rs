//! Scores through the event rule that alerts in production: one event, one alert.

use super::dataset::in_order;
use super::metric::event::Span;
use crate::alert::{EventRule, News, Point, PolicyRecord, Track};
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
    let rule = EventRule { policy: &policy, policy_id: "", markers: Vec::new(), identify: &|_| String::new() };
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
    let mut track = Track::default();
    let mut changes = rule.watch(&mut track, &points).changes;
    // What is still on ends after the last row.
    changes.extend(rule.close(&mut track, rows.last().map_or(0, |(_, last)| last + 1)).changes);
    // The first row at an instant or after it, and the last row before it.
    let first = |time: Millis| rows.get(rows.partition_point(|(_, t)| *t < time)).map(|(row, _)| *row);
    let before = |time: Millis| rows.get(rows.partition_point(|(_, t)| *t < time).checked_sub(1)?).map(|(row, _)| *row);
    let over = changes.into_iter().filter(|change| change.news == News::Resolved);
    over.filter_map(|change| {
        let from = first(change.episode.fired?)?;
        Some(Span { from, to: before(change.episode.ended?).unwrap_or(from).max(from) })
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
