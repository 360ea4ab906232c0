//! The nearest past window, by brute force.
//!
//! Window kNN with k = 1: the distance from the newest window to the most similar one of
//! the references. References lie half at an even stride over the history and half at
//! the query's own phase, whole seasons back and up to two columns beside: a sharp daily
//! edge aligns with no even stride and would be new every day.

/// Columns beside the phase that are references too.
const JITTER: i64 = 2;
/// Seasons at whose phase references lie, at most.
const SEASONS: i64 = 60;
/// Elements of one loop body. In a sandbox a loop pays at each turn for its deadline, so
/// the body is wide.
const BODY: usize = 32;
const LANES: usize = 8;

/// The shortest window, centred.
pub const SHORT: usize = 8;
/// The middle window, centred.
pub const MID: usize = 32;
/// The longest window, a multiple of [`BODY`].
const LONGEST: usize = 96;
/// The long window of a series without a season.
const LONG: usize = 64;

/// The length of the long window.
pub fn long(season: Option<usize>) -> usize {
    season.map_or(LONG, |p| p.clamp(BODY, LONGEST) / BODY * BODY)
}

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

    fn window(&self, start: i64, length: usize) -> Option<&'a [f32]> {
        let from = usize::try_from(start - self.start).ok()?;
        self.values.get(from..from + length)
    }

    /// Starts of the windows of this length at the phase of the window that starts at `start`.
    fn in_phase(&self, start: i64, reach: Reach) -> impl Iterator<Item = i64> {
        let season = self.season.unwrap_or(0) as i64;
        let seasons = if season == 0 { 0 } else { (self.values.len() as i64 / season + 2).min(SEASONS) };
        let first = if matches!(reach, Reach::Around(_)) { -seasons } else { 1 };
        (first..=seasons)
            .filter(|&k| k != 0)
            .flat_map(move |k| (-JITTER..=JITTER).map(move |beside| start - k * season + beside))
    }
}

/// Evenly strided references of one length, with the means that centring needs.
pub struct References {
    length: usize,
    centred: bool,
    stride: i64,
    /// The column at which the first reference starts: a multiple of the stride, so that
    /// references stay where they are while the history moves on.
    first: i64,
    means: Vec<f32>,
}

impl References {
    /// About `count` references of `length` values.
    pub fn new(history: &History<'_>, length: usize, centred: bool, count: usize) -> Self {
        let windows = (history.values.len() + 1).saturating_sub(length);
        let stride = stride(windows.div_ceil(count.max(1)));
        let first = history.start + (-history.start).rem_euclid(stride);
        let starts = (first..history.start + windows as i64).step_by(stride as usize);
        let means = if centred {
            starts.map(|s| history.window(s, length).map_or(f32::NAN, mean)).collect()
        } else {
            vec![0.0; starts.count()]
        };
        Self { length, centred, stride, first, means }
    }

    /// The distance from `query`, whose last value lies at `column`, to the nearest
    /// reference within reach; NaN if the query has a gap or there are fewer than three
    /// references.
    pub fn nearest(&self, history: &History<'_>, query: &[f32], column: i64, reach: Reach) -> f32 {
        debug_assert_eq!(query.len(), self.length);
        let length = self.length as i64;
        let start = column + 1 - length;
        let middle = if self.centred { mean(query) } else { 0.0 };
        if query.iter().any(|v| v.is_nan()) {
            return f32::NAN;
        }
        // References end at `before` at the latest, or start at `after` at the earliest.
        let (before, after) = match reach {
            Reach::Before(end) => (end.min(start), i64::MAX),
            Reach::Around(guard) => (start.min(column - guard), (column + 1).max(column + guard)),
        };
        let (mut best, mut seen) = (f32::INFINITY, 0usize);
        let mut visit = |at: i64, mean: f32| {
            if let Some(reference) = history.window(at, self.length) {
                let distance = match self.length {
                    SHORT => short_distance(query, reference, middle - mean),
                    _ => distance(query, reference, middle - mean, best),
                };
                // NaN, a reference with a gap, is not smaller.
                if distance < best {
                    best = distance;
                }
                seen += 1;
            }
        };
        for at in history.in_phase(start, reach) {
            if at + length <= before || at >= after {
                let mean = if self.centred { history.window(at, self.length).map_or(f32::NAN, mean) } else { 0.0 };
                visit(at, mean);
            }
        }
        let upto = (before - length - self.first).div_euclid(self.stride) + 1;
        let upto = usize::try_from(upto).unwrap_or(0).min(self.means.len());
        let from = (after.saturating_sub(self.first) as u64).div_ceil(self.stride as u64);
        let from = usize::try_from(from).unwrap_or(usize::MAX).clamp(upto, self.means.len());
        for index in (0..upto).chain(from..self.means.len()) {
            visit(self.first + index as i64 * self.stride, self.means[index]);
        }
        if seen >= 3 && best.is_finite() { best.sqrt() } else { f32::NAN }
    }
}

/// The next stride that shares no factor with hours and days.
fn stride(least: usize) -> i64 {
    let coprime = |n: &usize| [2, 3, 5].iter().all(|p| !n.is_multiple_of(*p));
    (least.max(1)..).find(coprime).unwrap_or(1) as i64
}

fn mean(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for chunk in values.chunks_exact(LANES) {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += v;
        }
    }
    lanes.iter().sum::<f32>() / values.len() as f32
}

/// The squared distance of [`SHORT`] values, with `shift` taken off the query.
#[inline]
fn short_distance(query: &[f32], reference: &[f32], shift: f32) -> f32 {
    let mut sums = [0.0f32; 4];
    if let (Some(q), Some(r)) = (query.first_chunk::<SHORT>(), reference.first_chunk::<SHORT>()) {
        for lane in 0..4 {
            let (a, b) = (q[lane] - r[lane] - shift, q[lane + 4] - r[lane + 4] - shift);
            sums[lane] = a * a + b * b;
        }
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}

/// The squared distance of a multiple of [`BODY`] values, with `shift` taken off the
/// query; given up once it passes `bound`.
#[inline]
fn distance(query: &[f32], reference: &[f32], shift: f32, bound: f32) -> f32 {
    let mut sum = 0.0f32;
    for (q, r) in query.chunks_exact(BODY).zip(reference.chunks_exact(BODY)) {
        let mut lanes = [0.0f32; LANES];
        for part in 0..BODY / LANES {
            for lane in 0..LANES {
                let d = q[part * LANES + lane] - r[part * LANES + lane] - shift;
                lanes[lane] += d * d;
            }
        }
        sum += ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
        if sum.is_nan() || sum >= bound {
            break;
        }
    }
    sum
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

    #[test]
    fn a_sharp_daily_edge_is_near_its_own_phase() {
        let values = sharp(1000);
        let query = |length: usize| sharp(1040)[1040 - length..].to_vec();
        for (length, centred) in [(SHORT, true), (MID, true), (MID, false)] {
            let near = |season| {
                let history = history(&values, season);
                let references = References::new(&history, length, centred, 20);
                references.nearest(&history, &query(length), 2_039, Reach::Before(2_000))
            };
            assert!(near(Some(100)) < 0.2, "{length}");
            assert!(near(None) > 3.0, "{length}");
        }
    }

    #[test]
    fn a_centred_window_does_not_see_its_level_and_a_raw_one_does() {
        let values = sharp(1000);
        let lifted: Vec<f32> = values[300..300 + MID].iter().map(|v| v + 5.0).collect();
        let history = history(&values, None);
        let near = |centred| {
            References::new(&history, MID, centred, 1000).nearest(&history, &lifted, 9_999, Reach::Before(2_000))
        };
        assert!(near(true) < 1e-3);
        assert!(near(false) > 10.0);
    }

    #[test]
    fn no_window_refers_to_itself_or_to_the_future() {
        let mut values = vec![0.0; 600];
        values[400..432].iter_mut().enumerate().for_each(|(i, v)| *v = (i % 5) as f32);
        let history = history(&values, None);
        let references = References::new(&history, MID, false, 600);
        let query = &values[400..432];
        assert_eq!(references.nearest(&history, query, 5_000, Reach::Before(1_600)), 0.0);
        assert!(references.nearest(&history, query, 1_431, Reach::Before(1_600)) > 1.0);
        assert!(references.nearest(&history, query, 1_431, Reach::Around(50)) > 1.0);
        assert!(references.nearest(&history, query, 5_000, Reach::Before(1_410)) > 1.0);
    }

    #[test]
    fn gaps_are_nobodys_neighbour() {
        let mut values = sharp(500);
        values[90..500].iter_mut().step_by(8).for_each(|v| *v = f32::NAN);
        let history = history(&values, None);
        let references = References::new(&history, MID, true, 500);
        assert!(references.nearest(&history, &sharp(MID), 5_000, Reach::Before(1_500)).is_finite());
        assert!(references.nearest(&history, &[f32::NAN; MID], 5_000, Reach::Before(1_500)).is_nan());
    }
}
