//! Anomstack's first model: PyOD's `PCA` on lag features, with its linear probability.
//! See `anomstack` for the features, for the probability, and for what is done otherwise there.
//!
//! What else is done otherwise, where PyOD divides by zero:
//! * A series whose features never moved in training has no principal axis; PyOD answers NaN.
//!   Here a row that does not move either scores 0, and one that does scores 1.
//! * A series with no more training rows than features is warming.

use anomd_detector::model::{Reader, Writer};
use anomd_detector::{Cause, Descriptor, Detector, Error, Needs, Row, RowScores, export_detector};
use anomstack::{Axes, Linear, Preprocess, can_be_squared, schema};
use serde::Deserialize;

/// The component.
pub struct Pca;

/// Its configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    /// How a series becomes rows of features.
    pub preprocess: Preprocess,
}

const TAG: [u8; 4] = *b"PCA1";

impl Detector for Pca {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Anomstack's PCA: weighted distances to the principal axes of lag features of the past".into(),
            config_schema: schema(&[], ""),
            origins: vec![],
            secrets: vec![],
        }
    }

    fn plan(config: &Config, _step: u32) -> Result<Needs, Error> {
        Ok(config.preprocess.needs())
    }

    fn fit(config: &Config, history: Row<'_>, _previous: &[u8]) -> Result<Vec<u8>, Cause> {
        let smoothed = config.preprocess.smooth(history.values);
        let rows: Vec<&[f64]> = config.preprocess.last(&smoothed, smoothed.len()).flatten().collect();
        if rows.len() <= config.preprocess.features() {
            return Err(Cause::Warming);
        }
        if !can_be_squared(&smoothed) {
            return Err(Cause::Failed("the values are too large to be squared".into()));
        }
        let axes = Axes::of_lags(&rows)?;
        let scores: Vec<f64> = rows.iter().map(|row| axes.distance(row)).collect();
        let linear = Linear::of(&scores);
        Ok(axes.write(Writer::new(TAG).f64(linear.least).f64(linear.largest)).finish())
    }

    fn score(config: &Config, model: &[u8], recent: Row<'_>, tail: usize) -> Result<RowScores, Cause> {
        let mut reader = Reader::open(model, TAG)?;
        let linear = Linear { least: reader.f64()?, largest: reader.f64()? };
        let axes = Axes::read(&mut reader)?;
        let score = |row: &[f64]| match axes.is_empty() {
            true if axes.is_center(row) => 0.0,
            true => 1.0,
            false => linear.probability(axes.distance(row)),
        };
        config.preprocess.score(recent, tail, axes.features(), score)
    }
}

export_detector!(Pca);

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
            let Some(pca) = &case.pca else { continue };
            let config = Config { preprocess: case.preprocess };
            let values = case.values();
            let model = Pca::fit(&config, row(&values[..case.train_until]), &[]).unwrap();
            let recent = &values[case.score_from..];
            let scores = Pca::score(&config, &model, row(recent), recent.len()).unwrap().scores;
            for (index, expected) in case.index.iter().zip(&pca.probability) {
                let got = scores[index - case.score_from];
                assert!((got - expected).abs() < 1e-9, "{}, {index}: {got} is not {expected}", case.name);
            }
            let judged = scores.iter().filter(|s| !s.is_nan()).count();
            assert_eq!(judged, case.index.len(), "{}", case.name);

            let mut reader = Reader::open(&model, TAG).unwrap();
            for bound in pca.range {
                assert!((reader.f64().unwrap() - bound).abs() < 1e-9 * bound, "{}", case.name);
            }
        }
    }

    #[test]
    fn what_leaves_a_flat_line_is_odd_and_the_line_is_not() {
        let config = Config::default();
        let case = Case::all().into_iter().find(|case| case.pca.is_none()).unwrap();
        let values = case.values();
        let model = Pca::fit(&config, row(&values[..case.train_until]), &[]).unwrap();
        let recent = &values[case.score_from..];
        let scores = Pca::score(&config, &model, row(recent), recent.len()).unwrap().scores;
        let moved: Vec<f64> = case.index.iter().map(|i| scores[i - case.score_from]).collect();
        let expected: Vec<f64> = case.index.iter().map(|i| if *i < 55 { 0.0 } else { 1.0 }).collect();
        assert_eq!(moved, expected);
    }

    #[test]
    fn a_short_series_is_warming() {
        let config = Config::default();
        let values: Vec<f64> = (0..15).map(|i| f64::from(i * i % 7)).collect();
        assert!(matches!(Pca::fit(&config, row(&values[..14]), &[]), Err(Cause::Warming)));
        let model = Pca::fit(&config, row(&values), &[]).unwrap();
        assert!(matches!(Pca::score(&config, &model, row(&values[..8]), 1), Err(Cause::Warming)));
        assert!(matches!(Pca::score(&config, &[], row(&values), 1), Err(Cause::Warming)));
        let other = Config { preprocess: Preprocess { lags_n: 3, ..config.preprocess } };
        assert!(matches!(Pca::score(&other, &model, row(&values), 1), Err(Cause::Failed(_))));
    }

    #[test]
    fn any_series_gets_scores_between_0_and_1() {
        let config = Config::default();
        let shapes: [fn(f64) -> f64; 6] = [
            |i| i * 0.1,
            |i| (i / 5.0).sin(),
            |i| if i == 20.0 { 1e300 } else { 0.0 },
            |i| i * 1e-300,
            |i| f64::from(i as u32 % 2),
            |i| if i > 45.0 { f64::MAX } else { f64::MIN },
        ];
        for shape in shapes {
            let values: Vec<f64> = (0..60).map(|i| shape(f64::from(i))).collect();
            match Pca::fit(&config, row(&values[..50]), &[]) {
                Ok(model) => {
                    let scores = Pca::score(&config, &model, row(&values), 52).unwrap().scores;
                    let judged = scores.iter().filter(|s| !s.is_nan());
                    assert!(
                        judged.clone().count() >= 15 && judged.clone().all(|s| (0.0..=1.0).contains(s)),
                        "{scores:?}"
                    );
                }
                Err(Cause::Failed(text)) => assert!(text.contains("too large"), "{text}"),
                Err(Cause::Warming) => panic!("50 values are enough"),
            }
        }
    }
}
