//! The nearest training rows, by comparing with each.

use crate::table::{Table, squared_distance};

/// The `k` rows of a table that are nearest to `row`, with their distances, ascending; fewer
/// if there are fewer. Of equally far ones the first come first. The row `but` is left out.
pub fn nearest(table: Table<'_>, row: &[f64], k: usize, but: Option<usize>) -> Vec<(f64, usize)> {
    let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    let rows = table.rows().enumerate().filter(|(index, _)| Some(*index) != but);
    let mut all: Vec<(f64, usize)> = rows.map(|(index, other)| (squared_distance(row, other), index)).collect();
    if k < all.len() {
        all.select_nth_unstable_by(k, order);
        all.truncate(k);
    }
    all.sort_unstable_by(order);
    all.into_iter().map(|(squared, index)| (squared.sqrt(), index)).collect()
}
