//! When a limit will be reached, and how sure that is.
//!
//! Each window has its line, and speaks of a time of up to [`REACH`] times its length. The
//! slope of a long window is taken only as far as no shorter one contradicts it: at most two
//! errors above the shorter one's own slope. So growth that has ended is forgotten as soon as
//! the shortest windows can tell (the idea of Lepski's choice of a bandwidth, 1990). The window
//! that is the most sure is the one that is told.

use crate::Model;
use crate::past::{Misses, REACH, Span, level, memory};
use crate::trend::{self, slope, without_jumps};

/// The score where the limit is reached: an alert goes on (half of 0.8 is enough), none begins.
pub const REACHED: f64 = 0.6;
/// Up to this the score says how sure it is, and beyond it how near.
const SURE: f64 = 0.9;
/// A slope may be so many errors above that of a shorter window.
const CONTRADICTION: f64 = 2.0;
/// The newest half of a window is the steeper one if it is so many errors of the whole above it:
/// three of its own, by the power 3/2 of their lengths.
const STEEPER: f64 = 8.5;
/// Standard deviations of the earliest and latest time: nine of ten times lie between.
const BETWEEN: f64 = 1.645;
/// The least error, as a part of what the line rises: nothing goes on quite straight.
const LEAST_ERROR: f64 = 0.02;

/// On which side of the limit is trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The series grows towards it.
    Above,
    /// The series falls towards it.
    Below,
}

/// What must not be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// In the unit of the series.
    pub value: f64,
    /// See [`Side`].
    pub side: Side,
}

/// What is seen at the end of a row. Times are columns from there.
#[derive(Clone, Debug, PartialEq)]
pub struct Ahead {
    /// How sure it is that the limit is reached within the horizon, and how near that is.
    pub score: f64,
    /// Where the series is now, without noise.
    pub level: f64,
    /// When the limit is reached; NaN: not within twice the horizon, as the others.
    pub expected: f64,
    /// The earliest time that is likely.
    pub earliest: f64,
    /// The latest time that is likely.
    pub latest: f64,
}

/// Columns before the last one that a forecast needs.
pub fn context(horizon: usize) -> usize {
    horizon.saturating_add(memory(horizon))
}

/// Looks ahead from the last of `values`, which begin in column `start` of the grid. `None`
/// where nothing came there, or too little before.
pub fn ahead(model: &Model, values: &[f64], start: i64, limit: Limit) -> Option<Ahead> {
    let horizon = model.horizon;
    let now = start + values.len() as i64 - 1;
    let value = values.last().copied().filter(|value| value.is_finite())?;
    let rest = model.season.removed(values, start);
    let calm = without_jumps(&rest, memory(horizon));
    let level = level(&rest, horizon)?;
    // Everything below looks upwards.
    let up = if limit.side == Side::Above { 1.0 } else { -1.0 };
    let swing = if limit.side == Side::Above { model.season.highest() } else { model.season.lowest() };
    let seen = Ahead {
        score: 0.0,
        level: level + model.season.at(now),
        expected: f64::NAN,
        earliest: f64::NAN,
        latest: f64::NAN,
    };
    if up * value >= up * limit.value || up * (level + swing) >= up * limit.value {
        return Some(Ahead { score: REACHED, expected: 0.0, earliest: 0.0, latest: 0.0, ..seen });
    }
    // How far the swing leaves room, in each column ahead.
    let room = |ahead: usize| up * (limit.value - level - model.season.at(now + ahead as i64));
    let (mut cap, mut best, mut known) = (f64::INFINITY, (f64::NEG_INFINITY, None), false);
    for span in model.past.spans.iter().filter(|span| span.is_known() && span.columns <= values.len()) {
        let row = if span.jumps { &rest } else { &calm };
        let Some(slope) = slope(&row[row.len() - span.columns..]) else { continue };
        known = true;
        let within = cap;
        let slope = (up * slope).min(cap);
        cap = cap.min(slope + CONTRADICTION * span.slope);
        if slope <= 0.0 {
            continue;
        }
        let (short, _) = sides(span, limit.side);
        let sure = |ahead: usize| {
            let rise = slope * ahead as f64;
            (rise - room(ahead)) / span.error(short, ahead as f64).max(LEAST_ERROR * rise)
        };
        let reach = horizon.min(REACH * span.columns);
        let surest = (1..=reach).map(sure).fold(f64::NEG_INFINITY, f64::max);
        if surest > best.0 {
            best = (surest, Some((span, slope, within)));
        }
    }
    let (deviations, Some((span, slope, within))) = best else { return known.then_some(seen) };
    let (short, far) = sides(span, limit.side);
    // A growth that has just begun fills its window in part: it is as sure as the whole window
    // says, and it is as fast as the newest half.
    let row = if span.jumps { &rest } else { &calm };
    let newest = trend::slope(&row[row.len() - span.columns / 2..]).map_or(slope, |newest| (up * newest).min(within));
    let newest = if newest > slope + STEEPER * span.slope { newest } else { slope };
    let when = |slope: f64, errors: f64| {
        let misses = if errors > 0.0 { far } else { short };
        let crosses = |ahead: &usize| {
            let rise = slope * *ahead as f64;
            rise + errors * span.error(misses, *ahead as f64).max(LEAST_ERROR * rise) >= room(*ahead)
        };
        (1..=2 * horizon).find(crosses).map_or(f64::NAN, |ahead| ahead as f64)
    };
    let (expected, earliest, latest) = (when(newest, 0.0), when(newest, BETWEEN), when(slope, -BETWEEN));
    let sure = (-tail(deviations).log10() / 7.0).max(0.0);
    let near = 1.0 - expected / horizon as f64;
    let score = if sure < SURE || near.is_nan() { sure.min(SURE) } else { SURE + (1.0 - SURE) * near.clamp(0.0, 1.0) };
    Some(Ahead { score, expected, earliest, latest, ..seen })
}

/// By how much the way towards the limit was shorter than foreseen, and by how much farther.
fn sides(span: &Span, side: Side) -> (&Misses, &Misses) {
    match side {
        Side::Above => (&span.below, &span.above),
        Side::Below => (&span.above, &span.below),
    }
}

/// The chance that a normal variable is larger than `z`: below 2 by Abramowitz and Stegun
/// 26.2.17, from there on by the continued fraction of Laplace. Errors are below 1e-7, and
/// relative to the tail below 1 %.
fn tail(z: f64) -> f64 {
    let density = (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
    if z < 0.0 {
        return 1.0 - tail(-z);
    }
    if z >= 2.0 {
        let fraction = (1..=12).rev().fold(z, |rest, k| z + f64::from(k) / rest);
        return (density / fraction).max(f64::MIN_POSITIVE);
    }
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let series = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    density * series.iter().rev().fold(0.0, |sum, coefficient| (sum + coefficient) * t)
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn the_tail_is_that_of_the_normal_distribution() {
        let known = [(0.0, 0.5), (1.0, 0.158_655_3), (2.0, 0.022_750_13), (4.5, 3.397_67e-6), (6.0, 9.865_88e-10)];
        for (z, chance) in known {
            assert!((tail(z) / chance - 1.0).abs() < 1e-3, "{z}: {}", tail(z));
        }
        assert!((tail(-1.0) - 0.841_344_7).abs() < 1e-6);
    }
}
