//! How a point was judged, and which run did it.

use super::{DeskError, RunView, ScoreStep, Subject};
use crate::config::Job;
use crate::series::Millis;
use crate::store::RunRecord;

impl Subject<'_> {
    pub(super) fn score(&self, run: Option<&RunRecord>) -> Result<Option<ScoreStep>, DeskError> {
        let smooth_n = self.policy(crate::message::AlertKind::Anomaly)?.map_or(1, |policy| policy.smooth_n.max(1));
        // Twice as far as it need be, since columns without a sample have no score.
        let back = self.step.saturating_mul(Millis::try_from(smooth_n).unwrap_or(Millis::MAX).saturating_mul(2));
        let span = self.at.saturating_sub(back)..self.at.saturating_add(1);
        let mut rows = self.desk.store.scores(&self.key, &[self.series.id], span)?.pop().unwrap_or_default().rows;
        rows.retain(|row| row.score.is_finite());
        let newest = rows.iter().rev().take(smooth_n).map(|row| row.score);
        let smoothed = newest.clone().sum::<f64>() / newest.len().max(1) as f64;
        let known = |edge: f64| edge.is_finite().then_some(edge);
        Ok(rows.pop().filter(|row| row.time == self.at).map(|row| ScoreStep {
            score: row.score,
            expected: (known(row.lower), known(row.upper)),
            terms: row.terms.into_iter().filter(|(_, part)| part.is_finite()).collect(),
            smooth_n,
            smoothed,
            run: run.map(RunView::of),
        }))
    }

    /// The run that scored the point: the first one after its column was whole that scored
    /// anything. `None` where runs of that time are no longer kept.
    pub(super) fn score_run(&self) -> Result<Option<RunRecord>, DeskError> {
        if self.series.scored.is_none_or(|scored| scored < self.at) {
            return Ok(None);
        }
        let runs = self.runs(Job::Score)?;
        // Where older runs have gone, the first that is left may be much too late: then a model
        // stood before it, when the column was whole.
        let complete = runs.last().is_some_and(|oldest| oldest.slot.scheduled <= self.end());
        if !complete && self.has_fit(self.end())? {
            return Ok(None);
        }
        let scored = |run: &RunRecord| run.counts.get("scores").is_some_and(|n| *n > 0);
        for run in runs.into_iter().rev().filter(|run| run.slot.scheduled >= self.end() && scored(run)) {
            if self.has_fit(run.slot.scheduled)? {
                return Ok(Some(run));
            }
        }
        Ok(None)
    }

    fn has_fit(&self, time: Millis) -> Result<bool, DeskError> {
        for tag in self.desk.store.model_tags(&self.key)? {
            if self.desk.store.fit_at(&self.key, self.series.id, &tag, time)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
