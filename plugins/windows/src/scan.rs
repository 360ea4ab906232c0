//! From residuals to scores: a scan over scales, and the calibration of what it finds.
//!
//! How long an anomaly lasts is not known. The residual is averaged over several widths; at each
//! the distance to the median is counted in that width's own spread, median to 95 % quantile; the
//! largest count. It is the scan statistic of J. Glaz et al. (Scan Statistics, 2001) with empirical
//! spreads, since residuals of overlapping windows are anything but independent.
//!
//! The statistic becomes a chance by an exponential tail over its own 80 % quantile, whose
//! decay is taken from the median excess. An anomaly is in the history that it is judged by: in
//! one column of ten it is still in the minority of the tail, and does not pass for its shape.

/// The quantile that says how far a width spreads.
const SPREAD: f64 = 0.95;
/// Where the tail begins.
const TAIL: f64 = 0.8;
/// The least spread, as a share of the farthest distance from the median: most residuals of a
/// mostly flat series are 0.
const LEAST_SPREAD: f64 = 0.01;
/// The least decay, as a share of the tail's beginning over the median.
const LEAST_DECAY: f64 = 0.05;
/// A surprise of so many digits scores 1 on the scale that all detectors share: 0.8 is a chance of 2.5e-6.
const DIGITS: f64 = 7.0;
/// Up to here the score is that; beyond, it nears 1 with the logarithm and does not reach it, so that
/// the odder still scores higher. Whole histories are ranked by it.
const LINEAR: f64 = 0.8;

/// The spread of one width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Columns that are averaged.
    pub width: usize,
    /// The median of the averages, as a root.
    pub median: f64,
    /// Its 95 % quantile, from the median.
    pub spread: f64,
}

impl Scale {
    /// That of averages, NaN where there is none.
    pub fn of(width: usize, averages: &[f64]) -> Self {
        let mut known: Vec<f64> = averages.iter().filter(|v| v.is_finite()).map(|v| v.sqrt()).collect();
        let median = quantile(&mut known, 0.5);
        let far = known.iter().copied().fold(0.0, f64::max) - median;
        let spread = (quantile(&mut known, SPREAD) - median).max(LEAST_SPREAD * far);
        Self { width, median, spread }
    }

    /// How many spreads an average lies above the median.
    pub fn count(&self, average: f64) -> f64 {
        let above = average.sqrt() - self.median;
        if self.spread > 0.0 { above / self.spread } else { above.signum() * f64::from(u8::from(above != 0.0)) }
    }
}

/// The tail of a statistic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Calibration {
    /// The median.
    pub median: f64,
    /// Where the tail begins.
    pub start: f64,
    /// How far it goes for each factor e of rarity.
    pub decay: f64,
}

impl Calibration {
    /// That of a history, NaN where it has none.
    pub fn of(statistic: &[f64]) -> Self {
        let mut known: Vec<f64> = statistic.iter().copied().filter(|v| v.is_finite()).collect();
        let (median, start) = (quantile(&mut known, 0.5), quantile(&mut known, TAIL));
        let mut excess: Vec<f64> = known.iter().filter(|v| **v > start).map(|v| v - start).collect();
        let decay = quantile(&mut excess, 0.5) / std::f64::consts::LN_2;
        Self { median, start, decay: decay.max(LEAST_DECAY * (start - median)) }
    }

    /// 0 to 1; NaN stays.
    pub fn score(&self, statistic: f64) -> f64 {
        let tail = -(1.0 - TAIL).log10();
        let surprise = if statistic > self.start && self.decay > 0.0 {
            tail + (statistic - self.start) / (self.decay * std::f64::consts::LN_10)
        } else if self.start > self.median {
            tail * ((statistic - self.median) / (self.start - self.median)).clamp(0.0, 1.0)
        } else if statistic.is_nan() {
            f64::NAN
        } else {
            0.0
        };
        let beyond = surprise - LINEAR * DIGITS;
        if beyond > 0.0 {
            // As steep as before where it begins.
            let slow = (1.0 + beyond / (DIGITS * (1.0 - LINEAR))).ln();
            LINEAR + (1.0 - LINEAR) * slow / (1.0 + slow)
        } else {
            surprise / DIGITS
        }
    }
}

/// The largest count over all widths, one a column; NaN where the residual is.
pub fn scan(residual: &[f64], widths: &[usize]) -> Vec<f64> {
    let mut largest = vec![f64::NEG_INFINITY; residual.len()];
    for width in widths {
        let averages = averages(residual, *width);
        let scale = Scale::of(*width, &averages);
        largest.iter_mut().zip(averages).for_each(|(best, average)| *best = best.max(scale.count(average)));
    }
    largest.iter_mut().zip(residual).for_each(|(best, residual)| {
        if residual.is_nan() || !best.is_finite() {
            *best = f64::NAN;
        }
    });
    largest
}

/// The mean round each column with triangular weights, a box of `width` twice; what is missing
/// has no weight.
pub fn averages(residual: &[f64], width: usize) -> Vec<f64> {
    // The one box reaches a column further back, the other a column further on, where the width is even.
    let back = width / 2;
    let weigh = |what: fn(&f64) -> f64| {
        let values: Vec<f64> = residual.iter().map(what).collect();
        boxed(&boxed(&values, width, back), width, width - 1 - back)
    };
    let sums = weigh(|v| if v.is_finite() { *v } else { 0.0 });
    let weights = weigh(|v| f64::from(u8::from(v.is_finite())));
    // Sums that run along have rounding errors, which are not to become roots of negatives.
    let least = 0.5 / width as f64;
    let mean = |(sum, weight): (&f64, f64)| if weight > least { (sum / weight).max(0.0) } else { f64::NAN };
    sums.iter().zip(weights).map(mean).collect()
}

/// The sum over `width` columns that begin `back` columns before each, divided by the width.
fn boxed(values: &[f64], width: usize, back: usize) -> Vec<f64> {
    let mut sums = Vec::with_capacity(values.len() + 1);
    sums.push(0.0);
    values.iter().fold(0.0, |sum, v| {
        sums.push(sum + v);
        sum + v
    });
    let sum = |column: usize| {
        let (from, to) = (column.saturating_sub(back), (column + width - back).min(values.len()));
        (sums[to] - sums[from]) / width as f64
    };
    (0..values.len()).map(sum).collect()
}

/// The value below which a share lies; 0 of nothing.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    let Some(last) = values.len().checked_sub(1) else { return 0.0 };
    *values.select_nth_unstable_by((last as f64 * share) as usize, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::noise;

    #[test]
    fn an_average_weighs_by_nearness_and_leaves_out_what_is_missing() {
        let mut residual = vec![0.0; 9];
        residual[4] = 8.0;
        let even = averages(&residual, 2);
        assert_eq!(even[2..7], [0.0, 2.0, 4.0, 2.0, 0.0], "{even:?}");
        residual[3] = f64::NAN;
        assert!((averages(&residual, 2)[4] - 16.0 / 3.0).abs() < 1e-12);
        assert_eq!(averages(&[f64::NAN; 3], 2).iter().filter(|v| v.is_nan()).count(), 3);
    }

    #[test]
    fn a_short_and_a_long_anomaly_are_each_above_all_that_is_ordinary() {
        let mut residual: Vec<f64> = (0..12_000).map(|i| 1.0 + noise(i)).collect();
        residual[1_000..1_006].iter_mut().for_each(|v| *v += 8.0);
        residual[4_000..4_300].iter_mut().for_each(|v| *v += 0.4);
        let found = scan(&residual, &[8, 32, 128, 256]);
        let ordinary = found[5_000..11_000].iter().copied().fold(0.0, f64::max);
        assert!(found[1_003] > ordinary && found[4_150] > ordinary, "{ordinary}");
        // The narrow width alone does not tell the long one from what is ordinary.
        let narrow = scan(&residual, &[8]);
        let long = narrow[4_100..4_200].iter().sum::<f64>() / 100.0;
        assert!(long < narrow[5_000..11_000].iter().copied().fold(0.0, f64::max));
    }

    #[test]
    fn an_ordinary_history_seldom_scores_high_and_order_is_kept_beyond_the_line() {
        // Exponential excesses: what the tail assumes.
        let history: Vec<f64> = (0..20_000).map(|i| -(0.5 + 0.499_99 * noise(i)).ln()).collect();
        let calibration = Calibration::of(&history);
        let chance = |p: f64| calibration.score(-p.ln());
        assert!((chance(1e-5) - 5.0 / 7.0).abs() < 0.03, "{}", chance(1e-5));
        assert!((chance(0.05) - 1.301 / 7.0).abs() < 0.02);
        let scores: Vec<f64> = [1e-6, 1e-8, 1e-12, 1e-60].map(chance).to_vec();
        assert!(scores.is_sorted() && scores[0] > 0.8 && scores[3] < 1.0, "{scores:?}");
        assert!(calibration.score(f64::NAN).is_nan());
    }

    #[test]
    fn a_history_without_residual_scores_0_and_the_first_that_has_one_does_not() {
        let mut residual = vec![0.0; 500];
        let flat = scan(&residual, &[8, 32]);
        let calibration = Calibration::of(&flat);
        assert!(flat.iter().all(|v| calibration.score(*v) == 0.0));
        residual[250] = 1.0;
        let found = scan(&residual, &[8, 32]);
        let calibration = Calibration::of(&found);
        assert!(calibration.score(found[250]) > calibration.score(found[200]));
    }
}
