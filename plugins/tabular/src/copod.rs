//! COPOD: a row is as odd as its values are rare together, by the empirical copula.
//!
//! Z. Li, Y. Zhao, N. Botta, C. Ionescu, X. Hu: COPOD: Copula-based outlier detection, 2020. With
//! the tails l and r of a value, and s the one that the skewness picks: the sum over the
//! columns of max(s, (l + r) / 2), as PyOD does it.

use anomd_detector::Cause;
use anomd_detector::model::{Reader, Writer};

use crate::Scorer;
use crate::table::Table;
use crate::tails::{Tail, Tails};

/// What was learnt.
pub struct Copod(Tails);

impl Copod {
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
    tail.skewed.max((tail.left + tail.right) / 2.0)
}

impl Scorer for Copod {
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
