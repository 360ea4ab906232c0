//! How anomalous series were in a span: the scores over the threshold among all, and their mean.
//!
//! It is counted from the stored scores, a few series at a time, so that a large batch takes
//! time and not memory. What would take more than `limits.overview_points` scores is counted from
//! every n-th series, or refused where each of them matters.

use std::ops::Range;

use super::{Desk, DeskError};
use crate::config::BatchKey;
use crate::series::Millis;
use crate::store::{SeriesId, SeriesRecord};

/// The step of a batch that is no longer configured, in milliseconds.
const STEP_MS: Millis = 60_000;
/// Scores that are in memory at once.
const AT_ONCE: usize = 500_000;

/// What scores came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Points that have a score.
    pub scored: u64,
    /// Those that reach the threshold.
    pub over: u64,
    /// The sum of all scores.
    pub sum: f64,
    /// The highest, and when it was.
    pub worst: Option<(Millis, f64)>,
}

impl Tally {
    pub fn add(&mut self, time: Millis, score: f64, threshold: f64) {
        self.scored += 1;
        self.over += u64::from(score >= threshold);
        self.sum += score;
        if self.worst.is_none_or(|(_, worst)| score > worst) {
            self.worst = Some((time, score));
        }
    }

    pub fn join(&mut self, other: &Self) {
        self.scored += other.scored;
        self.over += other.over;
        self.sum += other.sum;
        if let Some((time, score)) = other.worst
            && self.worst.is_none_or(|(_, worst)| score > worst)
        {
            self.worst = Some((time, score));
        }
    }

    /// The share of points over the threshold; `None` where nothing has a score.
    pub fn rate(&self) -> Option<f64> {
        (self.scored > 0).then(|| self.over as f64 / self.scored as f64)
    }

    /// The mean score.
    pub fn mean(&self) -> Option<f64> {
        (self.scored > 0).then(|| self.sum / self.scored as f64)
    }
}

/// A span cut into buckets of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Buckets {
    pub start: Millis,
    pub length: Millis,
    pub count: usize,
}

impl Buckets {
    /// So many buckets that end at the end of a span and reach over all of it.
    pub fn of(span: &Range<Millis>, count: usize) -> Self {
        let wide = span.end.saturating_sub(span.start).max(1);
        let parts = Millis::try_from(count.max(1)).unwrap_or(1);
        let length = wide.div_euclid(parts) + Millis::from(wide.rem_euclid(parts) > 0);
        Self { start: span.end.saturating_sub(length.saturating_mul(parts)), length, count: count.max(1) }
    }

    pub fn end(&self) -> Millis {
        self.start.saturating_add(self.length.saturating_mul(Millis::try_from(self.count).unwrap_or(Millis::MAX)))
    }

    fn at(&self, time: Millis) -> Option<usize> {
        usize::try_from(time.saturating_sub(self.start).div_euclid(self.length.max(1))).ok()
    }
}

impl Desk<'_> {
    /// How many scores a batch can have in a span.
    pub(super) fn scores_in(&self, key: &BatchKey, series: usize, span: &Range<Millis>) -> usize {
        series.saturating_mul(self.columns(key, span))
    }

    fn columns(&self, key: &BatchKey, span: &Range<Millis>) -> usize {
        let step = self.batches.get(key).map_or(STEP_MS, |batch| Millis::from(batch.judged.step_ms));
        usize::try_from(span.end.saturating_sub(span.start) / step.max(1)).unwrap_or(0).max(1)
    }

    /// Counts the scores of series, a row of buckets each, and passes each row on.
    pub(super) fn tally<'s>(
        &self,
        key: &BatchKey,
        series: &[&'s SeriesRecord],
        buckets: Buckets,
        mut each: impl FnMut(&'s SeriesRecord, Vec<Tally>),
    ) -> Result<(), DeskError> {
        let (threshold, span) = (self.threshold(key), buckets.start..buckets.end());
        let at_once = (AT_ONCE / self.columns(key, &span)).max(1);
        for some in series.chunks(at_once) {
            let ids: Vec<SeriesId> = some.iter().map(|series| series.id).collect();
            let columns = self.store.levels(key, &ids, span.clone())?;
            for (series, scores) in some.iter().zip(columns) {
                let mut row = vec![Tally::default(); buckets.count];
                for (time, score) in scores {
                    if let Some(tally) = buckets.at(time).and_then(|at| row.get_mut(at)) {
                        tally.add(time, score, threshold);
                    }
                }
                each(series, row);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_reach_over_all_of_a_span_and_end_with_it() {
        let buckets = Buckets::of(&(0..100), 3);
        assert_eq!((buckets.start, buckets.length, buckets.end()), (-2, 34, 100));
        assert_eq!([0, 31, 32, 99].map(|time| buckets.at(time)), [Some(0), Some(0), Some(1), Some(2)]);
        assert_eq!(buckets.at(-3), None);
    }

    #[test]
    fn the_rate_is_the_share_of_scored_points_and_nothing_has_none() {
        let mut tally = Tally::default();
        assert_eq!((tally.rate(), tally.mean()), (None, None));
        for (time, score) in [(1, 0.2), (2, 0.8), (3, 1.0), (4, 0.0)] {
            tally.add(time, score, 0.8);
        }
        assert_eq!((tally.rate(), tally.mean(), tally.worst), (Some(0.5), Some(0.5), Some((3, 1.0))));
    }
}
