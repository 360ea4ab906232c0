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
//! [`LANES`] references are walked side by side, a step back in all of them at a time, so that
//! nothing has to be added up across lanes. That wants the values that are a stride apart to lie
//! beside each other, so [`References`] has the history a second time, in that order. Where a
//! reference may not be used at all lengths, it is walked alone.

use wide::f32x8;

/// Columns beside the phase that are references too.
const JITTER: i64 = 2;
/// The phase and the columns beside it.
const BESIDE: usize = 2 * JITTER as usize + 1;
/// Seasons at whose phase references lie, at most.
const SEASONS: i64 = 60;
/// References at an even stride, about.
const REFERENCES: usize = 700;
/// References that are walked side by side.
pub const LANES: usize = 8;
/// Columns that are walked back between two looks at the deadline.
const STEPS: usize = 8;

/// The lengths of windows, ascending: multiples of [`STEPS`].
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

    /// The values of a column and of so many on either side, as far as there are and `reach` lets.
    pub fn near(&self, column: i64, beside: i64, reach: Reach) -> &'a [f32] {
        let end = match reach {
            Reach::Before(end) => end.min(column + beside + 1),
            Reach::Around(_) => column + beside + 1,
        };
        let place = |column: i64| (column - self.start).clamp(0, self.values.len() as i64) as usize;
        self.values.get(place(column - beside)..place(end)).unwrap_or_default()
    }

    /// So many values from a column on; empty where there is none of them, `None` where there are some.
    pub fn span(&self, column: i64, count: usize, reach: Reach) -> Option<&'a [f32]> {
        let end = match reach {
            Reach::Before(end) => end.min(self.end()),
            Reach::Around(_) => self.end(),
        };
        let last = column + count as i64;
        if last <= self.start || column >= end {
            return Some(&[]);
        }
        if last > end {
            return None;
        }
        let from = usize::try_from(column - self.start).ok()?;
        self.values.get(from..from + count)
    }

    /// The values up to a column, as many as the longest window has or as there are.
    fn upto(&self, column: i64) -> &'a [f32] {
        let end = usize::try_from(column + 1 - self.start).unwrap_or(0).min(self.values.len());
        self.values.get(end.saturating_sub(LONGEST)..end).unwrap_or_default()
    }

    /// The columns at the phase of `column`.
    fn in_phase(&self, column: i64, reach: Reach) -> impl Iterator<Item = i64> {
        let season = self.season.unwrap_or(0) as i64;
        let seasons = if season == 0 { 0 } else { (self.values.len() as i64 / season + 2).min(SEASONS) };
        let first = if matches!(reach, Reach::Around(_)) { -seasons } else { 1 };
        (first..=seasons).filter(|&k| k != 0).map(move |k| column - k * season)
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

impl Best {
    /// Compares `query` with the windows that end a reference, at the first `lengths` lengths.
    fn visit(&mut self, query: &[f32], reference: &[f32], lengths: usize) {
        let (mut sum, mut squares) = (0.0, 0.0);
        let (query, reference) = (query.as_rchunks::<STEPS>().1, reference.as_rchunks::<STEPS>().1);
        let mut steps = query.iter().rev().zip(reference.iter().rev());
        let whole = STEPS * query.len().min(reference.len());
        let mut walked = 0;
        for (index, &length) in LENGTHS.iter().enumerate().take(lengths) {
            if length > whole {
                return;
            }
            for (query, reference) in steps.by_ref().take((length - walked) / STEPS) {
                for step in 0..STEPS {
                    let difference = query[step] - reference[step];
                    sum += difference;
                    squares += difference * difference;
                }
            }
            walked = length;
            self.seen[index] += 1;
            keep(&mut self.raw[index], squares);
            keep(&mut self.centred[index], squares - sum * sum / length as f32);
        }
    }

    /// What the lanes found, of so many references.
    fn join(&mut self, lanes: &Lanes, references: usize) {
        for index in 0..LENGTHS.len() {
            self.seen[index] += references;
            lanes.raw[index].to_array().into_iter().for_each(|squares| keep(&mut self.raw[index], squares));
            lanes.centred[index].to_array().into_iter().for_each(|squares| keep(&mut self.centred[index], squares));
        }
    }
}

/// The smaller one. NaN, a reference with a gap, is not smaller.
#[inline(always)]
fn keep(least: &mut f32, squares: f32) {
    *least = if squares < *least { squares } else { *least };
}

/// The least squared distances of each lane so far.
struct Lanes {
    centred: [f32x8; LENGTHS.len()],
    raw: [f32x8; LENGTHS.len()],
    /// The least ones of all lanes at the longest length, centred and raw.
    least: (f32x8, f32x8),
    /// Infinite in lanes without a reference, else nothing.
    unused: f32x8,
}

impl Lanes {
    /// Of so many lanes with a reference. What `best` knows already need not be found again.
    fn new(best: &Best, used: usize) -> Self {
        let last = LENGTHS.len() - 1;
        let none = [f32x8::splat(f32::INFINITY); LENGTHS.len()];
        let unused = std::array::from_fn(|lane| if lane < used { 0.0 } else { f32::INFINITY });
        Self {
            centred: none,
            raw: none,
            least: (f32x8::splat(best.centred[last]), f32x8::splat(best.raw[last])),
            unused: f32x8::new(unused),
        }
    }

    /// Compares `query`, its newest value first, with the windows that end at a reference in each lane. The values of the lanes
    /// so many columns back are side by side in `values`, `at` places after what `places` says,
    /// modulo the size of a number.
    // By itself, so that its few vectors stay in registers in a sandbox too.
    #[inline(never)]
    fn visit(&mut self, query: &[f32; LONGEST], values: &[f32], places: &[usize; LONGEST], at: usize) {
        let mut sums = f32x8::splat(0.0);
        let mut squares = self.unused;
        let mut steps = query.as_chunks::<STEPS>().0.iter().zip(places.as_chunks::<STEPS>().0);
        let mut walked = 0;
        for (index, length) in LENGTHS.into_iter().enumerate() {
            // At each turn of a loop a guest looks at its deadline, so turns are long.
            for (query, places) in steps.by_ref().take((length - walked) / STEPS) {
                for step in 0..STEPS {
                    let place = places[step].wrapping_add(at);
                    let Some(reference) = values.get(place..).and_then(|from| from.first_chunk()) else { return };
                    let difference = f32x8::splat(query[step]) - f32x8::new(*reference);
                    sums += difference;
                    squares += difference * difference;
                }
            }
            walked = length;
            let centred = squares - sums * sums * f32x8::splat(1.0 / length as f32);
            self.raw[index] = lesser(squares, self.raw[index]);
            self.centred[index] = lesser(centred, self.centred[index]);
            // Distances grow with the length, the least ones too.
            if !(centred.simd_lt(self.least.0) | squares.simd_lt(self.least.1)).any() {
                return;
            }
        }
        let last = LENGTHS.len() - 1;
        self.least = (lesser(least(self.centred[last]), self.least.0), lesser(least(self.raw[last]), self.least.1));
    }
}

/// The least of all lanes, in all lanes.
fn least(lanes: f32x8) -> f32x8 {
    let mut least = f32::INFINITY;
    lanes.to_array().into_iter().for_each(|squares| keep(&mut least, squares));
    f32x8::splat(least)
}

/// The smaller one in each lane. NaN, a reference with a gap, is not smaller.
#[inline(always)]
fn lesser(squares: f32x8, least: f32x8) -> f32x8 {
    squares.simd_lt(least).select(squares, least)
}

/// Evenly strided places in a history.
pub struct References {
    stride: i64,
    /// The first: a multiple of the stride, so that references stay where they are while the
    /// history moves on.
    first: i64,
    /// The history in rows of columns that are a stride apart: of the references themselves, of those
    /// one column later, and so on. NaN where there is none.
    rows: Vec<f32>,
    /// Where in `rows` the value so many columns before the first reference is, or would be: what lies
    /// before the rows is where it leads from there, modulo the size of a number, so that a later
    /// reference is just as many places further.
    places: [usize; LONGEST],
}

impl References {
    /// About [`REFERENCES`].
    pub fn new(history: &History<'_>) -> Self {
        let stride = stride(history.values.len().div_ceil(REFERENCES));
        let least = history.start + LENGTHS[0] as i64 - 1;
        let first = least + (-least).rem_euclid(stride);
        let origin = history.start.div_euclid(stride) * stride;
        let skipped = (history.start - origin) as usize;
        let width = stride as usize;
        let across = (skipped + history.values.len()).div_ceil(width);
        let mut rows = vec![f32::NAN; across * width];
        for from in (0..across).step_by(LANES) {
            // A run of columns for each lane, which are one below the other in the rows.
            let run = |lane: usize| history.values.get(((from + lane) * width).checked_sub(skipped)?..)?.get(..width);
            let runs: [Option<&[f32]>; LANES] = std::array::from_fn(run);
            if let [Some(a), Some(b), Some(c), Some(d), Some(e), Some(f), Some(g), Some(h)] = runs {
                for row in 0..width {
                    if let Some(places) = rows.get_mut(row * across + from..).and_then(|r| r.first_chunk_mut()) {
                        *places = [a[row], b[row], c[row], d[row], e[row], f[row], g[row], h[row]];
                    }
                }
                continue;
            }
            for lane in (0..LANES).take_while(|lane| from + lane < across) {
                for row in 0..width {
                    let at = ((from + lane) * width + row).checked_sub(skipped);
                    rows[row * across + from + lane] =
                        at.and_then(|at| history.values.get(at)).copied().unwrap_or(f32::NAN);
                }
            }
        }
        let before = ((first - origin) / stride) as usize;
        let place = |back: usize| {
            let strides = back.div_ceil(stride as usize);
            ((strides * stride as usize - back) * across + before).wrapping_sub(strides)
        };
        Self { stride, first, rows, places: std::array::from_fn(place) }
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
                best.visit(query, history.upto(at), sides.lengths(at));
            }
        };
        let longest: Option<[f32; LONGEST]> = query.try_into().ok();
        let longest = longest.map(|mut newest_first| {
            newest_first.reverse();
            newest_first
        });
        // Where windows of all lengths are.
        let inside = history.start + LONGEST as i64 - 1..history.end();

        // One column back is one place back.
        let back = std::array::from_fn(usize::wrapping_neg);
        let mut lanes = Lanes::new(&best, BESIDE);
        let mut walked = 0;
        for middle in history.in_phase(column, reach) {
            let (from, to) = (middle - JITTER, middle + JITTER);
            // Lanes that are not used read on.
            let all = inside.contains(&from) && inside.contains(&(from + LANES as i64 - 1));
            match longest.as_ref().filter(|_| all && sides.are_open(from, to)) {
                Some(query) => {
                    let newest = (from - history.start) as usize;
                    lanes.visit(query, history.values, &back, newest);
                    walked += BESIDE;
                }
                None => (from..=to).for_each(|at| alone(&mut best, at)),
            }
        }
        best.join(&lanes, walked);

        let mut lanes = Lanes::new(&best, LANES);
        let count = usize::try_from((history.end() - self.first + self.stride - 1) / self.stride).unwrap_or(0);
        let at = |reference: usize| self.first + reference as i64 * self.stride;
        let (mut reference, mut walked) = (0, 0);
        while reference < count {
            let (from, to) = (at(reference), at(reference + LANES - 1));
            let all = inside.contains(&from) && inside.contains(&to);
            match longest.as_ref().filter(|_| all && sides.are_open(from, to)) {
                Some(query) => {
                    lanes.visit(query, &self.rows, &self.places, reference);
                    walked += LANES;
                    reference += LANES;
                }
                None => {
                    alone(&mut best, from);
                    reference += 1;
                }
            }
        }
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

/// Which places may be referred to for a query.
#[derive(Clone, Copy)]
struct Sides {
    column: i64,
    reach: Reach,
}

impl Sides {
    /// At so many lengths a window that ends at a place overlaps neither the query's nor
    /// what is out of reach.
    fn lengths(self, at: i64) -> usize {
        LENGTHS.iter().filter(|length| self.is_open(at, **length as i64)).count()
    }

    /// Whether windows of all lengths are open that end at two places, and so at all places between
    /// them that are as near to each other as lanes are.
    fn are_open(self, from: i64, to: i64) -> bool {
        let before = |at: i64| at < self.column;
        let longest = LONGEST as i64;
        before(from) == before(to) && self.is_open(from, longest) && self.is_open(to, longest)
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
