//! What `fit` learned, in less than 1 kB.
//!
//! All numbers are little-endian. Values of the profile and of the shapes are kept as integers
//! with a scale of their own, spreads as logarithms in one byte, exact to 6 %.

use signal::calibration::Tail;
use signal::odds::{self, Odds};
use signal::period::Belief;
use signal::transform::{Power, Transform};
use signal::week::Kinds;

/// The layout; a model of another one is fit anew.
const LAYOUT: [u8; 4] = *b"LGT1";
/// Parts of a season whose value is kept; of a day, half of them for weekends.
pub const BINS: usize = 192;
/// Parts of a season that have their own spread.
pub const PHASES: usize = 48;
/// Columns that a prediction is made of.
pub const ORDER: usize = 12;
/// Shapes that are kept.
pub const SHAPES: usize = 8;
/// Values of one shape.
pub const POINTS: usize = 32;
/// Means over so many columns are judged, beside single ones.
pub const SPANS: [usize; 2] = [12, 60];
/// Kinds of raw scores.
pub const PARTS: usize = 6;
/// The bytes of a model; each has as many.
pub const BYTES: usize = 1004;

/// A shape: its values are `scale` times the integers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// 0: there is none.
    pub scale: f32,
    /// Around 0.
    pub values: [i8; POINTS],
}

/// All that is kept of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Milliseconds between columns.
    pub step_ms: u32,
    /// The column after the last that was learned, counted from the Unix epoch.
    pub end: i64,
    /// Columns that were learned by this and earlier fits.
    pub seen: u32,
    /// The season, in columns.
    pub belief: Belief,
    /// Which kinds of days the profile knows; of both it has a half each.
    pub kinds: Kinds,
    /// Columns that one value of a shape is the mean of.
    pub width: u8,
    /// The judged scale.
    pub transform: Transform,
    /// The unit of the profile.
    pub unit: f32,
    /// What is ordinary in each part of a season.
    pub profile: [i16; BINS],
    /// The spread round it.
    pub spread: [f32; PHASES],
    /// The spread of the errors of a prediction.
    pub error: [f32; PHASES],
    /// What each of the last columns adds to a prediction, the oldest first.
    pub weights: [f32; ORDER],
    /// The spread of means over [`SPANS`].
    pub drift: [f32; 2],
    /// How odd the raw scores of each part are.
    pub tails: [Option<Tail>; PARTS],
    /// How odd the sum of their surprises is.
    pub total: Odds,
    /// What the series looks like.
    pub shapes: [Shape; SHAPES],
}

impl Model {
    /// A model of nothing.
    pub fn blank(step_ms: u32, end: i64, transform: Transform) -> Self {
        Self {
            step_ms,
            end,
            seen: 0,
            belief: Belief::default(),
            kinds: Kinds::ALL,
            width: 1,
            transform,
            unit: 0.0,
            profile: [0; BINS],
            spread: [1.0; PHASES],
            error: [1.0; PHASES],
            weights: [0.0; ORDER],
            drift: [1.0; 2],
            tails: [None; PARTS],
            total: Odds::default(),
            shapes: [Shape { scale: 0.0, values: [0; POINTS] }; SHAPES],
        }
    }

    /// The bytes, always [`BYTES`].
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BYTES);
        let length = |season: Option<usize>| season.unwrap_or(0) as u32;
        bytes.extend(LAYOUT);
        bytes.extend(self.step_ms.to_le_bytes());
        bytes.extend(self.end.to_le_bytes());
        bytes.extend(self.seen.to_le_bytes());
        bytes.extend(length(self.belief.season).to_le_bytes());
        bytes.extend(length(self.belief.rival).to_le_bytes());
        let power = match self.transform.power {
            Power::Plain => 0,
            Power::Root => 1,
            Power::Log => 2,
        };
        let kinds = u8::from(self.kinds.working) + 2 * u8::from(self.kinds.weekend);
        bytes.extend([self.belief.times as u8, kinds, self.width, power]);
        for value in [self.transform.shift, self.transform.center, self.transform.scale] {
            bytes.extend(value.to_le_bytes());
        }
        let none = odds::tail([f32::NAN; 4]);
        let mut floats = vec![self.unit, self.total.often, self.total.at_most];
        floats.extend(self.weights.iter().chain(&self.drift));
        let tails = self.tails.iter().map(|tail| tail.unwrap_or(none)).chain([self.total.tail]);
        floats.extend(tails.flat_map(odds::numbers));
        floats.extend(self.shapes.iter().map(|shape| shape.scale));
        floats.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        self.profile.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        bytes.extend(self.spread.iter().chain(&self.error).map(|spread| pack(*spread)));
        bytes.extend(self.shapes.iter().flat_map(|shape| shape.values).map(|value| value as u8));
        bytes
    }

    /// The model of these bytes; `None` if they are not one of this layout.
    ///
    /// Each place is known when this is compiled: a new point takes hardly longer than this.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut read = Bytes(bytes.try_into().ok()?, 0);
        if read.take() != LAYOUT {
            return None;
        }
        let (step_ms, end, seen) = (read.u32(), i64::from_le_bytes(read.take()), read.u32());
        let length = |columns: u32| Some(columns as usize).filter(|columns| *columns > 0);
        let (season, rival) = (length(read.u32()), length(read.u32()));
        let [times, kinds, width, power] = read.take();
        let power = match power {
            0 => Power::Plain,
            1 => Power::Root,
            _ => Power::Log,
        };
        let [shift, center, scale] = std::array::from_fn(|_| f64::from_le_bytes(read.take()));
        let [unit, often, at_most] = read.f32s();
        let (weights, drift) = (read.f32s(), read.f32s());
        let tails = std::array::from_fn(|_| Some(read.tail()).filter(|tail| !tail.median.is_nan()));
        let total = Odds { tail: read.tail(), often, at_most };
        let scales: [f32; SHAPES] = read.f32s();
        let profile: [u8; 2 * BINS] = read.take();
        let (spread, error): ([u8; PHASES], [u8; PHASES]) = (read.take(), read.take());
        let shapes: [[i8; POINTS]; SHAPES] = std::array::from_fn(|_| signed(read.take()));
        Some(Self {
            step_ms,
            end,
            seen,
            belief: Belief { season, rival, times: times.into() },
            kinds: Kinds { working: kinds & 1 != 0, weekend: kinds & 2 != 0 },
            width: width.max(1),
            transform: Transform { power, shift, center, scale },
            unit,
            profile: std::array::from_fn(|bin| i16::from_le_bytes([profile[2 * bin], profile[2 * bin + 1]])),
            spread: unpacked(&spread),
            error: unpacked(&error),
            weights,
            drift,
            tails,
            total,
            shapes: std::array::from_fn(|shape| Shape { scale: scales[shape], values: shapes[shape] }),
        })
    }
}

/// Reads from one place to the next, and not beyond the end: that would be zeros.
struct Bytes<'a>(&'a [u8; BYTES], usize);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let bytes = self.0.get(self.1..).and_then(|rest| rest.first_chunk());
        self.1 += N;
        bytes.copied().unwrap_or([0; N])
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn f32s<const N: usize>(&mut self) -> [f32; N] {
        std::array::from_fn(|_| f32::from_le_bytes(self.take()))
    }

    fn tail(&mut self) -> Tail {
        odds::tail(self.f32s())
    }
}

/// A spread of 2^-24 to 2^8 in a byte: exponent and three bits of the mantissa, so that each
/// step is an eighth of a power of two.
fn pack(spread: f32) -> u8 {
    let bits = spread.max(SMALLEST).to_bits() - SMALLEST.to_bits();
    ((bits + (1 << 19)) >> 20).min(255) as u8
}

fn unpack(code: u8) -> f32 {
    f32::from_bits((u32::from(code) << 20) + SMALLEST.to_bits())
}

fn signed(bytes: [u8; POINTS]) -> [i8; POINTS] {
    let mut values = [0; POINTS];
    values.iter_mut().zip(bytes).for_each(|(value, byte)| *value = byte.cast_signed());
    values
}

/// All of them: `map` of an array of this length is a call an element.
fn unpacked(codes: &[u8; PHASES]) -> [f32; PHASES] {
    let mut spreads = [0.0; PHASES];
    spreads.iter_mut().zip(codes).for_each(|(spread, code)| *spread = unpack(*code));
    spreads
}

/// 2^-24.
const SMALLEST: f32 = 1.0 / 16_777_216.0;

/// A spread as a model keeps it: a fit judges its own past with what later calls will read.
pub fn kept(spread: f32) -> f32 {
    unpack(pack(spread))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Model {
        let transform = Transform { power: Power::Log, shift: 0.5, center: 3.0, scale: 0.1 };
        let tail = odds::tail([1.0, 2.0, 0.5, 1.25]);
        Model {
            seen: 12,
            belief: Belief { season: Some(1440), rival: None, times: 2 },
            kinds: Kinds { working: true, weekend: false },
            width: 2,
            unit: 0.01,
            profile: std::array::from_fn(|bin| bin as i16 - 90),
            spread: [kept(0.3); PHASES],
            error: [kept(1e-3); PHASES],
            weights: std::array::from_fn(|lag| 1.0 / (lag + 1) as f32),
            drift: [0.25, 0.5],
            tails: std::array::from_fn(|part| (part != 2).then_some(tail)),
            total: Odds { tail, often: 12.0, at_most: 3.0 },
            shapes: std::array::from_fn(|shape| Shape { scale: shape as f32, values: [-3; POINTS] }),
            ..Model::blank(60_000, 28_000_000, transform)
        }
    }

    #[test]
    fn a_model_takes_less_than_a_kilobyte_and_is_read_as_it_was_written() {
        let bytes = model().encode();
        assert_eq!(bytes.len(), BYTES);
        const { assert!(BYTES <= 1024) };
        assert_eq!(Model::decode(&bytes), Some(model()));
    }

    #[test]
    fn foreign_bytes_are_no_model() {
        let mut bytes = model().encode();
        assert_eq!(Model::decode(&bytes[..BYTES - 1]), None);
        bytes[3] = b'0';
        assert_eq!(Model::decode(&bytes), None);
    }

    #[test]
    fn a_spread_of_one_byte_is_nearly_exact() {
        for spread in [1e-6f32, 0.03, 1.0, 77.0] {
            assert!((kept(spread) / spread - 1.0).abs() <= 0.07, "{spread} is kept as {}", kept(spread));
        }
        assert_eq!(kept(0.0), SMALLEST);
    }
}
