//! A detector's calls, cut so that each is bounded: many rows are several calls, and their
//! results one.
//!
//! A detector that wants its rows together (`joint`) gets all of them in one call.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::binding::Binding;
use super::checked;
use super::runtime::{Complaint, Work};
use super::{Call, Cause, Detect, Fitted, Needs, Scored, Skip, Term};
use crate::config::Limits;
use crate::fault::{Blame, Fault};
use crate::series::Matrix;

/// Columns that a scored cell is reckoned with on its way back: score, expected, two
/// edges, and a dozen terms.
const RESULT_COLUMNS: usize = 16;

#[async_trait]
impl Detect for Binding {
    async fn plan(&self, call: &Call, config: &str, step_ms: u32) -> Result<Needs, Fault> {
        let config = self.config(config, "plan")?;
        let (limits, passed) = (Arc::clone(self.limits()), Arc::clone(&config));
        let work: Work<Needs> = Box::new(move |guest, store| {
            Box::pin(async move {
                let needs = match guest.plan(store, &passed, step_ms).await? {
                    Ok(needs) => needs,
                    Err(error) => return Ok(Err(error.into())),
                };
                Ok(checked::needs(needs, &limits).map_err(Complaint::Forbidden))
            })
        });
        let needs = self.call(call, "plan", work).await?;
        self.set_joint(&config, step_ms, needs.joint);
        Ok(needs)
    }

    async fn fit(&self, call: &Call, config: &str, history: &Matrix, previous: &[Arc<[u8]>]) -> Result<Fitted, Fault> {
        self.sound(history, previous, "fit")?;
        if history.rows == 0 || history.grid.columns == 0 {
            let skipped = (0..history.rows).map(|row| Skip { row, cause: Cause::Warming }).collect();
            return Ok(Fitted {
                models: vec![Vec::new(); history.rows],
                heads: vec![0; history.rows],
                skipped,
                facts: vec![Vec::new(); history.rows],
            });
        }
        let passed = self.config(config, "fit")?;
        let cuts = if self.belong_together(call, config, &passed, history.grid.step_ms).await? {
            std::iter::once(0..history.rows).collect()
        } else {
            cuts(history, previous, returned_by_fit(previous, self.limits()), self.limits())
        };
        let fit = async |rows: Range<usize>| {
            // Copied only when its turn has come: to the guest's threads a loan cannot go.
            let history = part(history, &rows);
            let previous: Vec<_> = previous.get(rows.clone()).unwrap_or_default().to_vec();
            let (config, limits) = (Arc::clone(&passed), Arc::clone(self.limits()));
            let work: Work<Fitted> = Box::new(move |guest, store| {
                Box::pin(async move {
                    let fitted = match guest.fit(store, &config, &history, &previous).await? {
                        Ok(fitted) => fitted,
                        Err(error) => return Ok(Err(error.into())),
                    };
                    Ok(checked::fitted(fitted, history.rows, &limits).map_err(Complaint::Forbidden))
                })
            });
            Ok::<_, Fault>((rows.start, self.call(call, "fit", work).await?))
        };
        let calls: Vec<_> = cuts.into_iter().map(fit).collect();
        let parts: Vec<(usize, Fitted)> = stream::iter(calls).buffered(self.workers()).try_collect().await?;
        let models = Vec::with_capacity(history.rows);
        let mut whole = Fitted { models, heads: Vec::new(), skipped: Vec::new(), facts: Vec::new() };
        for (first, part) in parts {
            whole.models.extend(part.models);
            whole.heads.extend(part.heads);
            whole.facts.extend(part.facts);
            whole.skipped.extend(part.skipped.into_iter().map(|skip| Skip { row: skip.row + first, ..skip }));
        }
        Ok(whole)
    }

    async fn score(
        &self,
        call: &Call,
        config: &str,
        models: &[Arc<[u8]>],
        recent: &Matrix,
        tail: usize,
    ) -> Result<Scored, Fault> {
        self.sound(recent, models, "score")?;
        if tail > recent.grid.columns {
            let columns = recent.grid.columns;
            return Err(self.site("score").fault(Blame::Host, format!("a tail of {tail} of {columns} columns"), ""));
        }
        if recent.rows == 0 || tail == 0 {
            return Ok(Scored::default());
        }
        let passed = self.config(config, "score")?;
        let cuts = if self.belong_together(call, config, &passed, recent.grid.step_ms).await? {
            std::iter::once(0..recent.rows).collect()
        } else {
            cuts(recent, models, tail.saturating_mul(RESULT_COLUMNS * size_of::<f64>()), self.limits())
        };
        let score = async |rows: Range<usize>| {
            let recent = part(recent, &rows);
            let models: Vec<_> = models.get(rows.clone()).unwrap_or_default().to_vec();
            let config = Arc::clone(&passed);
            let work: Work<Scored> = Box::new(move |guest, store| {
                Box::pin(async move {
                    let scored = match guest.score(store, &config, &models, &recent, tail).await? {
                        Ok(scored) => scored,
                        Err(error) => return Ok(Err(error.into())),
                    };
                    Ok(checked::scored(scored, recent.rows, tail).map_err(Complaint::Forbidden))
                })
            });
            Ok::<_, Fault>((rows, self.call(call, "score", work).await?))
        };
        let calls: Vec<_> = cuts.into_iter().map(score).collect();
        let parts: Vec<(Range<usize>, Scored)> = stream::iter(calls).buffered(self.workers()).try_collect().await?;
        Ok(join(parts, recent.rows, tail))
    }
}

impl Binding {
    async fn belong_together(&self, call: &Call, config: &str, passed: &str, step_ms: u32) -> Result<bool, Fault> {
        match self.joint(passed, step_ms) {
            Some(joint) => Ok(joint),
            None => Ok(self.plan(call, config, step_ms).await?.joint),
        }
    }

    fn sound(&self, matrix: &Matrix, models: &[Arc<[u8]>], export: &'static str) -> Result<(), Fault> {
        let Matrix { grid, rows, values } = matrix;
        if rows.saturating_mul(grid.columns) == values.len() && models.len() == *rows {
            return Ok(());
        }
        let (columns, values, models) = (grid.columns, values.len(), models.len());
        let what = format!("{rows} rows of {columns} columns with {values} values and {models} models");
        Err(self.site(export).fault(Blame::Host, what, ""))
    }
}

/// Bytes that a row's model is reckoned with on its way back, before it is known: twice
/// the largest there was, or all that is allowed.
fn returned_by_fit(previous: &[Arc<[u8]>], limits: &Limits) -> usize {
    match previous.iter().map(|model| model.len()).max() {
        Some(largest @ 1..) => largest.saturating_mul(2).min(limits.model_bytes),
        _ => limits.model_bytes,
    }
}

/// Cuts the rows so that no call is larger than the limits; a row alone is never cut.
/// `returned`: bytes that come back for each row.
fn cuts(matrix: &Matrix, models: &[Arc<[u8]>], returned: usize, limits: &Limits) -> Vec<Range<usize>> {
    let values = matrix.grid.columns.saturating_mul(size_of::<f64>());
    // Half of what may cross, so that lists and names have room beside the numbers.
    let back = (limits.crossing_bytes / 2 / returned.max(1)).max(1);
    let most = limits.detector_call_rows.clamp(1, back);
    let mut cuts = Vec::new();
    let (mut first, mut bytes) = (0, 0_usize);
    for (row, model) in models.iter().enumerate() {
        let more = values.saturating_add(model.len());
        if row > first && (row - first >= most || bytes.saturating_add(more) > limits.detector_call_bytes) {
            cuts.push(first..row);
            (first, bytes) = (row, 0);
        }
        bytes = bytes.saturating_add(more);
    }
    if first < models.len() {
        cuts.push(first..models.len());
    }
    cuts
}

fn part(matrix: &Matrix, rows: &Range<usize>) -> Matrix {
    let columns = matrix.grid.columns;
    let values = matrix.values.get(rows.start * columns..rows.end * columns).unwrap_or_default().to_vec();
    Matrix { grid: matrix.grid, rows: rows.len(), values }
}

/// Lays the parts of a result in their rows. What one part has and another lacks is NaN.
fn join(mut parts: Vec<(Range<usize>, Scored)>, rows: usize, tail: usize) -> Scored {
    // One call is all there was: nothing has to be laid beside it.
    if let Some((_, whole)) = parts.pop_if(|(range, _)| *range == (0..rows)) {
        return whole;
    }
    let cells = rows * tail;
    let mut whole = Scored { scores: vec![f64::NAN; cells], ..Scored::default() };
    for (range, part) in parts {
        let at = range.start * tail;
        lay(&mut whole.scores, at, &part.scores, cells);
        lay(&mut whole.expected, at, &part.expected, cells);
        lay(&mut whole.lower, at, &part.lower, cells);
        lay(&mut whole.upper, at, &part.upper, cells);
        for term in part.terms {
            match whole.terms.iter_mut().find(|known| known.name == term.name) {
                Some(known) => lay(&mut known.values, at, &term.values, cells),
                None => {
                    let mut values = Vec::new();
                    lay(&mut values, at, &term.values, cells);
                    whole.terms.push(Term { name: term.name, values });
                }
            }
        }
        whole.skipped.extend(part.skipped.into_iter().map(|skip| Skip { row: skip.row + range.start, ..skip }));
    }
    whole
}

fn lay(whole: &mut Vec<f64>, at: usize, part: &[f64], cells: usize) {
    if part.is_empty() {
        return;
    }
    if whole.is_empty() {
        whole.resize(cells, f64::NAN);
    }
    if let Some(place) = whole.get_mut(at..at + part.len()) {
        place.copy_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Grid;

    fn matrix(rows: usize, columns: usize) -> Matrix {
        let grid = Grid { start: 0, step_ms: 60_000, columns };
        Matrix { grid, rows, values: vec![0.0; rows * columns] }
    }

    #[test]
    fn calls_are_bounded_in_bytes_rows_and_what_comes_back() {
        let limits =
            Limits { detector_call_bytes: 1_000, detector_call_rows: 3, crossing_bytes: 10_000, ..Limits::default() };
        let model = |bytes: usize| -> Arc<[u8]> { vec![0; bytes].into() };
        // 80 bytes a row: at most three rows.
        assert_eq!(cuts(&matrix(7, 10), &vec![model(0); 7], 1, &limits), [0..3, 3..6, 6..7]);
        // A large model goes alone, and one that is over the limit goes all the same.
        let models = [model(0), model(950), model(0), model(2_000)];
        assert_eq!(cuts(&matrix(4, 10), &models, 1, &limits), [0..1, 1..2, 2..3, 3..4]);
        // 2 500 bytes come back for each row, and 5 000 may.
        assert_eq!(cuts(&matrix(4, 10), &vec![model(0); 4], 2_500, &limits), [0..2, 2..4]);
        assert!(cuts(&matrix(0, 10), &[], 1, &limits).is_empty());
    }

    #[test]
    fn parts_are_joined_in_their_rows_and_what_one_lacks_is_nan() {
        let term = |name: &str, value: f64| Term { name: name.into(), values: vec![value; 2] };
        let first = Scored { scores: vec![0.1, 0.2], terms: vec![term("level", 1.0)], ..Scored::default() };
        let second = Scored {
            scores: vec![0.3, 0.4],
            expected: vec![5.0, 6.0],
            terms: vec![term("shape", 2.0)],
            skipped: vec![Skip { row: 0, cause: Cause::Warming }],
            ..Scored::default()
        };
        let whole = join(vec![(0..1, first), (1..2, second)], 2, 2);
        assert_eq!(whole.scores, [0.1, 0.2, 0.3, 0.4]);
        assert!(whole.expected[0].is_nan());
        assert_eq!(whole.expected[2..], [5.0, 6.0]);
        assert_eq!(whole.terms[0].values[..2], [1.0, 1.0]);
        assert!(whole.terms[1].values[0].is_nan());
        assert_eq!(whole.skipped, [Skip { row: 1, cause: Cause::Warming }]);
        assert!(whole.lower.is_empty());
    }
}
