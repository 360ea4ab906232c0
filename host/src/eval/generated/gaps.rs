//! Gaps: one of twenty values is missing, half of them alone and half in runs of 10 to 120 minutes.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::drawn::Drawn;

/// The share of values that is missing.
const SHARE: f64 = 0.05;

/// See the module.
pub(super) fn tear(drawn: &mut Drawn, dice: &mut ChaCha8Rng) {
    let count = drawn.values.len();
    let mut left = (SHARE / 2.0 * count as f64) as usize;
    while left > 0 {
        let length = dice.random_range(10..=120).min(left);
        let first = dice.random_range(0..count);
        drawn.values.iter_mut().skip(first).take(length).for_each(|value| *value = f64::NAN);
        left -= length;
    }
    for value in &mut drawn.values {
        if dice.random_bool(SHARE / 2.0) {
            *value = f64::NAN;
        }
    }
}
