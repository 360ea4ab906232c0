//! The nearest training rows, by comparing with each.

use crate::table::{Table, squared_distance};

/// The `k` rows of a table that are nearest to `row`, with their distances, ascending; fewer
/// if there are fewer. Of equally far ones the first come first. The row `but` is left out.
pub fn nearest(table: Table<'_>, row: &[f64], k: usize, but: Option<usize>) -> Vec<(f64, usize)> {
    let mut near: Vec<(f64, usize)> = Vec::with_capacity(k + 1);
    let mut kth = f64::INFINITY;
    for (index, other) in table.rows().enumerate() {
        let squared = squared_distance(row, other);
        if (squared < kth || near.len() < k) && Some(index) != but {
            let place = near.partition_point(|(closer, _)| *closer <= squared);
            near.insert(place, (squared, index));
            near.truncate(k);
            kth = near.last().filter(|_| near.len() == k).map_or(f64::INFINITY, |(squared, _)| *squared);
        }
    }
    near.into_iter().map(|(squared, index)| (squared.sqrt(), index)).collect()
}
