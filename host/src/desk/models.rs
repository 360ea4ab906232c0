//! The models of a series: which was fit when, from what, and what it knew.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::page::{Listing, newest_first};
use super::{Ask, Desk, DeskError, Page, instant, selector};
use crate::series::Millis;
use crate::store::FitRecord;

/// Which models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelQuery {
    /// The batch.
    pub id: String,
    /// The series: its `metric_name`, a glob or a part of it, or a selector.
    pub metric: String,
    /// At most so many, the newest first.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

/// A model as it was fit. Its bytes are kept only as long as it judges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelView {
    /// The entry of `model_configs`.
    pub tag: String,
    /// The plugin's name.
    pub plugin: String,
    /// Sha-256 of the component that fit it.
    pub plugin_digest: String,
    /// Sha-256 of the configuration that it was fit with.
    pub config_digest: String,
    /// Sha-256 of the model: its version.
    pub model_digest: String,
    /// The logical now of the run that fit it.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub fitted: Millis,
    /// The history that it saw, half-open.
    #[serde(with = "instant::pair")]
    #[schema(value_type = Vec<String>)]
    pub data: (Millis, Millis),
    /// What it knew, as the plugin tells people: names with values. `season` is in seconds.
    #[schema(value_type = Vec<Vec<String>>)]
    pub facts: Vec<(String, String)>,
    /// Whether it is the newest under its tag: the one that judges.
    pub judges: bool,
}

impl ModelView {
    fn of(fit: FitRecord, judges: bool) -> Self {
        Self {
            tag: fit.tag,
            plugin: fit.plugin,
            plugin_digest: fit.plugin_digest,
            config_digest: fit.config_digest,
            model_digest: fit.digest,
            fitted: fit.scheduled,
            data: fit.data,
            facts: fit.facts,
            judges,
        }
    }
}

impl Ask for ModelQuery {
    type Reply = Page<ModelView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<ModelView>, DeskError> {
        let key = desk.batch(&self.id)?;
        let series = selector::one(desk.store, &key, &self.metric)?;
        let mut tags = BTreeSet::new();
        let fits = desk.store.fits(&key, series.id)?;
        let models = fits.into_iter().map(|fit| {
            let judges = tags.insert(fit.tag.clone());
            ModelView::of(fit, judges)
        });
        let order = |model: &ModelView| format!("{} {}", newest_first(model.fitted), model.tag);
        Page::of(models, order, self.cursor.as_deref(), self.limit, desk.config.limits.api_page_items)
    }
}

impl Listing for ModelQuery {
    type Item = ModelView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}
