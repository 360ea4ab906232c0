//! Five days without a season, of eight kinds in turn:
//!
//! | kind | `x(t)` |
//! |---|---|
//! | `white` | `z` |
//! | `trend` | `c t/7200 + z`, `c` of −10 to 10 |
//! | `ar1` | noise that keeps 0.5 to 0.95 of its last value |
//! | `slow` | the same with 0.95 to 0.995 |
//! | `walk` | the sum of all `z` so far |
//! | `steps` | a level that is drawn anew every 4 to 24 hours, and `z` |
//! | `counts` | counts of mean 0.05 to 50 |
//! | `lognormal` | `exp(0.9 z)` |

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::drawn::{Drawn, Nature, log_uniform, normal};
use super::{Minutes, ar1, poisson};

const KINDS: [&str; 8] = ["white", "trend", "ar1", "slow", "walk", "steps", "counts", "lognormal"];

/// The name of the kind at a place.
pub(super) fn name(place: usize) -> &'static str {
    KINDS.get(place % KINDS.len()).copied().unwrap_or("white")
}

/// See the module.
pub(super) fn draw(place: usize, dice: &mut ChaCha8Rng, minutes: Minutes) -> Drawn {
    let count = minutes.count;
    let white = |dice: &mut ChaCha8Rng| -> Vec<f64> { (0..count).map(|_| normal(dice)).collect() };
    let values = match name(place) {
        "trend" => {
            let slope = dice.random_range(-10.0..10.0) / count as f64;
            white(dice).into_iter().enumerate().map(|(t, z)| slope * t as f64 + z).collect()
        }
        "ar1" => {
            let memory = dice.random_range(0.5..0.95);
            ar1::noise(dice, count, memory, 1.0)
        }
        "slow" => {
            let memory = dice.random_range(0.95..0.995);
            ar1::noise(dice, count, memory, 1.0)
        }
        "walk" => {
            let mut sum = 0.0;
            let step = |z| {
                sum += z;
                sum
            };
            white(dice).into_iter().map(step).collect()
        }
        "steps" => {
            let (mut level, mut left) = (0.0, 0);
            let step = |_| {
                if left == 0 {
                    left = dice.random_range(240..1_440);
                    level = 4.0 * normal(dice);
                }
                left -= 1;
                level + normal(dice)
            };
            (0..count).map(step).collect()
        }
        "counts" => {
            let mean = log_uniform(dice, 0.05, 50.0);
            (0..count).map(|_| poisson::count(dice, mean)).collect()
        }
        "lognormal" => white(dice).into_iter().map(|z| (0.9 * z).exp()).collect(),
        _ => white(dice),
    };
    Drawn { expected: Vec::new(), values, nature: Nature::Real }
}
