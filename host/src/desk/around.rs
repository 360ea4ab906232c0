//! A series around an alert: what came, what was expected and how it was scored, from well
//! before its first point to well after its last, thinned to what a picture can show.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Desk, DeskError, instant};
use crate::series::Millis;
use crate::store::AlertRecord;

const DAY_MS: Millis = 86_400_000;
/// Columns of the grid that are shown before an alert at least.
const BEFORE: Millis = 60;
/// The longest span that is read.
const LONGEST_MS: Millis = 14 * DAY_MS;
/// Pieces into which the span is cut; of each, the lowest and the highest value are kept.
const PIECES: usize = 240;

/// A point of the picture of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AroundPoint {
    /// When.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub time: Millis,
    /// What came.
    pub value: f64,
    /// Its score.
    pub score: Option<f64>,
    /// The lower edge of what was expected.
    pub lower: Option<f64>,
    /// The upper edge.
    pub upper: Option<f64>,
}

/// The span to show, and the points in it.
pub(super) fn around(desk: &Desk<'_>, alert: &AlertRecord) -> Result<(Range<Millis>, Vec<AroundPoint>), DeskError> {
    let step = desk.batches.get(&alert.key).map_or(60_000, |batch| Millis::from(batch.judged.step_ms.max(1)));
    let end = alert.ended.unwrap_or(desk.now).max(alert.started.saturating_add(step));
    let before = (end - alert.started).max(step.saturating_mul(BEFORE));
    let to = end.saturating_add(before / 2).min(desk.now.max(end)).saturating_add(step);
    let from = alert.started.saturating_sub(before).max(to.saturating_sub(LONGEST_MS));
    let (span, series) = (from..to, [alert.series]);
    let values = desk.store.values(&alert.key, &series, span.clone())?.pop().unwrap_or_default();
    let scores = desk.store.scores(&alert.key, &series, span.clone())?.pop().unwrap_or_default();
    let known = |value: f64| value.is_finite().then_some(value);
    let point = |(time, value): (Millis, f64)| {
        // The score is that of the column in which the sample lies.
        let column = scores.rows.partition_point(|row| row.time <= time).checked_sub(1);
        let row = column.and_then(|at| scores.rows.get(at)).filter(|row| time - row.time < step);
        AroundPoint {
            time,
            value,
            score: row.and_then(|row| known(row.score)),
            lower: row.and_then(|row| known(row.lower)),
            upper: row.and_then(|row| known(row.upper)),
        }
    };
    let points = values.timestamps.into_iter().zip(values.values).filter(|(_, value)| value.is_finite()).map(point);
    Ok((span.clone(), thinned(points.collect(), &span)))
}

/// The lowest and the highest value of each piece of the span, in order; the higher score of a
/// piece goes with both, so that none is lost.
fn thinned(points: Vec<AroundPoint>, span: &Range<Millis>) -> Vec<AroundPoint> {
    if points.len() <= 2 * PIECES {
        return points;
    }
    // Rounded up, so that there are no more pieces than that.
    let piece = ((span.end - span.start - 1) / PIECES as Millis + 1).max(1);
    let mut kept = Vec::new();
    for some in points.chunk_by(|a, b| (a.time - span.start) / piece == (b.time - span.start) / piece) {
        let score = some.iter().filter_map(|point| point.score).max_by(f64::total_cmp);
        let lowest = some.iter().min_by(|a, b| a.value.total_cmp(&b.value));
        let highest = some.iter().max_by(|a, b| a.value.total_cmp(&b.value));
        let mut both: Vec<&AroundPoint> = lowest.into_iter().chain(highest).collect();
        both.sort_by_key(|point| point.time);
        both.dedup_by_key(|point| point.time);
        kept.extend(both.into_iter().map(|point| AroundPoint { score, ..point.clone() }));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_extremes_and_the_highest_score_of_a_piece() {
        let span = 0..10_000;
        let point = |time: Millis| AroundPoint {
            time,
            value: if time == 4_321 { 99.0 } else { 1.0 },
            score: Some(if time == 4_325 { 1.0 } else { 0.1 }),
            lower: None,
            upper: None,
        };
        let thin = thinned(span.clone().map(point).collect(), &span);
        assert!(thin.len() <= 2 * PIECES + 2, "{}", thin.len());
        assert!(thin.iter().any(|point| point.time == 4_321 && point.value == 99.0));
        assert!(thin.iter().any(|point| point.score == Some(1.0)));
        assert!(thin.is_sorted_by_key(|point| point.time));
    }
}
