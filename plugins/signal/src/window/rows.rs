//! The history once more, in the order in which references are walked.

use wide::f32x4;

use super::lanes::{STEPS, TURNS};

/// Places of a row: some more than [`REFERENCES`](super::REFERENCES).
pub const ROW: usize = 704;

/// Rows of [`ROW`] columns that are a stride apart: first those [`STEPS`]` - 1` columns before the
/// references, then those one column later, and so on. So as many rows as a stride has columns and those
/// first ones, which the last ones are once more, a place later: no walk of [`STEPS`] has to turn round.
pub struct Rows {
    /// NaN where there is none.
    pub values: Vec<f32>,
    /// Where the oldest value of each turn of a walk back from the first reference is; modulo the size of a
    /// number, so that a later reference is just as many places further.
    pub turns: [usize; TURNS],
}

impl Rows {
    /// Of values that begin so many columns after a multiple of the stride, and the first reference so many
    /// strides after it.
    pub fn new(values: &[f32], skipped: usize, stride: usize, before: usize) -> Self {
        let turn = |number: usize| {
            let newest = number * STEPS;
            let back = newest.div_ceil(stride);
            ((back * stride - newest) * ROW + before).wrapping_sub(back)
        };
        Self { values: lay(values, skipped, stride), turns: std::array::from_fn(turn) }
    }
}

#[inline(never)]
fn lay(values: &[f32], skipped: usize, stride: usize) -> Vec<f32> {
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
