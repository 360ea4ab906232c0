//! What is wrong now: the alerts that are on, the worst first; how anomalous each batch was over
//! time; whose samples are late; which jobs fail.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::anomaly::{Buckets, Tally};
use super::silences::active;
use super::{AlertView, Ask, Desk, DeskError, FailingJob, Freshness, freshness, instant};
use crate::config::BatchKey;
use crate::message::{AlertKind, AlertPhase};
use crate::series::Millis;
use crate::store::{AlertFilter, SeriesRecord};

/// What is looked back on where no span is named, in milliseconds.
pub(super) const DAY_MS: Millis = 86_400_000;
/// Buckets where nobody says how many, and the most.
const BUCKETS: usize = 48;
const MOST_BUCKETS: usize = 500;
/// Alerts where nobody says how many.
const ALERTS: usize = 20;

/// Asks what is wrong now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Overview {
    /// From when on anomalies are counted; left out: a day before `to`.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub from: Option<Millis>,
    /// To before when; left out: now.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub to: Option<Millis>,
    /// Into how many buckets the span is cut.
    pub buckets: Option<usize>,
    /// At most so many alerts, the worst first.
    pub limit: Option<usize>,
}

/// What is wrong now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OverviewView {
    /// The time of this answer.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub now: Millis,
    /// The beginning of the first bucket.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub from: Millis,
    /// The end of the last.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub to: Millis,
    /// How long a bucket is, in milliseconds.
    pub bucket_ms: Millis,
    /// How many alerts are not over.
    pub open: usize,
    /// The worst of them: those that nobody has seen to go first, then by score.
    pub alerts: Vec<AlertView>,
    /// The batches: those with alerts first, then the most anomalous.
    pub batches: Vec<BatchHealth>,
    /// Jobs whose last run failed, those that fail longest first.
    pub failing: Vec<FailingJob>,
}

/// How a batch is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchHealth {
    /// The batch.
    pub batch: String,
    /// How many series it has.
    pub series: usize,
    /// How many of its alerts fire.
    pub firing: usize,
    /// Those of them that nobody has acknowledged, snoozed or silenced.
    pub unseen: usize,
    /// How many of its jobs fail.
    pub failing: usize,
    /// Its newest sample.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub newest: Option<Millis>,
    /// When a newer one should be there.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub due: Option<Millis>,
    /// Whether its samples come as its schedule says.
    pub freshness: Freshness,
    /// From which score on a point is over the threshold.
    pub threshold: f64,
    /// The share of scored points over the threshold, of all series in the whole span.
    pub rate: Option<f64>,
    /// Their mean score.
    pub mean: Option<f64>,
    /// The share of each bucket; `None` where nothing has a score.
    #[schema(value_type = Vec<Option<f64>>)]
    pub heat: Vec<Option<f64>>,
    /// The highest score of each bucket.
    #[schema(value_type = Vec<Option<f64>>)]
    pub peaks: Vec<Option<f64>>,
    /// Of how many series one was counted: more than 1 where the batch is too large for the span.
    pub one_of: usize,
}

impl Ask for Overview {
    type Reply = OverviewView;

    fn ask(&self, desk: &Desk<'_>) -> Result<OverviewView, DeskError> {
        let span = span(self.from, self.to, desk.now)?;
        let buckets = Buckets::of(&span, self.buckets.unwrap_or(BUCKETS).clamp(1, MOST_BUCKETS));
        let mut alerts = desk.open_alerts()?;
        let open = alerts.len();
        let mut keys: BTreeSet<BatchKey> = desk.store.batches_of(desk.tenant).into_iter().collect();
        keys.extend(desk.batches.keys().filter(|key| key.tenant == desk.tenant).cloned());
        keys.retain(|key| !key.is_tenant());
        let mut failing = desk.failing(&BatchKey::of_tenant(desk.tenant))?;
        let mut batches = Vec::new();
        for key in &keys {
            let own = if desk.batches.contains_key(key) { desk.failing(key)? } else { Vec::new() };
            batches.push(health(desk, key, buckets, &alerts, own.len())?);
            failing.extend(own);
        }
        batches.sort_by(|a, b| {
            let first = |health: &BatchHealth| (health.unseen, health.firing);
            let rate = |health: &BatchHealth| health.rate.unwrap_or(-1.0);
            first(b).cmp(&first(a)).then(rate(b).total_cmp(&rate(a))).then_with(|| a.batch.cmp(&b.batch))
        });
        failing.sort_by(|a, b| (a.since, &a.batch, &a.job).cmp(&(b.since, &b.batch, &b.job)));
        alerts.truncate(self.limit.unwrap_or(ALERTS).min(desk.config.limits.api_page_items));
        let (from, to, bucket_ms) = (buckets.start, buckets.end(), buckets.length);
        Ok(OverviewView { now: desk.now, from, to, bucket_ms, open, alerts, batches, failing })
    }
}

/// The span that a request names, or the last day.
pub(super) fn span(from: Option<Millis>, to: Option<Millis>, now: Millis) -> Result<Range<Millis>, DeskError> {
    let to = to.unwrap_or(now);
    let from = from.unwrap_or(to.saturating_sub(DAY_MS));
    if from >= to {
        let (from, to) = (instant::text(from), instant::text(to));
        return Err(DeskError::invalid(format!(
            "nothing lies between {from} and {to}; write a `from` before the `to`"
        )));
    }
    Ok(from..to)
}

impl Desk<'_> {
    /// The alerts that are not over: those that nobody has seen to go first, then by score.
    fn open_alerts(&self) -> Result<Vec<AlertView>, DeskError> {
        let silences = active(self, self.tenant)?;
        let open = self.alerts(&AlertFilter { open: true, ..AlertFilter::default() })?;
        let views = open.into_iter().map(|record| AlertView::of(self, record, &silences));
        let mut views: Vec<AlertView> = views.collect::<Result<_, _>>()?;
        views.sort_by(|a, b| {
            let rank = |alert: &AlertView| match alert.state() {
                "firing" => 0,
                "acknowledged" => 1,
                "snoozed" | "silenced" => 2,
                _ => 3,
            };
            // Missing data and changes have no score of their kind: they stand below a sure anomaly.
            let score = |alert: &AlertView| match alert.kind {
                AlertKind::Anomaly | AlertKind::Llm => alert.score.unwrap_or(0.0),
                _ => 0.9,
            };
            rank(a).cmp(&rank(b)).then(score(b).total_cmp(&score(a))).then(b.started.cmp(&a.started))
        });
        Ok(views)
    }
}

fn health(
    desk: &Desk<'_>,
    key: &BatchKey,
    buckets: Buckets,
    alerts: &[AlertView],
    failing: usize,
) -> Result<BatchHealth, DeskError> {
    let series = desk.store.series(key);
    let newest = series.iter().filter_map(|series| series.span).map(|(_, last)| last).max();
    let batch = desk.batches.get(key).copied();
    let own = || alerts.iter().filter(|alert| alert.batch == key.batch && alert.phase == AlertPhase::Firing);
    let span = buckets.start..buckets.end();
    let most = desk.config.limits.overview_points.max(1);
    let one_of = desk.scores_in(key, series.len(), &span).div_ceil(most).max(1);
    let counted: Vec<&SeriesRecord> = series
        .iter()
        .filter(|series| series.scored.is_some_and(|scored| scored >= span.start))
        .step_by(one_of)
        .collect();
    let mut row = vec![Tally::default(); buckets.count];
    desk.tally(key, &counted, buckets, |_, tallies| {
        for (sum, tally) in row.iter_mut().zip(&tallies) {
            sum.join(tally);
        }
    })?;
    let mut whole = Tally::default();
    row.iter().for_each(|tally| whole.join(tally));
    Ok(BatchHealth {
        batch: key.batch.clone(),
        series: series.len(),
        firing: own().count(),
        unseen: own().filter(|alert| alert.state() == "firing").count(),
        failing,
        newest,
        due: batch.zip(newest).and_then(|(batch, newest)| freshness::due(batch, newest)),
        freshness: Freshness::of(batch, newest, desk.now),
        threshold: desk.threshold(key),
        rate: whole.rate(),
        mean: whole.mean(),
        heat: row.iter().map(Tally::rate).collect(),
        peaks: row.iter().map(|tally| tally.worst.map(|(_, score)| score)).collect(),
        one_of,
    })
}
