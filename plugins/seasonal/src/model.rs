//! What `fit` learned, and its bytes: numbers little-endian, then `f32` arrays.

use signal::odds::{self, Odds};
use signal::period::Belief;
use signal::transform::{Power, Transform};
use signal::week::Kinds;

use crate::Algorithm;

/// The layout; a model of another one is fit anew.
const LAYOUT: f64 = 1.0;
/// Parts of a season that have their own spread: half an hour of a day.
pub const PHASES: usize = 48;
const WORDS: usize = 21;

/// All that is kept of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Who reads the memory.
    pub algorithm: Algorithm,
    /// Milliseconds between columns.
    pub step_ms: u32,
    /// The column after the last that was learned, counted from the Unix epoch.
    pub end: i64,
    /// Columns that were learned by this and earlier fits.
    pub seen: u64,
    /// The season, in columns.
    pub belief: Belief,
    /// The kinds of days that were seen.
    pub kinds: Kinds,
    /// The judged scale.
    pub transform: Transform,
    /// An error counts for so much at most, when it is learned from.
    pub clip: f32,
    /// How odd a deviation is, in spreads.
    pub odds: Odds,
    /// The spread of deviations in each part of a season.
    pub spread: [f32; PHASES],
    /// The last values on the judged scale; of Holt and Winters the level, then the season.
    pub memory: Vec<f32>,
}

impl Model {
    /// The part with a spread of its own in which a column lies.
    pub fn phase(&self, column: i64) -> usize {
        let season = self.belief.season.unwrap_or(1) as i64;
        ((column.rem_euclid(season) * PHASES as i64 / season) as usize).min(PHASES - 1)
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let length = |season: Option<usize>| season.unwrap_or(0) as f64;
        let power = match self.transform.power {
            Power::Plain => 0.0,
            Power::Root => 1.0,
            Power::Log => 2.0,
        };
        let Odds { tail, often, at_most } = self.odds;
        let [median, quantile, excess, level] = odds::numbers(tail).map(f64::from);
        let words: [f64; WORDS] = [
            LAYOUT,
            if self.algorithm == Algorithm::Median { 0.0 } else { 1.0 },
            f64::from(self.step_ms),
            self.end as f64,
            self.seen as f64,
            length(self.belief.season),
            length(self.belief.rival),
            f64::from(self.belief.times),
            f64::from(u8::from(self.kinds.working) + 2 * u8::from(self.kinds.weekend)),
            power,
            self.transform.shift,
            self.transform.center,
            self.transform.scale,
            f64::from(self.clip),
            median,
            quantile,
            excess,
            level,
            f64::from(often),
            f64::from(at_most),
            self.memory.len() as f64,
        ];
        let mut bytes = Vec::with_capacity(WORDS * 8 + (PHASES + self.memory.len()) * 4);
        words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        self.spread.iter().chain(&self.memory).for_each(|value| bytes.extend(value.to_le_bytes()));
        bytes
    }

    /// The model of these bytes; `None` if they are not one of this layout.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (words, floats) = bytes.split_at_checked(WORDS * 8)?;
        let words: Vec<f64> = words.as_chunks().0.iter().copied().map(f64::from_le_bytes).collect();
        let [
            layout,
            algorithm,
            step_ms,
            end,
            seen,
            season,
            rival,
            times,
            kinds,
            power,
            shift,
            center,
            scale,
            clip,
            median,
            quantile,
            excess,
            level,
            often,
            at_most,
            values,
        ] = words.try_into().ok()?;
        if layout != LAYOUT || floats.len() != (PHASES + values as usize) * 4 {
            return None;
        }
        let power = match power as u8 {
            0 => Power::Plain,
            1 => Power::Root,
            _ => Power::Log,
        };
        let mut floats = floats.as_chunks().0.iter().copied().map(f32::from_le_bytes);
        let mut spread = [1.0; PHASES];
        spread.iter_mut().zip(&mut floats).for_each(|(to, from)| *to = from);
        let length = |word: f64| Some(word as usize).filter(|&columns| columns > 0);
        let tail = odds::tail([median, quantile, excess, level].map(|word| word as f32));
        Some(Self {
            algorithm: if algorithm == 0.0 { Algorithm::Median } else { Algorithm::HoltWinters },
            step_ms: step_ms as u32,
            end: end as i64,
            seen: seen as u64,
            belief: Belief { season: length(season), rival: length(rival), times: times as u32 },
            kinds: Kinds { working: kinds as u8 & 1 != 0, weekend: kinds as u8 & 2 != 0 },
            transform: Transform { power, shift, center, scale },
            clip: clip as f32,
            odds: Odds { tail, often: often as f32, at_most: at_most as f32 },
            spread,
            memory: floats.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_lead_back_to_the_model_and_foreign_ones_to_none() {
        let model = Model {
            algorithm: Algorithm::HoltWinters,
            step_ms: 60_000,
            end: 28_000_000,
            seen: 12,
            belief: Belief { season: Some(1440), rival: None, times: 2 },
            kinds: Kinds { working: true, weekend: false },
            transform: Transform { power: Power::Root, shift: 0.0, center: 3.0, scale: 0.1 },
            clip: 0.5,
            odds: Odds::default(),
            spread: [0.25; PHASES],
            memory: vec![0.0, -1.5, 3.0],
        };
        let mut bytes = model.encode();
        assert_eq!(Model::decode(&bytes), Some(model));
        assert_eq!(Model::decode(&bytes[..bytes.len() - 4]), None);
        bytes[..8].copy_from_slice(&9.0f64.to_le_bytes());
        assert_eq!(Model::decode(&bytes), None);
        assert_eq!(Model::decode(b"what?"), None);
    }
}
