//! What came of a draw.

use rand::Rng;
use rand_distr::{Distribution as _, StandardNormal};

/// A series, and what it would have been without its noise.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Drawn {
    /// Without noise.
    pub expected: Vec<f64>,
    /// What was measured; NaN where nothing was.
    pub values: Vec<f64>,
    /// What it can be.
    pub nature: Nature,
}

/// What values a series can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Any.
    Real,
    /// None below 0.
    Positive,
    /// 0, 1, 2 and so on.
    Count,
}

impl Nature {
    /// The possible value next to one.
    pub fn nearest(self, value: f64) -> f64 {
        match self {
            Self::Real => value,
            Self::Positive => value.max(0.0),
            Self::Count => value.max(0.0).round(),
        }
    }
}

/// Standard normal.
pub(super) fn normal(dice: &mut impl Rng) -> f64 {
    StandardNormal.sample(dice)
}

/// Evenly distributed over the orders of magnitude.
pub(super) fn log_uniform(dice: &mut impl Rng, from: f64, to: f64) -> f64 {
    dice.random_range(from.ln()..to.ln()).exp()
}
