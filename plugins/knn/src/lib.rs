//! Anomstack's second model: PyOD's `KNN` on lag features, with its linear probability.
//!
//! A row is as odd as it is far from its k-th nearest neighbour among the training rows
//! (Ramaswamy, Rastogi, Shim: Efficient algorithms for mining outliers from large data sets,
//! 2000); Euclidean, on features as they are. See `anomstack` for the features, for the
//! probability, and for what is done otherwise there.
//!
//! A series too short to have more than k training rows is warming, where PyOD fails the
//! whole batch.

mod nearest;

use anomd_detector::model::{Reader, Writer};
use anomd_detector::{Cause, Descriptor, Detector, Error, Needs, Row, RowScores, export_detector};
use anomstack::{Linear, Preprocess, can_be_squared, schema};
use serde::Deserialize;

use nearest::{kth_distance, training_distances};

/// The component.
pub struct Knn;

/// Its configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    /// How a series becomes rows of features.
    pub preprocess: Preprocess,
    /// Which neighbour's distance counts.
    pub n_neighbors: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { preprocess: Preprocess::default(), n_neighbors: 5 }
    }
}

const TAG: [u8; 4] = *b"KNN1";

impl Detector for Knn {
    type Config = Config;

    fn describe() -> Descriptor {
        let own = r#"
            "n_neighbors": {
                "type": "integer", "minimum": 1, "maximum": 100, "default": 5,
                "description": "The distance to which neighbour counts."
            }"#;
        Descriptor {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Anomstack's KNN: the distance to the k-th neighbour among lag features of the past".into(),
            config_schema: schema(&[], own),
            origins: vec![],
            secrets: vec![],
        }
    }

    fn plan(config: &Config, _step: u32) -> Result<Needs, Error> {
        Ok(config.preprocess.needs())
    }

    fn fit(config: &Config, history: Row<'_>, _previous: &[u8]) -> Result<Vec<u8>, Cause> {
        let smoothed = config.preprocess.smooth(history.values);
        if !can_be_squared(&smoothed) {
            return Err(Cause::Failed("the values are too large to be squared".into()));
        }
        let features = config.preprocess.features();
        let distances = training_distances(&smoothed, features, config.n_neighbors);
        if distances.is_empty() {
            return Err(Cause::Warming);
        }
        let linear = Linear::of(&distances);
        let model = Writer::new(TAG).u32(features as u32).f64(linear.least).f64(linear.largest);
        // Neighbouring rows share all values but one, so the smoothed series is the table of
        // rows at a sixth of its size.
        Ok(model.f64s(&smoothed).finish())
    }

    fn score(config: &Config, model: &[u8], recent: Row<'_>, tail: usize) -> Result<RowScores, Cause> {
        let mut reader = Reader::open(model, TAG)?;
        let features = reader.u32()? as usize;
        let linear = Linear { least: reader.f64()?, largest: reader.f64()? };
        let trained = reader.f64s(reader.remaining())?;
        let probability = |row: &[f64]| linear.probability(kth_distance(&trained, row, config.n_neighbors));
        config.preprocess.score(recent, tail, features, probability)
    }
}

export_detector!(Knn);

#[cfg(test)]
mod tests {
    use anomstack::fixture::Case;

    use super::*;

    fn row(values: &[f64]) -> Row<'_> {
        Row { values, start: 0, step: 60_000 }
    }

    #[test]
    fn scores_are_pyods() {
        for case in Case::all() {
            let config = Config { preprocess: case.preprocess, n_neighbors: case.n_neighbors };
            let values = case.values();
            let model = Knn::fit(&config, row(&values[..case.train_until]), &[]).unwrap();
            let recent = &values[case.score_from..];
            let scores = Knn::score(&config, &model, row(recent), recent.len()).unwrap().scores;
            for (index, expected) in case.index.iter().zip(&case.knn.probability) {
                let got = scores[index - case.score_from];
                assert!((got - expected).abs() < 1e-9, "{}, {index}: {got} is not {expected}", case.name);
            }
            let judged = scores.iter().filter(|s| !s.is_nan()).count();
            assert_eq!(judged, case.index.len(), "{}", case.name);

            let mut reader = Reader::open(&model, TAG).unwrap();
            reader.u32().unwrap();
            for bound in case.knn.range {
                assert!((reader.f64().unwrap() - bound).abs() < 1e-9 * bound.max(1.0), "{}", case.name);
            }
        }
    }

    #[test]
    fn a_point_scores_the_same_however_the_calls_are_cut() {
        let config = Config::default();
        let values = Case::all().remove(1).values();
        let model = Knn::fit(&config, row(&values[..480]), &[]).unwrap();
        let whole = Knn::score(&config, &model, row(&values[480..]), 80).unwrap().scores;
        let context = config.preprocess.context();
        for (i, expected) in whole.iter().enumerate() {
            let end = values.len() - 80 + i + 1;
            let one = Knn::score(&config, &model, row(&values[end - 1 - context..end]), 1).unwrap().scores;
            assert_eq!(one[0].to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn values_that_cannot_be_squared_are_refused_in_training_and_odd_after() {
        let config = Config::default();
        let mut values: Vec<f64> = (0..30).map(|i| f64::from(i * i % 13)).collect();
        let model = Knn::fit(&config, row(&values), &[]).unwrap();
        values[29] = 1e300;
        assert!(matches!(Knn::fit(&config, row(&values), &[]), Err(Cause::Failed(_))));
        assert_eq!(Knn::score(&config, &model, row(&values), 1).unwrap().scores, [1.0]);
    }

    #[test]
    fn a_short_series_is_warming() {
        let config = Config::default();
        let values: Vec<f64> = (0..14).map(|i| f64::from(i % 5)).collect();
        assert!(matches!(Knn::fit(&config, row(&values[..13]), &[]), Err(Cause::Warming)));
        let model = Knn::fit(&config, row(&values), &[]).unwrap();
        assert!(matches!(Knn::score(&config, &model, row(&values[..8]), 1), Err(Cause::Warming)));
        assert!(matches!(Knn::score(&config, &[], row(&values), 1), Err(Cause::Warming)));
        let other = Config { preprocess: Preprocess { lags_n: 3, ..config.preprocess }, ..config };
        assert!(matches!(Knn::score(&other, &model, row(&values), 1), Err(Cause::Failed(_))));
    }
}
