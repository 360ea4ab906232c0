//! Runs, jobs and schedules: seen, begun once more, cut short, backfilled, paused.

use std::str::FromStr as _;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema as _, ToSchema};

use super::auth::Asked;
use super::batches::blocking;
use super::describe::{Described, json_body, json_reply};
use super::endpoint::{Endpoint, Right, Verb};
use super::routes::Routes;
use super::{Api, Problem};
use crate::config::{BatchKey, Job};
use crate::desk::tenants::Scope;
use crate::desk::{Desk, DeskError, Page, RunList, RunView, instant};
use crate::node::{BackfillView, JobQuery, JobView, Node, RunDetail, STAGES};
use crate::series::Millis;

impl Endpoint for RunList {
    const VERB: Verb = Verb::Get;
    const PATH: &str = "/runs";
    const RIGHT: Right = Right::Tenant(Scope::Read);
    const SUMMARY: &str = "Lists the runs of all batches: those that wait, those under way, those that ended";
    const RESHAPES: bool = false;
}

/// Cuts a run short.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunCancel {
    /// Who does it.
    pub by: Option<String>,
}

/// Does a run once more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunRetry {}

/// Runs a chain once more, from one of its stages on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunAgain {
    /// `ingest`, `train`, `score` or `alert`.
    pub from: String,
}

/// Fetches and scores a span of the past again. Nobody is told of old alerts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Backfill {
    /// The first instant.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub from: Millis,
    /// Behind the last.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub to: Millis,
}

/// Which batches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Batches {
    /// Their names.
    pub batches: Vec<String>,
    /// All of the tenant.
    pub all: bool,
}

/// Batches that were paused, or go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchesPaused {
    /// Their names.
    pub batches: Vec<String>,
    /// Whether they are paused now.
    pub paused: bool,
}

pub(super) fn register(routes: &mut Routes) {
    let (read, operate) = (Right::Tenant(Scope::Read), Right::Tenant(Scope::Operate));
    let document = &mut routes.document;
    let (view, detail) = (document.schema::<RunView>(), document.schema::<RunDetail>());
    let (runs, jobs) = (document.schema::<Page<RunView>>(), document.schema::<Page<JobView>>());
    let (cancelled, retried, again) =
        (document.schema::<RunCancel>(), document.schema::<RunRetry>(), document.schema::<RunAgain>());
    let (filled, filling) = (document.schema::<Backfill>(), document.schema::<BackfillView>());
    let (batches, paused) = (document.schema::<Batches>(), document.schema::<BatchesPaused>());
    let ask = |path: &str, summary, query, reply: String| Described {
        verb: Verb::Get,
        path: format!("/api/v1/tenants/{{tenant}}{path}"),
        right: read,
        summary,
        query,
        body: None,
        reply: json_reply(200, reply),
    };
    let act = |path: &str, summary, body: String, status, reply: String| Described {
        verb: Verb::Post,
        right: operate,
        body: json_body(body),
        reply: json_reply(status, reply),
        ..ask(path, summary, None, String::new())
    };
    let (path, summary) = (RunList::PATH, RunList::SUMMARY);
    routes.add(ask(path, summary, Some(RunList::schema()), runs), get(list));
    routes.add(ask("/runs/{id}", "Shows a run, with its lines and its chain", None, detail), get(show));
    let cut = "Cuts a run short that is under way";
    routes.add(act("/runs/{id}/cancel", cut, cancelled, 200, view.clone()), post(cancel));
    let more = "Does a run that has ended once more, in its own slot, and what follows it in a chain";
    routes.add(act("/runs/{id}/retry", more, retried, 202, view.clone()), post(retry));
    let stage = "Runs the chain of a run once more, from a stage on, over the same span";
    routes.add(act("/runs/{id}/rerun", stage, again, 202, view), post(rerun));
    let planned = "Lists the jobs of the batches: when they run, how they last went";
    routes.add(ask("/jobs", planned, Some(JobQuery::schema()), jobs), get(schedules));
    let many = "Pauses batches: those named, or all";
    routes.add(act("/jobs/pause", many, batches.clone(), 200, paused.clone()), post(pause));
    let on = "Lets batches go on: those named, or all";
    routes.add(act("/jobs/resume", on, batches, 200, paused), post(resume));
    let past = "Fetches and scores a span of the past again; nobody is told of old alerts";
    routes.add(act("/batches/{id}/backfill", past, filled, 202, filling), post(backfill));
}

/// The runs of a tenant, as a page or a client asks for them.
pub(in crate::web) fn runs(node: &Node, tenant: &str, asked: &RunList) -> Result<Page<RunView>, DeskError> {
    let bound = node.batches();
    let own = bound.iter().filter(|bound| bound.batch.key.tenant == tenant);
    let batches = own.map(|bound| (bound.batch.key.clone(), &bound.batch)).collect();
    let config = &node.config;
    let desk = Desk { store: &node.store, batches: &batches, config, tenant, now: node.clock.now() };
    node.runs(&desk, asked)
}

async fn list(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    query: Result<Query<RunList>, QueryRejection>,
) -> Response {
    match query {
        Ok(Query(asked)) => blocking(move || runs(&api.node, &tenant, &asked)).await,
        Err(rejection) => Problem::new(rejection.status(), rejection.body_text()).into_response(),
    }
}

async fn show(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, id)): Path<(String, String)>,
) -> Response {
    blocking(move || api.node.run_detail(&tenant, &id)).await
}

async fn cancel(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, id)): Path<(String, String)>,
    body: Result<Json<RunCancel>, JsonRejection>,
) -> Response {
    let by = match body {
        Ok(Json(RunCancel { by })) => by.unwrap_or_else(|| "somebody".to_owned()),
        Err(rejection) => return Problem::new(rejection.status(), rejection.body_text()).into_response(),
    };
    if by.trim().is_empty() || by.len() > 200 {
        let detail = "`by` is no name: write one of up to 200 bytes, or leave it out";
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).into_response();
    }
    blocking(move || api.node.cancel_run(&tenant, &id, by.trim())).await
}

async fn retry(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, id)): Path<(String, String)>,
    body: Result<Json<RunRetry>, JsonRejection>,
) -> Response {
    match body {
        Ok(Json(RunRetry {})) => accepted(blocking(move || api.node.retry_run(&tenant, &id)).await),
        Err(rejection) => Problem::new(rejection.status(), rejection.body_text()).into_response(),
    }
}

async fn rerun(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, id)): Path<(String, String)>,
    body: Result<Json<RunAgain>, JsonRejection>,
) -> Response {
    let stage = match body {
        Ok(Json(RunAgain { from })) => Job::from_str(&from).ok().filter(|stage| STAGES.contains(stage)),
        Err(rejection) => return Problem::new(rejection.status(), rejection.body_text()).into_response(),
    };
    let Some(stage) = stage else {
        let names = STAGES.map(Job::name).join(", ");
        let detail = format!("`from` is no stage from which a run can begin again; there are {names}");
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).into_response();
    };
    accepted(blocking(move || api.node.rerun_from(&tenant, &id, stage)).await)
}

async fn schedules(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    query: Result<Query<JobQuery>, QueryRejection>,
) -> Response {
    match query {
        Ok(Query(asked)) => blocking(move || api.node.jobs(&tenant, &asked)).await,
        Err(rejection) => Problem::new(rejection.status(), rejection.body_text()).into_response(),
    }
}

async fn pause(api: State<Api>, asked: Extension<Asked>, body: Result<Json<Batches>, JsonRejection>) -> Response {
    set_paused(api, asked, body, true).await
}

async fn resume(api: State<Api>, asked: Extension<Asked>, body: Result<Json<Batches>, JsonRejection>) -> Response {
    set_paused(api, asked, body, false).await
}

async fn set_paused(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    body: Result<Json<Batches>, JsonRejection>,
    paused: bool,
) -> Response {
    let Batches { batches, all } = match body {
        Ok(Json(batches)) => batches,
        Err(rejection) => return Problem::new(rejection.status(), rejection.body_text()).into_response(),
    };
    if all != batches.is_empty() {
        let detail = "say which batches: either their names in `batches`, or `\"all\": true`";
        return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).into_response();
    }
    blocking(move || {
        let named = Some(batches.as_slice()).filter(|_| !all);
        Ok(BatchesPaused { batches: api.node.pause_many(&tenant, named, paused)?, paused })
    })
    .await
}

async fn backfill(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, batch)): Path<(String, String)>,
    body: Result<Json<Backfill>, JsonRejection>,
) -> Response {
    match body {
        Ok(Json(Backfill { from, to })) => {
            let key = BatchKey { tenant, batch };
            accepted(blocking(move || api.node.backfill(&key, from, to)).await)
        }
        Err(rejection) => Problem::new(rejection.status(), rejection.body_text()).into_response(),
    }
}

/// An answer of something that was begun and goes on.
fn accepted(mut response: Response) -> Response {
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::ACCEPTED;
    }
    response
}
