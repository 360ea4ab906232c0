//! Prototypes: windows that others are compared with, and the nearest of them by brute force.
//!
//! The squared Euclidean distance is summed in bodies of 32 and given up where it passes the
//! best one so far. |q|² + |r|² - 2 q·r would need one operation less an element and could not
//! be given up; of a periodic series nine of ten bodies are never reached.

/// Elements of one loop body: in a sandbox each turn of a loop pays for its deadline.
const BODY: usize = 32;
const LANES: usize = 8;
/// Prototypes on either side of the last answer that are looked at first: the next window's
/// nearest is often its neighbour, and a good bound makes the rest cheap.
const BESIDE: usize = 4;

/// `length` rounded up to whole loop bodies: what a query has to have, zeros at its end.
pub fn padded(length: usize) -> usize {
    length.div_ceil(BODY) * BODY
}

/// Windows of one length.
#[derive(Clone, Debug, PartialEq)]
pub struct Prototypes {
    width: usize,
    rows: Vec<f32>,
}

impl Prototypes {
    /// Rows of `padded(length)` values each.
    pub fn new(length: usize, rows: Vec<f32>) -> Self {
        Self { width: padded(length), rows }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.rows.len() / self.width
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// One of them.
    pub fn row(&self, index: usize) -> &[f32] {
        &self.rows[index * self.width..(index + 1) * self.width]
    }

    /// All of them, one after the other.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// The one nearest to `query` among those that `allowed` lets through, and the squared
    /// distance; the first of several. The search begins at `hint`.
    pub fn nearest(&self, query: &[f32], hint: usize, allowed: impl Fn(usize) -> bool) -> Option<(usize, f32)> {
        let from = hint.saturating_sub(BESIDE).min(self.len());
        let to = (hint + BESIDE + 1).min(self.len());
        let mut best: Option<(usize, f32)> = None;
        let mut visit = |index: usize| {
            if !allowed(index) {
                return;
            }
            let bound = best.map_or(f32::INFINITY, |(_, distance)| distance);
            let distance = distance(query, self.row(index), bound);
            if distance < bound || (distance == bound && best.is_some_and(|(known, _)| index < known)) {
                best = Some((index, distance));
            }
        };
        (from..to).for_each(&mut visit);
        (0..from).for_each(&mut visit);
        (to..self.len()).for_each(&mut visit);
        best
    }
}

/// The squared distance of a multiple of [`BODY`] values; given up once it is beyond `bound`.
#[inline]
fn distance(query: &[f32], row: &[f32], bound: f32) -> f32 {
    let mut sum = 0.0f32;
    for (q, r) in query.chunks_exact(BODY).zip(row.chunks_exact(BODY)) {
        let mut lanes = [0.0f32; LANES];
        for part in 0..BODY / LANES {
            for lane in 0..LANES {
                let d = q[part * LANES + lane] - r[part * LANES + lane];
                lanes[lane] += d * d;
            }
        }
        sum += ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
        if sum > bound {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::noise;

    #[test]
    fn the_nearest_is_that_of_the_definition_wherever_the_search_begins() {
        let (length, count) = (40, 200);
        let row = |r: usize| {
            let mut row: Vec<f32> = (0..length).map(|i| noise(r * 1_000 + i) as f32).collect();
            row.resize(padded(length), 0.0);
            row
        };
        let prototypes = Prototypes::new(length, (0..count).flat_map(row).collect());
        assert_eq!(prototypes.len(), count);
        for q in 0..20 {
            let query = row(500 + q);
            let distance = |r: usize| -> f64 {
                query.iter().zip(prototypes.row(r)).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
            };
            let odd = (0..count).filter(|r| r % 2 == 1);
            let expected = odd.min_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap();
            for hint in [0, 77, 199, 1_000] {
                let (index, found) = prototypes.nearest(&query, hint, |r| r % 2 == 1).unwrap();
                assert_eq!(index, expected);
                assert!((f64::from(found) - distance(expected)).abs() < 1e-4);
            }
        }
        assert_eq!(prototypes.nearest(&row(0), 0, |_| false), None);
        assert_eq!(prototypes.nearest(&row(7), 0, |_| true), Some((7, 0.0)));
    }
}
