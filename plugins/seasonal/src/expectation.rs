//! What each column of a row was expected to be, from the model and a bounded context.

use signal::forecast::Forecast;
use signal::history::{History, Reach};

use crate::Algorithm;
use crate::model::Model;
use crate::winters::Winters;

/// Columns that a moving average remembers, where there is no season.
pub const MEMORY: usize = 64;

/// A row on the judged scale. Column numbers are counted from the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The values; NaN where one is missing.
    pub judged: &'a [f32],
    /// The column of the first.
    pub start: i64,
}

/// What was expected, one of the row's columns from `first` on.
pub fn expectations(model: &Model, shares: (f32, f32), row: Row<'_>, first: usize, context: usize) -> Vec<f32> {
    match (model.algorithm, model.belief.season) {
        (Algorithm::HoltWinters, _) => smoothed(model, shares, row, first, context),
        (Algorithm::Median, None) => {
            (first..row.judged.len()).map(|index| average(row.judged, index, shares.0)).collect()
        }
        (Algorithm::Median, Some(_)) => {
            let history = History {
                values: &model.memory,
                start: model.end - model.memory.len() as i64,
                season: model.belief.season,
            };
            let reach = Reach::Before(model.end);
            (first..row.judged.len()).map(|index| median(history, model.step_ms, row, index, reach)).collect()
        }
    }
}

/// The median of the last seasons or that of a week ago, whichever is nearer to what the value is.
pub fn median(history: History<'_>, step_ms: u32, row: Row<'_>, index: usize, reach: Reach) -> f32 {
    let (recent, weekly) = Forecast { history, step_ms }.expect(row.start + index as i64, reach);
    let off = |expected: f32| (row.judged[index] - expected).abs();
    if recent.is_nan() || off(weekly) < off(recent) { weekly } else { recent }
}

/// The exponentially weighted mean of the columns before an index; NaN if there are none.
pub fn average(judged: &[f32], index: usize, alpha: f32) -> f32 {
    let last = judged.get(index.saturating_sub(MEMORY)..index).unwrap_or_default().iter().filter(|v| !v.is_nan());
    last.copied().reduce(|mean, value| mean + alpha * (value - mean)).unwrap_or(f32::NAN)
}

/// Runs from the end of what was learned up to each column, or, where the model is older than the
/// context, from the begin of that: a later call sees no more.
fn smoothed(model: &Model, shares: (f32, f32), row: Row<'_>, first: usize, context: usize) -> Vec<f32> {
    let fresh = || Winters { memory: model.memory.clone(), shares, clip: model.clip };
    let value = |column: i64| {
        usize::try_from(column - row.start).ok().and_then(|index| row.judged.get(index)).copied().unwrap_or(f32::NAN)
    };
    let mut running = (fresh(), model.end);
    let mut expected = Vec::with_capacity(row.judged.len() - first);
    for index in first..row.judged.len() {
        let column = row.start + index as i64;
        let oldest = column - context as i64;
        if oldest > model.end {
            running = (fresh(), oldest);
        }
        let (winters, next) = &mut running;
        while *next < column {
            winters.learn(*next, value(*next));
            *next += 1;
        }
        expected.push(winters.expects(column));
    }
    expected
}
