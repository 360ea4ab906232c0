//! `x(t) = l r(t) + n(t)`, `n(t) = f n(t − 1) + s √(1 − f²) z`: noise that remembers, with `f` of 0.5
//! to 0.95 and a deviation `s` of 1 to 20 % of the level.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::drawn::{Drawn, Nature, log_uniform, normal};
use super::{Minutes, rhythm};

/// See the module.
pub(super) fn draw(dice: &mut ChaCha8Rng, minutes: Minutes) -> Drawn {
    let level = log_uniform(dice, 1.0, 10_000.0);
    let deviation = level * log_uniform(dice, 0.01, 0.2);
    let memory = dice.random_range(0.5..0.95);
    let expected: Vec<f64> = rhythm::draw(dice, minutes).into_iter().map(|r| level * r).collect();
    let noise = noise(dice, minutes.count, memory, deviation);
    let values = expected.iter().zip(noise).map(|(e, n)| e + n).collect();
    Drawn { expected, values, nature: Nature::Real }
}

/// A stationary process that keeps `memory` of its last value, with this standard deviation.
pub(super) fn noise(dice: &mut ChaCha8Rng, count: usize, memory: f64, deviation: f64) -> Vec<f64> {
    let fresh = (1.0 - memory * memory).sqrt();
    let mut last = normal(dice);
    let next = |_| {
        last = memory * last + fresh * normal(dice);
        deviation * last
    };
    (0..count).map(next).collect()
}
