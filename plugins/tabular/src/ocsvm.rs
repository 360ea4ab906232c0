//! OCSVM: how far a row is on the wrong side of the boundary round the bulk of the training rows.
//!
//! B. Schölkopf, J. Platt, J. Shawe-Taylor, A. Smola, R. Williamson: Estimating the support of a
//! high-dimensional distribution, 2001. With the kernel exp(-gamma |x - y|²) a row's score is rho
//! minus the weighted sum of its kernels with the support vectors. The share `nu` of the rows
//! bounds from above how many are outside, and from below how many are support vectors.
//!
//! The weights are found as libsvm finds them (see `smo`), to its tolerance of 1e-3; so that the
//! scores are scikit-learn's to many more digits than that, the same steps are taken.

use anomd_detector::Cause;
use anomd_detector::model::{Reader, Writer};

use crate::Scorer;
use crate::smo;
use crate::table::{Table, squared_distance};

/// What can be set.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// The share of rows that may be outside.
    pub nu: f64,
    /// How fast the kernel falls; one over the number of features if it is not set.
    pub gamma: Option<f64>,
}

impl Default for Params {
    fn default() -> Self {
        Self { nu: 0.5, gamma: None }
    }
}

/// What was learnt: the support vectors with their weights, and the offset.
pub struct Ocsvm {
    features: usize,
    gamma: f64,
    rho: f64,
    weights: Vec<f64>,
    values: Vec<f64>,
}

impl Ocsvm {
    /// The model, and the scores of the training rows. Fewer than two rows are warming.
    pub fn fit(table: Table<'_>, params: Params) -> Result<(Self, Vec<f64>), Cause> {
        if table.len() < 2 {
            return Err(Cause::Warming);
        }
        let gamma = params.gamma.unwrap_or(1.0 / table.features() as f64);
        let solved = smo::solve(table, gamma, params.nu);
        let support = || solved.weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0);
        let learnt = Self {
            features: table.features(),
            gamma,
            rho: solved.rho,
            weights: support().map(|(_, weight)| *weight).collect(),
            values: support().flat_map(|(row, _)| table.row(row)).copied().collect(),
        };
        let scores = table.rows().map(|row| learnt.score(row)).collect();
        Ok((learnt, scores))
    }

    /// Reads it from a model.
    pub fn read(model: &mut Reader<'_>, features: usize) -> Result<Self, Cause> {
        let count = model.u32()? as usize;
        Ok(Self {
            features,
            gamma: model.f64()?,
            rho: model.f64()?,
            weights: model.f64s(count)?,
            values: model.f64s(count.saturating_mul(features))?,
        })
    }
}

impl Scorer for Ocsvm {
    fn score(&self, row: &[f64]) -> f64 {
        let support = Table::new(&self.values, self.features).rows().zip(&self.weights);
        self.rho
            - support.map(|(other, weight)| weight * (-self.gamma * squared_distance(row, other)).exp()).sum::<f64>()
    }

    fn write(&self, model: Writer) -> Writer {
        let model = model.u32(self.weights.len() as u32).f64(self.gamma).f64(self.rho);
        model.f64s(&self.weights).f64s(&self.values)
    }
}
