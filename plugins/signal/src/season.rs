//! Finds the length of a season.
//!
//! A length is believed where the cycles that it cuts a history into are alike ([`Folded`]):
//! more alike than cycles of a wandering series would be by chance. It is asked of the lengths
//! that the calendar knows, since systems follow hours and days far more often than 1 437
//! minutes, and of the best peak of the autocorrelation, which one FFT each way gives for all
//! lags.

use std::cell::RefCell;

use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

/// The least autocorrelation of a peak.
const PEAK: f64 = 0.3;
/// Seasons that a history has to hold.
const CYCLES: f64 = 2.5;
/// The same of a length that the calendar does not know: one that was picked among thousands.
const CYCLES_OF_ANY: f64 = 4.0;
const HOUR_MS: f64 = 3_600_000.0;
/// A peak so near to a length of the calendar, as a share of it, is that.
const NEAR: f64 = 0.12;
/// By how much the autocorrelation at a week has to be above that at a day.
const WEEKLY: f64 = 0.05;

/// The season of a history on the judged scale, in columns. NaN is skipped.
pub fn find(history: &[f32], step_ms: u32) -> Option<usize> {
    let columns = |hours: f64| {
        let lag = hours * HOUR_MS / f64::from(step_ms);
        (lag.fract() == 0.0 && lag >= 4.0 && CYCLES * lag <= history.len() as f64).then_some(lag as usize)
    };
    let cleaned = clean(history)?;
    let r = autocorrelation(&cleaned);
    let alike = |values: &[f64], lag: usize| Folded::new(values, lag).is_some_and(|folded| folded.is_season());
    let day = columns(24.0).filter(|&day| alike(&cleaned, day));
    let near = |a: usize, b: usize| (a as f64 / b as f64 - 1.0).abs() <= NEAR;
    // Shorter than a day: an hour, or what the peaks say.
    let most = columns(24.0).unwrap_or(usize::MAX);
    let peak = peak(&r).filter(|&lag| CYCLES_OF_ANY * lag as f64 <= history.len() as f64);
    let hour = columns(1.0);
    let any = match (peak, hour) {
        (Some(peak), Some(hour)) if near(peak, hour) => Some(hour),
        (Some(peak), _) if !near(peak, most) => Some(peak),
        _ => hour,
    };
    let any = any.filter(|&lag| alike(&cleaned, lag)).or(hour.filter(|&lag| alike(&cleaned, lag)));
    let Some(day) = day else { return any };
    // What holds a day may hold a shorter season alone: then the day says nothing more.
    if let Some(short) = any.filter(|&lag| lag < day)
        && !Folded::new(&cleaned, short).is_some_and(|folded| alike(&folded.rest(&cleaned), day))
    {
        return Some(short);
    }
    let at = |lag: usize| r.get(lag).copied().unwrap_or(0.0);
    let week = columns(168.0).filter(|&week| at(week) > at(day) + WEEKLY && alike(&cleaned, week));
    Some(week.unwrap_or(day))
}

/// A history cut into cycles of one length, the last of which ends with it.
struct Folded {
    lag: usize,
    /// Where the first cycle begins.
    begin: usize,
    /// The mean deviation of each part of a cycle from the line through its cycle.
    cycles: Vec<[f64; PARTS]>,
}

/// Parts of a cycle: hours of a day.
const PARTS: usize = 24;
/// How many standard deviations above chance cycles have to be alike.
const SURE: f64 = 2.5;
/// How alike cycles have to be, however sure it is.
const ALIKE: f64 = 0.15;

impl Folded {
    fn new(values: &[f64], lag: usize) -> Option<Self> {
        let count = values.len() / lag.max(1);
        if count < 2 || lag < 4 {
            return None;
        }
        let begin = values.len() - count * lag;
        let cycles = values[begin..].chunks_exact(lag).map(parts).collect();
        Some(Self { lag, begin, cycles })
    }

    /// The mean cycle.
    fn profile(&self) -> [f64; PARTS] {
        let mut profile = [0.0; PARTS];
        for cycle in &self.cycles {
            profile.iter_mut().zip(cycle).for_each(|(sum, part)| *sum += part / self.cycles.len() as f64);
        }
        profile
    }

    /// Whether the mean correlation of two cycles is beyond chance. By chance it is 0, with a
    /// variance of `2 / (n (n - 1) d)` for `n` cycles of `d` independent parts; those are the fewer
    /// the more what differs from the mean cycle wanders.
    fn is_season(&self) -> bool {
        let (n, profile) = (self.cycles.len() as f64, self.profile());
        let square = |values: &[f64; PARTS]| values.iter().map(|v| v * v).sum::<f64>();
        let whole = self.cycles.iter().map(square).sum::<f64>() / n;
        if whole <= 0.0 {
            return false;
        }
        let alike = (n * square(&profile) - whole) / (n - 1.0) / whole;
        let (mut own, mut next) = (0.0, 0.0);
        for cycle in &self.cycles {
            let rest: [f64; PARTS] = std::array::from_fn(|p| cycle[p] - profile[p]);
            own += square(&rest);
            next += rest.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>();
        }
        let wandering = if own > 0.0 { (next / own).clamp(0.0, 1.0) } else { 0.0 };
        let independent = (PARTS as f64 * (1.0 - wandering) / (1.0 + wandering)).max(1.0);
        alike > (SURE * (2.0 / (n * (n - 1.0) * independent)).sqrt()).max(ALIKE)
    }

    /// Values without the mean cycle.
    fn rest(&self, values: &[f64]) -> Vec<f64> {
        let mut profile = vec![0.0; self.lag];
        let count = self.cycles.len() as f64;
        for (i, value) in values[self.begin..].iter().enumerate() {
            profile[i % self.lag] += value / count;
        }
        let phase = |i: usize| (i + self.lag - self.begin % self.lag) % self.lag;
        values.iter().enumerate().map(|(i, value)| value - profile[phase(i)]).collect()
    }
}

/// The means of the parts of a cycle, less the line through them.
fn parts(cycle: &[f64]) -> [f64; PARTS] {
    let (mut sums, mut counts) = ([0.0; PARTS], [0.0; PARTS]);
    for (i, value) in cycle.iter().enumerate() {
        let part = i * PARTS / cycle.len();
        sums[part] += value;
        counts[part] += 1.0;
    }
    // A cycle of fewer columns has parts without any: they are as their predecessor.
    let mut last = 0.0;
    let means: [f64; PARTS] = std::array::from_fn(|p| {
        last = if counts[p] > 0.0 { sums[p] / counts[p] } else { last };
        last
    });
    let middle = (PARTS as f64 - 1.0) / 2.0;
    let mean = means.iter().sum::<f64>() / PARTS as f64;
    let away = |p: usize| p as f64 - middle;
    let slope = means.iter().enumerate().map(|(p, v)| away(p) * (v - mean)).sum::<f64>()
        / (0..PARTS).map(|p| away(p) * away(p)).sum::<f64>();
    std::array::from_fn(|p| means[p] - mean - slope * away(p))
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

thread_local! {
    /// Plans of the few sizes that there are: to make one takes longer than to use it.
    static PLANNER: RefCell<FftPlanner<f64>> = RefCell::new(FftPlanner::new());
}

/// The autocorrelation at lags 0 to two fifths of the length.
fn autocorrelation(values: &[f64]) -> Vec<f64> {
    let n = values.len();
    let size = (2 * n).next_power_of_two();
    let (forward, inverse) =
        PLANNER.with_borrow_mut(|planner| (planner.plan_fft_forward(size), planner.plan_fft_inverse(size)));
    let mut spectrum: Vec<Complex<f64>> = values.iter().map(|&v| Complex::new(v, 0.0)).collect();
    spectrum.resize(size, Complex::default());
    forward.process(&mut spectrum);
    spectrum.iter_mut().for_each(|c| *c = Complex::new(c.norm_sqr(), 0.0));
    inverse.process(&mut spectrum);
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
    fn an_hour_within_a_day_is_the_day_and_an_hour_alone_the_hour() {
        let job = |i: usize| if i % 60 < 5 { 2.0 } else { 0.0 };
        let hourly: Vec<f32> = (0..7200).map(|i| job(i) + 0.3 * noise(i)).collect();
        assert_eq!(find(&hourly, 60_000), Some(60));
        let both: Vec<f32> = wave(7200, 1440.0, 0.3).iter().enumerate().map(|(i, v)| v + job(i)).collect();
        assert_eq!(find(&both, 60_000), Some(1440));
    }

    #[test]
    fn two_unequal_peaks_a_day_are_one_day() {
        let peak = |i: usize, at: i32| (-0.5 * (((i % 1440) as f32 - at as f32) / 90.0).powi(2)).exp();
        let values: Vec<f32> = (0..7200).map(|i| peak(i, 500) + 0.8 * peak(i, 1200) + 0.5 * noise(i)).collect();
        assert_eq!(find(&values, 60_000), Some(1440));
    }

    #[test]
    fn what_wanders_hardly_ever_has_a_season() {
        let mut found = 0;
        for seed in 0..20 {
            let (mut sum, mut level) = (0.0, 0.0);
            let walk: Vec<f32> = (0..7200)
                .map(|i| {
                    sum += noise(i + seed * 7200);
                    sum
                })
                .collect();
            let steps: Vec<f32> = (0..7200)
                .map(|i| {
                    if i % 500 == 0 {
                        level = 4.0 * noise(i + seed * 9000);
                    }
                    level + noise(i + seed * 7200)
                })
                .collect();
            found += [walk, steps].iter().filter(|values| find(values, 60_000).is_some()).count();
        }
        assert!(found <= 2, "{found} of 40");
    }

    #[test]
    fn noise_and_a_flat_line_have_no_season() {
        assert_eq!(find(&(0..7200).map(noise).collect::<Vec<_>>(), 60_000), None);
        assert_eq!(find(&[1.0; 7200], 60_000), None);
        assert_eq!(find(&[], 60_000), None);
    }
}
