//! The principal subspace of windows: the fewest axes that hold a share of their variance.
//!
//! A window is as odd as what its projection leaves over. The eigenvectors are those of the
//! covariance matrix, `length` × `length`.

use anomd_detector::Cause;
use linfa_linalg::eigh::Eigh;
use ndarray::{Array1, Array2};

use crate::prototype::Prototypes;

/// A mean and axes from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Subspace {
    /// One a column of the window.
    pub mean: Vec<f32>,
    /// An axis a row, of unit length.
    pub axes: Vec<f32>,
}

impl Subspace {
    /// That of windows of `length`, with axes until `share` of the variance is in it.
    pub fn of(length: usize, windows: &Prototypes, share: f64) -> Result<Self, Cause> {
        let count = windows.len().max(1) as f64;
        let rows = Array2::from_shape_fn((windows.len(), length), |(r, c)| f64::from(windows.row(r)[c]));
        let mean: Array1<f64> = rows.sum_axis(ndarray::Axis(0)) / count;
        let rows = rows - &mean;
        let covariance = rows.t().dot(&rows) / count;
        let total = covariance.diag().sum();
        let mut subspace = Self { mean: mean.iter().map(|v| *v as f32).collect(), axes: Vec::new() };
        if total <= 0.0 {
            return Ok(subspace);
        }
        let (values, vectors) = covariance.eigh().map_err(|e| Cause::Failed(e.to_string()))?;
        let mut order: Vec<usize> = (0..length).collect();
        order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
        let mut held = 0.0;
        for axis in order {
            if held >= share * total {
                break;
            }
            held += values[axis];
            subspace.axes.extend(vectors.column(axis).iter().map(|v| *v as f32));
        }
        Ok(subspace)
    }

    /// How many axes.
    pub fn dimensions(&self) -> usize {
        self.axes.len() / self.mean.len().max(1)
    }

    /// The point of the subspace that is nearest to `query`.
    pub fn project(&self, query: &[f32], out: &mut [f32]) {
        let length = self.mean.len();
        out[..length].copy_from_slice(&self.mean);
        for axis in self.axes.chunks_exact(length) {
            let along: f32 = axis.iter().zip(query).zip(&self.mean).map(|((a, q), m)| a * (q - m)).sum();
            out[..length].iter_mut().zip(axis).for_each(|(o, a)| *o += along * a);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prototype::padded;
    use crate::tests::noise;

    /// Windows in a plane of two known axes, with a little noise.
    fn plane() -> (Vec<[f32; 4]>, Prototypes) {
        let rows: Vec<[f32; 4]> = (0..200)
            .map(|i| {
                let (a, b) = (5.0 * noise(2 * i) as f32, 3.0 * noise(2 * i + 1) as f32);
                [1.0 + a, 2.0 + b, a, b + 0.001 * noise(i + 900) as f32]
            })
            .collect();
        let mut wide = Vec::new();
        for row in &rows {
            wide.extend(row);
            wide.resize(wide.len() + padded(4) - 4, 0.0);
        }
        (rows, Prototypes::new(4, wide))
    }

    #[test]
    fn what_lies_in_the_plane_stays_and_what_leaves_it_is_brought_back() {
        let (rows, windows) = plane();
        let subspace = Subspace::of(4, &windows, 0.99).unwrap();
        assert_eq!(subspace.dimensions(), 2);
        let mut out = [0.0; 4];
        subspace.project(&rows[17], &mut out);
        assert!(out.iter().zip(&rows[17]).all(|(o, v)| (o - v).abs() < 0.01), "{out:?} {:?}", rows[17]);
        // The first and third go together: half of what parts them is taken off each.
        let mut odd = rows[17];
        odd[0] += 4.0;
        subspace.project(&odd, &mut out);
        assert!((out[0] - (odd[0] - 2.0)).abs() < 0.02 && (out[2] - (odd[2] + 2.0)).abs() < 0.02, "{out:?} {odd:?}");
    }

    #[test]
    fn fewer_axes_hold_less_and_a_flat_history_has_none() {
        let (_, windows) = plane();
        assert_eq!(Subspace::of(4, &windows, 0.5).unwrap().dimensions(), 1);
        let flat = Prototypes::new(4, vec![0.0; 10 * padded(4)]);
        assert_eq!(Subspace::of(4, &flat, 0.9).unwrap().dimensions(), 0);
    }
}
