//! Principal axes and the distance to them, as PyOD 3.6.7 counts it.
//!
//! Rows are standardised with the training rows' mean and population deviation. The axes
//! are the unit eigenvectors of their covariance, each with its entry of largest magnitude
//! positive (scikit-learn 1.5 and later); an axis weighs as much as its share of the variance
//! is small. The score of a row is the sum over all axes of its Euclidean distance to the
//! axis *as a point*, divided by the share. So the signs matter, and the axis that explains
//! least decides.
//!
//! Not as PyOD: an axis whose share is nothing but rounding is left out instead of deciding
//! all. linfa-reduction's PCA is not used: it finds the first axes by iteration from a random
//! start, and the last ones count most here.

use anomd_detector::Cause;
use anomd_detector::model::{Reader, Writer};
use linfa_linalg::eigh::Eigh;
use ndarray::{Array2, ArrayView1};

/// The share of the variance below which an axis is rounding: the eigenvalues are known to
/// about 1e-15 of their sum, so of such a share not four digits are right.
const LEAST_SHARE: f64 = 1e-12;

/// The principal axes of training rows; none if no feature moved.
#[derive(Clone, Debug, PartialEq)]
pub struct Axes {
    mean: Vec<f64>,
    deviation: Vec<f64>,
    /// Of the variance, one an axis.
    shares: Vec<f64>,
    /// An axis a row.
    axes: Vec<f64>,
}

impl Axes {
    /// Those of at least one row; all of one length, all values fit to be squared. Of equally
    /// large entries of an axis the first decides its sign.
    pub fn of(rows: &[&[f64]]) -> Result<Self, Cause> {
        Self::with_signs(rows, |axis| axis.iter().fold(0.0, larger))
    }

    /// Those of lag features, oldest first: of equally large entries the last decides, since in
    /// Anomstack's rows the newest value comes first.
    pub fn of_lags(rows: &[&[f64]]) -> Result<Self, Cause> {
        Self::with_signs(rows, |axis| axis.iter().rev().fold(0.0, larger))
    }

    fn with_signs(rows: &[&[f64]], decisive: impl Fn(ArrayView1<'_, f64>) -> f64) -> Result<Self, Cause> {
        let (count, features) = (rows.len() as f64, rows.first().map_or(0, |row| row.len()));
        let column = |f: usize| rows.iter().map(move |row| row[f]);
        let mean: Vec<f64> = (0..features).map(|f| column(f).sum::<f64>() / count).collect();
        let mut moved = false;
        let deviation: Vec<f64> = (0..features)
            .map(|f| {
                let variance = column(f).map(|x| (x - mean[f]) * (x - mean[f])).sum::<f64>() / count;
                // scikit-learn's rule for a feature that moves by rounding alone.
                let rounding = count * f64::EPSILON * variance + (count * mean[f] * f64::EPSILON).powi(2);
                if variance <= rounding {
                    return 1.0;
                }
                moved = true;
                variance.sqrt()
            })
            .collect();
        let mut learnt = Self { mean, deviation, shares: Vec::new(), axes: Vec::new() };
        if !moved {
            return Ok(learnt);
        }
        let standard: Vec<Vec<f64>> = rows.iter().map(|row| learnt.standardise(row)).collect();
        let covariance = Array2::from_shape_fn((features, features), |(a, b)| {
            standard.iter().map(|row| row[a] * row[b]).sum::<f64>() / count
        });
        let total = covariance.diag().sum();
        let (values, vectors) = covariance.eigh().map_err(|e| Cause::Failed(e.to_string()))?;
        for (value, axis) in values.iter().zip(vectors.columns()) {
            let share = value / total;
            if share < LEAST_SHARE {
                continue;
            }
            let sign = decisive(axis).signum();
            learnt.shares.push(share);
            learnt.axes.extend(axis.iter().map(|x| x * sign));
        }
        Ok(learnt)
    }

    /// Length of a row.
    pub fn features(&self) -> usize {
        self.mean.len()
    }

    /// Whether no feature moved.
    pub fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// Whether a row is the mean of the training rows, but for rounding.
    pub fn is_center(&self, row: &[f64]) -> bool {
        row.iter().zip(&self.mean).all(|(x, mean)| (x - mean).abs() <= 1e-9 * mean.abs())
    }

    /// The weighted sum of the distances of a row to the axes.
    pub fn distance(&self, row: &[f64]) -> f64 {
        let row = self.standardise(row);
        let to_axis = |axis: &[f64]| row.iter().zip(axis).map(|(x, e)| (x - e) * (x - e)).sum::<f64>().sqrt();
        self.axes.chunks_exact(row.len()).zip(&self.shares).map(|(axis, share)| to_axis(axis) / share).sum()
    }

    fn standardise(&self, row: &[f64]) -> Vec<f64> {
        row.iter()
            .zip(self.mean.iter().zip(&self.deviation))
            .map(|(x, (mean, deviation))| (x - mean) / deviation)
            .collect()
    }

    /// Adds them to a model.
    pub fn write(&self, model: Writer) -> Writer {
        let model = model.u32(self.mean.len() as u32).u32(self.shares.len() as u32);
        model.f64s(&self.mean).f64s(&self.deviation).f64s(&self.shares).f64s(&self.axes)
    }

    /// Reads them from a model.
    pub fn read(model: &mut Reader<'_>) -> Result<Self, Cause> {
        let (features, axes) = (model.u32()? as usize, model.u32()? as usize);
        Ok(Self {
            mean: model.f64s(features)?,
            deviation: model.f64s(features)?,
            shares: model.f64s(axes)?,
            axes: model.f64s(features.saturating_mul(axes))?,
        })
    }
}

fn larger(best: f64, x: &f64) -> f64 {
    if x.abs() > best.abs() { *x } else { best }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_that_explains_nothing_is_left_out() {
        let rows: Vec<[f64; 3]> = (0..30).map(|i| f64::from(i * i % 11)).map(|x| [x, 2.0 * x + 1.0, 5.0]).collect();
        let rows: Vec<&[f64]> = rows.iter().map(|row| &row[..]).collect();
        let axes = Axes::of(&rows).unwrap();
        assert_eq!(axes.shares.len(), 1);
        assert!((axes.shares[0] - 1.0).abs() < 1e-12);
        let half = 0.5f64.sqrt();
        for (got, expected) in axes.axes.iter().zip([half, half, 0.0]) {
            assert!((got - expected).abs() < 1e-12);
        }
        let mut reader_of = axes.write(Writer::new(*b"TEST")).finish();
        assert_eq!(Axes::read(&mut Reader::open(&reader_of, *b"TEST").unwrap()).unwrap(), axes);
        reader_of.pop();
        assert!(Axes::read(&mut Reader::open(&reader_of, *b"TEST").unwrap()).is_err());
    }
}
