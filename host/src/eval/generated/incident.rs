//! What happens once to a series, in its second week, at any minute.
//!
//! The range of a series is what lies between its least and its greatest value in the fortnight.

use std::ops::Range;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::DAY;
use super::drawn::{Drawn, Nature};

/// A minimum is rare where no more than this share of values...
const RARE_SHARE: f64 = 0.01;
/// ... lies within this share of the range above it.
const RARE_BAND: f64 = 0.05;
/// Counts of a smaller mean are mostly 0 and 1, whatever their noise is multiplied by.
const NOISY_MEAN: f64 = 2.0;
/// Days before which nothing happens.
const CALM_DAYS: usize = 7;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incident {
    /// 60 minutes are higher by half the range, or lower where a series can be negative.
    HalfRange,
    /// For 60 minutes each value is four times as far from what it would be without noise.
    Noise,
    /// 30 minutes are the minimum.
    Minimum,
}

impl Incident {
    /// Those that can happen to a series: only a rare minimum says something, and small counts
    /// have no noise to speak of.
    pub fn of(drawn: &Drawn) -> Vec<Self> {
        let (low, high) = range(drawn);
        let floor = low + RARE_BAND * (high - low);
        let near = drawn.values.iter().filter(|value| **value <= floor).count();
        let count = drawn.values.len() as f64;
        let rare_minimum = near as f64 <= RARE_SHARE * count;
        let noisy = drawn.nature != Nature::Count || drawn.expected.iter().sum::<f64>() >= NOISY_MEAN * count;
        let mut possible = vec![Self::HalfRange];
        possible.extend(noisy.then_some(Self::Noise));
        possible.extend(rare_minimum.then_some(Self::Minimum));
        possible
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::HalfRange => "half-range",
            Self::Noise => "noise",
            Self::Minimum => "minimum",
        }
    }

    fn minutes(self) -> usize {
        match self {
            Self::HalfRange | Self::Noise => 60,
            Self::Minimum => 30,
        }
    }

    /// Lets it happen; the rows at which it did.
    pub fn befall(self, drawn: &mut Drawn, dice: &mut ChaCha8Rng) -> Range<usize> {
        let (low, high) = range(drawn);
        let start = dice.random_range(CALM_DAYS * DAY..(drawn.values.len() - self.minutes()).max(CALM_DAYS * DAY + 1));
        let down = drawn.nature == Nature::Real && dice.random_bool(0.5);
        let place = start..start + self.minutes();
        let rows = drawn.values.iter_mut().zip(&drawn.expected).take(place.end).skip(place.start);
        for (value, expected) in rows {
            let changed = match self {
                Self::HalfRange if down => *value - (high - low) / 2.0,
                Self::HalfRange => *value + (high - low) / 2.0,
                Self::Noise => expected + 4.0 * (*value - expected),
                Self::Minimum => low,
            };
            *value = drawn.nature.nearest(changed);
        }
        place
    }
}

fn range(drawn: &Drawn) -> (f64, f64) {
    drawn.values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
}
