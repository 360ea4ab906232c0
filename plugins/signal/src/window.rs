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

/// Columns beside the phase that are references too.
const JITTER: i64 = 2;
/// Seasons at whose phase references lie, at most.
const SEASONS: i64 = 60;
/// References at an even stride, about.
const REFERENCES: usize = 700;
/// Differences that are taken at once.
const LANES: usize = 8;

/// The lengths of windows, ascending: multiples of [`LANES`].
pub const LENGTHS: [usize; 4] = [8, 32, 64, 128];
/// The longest of them.
pub const LONGEST: usize = LENGTHS[LENGTHS.len() - 1];
/// References without which there is no distance.
const LEAST: usize = 3;

/// Which columns may be referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those before this one, as when a point is scored.
    Before(i64),
    /// All but so many on either side of the query, as when the history judges itself.
    Around(i64),
}

/// The history in which references lie. Column numbers are counted from the Unix epoch.
#[derive(Clone, Copy)]
pub struct History<'a> {
    /// The judged values; NaN where one is missing.
    pub values: &'a [f32],
    /// The column of the first value.
    pub start: i64,
    /// The length of a season, in columns.
    pub season: Option<usize>,
}

impl<'a> History<'a> {
    /// The value of a column; NaN where there is none or `reach` forbids it.
    pub fn at(&self, column: i64, reach: Reach) -> f32 {
        match reach {
            Reach::Before(end) if column >= end => f32::NAN,
            _ => {
                usize::try_from(column - self.start).ok().and_then(|i| self.values.get(i)).copied().unwrap_or(f32::NAN)
            }
        }
    }

    /// The values up to a column, as many as the longest window has or as there are.
    fn upto(&self, column: i64) -> &'a [f32] {
        let end = usize::try_from(column + 1 - self.start).unwrap_or(0).min(self.values.len());
        self.values.get(end.saturating_sub(LONGEST)..end).unwrap_or_default()
    }

    /// The columns at the phase of `column` and beside it.
    fn in_phase(&self, column: i64, reach: Reach) -> impl Iterator<Item = i64> {
        let season = self.season.unwrap_or(0) as i64;
        let seasons = if season == 0 { 0 } else { (self.values.len() as i64 / season + 2).min(SEASONS) };
        let first = if matches!(reach, Reach::Around(_)) { -seasons } else { 1 };
        (first..=seasons)
            .filter(|&k| k != 0)
            .flat_map(move |k| (-JITTER..=JITTER).map(move |beside| column - k * season + beside))
    }

    fn end(&self) -> i64 {
        self.start + self.values.len() as i64
    }
}

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

/// Two windows on the way back from their newest values.
struct Walk<'a> {
    query: &'a [f32],
    reference: &'a [f32],
    /// Of the differences so far.
    sum: f32,
    /// Of their squares.
    squares: f32,
    /// Lengths at which they are compared.
    most: usize,
}

impl Best {
    /// Compares `query` with the windows that end a reference, at the first `lengths` lengths.
    fn visit(&mut self, query: &[f32], reference: &[f32], lengths: usize) {
        let whole = query.len().min(reference.len());
        let most =
            if whole >= LONGEST { lengths } else { lengths.min(LENGTHS.iter().filter(|l| **l <= whole).count()) };
        let mut walk = Walk { query, reference, sum: 0.0, squares: 0.0, most };
        let _ = self.compare::<0, { LENGTHS[0] }>(&mut walk)
            && self.compare::<1, { LENGTHS[1] - LENGTHS[0] }>(&mut walk)
            && self.compare::<2, { LENGTHS[2] - LENGTHS[1] }>(&mut walk)
            && self.compare::<3, { LENGTHS[3] - LENGTHS[2] }>(&mut walk);
    }

    /// Walks the `N` values back to the length at `INDEX`; whether to walk on. How far is known to
    /// the compiler, since in a sandbox a loop pays at each turn for its deadline.
    #[inline(always)]
    fn compare<const INDEX: usize, const N: usize>(&mut self, walk: &mut Walk<'_>) -> bool {
        if INDEX >= walk.most {
            return false;
        }
        let (Some((query, q)), Some((reference, r))) =
            (walk.query.split_last_chunk::<N>(), walk.reference.split_last_chunk::<N>())
        else {
            return false;
        };
        (walk.query, walk.reference) = (query, reference);
        let (s, squares) = differences(q, r);
        walk.sum += s;
        walk.squares += squares;
        let squares = walk.squares;
        let centred = squares - walk.sum * walk.sum / LENGTHS[INDEX] as f32;
        self.seen[INDEX] += 1;
        // NaN, a reference with a gap, is not smaller.
        if squares < self.raw[INDEX] {
            self.raw[INDEX] = squares;
        }
        if centred < self.centred[INDEX] {
            self.centred[INDEX] = centred.max(0.0);
        }
        // Distances grow with the length, the least ones too.
        let last = walk.most - 1;
        if squares.is_nan() || (squares >= self.raw[last] && centred >= self.centred[last]) {
            self.seen[INDEX + 1..walk.most].iter_mut().for_each(|n| *n += 1);
            return false;
        }
        true
    }
}

/// Evenly strided places in a history.
pub struct References {
    stride: i64,
    /// The first: a multiple of the stride, so that references stay where they are while the
    /// history moves on.
    first: i64,
}

impl References {
    /// About [`REFERENCES`].
    pub fn new(history: &History<'_>) -> Self {
        let stride = stride(history.values.len().div_ceil(REFERENCES));
        let least = history.start + LENGTHS[0] as i64 - 1;
        Self { stride, first: least + (-least).rem_euclid(stride) }
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
        // At so many lengths a window that ends at a place overlaps neither the query's nor
        // what is out of reach.
        let lengths = |at: i64| match reach {
            Reach::Before(end) if at >= end => 0,
            Reach::Before(_) if at <= column - LONGEST as i64 => LENGTHS.len(),
            Reach::Before(_) => LENGTHS.iter().filter(|l| at <= column - **l as i64).count(),
            Reach::Around(guard) => LENGTHS
                .iter()
                .filter(|l| {
                    let length = **l as i64;
                    at < (column + 1 - length).min(column - guard) || at + 1 - length >= column + guard.max(1)
                })
                .count(),
        };
        if !forecast.is_empty() {
            best.visit(query, forecast, LENGTHS.len());
        }
        let mut visit = |at: i64| match lengths(at) {
            0 => {}
            some => best.visit(query, history.upto(at), some),
        };
        let inside = |at: &i64| (history.start..history.end()).contains(at);
        history.in_phase(column, reach).filter(inside).for_each(&mut visit);
        (self.first..history.end()).step_by(self.stride as usize).for_each(visit);
        let told =
            |least: [f32; LENGTHS.len()]| {
                std::array::from_fn(|i| {
                    if best.seen[i] >= LEAST && least[i].is_finite() { least[i].sqrt() } else { f32::NAN }
                })
            };
        Nearest { centred: told(best.centred), raw: told(best.raw) }
    }
}

/// The next stride that shares no factor with hours and days.
fn stride(least: usize) -> i64 {
    let coprime = |n: &usize| [2, 3, 5].iter().all(|p| !n.is_multiple_of(*p));
    (least.max(1)..).find(coprime).unwrap_or(1) as i64
}

/// The sum of differences, and of their squares.
#[inline(always)]
fn differences<const N: usize>(query: &[f32; N], reference: &[f32; N]) -> (f32, f32) {
    let (mut sums, mut squares) = ([0.0f32; LANES], [0.0f32; LANES]);
    for (q, r) in query.as_chunks::<LANES>().0.iter().zip(reference.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            let d = q[lane] - r[lane];
            sums[lane] += d;
            squares[lane] += d * d;
        }
    }
    let total = |lanes: [f32; LANES]| {
        ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]))
    };
    (total(sums), total(squares))
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
        assert!(ends.clone().all(|end| near(Some(1440), end).iter().all(|d| !(*d >= 1.0))));
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
