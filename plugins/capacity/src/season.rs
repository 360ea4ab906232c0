//! What comes again every day or every week, and is no trend.

use crate::trend::{median, slope};

const DAY_MS: u32 = 86_400_000;
/// Seasons that the history must hold.
const LEAST: usize = 3;
/// A season is one if it leaves at most this part of the spread of a time that it has not seen.
const WORTH: f64 = 0.8;

/// The profile of a season: a value for each of its columns; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Season {
    /// By the column of the grid, modulo its length.
    pub profile: Vec<f64>,
}

impl Season {
    /// The day or the week, whichever foretells one half of its cycles better by the other half;
    /// none, if that helps little. `start` is the column of the grid of the first value.
    pub fn find(values: &[f64], start: i64, step_ms: u32) -> Self {
        let mut best = (WORTH, Self::default());
        for days in [1, 7] {
            let length = DAY_MS * days / step_ms.max(1);
            let period = length as usize;
            if length * step_ms.max(1) != DAY_MS * days || period < 4 || values.len() < LEAST * period {
                continue;
            }
            let level = levelled(values, period);
            let halves = [0, 1].map(|half| Self::of(&level, start, period, |cycle| cycle % 2 == half));
            let (mut left, mut all) = (Vec::new(), Vec::new());
            for (index, value) in level.iter().enumerate() {
                let other = &halves[(index / period + 1) % 2];
                left.push((value - other.at(start + index as i64)).abs());
                all.push(value.abs());
            }
            let (Some(left), Some(all)) = (median(&mut left), median(&mut all)) else { continue };
            // A week has to be better than the day, and not only as good.
            if all > 0.0 && left < best.0 * all * if days > 1 { 0.9 } else { 1.0 } {
                best = (left / all, Self::of(&level, start, period, |_| true));
            }
        }
        best.1
    }

    fn of(level: &[f64], start: i64, period: usize, wanted: impl Fn(usize) -> bool) -> Self {
        let mut phases: Vec<Vec<f64>> = vec![Vec::new(); period];
        for (index, value) in level.iter().enumerate().filter(|(index, _)| wanted(index / period)) {
            phases[phase(start + index as i64, period)].push(*value);
        }
        Self { profile: phases.iter_mut().map(|phase| median(phase).unwrap_or(0.0)).collect() }
    }

    /// What it adds in a column of the grid.
    pub fn at(&self, column: i64) -> f64 {
        if self.profile.is_empty() { 0.0 } else { self.profile[phase(column, self.profile.len())] }
    }

    /// How high it goes.
    pub fn highest(&self) -> f64 {
        self.profile.iter().copied().fold(0.0, f64::max)
    }

    /// How low it goes.
    pub fn lowest(&self) -> f64 {
        self.profile.iter().copied().fold(0.0, f64::min)
    }

    /// A series without it.
    pub fn removed(&self, values: &[f64], start: i64) -> Vec<f64> {
        values.iter().enumerate().map(|(index, value)| value - self.at(start + index as i64)).collect()
    }
}

fn phase(column: i64, period: usize) -> usize {
    column.rem_euclid(period as i64) as usize
}

/// A series without its trend over many cycles, each cycle about 0.
fn levelled(values: &[f64], period: usize) -> Vec<f64> {
    let cycles: Vec<f64> = values.chunks(period).map(|cycle| median(&mut cycle.to_vec()).unwrap_or(f64::NAN)).collect();
    let trend = slope(&cycles).unwrap_or(0.0) / period as f64;
    let mut level: Vec<f64> = values.iter().enumerate().map(|(index, value)| value - trend * index as f64).collect();
    for cycle in level.chunks_mut(period) {
        let middle = median(&mut cycle.to_vec()).unwrap_or(0.0);
        cycle.iter_mut().for_each(|value| *value -= middle);
    }
    level
}
