//! How far the forecasts of a series missed, in its own past.
//!
//! A line was drawn at many instants of the history through a window before each, and held
//! against what then came. This one measure knows noise, wandering, seasons that were not
//! removed, and that what fills is cleaned before it is full. It is an empirical error of the
//! whole forecast, as in conformal prediction, and assumes no model of the series.
//!
//! The two sides are measured apart: that the growth which is now foreseen came unforeseen is
//! no reason to doubt it, and that earlier growth came to nothing is.

use crate::trend::{median, slope, without_jumps};

/// Windows, as parts of the horizon: 6 and 12 hours, 1, 1.75, 3.5 and 7 days of a week.
const PARTS: [usize; 6] = [28, 14, 7, 4, 2, 1];
/// How far ahead misses are measured, in halves of the window.
pub const LAGS: [usize; 6] = [1, 2, 4, 8, 16, 24];
/// A window speaks of at most so many times its length.
pub const REACH: usize = 12;
/// Columns of the shortest window.
const SHORTEST: usize = 6;
/// Columns of the shortest horizon: two windows at least.
pub const LEAST_HORIZON: usize = 12;
/// Instants at which a miss must have been measured.
const LEAST_MISSES: usize = 4;
/// How many of them must lie apart from each other, by the longer of window and lag.
const LEAST_APART: f64 = 2.5;
/// Where the windows begin, in parts of a window.
const STRIDE: usize = 6;
/// Of the misses so many are smaller than the one that counts.
const QUANTILE: f64 = 0.95;
/// Standard deviations at which that lies in a normal distribution.
const QUANTILE_AT: f64 = 1.645;
/// Standard deviations at which half lie, both sides together.
const MEDIAN_AT: f64 = 0.6745;
/// The largest miss counts for so many standard deviations.
const LARGEST_AT: f64 = 3.0;
/// Raw steps are kept where that has foreseen so much better.
const BETTER: f64 = 0.9;

/// A window, and how far lines through it missed.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its length.
    pub columns: usize,
    /// Whether jumps are part of the trend: a series that grows in stairs.
    pub jumps: bool,
    /// How far what came was below the line, for each of [`LAGS`], as a standard deviation;
    /// NaN where the history is too short to know.
    pub below: Misses,
    /// How far it was above the line.
    pub above: Misses,
    /// How far its slope usually is from that of what comes next, a column, as a standard
    /// deviation. A growth that began or ended some time ago is not in it.
    pub slope: f64,
}

/// A standard deviation for each of [`LAGS`].
pub type Misses = [f64; LAGS.len()];

const UNKNOWN: Misses = [f64::NAN; LAGS.len()];

/// The windows of a series, the shortest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// See [`Span`].
    pub spans: Vec<Span>,
}

/// The lengths of the windows for a horizon, the shortest first.
pub fn windows(horizon: usize) -> impl Iterator<Item = usize> {
    PARTS.into_iter().map(move |part| horizon / part).filter(|columns| *columns >= SHORTEST)
}

/// For so many columns a step must be rare to be a jump.
pub fn memory(horizon: usize) -> usize {
    windows(horizon).next().unwrap_or(SHORTEST)
}

/// The level at the end of a row: the median of its last columns.
pub fn level(values: &[f64], horizon: usize) -> Option<f64> {
    let few = (memory(horizon) / 6).max(3);
    median(&mut values[values.len().saturating_sub(few)..].to_vec())
}

impl Past {
    /// Measures a series without its season.
    pub fn measure(values: &[f64], horizon: usize) -> Self {
        let calm = without_jumps(values, memory(horizon));
        let levels: Vec<f64> =
            (0..values.len()).map(|end| level(&values[..=end], horizon).unwrap_or(f64::NAN)).collect();
        let span = |columns: usize| {
            let [calm, raw] = [calm.as_slice(), values].map(|row| misses(row, &levels, columns, horizon));
            let size = |missed: &Missed| missed.below[1] + missed.above[1];
            let jumps = size(&raw) < BETTER * size(&calm);
            let Missed { below, above, slope } = if jumps { raw } else { calm };
            Span { columns, jumps, below, above, slope }
        };
        Self { spans: windows(horizon).map(span).collect() }
    }

    /// Whether any window is known.
    pub fn is_known(&self) -> bool {
        self.spans.iter().any(Span::is_known)
    }
}

impl Span {
    /// Whether it may speak.
    pub fn is_known(&self) -> bool {
        self.below.iter().any(|miss| miss.is_finite())
    }

    /// The error of a forecast so many columns ahead on the side of `misses`, as a standard
    /// deviation: between measured lags on a line, and beyond the longest growing with time, as
    /// the error of a slope does.
    pub fn error(&self, misses: &Misses, ahead: f64) -> f64 {
        let lag = |index: usize| (LAGS[index] * self.columns) as f64 / 2.0;
        let mut before: Option<(f64, f64)> = None;
        for (index, miss) in misses.iter().enumerate().filter(|(_, miss)| miss.is_finite()) {
            let at = lag(index);
            if ahead <= at {
                return match before {
                    Some((from, error)) => error + (miss - error) * (ahead - from) / (at - from),
                    None => *miss,
                };
            }
            before = Some((at, *miss));
        }
        before.map_or(f64::INFINITY, |(at, miss)| miss * ahead / at)
    }
}

/// See [`Span`].
struct Missed {
    below: Misses,
    above: Misses,
    slope: f64,
}

/// Draws lines through a row, and holds them against what came.
fn misses(row: &[f64], levels: &[f64], columns: usize, horizon: usize) -> Missed {
    let stride = (columns / STRIDE).max(1);
    let ends = (columns..levels.len()).step_by(stride);
    let slopes: Vec<(usize, Option<f64>)> = ends.map(|end| (end, slope(&row[end + 1 - columns..=end]))).collect();
    let mut missed_by = Missed { below: UNKNOWN, above: UNKNOWN, slope: f64::INFINITY };
    for (index, halves) in LAGS.into_iter().enumerate() {
        let ahead = halves * columns / 2;
        if ahead > horizon || columns + ahead >= levels.len() {
            break;
        }
        let miss = |(end, slope): &(usize, Option<f64>)| {
            let came = levels.get(end + ahead)?;
            Some(levels[*end] + (*slope)? * ahead as f64 - came).filter(|miss| miss.is_finite())
        };
        let mut missed: Vec<f64> = slopes.iter().filter_map(miss).collect();
        // What overlaps says less than it counts.
        let apart = (levels.len() - columns - ahead) as f64 / columns.max(ahead) as f64 + 1.0;
        if missed.len() < LEAST_MISSES || apart < LEAST_APART {
            break;
        }
        let mut sizes: Vec<f64> = missed.iter().map(|miss| miss.abs()).collect();
        let Some(usual) = median(&mut sizes).map(|size| size / MEDIAN_AT) else { break };
        missed.sort_unstable_by(f64::total_cmp);
        // Of few the spread is not well known, and least of all on one side.
        let few = 1.0 + 2.0 / apart;
        missed_by.below[index] = few * spread(&missed).max(usual / 2.0);
        missed.iter_mut().for_each(|miss| *miss = -*miss);
        missed.reverse();
        missed_by.above[index] = few * spread(&missed).max(usual / 2.0);
        if ahead == columns {
            missed_by.slope = few * usual / ahead as f64;
        }
    }
    missed_by
}

/// The spread of the upper side of ascending misses, as a standard deviation.
fn spread(missed: &[f64]) -> f64 {
    let last = missed.len() - 1;
    let quantile = missed[(last as f64 * QUANTILE).round() as usize] / QUANTILE_AT;
    quantile.max(missed[last] / LARGEST_AT)
}
