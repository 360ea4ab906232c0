//! The model as bytes, little-endian: a tag, the span of the history, its scores, and what judges
//! columns after it.
//!
//! A score takes two bytes, since the host keeps four decimals. Those of a span are read in place;
//! the rest only where a column is not in the span.

use anomd_detector::Cause;

use crate::dictionary::{Dictionary, Words};
use crate::live::{Live, View};
use crate::prototype::{Prototypes, padded};
use crate::scan::{Calibration, Scale};
use crate::series::Scaling;
use crate::subspace::Subspace;

const TAG: [u8; 4] = *b"WIN1";
/// A column without a score.
const NONE: u16 = u16::MAX;
/// Parts of a score: four decimals.
const PARTS: f64 = 10_000.0;

/// The columns that the fit has seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The instant of the first, in milliseconds.
    pub start: i64,
    /// Milliseconds between two.
    pub step: u32,
}

/// Writes a model.
pub fn encode(span: Span, scores: &[f64], live: &Live) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64 + 2 * scores.len() + 4 * live.values());
    bytes.extend(TAG);
    bytes.extend(span.start.to_le_bytes());
    bytes.extend(span.step.to_le_bytes());
    let part = |score: &f64| if score.is_nan() { NONE } else { (score.clamp(0.0, 1.0) * PARTS).round() as u16 };
    count(&mut bytes, scores.len());
    bytes.extend(scores.iter().map(part).flat_map(u16::to_le_bytes));
    let Live { scaling, views, scales, calibration } = live;
    f64s(&mut bytes, &[scaling.middle, scaling.spread]);
    f64s(&mut bytes, &[calibration.median, calibration.start, calibration.decay]);
    count(&mut bytes, scales.len());
    for Scale { width, median, spread } in scales {
        count(&mut bytes, *width);
        f64s(&mut bytes, &[*median, *spread]);
    }
    count(&mut bytes, views.len());
    for View { dictionary, mean } in views {
        f64s(&mut bytes, &[*mean]);
        count(&mut bytes, dictionary.length);
        let (kind, first, second) = match &dictionary.words {
            Words::Prototypes(prototypes) => (0, prototypes.rows(), &[][..]),
            Words::Subspace(subspace) => (1, &subspace.mean[..], &subspace.axes[..]),
        };
        bytes.extend([u8::from(dictionary.centred), kind]);
        for values in [first, second] {
            count(&mut bytes, values.len());
            bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        }
    }
    bytes
}

fn count(bytes: &mut Vec<u8>, count: usize) {
    bytes.extend((count as u32).to_le_bytes());
}

fn f64s(bytes: &mut Vec<u8>, values: &[f64]) {
    bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
}

/// A model as it lies there.
pub struct Model<'a> {
    span: Span,
    scores: &'a [u8],
    rest: Bytes<'a>,
}

impl<'a> Model<'a> {
    /// Opens a model. No model yet is [`Cause::Warming`].
    pub fn open(model: &'a [u8]) -> Result<Self, Cause> {
        if model.is_empty() {
            return Err(Cause::Warming);
        }
        let mut bytes = Bytes(model);
        if bytes.array()? != TAG {
            return Err(Cause::Failed("the stored model has another layout; train the batch again".into()));
        }
        let span = Span { start: i64::from_le_bytes(bytes.array()?), step: u32::from_le_bytes(bytes.array()?) };
        let columns = bytes.count()?;
        let scores = bytes.take(columns.saturating_mul(2))?;
        Ok(Self { span, scores, rest: bytes })
    }

    /// Milliseconds between two columns.
    pub fn step(&self) -> u32 {
        self.span.step
    }

    /// The score of a column of the history, NaN where it has none; `None` for any other instant.
    pub fn known(&self, time: i64) -> Option<f64> {
        let (offset, step) = (time.checked_sub(self.span.start)?, i64::from(self.span.step.max(1)));
        let column = usize::try_from(offset / step).ok().filter(|_| offset >= 0 && offset % step == 0)?;
        let part = u16::from_le_bytes(*self.scores.as_chunks().0.get(column)?);
        Some(if part == NONE { f64::NAN } else { f64::from(part) / PARTS })
    }

    /// What judges other columns.
    pub fn live(&self) -> Result<Live, Cause> {
        let mut bytes = self.rest.clone();
        let scaling = Scaling { middle: bytes.f64()?, spread: bytes.f64()? };
        let calibration = Calibration { median: bytes.f64()?, start: bytes.f64()?, decay: bytes.f64()? };
        let mut scales = Vec::new();
        for _ in 0..bytes.count()? {
            scales.push(Scale { width: bytes.count()?, median: bytes.f64()?, spread: bytes.f64()? });
        }
        let mut views = Vec::new();
        for _ in 0..bytes.count()? {
            let (mean, length) = (bytes.f64()?, bytes.count()?);
            let [centred, kind] = bytes.array()?;
            let (first, second) = (bytes.f32s()?, bytes.f32s()?);
            let sound = match kind {
                0 => !first.is_empty() && first.len() % padded(length).max(1) == 0,
                _ => first.len() == length && second.len() % length.max(1) == 0,
            };
            if !sound || length == 0 {
                return Err(cut_short());
            }
            let words = match kind {
                0 => Words::Prototypes(Prototypes::new(length, first)),
                _ => Words::Subspace(Subspace { mean: first, axes: second }),
            };
            views.push(View { dictionary: Dictionary { length, centred: centred != 0, words }, mean });
        }
        Ok(Live { scaling, views, scales, calibration })
    }
}

/// Bytes that are taken from the front.
#[derive(Clone)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Cause> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Cause> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn count(&mut self) -> Result<usize, Cause> {
        self.array().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    fn f64(&mut self) -> Result<f64, Cause> {
        self.array().map(f64::from_le_bytes)
    }

    fn f32s(&mut self) -> Result<Vec<f32>, Cause> {
        let count = self.count()?;
        let bytes = self.take(count.saturating_mul(4))?;
        Ok(bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect())
    }
}

fn cut_short() -> Cause {
    Cause::Failed("the stored model is cut short; train the batch again".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Live {
        let prototypes = Words::Prototypes(Prototypes::new(8, vec![0.5; 2 * padded(8)]));
        let subspace = Words::Subspace(Subspace { mean: vec![1.0; 8], axes: vec![0.25; 16] });
        let view = |words| View { dictionary: Dictionary { length: 8, centred: true, words }, mean: 0.5 };
        Live {
            scaling: Scaling { middle: 3.0, spread: 2.0 },
            views: vec![view(prototypes), view(subspace)],
            scales: vec![Scale { width: 8, median: 0.1, spread: 0.2 }],
            calibration: Calibration { median: 0.0, start: 1.0, decay: 0.5 },
        }
    }

    #[test]
    fn a_model_is_read_as_it_was_written_and_knows_its_columns_by_their_time() {
        let bytes = encode(Span { start: 60_000, step: 1_000 }, &[0.25, f64::NAN, 1.0], &live());
        let model = Model::open(&bytes).unwrap();
        assert_eq!(model.live().unwrap(), live());
        assert_eq!((model.known(60_000), model.known(62_000)), (Some(0.25), Some(1.0)));
        assert!(model.known(61_000).unwrap().is_nan());
        assert_eq!([59_000, 60_500, 63_000, i64::MIN].map(|time| model.known(time)), [None; 4]);
    }

    #[test]
    fn what_is_cut_short_or_of_another_kind_is_a_failure_of_its_row() {
        let bytes = encode(Span { start: 0, step: 1 }, &[0.5; 10], &live());
        for end in 1..bytes.len() {
            let read = Model::open(&bytes[..end]).and_then(|model| model.live());
            assert!(matches!(read, Err(Cause::Failed(_))), "{end}");
        }
        assert!(matches!(Model::open(b""), Err(Cause::Warming)));
        assert!(matches!(Model::open(b"KNN1 and more"), Err(Cause::Failed(_))));
    }
}
