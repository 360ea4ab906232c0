//! What windows are rebuilt from, and what rebuilding leaves over.
//!
//! A window is rebuilt as the most similar other window, as the nearest of a few centres, or as
//! its projection on a subspace. What is left over is attributed to its columns: a distance says
//! that one of 128 columns is odd, a residual says which.

use anomd_detector::Cause;

use crate::cluster;
use crate::config::{Algorithm, Config};
use crate::prototype::{Prototypes, padded};
use crate::series::Series;
use crate::subspace::Subspace;

/// Windows that centres and axes are learnt from, at most.
const LEARNT_FROM: usize = 4_000;
/// Multiply-adds that rebuilding a history may cost for each length, if nothing is given up early.
/// The sandbox does about 2e9 a second; what is longer is looked at with a stride.
const BUDGET: f64 = 4e9;

/// What windows of one length are rebuilt from.
#[derive(Clone, Debug, PartialEq)]
pub struct Dictionary {
    /// Values of a window.
    pub length: usize,
    /// Whether windows are compared without their means.
    pub centred: bool,
    /// How they are rebuilt.
    pub words: Words,
}

/// The words of a dictionary.
#[derive(Clone, Debug, PartialEq)]
pub enum Words {
    /// The nearest one.
    Prototypes(Prototypes),
    /// The projection.
    Subspace(Subspace),
}

/// A dictionary, and where in the history its words were cut.
#[derive(Clone, Debug)]
pub struct Learnt {
    /// The dictionary.
    pub dictionary: Dictionary,
    /// Of each prototype that is a window of the history: its start. A window is not rebuilt from
    /// one that overlaps it. Empty for centres and axes.
    starts: Vec<usize>,
}

/// What rebuilding leaves over.
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    /// The mean square of a column's residuals in the windows that cover it; NaN where there is
    /// no such window or no value.
    pub columns: Vec<f64>,
    /// How far each is to be believed, 0 to 1: a mean of few windows is noisier than the others. All
    /// of it from a quarter of the windows on that may cover a column.
    pub trust: Vec<f64>,
    /// The mean of all columns.
    pub mean: f64,
}

impl Learnt {
    /// Learns windows of `length`, from `references` of them where each is a word itself.
    pub fn of(config: &Config, series: &Series, length: usize, references: usize) -> Result<Self, Cause> {
        let count = if config.algorithm == Algorithm::WinknnBatch { references } else { LEARNT_FROM };
        let mut starts = series.spread(length, count);
        let mut rows = vec![0.0; starts.len() * padded(length)];
        for (start, row) in starts.iter().zip(rows.chunks_exact_mut(padded(length))) {
            series.window(*start, length, config.centred, row);
        }
        let windows = Prototypes::new(length, rows);
        if windows.len() < 3 {
            return Err(Cause::Warming);
        }
        if config.algorithm != Algorithm::WinknnBatch {
            starts.clear();
        }
        let words = match config.algorithm {
            Algorithm::WinknnBatch => Words::Prototypes(windows),
            Algorithm::KmeansWin => Words::Prototypes(cluster::centres(length, &windows, config.clusters())),
            Algorithm::PcaWin => Words::Subspace(Subspace::of(length, &windows, config.variance())?),
        };
        Ok(Self { dictionary: Dictionary { length, centred: config.centred, words }, starts })
    }

    /// Rebuilds the windows of the history that it was learnt from.
    pub fn residual(&self, series: &Series) -> Residual {
        let Dictionary { length, .. } = self.dictionary;
        let mut columns = vec![0.0f64; series.len()];
        let mut cover = vec![0u32; series.len()];
        let starts = series.starts(length);
        let cost = starts as f64 * self.dictionary.cost();
        let stride = ((cost / BUDGET).ceil() as usize).clamp(1, (length / 4).max(1));
        let mut rebuilt = Rebuilt::new(length);
        let last = starts.checked_sub(1);
        let windows = (0..starts).step_by(stride).chain(last.filter(|last| last % stride != 0));
        for start in windows.filter(|start| series.is_whole(*start, length)) {
            let apart = |word: usize| self.starts.get(word).is_none_or(|other| other.abs_diff(start) >= length);
            if !self.dictionary.rebuild(series, start, &mut rebuilt, apart) {
                continue;
            }
            for (offset, square) in rebuilt.squares().enumerate() {
                columns[start + offset] += f64::from(square);
                cover[start + offset] += 1;
            }
        }
        for (column, (sum, cover)) in columns.iter_mut().zip(&cover).enumerate() {
            *sum = if *cover > 0 && series.is_present(column) { *sum / f64::from(*cover) } else { f64::NAN };
        }
        let known = columns.iter().filter(|square| square.is_finite());
        let mean = known.clone().sum::<f64>() / known.count().max(1) as f64;
        let enough = (length as f64 / stride as f64 / 4.0).max(1.0);
        let trust = cover.iter().map(|cover| (f64::from(*cover) / enough).min(1.0)).collect();
        Residual { columns, trust, mean }
    }

    /// Whether a word overlaps the window that begins at `start`.
    pub fn overlaps(&self, word: usize, start: usize) -> bool {
        self.starts.get(word).is_some_and(|other| other.abs_diff(start) < self.dictionary.length)
    }
}

impl Dictionary {
    /// Multiply-adds for one window.
    fn cost(&self) -> f64 {
        match &self.words {
            Words::Prototypes(prototypes) => (prototypes.len() * padded(self.length)) as f64,
            // Once for the place on each axis, once to come back.
            Words::Subspace(subspace) => (2 * subspace.axes.len()) as f64,
        }
    }

    /// Rebuilds a window from the words that are `allowed`; false if there is none.
    pub fn rebuild(&self, series: &Series, start: usize, into: &mut Rebuilt, allowed: impl Fn(usize) -> bool) -> bool {
        series.window(start, self.length, self.centred, &mut into.query);
        match &self.words {
            Words::Prototypes(prototypes) => {
                let Some((index, _)) = prototypes.nearest(&into.query, into.hint, allowed) else { return false };
                into.hint = index;
                into.answer.copy_from_slice(prototypes.row(index));
            }
            Words::Subspace(subspace) => subspace.project(&into.query, &mut into.answer),
        }
        true
    }
}

/// A window beside what was made of it; kept between windows for its memory.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    length: usize,
    query: Vec<f32>,
    answer: Vec<f32>,
    /// The word of the window before.
    hint: usize,
}

impl Rebuilt {
    /// Room for windows of `length`.
    pub fn new(length: usize) -> Self {
        Self { length, query: vec![0.0; padded(length)], answer: vec![0.0; padded(length)], hint: 0 }
    }

    /// What is left over in each column.
    pub fn squares(&self) -> impl DoubleEndedIterator<Item = f32> + ExactSizeIterator {
        self.query[..self.length].iter().zip(&self.answer[..self.length]).map(|(q, a)| (q - a) * (q - a))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Scaling;
    use crate::tests::{history, noise};

    fn config(algorithm: Algorithm) -> Config {
        Config { algorithm, ..Config::default() }
    }

    fn series(values: &[f64]) -> Series {
        Series::new(values, Scaling::of(values).unwrap())
    }

    /// The residual by its definition, in f64 and with nothing given up.
    fn by_definition(values: &[f64], length: usize, references: usize) -> Vec<f64> {
        let scaling = Scaling::of(values).unwrap();
        let window = |start: usize| -> Vec<f64> {
            let raw = values[start..start + length].iter().map(|v| (v - scaling.middle) / scaling.spread);
            let raw: Vec<f64> = raw.collect();
            let mean = raw.iter().sum::<f64>() / length as f64;
            raw.iter().map(|v| v - mean).collect()
        };
        let starts = values.len() - length + 1;
        let places: Vec<usize> = (0..references).map(|i| i * (starts - 1) / (references - 1)).collect();
        let (mut sums, mut counts) = (vec![0.0; values.len()], vec![0.0; values.len()]);
        for start in 0..starts {
            let query = window(start);
            let squares = |place: usize| -> Vec<f64> {
                query.iter().zip(window(place)).map(|(q, r)| (q - r) * (q - r)).collect()
            };
            let apart = places.iter().filter(|place| place.abs_diff(start) >= length);
            let nearest = apart.map(|place| squares(*place));
            let nearest = nearest.min_by(|a, b| a.iter().sum::<f64>().total_cmp(&b.iter().sum())).unwrap();
            for (offset, square) in nearest.iter().enumerate() {
                sums[start + offset] += square;
                counts[start + offset] += 1.0;
            }
        }
        sums.iter().zip(counts).map(|(sum, count)| sum / count).collect()
    }

    #[test]
    fn the_residual_of_the_nearest_window_is_that_of_the_definition() {
        let values: Vec<f64> = (0..400).map(|i| (i as f64 / 7.0).sin() + 0.3 * noise(i)).collect();
        let series = series(&values);
        for (length, references) in [(32, 60), (20, 381)] {
            let learnt = Learnt::of(&config(Algorithm::WinknnBatch), &series, length, references).unwrap();
            let residual = learnt.residual(&series);
            let expected = by_definition(&values, length, references);
            let worst = residual.columns.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-4, "{length}: {worst}");
        }
    }

    #[test]
    fn each_algorithm_leaves_most_over_where_the_shape_is_broken() {
        let values = history(2_000, 900..912);
        let series = series(&values);
        for algorithm in Algorithm::ALL {
            let learnt = Learnt::of(&config(algorithm), &series, 64, 300).unwrap();
            let residual = learnt.residual(&series);
            let top = (0..values.len()).max_by(|a, b| residual.columns[*a].total_cmp(&residual.columns[*b])).unwrap();
            assert!((900..912).contains(&top), "{algorithm:?}: {top}");
        }
    }

    #[test]
    fn a_level_is_seen_only_where_windows_keep_their_means() {
        let mut values = history(2_000, 0..0);
        values[1_000..1_300].iter_mut().for_each(|v| *v += 3.0);
        let series = series(&values);
        let inside = |centred| {
            let config = Config { centred, ..config(Algorithm::KmeansWin) };
            let residual = Learnt::of(&config, &series, 32, 300).unwrap().residual(&series);
            residual.columns[1_100..1_200].iter().sum::<f64>() / 100.0 / residual.mean
        };
        assert!(inside(true) < 1.5 && inside(false) > inside(true), "{} {}", inside(true), inside(false));
    }

    #[test]
    fn a_column_without_a_value_has_no_residual_and_one_in_a_long_gap_has_no_window() {
        let mut values = history(1_000, 0..0);
        values[300] = f64::NAN;
        values[500..700].fill(f64::NAN);
        let series = series(&values);
        let columns = Learnt::of(&config(Algorithm::PcaWin), &series, 32, 300).unwrap().residual(&series).columns;
        assert!(columns[300].is_nan() && columns[299].is_finite() && columns[600].is_nan());
        assert_eq!(columns.iter().filter(|c| c.is_nan()).count(), 201);
    }
}
