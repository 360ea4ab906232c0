//! `x(t) = l + g ((t − a) mod p) / p + s z`: what fills up and is emptied at once, every `p` minutes. Of
//! ten series four have a `p` of a day, three another one that divides a day, and three any
//! from 100 to 1 300 minutes. The noise is 0.5 to 5 % of the height `g`.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::drawn::{Drawn, Nature, log_uniform, normal};
use super::{DAY, Minutes};

/// Divisors of a day.
const PARTS: [usize; 6] = [60, 120, 180, 240, 360, 720];

/// See the module.
pub(super) fn draw(dice: &mut ChaCha8Rng, minutes: Minutes) -> Drawn {
    let height = log_uniform(dice, 1.0, 10_000.0);
    let level = height * dice.random_range(0.0..3.0);
    let noise = height * log_uniform(dice, 0.005, 0.05);
    let (choice, part, any) =
        (dice.random_range(0..10), dice.random_range(0..PARTS.len()), dice.random_range(100..1_300));
    let period = match choice {
        0..4 => DAY,
        4..7 => PARTS.get(part).copied().unwrap_or(DAY),
        _ => any,
    };
    let begin = dice.random_range(0..period);
    let tooth = |t: usize| level + height * ((t + begin) % period) as f64 / period as f64;
    let expected: Vec<f64> = minutes.iter().map(tooth).collect();
    let values = expected.iter().map(|e| e + noise * normal(dice)).collect();
    Drawn { expected, values, nature: Nature::Real }
}
