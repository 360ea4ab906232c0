//! PCA: how far a row is from the principal axes of the training rows, as PyOD counts it.
//!
//! M.-L. Shyu, S.-C. Chen, K. Sarinnapakorn, L. Chang: A novel anomaly detection scheme based on
//! principal component classifier, 2003; but the distance is that to the axes as points. See
//! `anomstack::Axes`, which the plugin `pca` has, too.
//!
//! Not as PyOD, which divides by zero there: an axis that explains nothing but rounding is left
//! out, and where no feature moved a row scores 0 if it is the same, and else 1.

use anomd_detector::Cause;
use anomd_detector::model::{Reader, Writer};
use anomstack::Axes;

use crate::Scorer;
use crate::table::Table;

/// What was learnt: the axes.
pub struct Pca(Axes);

impl Pca {
    /// The model, and the scores of the training rows. No more rows than features are warming.
    pub fn fit(table: Table<'_>) -> Result<(Self, Vec<f64>), Cause> {
        if table.len() <= table.features() {
            return Err(Cause::Warming);
        }
        let rows: Vec<&[f64]> = table.rows().collect();
        let learnt = Self(Axes::of(&rows)?);
        let scores = rows.iter().map(|row| learnt.score(row)).collect();
        Ok((learnt, scores))
    }

    /// Reads it from a model.
    pub fn read(model: &mut Reader<'_>, features: usize) -> Result<Self, Cause> {
        let axes = Axes::read(model)?;
        if axes.features() != features {
            return Err(Cause::Failed("the stored model has another number of features; train the batch again".into()));
        }
        Ok(Self(axes))
    }
}

impl Scorer for Pca {
    fn score(&self, row: &[f64]) -> f64 {
        match self.0.is_empty() {
            true if self.0.is_center(row) => 0.0,
            true => 1.0,
            false => self.0.distance(row),
        }
    }

    fn write(&self, model: Writer) -> Writer {
        self.0.write(model)
    }
}
