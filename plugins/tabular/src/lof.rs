//! LOF: how much thinner it is round a row than round its neighbours.
//!
//! M. Breunig, H.-P. Kriegel, R. Ng, J. Sander: LOF: Identifying density-based local outliers,
//! 2000. The reach from a row to a neighbour is their distance, and at least the neighbour's
//! own distance to its k-th neighbour. The density of a row is one over the mean reach to its
//! k neighbours, plus 1e-10 as scikit-learn has it; its score the mean of the neighbours'
//! densities over its own: 1 is ordinary.
//!
//! Exactly k neighbours count. Where several rows are equally far the first are taken; which
//! ones scikit-learn takes depends on its search tree, so there scores may differ.

use anomd_detector::Cause;
use anomd_detector::model::{Reader, Writer};

use crate::Scorer;
use crate::neighbors::nearest;
use crate::table::Table;

/// What was learnt: the rows, and of each the distance to its k-th neighbour and the density.
pub struct Lof {
    k: usize,
    features: usize,
    values: Vec<f64>,
    kth: Vec<f64>,
    density: Vec<f64>,
}

impl Lof {
    /// The model, and the scores of the training rows. With fewer rows than `k` all others are
    /// neighbours, as in scikit-learn; fewer than two rows are warming.
    pub fn fit(table: Table<'_>, k: usize) -> Result<(Self, Vec<f64>), Cause> {
        if table.len() < 2 {
            return Err(Cause::Warming);
        }
        let k = k.clamp(1, table.len() - 1);
        let neighbors: Vec<Vec<(f64, usize)>> =
            table.rows().enumerate().map(|(index, row)| nearest(table, row, k, Some(index))).collect();
        let kth = neighbors.iter().map(|near| near.last().map_or(0.0, |(distance, _)| *distance)).collect();
        let mut learnt =
            Self { k, features: table.features(), values: table.values().to_vec(), kth, density: Vec::new() };
        learnt.density = neighbors.iter().map(|near| learnt.density_of(near)).collect();
        let scores = neighbors.iter().map(|near| learnt.factor(near)).collect();
        Ok((learnt, scores))
    }

    /// Reads it from a model.
    pub fn read(model: &mut Reader<'_>, features: usize) -> Result<Self, Cause> {
        let (k, rows) = (model.u32()? as usize, model.u32()? as usize);
        Ok(Self {
            k,
            features,
            values: model.f64s(rows.saturating_mul(features))?,
            kth: model.f64s(rows)?,
            density: model.f64s(rows)?,
        })
    }

    fn density_of(&self, neighbors: &[(f64, usize)]) -> f64 {
        let reach = neighbors.iter().map(|(distance, index)| distance.max(self.kth[*index]));
        1.0 / (reach.sum::<f64>() / neighbors.len() as f64 + 1e-10)
    }

    fn factor(&self, neighbors: &[(f64, usize)]) -> f64 {
        let own = self.density_of(neighbors);
        neighbors.iter().map(|(_, index)| self.density[*index] / own).sum::<f64>() / neighbors.len() as f64
    }
}

impl Scorer for Lof {
    fn score(&self, row: &[f64]) -> f64 {
        self.factor(&nearest(Table::new(&self.values, self.features), row, self.k, None))
    }

    fn write(&self, model: Writer) -> Writer {
        let model = model.u32(self.k as u32).u32(self.kth.len() as u32);
        model.f64s(&self.values).f64s(&self.kth).f64s(&self.density)
    }
}
