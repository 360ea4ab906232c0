//! GMM: how unlikely a row is under the normal distribution of the training rows.
//!
//! scikit-learn's `GaussianMixture` with PyOD's default, which is one component: its
//! expectation-maximisation then ends where it begins, with the mean and the population
//! covariance, to whose diagonal `reg_covar` is added. The score is -ln of the density.
//! More than one component is not implemented.

use anomd_detector::Cause;
use anomd_detector::model::{Reader, Writer};

use crate::Scorer;
use crate::table::Table;

/// What was learnt: the mean, and the lower triangle of the covariance's Cholesky factor.
pub struct Gmm {
    mean: Vec<f64>,
    /// Row after row, each up to the diagonal.
    factor: Vec<f64>,
    /// What the score is where the row is the mean.
    least: f64,
}

impl Gmm {
    /// The model, and the scores of the training rows. Fewer than two rows are warming.
    pub fn fit(table: Table<'_>, reg_covar: f64) -> Result<(Self, Vec<f64>), Cause> {
        if table.len() < 2 {
            return Err(Cause::Warming);
        }
        let (features, count) = (table.features(), table.len() as f64);
        let mean: Vec<f64> = (0..features).map(|index| table.column(index).sum::<f64>() / count).collect();
        let mut factor = vec![0.0; start(features)];
        let mut away = vec![0.0; features];
        for row in table.rows() {
            for (away, (x, mean)) in away.iter_mut().zip(row.iter().zip(&mean)) {
                *away = x - mean;
            }
            for (index, x) in away.iter().enumerate() {
                for (cell, y) in factor[start(index)..].iter_mut().zip(&away[..=index]) {
                    *cell += x * y;
                }
            }
        }
        factor.iter_mut().for_each(|cell| *cell /= count);
        (0..features).for_each(|index| factor[start(index) + index] += reg_covar);
        cholesky(&mut factor, features)?;
        let learnt = Self::new(mean, factor);
        let scores = table.rows().map(|row| learnt.score(row)).collect();
        Ok((learnt, scores))
    }

    /// Reads it from a model.
    pub fn read(model: &mut Reader<'_>, features: usize) -> Result<Self, Cause> {
        let mean = model.f64s(features)?;
        Ok(Self::new(mean, model.f64s(start(features))?))
    }

    fn new(mean: Vec<f64>, factor: Vec<f64>) -> Self {
        let features = mean.len();
        let logs: f64 = (0..features).map(|index| factor[start(index) + index].ln()).sum();
        let least = logs + features as f64 / 2.0 * std::f64::consts::TAU.ln();
        Self { mean, factor, least }
    }
}

impl Scorer for Gmm {
    fn score(&self, row: &[f64]) -> f64 {
        // Forward substitution: the row, as far away as it is along independent directions.
        let mut solved: Vec<f64> = Vec::with_capacity(row.len());
        for (index, (x, mean)) in row.iter().zip(&self.mean).enumerate() {
            let factor = &self.factor[start(index)..][..=index];
            let known: f64 = factor.iter().zip(&solved).map(|(a, b)| a * b).sum();
            solved.push((x - mean - known) / factor[index]);
        }
        self.least + solved.iter().map(|z| z * z).sum::<f64>() / 2.0
    }

    fn write(&self, model: Writer) -> Writer {
        model.f64s(&self.mean).f64s(&self.factor)
    }
}

/// Where a row of a lower triangle begins.
fn start(row: usize) -> usize {
    row * (row + 1) / 2
}

/// Replaces the lower triangle of a matrix by its Cholesky factor.
fn cholesky(cells: &mut [f64], size: usize) -> Result<(), Cause> {
    for row in 0..size {
        for column in 0..=row {
            let (a, b) = (&cells[start(row)..], &cells[start(column)..]);
            let known: f64 = a[..column].iter().zip(b).map(|(x, y)| x * y).sum();
            let left = a[column] - known;
            cells[start(row) + column] = if row != column {
                left / b[column]
            } else if left > 0.0 {
                left.sqrt()
            } else {
                return Err(Cause::Failed("the features depend on each other; set reg_covar larger".into()));
            };
        }
    }
    Ok(())
}
