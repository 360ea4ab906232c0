//! From raw scores to a score that means the same in every series.
//!
//! Each raw score is calibrated on its own past to a surprise; the surprises, none of which counts
//! for more than [`VOTE`], are summed; and the sum is calibrated on its own past once more, as in
//! the default detector.

use signal::odds::{Direction, score};

use crate::Series;
use crate::columns::{CONTEXT, Columns, Part, Raw};
use crate::model::{Model, PARTS};

/// What one surprise counts for at most.
const VOTE: f32 = 8.0;
/// The surprise at the edges of the band.
const EDGE: f32 = 4.0;

/// The result for one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// 0 to 1; NaN where the value is missing.
    pub score: f64,
    /// What was expected.
    pub expected: f64,
    /// The lower edge of the ordinary.
    pub lower: f64,
    /// The upper edge.
    pub upper: f64,
    /// What each part counts for; NaN where it had no say.
    pub votes: Raw,
}

/// Judges the last `tail` values of a series; what is laid in `columns` before does not matter.
pub fn judge<'a>(
    model: &'a Model,
    direction: Direction,
    series: Series<'a>,
    tail: usize,
    columns: &'a mut Columns,
) -> impl Iterator<Item = Judgement> + use<'a> {
    // Of a longer context only the end is looked at.
    let first = series.values.len().saturating_sub(tail + CONTEXT - 1);
    let values = series.values.get(first..).unwrap_or_default();
    let start = series.start + first as i64;
    let from = values.len().saturating_sub(tail);
    columns.lay(model, values, start, from);
    (from..values.len()).map(move |index| {
        let votes = votes(model, &columns.raw(model, index));
        let counts = direction.counts(columns.lean(model, index));
        let surprise = if counts { model.total.surprise(total(&votes)) } else { 0.0 };
        // How a first weekend begins is new, too.
        let surprise = if columns.plain.strange(index) { surprise / 2.0 } else { surprise };
        let score = score(surprise, model.seen.into(), model.step_ms);
        let (middle, spread, part) = columns.expectation(model, index);
        let width = model.tails[part as usize].map_or(f32::NAN, |tail| tail.score(EDGE)) * spread;
        let missing = !values.get(index).is_some_and(|value| value.is_finite());
        Judgement {
            score: if missing { f64::NAN } else { score },
            expected: model.transform.invert(middle),
            lower: model.transform.invert(middle - width),
            upper: model.transform.invert(middle + width),
            votes,
        }
    })
}

/// What the surprises of raw scores count for.
pub fn votes(model: &Model, raw: &Raw) -> Raw {
    let mut votes = [f32::NAN; PARTS];
    for (part, vote) in Part::ALL.into_iter().zip(&mut votes) {
        if let Some(tail) = &model.tails[part as usize] {
            let surprise = tail.surprise(raw[part as usize]);
            *vote = part.weight() * if surprise > VOTE { VOTE } else { surprise };
        }
    }
    votes
}

/// The sum of those that have a say.
pub fn total(votes: &Raw) -> f32 {
    votes.iter().filter(|vote| !vote.is_nan()).sum()
}
