//! The detectors of tables that PyOD has, with its defaults: `algorithm` names one. As `detect`
//! they judge the lag features of a series, as Anomstack does (see `anomstack` for the features,
//! for the probability, and for what is done otherwise there); as `vectors` any rows.
//!
//! A row's score is its decision score, placed between the least and the largest one of the
//! training rows: PyOD's linear probability. Held to PyOD 3.6.7 by `tests/parity`.
//!
//! What is done otherwise: each row is judged by itself, so that its score does not depend on
//! its company in a call; too few rows are warming; a row with a missing value has no score.

pub mod cblof;
pub mod copod;
pub mod ecod;
pub mod gmm;
pub mod hbos;
mod heap;
pub mod iforest;
mod kmeans;
pub mod knn;
pub mod lof;
pub mod mad;
mod neighbors;
pub mod ocsvm;
pub mod pca;
mod random;
mod smo;
pub mod table;
mod tails;
mod tree;

mod config;

use anomd_detector::model::{Reader, Writer};
use anomd_detector::{Cause, Descriptor, Detector, Error, Needs, Problem, Row, RowScores, export_detector};
use anomd_vectors::{Judged, Term, Vectors, export_vectors};
use anomstack::{Linear, can_be_squared, is_complete};

pub use config::{Algorithm, Config};
use table::Table;

/// Terms that the host takes of a call.
const MOST_TERMS: usize = 32;

/// A learnt algorithm.
pub trait Scorer {
    /// The decision score of a new row: the larger, the odder.
    fn score(&self, row: &[f64]) -> f64;

    /// What each value adds to the score of a new row, where it is a sum of such.
    fn parts(&self, _row: &[f64]) -> Option<Vec<f64>> {
        None
    }

    /// Adds it to a model.
    fn write(&self, model: Writer) -> Writer;
}

/// What an algorithm learns of complete rows, with the decision scores of these rows.
pub fn fit(config: &Config, table: Table<'_>) -> Result<(Box<dyn Scorer>, Vec<f64>), Cause> {
    if table.is_empty() {
        return Err(Cause::Warming);
    }
    if !can_be_squared(table.values()) {
        return Err(Cause::Failed("the values are too large to be squared".into()));
    }
    fn boxed<S: Scorer + 'static>((learnt, scores): (S, Vec<f64>)) -> (Box<dyn Scorer>, Vec<f64>) {
        (Box::new(learnt), scores)
    }
    let (learnt, scores) = match config.algorithm {
        Algorithm::Cblof => boxed(cblof::Cblof::fit(table, config.cblof())?),
        Algorithm::Copod => boxed(copod::Copod::fit(table)),
        Algorithm::Ecod => boxed(ecod::Ecod::fit(table)),
        Algorithm::Gmm => boxed(gmm::Gmm::fit(table, config.reg_covar.unwrap_or(1e-6))?),
        Algorithm::Hbos => boxed(hbos::Hbos::fit(table, config.hbos())),
        Algorithm::Iforest => boxed(iforest::IForest::fit(table, config.iforest())?),
        Algorithm::Knn => boxed(knn::Knn::fit(table, config.n_neighbors.unwrap_or(5))?),
        Algorithm::Lof => boxed(lof::Lof::fit(table, config.n_neighbors.unwrap_or(20))?),
        Algorithm::Mad => boxed(mad::Mad::fit(table)),
        Algorithm::Ocsvm => boxed(ocsvm::Ocsvm::fit(table, config.ocsvm())?),
        Algorithm::Pca => boxed(pca::Pca::fit(table)?),
    };
    if !is_complete(&scores) {
        return Err(Cause::Failed("the values differ by too little or too much to be told apart".into()));
    }
    Ok((learnt, scores))
}

fn read(algorithm: Algorithm, model: &mut Reader<'_>, features: usize) -> Result<Box<dyn Scorer>, Cause> {
    Ok(match algorithm {
        Algorithm::Cblof => Box::new(cblof::Cblof::read(model, features)?),
        Algorithm::Copod => Box::new(copod::Copod::read(model, features)?),
        Algorithm::Ecod => Box::new(ecod::Ecod::read(model, features)?),
        Algorithm::Gmm => Box::new(gmm::Gmm::read(model, features)?),
        Algorithm::Hbos => Box::new(hbos::Hbos::read(model, features)?),
        Algorithm::Iforest => Box::new(iforest::IForest::read(model, features)?),
        Algorithm::Knn => Box::new(knn::Knn::read(model, features)?),
        Algorithm::Lof => Box::new(lof::Lof::read(model, features)?),
        Algorithm::Mad => Box::new(mad::Mad::read(model, features)?),
        Algorithm::Ocsvm => Box::new(ocsvm::Ocsvm::read(model, features)?),
        Algorithm::Pca => Box::new(pca::Pca::read(model, features)?),
    })
}

/// A learnt algorithm with its linear probability, as it is kept.
struct Learnt {
    features: usize,
    linear: Linear,
    scorer: Box<dyn Scorer>,
}

impl Learnt {
    fn fit(config: &Config, table: Table<'_>) -> Result<Vec<u8>, Cause> {
        let (scorer, scores) = fit(config, table)?;
        let linear = Linear::of(&scores);
        let model = Writer::new(config.algorithm.tag()).u32(table.features() as u32);
        Ok(scorer.write(model.f64(linear.least).f64(linear.largest)).finish())
    }

    fn read(config: &Config, model: &[u8]) -> Result<Self, Cause> {
        let mut reader = Reader::open(model, config.algorithm.tag())?;
        let features = reader.u32()? as usize;
        let linear = Linear { least: reader.f64()?, largest: reader.f64()? };
        let scorer = read(config.algorithm, &mut reader, features)?;
        Ok(Self { features, linear, scorer })
    }
}

/// The component.
pub struct Tabular;

impl Detector for Tabular {
    type Config = Config;

    fn describe() -> Descriptor {
        Descriptor {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "PyOD's detectors of tables, on lag features of the past: IForest, LOF, ECOD and others".into(),
            config_schema: Config::schema(),
            origins: vec![],
            secrets: vec![],
        }
    }

    fn check(config: &Config) -> Vec<Problem> {
        config.problems()
    }

    fn plan(config: &Config, _step: u32) -> Result<Needs, Error> {
        Ok(config.preprocess.needs())
    }

    fn fit(config: &Config, history: Row<'_>, _previous: &[u8]) -> Result<Vec<u8>, Cause> {
        let features = config.preprocess.features();
        let smoothed = config.preprocess.smooth(history.values);
        let rows = config.preprocess.last(&smoothed, smoothed.len()).flatten();
        let values: Vec<f64> = rows.flatten().copied().collect();
        let table = Table::new(&values, features);
        if table.len() <= features {
            return Err(Cause::Warming);
        }
        Learnt::fit(config, table)
    }

    fn score(config: &Config, model: &[u8], recent: Row<'_>, tail: usize) -> Result<RowScores, Cause> {
        let learnt = Learnt::read(config, model)?;
        let probability = |row: &[f64]| learnt.linear.probability(learnt.scorer.score(row));
        config.preprocess.score(recent, tail, learnt.features, probability)
    }
}

export_detector!(Tabular);

impl Vectors for Tabular {
    type Config = Config;

    /// Rows with a missing value are left out.
    fn fit(config: &Config, history: &anomd_vectors::Table) -> Result<Vec<u8>, Error> {
        let features = history.features.len().max(1);
        let complete = history.values.chunks_exact(features).filter(|row| is_complete(row));
        let values: Vec<f64> = complete.flatten().copied().collect();
        let table = Table::new(&values, features);
        Learnt::fit(config, table).map_err(|cause| match cause {
            Cause::Warming => Error::Unsupported(format!("{} complete rows are too few to learn from", table.len())),
            Cause::Failed(why) => Error::Unsupported(why),
        })
    }

    /// The terms are what each feature adds to the decision score, before it was placed between 0
    /// and 1; of an algorithm that does not
    /// say, and of more than 32 features, the decision score as a whole: `decision`.
    fn score(config: &Config, model: &[u8], recent: &anomd_vectors::Table) -> Result<Judged, Error> {
        let learnt = Learnt::read(config, model).map_err(|cause| match cause {
            Cause::Warming => Error::Unsupported("there is no model yet: fit one first".into()),
            Cause::Failed(why) => Error::Unsupported(why),
        })?;
        let features = recent.features.len().max(1);
        if learnt.features != features {
            return Err(Error::Unsupported(format!(
                "a table of {features} features, where the model was fit with {}",
                learnt.features
            )));
        }
        let score = |row: &[f64]| if is_complete(row) { learnt.scorer.score(row) } else { f64::NAN };
        let decisions: Vec<f64> = recent.values.chunks_exact(features).map(score).collect();
        let probability = |x: &f64| if x.is_nan() { f64::NAN } else { learnt.linear.probability(*x) };
        let scores = decisions.iter().map(probability).collect();
        let mut parts = vec![Vec::new(); features];
        for row in recent.values.chunks_exact(features) {
            let Some(said) = learnt.scorer.parts(row).filter(|parts| parts.len() <= MOST_TERMS) else {
                let terms = vec![Term { name: "decision".into(), values: decisions }];
                return Ok(Judged { scores, terms });
            };
            let missing = !is_complete(row);
            parts.iter_mut().zip(said).for_each(|(column, part)| column.push(if missing { f64::NAN } else { part }));
        }
        let terms = recent.features.iter().zip(parts).map(|(name, values)| Term { name: name.clone(), values });
        Ok(Judged { scores, terms: terms.collect() })
    }
}

export_vectors!(Tabular);

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f64]) -> Row<'_> {
        Row { values, start: 0, step: 60_000 }
    }

    fn waves() -> Vec<f64> {
        let wave = |i: i32| 10.0 + 3.0 * (f64::from(i) / 5.0).sin() + f64::from(37 * i % 11) / 10.0;
        let mut values: Vec<f64> = (0..140).map(wave).collect();
        values[120] = 40.0;
        values
    }

    #[test]
    fn every_algorithm_sees_a_spike_and_scores_alike_however_the_calls_are_cut() {
        let values = waves();
        for algorithm in Algorithm::ALL {
            let config = Config::of(algorithm);
            let model = <Tabular as Detector>::fit(&config, row(&values[..100]), &[]).unwrap();
            let score =
                |recent: &[f64], tail| <Tabular as Detector>::score(&config, &model, row(recent), tail).unwrap();
            let whole = score(&values[92..], 40).scores;
            assert!(whole.iter().all(|score| (0.0..=1.0).contains(score)), "{algorithm:?}: {whole:?}");
            // The spike is in nine rows: by its difference, the smoothing and the lags.
            let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
            let (before, spike) = (mean(&whole[..20]), mean(&whole[20..29]));
            assert!(spike > before + 0.1, "{algorithm:?}: {spike} after {before}");
            for (at, expected) in whole.iter().enumerate() {
                let one = score(&values[92 + at..101 + at], 1).scores;
                assert_eq!(one[0].to_bits(), expected.to_bits(), "{algorithm:?}");
            }
            let again = <Tabular as Detector>::fit(&config, row(&values[..100]), &[]).unwrap();
            assert_eq!(model, again, "{algorithm:?}");
        }
    }

    #[test]
    fn a_short_series_is_warming_and_a_model_of_another_kind_is_not_read() {
        let values = waves();
        for algorithm in Algorithm::ALL {
            let config = Config::of(algorithm);
            let fit = |count: usize| <Tabular as Detector>::fit(&config, row(&values[..count]), &[]);
            assert!(matches!(fit(10), Err(Cause::Warming)), "{algorithm:?}");
            let mut model = fit(100).unwrap();
            let score = |config: &Config, model: &[u8]| <Tabular as Detector>::score(config, model, row(&values), 1);
            let other = if algorithm == Algorithm::Lof { Algorithm::Mad } else { Algorithm::Lof };
            assert!(matches!(score(&Config::of(other), &model), Err(Cause::Failed(_))), "{algorithm:?}");
            assert!(matches!(score(&config, &[]), Err(Cause::Warming)), "{algorithm:?}");
            model.truncate(24);
            if !matches!(algorithm, Algorithm::Knn | Algorithm::Cblof) {
                assert!(matches!(score(&config, &model), Err(Cause::Failed(_))), "{algorithm:?}");
            }
        }
    }

    #[test]
    fn any_series_gets_scores_between_0_and_1() {
        let shapes: [fn(f64) -> f64; 6] = [
            |i| i * 0.1,
            |_| 7.5,
            |i| if i == 20.0 { 1e300 } else { 0.0 },
            |i| i * 1e-300,
            |i| f64::from(i as u32 % 2),
            |i| if i > 75.0 { 1e100 } else { -1e100 },
        ];
        for (algorithm, shape) in Algorithm::ALL.into_iter().flat_map(|a| shapes.map(|shape| (a, shape))) {
            let config = Config::of(algorithm);
            let values: Vec<f64> = (0..90).map(|i| shape(f64::from(i))).collect();
            match <Tabular as Detector>::fit(&config, row(&values[..80]), &[]) {
                Ok(model) => {
                    let scores = <Tabular as Detector>::score(&config, &model, row(&values), 80).unwrap().scores;
                    let judged = scores.iter().filter(|score| !score.is_nan());
                    assert!(judged.clone().count() >= 20, "{algorithm:?}: {scores:?}");
                    assert!(judged.clone().all(|s| (0.0..=1.0).contains(s)), "{algorithm:?}: {scores:?}");
                }
                Err(Cause::Failed(_)) => {}
                Err(Cause::Warming) => panic!("{algorithm:?}: 80 values are enough"),
            }
        }
    }
}
