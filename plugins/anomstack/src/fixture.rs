//! The series of `tests/parity/fixture.json`, with what PyOD said of them.

use serde::Deserialize;

use crate::Preprocess;

/// One series.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// What it is.
    pub name: String,
    /// How it becomes features.
    pub preprocess: Preprocess,
    /// KNN's `n_neighbors`.
    pub n_neighbors: usize,
    /// The series; null is a gap.
    pub values: Vec<Option<f64>>,
    /// The models are trained on the values before this one.
    pub train_until: usize,
    /// And score the values from this one on.
    pub score_from: usize,
    /// The scored values: those with a whole feature row.
    pub index: Vec<usize>,
    /// Their features: the value itself and its lags.
    pub features: Vec<Vec<f64>>,
    /// What KNN said.
    pub knn: Scores,
    /// What PCA said; nothing where its answer was NaN.
    pub pca: Option<Scores>,
}

/// What a model said of a series.
#[derive(Clone, Debug, Deserialize)]
pub struct Scores {
    /// The least and the largest training score.
    pub range: [f64; 2],
    /// The probability of each of `index`.
    pub probability: Vec<f64>,
}

impl Case {
    /// Those of the fixture.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn all() -> Vec<Self> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/parity/fixture.json");
        let text = std::fs::read_to_string(path).expect("tests/parity/fixture.json is in the repository");
        serde_json::from_str(&text).expect("tests/parity/make_fixture.py writes these fields")
    }

    /// The values, NaN for a gap.
    pub fn values(&self) -> Vec<f64> {
        self.values.iter().map(|v| v.unwrap_or(f64::NAN)).collect()
    }
}
