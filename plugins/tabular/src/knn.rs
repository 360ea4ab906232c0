//! KNN: the distance to the k-th nearest training row.
//!
//! S. Ramaswamy, R. Rastogi, K. Shim: Efficient algorithms for mining outliers from large data
//! sets, 2000. A training row is no neighbour of itself; of a new row that equals one it is.

use anomd_detector::Cause;
use anomd_detector::model::{Reader, Writer};

use crate::Scorer;
use crate::neighbors::nearest;
use crate::table::Table;

/// What was learnt: the rows.
pub struct Knn {
    k: usize,
    features: usize,
    values: Vec<f64>,
}

impl Knn {
    /// The model, and the scores of the training rows. Fewer than `k` other rows are warming.
    pub fn fit(table: Table<'_>, k: usize) -> Result<(Self, Vec<f64>), Cause> {
        if table.len() <= k {
            return Err(Cause::Warming);
        }
        let kth = |(index, row)| nearest(table, row, k, Some(index)).last().map_or(0.0, |(distance, _)| *distance);
        let scores = table.rows().enumerate().map(kth).collect();
        Ok((Self { k, features: table.features(), values: table.values().to_vec() }, scores))
    }

    /// Reads it from a model.
    pub fn read(model: &mut Reader<'_>, features: usize) -> Result<Self, Cause> {
        let k = model.u32()? as usize;
        Ok(Self { k, features, values: model.f64s(model.remaining())? })
    }
}

impl Scorer for Knn {
    fn score(&self, row: &[f64]) -> f64 {
        let table = Table::new(&self.values, self.features);
        nearest(table, row, self.k, None).last().map_or(0.0, |(distance, _)| *distance)
    }

    fn write(&self, model: Writer) -> Writer {
        model.u32(self.k as u32).f64s(&self.values)
    }
}
