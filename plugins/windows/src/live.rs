//! Columns that the fit has not seen: each is judged by the windows that end there.
//!
//! What such a column is compared with is less than what the history was: fewer references, and
//! no column after it. So it has a statistic and a calibration of its own, learnt from windows of
//! the history that were treated alike.

use anomd_detector::Cause;

use crate::config::{Algorithm, Config};
use crate::dictionary::{Dictionary, Learnt, Rebuilt, Words};
use crate::scan::{Calibration, Scale};
use crate::series::{Scaling, Series};

/// Windows of the history that the statistic is calibrated with.
const SAMPLES: usize = 2_000;
/// Values that references may have together, of all lengths: what a model can hold beside the
/// scores of a history.
const REFERENCE_VALUES: usize = 50_000;

/// What judges columns after the history.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// That of the history.
    pub scaling: Scaling,
    /// One a length.
    pub views: Vec<View>,
    /// One a width.
    pub scales: Vec<Scale>,
    /// Of the largest count.
    pub calibration: Calibration,
}

/// Windows of one length.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// What they are rebuilt from.
    pub dictionary: Dictionary,
    /// The mean square that rebuilding the history leaves over.
    pub mean: f64,
}

impl Live {
    /// Learns from the history what its parts leave over. `learnt` has the dictionaries of the
    /// history, each with the mean square that it leaves over.
    pub fn of(config: &Config, series: &Series, scaling: Scaling, learnt: Vec<(Learnt, f64)>) -> Result<Self, Cause> {
        let together: usize = learnt.iter().map(|(learnt, _)| learnt.dictionary.length).sum();
        let references = (REFERENCE_VALUES / together.max(1)).clamp(3, config.references());
        let mut kept = Vec::new();
        for (learnt, mean) in learnt {
            let length = learnt.dictionary.length;
            let fewer = match config.algorithm {
                Algorithm::WinknnBatch => Learnt::of(config, series, length, references)?,
                Algorithm::KmeansWin | Algorithm::PcaWin => learnt,
            };
            kept.push((fewer, mean));
        }
        let longest = kept.iter().map(|(learnt, _)| learnt.dictionary.length).max().unwrap_or(0);
        let widths: Vec<usize> = config.scales.iter().copied().filter(|width| *width <= longest).collect();
        let widths = if widths.is_empty() { vec![longest] } else { widths };
        let mut rebuilt: Vec<_> = kept.iter().map(|(learnt, _)| Rebuilt::new(learnt.dictionary.length)).collect();
        let mut averages = vec![Vec::new(); widths.len()];
        for start in series.spread(longest, SAMPLES) {
            let end = start + longest;
            let views = kept.iter().map(|(learnt, mean)| (&learnt.dictionary, *mean, Some(learnt)));
            for (all, average) in averages.iter_mut().zip(statistic(series, end, views, &mut rebuilt, &widths)) {
                all.push(average);
            }
        }
        let scales: Vec<Scale> =
            widths.iter().zip(&averages).map(|(width, averages)| Scale::of(*width, averages)).collect();
        let count = averages.first().map_or(0, Vec::len);
        let counts: Vec<f64> = (0..count)
            .map(|sample| {
                let each = scales.iter().zip(&averages).filter_map(|(scale, all)| Some(scale.count(*all.get(sample)?)));
                each.fold(f64::NAN, f64::max)
            })
            .collect();
        let views = kept.into_iter().map(|(learnt, mean)| View { dictionary: learnt.dictionary, mean }).collect();
        Ok(Self { scaling, views, scales, calibration: Calibration::of(&counts) })
    }

    /// The score of the last of `values`, from these values alone; NaN if it is missing, or most of
    /// each window before it.
    pub fn score(&self, values: &[f64], rebuilt: &mut [Rebuilt]) -> f64 {
        if values.last().is_none_or(|value| !value.is_finite()) {
            return f64::NAN;
        }
        let series = Series::new(values, self.scaling);
        let widths: Vec<usize> = self.scales.iter().map(|scale| scale.width).collect();
        let views = self.views.iter().map(|view| (&view.dictionary, view.mean, None));
        let averages = statistic(&series, series.len(), views, rebuilt, &widths);
        let counts = self.scales.iter().zip(averages).map(|(scale, average)| scale.count(average));
        self.calibration.score(counts.fold(f64::NAN, f64::max))
    }

    /// Room for one score after the other.
    pub fn room(&self) -> Vec<Rebuilt> {
        self.views.iter().map(|view| Rebuilt::new(view.dictionary.length)).collect()
    }

    /// Bytes that the views take in a model.
    pub fn values(&self) -> usize {
        let words = |view: &View| match &view.dictionary.words {
            Words::Prototypes(prototypes) => prototypes.rows().len(),
            Words::Subspace(subspace) => subspace.mean.len() + subspace.axes.len(),
        };
        self.views.iter().map(words).sum()
    }
}

/// For each width: the mean square left over in the last columns before `end`, over all views that
/// have a window there, each in units of its own mean; NaN if none has.
fn statistic<'a>(
    series: &Series,
    end: usize,
    views: impl Iterator<Item = (&'a Dictionary, f64, Option<&'a Learnt>)>,
    rebuilt: &mut [Rebuilt],
    widths: &[usize],
) -> Vec<f64> {
    let mut sums = vec![0.0; widths.len()];
    let mut seen = 0u32;
    for ((dictionary, mean, learnt), rebuilt) in views.zip(rebuilt) {
        let Some(start) = end.checked_sub(dictionary.length) else { continue };
        if !series.is_whole(start, dictionary.length) {
            continue;
        }
        let allowed = |word: usize| learnt.is_none_or(|learnt| !learnt.overlaps(word, start));
        if !dictionary.rebuild(series, start, rebuilt, allowed) {
            continue;
        }
        seen += 1;
        for (sum, width) in sums.iter_mut().zip(widths) {
            let width = (*width).min(dictionary.length);
            let squares: f64 = rebuilt.squares().rev().take(width).map(f64::from).sum();
            *sum += squares / width as f64 / mean.max(f64::MIN_POSITIVE);
        }
    }
    sums.iter().map(|sum| if seen > 0 { sum / f64::from(seen) } else { f64::NAN }).collect()
}
