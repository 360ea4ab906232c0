//! What `fit` learned, and its bytes.
//!
//! A header (16 little-endian `f64`, then `f32`), the judged history as `f32`, and the raw
//! scores that the past was given as `u16`. The last are for the next fit alone: scoring
//! is not passed them. At one minute a model is some 95 kB, and 60 kB without them.

use crate::member::{COUNT, SPANS};
use signal::calibration::{Peaks, Tail};
use signal::transform::{Power, Transform};

/// The layout; a model of another one is fit anew.
const LAYOUT: f64 = 2.0;
/// Parts of a season that have their own spread: a quarter of an hour of a day.
pub const PHASES: usize = 96;
/// Numbers at the begin of a header.
const WORDS: usize = 16;
const TAIL: usize = 4;
const TOTAL: usize = 5;
/// Smaller numbers after them.
const FLOATS: usize = PHASES * (COUNT + 1) + SPANS.len() + COUNT * TAIL + TOTAL;
const HEADER_BYTES: usize = WORDS * 8 + FLOATS * 4;

/// Raw scores of one past column, a member each; NaN where it had none.
pub type RawScores = [f32; COUNT];

/// The small part of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Milliseconds between columns.
    pub step_ms: u32,
    /// The column after the last that was learned, counted from the Unix epoch.
    pub end: i64,
    /// Columns that were learned by this and earlier fits.
    pub seen: u64,
    /// The length of a season, in columns.
    pub season: Option<usize>,
    /// Another season that was found since, and how often in a row.
    pub rival: (Option<usize>, u32),
    /// The judged scale.
    pub transform: Transform,
    /// The spread round the forecast in each part of a season.
    pub spread: [f32; PHASES],
    /// The spread of the mean deviation over each of [`SPANS`].
    pub drift: [f32; SPANS.len()],
    /// The least spread of one-step residuals that is believed.
    pub calm: f32,
    /// The raw score of each member that is ordinary in each part of a season.
    pub usual: [[f32; PHASES]; COUNT],
    /// How odd each member's raw scores are, as multiples of the usual.
    pub tails: [Option<Tail>; COUNT],
    /// How odd the sum of their surprises is.
    pub total: Peaks,
    /// The sum that was reached on several occasions, and the surprise that it is therefore.
    pub recurring: (f32, f32),
}

/// All that is kept of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// See [`Head`].
    pub head: Head,
    /// The last values on the judged scale, up to column `head.end`.
    pub history: Vec<f32>,
    /// Raw scores of sampled past columns, oldest first.
    pub past: Vec<RawScores>,
}

impl Model {
    /// The column of the first value of the history.
    pub fn start(&self) -> i64 {
        self.head.end - self.history.len() as i64
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let head = &self.head;
        let power = match head.transform.power {
            Power::Plain => 0.0,
            Power::Root => 1.0,
            Power::Log => 2.0,
        };
        let season = |s: Option<usize>| s.unwrap_or(0) as f64;
        let words: [f64; WORDS] = [
            LAYOUT,
            self.history.len() as f64,
            self.past.len() as f64,
            f64::from(head.step_ms),
            head.end as f64,
            head.seen as f64,
            season(head.season),
            season(head.rival.0),
            f64::from(head.rival.1),
            power,
            head.transform.shift,
            head.transform.center,
            head.transform.scale,
            f64::from(head.calm),
            f64::from(head.recurring.0),
            f64::from(head.recurring.1),
        ];
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.history.len() * 4 + self.past.len() * COUNT * 2);
        words.iter().for_each(|w| bytes.extend(w.to_le_bytes()));
        let usual = head.usual.iter().flatten();
        let mut floats: Vec<f32> = head.spread.iter().chain(&head.drift).chain(usual).copied().collect();
        for tail in head.tails {
            let none = Tail { median: f32::NAN, ..Tail::default() };
            let Tail { median, quantile, excess, level } = tail.unwrap_or(none);
            floats.extend([median, quantile, excess, level]);
        }
        let Peaks { median, quantile, scale, weight, level } = head.total;
        floats.extend([median, quantile, scale, weight, level]);
        floats.iter().chain(&self.history).for_each(|v| bytes.extend(v.to_le_bytes()));
        self.past.iter().flatten().for_each(|v| bytes.extend(pack(*v).to_le_bytes()));
        bytes
    }

    /// How many of a model's bytes scoring reads: all but the past scores.
    pub fn head_bytes(bytes: &[u8]) -> usize {
        let values = bytes.get(8..16).and_then(|word| word.try_into().ok()).map_or(0.0, f64::from_le_bytes);
        HEADER_BYTES.saturating_add((values as usize).saturating_mul(4))
    }

    /// The model of these bytes, which end before its past scores; `None` if they are not that
    /// of a model of this layout.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (model, _, past) = Self::split(bytes)?;
        past.is_empty().then_some(model)
    }

    /// The model of all of its bytes, for the next fit; `None` if they are no model of this layout.
    pub fn decode_whole(bytes: &[u8]) -> Option<Self> {
        let (mut model, rows, past) = Self::split(bytes)?;
        if rows.checked_mul(COUNT * 2) != Some(past.len()) {
            return None;
        }
        let codes = past.chunks_exact(2).filter_map(|c| Some(unpack(u16::from_le_bytes(c.try_into().ok()?))));
        let codes: Vec<f32> = codes.collect();
        model.past = codes.chunks_exact(COUNT).filter_map(|row| row.try_into().ok()).collect();
        Some(model)
    }

    /// The model without its past scores, how many rows of these it was written with, and the
    /// bytes that follow.
    fn split(bytes: &[u8]) -> Option<(Self, usize, &[u8])> {
        let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
        let (words, floats) = header.split_at(WORDS * 8);
        let words: Vec<f64> =
            words.chunks_exact(8).filter_map(|c| Some(f64::from_le_bytes(c.try_into().ok()?))).collect();
        let [
            layout,
            values,
            past,
            step_ms,
            end,
            seen,
            season,
            rival,
            times,
            power,
            shift,
            center,
            scale,
            calm,
            often,
            cap,
        ] = words.try_into().ok()?;
        if layout != LAYOUT {
            return None;
        }
        let (history, rest) = rest.split_at_checked((values as usize).checked_mul(4)?)?;
        let power = match power as u8 {
            0 => Power::Plain,
            1 => Power::Root,
            _ => Power::Log,
        };
        let floats = floats_of(floats);
        let mut numbers = floats.into_iter();
        let mut next = || numbers.next().unwrap_or(f32::NAN);
        let spread = std::array::from_fn(|_| next());
        let drift = std::array::from_fn(|_| next());
        let usual = std::array::from_fn(|_| std::array::from_fn(|_| next()));
        let mut tail = || Tail { median: next(), quantile: next(), excess: next(), level: next() };
        let tails = std::array::from_fn(|_| Some(tail()).filter(|t| !t.median.is_nan()));
        let total = Peaks { median: next(), quantile: next(), scale: next(), weight: next(), level: next() };
        let length = |word: f64| Some(word as usize).filter(|&p| p > 0);
        let head = Head {
            step_ms: step_ms as u32,
            end: end as i64,
            seen: seen as u64,
            season: length(season),
            rival: (length(rival), times as u32),
            transform: Transform { power, shift, center, scale },
            spread,
            drift,
            calm: calm as f32,
            usual,
            tails,
            total,
            recurring: (often as f32, cap as f32),
        };
        let model = Self { head, history: floats_of(history), past: Vec::new() };
        Some((model, past as usize, rest))
    }
}

fn floats_of(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect()
}

/// The bits of 2^-32, the smallest number that [`pack`] tells from 0.
const SMALLEST: u32 = 0x2f80_0000;

/// A score of 2^-32 to 2^32 in 16 bits, exact to 0.05 %.
fn pack(score: f32) -> u16 {
    if score.is_nan() {
        return u16::MAX;
    }
    let rounded = score.max(0.0).to_bits().saturating_add(1 << 12);
    (rounded.saturating_sub(SMALLEST) >> 13).min(u32::from(u16::MAX - 1)) as u16
}

fn unpack(code: u16) -> f32 {
    match code {
        0 => 0.0,
        u16::MAX => f32::NAN,
        code => f32::from_bits((u32::from(code) << 13) + SMALLEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        Model {
            head: Head {
                step_ms: 60_000,
                end: 28_000_000,
                seen: 12,
                season: Some(1440),
                rival: (None, 2),
                transform: Transform { power: Power::Log, shift: 0.5, center: 3.0, scale: 0.1 },
                spread: [0.25; PHASES],
                drift: [0.5; SPANS.len()],
                calm: 0.75,
                usual: [[2.5; PHASES]; COUNT],
                recurring: (12.0, 3.0),
                tails: std::array::from_fn(|i| {
                    (i != 2).then_some(Tail { median: 1.0, quantile: 2.0, excess: 0.5, level: 1.25 })
                }),
                total: Peaks { median: 1.0, quantile: 2.0, scale: 0.5, weight: 30.0, level: 1.75 },
            },
            history: vec![0.0, -1.5, 3.0],
            past: vec![[0.0, 1.0, 0.25, 1e9, 1e-9, 0.5, 7.0, 3.0, 2.0]],
        }
    }

    #[test]
    fn bytes_lead_back_to_the_model() {
        let read = Model::decode_whole(&model().encode()).unwrap();
        assert_eq!(read.head, model().head);
        assert_eq!(read.history, model().history);
        for (read, written) in read.past[0].iter().zip(model().past[0]) {
            assert!((read - written).abs() <= 1e-3 * written, "{read} for {written}");
        }
    }

    #[test]
    fn the_head_is_the_model_without_the_past() {
        let bytes = model().encode();
        let head = Model::head_bytes(&bytes);
        assert_eq!(bytes.len() - head, COUNT * 2);
        assert_eq!(Model::decode(&bytes[..head]).unwrap(), Model { past: vec![], ..model() });
        for wrong in [0, 8, head - 1, head + 1, bytes.len()] {
            assert_eq!(Model::decode(&bytes[..wrong]), None, "{wrong} bytes for a head of {head}");
        }
    }

    #[test]
    fn foreign_bytes_are_no_model() {
        let mut bytes = model().encode();
        let head = Model::head_bytes(&bytes);
        for wrong in [0, head, bytes.len() - 1] {
            assert_eq!(Model::decode_whole(&bytes[..wrong]), None, "{wrong} bytes");
        }
        assert_eq!(Model::decode(b"what?"), None);
        bytes[..8].copy_from_slice(&9.0f64.to_le_bytes());
        assert_eq!(Model::decode_whole(&bytes), None);
        assert_eq!(Model::decode(&bytes[..head]), None);
        bytes[..8].copy_from_slice(&LAYOUT.to_le_bytes());
        bytes[8..16].copy_from_slice(&f64::INFINITY.to_le_bytes());
        assert_eq!(Model::decode_whole(&bytes), None);
    }

    #[test]
    fn a_missing_score_stays_missing() {
        assert!(unpack(pack(f32::NAN)).is_nan());
        assert_eq!(unpack(pack(-1.0)), 0.0);
        assert!(unpack(pack(f32::INFINITY)) > 4e9);
    }
}
