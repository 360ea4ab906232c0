//! A row on the judged scale, and what is ordinary there.

use std::ops::Add;

use signal::transform::{Power, Transform};
use wide::f32x8;

use crate::calendar::{Calendar, Layout, Places};
use crate::eights::{LANES, eight, eight_mut, eights, sum};
use crate::model::{Model, ORDER};

/// Columns over which a gap is bridged with the last value.
pub const BRIDGE: usize = 5;

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
        if sum(&self.judged).is_nan() {
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

/// The sum of products, always in the same order: of one column and of eight its bits are equal.
fn in_order<T: Copy + Add<Output = T>>(products: [T; ORDER]) -> T {
    let pair = |lane: usize| products[lane] + products[lane + LANES];
    pair(0) + pair(1) + pair(2) + pair(3) + (products[4] + products[5] + products[6] + products[7])
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
