//! Scores through the event rule that alerts in production: one event, one alert.

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
    let rows = timestamps.iter().zip(values).zip(scores);
    let points: Vec<Point> = rows
        .map(|((time, value), score)| Point {
            time: *time,
            value: *value,
            score: *score,
            lower: f64::NAN,
            upper: f64::NAN,
            terms: Vec::new(),
        })
        .collect();
    let mut track = Track::default();
    let mut changes = rule.watch(&mut track, &points).changes;
    // What is still on ends after the last row.
    changes.extend(rule.close(&mut track, timestamps.last().map_or(0, |last| last + 1)).changes);
    let row = |time: Millis| timestamps.partition_point(|t| *t < time);
    let over = changes.into_iter().filter(|change| change.news == News::Resolved);
    over.filter_map(|change| {
        let from = row(change.episode.fired?);
        let to = row(change.episode.ended?).saturating_sub(1).max(from);
        Some(Span { from, to })
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
