//! How odd a raw score is, given those of the past: its tail, and what has happened before.

use std::f32::consts::LN_10;

use serde::Deserialize;

use crate::calibration::Tail;

/// Where the tail begins.
const SHARE: f64 = 0.95;
/// High scores with less time between them are one occasion.
pub const OCCASION_MS: i64 = 2 * 3_600_000;
/// What happened so many times, so far apart, is not rarer than that.
pub const RECURRENCES: usize = 3;
/// See [`RECURRENCES`].
const RECURRENCE_MS: i64 = 8 * 3_600_000;
/// The surprise that is a score of 1.
const FULL: f32 = 7.0;
const DAY_MS: u64 = 86_400_000;

/// The distribution of past raw scores.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Odds {
    /// Its tail.
    pub tail: Tail,
    /// The score that was reached on several occasions.
    pub often: f32,
    /// What it is surprising at most, for that.
    pub at_most: f32,
}

/// A tail as a model keeps it.
pub fn numbers(tail: Tail) -> [f32; 4] {
    [tail.median, tail.quantile, tail.excess, tail.level]
}

/// The tail of such numbers.
pub fn tail([median, quantile, excess, level]: [f32; 4]) -> Tail {
    Tail { median, quantile, excess, level }
}

impl Odds {
    /// Of scores that are in order of time, so many milliseconds apart. `floor` is the least scale of
    /// the tail that is believed. NaN is skipped; `None` if nothing else is there.
    pub fn of(scores: &[f32], apart_ms: i64, floor: f32) -> Option<Self> {
        let places = |ms: i64| (ms / apart_ms.max(1)).max(1) as usize;
        let tail = Tail::of(scores, SHARE, places(OCCASION_MS), floor)?;
        let at_most = (scores.len() as f32 / RECURRENCES as f32).log10();
        Some(Self { tail, often: recurring(scores, places(RECURRENCE_MS)), at_most })
    }

    /// −log10 of the probability of a score as large as this, by the tail, but no odder than what
    /// happened on several occasions, and beyond that as much odder as the tail says.
    pub fn surprise(&self, score: f32) -> f32 {
        let beyond = (score - self.often).max(0.0) / (self.tail.excess * LN_10);
        self.tail.surprise(score).min(self.at_most + beyond)
    }
}

/// The score that was reached on [`RECURRENCES`] occasions, `apart` places from each other.
pub fn recurring(scores: &[f32], apart: usize) -> f32 {
    let mut order: Vec<usize> = (0..scores.len()).filter(|&place| !scores[place].is_nan()).collect();
    let falling = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]);
    // Two occasions have no more places than these.
    let most = (RECURRENCES - 1) * (2 * apart - 1);
    if most < order.len() {
        order.select_nth_unstable_by(most, falling);
        order.truncate(most + 1);
    }
    order.sort_unstable_by(falling);
    let mut occasions: Vec<usize> = Vec::new();
    for place in order {
        if occasions.iter().all(|occasion| occasion.abs_diff(place) >= apart) {
            occasions.push(place);
        }
        if occasions.len() == RECURRENCES {
            return scores[place];
        }
    }
    f32::NEG_INFINITY
}

/// The score of a surprise, of a series of which so many columns were seen: one that is younger than
/// a day (at fine steps) has not been seen at its busiest.
pub fn score(surprise: f32, seen: u64, step_ms: u32) -> f64 {
    let day = (DAY_MS / u64::from(step_ms.max(1))).clamp(200, 1_440);
    f64::from((surprise / FULL).clamp(0.0, 1.0)) * (seen as f64 / day as f64).min(1.0)
}

/// On which side of the expectation a deviation counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// On either.
    #[default]
    Both,
    /// Above it.
    Above,
    /// Below it.
    Below,
}

impl Direction {
    /// Whether a deviation that leans so counts; one of which that is not known does.
    pub fn counts(self, lean: f32) -> bool {
        match self {
            Self::Both => true,
            Self::Above => lean.is_nan() || lean >= 0.0,
            Self::Below => lean.is_nan() || lean <= 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: i64 = 60_000;

    /// 4 days of small scores, with a large one every so many minutes.
    fn scores(every: usize) -> Vec<f32> {
        let small = |minute: usize| (minute as f32 * 0.618_034).fract();
        (0..4 * 1_440).map(|minute| if minute % every == every / 2 { 50.0 } else { small(minute) }).collect()
    }

    #[test]
    fn what_happens_every_day_is_no_surprise_and_what_happened_once_is() {
        let daily = Odds::of(&scores(1_440), MINUTE_MS, 0.0).unwrap();
        assert!(daily.surprise(50.0) < 4.0, "{daily:?}");
        assert!(daily.surprise(60.0) > 7.0, "{daily:?}");
        let once = Odds::of(&scores(4 * 1_440), MINUTE_MS, 0.0).unwrap();
        assert!(once.surprise(50.0) > 7.0, "{once:?}");
    }

    #[test]
    fn a_burst_is_one_occasion() {
        let mut burst = scores(usize::MAX);
        burst[2_000..2_200].fill(50.0);
        assert!(Odds::of(&burst, MINUTE_MS, 0.0).unwrap().often < 1.0);
    }

    #[test]
    fn a_score_is_a_seventh_of_the_surprise_and_less_while_a_series_is_young() {
        assert_eq!(score(3.5, 1_440, 60_000), 0.5);
        assert_eq!(score(9.0, 2_000, 60_000), 1.0);
        assert_eq!(score(7.0, 720, 60_000), 0.5);
    }
}
