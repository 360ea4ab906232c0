//! The scale on which a series is judged.
//!
//! Counts spread with the root of their level and latencies with the level itself; on
//! such a series one threshold of deviation is too high by night and too low by day.
//! The power that makes the spread least dependent on the level, and the noise least
//! skewed, is chosen as in a spread-versus-level plot (Tukey 1977).

use crate::calibration::{median, quantile};

/// Values of one block, within which the level is taken to stand still.
const BLOCK: usize = 32;
/// By so much must a power be better than plain values.
const PREFERENCE: f32 = 0.35;

/// What is applied to a value before it is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Nothing.
    Plain,
    /// The square root: counts.
    Root,
    /// The logarithm: what is a product of many things.
    Log,
}

/// From values to the judged scale and back. Negative values are 0 to a root or logarithm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transform {
    /// What comes first.
    pub power: Power,
    /// Added before a logarithm is taken.
    pub shift: f64,
    /// The middle, subtracted after the power.
    pub center: f64,
    /// The half width that holds 90 % of the history.
    pub scale: f64,
}

impl Transform {
    /// Learns the scale of a history; NaN is skipped.
    pub fn of(history: &[f64]) -> Self {
        let mut power = Power::Plain;
        let middles = middles(history);
        let mut least = dependence(history, &middles, Power::Plain, 0.0).unwrap_or(0.0) - PREFERENCE;
        let shift = log_shift(history);
        if history.iter().all(|v| v.is_nan() || *v >= 0.0) {
            for (candidate, possible) in [(Power::Root, true), (Power::Log, shift > 0.0)] {
                if let Some(now) = dependence(history, &middles, candidate, shift)
                    && possible
                    && now < least
                {
                    (power, least) = (candidate, now);
                }
            }
        }
        Self::scaled(history, power, shift)
    }

    /// The scale that a history has under a power.
    pub fn scaled(history: &[f64], power: Power, shift: f64) -> Self {
        let plain = Self { power, shift, center: 0.0, scale: 1.0 };
        let mut values: Vec<f64> = history.iter().map(|&v| plain.raise(v)).filter(|v| v.is_finite()).collect();
        let at = |values: &mut [f64], share: f64| -> f64 {
            let index = (share * values.len().saturating_sub(1) as f64) as usize;
            if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(index, f64::total_cmp).1 }
        };
        let center = at(&mut values, 0.5);
        values.iter_mut().for_each(|v| *v = (*v - center).abs());
        let (wide, most) = (at(&mut values, 0.9), at(&mut values, 1.0));
        // A series that all but stands still is judged by what little it moves.
        let scale = [wide, 1e-3 * most, 1e-6 * center.abs(), 1e-12].into_iter().fold(0.0, f64::max);
        Self { power, shift, center, scale }
    }

    fn raise(&self, value: f64) -> f64 {
        // `max` would make a 0 of it.
        if value.is_nan() {
            return value;
        }
        match self.power {
            Power::Plain => value,
            Power::Root => value.max(0.0).sqrt(),
            Power::Log => (value.max(0.0) + self.shift).ln(),
        }
    }

    /// A value on the judged scale; what is not finite is NaN.
    pub fn apply(&self, value: f64) -> f32 {
        self.judge(self.raise(value))
    }

    /// All values on the judged scale.
    pub fn apply_all(&self, values: &[f64]) -> Vec<f32> {
        match self.power {
            // Nothing to raise: eight in a row, which a compiler does side by side.
            Power::Plain => {
                let (eights, rest) = values.as_chunks::<8>();
                let mut judged = Vec::with_capacity(values.len());
                eights.iter().for_each(|eight| judged.extend(eight.map(|value| self.judge(value))));
                judged.extend(rest.iter().map(|value| self.judge(*value)));
                judged
            }
            Power::Root | Power::Log => values.iter().map(|value| self.apply(*value)).collect(),
        }
    }

    fn judge(&self, raised: f64) -> f32 {
        let judged = (raised - self.center) / self.scale;
        if judged.is_finite() { judged as f32 } else { f32::NAN }
    }

    /// The value that lies there on the judged scale.
    ///
    /// It is finite for what is: the edge of a wide band lies beyond all numbers in a logarithm,
    /// and the contract takes no infinite one.
    pub fn invert(&self, judged: f32) -> f64 {
        if judged.is_nan() {
            // `max` would make it a number.
            return f64::NAN;
        }
        let raised = f64::from(judged) * self.scale + self.center;
        let value = match self.power {
            Power::Plain => raised,
            Power::Root => raised.max(0.0).powi(2),
            Power::Log => (raised.exp() - self.shift).max(0.0),
        };
        let most = f64::from(f32::MAX);
        value.clamp(-most, most)
    }
}

/// A tenth of what nearly all values exceed; 0 where zeros are ordinary.
fn log_shift(history: &[f64]) -> f64 {
    let values: Vec<f32> = history.iter().filter(|v| v.is_finite()).map(|&v| v as f32).collect();
    f64::from(quantile(&values, 0.01).unwrap_or(0.0).max(0.0)) * 0.1
}

/// The two middle values of each block, whose places no power changes.
fn middles(history: &[f64]) -> Vec<(f64, f64)> {
    let middle = |block: &[f64]| {
        let mut block: [f64; BLOCK] = block.try_into().ok()?;
        block.sort_unstable_by(f64::total_cmp);
        Some((block[BLOCK / 2 - 1], block[BLOCK / 2]))
    };
    history.chunks_exact(BLOCK).filter_map(middle).collect()
}

/// How much the spread within blocks depends on their level, and how skewed it is: both
/// as the absolute logarithm of a ratio. `None` where a history is too short to say.
fn dependence(history: &[f64], middles: &[(f64, f64)], power: Power, shift: f64) -> Option<f32> {
    let transform = Transform { power, shift, center: 0.0, scale: 1.0 };
    let mut blocks = Vec::new();
    let mut residuals = Vec::new();
    for (block, (below, above)) in history.chunks_exact(BLOCK).zip(middles) {
        let values: Vec<f64> = block.iter().map(|&v| transform.raise(v)).collect();
        if values.iter().any(|v| !v.is_finite()) {
            continue;
        }
        let level = (transform.raise(*below) + transform.raise(*above)) / 2.0;
        let spread = values.windows(2).map(|w| (w[1] - w[0]).abs()).sum::<f64>();
        blocks.push((level as f32, spread as f32));
        residuals.extend(values.iter().map(|v| (v - level) as f32));
    }
    if blocks.len() < 12 {
        return None;
    }
    blocks.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let third = blocks.len() / 3;
    let typical = |part: &[(f32, f32)]| median(&mut part.iter().map(|b| b.1).collect());
    let (low, high) = (typical(&blocks[..third]), typical(&blocks[blocks.len() - third..]));
    let middle = quantile(&residuals, 0.5)?;
    let (left, right) = (middle - quantile(&residuals, 0.05)?, quantile(&residuals, 0.95)? - middle);
    let ratio = |a: f32, b: f32| if a > 0.0 && b > 0.0 { (a / b).ln().abs() } else { 0.0 };
    Some(ratio(low, high) + ratio(left, right))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A day's curve with noise that `spread` makes of the level; noise is a fixed
    /// low-discrepancy sequence through the logistic quantile function.
    fn curve(spread: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        (0..4000)
            .map(|i| {
                let level = 50.0 + 40.0 * (f64::from(i) / 1440.0 * std::f64::consts::TAU).sin();
                let u = (f64::from(i) * 0.618_033_988_75 + 0.5).fract().clamp(1e-3, 0.999);
                spread(level, (u / (1.0 - u)).ln() / 1.8)
            })
            .collect()
    }

    #[test]
    fn the_power_follows_the_spread() {
        assert_eq!(Transform::of(&curve(|level, z| level + 3.0 * z)).power, Power::Plain);
        assert_eq!(Transform::of(&curve(|level, z| (level + level.sqrt() * z).max(0.0))).power, Power::Root);
        assert_eq!(Transform::of(&curve(|level, z| level * (0.3 * z).exp())).power, Power::Log);
    }

    #[test]
    fn an_edge_beyond_all_numbers_is_finite() {
        for power in [Power::Plain, Power::Root, Power::Log] {
            let transform = Transform { power, shift: 1.0, center: 3.0, scale: 50.0 };
            assert!(transform.invert(40.0).is_finite() && transform.invert(-40.0).is_finite(), "{power:?}");
            assert!(transform.invert(f32::MAX).is_finite(), "{power:?}");
            assert!(transform.invert(f32::NAN).is_nan(), "{power:?}");
        }
    }

    #[test]
    fn a_scale_leads_back_and_a_flat_series_has_one() {
        let history = curve(|level, z| level * (0.3 * z).exp());
        let transform = Transform::of(&history);
        assert!((transform.invert(transform.apply(history[7])) / history[7] - 1.0).abs() < 1e-5);
        let flat = Transform::of(&[4.0; 100]);
        assert_eq!(flat.apply(4.0), 0.0);
        assert!(flat.apply(3.0) < -1e3);
        assert!(flat.apply(f64::INFINITY).is_nan());
        assert!(transform.apply(f64::NAN).is_nan());
    }
}
