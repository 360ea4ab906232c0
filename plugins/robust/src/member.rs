//! The members of the ensemble: each gives a column a raw score, the larger the odder.
//!
//! A raw score depends on the model and on the last [`CONTEXT`] columns alone. What is
//! dear (medians over the last hours) is worked out once for each slot of the grid from
//! the columns before it, so that it is the same however the calls are cut.

use serde::Deserialize;
use wide::f32x8;

use crate::model::{Head, PHASES, RawScores};
use signal::calibration::median;
use signal::forecast::{Forecast, TOGETHER};
use signal::history::{History, Reach};
use signal::transform::Transform;
use signal::window::{LONGEST, References};

/// Columns of one slot.
const SLOT: i64 = 64;
/// Columns before a slot that its medians are taken of.
const TRAIL: i64 = 512;
/// Of the trail of a seasonal series every so many columns are forecast.
const TRAIL_STRIDE: i64 = 8;
/// Deviations without which a trail has no level.
const LEAST_TRAIL: usize = 16;
/// Columns that the moving average remembers.
const MEMORY: i64 = 64;
const ALPHA: f32 = 0.1;
/// Columns over which a gap is bridged with the last value.
const BRIDGE: usize = 5;
/// Columns over which deviations from the forecast are averaged.
pub const SPANS: [usize; 2] = [6, 15];
/// A single deviation counts for so many spreads at most, when it is averaged.
const CLIP: f32 = 6.0;
/// Columns that a raw score depends on, the newest included: the trail of the slot before,
/// what the moving average remembers there, and a bridge.
pub const CONTEXT: u32 = (TRAIL + SLOT + MEMORY) as u32 + BRIDGE as u32 + 1;

/// How many members there are.
pub const COUNT: usize = 9;

/// A member of the ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Member {
    /// The nearest window of 8 columns, centred: spikes and kinks.
    WinknnShort,
    /// The nearest window of 32 columns, centred: shapes.
    WinknnMid,
    /// The nearest window of 64 columns, centred: courses.
    WinknnLong,
    /// The nearest window of 128 columns, centred: courses of hours.
    WinknnLongest,
    /// The nearest window of 64 columns, as it is: levels at the wrong time.
    WinknnLevel,
    /// The nearest window of 128 columns, as it is.
    WinknnLevelLong,
    /// The error of a moving average against those of the last hours: jumps.
    EwmaResid,
    /// The deviation from what the season says.
    SeasonalResid,
    /// The same averaged over the last minutes.
    LevelShift,
}

impl Member {
    /// All, in the order of their scores.
    pub const ALL: [Self; COUNT] = [
        Self::WinknnShort,
        Self::WinknnMid,
        Self::WinknnLong,
        Self::WinknnLongest,
        Self::WinknnLevel,
        Self::WinknnLevelLong,
        Self::EwmaResid,
        Self::SeasonalResid,
        Self::LevelShift,
    ];

    /// What a vote counts for. Those that see single points are heard half: noise is
    /// mostly single points, and what happens to a system lasts.
    pub fn weight(self) -> f32 {
        match self {
            Self::WinknnShort | Self::EwmaResid => 0.5,
            _ => 1.0,
        }
    }

    /// The name in configurations and terms.
    pub fn name(self) -> &'static str {
        match self {
            Self::WinknnShort => "winknn-short",
            Self::WinknnMid => "winknn-mid",
            Self::WinknnLong => "winknn-long",
            Self::WinknnLongest => "winknn-longest",
            Self::WinknnLevel => "winknn-level",
            Self::WinknnLevelLong => "winknn-level-long",
            Self::EwmaResid => "ewma-resid",
            Self::SeasonalResid => "seasonal-resid",
            Self::LevelShift => "level-shift",
        }
    }
}

/// The judged values of a row, with gaps of up to [`BRIDGE`] columns bridged.
pub fn judged(transform: &Transform, values: &[f64]) -> Vec<f32> {
    let mut judged = transform.apply_all(values);
    if !judged.iter().any(|value| value.is_nan()) {
        return judged;
    }
    let mut missing = 0;
    for i in 1..judged.len() {
        missing = if judged[i].is_nan() { missing + 1 } else { 0 };
        if (1..=BRIDGE).contains(&missing) {
            judged[i] = judged[i - 1];
        }
    }
    judged
}

/// Medians over the trail of a slot.
#[derive(Clone, Copy)]
struct Trail {
    /// Whether the level rests on enough.
    known: bool,
    /// The level that deviations are counted from.
    level: f32,
    /// The middle and the spread of the errors of the moving average.
    errors: (f32, f32),
}

/// A point of the forecast, on the judged scale.
#[derive(Clone, Copy, Debug)]
pub struct Expectation {
    /// The forecast.
    pub value: f32,
    /// The spread round it.
    pub spread: f32,
}

/// A NaN that no arithmetic makes.
const UNKNOWN: f32 = f32::from_bits(u32::MAX);

/// A row of values, and all that their raw scores are made of.
pub struct Columns<'a> {
    /// What was learned; `fit` fills it in on the way.
    pub head: Head,
    history: History<'a>,
    forecast: Forecast<'a>,
    references: References,
    /// The judged values of the row.
    values: &'a [f32],
    /// The column of the first.
    start: i64,
    reach: Reach,
    /// Of each value from its forecast; [`UNKNOWN`] where that was not worked out yet.
    deviations: Vec<f32>,
    /// Of each [`TOGETHER`] values whether all their deviations are worked out.
    deviated: Vec<bool>,
    trails: Vec<Option<Trail>>,
}

impl<'a> Columns<'a> {
    /// Values from column `start` on, to be scored from `history` as far as `reach` lets.
    pub fn new(head: Head, history: History<'a>, values: &'a [f32], start: i64, reach: Reach) -> Self {
        let slots = (start + values.len() as i64).div_euclid(SLOT) - start.div_euclid(SLOT) + 1;
        Self {
            forecast: Forecast { history, step_ms: head.step_ms },
            head,
            history,
            references: References::new(&history),
            values,
            start,
            reach,
            deviations: vec![UNKNOWN; values.len()],
            deviated: vec![false; values.len().div_ceil(TOGETHER)],
            trails: vec![None; slots as usize],
        }
    }

    fn at(&self, column: i64) -> f32 {
        usize::try_from(column - self.start).ok().and_then(|i| self.values.get(i)).copied().unwrap_or(f32::NAN)
    }

    /// The values of columns, as far as there are.
    fn span(&self, from: i64, to: i64) -> &'a [f32] {
        let place = |column: i64| (column - self.start).clamp(0, self.values.len() as i64) as usize;
        self.values.get(place(from)..place(to)).unwrap_or_default()
    }

    /// The last values up to a column, as many as the longest window has or as there are.
    fn window(&self, column: i64) -> &'a [f32] {
        let end = usize::try_from(column + 1 - self.start).unwrap_or(0).min(self.values.len());
        &self.values[end.saturating_sub(LONGEST)..end]
    }

    /// The raw scores of a column, NaN where a member has none.
    pub fn raw_scores(&mut self, column: i64) -> RawScores {
        let query = self.window(column);
        let forecast: Vec<f32> = match self.history.season {
            Some(_) => {
                let deviations = self.deviations(column, query.len());
                query.iter().zip(deviations).map(|(value, deviation)| value - deviation).collect()
            }
            None => Vec::new(),
        };
        let nearest = self.references.nearest(&self.history, query, &forecast, column, self.reach);
        let trail = self.trail(column);
        let (middle, spread) = trail.errors;
        let error = self.at(column) - self.average(column);
        // After an outage nobody knows yet how far errors or levels go: who measures by them has
        // no vote, where a guess would alarm until the trail is filled again.
        let jump = if spread.is_nan() { f32::NAN } else { (error - middle).abs() / spread.max(self.head.calm) };
        let known = |value: f32| if trail.known { value } else { f32::NAN };
        let deviation = known(self.standardised(column, trail.level).abs());
        let drifts = self.drifts(column).map(known);
        let over = |i: usize| drifts[i].abs() / self.head.drift[i];
        // `max` skips NaN.
        let minutes = over(0).max(over(1));
        let ([short, mid, long, longest], [.., level, level_long]) = (nearest.centred, nearest.raw);
        [short, mid, long, longest, level, level_long, jump, deviation, minutes]
    }

    /// What was to be expected at a column: of the season, or else of the moving average.
    pub fn expectation(&mut self, column: i64) -> Expectation {
        let trail = self.trail(column);
        if self.history.season.is_none() {
            // `max` skips NaN: the typical spread, which `calm` is a fifth of, is as good as any.
            let spread =
                if trail.errors.1.is_nan() { 5.0 * self.head.calm } else { trail.errors.1.max(self.head.calm) };
            return Expectation { value: self.average(column), spread };
        }
        let value = self.at(column);
        let (recent, weekly) = self.forecast.expect(column, self.reach);
        let nearer = if nearer(value - recent, value - weekly) == value - weekly { weekly } else { recent };
        Expectation { value: nearer + trail.level, spread: self.spread(column) }
    }

    /// How far the last columns lie above what was expected of them, in spreads.
    pub fn lean(&mut self, column: i64) -> f32 {
        self.drifts(column)[0]
    }

    fn spread(&self, column: i64) -> f32 {
        phase(column, self.history.season).map_or(f32::NAN, |p| self.head.spread[p])
    }

    /// The deviation of a column from its forecast, still without the level of the trail.
    /// A series without a season has no forecast but that level.
    pub fn deviation(&mut self, column: i64) -> f32 {
        let value = self.at(column);
        if self.history.season.is_none() || value.is_nan() {
            return value;
        }
        let index = (column - self.start) as usize;
        let known = self.deviations[index];
        if known.to_bits() != UNKNOWN.to_bits() {
            return known;
        }
        // Those beside it will be asked for too.
        let first = index - index % TOGETHER;
        if !self.deviate::<1>(first) {
            let (recent, weekly) = self.forecast.expect(column, self.reach);
            self.deviations[index] = nearer(value - recent, value - weekly);
        }
        self.deviations[index]
    }

    /// The deviations of so many columns up to one, of which there are values.
    fn deviations(&mut self, column: i64, count: usize) -> &[f32] {
        let end = usize::try_from(column + 1 - self.start).unwrap_or(0).min(self.values.len());
        let begin = end.saturating_sub(count);
        for together in begin / TOGETHER..end.div_ceil(TOGETHER) {
            if self.deviated.get(together).is_some_and(|deviated| !deviated) {
                let first = together * TOGETHER;
                if !self.deviate::<1>(first) {
                    (first..self.values.len().min(first + TOGETHER)).for_each(|index| {
                        self.deviation(self.start + index as i64);
                    });
                }
                self.deviated[together] = true;
            }
        }
        self.deviations.get(begin..end).unwrap_or_default()
    }

    /// Works out [`TOGETHER`] deviations at places that are `APART` from each other, where they have a
    /// forecast together.
    fn deviate<const APART: usize>(&mut self, first: usize) -> bool {
        let all = first..first + (TOGETHER - 1) * APART + 1;
        let (Some(values), Some(known)) = (self.values.get(all.clone()), self.deviations.get_mut(all)) else {
            return false;
        };
        let Some((recent, weekly)) = self.forecast.expect_all::<APART>(self.start + first as i64, self.reach) else {
            return false;
        };
        let values = f32x8::new(std::array::from_fn(|lane| values[lane * APART]));
        let (recent, weekly) = (values - recent, values - weekly);
        let nearer = (weekly.is_nan() | recent.abs().simd_le(weekly.abs())).select(recent, weekly).to_array();
        known.iter_mut().step_by(APART).zip(nearer).for_each(|(known, nearer)| *known = nearer);
        true
    }

    fn standardised(&mut self, column: i64, level: f32) -> f32 {
        (self.deviation(column) - level) / self.spread(column)
    }

    /// The mean deviation over each of [`SPANS`], in spreads; NaN over a span that is half
    /// missing.
    pub fn drifts(&mut self, column: i64) -> [f32; SPANS.len()] {
        let level = self.trail(column).level;
        let (mut sum, mut count) = (0.0, 0usize);
        let mut means = [f32::NAN; SPANS.len()];
        let mut from = 0;
        for (mean, span) in means.iter_mut().zip(SPANS) {
            for back in from..span {
                let z = self.standardised(column - back as i64, level);
                if !z.is_nan() {
                    sum += z.clamp(-CLIP, CLIP);
                    count += 1;
                }
            }
            from = span;
            if 2 * count > span {
                *mean = sum / count as f32;
            }
        }
        means
    }

    /// The moving average of the columns before this one.
    fn average(&self, column: i64) -> f32 {
        self.span(column - MEMORY, column).iter().fold(f32::NAN, |average, value| moved(average, *value))
    }

    /// The level of the trail: how far above its forecast a column may be expected to lie.
    pub fn level(&mut self, column: i64) -> f32 {
        self.trail(column).level
    }

    fn trail(&mut self, column: i64) -> Trail {
        let slot = column.div_euclid(SLOT);
        let index = (slot - self.start.div_euclid(SLOT)) as usize;
        if let Some(known) = self.trails[index] {
            return known;
        }
        let (from, to) = (slot * SLOT - TRAIL, slot * SLOT);
        let stride = if self.history.season.is_some() { TRAIL_STRIDE } else { 2 };
        if let Some(seasonal) = self.history.season.and_then(|_| usize::try_from(from - self.start).ok()) {
            let apart = TOGETHER * TRAIL_STRIDE as usize;
            (seasonal..seasonal + TRAIL as usize).step_by(apart).for_each(|first| {
                self.deviate::<{ TRAIL_STRIDE as usize }>(first);
            });
        }
        let mut deviations: Vec<f32> = Vec::with_capacity((TRAIL / stride) as usize);
        for c in (from..to).step_by(stride as usize) {
            deviations.push(self.deviation(c));
        }
        let level = median(&mut deviations);
        // A season stands by itself; without one there has to be something to go by.
        let known = deviations.len() >= LEAST_TRAIL;
        let level = if known || self.history.season.is_none() { level } else { 0.0 };
        let mut errors = errors(self.span(from - MEMORY, from), self.span(from, to));
        let middle = median(&mut errors);
        errors.iter_mut().for_each(|e| *e = (*e - middle).abs());
        let spread = 1.4826 * median(&mut errors);
        let trail = Trail { known, level, errors: (middle, if errors.len() < 30 { f32::NAN } else { spread }) };
        self.trails[index] = Some(trail);
        trail
    }
}

/// The absolute errors of the moving average over a span.
pub fn moving_errors(columns: &Columns<'_>, span: std::ops::Range<i64>) -> Vec<f32> {
    let errors = errors(&[], columns.span(span.start, span.end));
    errors.into_iter().filter(|e| !e.is_nan()).map(f32::abs).collect()
}

/// The errors of the moving average over a span, which remembers what came before; NaN at gaps.
fn errors(before: &[f32], span: &[f32]) -> Vec<f32> {
    let mut average = before.iter().fold(f32::NAN, |average, value| moved(average, *value));
    let mut errors = Vec::with_capacity(span.len());
    let (eights, rest) = span.as_chunks::<8>();
    for eight in eights {
        if average.is_nan() || eight.iter().sum::<f32>().is_nan() {
            errors.extend(eight.map(|value| error(&mut average, value)));
        } else {
            // No step waits for more than the one before.
            errors.extend(eight.map(|value| {
                let error = value - average;
                average = average * (1.0 - ALPHA) + value * ALPHA;
                error
            }));
        }
    }
    errors.extend(rest.iter().map(|value| error(&mut average, *value)));
    errors
}

fn error(average: &mut f32, value: f32) -> f32 {
    let error = value - *average;
    *average = moved(*average, value);
    error
}

fn moved(average: f32, value: f32) -> f32 {
    match (average.is_nan(), value.is_nan()) {
        (_, true) => average,
        (true, false) => value,
        (false, false) => average * (1.0 - ALPHA) + value * ALPHA,
    }
}

/// The smaller of two deviations; NaN if both are.
fn nearer(a: f32, b: f32) -> f32 {
    if b.is_nan() || a.abs() <= b.abs() { a } else { b }
}

/// Which of the [`PHASES`] a column lies in; all of a series without a season lies in the first.
pub fn phase(column: i64, season: Option<usize>) -> Option<usize> {
    let season = season.unwrap_or(1) as i64;
    usize::try_from(column.rem_euclid(season) * PHASES as i64 / season).ok().filter(|&p| p < PHASES)
}
