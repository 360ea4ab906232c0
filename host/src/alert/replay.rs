//! The event rule over points that are long past: what would have fired.
//!
//! It is the rule that alerts in production, shown all points at once, so that `recent_n`,
//! which is about how points come, has no say.

use super::event::{EventRule, News};
use super::marker::Marker;
use super::memory::{Episode, Track};
use super::policy::{Point, PolicyRecord};
use crate::config::JudgedGrid;
use crate::series::{Grid, Millis};
use crate::store::{Column, ScoreRow};

/// The alerts of a series that fire under a policy, in order; one that is still on at the last
/// point has no end. Points come in order of time.
pub fn replay(policy: &PolicyRecord, markers: Vec<&Marker>, points: &[Point]) -> Vec<Episode> {
    let policy = PolicyRecord { recent_n: None, ..policy.clone() };
    let rule = EventRule { policy: &policy, policy_id: "", markers, identify: &|_| String::new() };
    let mut track = Track::default();
    let changes = rule.watch(&mut track, points).changes;
    let over = changes.into_iter().filter(|change| change.news == News::Resolved).map(|change| change.episode);
    let on = track.episode().filter(|episode| episode.fired.is_some()).cloned();
    over.chain(on).collect()
}

/// The scored points of a series, ascending, each with the value that was judged: that of its
/// column of the grid. Of the columns that hold no score nothing is made.
pub fn judged(scores: Vec<ScoreRow>, values: &Column, judged: &JudgedGrid) -> Vec<Point> {
    let Some((first, last)) = scores.first().zip(scores.last()) else { return Vec::new() };
    let step = Millis::from(judged.step_ms.max(1));
    let grid = Grid::spanning(first.time, last.time.saturating_add(step), judged.step_ms);
    let values = grid.lay(&values.timestamps, &values.values, judged.aggregate);
    let point = |row: ScoreRow| {
        let column = usize::try_from((row.time - grid.start).div_euclid(step)).ok();
        let value = column.and_then(|column| values.get(column)).copied().unwrap_or(f64::NAN);
        Point { time: row.time, value, score: row.score, lower: row.lower, upper: row.upper, terms: row.terms }
    };
    scores.into_iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AlertPolicy;
    use crate::series::Aggregate;

    const MINUTE: Millis = 60_000;

    fn points(scores: &[f64]) -> Vec<Point> {
        let row = |(n, score): (Millis, &f64)| Point {
            time: n * MINUTE,
            value: 1.0,
            score: *score,
            lower: f64::NAN,
            upper: f64::NAN,
            terms: Vec::new(),
        };
        (0..).zip(scores).map(row).collect()
    }

    #[test]
    fn what_is_still_on_has_no_end_and_what_never_fired_is_left_out() {
        let mut scores = vec![0.0; 60];
        scores[10..13].fill(0.9);
        scores[55..].fill(0.95);
        let alerts = |alert: AlertPolicy| {
            let alerts = replay(&PolicyRecord::anomaly(&alert), Vec::new(), &points(&scores));
            alerts.into_iter().map(|a| (a.started / MINUTE, a.ended.map(|end| end / MINUTE))).collect::<Vec<_>>()
        };
        assert_eq!(alerts(AlertPolicy::default()), [(10, Some(13)), (55, None)]);
        let lasting = AlertPolicy { for_ms: 4 * MINUTE, recent_n: Some(1), ..AlertPolicy::default() };
        assert_eq!(alerts(lasting), [(55, None)], "however new a point has to be in a run");
    }

    #[test]
    fn a_score_is_judged_with_the_value_of_its_column() {
        let row = |time| ScoreRow { time, score: 0.5, lower: 0.0, upper: 1.0, terms: Vec::new() };
        let values = Column { timestamps: vec![60_000, 90_000, 190_000], values: vec![1.0, 3.0, 7.0] };
        let grid = JudgedGrid { step_ms: 60_000, aggregate: Aggregate::Mean };
        let points = judged(vec![row(60_000), row(120_000), row(180_000)], &values, &grid);
        assert_eq!((points[0].value, points[2].value), (2.0, 7.0));
        assert!(points[1].value.is_nan());
    }
}
