//! Scores through the event rule that alerts in production: one event, one alert.

use super::dataset::{Labelled, in_order};
use super::metric::event::Span;
use super::replay::Band;
use crate::alert::{Point, PolicyRecord, replay};
use crate::config::AlertPolicy;
use crate::series::Millis;

/// The threshold of a batch that says nothing.
pub fn default_threshold() -> f64 {
    AlertPolicy::default().threshold
}

/// The alerts of a series under the policy of a batch that says nothing but this threshold:
/// rows at which they fired, to the last row before they were over. `scores` and `bands` are one a row.
pub fn alerts(series: &Labelled, scores: &[f64], bands: &[Option<Band>], threshold: f64) -> Vec<Span> {
    let policy = PolicyRecord::anomaly(&AlertPolicy { threshold, ..AlertPolicy::default() });
    let rows: Vec<(usize, Millis)> = in_order(&series.timestamps).collect();
    let at = |column: &[f64], row: usize| column.get(row).copied().unwrap_or(f64::NAN);
    let point = |(row, time): &(usize, Millis)| {
        let [lower, upper] = bands.get(*row).copied().flatten().map_or([f64::NAN; 2], |band| band.map(f64::from));
        let (value, score) = (at(&series.values, *row), at(scores, *row));
        Point { time: *time, value, score, lower, upper, terms: Vec::new() }
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
            let end = alert.over_from().unwrap_or(Millis::MAX);
            Some(Span { from, to: before(end).unwrap_or(from).max(from) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_points_of_one_event_are_one_alert() {
        let mut scores = vec![0.0; 100];
        scores[20..25].fill(0.9);
        scores[30] = 0.85;
        scores[95] = 1.0;
        let timestamps = (0..100).map(|i| i * 60_000).collect();
        let series = Labelled { timestamps, values: vec![1.0; 100], ..Labelled::default() };
        let alerts = alerts(&series, &scores, &[], default_threshold());
        assert_eq!(alerts, [Span { from: 20, to: 30 }, Span { from: 95, to: 95 }]);
    }

    #[test]
    fn what_is_back_in_its_band_is_over_as_in_production() {
        let (mut values, mut scores) = (vec![1.0; 100], vec![0.1; 100]);
        values[20..28].fill(9.0);
        scores[20..90].fill(0.9);
        let series = Labelled { timestamps: (0..100).map(|i| i * 60_000).collect(), values, ..Labelled::default() };
        let spans = |bands: &[Option<Band>]| alerts(&series, &scores, bands, default_threshold());
        assert_eq!(spans(&[]), [Span { from: 20, to: 89 }]);
        assert_eq!(spans(&[Some([0.0, 2.0]); 100]), [Span { from: 20, to: 27 }]);
    }
}
