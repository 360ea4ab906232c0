//! "Try it": a batch is fetched, fit and scored without being kept.

use std::collections::BTreeMap;
use std::ops::Range;

use axum::extract::rejection::StringRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Asked;
use super::batches::YAML;
use super::describe::{Described, json_reply};
use super::endpoint::{Right, Verb};
use super::routes::{Routes, cut_off};
use super::{Api, Problem};
use crate::config::Limits;
use crate::desk::tenants::Scope;
use crate::desk::{AlertQuery, AlertView, Ask as _, Desk, DeskError, PointView, RunView, instant};
use crate::node::Trial;
use crate::series::Millis;
use crate::store::{SeriesRecord, StoreError};

/// What a batch would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrialView {
    /// The batch.
    pub batch: String,
    /// The span that was judged begins here; what was fetched before it was learned from.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub from: Millis,
    /// It ends before this.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub to: Millis,
    /// What was done, in order.
    pub runs: Vec<RunView>,
    /// How many series it has.
    pub series_count: usize,
    /// Those with the highest scores.
    pub series: Vec<TrialSeries>,
    /// The alerts that it would have raised in the span.
    pub alerts: Vec<AlertView>,
}

/// A series of a batch that was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrialSeries {
    /// Its `metric_name`.
    pub metric: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its highest score; `None`: it has none.
    pub peak: Option<f64>,
    /// Its points of the span; of more than can be shown, those with the highest scores.
    pub points: Vec<PointView>,
}

pub(super) fn register(routes: &mut Routes) {
    let described = Described {
        verb: Verb::Post,
        path: "/api/v1/tenants/{tenant}/try".to_owned(),
        right: Right::Tenant(Scope::Admin),
        summary: "Fetches and scores a batch without keeping anything, and shows what it would do",
        query: None,
        body: Some((YAML, None)),
        reply: json_reply(200, routes.document.schema::<TrialView>()),
    };
    let text = DefaultBodyLimit::max(routes.config_bytes());
    routes.add(described, post(try_it).layer(text));
}

async fn try_it(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    body: Result<String, StringRejection>,
) -> Response {
    match body {
        Ok(text) => match api.try_batch(&tenant, text).await {
            Ok(view) => Json(view).into_response(),
            Err(problem) => problem.into_response(),
        },
        Err(rejection) => Problem::new(rejection.status(), rejection.body_text()).into_response(),
    }
}

impl Api {
    /// Tries a batch of a tenant.
    pub async fn try_batch(&self, tenant: &str, text: String) -> Result<TrialView, Problem> {
        let (node, own) = (self.node.clone(), tenant.to_owned());
        // A task of its own: who asked may go away, and the place is given back in time.
        let tried = tokio::spawn(async move { node.try_batch(&own, &text).await }).await;
        let trial = tried.map_err(|_| cut_off())?.map_err(Problem::from)?;
        let (node, tenant) = (self.node.clone(), tenant.to_owned());
        let viewed = tokio::task::spawn_blocking(move || {
            let batches = [(trial.batch.key.clone(), &trial.batch)].into();
            let (config, now) = (&node.config, node.clock.now());
            let desk = Desk { store: &trial.store, batches: &batches, config, tenant: &tenant, now };
            view(&trial, &desk, &node.config.limits)
        });
        viewed.await.map_err(|_| cut_off())?.map_err(Problem::from)
    }
}

fn view(trial: &Trial, desk: &Desk<'_>, limits: &Limits) -> Result<TrialView, DeskError> {
    let key = &trial.batch.key;
    let all = trial.store.series(key);
    let mut peaks: Vec<(Option<f64>, &SeriesRecord)> = Vec::with_capacity(all.len());
    for series in &all {
        let rows =
            trial.store.scores(key, &[series.id], trial.span.clone())?.into_iter().flat_map(|column| column.rows);
        peaks.push((rows.map(|row| row.score).filter(|score| score.is_finite()).reduce(f64::max), series));
    }
    peaks.sort_by(|(a, one), (b, other)| {
        b.unwrap_or(-1.0).total_cmp(&a.unwrap_or(-1.0)).then_with(|| one.name.cmp(&other.name))
    });
    let mut series = Vec::new();
    for (peak, record) in peaks.into_iter().take(limits.trial_series) {
        let labels = record.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let points = points(trial, record, &trial.span, limits.trial_points.max(1))?;
        series.push(TrialSeries { metric: record.name.clone(), labels, peak, points });
    }
    let alerts = if trial.span.is_empty() {
        Vec::new()
    } else {
        let query = AlertQuery { all: true, limit: Some(limits.api_page_items), ..AlertQuery::default() };
        query.ask(desk)?.items.into_iter().filter(|alert| alert.fired.is_some()).collect()
    };
    Ok(TrialView {
        batch: key.batch.clone(),
        from: trial.span.start,
        to: trial.span.end,
        runs: trial.runs.iter().cloned().map(RunView::from).collect(),
        series_count: all.len(),
        series,
        alerts,
    })
}

/// The points of a series in a span: `most` at most, of neighbours the one with the highest
/// score.
fn points(
    trial: &Trial,
    series: &SeriesRecord,
    span: &Range<Millis>,
    most: usize,
) -> Result<Vec<PointView>, StoreError> {
    let (key, ids) = (&trial.batch.key, [series.id]);
    let known = |value: f64| value.is_finite().then_some(value);
    let empty = |time| PointView { time, value: None, score: None, lower: None, upper: None };
    let mut points: BTreeMap<Millis, PointView> = BTreeMap::new();
    for column in trial.store.values(key, &ids, span.clone())? {
        for (time, value) in column.timestamps.into_iter().zip(column.values) {
            points.entry(time).or_insert_with(|| empty(time)).value = known(value);
        }
    }
    for row in trial.store.scores(key, &ids, span.clone())?.into_iter().flat_map(|column| column.rows) {
        let point = points.entry(row.time).or_insert_with(|| empty(row.time));
        (point.score, point.lower, point.upper) = (known(row.score), known(row.lower), known(row.upper));
    }
    let points: Vec<PointView> = points.into_values().collect();
    let neighbours = points.len().div_ceil(most).max(1);
    let highest = |points: &[PointView]| {
        let by_score = |a: &&PointView, b: &&PointView| a.score.unwrap_or(-1.0).total_cmp(&b.score.unwrap_or(-1.0));
        points.iter().max_by(by_score).cloned()
    };
    Ok(points.chunks(neighbours).filter_map(highest).collect())
}
