//! HBOS: a row is as odd as its values lie in thin bins of their columns' histograms.
//!
//! M. Goldstein, A. Dengel: Histogram-based outlier score (HBOS): A fast unsupervised anomaly
//! detection algorithm, 2012. Bins of equal width; the score is the sum over the columns of
//! -log2(density + alpha). A value outside of the histogram counts to the outer bin if it is
//! within `tol` widths of it, else as if it were in the thinnest bin.
//!
//! As in PyOD, a bin is half-open to the right when training values are counted, and to the
//! left when a value is looked up.

use anomd_detector::Cause;
use anomd_detector::model::{Reader, Writer};

use crate::Scorer;
use crate::table::Table;

/// Its parameters, with PyOD's defaults.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// Bins a column; at least 2.
    pub bins: usize,
    /// Added to each density.
    pub alpha: f64,
    /// Widths of a bin beyond the histogram that still count to it.
    pub tol: f64,
}

impl Default for Params {
    fn default() -> Self {
        Self { bins: 10, alpha: 0.1, tol: 0.5 }
    }
}

/// What was learnt.
pub struct Hbos {
    tol: f64,
    columns: Vec<Histogram>,
}

struct Histogram {
    /// One more than scores, ascending.
    edges: Vec<f64>,
    /// -log2(density + alpha), one a bin.
    scores: Vec<f64>,
}

impl Hbos {
    /// The model, and the scores of the training rows.
    pub fn fit(table: Table<'_>, params: Params) -> (Self, Vec<f64>) {
        let columns = (0..table.features()).map(|index| Histogram::of(table.column(index), table.len(), params));
        let learnt = Self { tol: params.tol, columns: columns.collect() };
        let scores = table.rows().map(|row| learnt.score(row)).collect();
        (learnt, scores)
    }

    /// Reads it from a model.
    pub fn read(model: &mut Reader<'_>, features: usize) -> Result<Self, Cause> {
        let (tol, bins) = (model.f64()?, model.u32()? as usize);
        let column = |_| Ok(Histogram { edges: model.f64s(bins.saturating_add(1))?, scores: model.f64s(bins)? });
        Ok(Self { tol, columns: (0..features).map(column).collect::<Result<_, Cause>>()? })
    }
}

impl Scorer for Hbos {
    fn score(&self, row: &[f64]) -> f64 {
        row.iter().zip(&self.columns).map(|(x, column)| column.score(*x, self.tol)).sum()
    }

    fn parts(&self, row: &[f64]) -> Option<Vec<f64>> {
        Some(row.iter().zip(&self.columns).map(|(x, column)| column.score(*x, self.tol)).collect())
    }

    fn write(&self, model: Writer) -> Writer {
        let bins = self.columns.first().map_or(0, |column| column.scores.len());
        let model = model.f64(self.tol).u32(bins as u32);
        self.columns.iter().fold(model, |model, column| model.f64s(&column.edges).f64s(&column.scores))
    }
}

impl Histogram {
    /// numpy's `histogram` with `density=True`.
    fn of(values: impl Iterator<Item = f64> + Clone, count: usize, params: Params) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for x in values.clone() {
            (low, high) = (low.min(x), high.max(x));
        }
        let mut edges = edges_between(low, high, params.bins);
        // Values that are equal but for rounding count as equal; numpy fails.
        if edges.windows(2).any(|pair| pair[1] - pair[0] < f64::MIN_POSITIVE) {
            edges = edges_between(low - 0.5, high + 0.5, params.bins);
        }
        let mut counts = vec![0_u32; params.bins];
        for x in values {
            let bin = edges[..params.bins].partition_point(|edge| *edge <= x);
            counts[bin.saturating_sub(1)] += 1;
        }
        let density = |(bin, filled): (usize, &u32)| f64::from(*filled) / (edges[bin + 1] - edges[bin]) / count as f64;
        let scores = counts.iter().enumerate().map(density).map(|density| -(density + params.alpha).log2()).collect();
        Self { edges, scores }
    }

    fn score(&self, x: f64, tol: f64) -> f64 {
        let (edges, scores) = (&self.edges, &self.scores);
        let bins = scores.len();
        let thinnest = || scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match edges.partition_point(|edge| *edge < x) {
            0 if edges[0] - x <= (edges[1] - edges[0]) * tol => scores[0],
            0 => thinnest(),
            bin if bin <= bins => scores[bin - 1],
            _ if x - edges[bins] <= (edges[bins] - edges[bins - 1]) * tol => scores[bins - 1],
            _ => thinnest(),
        }
    }
}

/// numpy's `linspace`.
fn edges_between(low: f64, high: f64, bins: usize) -> Vec<f64> {
    let width = (high - low) / bins as f64;
    (0..bins).map(|bin| bin as f64 * width + low).chain([high]).collect()
}
