//! Where columns lie in a season, and which parts of a profile that is.

use wide::f32x8;

use crate::eights::LANES;
use crate::model::{BINS, Model, PHASES};

const DAY_MS: i64 = 86_400_000;

/// The place of a column in a season.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Columns since the season began; 0 without one.
    pub phase: usize,
    /// Whether it lies on a Saturday or Sunday (UTC) of a daily season.
    pub weekend: bool,
}

/// Runs along the columns.
#[derive(Clone, Copy, Debug)]
pub struct Calendar {
    season: usize,
    daily: bool,
    /// Of Sunday to Saturday, as 0 to 6, where the season is a day.
    weekday: i64,
    /// Columns since the season began.
    pub phase: usize,
}

impl Calendar {
    /// Stands at a column.
    pub fn at(column: i64, season: Option<usize>, step_ms: u32) -> Self {
        let season = season.unwrap_or(1).max(1);
        let daily = season as i64 * i64::from(step_ms) == DAY_MS;
        // 1970-01-01 was a Thursday.
        let seasons = column.div_euclid(season as i64);
        let weekday = (seasons + 4).rem_euclid(7);
        Self { season, daily, weekday, phase: (column - seasons * season as i64) as usize }
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        Place { phase: self.phase, weekend: self.daily && matches!(self.weekday, 0 | 6) }
    }

    /// So many columns later, to the end of its season at most.
    pub fn after(self, columns: usize) -> Self {
        match self.phase + columns {
            phase if phase < self.season => Self { phase, ..self },
            _ => Self { phase: 0, weekday: if self.weekday == 6 { 0 } else { self.weekday + 1 }, ..self },
        }
    }
}

impl Iterator for Calendar {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        let place = self.place();
        *self = self.after(1);
        Some(place)
    }
}

/// How a profile is laid over a season.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Parts of the profile, of one kind of day where the season is a day.
    pub bins: usize,
    /// Parts for each column.
    pub density: f32,
    /// Phases for each column.
    phases: f32,
}

/// Where eight columns lie, one after the other, in a season.
pub struct Places {
    /// The first of the two parts between whose middles each lies; −1 is the last part.
    pub first: f32x8,
    /// How near to the second, 0 to 1.
    pub share: f32x8,
    /// The part with a spread of its own.
    pub phases: [u8; LANES],
}

impl Layout {
    /// For the season of a model.
    pub fn of(model: &Model) -> Self {
        let columns = model.belief.season.unwrap_or(1).max(1);
        let daily = columns as i64 * i64::from(model.step_ms) == DAY_MS;
        let bins = columns.min(if daily { BINS / 2 } else { BINS });
        Self { bins, density: bins as f32 / columns as f32, phases: PHASES as f32 / columns as f32 }
    }

    /// The part of a season in which a column lies.
    pub fn bin(&self, phase: usize) -> usize {
        ((phase as f32 * self.density) as usize).min(self.bins - 1)
    }

    /// From a column of a season on.
    pub fn places(&self, phase: usize) -> Places {
        let columns = f32x8::splat(phase as f32) + f32x8::new([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let place = (columns + f32x8::splat(0.5)) * f32x8::splat(self.density) - f32x8::splat(0.5);
        let first = place.floor();
        let phases = (columns * f32x8::splat(self.phases)).trunc_int().to_array();
        Places { first, share: place - first, phases: phases.map(|phase| phase.clamp(0, PHASES as i32 - 1) as u8) }
    }
}
