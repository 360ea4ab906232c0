//! The series of a span by how anomalous they were in it: what to look at first after an
//! incident.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::anomaly::{Buckets, Tally};
use super::overview::span;
use super::page::Listing;
use super::{Ask, Desk, DeskError, Page, instant};
use crate::series::Millis;
use crate::store::SeriesRecord;

/// Steps into which a share is cut to be sorted as text.
const STEPS: f64 = 1e9;

/// Asks which series were the most anomalous in a span.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ranking {
    /// From this instant on; left out: a day before `to`.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub from: Option<Millis>,
    /// To before this instant; left out: now.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub to: Option<Millis>,
    /// Of this batch alone; left out: of all.
    pub batch: Option<String>,
    /// At most so many, the most anomalous first.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

/// A series and how anomalous it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RankedSeries {
    /// Its batch.
    pub batch: String,
    /// Its number there.
    pub number: u32,
    /// Its `metric_name`.
    pub metric: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How many of its points have a score.
    pub scored: u64,
    /// How many of those are over the threshold.
    pub over: u64,
    /// Their share.
    pub rate: f64,
    /// The mean score.
    pub mean: f64,
    /// The highest score.
    pub worst: f64,
    /// When it was.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub worst_at: Millis,
}

impl RankedSeries {
    fn of(batch: &str, series: &SeriesRecord, tally: &Tally) -> Option<Self> {
        let (worst_at, worst) = tally.worst?;
        Some(Self {
            batch: batch.to_owned(),
            number: series.id.0,
            metric: series.name.clone(),
            labels: series.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            scored: tally.scored,
            over: tally.over,
            rate: tally.rate()?,
            mean: tally.mean()?,
            worst,
            worst_at,
        })
    }

    /// A text that sorts the most anomalous first.
    fn order(&self) -> String {
        let falling = |share: f64| ((1.0 - share).clamp(0.0, 1.0) * STEPS) as u64;
        let (rate, mean) = (falling(self.rate), falling(self.mean));
        format!("{rate:010} {mean:010} {:010} {}", self.number, self.batch)
    }
}

impl Ask for Ranking {
    type Reply = Page<RankedSeries>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<RankedSeries>, DeskError> {
        let span = span(self.from, self.to, desk.now)?;
        let keys = match &self.batch {
            Some(named) => vec![desk.batch(named)?],
            None => desk.store.batches_of(desk.tenant).into_iter().filter(|key| !key.is_tenant()).collect(),
        };
        let batches: Vec<_> = keys.into_iter().map(|key| (desk.store.series(&key), key)).collect();
        let scores: usize = batches.iter().map(|(series, key)| desk.scores_in(key, series.len(), &span)).sum();
        let most = desk.config.limits.overview_points;
        if scores > most {
            return Err(DeskError::invalid(format!(
                "from {} to {} there may be {scores} scores, and {most} are ranked at most (limits.overview_points); \
                 write a shorter span, or one batch",
                instant::text(span.start),
                instant::text(span.end)
            )));
        }
        let mut ranked = Vec::new();
        for (series, key) in &batches {
            let all: Vec<&SeriesRecord> = series.iter().collect();
            let whole = Buckets::of(&span, 1);
            desk.tally(key, &all, whole, |series, row| {
                ranked.extend(row.first().and_then(|tally| RankedSeries::of(&key.batch, series, tally)));
            })?;
        }
        ranked.sort_by_cached_key(RankedSeries::order);
        let most = desk.config.limits.api_page_items;
        Page::of(ranked, RankedSeries::order, self.cursor.as_deref(), self.limit, most)
    }
}

impl Listing for Ranking {
    type Item = RankedSeries;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}
