//! Fewer rows than points, and every extreme among them.
//!
//! Values and scores of a series become rows of one time axis. Where there are more than asked
//! for, each row stands for a bucket of time, aligned to its length so that a bucket is the same
//! whoever asks, and has the smallest and the largest value, the highest score and the widest
//! band in it: nothing that stands out is lost, as it would be in a mean. A gap stays one: between
//! two rows that are far apart stands a row of nothing.

use std::ops::Range;

use crate::series::Millis;
use crate::store::{Column, ScoreRow};

/// How many times the step two points must be apart for a gap between them.
const GAP_STEPS: f64 = 2.5;
/// How many distances between points their step is judged by.
const STEP_SAMPLE: usize = 4_096;

/// Rows on one time axis; NaN stands for nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rows {
    /// When: the first point of the row.
    pub times: Vec<Millis>,
    /// The smallest value.
    pub least: Vec<f64>,
    /// The largest value.
    pub most: Vec<f64>,
    /// The highest score.
    pub score: Vec<f64>,
    /// Which of the scores that is.
    pub scored: Vec<Option<usize>>,
    /// The lowest lower edge.
    pub lower: Vec<f64>,
    /// The highest upper edge.
    pub upper: Vec<f64>,
    /// How long the bucket of a row is; `None`: rows are points.
    pub bucket_ms: Option<Millis>,
    /// How many points there were.
    pub points: usize,
}

/// A point of both.
#[derive(Clone, Copy)]
struct Point {
    time: Millis,
    value: f64,
    /// Its place among the scores.
    scored: Option<usize>,
}

/// Values and scores, both ascending, as about `most` rows. `judged_ms` is how long a score
/// stands for: values in that time after it have it.
pub(super) fn downsample(
    values: &Column,
    scores: &[ScoreRow],
    span: &Range<Millis>,
    judged_ms: Millis,
    most: usize,
) -> Rows {
    let points = joined(values, scores, judged_ms);
    let most = Millis::try_from(most.max(1)).unwrap_or(Millis::MAX);
    let fits = Millis::try_from(points.len()).is_ok_and(|count| count <= most);
    let bucket = (!fits).then(|| span.end.saturating_sub(span.start).max(0) / most + 1);
    let step = step(&points);
    let gap = ((step as f64 * GAP_STEPS) as Millis).max(bucket.unwrap_or(0));
    let mut rows = Rows { bucket_ms: bucket, points: points.len(), ..Rows::default() };
    // The last point that had a value.
    let mut before: Option<Millis> = None;
    let mut open: Option<Millis> = None;
    for point in points {
        let own = bucket.map_or(point.time, |bucket| point.time.div_euclid(bucket));
        let is_there = !point.value.is_nan();
        if open != Some(own) {
            open = Some(own);
            if let Some(before) = before.filter(|before| is_there && point.time - before > gap) {
                rows.add_nothing(before.saturating_add(step));
            }
            rows.add(point.time);
        }
        rows.widen(&point, scores);
        if is_there {
            before = Some(point.time);
        }
    }
    rows
}

impl Rows {
    fn add(&mut self, time: Millis) {
        self.times.push(time);
        for column in [&mut self.least, &mut self.most, &mut self.score, &mut self.lower, &mut self.upper] {
            column.push(f64::NAN);
        }
        self.scored.push(None);
    }

    /// A row for a gap, unless there already is one: a score without a value is a row, too.
    fn add_nothing(&mut self, time: Millis) {
        if self.least.last().is_some_and(|value| !value.is_nan()) {
            self.add(time);
        }
    }

    /// Takes a point into the last row.
    fn widen(&mut self, point: &Point, scores: &[ScoreRow]) {
        // The smaller and the larger of two are the other one where one is NaN.
        let widen = |column: &mut Vec<f64>, with: fn(f64, f64) -> f64, value: f64| {
            if let Some(last) = column.last_mut() {
                *last = with(*last, value);
            }
        };
        widen(&mut self.least, f64::min, point.value);
        widen(&mut self.most, f64::max, point.value);
        let Some((index, row)) = point.scored.and_then(|index| Some((index, scores.get(index)?))) else { return };
        widen(&mut self.lower, f64::min, row.lower);
        widen(&mut self.upper, f64::max, row.upper);
        if let (Some(score), Some(scored)) = (self.score.last_mut(), self.scored.last_mut())
            && (score.is_nan() || *score < row.score)
        {
            (*score, *scored) = (row.score, Some(index));
        }
    }
}

/// Each value with the score of its column, and the scores of columns without a value.
fn joined(values: &Column, scores: &[ScoreRow], judged_ms: Millis) -> Vec<Point> {
    let mut points = Vec::with_capacity(values.values.len().max(scores.len()));
    let mut next = scores.iter().enumerate().peekable();
    // The score whose column goes on, and whether a value has it.
    let mut current: Option<(usize, Millis, bool)> = None;
    let alone = |(index, time, has_value): (usize, Millis, bool)| {
        (!has_value).then_some(Point { time, value: f64::NAN, scored: Some(index) })
    };
    for (time, value) in values.timestamps.iter().zip(&values.values) {
        while let Some((index, row)) = next.next_if(|(_, row)| row.time <= *time) {
            points.extend(current.replace((index, row.time, false)).and_then(alone));
        }
        let holds = current.as_mut().filter(|(_, begun, _)| time.saturating_sub(*begun) < judged_ms.max(1));
        let scored = holds.map(|(index, _, has_value)| {
            *has_value = true;
            *index
        });
        if scored.is_none() {
            points.extend(current.take().and_then(alone));
        }
        points.push(Point { time: *time, value: *value, scored });
    }
    points.extend(current.and_then(alone));
    points.extend(next.filter_map(|(index, row)| alone((index, row.time, false))));
    points
}

/// How far apart points are: the median of the first few thousand distances.
fn step(points: &[Point]) -> Millis {
    let distances = points.windows(2).filter_map(|pair| Some(pair.last()?.time - pair.first()?.time));
    let mut distances: Vec<Millis> = distances.take(STEP_SAMPLE).collect();
    if distances.is_empty() {
        return Millis::MAX / 8;
    }
    let middle = distances.len() / 2;
    *distances.select_nth_unstable(middle).1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Millis = 60_000;

    fn score(time: Millis, score: f64) -> ScoreRow {
        ScoreRow { time, score, lower: -score, upper: score, terms: Vec::new() }
    }

    fn of(values: &[(Millis, f64)], scores: &[ScoreRow], most: usize) -> Rows {
        let (timestamps, values) = values.iter().copied().unzip();
        downsample(&Column { timestamps, values }, scores, &(0..1_000 * MINUTE), MINUTE, most)
    }

    #[test]
    fn few_points_stay_as_they_are() {
        let rows = of(&[(0, 1.0), (MINUTE, 2.0)], &[score(0, 0.1), score(MINUTE, 0.9)], 10);
        assert_eq!((rows.times, rows.bucket_ms), (vec![0, MINUTE], None));
        assert_eq!((rows.least, rows.score, rows.upper), (vec![1.0, 2.0], vec![0.1, 0.9], vec![0.1, 0.9]));
    }

    #[test]
    fn a_gap_is_a_row_of_nothing_and_not_a_line_across() {
        let values: Vec<_> = [0, 1, 2, 9, 10].map(|minute| (minute * MINUTE, 1.0)).into();
        let rows = of(&values, &[], 100);
        assert_eq!(rows.times, [0, 1, 2, 3, 9, 10].map(|minute| minute * MINUTE));
        assert!(rows.least[3].is_nan());
        let many: Vec<_> = (0..1_000).filter(|m| !(300..600).contains(m)).map(|m| (m * MINUTE, 1.0)).collect();
        let rows = of(&many, &[], 50);
        assert_eq!(rows.least.iter().filter(|value| value.is_nan()).count(), 1);
        assert!(rows.times.len() <= 52);
    }

    #[test]
    fn a_score_stands_for_the_values_of_its_column_and_alone_where_there_is_none() {
        let values = [(7_000, 1.0), (37_000, 2.0), (2 * MINUTE + 7_000, 3.0)];
        let rows = of(&values, &[score(0, 0.5), score(MINUTE, 0.7)], 100);
        assert_eq!(rows.times, [7_000, 37_000, MINUTE, 2 * MINUTE + 7_000]);
        assert_eq!(rows.score[..3], [0.5, 0.5, 0.7]);
        assert!(rows.least[2].is_nan() && rows.score[3].is_nan());
    }

    proptest! {
        #[test]
        fn no_extreme_is_lost_and_no_more_rows_come_than_twice_what_is_asked_for(
            points in proptest::collection::btree_map(0_i64..1_000, (-1e3..1e3, 0.0..1.0_f64), 1..400),
            most in 1_usize..100,
        ) {
            let values: Vec<_> = points.iter().map(|(minute, (value, _))| (minute * MINUTE, *value)).collect();
            let scores: Vec<_> = points.iter().map(|(minute, (_, s))| score(minute * MINUTE, *s)).collect();
            let rows = of(&values, &scores, most);
            let extreme = |column: &[f64], with: fn(f64, f64) -> f64| column.iter().copied().fold(f64::NAN, with);
            let all: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
            prop_assert_eq!(extreme(&rows.least, f64::min), extreme(&all, f64::min));
            prop_assert_eq!(extreme(&rows.most, f64::max), extreme(&all, f64::max));
            let odd: Vec<f64> = scores.iter().map(|row| row.score).collect();
            prop_assert_eq!(extreme(&rows.score, f64::max), extreme(&odd, f64::max));
            prop_assert!(rows.times.is_sorted_by(|a, b| a < b));
            prop_assert!(rows.times.len() <= 2 * most + 2, "{} rows for {}", rows.times.len(), most);
        }
    }
}
