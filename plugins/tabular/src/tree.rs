//! A k-d tree, which finds the rows that are nearest to one without looking at all.
//!
//! J. Bentley: Multidimensional binary search trees used for associative searching, 1975. A
//! node is cut at the median of the column that is widest in it, down to leaves of 30 to 60
//! rows; the nearer half is searched first.
//!
//! Where more rows are equally far than there are places, it hangs on the order of the search
//! which of them are neighbours. So that it is scikit-learn's, the order of rows within a leaf
//! is that which its selection of the median leaves (D. Musser: Introspective sorting and
//! selection algorithms, 1997, as in GNU's C++ library).

use std::cmp::Ordering;

use crate::heap::Heap;
use crate::table::{Table, squared_distance};

const LEAF: usize = 30;

/// A part of the rows.
struct Node {
    /// Where its rows are in the tree's order.
    from: usize,
    until: usize,
    /// Least and largest value of each column.
    bounds: Vec<(f64, f64)>,
    is_leaf: bool,
}

impl Node {
    /// The least squared distance that a row of it can have from this one.
    fn least_distance(&self, row: &[f64]) -> f64 {
        let outside = |(x, (low, high)): (&f64, &(f64, f64))| {
            let away = (low - x).max(0.0) + (x - high).max(0.0);
            away * away
        };
        row.iter().zip(&self.bounds).map(outside).sum()
    }
}

/// The tree of a table's rows. It does not hold them: each call is given the same table.
pub struct Tree {
    order: Vec<usize>,
    /// The two parts of node i are 2i + 1 and 2i + 2.
    nodes: Vec<Node>,
}

impl Tree {
    /// Of at least one row.
    pub fn of(table: Table<'_>) -> Self {
        let levels = ((table.len() - 1) as f64 / LEAF as f64).max(1.0).log2() as u32 + 1;
        let count = (1 << levels) - 1;
        let mut tree = Self { order: (0..table.len()).collect(), nodes: Vec::with_capacity(count) };
        tree.grow(table, count);
        tree
    }

    /// Level by level, which gives each leaf the order that it has when branch by branch.
    fn grow(&mut self, table: Table<'_>, count: usize) {
        for index in 0..count {
            let (from, until) = match index.checked_sub(1).map(|above| &self.nodes[above / 2]) {
                None => (0, self.order.len()),
                Some(above) => {
                    let middle = above.from + (above.until - above.from) / 2;
                    if index % 2 == 1 { (above.from, middle) } else { (middle, above.until) }
                }
            };
            let rows = &mut self.order[from..until];
            let bounds = bounds(table, rows);
            let is_leaf = 2 * index + 1 >= count || rows.len() < 2;
            if !is_leaf {
                let widest = widest(&bounds);
                select(rows, rows.len() / 2, |a, b| {
                    let (x, y) = (table.row(a)[widest], table.row(b)[widest]);
                    if x == y { a < b } else { x < y }
                });
            }
            self.nodes.push(Node { from, until, bounds, is_leaf });
        }
    }

    /// The `k` rows that are nearest to `row`, with their squared distances, ascending.
    pub fn nearest(&self, table: Table<'_>, row: &[f64], k: usize) -> Vec<(f64, usize)> {
        let mut heap = Heap::new(k);
        self.search((0, self.nodes[0].least_distance(row)), table, row, &mut heap);
        heap.sorted()
    }

    fn search(&self, (index, least): (usize, f64), table: Table<'_>, row: &[f64], heap: &mut Heap) {
        if least > heap.largest() {
            return;
        }
        let node = &self.nodes[index];
        if node.is_leaf {
            for &other in &self.order[node.from..node.until] {
                heap.push(squared_distance(row, table.row(other)), other);
            }
            return;
        }
        let halves = [2 * index + 1, 2 * index + 2].map(|half| (half, self.nodes[half].least_distance(row)));
        let [near, far] = if halves[0].1 <= halves[1].1 { halves } else { [halves[1], halves[0]] };
        for half in [near, far] {
            self.search(half, table, row, heap);
        }
    }
}

fn bounds(table: Table<'_>, rows: &[usize]) -> Vec<(f64, f64)> {
    let mut bounds = vec![(f64::INFINITY, f64::NEG_INFINITY); table.features()];
    for row in rows {
        for (bound, x) in bounds.iter_mut().zip(table.row(*row)) {
            *bound = (bound.0.min(*x), bound.1.max(*x));
        }
    }
    bounds
}

/// The first of the widest columns.
fn widest(bounds: &[(f64, f64)]) -> usize {
    let mut best = (0.0, 0);
    for (column, (low, high)) in bounds.iter().enumerate() {
        if high - low > best.0 {
            best = (high - low, column);
        }
    }
    best.1
}

/// Puts the row that is `nth` in order into its place, smaller ones before it and larger ones
/// behind. No two are equal.
fn select(rows: &mut [usize], nth: usize, less: impl Fn(usize, usize) -> bool) {
    let (mut from, mut until) = (0, rows.len());
    let mut cuts = 2 * rows.len().checked_ilog2().unwrap_or(0);
    while until - from > 3 {
        if cuts == 0 {
            // Only rows made for it come here; then by sorting, where the original takes a heap.
            break;
        }
        cuts -= 1;
        let cut = partition(&mut rows[from..until], &less) + from;
        if cut <= nth {
            from = cut;
        } else {
            until = cut;
        }
    }
    rows[from..until].sort_unstable_by(|a, b| if less(*a, *b) { Ordering::Less } else { Ordering::Greater });
}

/// Parts rows at the median of the second, the middle and the last one, which goes to the
/// front; tells where the larger ones begin.
fn partition(rows: &mut [usize], less: &impl Fn(usize, usize) -> bool) -> usize {
    let last = rows.len() - 1;
    let [a, b, c] = [1, rows.len() / 2, last];
    let before = |x: usize, y: usize| less(rows[x], rows[y]);
    let median = match (before(a, b), before(b, c), before(a, c)) {
        (true, true, _) | (false, false, false) => b,
        (true, false, true) | (false, true, false) => c,
        _ => a,
    };
    rows.swap(0, median);
    let pivot = rows[0];
    let (mut low, mut high) = (1, rows.len());
    loop {
        while less(rows[low], pivot) {
            low += 1;
        }
        high -= 1;
        while less(pivot, rows[high]) {
            high -= 1;
        }
        if low >= high {
            return low;
        }
        rows.swap(low, high);
        low += 1;
    }
}
