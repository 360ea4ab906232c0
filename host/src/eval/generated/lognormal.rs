//! `x(t) = l r(t) exp(s z − s²/2)`, with `s` of 0.3 to 0.9: latencies, sizes, and whatever else has
//! a heavy tail. Its mean is `l r(t)`.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::drawn::{Drawn, Nature, log_uniform, normal};
use super::{Minutes, rhythm};

/// See the module.
pub(super) fn draw(dice: &mut ChaCha8Rng, minutes: Minutes) -> Drawn {
    let level = log_uniform(dice, 0.01, 1000.0);
    let spread = dice.random_range(0.3..0.9);
    let expected: Vec<f64> = rhythm::draw(dice, minutes).into_iter().map(|r| level * r).collect();
    let values = expected.iter().map(|e| e * (spread * normal(dice) - spread * spread / 2.0).exp()).collect();
    Drawn { expected, values, nature: Nature::Positive }
}
