//! ECOD: a row is as odd as its values lie far out in the tails of their columns.
//!
//! Z. Li, Y. Zhao, X. Hu, N. Botta, C. Ionescu, G. H. Chen: ECOD: Unsupervised outlier detection
//! using empirical cumulative distribution functions, 2022. With the tails l and r of a value,
//! and s the one that the skewness picks: the sum over the columns of max(l, r, s). Each column
//! takes its own largest, as PyOD does it, where the paper takes the largest of three sums.

use anomd_detector::Cause;
use anomd_detector::model::{Reader, Writer};

use crate::Scorer;
use crate::table::Table;
use crate::tails::{Tail, Tails};

/// What was learnt.
pub struct Ecod(Tails);

impl Ecod {
    /// The model, and the scores of the training rows.
    pub fn fit(table: Table<'_>) -> (Self, Vec<f64>) {
        let tails = Tails::of(table);
        let scores = table.rows().map(|row| tails.within(row).map(part).sum()).collect();
        (Self(tails), scores)
    }

    /// Reads it from a model.
    pub fn read(model: &mut Reader<'_>, features: usize) -> Result<Self, Cause> {
        Tails::read(model, features).map(Self)
    }
}

fn part(tail: Tail) -> f64 {
    tail.left.max(tail.right).max(tail.skewed)
}

impl Scorer for Ecod {
    fn score(&self, row: &[f64]) -> f64 {
        self.0.joined(row).map(part).sum()
    }

    fn parts(&self, row: &[f64]) -> Option<Vec<f64>> {
        Some(self.0.joined(row).map(part).collect())
    }

    fn write(&self, model: Writer) -> Writer {
        self.0.write(model)
    }
}
