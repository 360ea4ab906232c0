//! A row of columns, and the raw scores that a model gives them.
//!
//! The raw scores of a column depend on the model and on the last [`CONTEXT`] columns alone: sums
//! over windows are formed anew for each column, so that rounding does not depend on where a row
//! begins.

use serde::Deserialize;
use wide::f32x8;

use crate::eights::{LANES, distance, eight, eight_mut, eights, mean, no_less, no_more, total};
use crate::model::{Model, ORDER, PARTS, PHASES, POINTS, SPANS};
use crate::plain::{BRIDGE, Plain};

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

/// The distance to the nearest of some shapes; NaN if there is none.
fn nearest(shapes: &[[f32; POINTS]], window: &[f32; POINTS]) -> f32 {
    let squares = shapes.iter().map(|shape| distance(window, shape));
    let nearest = squares.fold(f32::INFINITY, |least, square| if square < least { square } else { least });
    if nearest.is_finite() { nearest.sqrt() } else { f32::NAN }
}
