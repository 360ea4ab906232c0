//! Turns raw scores into surprises: −log10 of the probability that an ordinary point
//! scores as much.
//!
//! The tail above a high quantile is taken to be exponential. Its scale is the *median*
//! excess over the quantile divided by ln 2, which is the maximum-likelihood mean of an
//! exponential made robust: a few past anomalies among the scores do not stretch it. One
//! standard error is added to it. Scores that exceed the quantile together are one piece
//! of evidence, as in the runs declustering of extreme values: a series that wanders
//! slowly has shown little of what it can do, however many minutes it was watched.

use std::f32::consts::{LN_2, LN_10};

/// Exceedances that the tail rests on at least; a short past is judged at a lower quantile.
const EXCEEDANCES: f64 = 10.0;

/// The distribution of the past raw scores of one detector.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tail {
    /// The middle of the past scores.
    pub median: f32,
    /// Where the tail begins.
    pub quantile: f32,
    /// The scale of the exponential tail.
    pub excess: f32,
    /// −log10 of the share of scores in the tail.
    pub level: f32,
}

impl Tail {
    /// The tail above their quantile `share` of `scores`, which are in order of time.
    /// Exceedances with fewer than `apart` ordinary scores between them are one. `floor` is
    /// the least scale that is believed, in units of the scores. NaN is skipped; `None` if
    /// nothing else is there.
    pub fn of(scores: &[f32], share: f64, apart: usize, floor: f32, err: f32) -> Option<Self> {
        let mut sorted: Vec<f32> = scores.iter().copied().filter(|s| s.is_finite()).collect();
        let share = share.min(1.0 - crate::ensemble::knob("exc", EXCEEDANCES) / sorted.len() as f64).max(0.5);
        let median = quantile(&mut sorted, 0.5)?;
        let quantile = quantile(&mut sorted, share)?;
        let (mut over, mut occasions, mut ordinary) = (Vec::new(), 0u32, usize::MAX);
        for &score in scores {
            if score > quantile && score.is_finite() {
                occasions += u32::from(ordinary >= apart);
                ordinary = 0;
                over.push(score - quantile);
            } else {
                ordinary = ordinary.saturating_add(1);
            }
        }
        let mean = self::quantile(&mut over, 0.5).unwrap_or(0.0) / LN_2;
        let error = 1.0 / (LN_2 * (occasions.max(1) as f32).sqrt());
        let excess = (mean * (1.0 + err * error)).max(0.05 * (quantile - median)).max(floor);
        Some(Self { median, quantile, excess, level: -(1.0 - share).log10() as f32 })
    }

    /// −log10 of the probability of a score as large as this. NaN stays NaN.
    pub fn surprise(&self, score: f32) -> f32 {
        if score > self.quantile {
            self.level + (score - self.quantile) / (self.excess * LN_10)
        } else {
            let body = ((score - self.median) / (self.quantile - self.median)).clamp(0.0, 1.0);
            // 0/0, where all past scores are equal, is no surprise.
            if body.is_nan() && !score.is_nan() { 0.0 } else { self.level * body }
        }
    }

    /// The score of a surprise that lies in the tail.
    pub fn score(&self, surprise: f32) -> f32 {
        self.quantile + (surprise - self.level).max(0.0) * self.excess * LN_10
    }
}

/// The value at `share` of the sorted values, which are reordered; `None` if there are
/// none. No NaN may be among them.
pub fn quantile(values: &mut [f32], share: f64) -> Option<f32> {
    let index = (share * values.len().checked_sub(1)? as f64).round() as usize;
    Some(*values.select_nth_unstable_by(index, f32::total_cmp).1)
}

/// The median of the values that are not NaN, which are reordered; NaN if there are none.
pub fn median(values: &mut Vec<f32>) -> f32 {
    values.retain(|v| !v.is_nan());
    quantile(values, 0.5).unwrap_or(f32::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Exponential scores by their quantile function, the large ones far from each other.
    fn exponential(n: usize) -> Vec<f32> {
        (0..n).map(|i| -(1.0 - (i as f64 * 0.618_033_988_75).fract()).ln() as f32).collect()
    }

    #[test]
    fn surprise_is_the_tail_probability_far_beyond_what_was_seen() {
        let tail = Tail::of(&exponential(8000), 0.98, 1, 0.0).unwrap();
        for decades in [2.0f32, 4.0, 6.0] {
            let told = tail.surprise(decades * LN_10);
            assert!((0.85 * decades..1.02 * decades).contains(&told), "{decades} decades are told as {told}");
        }
        assert!((tail.score(5.0) - 5.0 * LN_10).abs() < 2.0);
    }

    #[test]
    fn past_anomalies_do_not_blunt_it() {
        let mut scores = exponential(4000);
        let clean = Tail::of(&scores, 0.95, 1, 0.0).unwrap();
        scores.iter_mut().step_by(200).for_each(|s| *s = 1e6);
        let dirty = Tail::of(&scores, 0.95, 1, 0.0).unwrap();
        assert!(dirty.surprise(12.0) > 0.7 * clean.surprise(12.0));
    }

    #[test]
    fn what_exceeds_together_is_little_evidence() {
        let scattered = exponential(4000);
        let mut gathered = scattered.clone();
        gathered.sort_by(f32::total_cmp);
        let surprise = |scores: &[f32]| Tail::of(scores, 0.95, 10, 0.0).unwrap().surprise(12.0);
        assert!(surprise(&gathered) < 0.7 * surprise(&scattered));
    }

    #[test]
    fn equal_scores_are_no_surprise_and_anything_else_is() {
        let tail = Tail::of(&[0.0; 100], 0.95, 1, 1e-6).unwrap();
        assert_eq!(tail.surprise(0.0), 0.0);
        assert!(tail.surprise(0.1) > 6.0);
        assert!(tail.surprise(f32::NAN).is_nan());
        assert_eq!(Tail::of(&[f32::NAN], 0.95, 1, 1e-6), None);
    }
}
