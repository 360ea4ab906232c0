//! MAD: the distance to the median, in median absolute deviations.
//!
//! B. Iglewicz, D. Hoaglin: How to detect and handle outliers, 1993: .6745 |x - median| / MAD.
//! PyOD takes one feature only and so fails on Anomstack's lag features; here a row of several
//! is as odd as its oddest value.
//!
//! Where more than half of the values are equal, the deviation is 0: as in PyOD a value at the
//! median then scores 0, and any other the largest number there is.

use anomd_detector::Cause;
use anomd_detector::model::{Reader, Writer};

use crate::Scorer;
use crate::table::Table;

/// What was learnt: median and deviation of each column.
pub struct Mad(Vec<(f64, f64)>);

impl Mad {
    /// The model, and the scores of the training rows.
    pub fn fit(table: Table<'_>) -> (Self, Vec<f64>) {
        let column = |index| {
            let middle = median(table.column(index).collect());
            (middle, median(table.column(index).map(|x| (x - middle).abs()).collect()))
        };
        let learnt = Self((0..table.features()).map(column).collect());
        let scores = table.rows().map(|row| learnt.score(row)).collect();
        (learnt, scores)
    }

    /// Reads it from a model.
    pub fn read(model: &mut Reader<'_>, features: usize) -> Result<Self, Cause> {
        (0..features).map(|_| Ok((model.f64()?, model.f64()?))).collect::<Result<_, Cause>>().map(Self)
    }
}

impl Scorer for Mad {
    fn score(&self, row: &[f64]) -> f64 {
        let columns = row.iter().zip(&self.0).map(|(x, (middle, deviation))| {
            let score = 0.6745 * (x - middle).abs() / deviation;
            if score.is_nan() { 0.0 } else { score.min(f64::MAX) }
        });
        columns.fold(0.0, f64::max)
    }

    fn write(&self, model: Writer) -> Writer {
        self.0.iter().fold(model, |model, (middle, deviation)| model.f64(*middle).f64(*deviation))
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    let half = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    match below.iter().copied().max_by(f64::total_cmp) {
        Some(below) if even => (below + *middle) / 2.0,
        _ => *middle,
    }
}
