//! Exact distances to the k-th nearest window of a series.
//!
//! Loops run across windows and not along them, so that the compiler makes vector
//! instructions of them. linfa's k-d tree was measured here on 2500 windows of 6 values: it
//! takes as long as comparing each with each, and wants a source of randomness.

use anomstack::is_complete;

/// Windows that are compared at once.
const LANES: usize = 32;

/// The distance from `row` to its k-th nearest window of `series`; infinite if there are
/// fewer. A window that lacks a value is never a neighbour.
pub fn kth_distance(series: &[f64], row: &[f64], k: usize) -> f64 {
    let windows = (series.len() + 1).saturating_sub(row.len());
    let mut nearest = Nearest::new(k);
    for from in (0..windows).step_by(LANES) {
        let columns = (0..row.len()).map(|column| lanes(&series[from + column..]));
        nearest.offer(squares(row, columns));
    }
    nearest.kth().sqrt()
}

/// The distance of each complete window of a series to its k-th nearest other one, in no
/// particular order; empty if there are not more than `k`.
///
/// A k-d tree (Friedman, Bentley, Finkel: An algorithm for finding best matches in
/// logarithmic expected time, 1977) of which only the leaves are kept. A window is compared
/// with its own leaf, and then with each whose box is nearer than the k-th so far.
pub fn training_distances(series: &[f64], width: usize, k: usize) -> Vec<f64> {
    let mut rows: Vec<&[f64]> = series.windows(width).filter(|window| is_complete(window)).collect();
    if rows.len() <= k {
        return Vec::new();
    }
    split(&mut rows, width);
    let leaves: Vec<Vec<[f64; LANES]>> = rows.chunks(LANES).map(|leaf| transposed(leaf, width)).collect();
    let boxes = Boxes::of(&rows, width);
    let mut gaps = Vec::new();
    let mut distances = Vec::with_capacity(rows.len());
    for (own, leaf) in rows.chunks(LANES).enumerate() {
        for (lane, row) in leaf.iter().enumerate() {
            let mut nearest = Nearest::new(k);
            let mut near = squares(row, leaves[own].iter().copied());
            near[lane] = f64::NAN;
            nearest.offer(near);
            boxes.gaps(row, &mut gaps);
            gaps[own] = f64::INFINITY;
            for (leaf, &gap) in leaves.iter().zip(&gaps) {
                if gap < 4.0 * nearest.kth() {
                    nearest.offer(squares(row, leaf.iter().copied()));
                }
            }
            distances.push(nearest.kth().sqrt());
        }
    }
    distances
}

/// Orders rows so that each run of [`LANES`] is a leaf: halves along the column of the widest
/// range, and the halves again.
fn split(rows: &mut [&[f64]], width: usize) {
    let half = rows.len().div_ceil(LANES) / 2 * LANES;
    if half == 0 {
        return;
    }
    let range = |column: usize| {
        let (low, high) = bounds(rows, column);
        (high - low, column)
    };
    let (_, widest) = (0..width).map(range).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
    rows.select_nth_unstable_by(half, |a, b| a[widest].total_cmp(&b[widest]));
    let (left, right) = rows.split_at_mut(half);
    split(left, width);
    split(right, width);
}

/// The least and the largest value of a column.
fn bounds(rows: &[&[f64]], column: usize) -> (f64, f64) {
    let values = rows.iter().map(|row| row[column]);
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
        (if x < low { x } else { low }, if x > high { x } else { high })
    })
}

/// A leaf column by column; NaN where it has no row.
fn transposed(leaf: &[&[f64]], width: usize) -> Vec<[f64; LANES]> {
    let cell = |column: usize, lane: usize| leaf.get(lane).map_or(f64::NAN, |row| row[column]);
    (0..width).map(|column| std::array::from_fn(|lane| cell(column, lane))).collect()
}

/// The boxes round the leaves: a column of centres and one of half widths a dimension.
struct Boxes(Vec<(Vec<f64>, Vec<f64>)>);

impl Boxes {
    fn of(rows: &[&[f64]], width: usize) -> Self {
        let column = |column: usize| {
            let bounds = rows.chunks(LANES).map(|leaf| bounds(leaf, column));
            bounds.map(|(low, high)| ((low + high) / 2.0, (high - low) / 2.0)).unzip()
        };
        Self((0..width).map(column).collect())
    }

    /// Four times the squared distance from a row to each box.
    fn gaps(&self, row: &[f64], gaps: &mut Vec<f64>) {
        gaps.clear();
        gaps.resize(self.0.first().map_or(0, |(centres, _)| centres.len()), 0.0);
        for (x, (centres, halves)) in row.iter().zip(&self.0) {
            for (gap, (centre, half)) in gaps.iter_mut().zip(centres.iter().zip(halves)) {
                // Twice the part that lies outside; 0 within.
                let outside = (x - centre).abs() - half;
                let twice = outside + outside.abs();
                *gap += twice * twice;
            }
        }
    }
}

/// The squared distances from a row to as many windows as there are lanes.
#[inline]
fn squares(row: &[f64], columns: impl Iterator<Item = [f64; LANES]>) -> [f64; LANES] {
    let mut sums = [0.0; LANES];
    for (x, column) in row.iter().zip(columns) {
        for (sum, y) in sums.iter_mut().zip(column) {
            *sum += (x - y) * (x - y);
        }
    }
    sums
}

/// The first values; NaN where there are not enough.
#[inline]
fn lanes(values: &[f64]) -> [f64; LANES] {
    values.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [f64::NAN; LANES];
        padded[..values.len()].copy_from_slice(values);
        padded
    })
}

/// The k least numbers offered, ascending.
struct Nearest(Vec<f64>);

impl Nearest {
    fn new(k: usize) -> Self {
        Self(vec![f64::INFINITY; k.max(1)])
    }

    fn kth(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// NaN is never among the least.
    #[inline]
    fn offer(&mut self, numbers: [f64; LANES]) {
        let kth = self.kth();
        if !numbers.iter().fold(false, |any, &number| any | (number < kth)) {
            return;
        }
        for number in numbers {
            if number < self.kth() {
                let mut place = self.0.len() - 1;
                while place > 0 && self.0[place - 1] > number {
                    self.0[place] = self.0[place - 1];
                    place -= 1;
                }
                self.0[place] = number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(count: usize) -> Vec<f64> {
        let mut state = 1u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f64 / 1e5
        };
        (0..count).map(|_| next()).collect()
    }

    fn by_the_book(series: &[f64], width: usize, k: usize) -> Vec<f64> {
        let rows: Vec<&[f64]> = series.windows(width).filter(|w| is_complete(w)).collect();
        let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f64>().sqrt();
        let kth = |i: usize| {
            let mut all: Vec<f64> = (0..rows.len()).filter(|&j| j != i).map(|j| distance(rows[i], rows[j])).collect();
            all.sort_by(f64::total_cmp);
            all[k - 1]
        };
        (0..rows.len()).map(kth).collect()
    }

    #[test]
    fn looking_into_near_leaves_only_finds_the_same_neighbours() {
        let mut gaps = random(300);
        for i in [0, 50, 51, 200] {
            gaps[i] = f64::NAN;
        }
        let ties: Vec<f64> = random(200).iter().map(|x| (x / 40.0).round()).collect();
        for series in [random(300), gaps, ties] {
            for (width, k) in [(6, 5), (1, 1), (3, 40)] {
                let mut fast = training_distances(&series, width, k);
                let mut book = by_the_book(&series, width, k);
                fast.sort_by(f64::total_cmp);
                book.sort_by(f64::total_cmp);
                assert_eq!(fast.len(), book.len());
                for (a, b) in fast.iter().zip(&book) {
                    assert!((a - b).abs() <= 1e-12 * b, "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn a_row_among_too_few_is_infinitely_far() {
        assert_eq!(kth_distance(&[1.0, 2.0], &[1.0, 2.0], 2), f64::INFINITY);
        assert_eq!(kth_distance(&[1.0], &[1.0, 2.0], 1), f64::INFINITY);
        assert!(training_distances(&[1.0, 2.0, 3.0], 2, 2).is_empty());
    }
}
