//! `x(t)` is a count with the mean `l r(t)`, `l` of 0.001 to 0.05 a minute: errors, restarts, and
//! whatever else is nearly always nothing.

use rand_chacha::ChaCha8Rng;

use super::drawn::{Drawn, Nature, log_uniform};
use super::{Minutes, poisson, rhythm};

/// See the module.
pub(super) fn draw(dice: &mut ChaCha8Rng, minutes: Minutes) -> Drawn {
    let level = log_uniform(dice, 0.001, 0.05);
    let expected: Vec<f64> = rhythm::draw(dice, minutes).into_iter().map(|r| level * r).collect();
    let values = expected.iter().map(|mean| poisson::count(dice, *mean)).collect();
    Drawn { expected, values, nature: Nature::Count }
}
