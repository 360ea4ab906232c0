//! The nearest past windows, by brute force, at all lengths in one pass.
//!
//! Window kNN with k = 1: the distance from the newest window to the most similar one of
//! the references. A reference is a place in the history where windows of all [`LENGTHS`]
//! end: walked from its newest value back, the sums of differences and of their squares at
//! each length give the distance there, with the mean taken off and without. References lie
//! at an even stride over the history and at the query's own phase, whole seasons back and
//! up to two columns beside: a sharp daily edge aligns with no even stride and would be new
//! every day. The forecast of a seasonal series is one more: the first Monday after the first
//! weekend is like no day before, and just what was to be expected.
//!
//! Several references are walked side by side ([`lanes`]), a step back in all of them at a time, so that
//! nothing has to be added up across lanes. That wants the values that are a stride apart to lie
//! beside each other, so [`References`] has the history a second time, in that order ([`rows`]). Where a
//! reference may not be used at all lengths, it is walked alone.

mod lanes;
mod rows;

use wide::f32x4;

use crate::history::{History, Reach};
use lanes::{LANES, Lanes, four};
use rows::Rows;

/// Columns beside the phase that are references too.
const JITTER: i64 = 2;
/// The phase and the columns beside it.
const BESIDE: usize = 2 * JITTER as usize + 1;
/// References at an even stride, about.
const REFERENCES: usize = 700;
/// The lengths of windows, ascending: multiples of what is walked in a turn.
pub const LENGTHS: [usize; 4] = [8, 32, 64, 128];
/// The longest of them.
pub const LONGEST: usize = LENGTHS[LENGTHS.len() - 1];
/// The shortest.
const LEAST_LENGTH: usize = LENGTHS[0];
/// One over the lengths.
const INVERSES: [f32; LENGTHS.len()] = [1.0 / 8.0, 1.0 / 32.0, 1.0 / 64.0, 1.0 / 128.0];
/// References without which there is no distance.
const LEAST: usize = 3;

/// The distances from one column's windows to the nearest ones, by length; NaN where the
/// window has a gap or too little to be compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearest {
    /// With the mean of the difference taken off: shapes.
    pub centred: [f32; LENGTHS.len()],
    /// As they are: shapes and levels.
    pub raw: [f32; LENGTHS.len()],
}

/// The least squared distances so far.
struct Best {
    centred: [f32; LENGTHS.len()],
    raw: [f32; LENGTHS.len()],
    seen: [usize; LENGTHS.len()],
}

impl Best {
    /// Compares `query` with the windows that end a reference, at the first `lengths` lengths.
    fn visit(&mut self, query: &[f32], reference: &[f32], lengths: usize) {
        let (mut sums, mut squares) = (f32x4::splat(0.0), f32x4::splat(0.0));
        let (query, reference) = (query.as_rchunks::<LEAST_LENGTH>().1, reference.as_rchunks::<LEAST_LENGTH>().1);
        let mut steps = query.iter().rev().zip(reference.iter().rev());
        let whole = LEAST_LENGTH * query.len().min(reference.len());
        let mut walked = 0;
        for (index, (length, inverse)) in LENGTHS.into_iter().zip(INVERSES).enumerate().take(lengths) {
            if length > whole {
                return;
            }
            for (query, reference) in steps.by_ref().take((length - walked) / LEAST_LENGTH) {
                let newer = four(query, 4) - four(reference, 4);
                let older = four(query, 0) - four(reference, 0);
                sums += newer + older;
                squares += newer * newer + older * older;
            }
            walked = length;
            self.seen[index] += 1;
            let (sum, squares) = (total(sums), total(squares));
            keep(&mut self.raw[index], squares);
            keep(&mut self.centred[index], squares - sum * sum * inverse);
        }
    }

    /// At the longest length, centred and raw.
    fn longest(&self) -> (f32, f32) {
        (self.centred[LENGTHS.len() - 1], self.raw[LENGTHS.len() - 1])
    }

    /// What the lanes found, of so many references.
    fn join(&mut self, lanes: &Lanes, references: usize) {
        for (index, (centred, raw)) in lanes.found().enumerate() {
            self.seen[index] += references;
            centred.into_iter().for_each(|squares| keep(&mut self.centred[index], squares));
            raw.into_iter().for_each(|squares| keep(&mut self.raw[index], squares));
        }
    }
}

fn total(numbers: f32x4) -> f32 {
    let [a, b, c, d] = numbers.to_array();
    (a + b) + (c + d)
}

/// The smaller one. NaN, a reference with a gap, is not smaller.
#[inline(always)]
fn keep(least: &mut f32, squares: f32) {
    *least = if squares < *least { squares } else { *least };
}

/// Evenly strided places in a history.
pub struct References {
    stride: i64,
    /// The first: a multiple of the stride, so that references stay where they are while the
    /// history moves on.
    first: i64,
    /// The history in the order in which references are walked.
    rows: Rows,
}

impl References {
    /// About [`REFERENCES`].
    pub fn new(history: &History<'_>) -> Self {
        let stride = stride(history.values.len().div_ceil(REFERENCES));
        let least = history.start + LENGTHS[0] as i64 - 1;
        let first = least + (-least).rem_euclid(stride);
        let origin = history.start.div_euclid(stride) * stride;
        let before = ((first - origin) / stride) as usize;
        let rows = Rows::new(history.values, (history.start - origin) as usize, stride as usize, before);
        Self { stride, first, rows }
    }

    /// The distances from the windows of `query`, whose last value lies at `column`, to the
    /// nearest ones within reach, or to `forecast`, which is as long as `query` or empty.
    pub fn nearest(
        &self,
        history: &History<'_>,
        query: &[f32],
        forecast: &[f32],
        column: i64,
        reach: Reach,
    ) -> Nearest {
        let mut best = Best {
            centred: [f32::INFINITY; LENGTHS.len()],
            raw: [f32::INFINITY; LENGTHS.len()],
            seen: [0; LENGTHS.len()],
        };
        let whole = query.iter().rev().take_while(|v| !v.is_nan()).count();
        let query = &query[query.len() - whole.min(LONGEST)..];
        if !forecast.is_empty() {
            best.visit(query, forecast, LENGTHS.len());
        }
        let sides = Sides { column, reach };
        let alone = |best: &mut Best, at: i64| {
            if (history.start..history.end()).contains(&at) {
                best.visit(query, history.upto(at, LONGEST), sides.lengths(at));
            }
        };
        let longest: Option<&[f32; LONGEST]> = query.try_into().ok();
        let in_lanes;
        let longest = match longest {
            Some(query) => {
                in_lanes = lanes::query(query);
                Some(&in_lanes)
            }
            None => None,
        };
        // Where windows of all lengths are.
        let inside = history.start + LONGEST as i64 - 1..history.end();

        let open = sides.whole(&inside);
        let mut lanes = Lanes::new(BESIDE, best.longest());
        let mut walked = 0;
        for middle in history.in_phase(column, reach) {
            let (from, to) = (middle - JITTER, middle + JITTER);
            // Lanes that are not used read on.
            let all = from + LANES as i64 <= inside.end && open.iter().any(|open| open.start <= from && to < open.end);
            match longest.filter(|_| all) {
                Some(query) => {
                    let newest = (from - history.start) as usize;
                    lanes.visit_beside(query, history.values, newest);
                    walked += BESIDE;
                }
                None => (from..=to).for_each(|at| alone(&mut best, at)),
            }
        }
        best.join(&lanes, walked);

        let mut lanes = Lanes::new(LANES, best.longest());
        let count = self.from(history.end());
        let (mut next, mut walked) = (0, 0);
        for open in open {
            let (from, to) = (self.from(open.start).max(next), self.from(open.end));
            let Some(query) = longest.filter(|_| from + LANES <= to) else { continue };
            (next..from).for_each(|reference| alone(&mut best, self.at(reference)));
            // The last lanes may be some of those before them.
            (from..to)
                .step_by(LANES)
                .for_each(|first| lanes.visit_references(query, &self.rows, first.min(to - LANES)));
            walked += to - from;
            next = to;
        }
        (next..count).for_each(|reference| alone(&mut best, self.at(reference)));
        best.join(&lanes, walked);
        let told = |least: [f32; LENGTHS.len()]| {
            std::array::from_fn(|i| {
                // Rounding may take it below nothing.
                if best.seen[i] >= LEAST && least[i].is_finite() { least[i].max(0.0).sqrt() } else { f32::NAN }
            })
        };
        Nearest { centred: told(best.centred), raw: told(best.raw) }
    }
}

impl References {
    /// The column of a reference.
    fn at(&self, reference: usize) -> i64 {
        self.first + reference as i64 * self.stride
    }

    /// The first reference from a column on.
    fn from(&self, column: i64) -> usize {
        usize::try_from((column - self.first + self.stride - 1).div_euclid(self.stride)).unwrap_or(0)
    }
}

/// Which places may be referred to for a query.
#[derive(Clone, Copy)]
struct Sides {
    column: i64,
    reach: Reach,
}

impl Sides {
    /// The spans, in order, of those places at which windows of all lengths are open.
    fn whole(self, inside: &std::ops::Range<i64>) -> [std::ops::Range<i64>; 2] {
        let longest = LONGEST as i64;
        let (before, after) = match self.reach {
            Reach::Before(end) => (end.min(self.column + 1 - longest), inside.end),
            Reach::Around(guard) => {
                ((self.column + 1 - longest).min(self.column - guard), self.column + guard.max(1) + longest - 1)
            }
        };
        [inside.start..inside.end.min(before), inside.start.max(after)..inside.end]
    }

    /// At so many lengths a window that ends at a place overlaps neither the query's nor
    /// what is out of reach.
    fn lengths(self, at: i64) -> usize {
        LENGTHS.iter().filter(|length| self.is_open(at, **length as i64)).count()
    }

    fn is_open(self, at: i64, length: i64) -> bool {
        match self.reach {
            Reach::Before(end) => at < end && at <= self.column - length,
            Reach::Around(guard) => {
                at < (self.column + 1 - length).min(self.column - guard)
                    || at + 1 - length >= self.column + guard.max(1)
            }
        }
    }
}

/// The next stride that shares no factor with hours and days.
fn stride(least: usize) -> i64 {
    let coprime = |n: &usize| [2, 3, 5].iter().all(|p| !n.is_multiple_of(*p));
    (least.max(1)..).find(coprime).unwrap_or(1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(values: &[f32], season: Option<usize>) -> History<'_> {
        History { values, start: 1_000, season }
    }

    fn sharp(n: usize) -> Vec<f32> {
        (0..n).map(|i| if i % 100 == 37 { 9.0 } else { (i % 7) as f32 * 0.01 }).collect()
    }

    fn nearest(history: &History<'_>, query: &[f32], column: i64, reach: Reach) -> Nearest {
        References::new(history).nearest(history, query, &[], column, reach)
    }

    #[test]
    fn a_sharp_daily_edge_is_near_its_own_phase() {
        // Edges as no reference at an even stride is likely to have them.
        let edges = |n: usize| -> Vec<f32> {
            (0..n).map(|i| if i % 1440 == 37 { 9.0 } else { (i % 7) as f32 * 0.01 }).collect()
        };
        let (values, later) = (edges(14_400), edges(14_500));
        let near = |season, end: usize| {
            let query = &later[end - LONGEST..end];
            nearest(&history(&values, season), query, 999 + end as i64, Reach::Before(15_400)).raw
        };
        let ends = 14_440..14_480;
        assert!(ends.clone().all(|end| near(Some(1440), end).iter().all(|d| d.is_nan() || *d < 1.0)));
        let far = ends.filter(|end| near(None, *end)[3] > 3.0).count();
        assert!(far > 10, "{far} of 40");
    }

    #[test]
    fn what_was_forecast_is_near() {
        let values = sharp(1_000);
        let (query, history) = (vec![40.0; LONGEST], history(&values, Some(100)));
        let near = |forecast: &[f32]| {
            References::new(&history).nearest(&history, &query, forecast, 2_039, Reach::Before(2_000)).raw[3]
        };
        assert!(near(&[]) > 100.0);
        assert_eq!(near(&query), 0.0);
    }

    #[test]
    fn a_centred_window_does_not_see_its_level_and_a_raw_one_does() {
        let values = sharp(700);
        let lifted: Vec<f32> = values[300..300 + LONGEST].iter().map(|v| v + 5.0).collect();
        let near = nearest(&history(&values, None), &lifted, 9_999, Reach::Before(1_700));
        assert!(near.centred.iter().all(|d| *d < 0.1), "{near:?}");
        assert!(near.raw.iter().zip(LENGTHS).all(|(d, length)| *d > 2.0 * (length as f32).sqrt()), "{near:?}");
    }

    #[test]
    fn the_distances_are_those_of_every_window_one_by_one() {
        let values: Vec<f32> = (0..600).map(|i| ((i * i) as f32 * 0.37).sin() + (i as f32 * 0.1).cos()).collect();
        let history = history(&values, None);
        let query = &values[460..588];
        let found = nearest(&history, query, 1_587, Reach::Before(1_400));
        for (index, length) in LENGTHS.into_iter().enumerate() {
            let q = &query[LONGEST - length..];
            let least = |centred: bool| {
                let distance = |r: &[f32]| {
                    let mean = q.iter().zip(r).map(|(a, b)| a - b).sum::<f32>() / length as f32;
                    let shift = if centred { mean } else { 0.0 };
                    q.iter().zip(r).map(|(a, b)| (a - b - shift).powi(2)).sum::<f32>().sqrt()
                };
                values[..400].windows(length).map(distance).fold(f32::INFINITY, f32::min)
            };
            assert!((found.raw[index] - least(false)).abs() < 1e-3, "{length}");
            assert!((found.centred[index] - least(true)).abs() < 1e-3, "{length}");
        }
    }

    #[test]
    fn references_that_are_a_stride_apart_are_those_of_every_stride() {
        // Strides of 1, 7 and 23, and histories that begin anywhere.
        for (count, start) in [(600, 1_000), (4_500, 1_003), (14_400, -77)] {
            let values: Vec<f32> =
                (0..count).map(|i| ((i * i % 1_009) as f32 * 0.37).sin() + (i as f32 * 0.1).cos()).collect();
            let history = History { values: &values, start, season: None };
            let (stride, end) = (stride(values.len().div_ceil(REFERENCES)), start + i64::from(count));
            let references = References::new(&history);
            for (column, reach) in [
                (end + 3, Reach::Before(end)),
                (start + 400, Reach::Around(50)),
                (end - 130, Reach::Around(200)),
                (end - 300, Reach::Before(end - 350)),
            ] {
                let place = ((column - start) as usize).min(values.len() - 1);
                let query: Vec<f32> = values[place + 1 - LONGEST..=place].iter().map(|v| v + 0.1).collect();
                let found = references.nearest(&history, &query, &[], column, reach).raw;
                for (index, length) in LENGTHS.into_iter().enumerate() {
                    let sides = Sides { column, reach };
                    let open = |at: &i64| at.rem_euclid(stride) == 0 && sides.lengths(*at) > index;
                    let distance = |at: i64| {
                        let window = history.upto(at, length).iter().zip(&query[LONGEST - length..]);
                        window.map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
                    };
                    let least =
                        (start + length as i64 - 1..end).filter(open).map(distance).fold(f32::INFINITY, f32::min);
                    assert!((found[index] - least).abs() < 1e-3, "{count} {column} {length}: {} {least}", found[index]);
                }
            }
        }
    }

    #[test]
    fn no_window_refers_to_itself_or_to_the_future() {
        let mut values = vec![0.0; 600];
        values[400..432].iter_mut().enumerate().for_each(|(i, v)| *v = (i % 5) as f32);
        let history = history(&values, None);
        let query = &values[400..432];
        let near = |column, reach| nearest(&history, query, column, reach).raw[1];
        assert_eq!(near(5_000, Reach::Before(1_600)), 0.0);
        assert!(near(1_431, Reach::Before(1_600)) > 1.0);
        assert!(near(1_431, Reach::Around(50)) > 1.0);
        assert!(near(5_000, Reach::Before(1_410)) > 1.0);
    }

    #[test]
    fn gaps_are_nobodys_neighbour() {
        let mut values = sharp(500);
        values[90..500].iter_mut().step_by(8).for_each(|v| *v = f32::NAN);
        let history = history(&values, None);
        let near = |query: &[f32]| nearest(&history, query, 5_000, Reach::Before(1_500));
        assert!(near(&sharp(32)).raw[1].is_finite());
        assert!(near(&sharp(32)).raw[2].is_nan(), "it is too short");
        assert!(near(&[f32::NAN; 32]).raw.iter().all(|d| d.is_nan()));
        let mut gap = sharp(32);
        gap[10] = f32::NAN;
        assert!(near(&gap).raw[0].is_finite() && near(&gap).raw[1].is_nan());
    }
}
