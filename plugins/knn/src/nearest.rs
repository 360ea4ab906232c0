//! Exact distances to the k-th nearest window of a series.
//!
//! Windows overlap, and that is worth more than a search tree: linfa's k-d tree was measured
//! here on 2500 windows of 6 values, and took as long as comparing each with each; it also
//! wants a source of randomness. Loops run across windows and not along them, so that the
//! compiler makes vector instructions of them.

use anomstack::is_complete;

/// Windows that are compared at once.
const LANES: usize = 8;

/// The distance from `row` to its k-th nearest window of `series`; infinite if there are
/// fewer. A window that lacks a value is never a neighbour.
pub fn kth_distance(series: &[f64], row: &[f64], k: usize) -> f64 {
    let windows = (series.len() + 1).saturating_sub(row.len());
    let mut nearest = Nearest::new(1, k);
    for from in (0..windows).step_by(LANES) {
        let mut sums = [0.0; LANES];
        for (column, x) in row.iter().enumerate() {
            for (sum, y) in sums.iter_mut().zip(lanes(&series[from + column..])) {
                *sum += (x - y) * (x - y);
            }
        }
        for sum in sums {
            if sum < nearest.kth[0] {
                nearest.insert(0, sum);
            }
        }
    }
    nearest.kth[0].sqrt()
}

/// The distance of each complete window of a series to its k-th nearest other one; empty if
/// there are not more than `k`.
///
/// Windows that lie `shift` apart differ by sums over the same few squares, so each square is
/// computed once, and each sum serves both windows. Walking the table of distances along its
/// diagonals is what SCRIMP does for the matrix profile (Zhu and others, 2018); here without
/// running sums, which would lose small distances beside large ones.
pub fn training_distances(series: &[f64], width: usize, k: usize) -> Vec<f64> {
    let complete: Vec<bool> = series.windows(width).map(is_complete).collect();
    if complete.iter().filter(|&&c| c).count() <= k {
        return Vec::new();
    }
    let mut nearest = Nearest::new(complete.len(), k);
    let mut squares = Vec::with_capacity(series.len() + LANES);
    for shift in 1..complete.len() {
        squares.clear();
        squares.extend(series.iter().zip(&series[shift..]).map(|(x, y)| (x - y) * (x - y)));
        squares.extend([f64::NAN; LANES]);
        for from in (0..complete.len() - shift).step_by(LANES) {
            let mut sums = [0.0; LANES];
            for column in squares[from..].windows(LANES).take(width) {
                for (sum, square) in sums.iter_mut().zip(column) {
                    *sum += square;
                }
            }
            nearest.offer(from, shift, sums);
        }
    }
    nearest.kth.iter().zip(complete).filter_map(|(kth, complete)| complete.then(|| kth.sqrt())).collect()
}

/// The first values; NaN, which is less than nothing, where there are not enough.
#[inline]
fn lanes(values: &[f64]) -> [f64; LANES] {
    values.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [f64::NAN; LANES];
        padded[..values.len()].copy_from_slice(values);
        padded
    })
}

/// The k least numbers offered to each row.
struct Nearest {
    k: usize,
    /// Of each row, the k least so far, ascending.
    least: Vec<f64>,
    /// Of each row, the last of them.
    kth: Vec<f64>,
}

impl Nearest {
    fn new(rows: usize, k: usize) -> Self {
        let k = k.max(1);
        Self { k, least: vec![f64::INFINITY; rows * k], kth: vec![f64::INFINITY; rows] }
    }

    /// Offers each number to its row, `from` and on, and to the row `shift` behind that.
    #[inline]
    fn offer(&mut self, from: usize, shift: usize, numbers: [f64; LANES]) {
        let (first, second) = (lanes(&self.kth[from..]), lanes(&self.kth[from + shift..]));
        let near = |lane: usize| (numbers[lane] < first[lane]) | (numbers[lane] < second[lane]);
        if (0..LANES).fold(false, |any, lane| any | near(lane)) {
            for lane in (0..LANES).filter(|&lane| near(lane)) {
                self.insert(from + lane, numbers[lane]);
                self.insert(from + lane + shift, numbers[lane]);
            }
        }
    }

    fn insert(&mut self, row: usize, number: f64) {
        let least = &mut self.least[row * self.k..][..self.k];
        let place = least.partition_point(|&kept| kept <= number);
        if place < self.k {
            least.copy_within(place..self.k - 1, place + 1);
            least[place] = number;
            self.kth[row] = least[self.k - 1];
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
    fn walking_along_diagonals_finds_the_same_neighbours() {
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
