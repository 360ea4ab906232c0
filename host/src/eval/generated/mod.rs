//! Labelled series that are made up, as data sets: `generated:silence` and the others of
//! [`Set`].
//!
//! A series is a function of set, seed and place in the set, and of nothing else: not of how
//! many there are, of the clock or of the machine. One file a kind of series, each with its
//! formula. In them `t` counts minutes of UTC, `z` is standard normal and drawn anew for each
//! minute, and each parameter is drawn once a series.

mod ar1;
mod daily;
mod drawn;
mod gaps;
mod gaussian;
mod incident;
mod lognormal;
mod poisson;
mod rare;
mod rhythm;
mod sawtooth;
mod seasonless;

use std::str::FromStr;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::dataset::{Labelled, Source, digest};
use crate::series::Millis;
use drawn::Drawn;
use incident::Incident;

/// A Monday at midnight, UTC: 2026-01-05.
const MONDAY: Millis = 1_767_571_200_000;
const MINUTE_MS: u32 = 60_000;
/// Minutes of a day.
const DAY: usize = 1_440;
/// What is drawn for a series apart from the series itself, each from streams of its own.
const STARTS: u64 = 1 << 32;
const INCIDENTS: u64 = 2 << 32;
const GAPS: u64 = 3 << 32;

/// The kinds of series that have nothing wrong, with their names.
const KINDS: [(&str, Kind); 6] = [
    ("gaussian", gaussian::draw),
    ("ar1", ar1::draw),
    ("poisson", poisson::draw),
    ("lognormal", lognormal::draw),
    ("sawtooth", sawtooth::draw),
    ("rare", rare::draw),
];

/// Draws a series at the given minutes.
type Kind = fn(&mut ChaCha8Rng, Minutes) -> Drawn;

/// Consecutive minutes, counted from a Monday at midnight.
#[derive(Clone, Copy, Debug)]
struct Minutes {
    first: usize,
    count: usize,
}

impl Minutes {
    fn iter(self) -> impl Iterator<Item = usize> {
        self.first..self.first + self.count
    }
}

/// A set of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// 14 days of minutes without anomaly, of six kinds in turn.
    Silence,
    /// The same series with one incident each, which is labelled.
    Incidents,
    /// 5 days of minutes: three of four have a day, the fourth has no season.
    Season,
}

impl FromStr for Set {
    type Err = String;

    /// By its name, without `generated:`.
    fn from_str(name: &str) -> Result<Self, String> {
        let known = [Self::Silence, Self::Incidents, Self::Season];
        let found = known.into_iter().find(|set| set.name() == name);
        found.ok_or_else(|| format!("no set is generated:{name}: write generated:silence, :incidents or :season"))
    }
}

impl Set {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Incidents => "incidents",
            Self::Season => "season",
        }
    }

    /// How many series it has where nobody says.
    pub fn usual_count(self) -> usize {
        match self {
            Self::Silence | Self::Incidents => 200,
            Self::Season => 400,
        }
    }

    /// The first `count` series of a seed.
    pub fn sources(self, seed: u64, count: usize) -> Vec<Source> {
        (0..count).map(|index| Source::generated(Recipe { set: self, seed, index })).collect()
    }
}

/// The season that a generated series has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// A day.
    Day,
    /// None.
    None,
}

/// One series of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recipe {
    set: Set,
    seed: u64,
    index: usize,
}

impl Recipe {
    /// The set.
    pub fn set(self) -> &'static str {
        self.set.name()
    }

    /// Its name: its kind, and its place in the set.
    pub fn name(self) -> String {
        let kind = match self.set {
            Set::Silence => self.kind().0.to_owned(),
            Set::Incidents => {
                let (drawn, _) = self.draw();
                format!("{}/{}", self.kind().0, self.incident(&drawn).name())
            }
            Set::Season if self.truth() == Some(Truth::Day) => daily::name(&mut self.dice(0)).to_owned(),
            Set::Season => seasonless::name(self.index / 4).to_owned(),
        };
        format!("{kind}-{:03}", self.index)
    }

    /// What the season is, where the set is one of seasons.
    pub fn truth(self) -> Option<Truth> {
        (self.set == Set::Season).then_some(if self.index % 4 == 3 { Truth::None } else { Truth::Day })
    }

    /// The series.
    pub fn series(self) -> Labelled {
        let (mut drawn, minutes) = self.draw();
        let mut labels = vec![false; minutes.count];
        if self.set == Set::Incidents {
            let incident = self.incident(&drawn);
            let place = incident.befall(&mut drawn, &mut self.dice(INCIDENTS));
            labels.iter_mut().take(place.end).skip(place.start).for_each(|label| *label = true);
        }
        let bytes: Vec<u8> = drawn.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Labelled {
            timestamps: minutes.iter().map(|t| MONDAY + t as Millis * Millis::from(MINUTE_MS)).collect(),
            values: drawn.values,
            labels,
            windows: None,
            step_ms: MINUTE_MS,
            digest: digest(&bytes, None, MINUTE_MS),
        }
    }

    fn draw(self) -> (Drawn, Minutes) {
        // Whoever begins on a Sunday sees a weekend before he knows what one is.
        let first = self.dice(STARTS).random_range(0..7 * DAY);
        let mut dice = self.dice(0);
        match self.set {
            Set::Silence | Set::Incidents => {
                let minutes = Minutes { first, count: 14 * DAY };
                (self.kind().1(&mut dice, minutes), minutes)
            }
            Set::Season => {
                let minutes = Minutes { first, count: 5 * DAY };
                let mut drawn = match self.truth() {
                    Some(Truth::Day) => daily::draw(&mut dice, minutes),
                    _ => seasonless::draw(self.index / 4, &mut dice, minutes),
                };
                gaps::tear(&mut drawn, &mut self.dice(GAPS));
                (drawn, minutes)
            }
        }
    }

    fn kind(self) -> (&'static str, Kind) {
        KINDS.get(self.index % KINDS.len()).copied().unwrap_or(("gaussian", gaussian::draw))
    }

    /// Which incident a series has: each of those that it can have, in turn.
    fn incident(self, drawn: &Drawn) -> Incident {
        let possible = Incident::of(drawn);
        possible.get(self.index / KINDS.len() % possible.len().max(1)).copied().unwrap_or(Incident::HalfRange)
    }

    fn dice(self, purpose: u64) -> ChaCha8Rng {
        let mut dice = ChaCha8Rng::seed_from_u64(self.seed);
        dice.set_stream(purpose + self.index as u64);
        dice
    }
}

#[cfg(test)]
mod tests;
