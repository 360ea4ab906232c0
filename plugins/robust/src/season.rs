//! Finds the length of a season.
//!
//! Peaks of the autocorrelation, which one FFT each way gives for all lags, snapped to
//! the calendar: systems follow hours and days far more often than 1 437 minutes.

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

/// The least autocorrelation of a peak.
const PEAK: f64 = 0.3;
/// The least autocorrelation at a length that the calendar suggests.
const CALENDAR_PEAK: f64 = 0.2;
/// Seasons that a history has to hold.
const CYCLES: f64 = 2.5;
const HOUR_MS: f64 = 3_600_000.0;

/// The season of a history on the judged scale, in columns. NaN is skipped.
pub fn find(history: &[f32], step_ms: u32) -> Option<usize> {
    let calendar: Vec<usize> = [1.0, 24.0, 168.0]
        .iter()
        .map(|hours| hours * HOUR_MS / f64::from(step_ms))
        .filter(|lag| lag.fract() == 0.0 && *lag >= 4.0 && CYCLES * lag <= history.len() as f64)
        .map(|lag| lag as usize)
        .collect();
    let cleaned = clean(history)?;
    let r = autocorrelation(&cleaned);
    let Some(best) = peak(&r) else {
        return calendar.into_iter().rev().find(|&lag| binned(&cleaned, lag) >= CALENDAR_PEAK);
    };
    let near = |lag: usize| (best as f64 / lag as f64 - 1.0).abs() <= 0.03;
    if let Some(&lag) = calendar.iter().find(|&&lag| near(lag)) {
        return Some(lag);
    }
    // A multiple of a day is a day, unless it is a week that says clearly more.
    let at = |lag: usize| r.get(lag).copied().unwrap_or(0.0);
    let day = (24.0 * HOUR_MS / f64::from(step_ms)) as usize;
    let folds = |lag: usize| {
        let times = best as f64 / lag as f64;
        times > 1.5 && (times / times.round() - 1.0).abs() < 0.03 && at(lag) >= CALENDAR_PEAK
    };
    let weekly = near(7 * day) && at(best) > at(day) + 0.05;
    Some(if calendar.contains(&day) && folds(day) && !weekly { day } else { best })
}

/// Winsorised, without gaps and without a linear trend. `None` for a flat history.
fn clean(history: &[f32]) -> Option<Vec<f64>> {
    let mut sorted: Vec<f32> = history.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| sorted.get((share * sorted.len() as f64) as usize).copied();
    let (low, middle, high) = (at(0.01)?, at(0.5)?, at(0.99)?);
    let mut values: Vec<f64> =
        history.iter().map(|v| f64::from(if v.is_finite() { v.clamp(low, high) } else { middle })).collect();
    let n = values.len() as f64;
    let mean_t = (n - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / n;
    let (mut cross, mut square) = (0.0, 0.0);
    for (t, v) in values.iter().enumerate() {
        cross += (t as f64 - mean_t) * (v - mean);
        square += (t as f64 - mean_t).powi(2);
    }
    let slope = cross / square;
    values.iter_mut().enumerate().for_each(|(t, v)| *v -= mean + slope * (t as f64 - mean_t));
    (high > low).then_some(values)
}

/// The autocorrelation at lags 0 to two fifths of the length.
fn autocorrelation(values: &[f64]) -> Vec<f64> {
    let n = values.len();
    let size = (2 * n).next_power_of_two();
    let mut planner = FftPlanner::new();
    let mut spectrum: Vec<Complex<f64>> = values.iter().map(|&v| Complex::new(v, 0.0)).collect();
    spectrum.resize(size, Complex::default());
    planner.plan_fft_forward(size).process(&mut spectrum);
    spectrum.iter_mut().for_each(|c| *c = Complex::new(c.norm_sqr(), 0.0));
    planner.plan_fft_inverse(size).process(&mut spectrum);
    let lags = (n as f64 / CYCLES) as usize;
    let power = spectrum[0].re / n as f64;
    spectrum.iter().take(lags + 1).enumerate().map(|(lag, c)| c.re / (n - lag) as f64 / power).collect()
}

/// The smallest lag whose peak is within 5 % of the highest, beyond the first zero crossing.
fn peak(r: &[f64]) -> Option<usize> {
    let first = r.iter().position(|&v| v <= 0.0)?;
    let peaks: Vec<usize> = (first + 1..r.len().saturating_sub(1))
        .filter(|&l| r[l] >= PEAK && r[l] > r[l - 1] && r[l] >= r[l + 1])
        .collect();
    let highest = peaks.iter().map(|&l| r[l]).fold(0.0, f64::max);
    let lag = *peaks.iter().find(|&&l| r[l] >= 0.95 * highest)?;
    // Noise moves a summit by a few lags; the summits at multiples say it more exactly.
    let summit = |middle: f64| {
        let (from, to) = (middle * 0.97, (middle * 1.03).ceil());
        (from as usize..=(to as usize).min(r.len() - 1)).max_by(|&a, &b| r[a].total_cmp(&r[b]))
    };
    let mut season = summit(lag as f64)? as f64;
    for times in [2.0, 4.0, 8.0] {
        if times * season * 1.03 >= r.len() as f64 {
            break;
        }
        season = summit(times * season)? as f64 / times;
    }
    Some(season.round() as usize).filter(|&l| l >= 4)
}

/// The autocorrelation of means over a 48th of a lag, at that lag: noise hides a season
/// from single points long before it hides it from their means.
fn binned(values: &[f64], lag: usize) -> f64 {
    let width = (lag / 48).max(1);
    let bins = lag / width;
    let means: Vec<f64> = values.chunks_exact(width).map(|c| c.iter().sum::<f64>() / width as f64).collect();
    if !lag.is_multiple_of(width) || means.len() <= bins {
        return 0.0;
    }
    let power = means.iter().map(|v| v * v).sum::<f64>() / means.len() as f64;
    let cross = means.iter().zip(&means[bins..]).map(|(a, b)| a * b).sum::<f64>() / (means.len() - bins) as f64;
    if power > 0.0 { cross / power } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(i: usize) -> f32 {
        let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn wave(n: usize, period: f32, noisy: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 / period * std::f32::consts::TAU).sin() + noisy * noise(i)).collect()
    }

    #[test]
    fn a_day_of_minutes_is_found_through_noise_and_a_weekend() {
        assert_eq!(find(&wave(7200, 1440.0, 1.0), 60_000), Some(1440));
        assert_eq!(find(&wave(10_080, 1440.0, 6.0), 60_000), Some(1440));
        let mut week = wave(10_080, 1440.0, 0.5);
        week[7200..].iter_mut().for_each(|v| *v = *v * 0.3 - 1.0);
        assert_eq!(find(&week, 60_000), Some(1440));
    }

    #[test]
    fn what_the_calendar_does_not_know_is_found_too() {
        assert_eq!(find(&wave(3000, 100.0, 0.3), 60_000), Some(100));
    }

    #[test]
    fn noise_and_a_flat_line_have_no_season() {
        assert_eq!(find(&(0..7200).map(noise).collect::<Vec<_>>(), 60_000), None);
        assert_eq!(find(&[1.0; 7200], 60_000), None);
        assert_eq!(find(&[], 60_000), None);
    }
}
