//! A row of columns, and the raw scores that a model gives them.
//!
//! The raw scores of a column depend on the model and on the last [`CONTEXT`] columns alone: sums
//! over windows are formed anew for each column, so that rounding does not depend on where a row
//! begins.

use std::ops::Add;

use serde::Deserialize;
use signal::transform::{Power, Transform};
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
const _: () = assert!(SPANS[1] <= WINDOW && ERRORS + ORDER <= WINDOW && WIDEST == 2);

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
        let seasons = column.div_euclid(season as i64);
        let weekday = (seasons + 4).rem_euclid(7);
        Self { season, daily, weekday, phase: (column - seasons * season as i64) as usize }
    }

    /// Where it stands.
    fn place(&self) -> Place {
        Place { phase: self.phase, weekend: self.daily && matches!(self.weekday, 0 | 6) }
    }

    /// So many columns later, to the end of its season at most.
    fn after(self, columns: usize) -> Self {
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
    density: f32,
    /// Phases for each column.
    phases: f32,
}

/// Where eight columns lie, one after the other, in a season.
struct Places {
    /// The first of the two parts between whose middles each lies; −1 is the last part.
    first: f32x8,
    /// How near to the second, 0 to 1.
    share: f32x8,
    /// The part with a spread of its own.
    phases: [u8; LANES],
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
    fn places(&self, phase: usize) -> Places {
        let columns = f32x8::splat(phase as f32) + f32x8::new([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let place = (columns + f32x8::splat(0.5)) * f32x8::splat(self.density) - f32x8::splat(0.5);
        let first = place.floor();
        let phases = (columns * f32x8::splat(self.phases)).trunc_int().to_array();
        Places { first, share: place - first, phases: phases.map(|phase| phase.clamp(0, PHASES as i32 - 1) as u8) }
    }
}

/// A row of values under a model. Made once, it is used for row after row: memory that is asked for
/// takes as long as the scores.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// The row before it was held against scales.
    pub plain: Plain,
    /// Deviations in spreads.
    deviations: Vec<f32>,
    /// The same, none of which counts for more than [`CLIP`].
    clipped: Vec<f32>,
    /// The shapes of the model.
    shapes: Vec<[f32; POINTS]>,
    /// Errors of predictions in spreads.
    errors: Vec<f32>,
}

/// A row on the judged scale, and what its profile says of it. It has eight columns at least: of a
/// shorter row the last ones are NaN.
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
    /// Lays values whose first lies at a column on the scale of a model.
    pub fn judge(&mut self, model: &Model, values: &[f64]) {
        let Transform { power, center, scale, .. } = model.transform;
        let columns = values.len().max(LANES);
        self.judged.resize(columns, f32::NAN);
        if power == Power::Plain && values.len() == columns {
            eights(columns, |at| {
                if let (Some(value), Some(judged)) = (eight(values, at), eight_mut(&mut self.judged, at)) {
                    *judged = value.map(|value| {
                        let judged = (value - center) / scale;
                        // What is infinite becomes NaN.
                        (judged + 0.0 * judged) as f32
                    });
                }
            });
        } else {
            let all = values.iter().map(|&value| model.transform.apply(value)).chain(std::iter::repeat(f32::NAN));
            self.judged.iter_mut().zip(all).for_each(|(judged, value)| *judged = value);
        }
        if sum(&self.judged, |value| value).is_nan() {
            bridge(&mut self.judged);
        }
    }

    /// Says what is ordinary, where the first column of the judged values lies at `start`.
    pub fn compare(&mut self, model: &Model, start: i64) {
        let columns = self.judged.len();
        self.strange.clear();
        self.phases.resize(columns, 0);
        self.off.resize(columns, 0.0);
        let Some(season) = model.belief.season else {
            self.phases.fill(0);
            self.off.copy_from_slice(&self.judged);
            return;
        };
        let layout = Layout::of(model);
        let mut place = Calendar::at(start, Some(season), model.step_ms);
        let (mut at, mut known) = (0, true);
        while at < columns {
            // To the end of the season all columns are of one kind.
            let end = columns.min(at + season - place.phase);
            let kind = place.place();
            let now = if kind.weekend { model.kinds.weekend } else { model.kinds.working };
            if now != known {
                self.strange.push((at, !now));
                known = now;
            }
            for from in (at..end).step_by(LANES) {
                let Places { first, share, phases } = layout.places(kind.phase + from - at);
                let ordinary = model.ordinary(&layout, kind.weekend, first, share);
                if let (Some(judged), Some(off), Some(kept), true) = (
                    eight(&self.judged, from),
                    eight_mut(&mut self.off, from),
                    eight_mut(&mut self.phases, from),
                    from + LANES <= end,
                ) {
                    *off = (f32x8::new(*judged) - ordinary).to_array();
                    *kept = phases;
                    continue;
                }
                let ordinary = ordinary.to_array();
                for (lane, column) in (from..end).enumerate().take(LANES) {
                    self.off[column] = self.judged[column] - ordinary[lane];
                    self.phases[column] = phases[lane];
                }
            }
            place = place.after(end - at);
            at = end;
        }
    }

    /// Whether nothing of the kind of an index has been seen: a first weekend.
    pub fn strange(&self, index: usize) -> bool {
        self.strange.iter().rev().find(|(from, _)| *from <= index).is_some_and(|(_, strange)| *strange)
    }

    /// The deviation that the last ones let expect at an index; NaN after a gap.
    pub fn prediction(&self, model: &Model, index: usize) -> f32 {
        let last = index.checked_sub(ORDER).and_then(|from| self.off.get(from..)).and_then(|from| from.first_chunk());
        let Some(last): Option<&[f32; ORDER]> = last else { return f32::NAN };
        in_order(std::array::from_fn(|back| last[back] * model.weights[back]))
    }

    /// The errors of the predictions from an index on; NaN before.
    pub fn errors(&self, model: &Model, from: usize, errors: &mut Vec<f32>) {
        let columns = self.off.len();
        errors.clear();
        errors.resize(columns, f32::NAN);
        let from = from.max(ORDER);
        if columns < from + LANES {
            for (index, error) in errors.iter_mut().enumerate().skip(from) {
                *error = self.off[index] - self.prediction(model, index);
            }
            return;
        }
        eights(columns - from, |at| {
            let at = from + at;
            let past: Option<&[f32; ORDER + LANES]> = self.off.get(at - ORDER..).and_then(|past| past.first_chunk());
            if let (Some(past), Some(errors)) = (past, eight_mut(errors, at)) {
                let last = |back: usize| f32x8::new(std::array::from_fn(|lane| past[back + lane]));
                let predictions = in_order(std::array::from_fn(|back| last(back) * f32x8::splat(model.weights[back])));
                *errors = (last(ORDER) - predictions).to_array();
            }
        });
    }
}

impl Model {
    /// What the profile says of eight columns between these parts and their successors.
    fn ordinary(&self, layout: &Layout, weekend: bool, first: f32x8, share: f32x8) -> f32x8 {
        let kind = if weekend { layout.bins } else { 0 };
        let bins = layout.bins as i32;
        let at = |bin: i32| {
            let bin = if bin < 0 { bins - 1 } else { bin };
            let bin = if bin >= bins { 0 } else { bin };
            f32::from(self.profile.get(kind + bin as usize).copied().unwrap_or(0))
        };
        let parts = first.to_array();
        let (first, second) = if layout.density <= 1.0 / LANES as f32 {
            // Eight columns lie in two parts at most.
            let [one, two, three] = std::array::from_fn(|next| f32x8::splat(at(parts[0] as i32 + next as i32)));
            let later = first.simd_gt(f32x8::splat(parts[0]));
            (later.bitselect(two, one), later.bitselect(three, two))
        } else {
            let parts = parts.map(|part| part as i32);
            (f32x8::new(parts.map(at)), f32x8::new(parts.map(|part| at(part + 1))))
        };
        (first + share * (second - first)) * f32x8::splat(self.unit)
    }
}

impl Columns {
    /// Takes the values of a row whose first lies at a column, to be judged from an index on.
    pub fn lay(&mut self, model: &Model, values: &[f64], start: i64, from: usize) {
        self.plain.judge(model, values);
        self.plain.compare(model, start);
        // As many as are looked at, in whole eights.
        let columns = self.plain.off.len();
        let from = columns.saturating_sub((columns + ERRORS - from.min(columns)).next_multiple_of(LANES));
        self.plain.errors(model, from, &mut self.errors);
        self.scale(model, from);
    }

    /// The same of a row that was compared, with errors that are known.
    pub fn of(model: &Model, plain: Plain, errors: Vec<f32>) -> Self {
        let mut columns = Self { plain, errors, ..Self::default() };
        columns.scale(model, 0);
        columns
    }

    /// Holds deviations, and errors from an index on, against their spreads.
    fn scale(&mut self, model: &Model, from: usize) {
        let Self { plain: Plain { off, phases, .. }, deviations, clipped, shapes, errors } = self;
        let there = || model.shapes.iter().filter(|shape| shape.scale > 0.0);
        shapes.resize(there().count(), [0.0; POINTS]);
        for (kept, shape) in shapes.iter_mut().zip(there()) {
            let values = shape.values.as_chunks::<LANES>().0;
            for (kept, values) in kept.as_chunks_mut::<LANES>().0.iter_mut().zip(values) {
                *kept = (f32x8::new(values.map(f32::from)) * f32x8::splat(shape.scale)).to_array();
            }
        }
        deviations.resize(off.len(), f32::NAN);
        clipped.resize(off.len(), f32::NAN);
        eights(off.len(), |at| {
            let places = (eight_mut(deviations, at), eight_mut(clipped, at));
            if let (Some(off), Some(phases), (Some(deviations), Some(clipped))) =
                (eight(off, at), eight(phases, at), places)
            {
                let held = f32x8::new(*off) / spreads_of(&model.spread, phases);
                *deviations = held.to_array();
                *clipped = no_more(no_less(held, -CLIP), CLIP).to_array();
            }
        });
        if let (Some(errors), Some(phases)) = (errors.get_mut(from..), phases.get(from..)) {
            let (parts, rest) = errors.as_chunks_mut::<LANES>();
            let (eights, last) = phases.as_chunks::<LANES>();
            for (errors, phases) in parts.iter_mut().zip(eights) {
                *errors = (f32x8::new(*errors) / spreads_of(&model.error, phases)).to_array();
            }
            rest.iter_mut().zip(last).for_each(|(error, phase)| *error /= spread_of(&model.error, *phase));
        }
    }

    /// The raw scores at an index.
    pub fn raw(&self, model: &Model, index: usize) -> Raw {
        let window = window(&self.plain.judged, model.width, index);
        let change = self.errors[index].abs();
        let noise = mean::<ERRORS>(&self.errors, index + 1, |errors| no_more(errors.abs(), 2.0 * CLIP));
        let shape = window.map_or(f32::NAN, |window| nearest(&self.shapes, &window));
        if self.plain.strange(index) {
            return [f32::NAN, change, f32::NAN, f32::NAN, noise, shape];
        }
        let [differs, off] = self.means(index);
        let [level, drift] = model.drift;
        [self.deviations[index].abs(), change, differs / level, off / drift, noise, shape]
    }

    /// How far the mean deviation of the last minutes is from that of the time before, and how far
    /// that of both is from nothing.
    pub fn means(&self, index: usize) -> [f32; 2] {
        const BEFORE: usize = SPANS[1] - SPANS[0];
        let [short, long] = SPANS;
        let last = self.last(index);
        let before = mean::<BEFORE>(&self.clipped, (index + 1).saturating_sub(short), |d| d);
        let all = (last * short as f32 + before * BEFORE as f32) / long as f32;
        [(last - before).abs(), all.abs()]
    }

    /// The mean deviation of the last minutes.
    fn last(&self, index: usize) -> f32 {
        mean::<{ SPANS[0] }>(&self.clipped, index + 1, |d| d)
    }

    /// On which side of the expectation an index lies: by its own deviation or that of the last
    /// minutes, whichever is more.
    pub fn lean(&self, model: &Model, index: usize) -> f32 {
        let own = if model.belief.season.is_some() { self.deviations[index] } else { self.errors[index] };
        let last = self.last(index) / model.drift[0];
        if last.abs() > own.abs() { last } else { own }
    }

    /// What was expected at an index on the judged scale, with a spread, and the part that judges it:
    /// what the season says, or, without one, the last columns.
    pub fn expectation(&self, model: &Model, index: usize) -> (f32, f32, Part) {
        let ordinary = self.plain.judged[index] - self.plain.off[index];
        let phase = self.plain.phases[index];
        match model.belief.season {
            Some(_) => (ordinary, spread_of(&model.spread, phase), Part::Value),
            None => (self.plain.prediction(model, index), spread_of(&model.error, phase), Part::Change),
        }
    }
}

/// The sum of products, always in the same order: of one column and of eight its bits are equal.
fn in_order<T: Copy + Add<Output = T>>(products: [T; ORDER]) -> T {
    let pair = |lane: usize| products[lane] + products[lane + LANES];
    pair(0) + pair(1) + pair(2) + pair(3) + (products[4] + products[5] + products[6] + products[7])
}

/// The spread of a phase.
fn spread_of(spreads: &[f32; PHASES], phase: u8) -> f32 {
    spreads[usize::from(phase).min(PHASES - 1)]
}

/// The spreads of eight phases, which mostly are one.
fn spreads_of(spreads: &[f32; PHASES], phases: &[u8; LANES]) -> f32x8 {
    if *phases == [phases[0]; LANES] {
        return f32x8::splat(spread_of(spreads, phases[0]));
    }
    f32x8::new(phases.map(|phase| spread_of(spreads, phase)))
}

/// The smaller of each and a number; NaN stays.
fn no_more(values: f32x8, most: f32) -> f32x8 {
    let most = f32x8::splat(most);
    values.simd_gt(most).bitselect(most, values)
}

/// The larger of each and a number; NaN stays.
fn no_less(values: f32x8, least: f32) -> f32x8 {
    let least = f32x8::splat(least);
    values.simd_lt(least).bitselect(least, values)
}

/// Numbers that are looked at together.
const LANES: usize = 8;

/// Where each eight of so many begins. The last may overlap those before, so that none is left over:
/// one by itself takes as long as eight. Fewer than eight are none.
fn eights(count: usize, mut of: impl FnMut(usize)) {
    let Some(last) = count.checked_sub(LANES) else { return };
    (0..last).step_by(LANES).for_each(&mut of);
    of(last);
}

fn eight<T>(values: &[T], at: usize) -> Option<&[T; LANES]> {
    values.get(at..)?.first_chunk()
}

fn eight_mut<T>(values: &mut [T], at: usize) -> Option<&mut [T; LANES]> {
    values.get_mut(at..)?.first_chunk_mut()
}

/// The shape of the columns up to an index, around 0; `None` if there is a gap.
pub fn window(judged: &[f32], width: u8, index: usize) -> Option<[f32; POINTS]> {
    const WIDE: usize = WIDEST * POINTS;
    let width = usize::from(width).clamp(1, WIDEST);
    let from = (index + 1).checked_sub(POINTS * width)?;
    let values = judged.get(from..)?;
    let mut window: [f32; POINTS] = if width == 1 {
        *values.first_chunk()?
    } else {
        let values: &[f32; WIDE] = values.first_chunk()?;
        std::array::from_fn(|point| (values[2 * point] + values[2 * point + 1]) / 2.0)
    };
    let middle = total(&window, |point| point) / POINTS as f32;
    window.iter_mut().for_each(|point| *point -= middle);
    Some(window).filter(|_| middle.is_finite())
}

/// The sum of what is made of some numbers, eight at a time: in a sandbox each turn of a loop costs.
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let (parts, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for part in parts {
        for lane in 0..LANES {
            lanes[lane] += of(part[lane]);
        }
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, value)| *lane += of(*value));
    f32x8::new(lanes).reduce_add()
}

/// The same of a number of them that is known when this is compiled: without a turn.
fn total<const N: usize>(values: &[f32; N], of: impl Fn(f32x8) -> f32x8) -> f32 {
    let mut lanes = f32x8::splat(0.0);
    for first in (0..N).step_by(LANES) {
        // Of what is not there, 0 is made.
        lanes += of(f32x8::new(std::array::from_fn(|lane| if first + lane < N { values[first + lane] } else { 0.0 })));
    }
    lanes.reduce_add()
}

/// Bridges gaps of up to [`BRIDGE`] columns with the last value.
fn bridge(judged: &mut [f32]) {
    let mut missing = 0;
    for index in 1..judged.len() {
        missing = if judged[index].is_nan() { missing + 1 } else { 0 };
        if (1..=BRIDGE).contains(&missing) {
            judged[index] = judged[index - 1];
        }
    }
}

/// The mean of the last so many before `end`, of those that are there; NaN if that is fewer than half.
fn mean<const COUNT: usize>(values: &[f32], end: usize, of: impl Fn(f32x8) -> f32x8) -> f32 {
    let from = end.checked_sub(COUNT).and_then(|from| values.get(from..));
    let Some(last): Option<&[f32; COUNT]> = from.and_then(|from| from.first_chunk()) else { return f32::NAN };
    let all = total(last, &of);
    if !all.is_nan() {
        return all / COUNT as f32;
    }
    let there = last.iter().filter(|value| !value.is_nan());
    let (sum, seen) = there.fold((0.0, 0), |(sum, seen), &value| {
        let [made, ..] = of(f32x8::splat(value)).to_array();
        (sum + made, seen + 1)
    });
    if 2 * seen >= COUNT { sum / seen as f32 } else { f32::NAN }
}

/// The distance to the nearest of some shapes; NaN if there is none.
fn nearest(shapes: &[[f32; POINTS]], window: &[f32; POINTS]) -> f32 {
    let squares = shapes.iter().map(|shape| distance(window, shape));
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
