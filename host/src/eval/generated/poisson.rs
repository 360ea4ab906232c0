//! `x(t)` is a count with the mean `l r(t)`, `l` of 0.5 to 300 a minute: requests, orders, logins.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Poisson};

use super::drawn::{Drawn, Nature, log_uniform};
use super::{Minutes, rhythm};

/// See the module.
pub(super) fn draw(dice: &mut ChaCha8Rng, minutes: Minutes) -> Drawn {
    let level = log_uniform(dice, 0.5, 300.0);
    let expected: Vec<f64> = rhythm::draw(dice, minutes).into_iter().map(|r| level * r).collect();
    let values = expected.iter().map(|mean| count(dice, *mean)).collect();
    Drawn { expected, values, nature: Nature::Count }
}

/// A count with this mean.
pub(super) fn count(dice: &mut impl Rng, mean: f64) -> f64 {
    Poisson::new(mean).map_or(0.0, |counts| counts.sample(dice))
}
