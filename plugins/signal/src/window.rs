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

use wide::f32x4;

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
/// Vectors of so many lanes.
const QUADS: usize = LANES / 4;
/// Columns that are walked back between two looks at the deadline.
const STEPS: usize = 4;

/// Places of a row: some more than [`REFERENCES`].
const ROW: usize = 704;

/// The lengths of windows, ascending: multiples of [`STEPS`].
pub const LENGTHS: [usize; 4] = [8, 32, 64, 128];
/// The longest of them.
pub const LONGEST: usize = LENGTHS[LENGTHS.len() - 1];
/// Turns of a walk over the longest.
const TURNS: usize = LONGEST / STEPS;
/// For each of them, where its oldest value is from the newest one, modulo the size of a number.
const BACK: [usize; TURNS] = {
    let mut back = [1; TURNS];
    let mut turn = 0;
    while turn < TURNS {
        back[turn] = 1usize.wrapping_sub((turn + 1) * STEPS);
        turn += 1;
    }
    back
};
/// The shortest.
const LEAST_LENGTH: usize = LENGTHS[0];
/// One over the lengths.
const INVERSES: [f32; LENGTHS.len()] = [1.0 / 8.0, 1.0 / 32.0, 1.0 / 64.0, 1.0 / 128.0];
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

    /// What the lanes found, of so many references.
    fn join(&mut self, lanes: &Lanes, references: usize) {
        for index in 0..LENGTHS.len() {
            self.seen[index] += references;
            let each = |numbers: Numbers| numbers.into_iter().flat_map(f32x4::to_array);
            each(lanes.raw[index]).for_each(|squares| keep(&mut self.raw[index], squares));
            each(lanes.centred[index]).for_each(|squares| keep(&mut self.centred[index], squares));
        }
    }
}

/// The newest value first, each in all lanes.
#[inline(always)]
fn in_all_lanes(query: &[f32; LONGEST]) -> [[f32x4; STEPS]; TURNS] {
    let mut lanes = [[f32x4::splat(0.0); STEPS]; TURNS];
    for (turn, values) in lanes.iter_mut().zip(query.as_chunks().0.iter().rev()) {
        let [d, c, b, a]: [f32; STEPS] = *values;
        *turn = [a, b, c, d].map(f32x4::splat);
    }
    lanes
}

/// Four of several values, which there have to be.
#[inline(always)]
fn four<const N: usize>(values: &[f32; N], from: usize) -> f32x4 {
    const NONE: &[f32; 4] = &[f32::NAN; 4];
    f32x4::new(*values.get(from..from + 4).and_then(|four| four.first_chunk()).unwrap_or(NONE))
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

/// A number for each of the [`LANES`].
type Numbers = [f32x4; QUADS];

/// The least squared distances of each lane so far.
struct Lanes {
    centred: [Numbers; LENGTHS.len()],
    raw: [Numbers; LENGTHS.len()],
    /// The least ones of all lanes at the longest length, centred and raw.
    least: (f32x4, f32x4),
    /// Infinite in lanes without a reference, else nothing.
    unused: Numbers,
}

impl Lanes {
    /// Of so many lanes with a reference. What `best` knows already need not be found again.
    fn new(best: &Best, used: usize) -> Self {
        let last = LENGTHS.len() - 1;
        let none = [[f32x4::splat(f32::INFINITY); QUADS]; LENGTHS.len()];
        let unused = |lane: usize| if lane < used { 0.0 } else { f32::INFINITY };
        Self {
            centred: none,
            raw: none,
            least: (f32x4::splat(best.centred[last]), f32x4::splat(best.raw[last])),
            unused: std::array::from_fn(|quad| f32x4::new(std::array::from_fn(|lane| unused(4 * quad + lane)))),
        }
    }

    /// Compares `query`, its newest value first, with the windows that end at a reference in each lane.
    /// The values of the lanes in the [`STEPS`] columns of a turn of the walk back are in `values`, the oldest column first and
    /// a column every `APART` places: `at` places after what `turns` says, modulo the size of a number.
    #[inline(always)]
    fn visit<const APART: usize, const SPAN: usize>(
        &mut self,
        query: &[[f32x4; STEPS]; TURNS],
        values: &[f32],
        turns: &[usize; TURNS],
        at: usize,
    ) {
        let mut sums = [f32x4::splat(0.0); QUADS];
        let mut squares = self.unused;
        let mut walked = 0;
        for (index, (length, inverse)) in LENGTHS.into_iter().zip(INVERSES).enumerate() {
            let (Some(query), Some(turns)) = (query.get(walked..length / STEPS), turns.get(walked..length / STEPS))
            else {
                return;
            };
            walked = length / STEPS;
            // At each turn of a loop a guest looks at its deadline and puts its vectors away, so a turn is as
            // much as there are registers for.
            for (query, turn) in query.iter().zip(turns) {
                let Some(span) = values.get(turn.wrapping_add(at)..).and_then(|from| from.first_chunk::<SPAN>()) else {
                    return;
                };
                for quad in 0..QUADS {
                    let [a, b, c, d]: [f32x4; STEPS] =
                        std::array::from_fn(|step| query[step] - four(span, (STEPS - 1 - step) * APART + 4 * quad));
                    sums[quad] += (a + b) + (c + d);
                    squares[quad] += (a * a + b * b) + (c * c + d * d);
                }
            }
            let mut nearer = f32x4::splat(0.0);
            for quad in 0..QUADS {
                let squares = squares[quad];
                let centred = squares - sums[quad] * sums[quad] * f32x4::splat(inverse);
                self.raw[index][quad] = lesser(squares, self.raw[index][quad]);
                self.centred[index][quad] = lesser(centred, self.centred[index][quad]);
                nearer |= centred.simd_lt(self.least.0) | squares.simd_lt(self.least.1);
            }
            // Distances grow with the length, the least ones too.
            if !nearer.any() {
                return;
            }
        }
        let last = LENGTHS.len() - 1;
        self.least = (least(self.centred[last], self.least.0), least(self.raw[last], self.least.1));
    }

    /// Lanes that are columns beside each other, the first of which is the value `newest`.
    #[inline(never)]
    fn visit_beside(&mut self, query: &[[f32x4; STEPS]; TURNS], values: &[f32], newest: usize) {
        self.visit::<1, { STEPS - 1 + LANES }>(query, values, &BACK, newest);
    }

    /// Lanes that are references, from one on.
    // By itself, so that its few vectors stay in registers in a sandbox too.
    #[inline(never)]
    fn visit_references(&mut self, query: &[[f32x4; STEPS]; TURNS], references: &References, first: usize) {
        self.visit::<ROW, { (STEPS - 1) * ROW + LANES }>(query, &references.values, &references.turns, first);
    }
}

/// The least of all lanes and of what was the least before, in all lanes.
fn least(lanes: Numbers, before: f32x4) -> f32x4 {
    let lesser = lanes.into_iter().fold(before, |least, squares| lesser(squares, least));
    let mut least = f32::INFINITY;
    lesser.to_array().into_iter().for_each(|squares| keep(&mut least, squares));
    f32x4::splat(least)
}

/// The smaller one in each lane. NaN, a reference with a gap, is not smaller.
#[inline(always)]
fn lesser(squares: f32x4, least: f32x4) -> f32x4 {
    squares.simd_lt(least).select(squares, least)
}

/// Evenly strided places in a history.
pub struct References {
    stride: i64,
    /// The first: a multiple of the stride, so that references stay where they are while the
    /// history moves on.
    first: i64,
    /// The history in rows of [`ROW`] columns that are a stride apart: first those [`STEPS`]` - 1` columns before the
    /// references, then those one column later, and so on. So as many rows as a stride has columns and those
    /// first ones, which the last ones are once more, a place later: no walk of [`STEPS`] has to turn round.
    /// NaN where there is none.
    values: Vec<f32>,
    /// Where the oldest value of each turn of a walk back from the first reference is; modulo the size of a
    /// number, so that a later reference is just as many places further.
    turns: [usize; TURNS],
}

impl References {
    /// About [`REFERENCES`].
    pub fn new(history: &History<'_>) -> Self {
        let stride = stride(history.values.len().div_ceil(REFERENCES));
        let least = history.start + LENGTHS[0] as i64 - 1;
        let first = least + (-least).rem_euclid(stride);
        let origin = history.start.div_euclid(stride) * stride;
        let before = ((first - origin) / stride) as usize;
        let turn = |number: usize| {
            let newest = number * STEPS;
            let back = newest.div_ceil(stride as usize);
            ((back * stride as usize - newest) * ROW + before).wrapping_sub(back)
        };
        let values = rows(history.values, (history.start - origin) as usize, stride as usize);
        Self { stride, first, values, turns: std::array::from_fn(turn) }
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
        let longest: Option<&[f32; LONGEST]> = query.try_into().ok();
        let in_lanes;
        let longest = match longest {
            Some(query) => {
                in_lanes = in_all_lanes(query);
                Some(&in_lanes)
            }
            None => None,
        };
        // Where windows of all lengths are.
        let inside = history.start + LONGEST as i64 - 1..history.end();

        let open = sides.whole(&inside);
        let mut lanes = Lanes::new(&best, BESIDE);
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

        let mut lanes = Lanes::new(&best, LANES);
        let count = self.from(history.end());
        let (mut next, mut walked) = (0, 0);
        for open in open {
            let (from, to) = (self.from(open.start).max(next), self.from(open.end));
            let Some(query) = longest.filter(|_| from + LANES <= to) else { continue };
            (next..from).for_each(|reference| alone(&mut best, self.at(reference)));
            // The last lanes may be some of those before them.
            (from..to).step_by(LANES).for_each(|first| lanes.visit_references(query, self, first.min(to - LANES)));
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

/// The rows of [`References`], of values that begin so many columns after the first reference.
#[inline(never)]
fn rows(values: &[f32], skipped: usize, stride: usize) -> Vec<f32> {
    let width = stride + STEPS - 1;
    // A NaN of equal bytes, with which memory is filled at once.
    let mut laid = vec![f32::from_bits(u32::MAX); width * ROW];
    let (first, rows) = laid.as_chunks_mut::<ROW>().0.split_at_mut(STEPS - 1);
    let places = (skipped + values.len()).div_ceil(stride).min(ROW);
    for from in (0..places).step_by(4) {
        // What the rows have at a place is a run of columns.
        let band = (from * stride).checked_sub(skipped).and_then(|at| values.get(at..at + 4 * stride));
        if let Some(band) = band.filter(|_| stride >= 4) {
            let (ab, cd) = band.split_at(2 * stride);
            let runs = [ab.split_at(stride), cd.split_at(stride)];
            block(runs, rows, from);
            // The last ones again, where a stride is no multiple of four.
            let last = runs.map(|(a, b)| (&a[stride - 4..], &b[stride - 4..]));
            block(last, &mut rows[stride - 4..], from);
            continue;
        }
        for place in (from..places).take(4) {
            for (row, cells) in rows.iter_mut().enumerate() {
                let at = (place * stride + row).checked_sub(skipped);
                cells[place] = at.and_then(|at| values.get(at)).copied().unwrap_or(f32::NAN);
            }
        }
    }
    // A column before a reference is one stride less the rest of it after the reference before.
    for (before, row) in (1..STEPS).zip(first.iter_mut().rev()) {
        let strides = before.div_ceil(stride);
        if let Some(same) = rows.get(strides * stride - before) {
            row[strides..].copy_from_slice(&same[..ROW - strides]);
        }
    }
    laid
}

/// Lays four runs of columns at the places from one on, each column in its row, as many as there are four by four.
#[inline(always)]
fn block(runs: [(&[f32], &[f32]); 2], rows: &mut [[f32; ROW]], from: usize) {
    let [(a, b), (c, d)] = runs.map(|(a, b)| (a.as_chunks::<4>().0, b.as_chunks::<4>().0));
    for ((((a, b), c), d), rows) in a.iter().zip(b).zip(c).zip(d).zip(rows.as_chunks_mut::<4>().0) {
        let columns = f32x4::transpose([a, b, c, d].map(|run| f32x4::new(*run)));
        for (row, values) in rows.iter_mut().zip(columns) {
            if let Some(places) = row.get_mut(from..from + 4) {
                places.copy_from_slice(&values.to_array());
            }
        }
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
