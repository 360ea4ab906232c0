//! What a point was judged by: the fit that stood when it was scored.

use super::{DeskError, FitView, ModelStep, Subject};
use crate::series::Millis;
use crate::store::{FitRecord, RunRecord};

impl Subject<'_> {
    pub(super) fn models(&self, score_run: Option<&RunRecord>) -> Result<Vec<ModelStep>, DeskError> {
        let tags = match self.batch {
            Some(batch) => batch.detectors.iter().map(|entry| entry.tag.clone()).collect(),
            None => self.desk.store.model_tags(&self.key)?,
        };
        let fit_at = |tag: &str, time| self.desk.store.fit_at(&self.key, self.series.id, tag, time);
        let step = |tag: String| -> Result<ModelStep, DeskError> {
            // A fit judges what is scored after it, which may be long after the point's own time.
            // What has no score would be judged by the one that stands now.
            let is_scored = self.series.scored.is_some_and(|scored| scored >= self.at);
            let otherwise = if is_scored { self.end() } else { Millis::MAX };
            let scored = score_run.map_or(otherwise, |run| run.slot.scheduled);
            let fit = fit_at(&tag, scored)?;
            Ok(ModelStep { tag, fit: fit.map(view) })
        };
        tags.into_iter().map(step).collect()
    }
}

fn view(fit: FitRecord) -> FitView {
    FitView {
        plugin: fit.plugin,
        plugin_digest: fit.plugin_digest,
        config_digest: fit.config_digest,
        model_digest: fit.digest,
        fitted: fit.scheduled,
        data: fit.data,
        left_out: fit.left_out,
        facts: fit.facts,
    }
}
