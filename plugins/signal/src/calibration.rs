//! Turns raw scores into surprises: −log10 of the probability that an ordinary point
//! scores as much ([`Tail`]), or that a run of such points begins ([`Peaks`]).
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
    pub fn of(scores: &[f32], share: f64, apart: usize, floor: f32) -> Option<Self> {
        let sorted: Vec<f32> = scores.iter().copied().filter(|s| s.is_finite()).collect();
        let share = share.min(1.0 - EXCEEDANCES / sorted.len() as f64).max(0.5);
        let median = quantile(&sorted, 0.5)?;
        let quantile = quantile(&sorted, share)?;
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
        let mean = self::quantile(&over, 0.5).unwrap_or(0.0) / LN_2;
        let error = 1.0 / (LN_2 * (occasions.max(1) as f32).sqrt());
        let excess = (mean * (1.0 + error)).max(0.05 * (quantile - median)).max(floor);
        Some(Self { median, quantile, excess, level: -(1.0 - share).log10() as f32 })
    }

    /// −log10 of the probability of a score as large as this. NaN stays NaN.
    pub fn surprise(&self, score: f32) -> f32 {
        if score > self.quantile {
            self.level + (score - self.quantile) / (self.excess * LN_10)
        } else {
            self.level * body(score, self.median, self.quantile)
        }
    }

    /// The score of a surprise that lies in the tail.
    pub fn score(&self, surprise: f32) -> f32 {
        self.quantile + (surprise - self.level).max(0.0) * self.excess * LN_10
    }
}

/// How rarely a score comes to be as large as this: the tail of its peaks.
///
/// Scores exceed a high quantile in runs: what is to be rare is the run, since an alert is
/// one. So the peaks of runs are modelled, and not all of their points (A. C. Davison and
/// R. L. Smith, "Models for Exceedances over High Thresholds", JRSS B 52(3), 1990). The
/// excess of a peak is taken to be exponential with a scale that is not known: it has a
/// prior worth [`PRIOR`] runs, and what is told is the predictive probability, whose tail
/// is the heavier the fewer runs were seen. A short past neither alarms by a lucky scale nor
/// is silenced by a margin of safety.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Peaks {
    /// The middle of the past scores.
    pub median: f32,
    /// Where the tail begins.
    pub quantile: f32,
    /// The mean excess of a peak.
    pub scale: f32,
    /// Runs that the scale rests on, with those of the prior.
    pub weight: f32,
    /// −log10 of the share of points at which a run begins.
    pub level: f32,
}

/// Runs that the prior scale is worth.
const PRIOR: f32 = 10.0;

impl Peaks {
    /// The peaks above the quantile `share` of `scores`, each of which stands for `stride`
    /// points, in order of time. Runs with fewer than `apart` ordinary scores between them are
    /// one. `prior` is the mean excess that is to be expected where nothing is known. NaN is
    /// skipped; `None` if nothing else is there.
    pub fn of(scores: &[f32], share: f64, apart: usize, stride: f32, prior: f32) -> Option<Self> {
        let sorted: Vec<f32> = scores.iter().copied().filter(|s| s.is_finite()).collect();
        let count = sorted.len();
        let share = share.min(1.0 - EXCEEDANCES / count as f64).max(0.5);
        let median = quantile(&sorted, 0.5)?;
        let quantile = quantile(&sorted, share)?;
        let (mut peaks, mut ordinary): (Vec<f32>, usize) = (Vec::new(), usize::MAX);
        for &score in scores {
            let over = score - quantile;
            if over.is_nan() || over <= 0.0 {
                ordinary = ordinary.saturating_add(1);
                continue;
            }
            match peaks.last_mut() {
                Some(peak) if ordinary < apart => *peak = peak.max(over),
                _ => peaks.push(over),
            }
            ordinary = 0;
        }
        let runs = peaks.len() as f32;
        // The median, for past anomalies are peaks too.
        let mean = self::quantile(&peaks, 0.5).unwrap_or(0.0) / LN_2;
        let weight = runs + PRIOR;
        let scale = (runs * mean + PRIOR * prior) / weight;
        // A sample misses short runs: all of those it stands for would be too many, itself too few.
        let level = (count as f32 * stride.sqrt() / runs.max(1.0)).log10();
        Some(Self { median, quantile, scale, weight, level })
    }

    /// −log10 of the probability that a run begins with a peak as large as this. NaN stays NaN.
    pub fn surprise(&self, score: f32) -> f32 {
        if score > self.quantile {
            self.level + self.weight * (1.0 + (score - self.quantile) / (self.scale * self.weight)).log10()
        } else {
            self.level * body(score, self.median, self.quantile)
        }
    }
}

/// How far a score is on its way from the median to the quantile, 0 to 1.
fn body(score: f32, median: f32, quantile: f32) -> f32 {
    let body = ((score - median) / (quantile - median)).clamp(0.0, 1.0);
    // 0/0, where all past scores are equal, is no surprise.
    if body.is_nan() && !score.is_nan() { 0.0 } else { body }
}

/// The value at `share` of the sorted values; `None` if there are none. No NaN may be among
/// them.
pub fn quantile(values: &[f32], share: f64) -> Option<f32> {
    let index = (share * values.len().checked_sub(1)? as f64 + 0.5).floor() as usize;
    // Whole numbers in the same order are compared in one step.
    let mut keys: Vec<i32> = values.iter().map(|value| ordered(value.to_bits().cast_signed())).collect();
    let key = *keys.select_nth_unstable(index).1;
    Some(f32::from_bits(ordered(key).cast_unsigned()))
}

/// The bits of a number as a whole number that is ordered as it is, and back.
fn ordered(bits: i32) -> i32 {
    bits ^ ((bits >> 31).cast_unsigned() >> 1).cast_signed()
}

/// The median of the values that are not NaN, which alone are left; NaN if there are none.
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
    fn a_quantile_is_the_value_at_its_place_in_order() {
        let spread = |i: usize| ((i * i) as f32 * 0.37).sin() * 10f32.powi((i % 7) as i32 - 3);
        let few = |i: usize| (i * i % 5) as f32 - 2.0;
        for count in [1, 2, 3, 15, 16, 17, 64, 511, 512, 2_000] {
            for values in [(0..count).map(spread).collect::<Vec<f32>>(), (0..count).map(few).collect()] {
                let mut sorted = values.clone();
                sorted.sort_by(f32::total_cmp);
                for share in [0.0, 0.05, 0.5, 0.95, 1.0] {
                    let place = (share * (count - 1) as f64 + 0.5).floor() as usize;
                    assert_eq!(quantile(&values, share), Some(sorted[place]), "{share} of {count}");
                }
            }
        }
        assert_eq!(quantile(&[], 0.5), None);
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
    fn a_peak_is_told_by_how_often_runs_begin() {
        // A run of ten points every hundred, with a peak of an exponential.
        let peaks = exponential(200);
        let scores: Vec<f32> =
            (0..20_000).map(|i| if i % 100 < 10 { 1.0 + 3.0 * peaks[i / 100] } else { (i % 7) as f32 * 0.1 }).collect();
        let found = Peaks::of(&scores, 0.95, 20, 1.0, 2.0).unwrap();
        let rate = |told: f32| 10f32.powf(-told);
        let (seen, told) = (peaks.iter().filter(|p| **p > 2.0).count() as f32 / 20_000.0, rate(found.surprise(7.0)));
        assert!((0.4..2.5).contains(&(told / seen)), "{told} for {seen}");
    }

    #[test]
    fn few_runs_say_less_than_many() {
        let surprise = |n: usize| {
            let peaks = exponential(n);
            let scores: Vec<f32> =
                (0..100 * n).map(|i| if i % 100 == 0 { 2.0 * peaks[i / 100] } else { 0.0 }).collect();
            Peaks::of(&scores, 0.99, 20, 1.0, 2.0).unwrap().surprise(30.0)
        };
        assert!(surprise(10) + 0.5 < surprise(400), "{} {}", surprise(10), surprise(400));
    }

    #[test]
    fn equal_sums_are_no_surprise_and_a_great_one_is() {
        let found = Peaks::of(&[0.0; 500], 0.95, 20, 1.0, 2.0).unwrap();
        assert_eq!(found.surprise(0.0), 0.0);
        assert!(found.surprise(30.0) > 6.0, "{}", found.surprise(30.0));
        assert!(found.surprise(f32::NAN).is_nan());
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
