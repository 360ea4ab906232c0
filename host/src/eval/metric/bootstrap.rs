//! How sure a mean over series is: the percentile bootstrap (B. Efron, "Bootstrap Methods",
//! Annals of Statistics 7(1), 1979), with a fixed seed, so that a report is the same twice.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

const RESAMPLES: usize = 2_000;
const SEED: u64 = 0x616e_6f6d_6421;

/// A mean, with the edges of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// 2.5 % of resamples lie below.
    pub low: f64,
    /// 2.5 % of resamples lie above.
    pub high: f64,
}

impl Interval {
    /// Of values, each of which may be drawn again; `None` of none.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                let drawn = (0..values.len()).filter_map(|_| values.get(random.random_range(0..values.len())));
                drawn.sum::<f64>() / values.len() as f64
            })
            .collect();
        means.sort_by(f64::total_cmp);
        let at = |share: f64| means.get((share * (RESAMPLES - 1) as f64).round() as usize).copied();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Some(Self { mean, low: at(0.025)?, high: at(0.975)? })
    }
}

/// One detector against another on the same series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Of the differences, the first less the second; the pairs are drawn, and not the sides.
    pub difference: Interval,
    /// The share of series on which the first is better; equal ones count half.
    pub win_rate: f64,
    /// Pairs.
    pub series: usize,
}

impl Paired {
    /// Of pairs; `None` of none.
    pub fn of(pairs: &[(f64, f64)]) -> Option<Self> {
        let differences: Vec<f64> = pairs.iter().map(|(a, b)| a - b).collect();
        let won = |d: &f64| {
            if *d > 0.0 {
                1.0
            } else if *d == 0.0 {
                0.5
            } else {
                0.0
            }
        };
        Some(Self {
            difference: Interval::of(&differences)?,
            win_rate: differences.iter().map(won).sum::<f64>() / differences.len() as f64,
            series: pairs.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_normal_mean_is_near_two_standard_errors() {
        // 400 values, half 0 and half 1: a standard error of 0.025.
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let interval = Interval::of(&values).unwrap();
        assert_eq!(interval.mean, 0.5);
        assert!((interval.low - 0.451).abs() < 0.006 && (interval.high - 0.549).abs() < 0.006, "{interval:?}");
        assert_eq!(Interval::of(&values), Some(interval), "twice the same");
        assert_eq!(Interval::of(&[]), None);
    }

    #[test]
    fn pairs_are_compared_series_by_series() {
        let paired = Paired::of(&[(0.9, 0.8), (0.2, 0.1), (0.5, 0.5), (0.1, 0.2)]).unwrap();
        assert_eq!((paired.win_rate, paired.series), (0.625, 4));
        assert!((paired.difference.mean - 0.025).abs() < 1e-12);
        let shifted: Vec<_> = (0..20).map(|i| (f64::from(i) + 1.0, f64::from(i))).collect();
        let paired = Paired::of(&shifted).unwrap();
        assert_eq!((paired.difference.low, paired.difference.high), (1.0, 1.0), "what differs is the same everywhere");
    }
}
