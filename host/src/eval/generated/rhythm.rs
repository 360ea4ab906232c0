//! The season and the weekend that a series may have.
//!
//! `r(t) = w(t) (1 + d (sin(τ(t − a)/1440) + h sin(2τ(t − b)/1440)) / (1 + h))`, of mean 1 but for
//! weekends. Seven series of ten have a day: depth `d` of 0.1 to 0.6, second harmonic `h` of 0 to
//! 0.5. Half of those have weekends: `w(t)` is 0.5 to 0.9 from Saturday's to Monday's midnight.

use std::f64::consts::TAU;

use rand::Rng;

use super::{DAY, Minutes};

/// See the module.
pub(super) fn draw(dice: &mut impl Rng, minutes: Minutes) -> Vec<f64> {
    let (daily, weekly) = (dice.random_bool(0.7), dice.random_bool(0.5));
    let (depth, second) = (dice.random_range(0.1..0.6), dice.random_range(0.0..0.5));
    let (a, b) = (dice.random_range(0.0..1.0), dice.random_range(0.0..1.0));
    let weekend = dice.random_range(0.5..0.9);
    let at = |t: usize| {
        let day = t as f64 / DAY as f64;
        let wave = ((TAU * (day - a)).sin() + second * (2.0 * TAU * (day - b)).sin()) / (1.0 + second);
        let factor = if weekly && is_weekend(t) { weekend } else { 1.0 };
        if daily { factor * (1.0 + depth * wave) } else { 1.0 }
    };
    minutes.iter().map(at).collect()
}

/// Whether a minute, counted from a Monday, lies on a Saturday or Sunday.
pub(super) fn is_weekend(t: usize) -> bool {
    t / DAY % 7 >= 5
}
