//! A row of columns, and the raw scores that a model gives them.
//!
//! The raw scores of a column depend on the model and on the last [`CONTEXT`] columns alone: sums
//! over windows are formed anew for each column, so that rounding does not depend on where a row
//! begins.

use serde::Deserialize;

use wide::f32x8;

use crate::model::{BINS, Model, ORDER, PARTS, PHASES, POINTS, SPANS};

/// Columns over which a gap is bridged with the last value.
const BRIDGE: usize = 5;
/// Columns of the longest window, which is that of a shape.
const WINDOW: usize = 64;
/// Columns that a raw score depends on, the newest included.
pub const CONTEXT: usize = WINDOW + BRIDGE + 1;
/// Values of a window of which one is the mean at most.
pub const WIDEST: usize = WINDOW / POINTS;
/// Errors of predictions that are averaged.
const ERRORS: usize = 20;
/// What a single deviation counts for at most in an average, in spreads.
const CLIP: f32 = 6.0;
const DAY_MS: i64 = 86_400_000;
const _: () = assert!(SPANS[1] <= WINDOW && ERRORS + ORDER <= WINDOW);

/// The raw scores of one column; NaN where it has none.
pub type Raw = [f32; PARTS];

/// A kind of raw score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The deviation from what is ordinary at this time of a season.
    Value,
    /// The error of a prediction from the last columns: jumps and spikes.
    Change,
    /// What the mean deviation of the last minutes differs from that of the time before.
    Level,
    /// The mean deviation of the last hour: what is a little off for long.
    Drift,
    /// The mean error of the last predictions: what has become restless.
    Noise,
    /// The distance to the most similar shape.
    Shape,
}

impl Part {
    /// All, in the order of their scores.
    pub const ALL: [Self; PARTS] = [Self::Value, Self::Change, Self::Level, Self::Drift, Self::Noise, Self::Shape];

    /// The name of its term.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Change => "change",
            Self::Level => "level",
            Self::Drift => "drift",
            Self::Noise => "noise",
            Self::Shape => "shape",
        }
    }

    /// What its surprise counts for: single points are heard half, since noise is mostly those.
    pub fn weight(self) -> f32 {
        if self == Self::Change { 0.5 } else { 1.0 }
    }
}

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
    phase: usize,
}

impl Calendar {
    /// Stands at a column.
    pub fn at(column: i64, season: Option<usize>, step_ms: u32) -> Self {
        let season = season.unwrap_or(1).max(1);
        let daily = season as i64 * i64::from(step_ms) == DAY_MS;
        // 1970-01-01 was a Thursday.
        let weekday = (column.div_euclid(season as i64) + 4).rem_euclid(7);
        Self { season, daily, weekday, phase: column.rem_euclid(season as i64) as usize }
    }
}

impl Iterator for Calendar {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        let place = Place { phase: self.phase, weekend: self.daily && matches!(self.weekday, 0 | 6) };
        self.phase += 1;
        if self.phase == self.season {
            self.phase = 0;
            self.weekday = (self.weekday + 1) % 7;
        }
        Some(place)
    }
}

/// How a profile is laid over a season.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Parts of the profile, of one kind of day where the season is a day.
    pub bins: usize,
    /// Parts for each column.
    density: f32,
    /// Phases for each column.
    phases: f32,
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

    /// The part with a spread of its own.
    pub fn spread(&self, phase: usize) -> usize {
        ((phase as f32 * self.phases) as usize).min(PHASES - 1)
    }

    /// The two parts between whose middles a column lies, and how near to the second.
    fn between(&self, phase: usize) -> (usize, usize, f32) {
        let place = (phase as f32 + 0.5) * self.density - 0.5;
        if place < 0.0 {
            return (self.bins - 1, 0, place + 1.0);
        }
        let first = (place as usize).min(self.bins - 1);
        let second = if first + 1 == self.bins { 0 } else { first + 1 };
        (first, second, place - first as f32)
    }
}

/// A row of values under a model.
pub struct Columns<'a> {
    model: &'a Model,
    /// The row before it was held against scales.
    pub plain: Plain,
    /// Deviations in spreads.
    deviations: Vec<f32>,
    /// Errors of predictions in spreads.
    errors: Vec<f32>,
}

/// A row on the judged scale, and what its profile says of it.
#[derive(Clone, Debug, Default)]
pub struct Plain {
    /// With short gaps bridged.
    pub judged: Vec<f32>,
    /// Deviations from what is ordinary.
    pub off: Vec<f32>,
    /// The part with a spread of its own, of each column.
    pub phases: Vec<u8>,
    /// Columns from which on nothing of their kind has been seen, or no longer: where a first weekend
    /// begins and ends.
    strange: Vec<(usize, bool)>,
}

impl Plain {
    /// The values of a row on the judged scale, whose first lies at a column.
    pub fn of(model: &Model, judged: Vec<f32>, start: i64) -> Self {
        let layout = Layout::of(model);
        let mut plain = Self {
            off: Vec::with_capacity(judged.len()),
            phases: Vec::with_capacity(judged.len()),
            strange: Vec::new(),
            judged,
        };
        if model.belief.season.is_none() {
            plain.phases.resize(plain.judged.len(), 0);
            plain.off.extend_from_slice(&plain.judged);
            return plain;
        }
        let places = Calendar::at(start, model.belief.season, model.step_ms);
        let mut known = true;
        for (index, (value, place)) in plain.judged.iter().zip(places).enumerate() {
            plain.off.push(value - model.ordinary(&layout, place));
            plain.phases.push(layout.spread(place.phase) as u8);
            let now = if place.weekend { model.kinds.weekend } else { model.kinds.working };
            if now != known {
                plain.strange.push((index, !now));
                known = now;
            }
        }
        plain
    }

    /// Whether nothing of the kind of an index has been seen: a first weekend.
    pub fn strange(&self, index: usize) -> bool {
        self.strange.iter().rev().find(|(from, _)| *from <= index).is_some_and(|(_, strange)| *strange)
    }

    /// The deviation that the last ones let expect at an index; NaN after a gap.
    pub fn prediction(&self, model: &Model, index: usize) -> f32 {
        let last = index.checked_sub(ORDER).and_then(|from| self.off.get(from..)).and_then(|from| from.first_chunk());
        let Some(last): Option<&[f32; ORDER]> = last else { return f32::NAN };
        let products: [f32; ORDER] = std::array::from_fn(|back| last[back] * model.weights[back]);
        sum(&products, |product| product)
    }

    /// The errors of the predictions from an index on; NaN before.
    pub fn errors(&self, model: &Model, from: usize) -> Vec<f32> {
        let mut errors = vec![f32::NAN; self.off.len()];
        for (index, error) in errors.iter_mut().enumerate().skip(from) {
            *error = self.off[index] - self.prediction(model, index);
        }
        errors
    }
}

impl Model {
    /// What the profile says of a place.
    fn ordinary(&self, layout: &Layout, place: Place) -> f32 {
        let (first, second, share) = layout.between(place.phase);
        let kind = if place.weekend { layout.bins } else { 0 };
        let at = |bin: usize| f32::from(self.profile.get(kind + bin).copied().unwrap_or(0));
        (at(first) + share * (at(second) - at(first))) * self.unit
    }
}

impl<'a> Columns<'a> {
    /// The values of a row whose first lies at a column, to be judged from an index on.
    pub fn new(model: &'a Model, values: &[f64], start: i64, from: usize) -> Self {
        let plain = Plain::of(model, judged(model, values), start);
        let errors = plain.errors(model, from.saturating_sub(ERRORS));
        Self::of(model, plain, errors)
    }

    /// The same with errors that are known.
    pub fn of(model: &'a Model, plain: Plain, mut errors: Vec<f32>) -> Self {
        let phases = || plain.phases.iter().map(|phase| usize::from(*phase).min(PHASES - 1));
        errors.iter_mut().zip(phases()).for_each(|(error, phase)| *error /= model.error[phase]);
        let deviations = plain.off.iter().zip(phases()).map(|(off, phase)| off / model.spread[phase]).collect();
        Self { model, deviations, errors, plain }
    }

    /// The raw scores at an index.
    pub fn raw(&self, index: usize) -> Raw {
        let window = window(&self.plain.judged, self.model.width, index);
        let change = self.errors[index].abs();
        let noise = mean(&self.errors, index + 1, ERRORS, |e| e.abs().clamp(0.0, 2.0 * CLIP));
        let shape = window.map_or(f32::NAN, |window| nearest(self.model, &window));
        if self.plain.strange(index) {
            return [f32::NAN, change, f32::NAN, f32::NAN, noise, shape];
        }
        let [differs, off] = self.means(index);
        let [level, drift] = self.model.drift;
        [self.deviations[index].abs(), change, differs / level, off / drift, noise, shape]
    }

    /// How far the mean deviation of the last minutes is from that of the time before, and how far
    /// that of both is from nothing.
    pub fn means(&self, index: usize) -> [f32; 2] {
        let [short, long] = SPANS;
        let clip = |d: f32| d.clamp(-CLIP, CLIP);
        let last = mean(&self.deviations, index + 1, short, clip);
        let before = mean(&self.deviations, (index + 1).saturating_sub(short), long - short, clip);
        let all = (last * short as f32 + before * (long - short) as f32) / long as f32;
        [(last - before).abs(), all.abs()]
    }

    /// On which side of the expectation an index lies: by its own deviation or that of the last
    /// minutes, whichever is more.
    pub fn lean(&self, index: usize) -> f32 {
        let own = if self.model.belief.season.is_some() { self.deviations[index] } else { self.errors[index] };
        let last = mean(&self.deviations, index + 1, SPANS[0], |d| d.clamp(-CLIP, CLIP)) / self.model.drift[0];
        if last.abs() > own.abs() { last } else { own }
    }

    /// What was expected at an index on the judged scale, with a spread, and the part that judges it:
    /// what the season says, or, without one, the last columns.
    pub fn expectation(&self, index: usize) -> (f32, f32, Part) {
        let ordinary = self.plain.judged[index] - self.plain.off[index];
        let phase = usize::from(self.plain.phases[index]).min(PHASES - 1);
        match self.model.belief.season {
            Some(_) => (ordinary, self.model.spread[phase], Part::Value),
            None => (self.plain.prediction(self.model, index), self.model.error[phase], Part::Change),
        }
    }
}

/// The shape of the columns up to an index, around 0; `None` if there is a gap.
pub fn window(judged: &[f32], width: u8, index: usize) -> Option<[f32; POINTS]> {
    let width = usize::from(width).clamp(1, WIDEST);
    let from = (index + 1).checked_sub(POINTS * width)?;
    let values = judged.get(from..=index)?;
    let mut window = [0.0; POINTS];
    match values.first_chunk() {
        Some(values) if width == 1 => window = *values,
        _ => {
            for (point, part) in window.iter_mut().zip(values.chunks_exact(width)) {
                *point = part.iter().sum::<f32>() / width as f32;
            }
        }
    }
    let middle = sum(&window, |point| point) / POINTS as f32;
    window.iter_mut().for_each(|point| *point -= middle);
    Some(window).filter(|_| middle.is_finite())
}

/// The sum of what is made of some numbers, eight at a time: in a sandbox each turn of a loop costs.
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (parts, rest) = values.as_chunks::<8>();
    let mut lanes = [0.0f32; 8];
    for part in parts {
        for lane in 0..8 {
            lanes[lane] += of(part[lane]);
        }
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, value)| *lane += of(*value));
    f32x8::new(lanes).reduce_add()
}

/// The values on the judged scale, with gaps of up to [`BRIDGE`] columns bridged.
pub fn judged(model: &Model, values: &[f64]) -> Vec<f32> {
    let mut judged: Vec<f32> = values.iter().map(|&value| model.transform.apply(value)).collect();
    let mut missing = 0;
    for index in 1..judged.len() {
        missing = if judged[index].is_nan() { missing + 1 } else { 0 };
        if (1..=BRIDGE).contains(&missing) {
            judged[index] = judged[index - 1];
        }
    }
    judged
}

/// The mean of the last `count` before `end`, of those that are there; NaN if that is fewer than half.
fn mean(values: &[f32], end: usize, count: usize, of: impl Fn(f32) -> f32) -> f32 {
    let Some(last) = end.checked_sub(count).and_then(|from| values.get(from..end)) else { return f32::NAN };
    let all = sum(last, &of);
    if !all.is_nan() {
        return all / count as f32;
    }
    let there = last.iter().filter(|value| !value.is_nan());
    let (sum, seen) = there.fold((0.0, 0), |(sum, seen), &value| (sum + of(value), seen + 1));
    if 2 * seen >= count { sum / seen as f32 } else { f32::NAN }
}

/// The distance to the nearest shape of a model; NaN if there is none.
fn nearest(model: &Model, window: &[f32; POINTS]) -> f32 {
    let there = model.shapes.iter().filter(|shape| shape.scale > 0.0);
    let squares = there.map(|shape| distance(window, &shape.values.map(|value| f32::from(value) * shape.scale)));
    let nearest = squares.fold(f32::INFINITY, |least, square| if square < least { square } else { least });
    if nearest.is_finite() { nearest.sqrt() } else { f32::NAN }
}

/// The squared distance of two shapes.
pub fn distance(a: &[f32; POINTS], b: &[f32; POINTS]) -> f32 {
    let mut squares = f32x8::splat(0.0);
    for (a, b) in a.as_chunks().0.iter().zip(b.as_chunks().0) {
        let difference = f32x8::new(*a) - f32x8::new(*b);
        squares += difference * difference;
    }
    squares.reduce_add()
}
