//! `x(t) = l + A (w(t) s(t) + c t/7200) + n(t)`: five days with a day in them.
//!
//! The shape `s(t)` goes from −1 to 1: a sine, or (one in three) two peaks a day, the lower of 0.5
//! to 0.9 of the height and 5 to 12 hours after the higher. The standard deviation of the noise
//! `n` is 0.2 to 1.5 `A`; it is white, AR(1) with 0.5 to 0.95 (one in four), or lognormal and
//! centred (one in four). Half of the series have weekends: `w(t)` is then 0.2 to 0.8, and the
//! level as much lower. Half have a trend: `c` is −3 to 3. One of twenty values is missing.

use std::f64::consts::TAU;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::drawn::{Drawn, Nature, log_uniform, normal};
use super::rhythm::is_weekend;
use super::{DAY, Minutes, ar1};

/// The width of a peak, in days.
const PEAK: f64 = 0.08;

/// The shape, which is drawn first.
fn shape(dice: &mut ChaCha8Rng) -> (&'static str, f64, f64) {
    let (double, height, apart) =
        (dice.random_range(0..3) == 0, dice.random_range(0.5..0.9), dice.random_range(5.0 / 24.0..0.5));
    (if double { "double-peak" } else { "sine" }, height, apart)
}

/// The name of the shape.
pub(super) fn name(dice: &mut ChaCha8Rng) -> &'static str {
    shape(dice).0
}

/// See the module.
pub(super) fn draw(dice: &mut ChaCha8Rng, minutes: Minutes) -> Drawn {
    let (name, height, apart) = shape(dice);
    let amplitude = log_uniform(dice, 0.1, 1000.0);
    let level = amplitude * dice.random_range(2.0..10.0);
    let begin = dice.random_range(0.0..1.0);
    let weekend = if dice.random_bool(0.5) { dice.random_range(0.2..0.8) } else { 1.0 };
    let trend = if dice.random_bool(0.5) { dice.random_range(-3.0..3.0) } else { 0.0 };
    let deviation = amplitude * dice.random_range(0.2..1.5);
    let bump = |day: f64, at: f64| {
        let away = (day - at).rem_euclid(1.0);
        (-0.5 * (away.min(1.0 - away) / PEAK).powi(2)).exp()
    };
    let wave = |day: f64| match name {
        "sine" => (TAU * (day - begin)).sin(),
        _ => 2.0 * bump(day, begin).max(height * bump(day, begin + apart)) - 1.0,
    };
    let value = |t: usize| {
        let week = if is_weekend(t) { weekend } else { 1.0 };
        let at = (t - minutes.first) as f64 / minutes.count as f64;
        // On a weekend the whole shape is lower, from its foot.
        level + amplitude * (week * (wave(t as f64 / DAY as f64) + 1.0) - 1.0 + trend * at)
    };
    let expected: Vec<f64> = minutes.iter().map(value).collect();
    let noise = match dice.random_range(0..4) {
        0 => {
            let memory = dice.random_range(0.5..0.95);
            ar1::noise(dice, minutes.count, memory, deviation)
        }
        1 => heavy(dice, minutes.count, deviation),
        _ => (0..minutes.count).map(|_| deviation * normal(dice)).collect(),
    };
    let values = expected.iter().zip(noise).map(|(e, n)| e + n).collect();
    Drawn { expected, values, nature: Nature::Real }
}

/// Lognormal, of mean 0 and this standard deviation.
fn heavy(dice: &mut ChaCha8Rng, count: usize, deviation: f64) -> Vec<f64> {
    let s: f64 = 0.8;
    let (mean, square) = ((s * s / 2.0).exp(), (s * s).exp());
    let own = mean * (square - 1.0).sqrt();
    (0..count).map(|_| deviation / own * ((s * normal(dice)).exp() - mean)).collect()
}
