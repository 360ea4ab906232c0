//! What Anomstack wraps round a PyOD model: lag features before it, a min-max probability
//! behind it. `pca` and `knn` are the two models of its default configuration; `tabular` has
//! the other ones of PyOD.
//!
//! Sources: Anomstack's `preprocess.py`, and `predict_proba(method="linear")` of PyOD 3.6.7
//! with scikit-learn's `MinMaxScaler`. On the series of `tests/parity` the results equal
//! theirs to 1e-9.
//!
//! What is done otherwise:
//! * Anomstack works on the position of a row and does not see a gap. Here a column without
//!   a value is NaN, and a feature row that touches one is dropped: what Anomstack does where
//!   its `freq` is set. With the defaults a gap of one column costs nine rows.
//! * Rows are not shuffled before a fit: neither model depends on their order.
//! * `freq` and `freq_agg` are not read: the host lays the samples on its grid.

mod axes;
#[cfg(feature = "fixture")]
pub mod fixture;

use anomd_detector::{Cause, Needs, Row, RowScores};
use serde::Deserialize;

pub use axes::Axes;

/// Columns that a model learns from: Anomstack's `train_max_n`.
const HISTORY: u32 = 2500;

/// The JSON Schema of a detector's configuration: `preprocess` and `contamination`, which all of
/// them take, and its own properties, JSON as between the braces of `properties`.
pub fn schema(required: &[&str], own: &str) -> String {
    let required: Vec<String> = required.iter().map(|key| format!("\"{key}\"")).collect();
    let comma = if own.trim().is_empty() { "" } else { "," };
    SCHEMA
        .replace("REQUIRED", &required.join(", "))
        .replace("PREPROCESS", PREPROCESS)
        .replace("OWN", &format!("{own}{comma}"))
}

const SCHEMA: &str = r#"{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": false,
    "required": [REQUIRED],
    "properties": {
        OWN
        "preprocess": PREPROCESS,
        "contamination": {
            "type": "number", "exclusiveMinimum": 0, "maximum": 0.5, "default": 0.01,
            "description": "Accepted, as PyOD accepts it; it has no influence on the score."
        }
    }
}"#;

const PREPROCESS: &str = r#"{
    "type": "object",
    "description": "Anomstack's preprocess_params: how a series becomes rows of features.",
    "additionalProperties": false,
    "properties": {
        "diff_n": {
            "type": "integer", "minimum": 0, "maximum": 1000, "default": 1,
            "description": "Judge the difference to the value so many columns before. 0: the value itself."
        },
        "smooth_n": {
            "type": "integer", "minimum": 0, "maximum": 1000, "default": 3,
            "description": "Then the mean of the last so many. 0: no smoothing."
        },
        "lags_n": {
            "type": "integer", "minimum": 0, "maximum": 100, "default": 5,
            "description": "Then put so many earlier ones beside each."
        }
    }
}"#;

/// Anomstack's `preprocess_params`, with its defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Preprocess {
    /// `x[t] - x[t - diff_n]`: one difference over so many columns. 0: none.
    pub diff_n: usize,
    /// The trailing mean of so many columns. 0: none.
    pub smooth_n: usize,
    /// So many earlier columns stand beside each.
    pub lags_n: usize,
}

impl Default for Preprocess {
    fn default() -> Self {
        Self { diff_n: 1, smooth_n: 3, lags_n: 5 }
    }
}

impl Preprocess {
    /// Columns before the first one that has a feature row: 8 with the defaults.
    pub fn context(&self) -> usize {
        self.diff_n + self.smooth_n.saturating_sub(1) + self.lags_n
    }

    /// Numbers in a feature row: 6 with the defaults.
    pub fn features(&self) -> usize {
        self.lags_n + 1
    }

    /// What the host should pass. When to train again is the batch's cron.
    pub fn needs(&self) -> Needs {
        Needs { history: HISTORY, context: self.context() as u32, refit: 0, joint: false }
    }

    /// What a model that was fit on rows of so many features says of the last `tail` columns, a
    /// feature row at a time; NaN where a row is not complete.
    pub fn score(
        &self,
        recent: Row<'_>,
        tail: usize,
        features: usize,
        probability: impl Fn(&[f64]) -> f64,
    ) -> Result<RowScores, Cause> {
        if features != self.features() {
            return Err(Cause::Failed("the model was fit with another lags_n; train the batch again".into()));
        }
        if recent.values.len() <= self.context() {
            return Err(Cause::Warming);
        }
        let smoothed = self.smooth(recent.values);
        let scores = self.last(&smoothed, tail).map(|row| row.map_or(f64::NAN, &probability)).collect();
        Ok(RowScores { scores, ..RowScores::default() })
    }

    /// Differences and trailing means, a column each. NaN where a column that they need is
    /// missing or infinite. The feature rows are the windows of [`Preprocess::features`]
    /// columns; the last column of a window is the one that the row speaks of.
    pub fn smooth(&self, values: &[f64]) -> Vec<f64> {
        let difference = |t: usize| match (self.diff_n, t.checked_sub(self.diff_n)) {
            (0, _) => values[t],
            (_, Some(before)) => values[t] - values[before],
            (_, None) => f64::NAN,
        };
        let differences: Vec<f64> = (0..values.len()).map(difference).collect();
        let width = self.smooth_n.max(1);
        let mean = |t: usize| match (t + 1).checked_sub(width) {
            Some(from) => differences[from..=t].iter().sum::<f64>() / width as f64,
            None => f64::NAN,
        };
        (0..values.len()).map(mean).map(|x| if x.is_finite() { x } else { f64::NAN }).collect()
    }

    /// The windows that end in the last `tail` columns of `smoothed`, or a `None` for each
    /// that is not complete.
    pub fn last<'a>(&self, smoothed: &'a [f64], tail: usize) -> impl Iterator<Item = Option<&'a [f64]>> {
        let features = self.features();
        (smoothed.len().saturating_sub(tail)..smoothed.len())
            .map(move |t| (t + 1).checked_sub(features).map(|from| &smoothed[from..=t]))
            .map(|window| window.filter(|w| is_complete(w)))
    }
}

/// Whether no value of a window is missing.
pub fn is_complete(window: &[f64]) -> bool {
    window.iter().all(|x| x.is_finite())
}

/// Whether squares of the values, and sums of them, are finite. Missing values do not count.
pub fn can_be_squared(values: &[f64]) -> bool {
    !values.iter().any(|x| x.abs() > 1e150)
}

/// PyOD's linear probability: where a score lies between the least and the largest score of
/// the training rows, cut to 0..1.
///
/// So the most extreme training row always is a 1, and a giant among them hides all others;
/// the `contamination` of a model has no influence. That is how the original works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// The least training score.
    pub least: f64,
    /// The largest.
    pub largest: f64,
}

impl Linear {
    /// Of the scores of the training rows.
    pub fn of(scores: &[f64]) -> Self {
        let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { least, largest }
    }

    /// 0 to 1.
    pub fn probability(&self, score: f64) -> f64 {
        // scikit-learn takes a range of rounding errors for none, and divides by 1.
        let range = match self.largest - self.least {
            range if range < 10.0 * f64::EPSILON => 1.0,
            range => range,
        };
        ((score - self.least) / range).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_become_anomstacks_feature_row() {
        let squares: Vec<f64> = (0..12).map(|i| f64::from(i * i)).collect();
        let preprocess = Preprocess::default();
        let smoothed = preprocess.smooth(&squares);
        let rows: Vec<_> = preprocess.last(&smoothed, 12).collect();
        assert_eq!(preprocess.context(), 8);
        assert_eq!(rows.iter().position(Option::is_some), Some(8));
        assert_eq!(rows[8], Some(&[3.0, 5.0, 7.0, 9.0, 11.0, 13.0][..]));
    }

    #[test]
    fn a_gap_costs_each_row_that_touches_it() {
        let mut values: Vec<f64> = (0..40).map(f64::from).collect();
        values[20] = f64::NAN;
        values[31] = f64::INFINITY;
        let preprocess = Preprocess::default();
        let smoothed = preprocess.smooth(&values);
        let complete: Vec<usize> =
            preprocess.last(&smoothed, 40).enumerate().filter_map(|(t, row)| row.map(|_| t)).collect();
        assert_eq!(complete, [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 29, 30]);
    }

    #[test]
    fn nothing_is_done_where_all_is_zero() {
        let preprocess = Preprocess { diff_n: 0, smooth_n: 0, lags_n: 0 };
        assert_eq!((preprocess.context(), preprocess.features()), (0, 1));
        assert_eq!(preprocess.smooth(&[1.0, 4.0]), [1.0, 4.0]);
    }

    #[test]
    fn a_probability_is_cut_and_equal_scores_do_not_divide_by_zero() {
        let linear = Linear::of(&[2.0, 4.0, 3.0]);
        assert_eq!([1.0, 2.5, 9.0].map(|s| linear.probability(s)), [0.0, 0.25, 1.0]);
        let equal = Linear::of(&[2.0, 2.0]);
        assert_eq!([2.0, 2.25, 9.0].map(|s| equal.probability(s)), [0.0, 0.25, 1.0]);
    }
}
