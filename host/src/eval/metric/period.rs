//! The length of the repeating pattern that TSB-AD takes as the window of VUS.

/// Rows that are looked at.
const ROWS: usize = 20_000;
/// The largest lag.
const LAGS: usize = 400;
/// The smallest lag that is looked at.
const BASE: usize = 3;
/// What is taken where no lag is found.
const DEFAULT: usize = 125;

/// The lag of the highest local maximum of the autocorrelation, 6 to 303, or 125 where there is
/// none: TSB-AD's `find_length_rank` at rank 1. It knows nothing of time, and misses the day of
/// one-minute data; here it is for comparison alone.
pub fn vus_window(values: &[f64]) -> usize {
    let values = values.get(..ROWS).unwrap_or(values);
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let centred: Vec<f64> = values.iter().map(|value| value - mean).collect();
    let product = |lag: usize| -> f64 {
        let later = centred.get(lag..).unwrap_or_default();
        centred.iter().zip(later).map(|(a, b)| a * b).sum()
    };
    let whole = product(0);
    let largest = LAGS.min(values.len().saturating_sub(1));
    let correlation: Vec<f64> = (BASE..=largest).map(|lag| product(lag) / whole).collect();
    let peaks = correlation.windows(3).enumerate().filter_map(|(place, around)| match around {
        [before, peak, after] if peak > before && peak > after => Some((place + 1, *peak)),
        _ => None,
    });
    let highest = peaks.max_by(|a, b| a.1.total_cmp(&b.1));
    highest.filter(|(place, _)| (3..=300).contains(place)).map_or(DEFAULT, |(place, _)| place + BASE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_has_its_period_and_a_line_the_default() {
        let wave: Vec<f64> = (0..1000).map(|i| (f64::from(i) * std::f64::consts::TAU / 40.0).sin()).collect();
        assert_eq!(vus_window(&wave), 40);
        assert_eq!(vus_window(&[5.0; 500]), 125);
        assert_eq!(vus_window(&[]), 125);
    }
}
