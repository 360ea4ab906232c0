//! `x(t) = l r(t) + s z`: a level `l` with its rhythm, and white noise of 1 to 20 % of it.

use rand_chacha::ChaCha8Rng;

use super::drawn::{Drawn, Nature, log_uniform, normal};
use super::{Minutes, rhythm};

/// See the module.
pub(super) fn draw(dice: &mut ChaCha8Rng, minutes: Minutes) -> Drawn {
    let level = log_uniform(dice, 1.0, 10_000.0);
    let noise = level * log_uniform(dice, 0.01, 0.2);
    let expected: Vec<f64> = rhythm::draw(dice, minutes).into_iter().map(|r| level * r).collect();
    let values = expected.iter().map(|e| e + noise * normal(dice)).collect();
    Drawn { expected, values, nature: Nature::Real }
}
