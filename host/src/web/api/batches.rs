//! The batches of a tenant: their texts, whether they run, and runs by hand.

use std::str::FromStr as _;

use axum::extract::rejection::{JsonRejection, QueryRejection, StringRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema as _, ToSchema};

use super::auth::Asked;
use super::describe::{Described, json_body, json_reply};
use super::endpoint::{Right, Verb};
use super::problem::BatchProblem;
use super::routes::{Object, Routes, cut_off, read, replied};
use super::{Api, Problem};
use crate::config::{BatchKey, Job, Problems};
use crate::desk::tenants::Scope;
use crate::desk::{DeskError, Page, RunView, instant};
use crate::node::{Node, Untaken};
use crate::series::Millis;

/// The media type of a batch.
pub(super) const YAML: &str = "application/yaml";

/// Which batches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BatchQuery {
    /// At most so many, by name.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

/// A batch as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchView {
    /// Its tenant.
    pub tenant: String,
    /// Its name.
    pub batch: String,
    /// `api`: it came through the API; `file`: it stands in a file of the node.
    pub source: String,
    /// Whether it is taken up; where not, `problems` say why.
    pub active: bool,
    /// Whether it is paused: no run of it starts by itself.
    pub paused: bool,
    /// What is wrong with it.
    pub problems: Vec<BatchProblem>,
    /// How many series it has.
    pub series: usize,
    /// The newest run of each of its jobs.
    pub last_runs: Vec<RunView>,
    /// Its text, where it came through the API and one batch is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What was found in the text of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Validation {
    /// Whether it could be taken.
    pub valid: bool,
    /// Errors and warnings.
    pub problems: Vec<BatchProblem>,
}

/// Asks for a run now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunStart {
    /// This job alone; left out: the whole chain.
    pub job: Option<String>,
}

/// A run that has begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunStarted {
    /// The batch.
    pub batch: String,
    /// The instant for which it stands among the runs, when it has ended.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub scheduled: Millis,
}

pub(super) fn register(routes: &mut Routes) {
    let (read, operate, admin) =
        (Right::Tenant(Scope::Read), Right::Tenant(Scope::Operate), Right::Tenant(Scope::Admin));
    let own = |path: &str| format!("/api/v1/tenants/{{tenant}}{path}");
    let view = routes.document.schema::<BatchView>();
    let page = routes.document.schema::<Page<BatchView>>();
    let validation = routes.document.schema::<Validation>();
    let (start, started) = (routes.document.schema::<RunStart>(), routes.document.schema::<RunStarted>());
    let text = DefaultBodyLimit::max(routes.config_bytes());
    let query = Some(BatchQuery::schema());
    let route = |verb, path: String, right, summary, query, body, reply| Described {
        verb,
        path,
        right,
        summary,
        query,
        body,
        reply,
    };
    let all = json_reply(200, page);
    let one = json_reply(200, view);
    routes.add(
        route(
            Verb::Get,
            "/api/v1/batches".to_owned(),
            Right::Operator,
            "Lists the batches of all tenants",
            query.clone(),
            None,
            all.clone(),
        ),
        get(every),
    );
    let listed = route(Verb::Get, own("/batches"), read, "Lists the batches", query, None, all);
    routes.add(listed, get(list));
    let shown = route(Verb::Get, own("/batches/{id}"), read, "Shows a batch with its text", None, None, one.clone());
    routes.add(shown, get(show));
    let body = Some((YAML, None));
    let written = route(Verb::Put, own("/batches/{id}"), admin, "Writes a batch", None, body.clone(), one.clone());
    routes.add(written, put(write).layer(text));
    let gone = json_reply(200, "BatchView".to_owned());
    let removed =
        route(Verb::Delete, own("/batches/{id}"), admin, "Deletes a batch with all that it has", None, None, gone);
    routes.add(removed, delete(remove));
    let checked = route(Verb::Post, own("/validate"), read, "Checks a batch", None, body, json_reply(200, validation));
    routes.add(checked, post(validate).layer(text));
    let paused = route(Verb::Post, own("/batches/{id}/pause"), operate, "Pauses a batch", None, None, one.clone());
    routes.add(paused, post(pause));
    let resumed = route(Verb::Post, own("/batches/{id}/resume"), operate, "Lets a batch go on", None, None, one);
    routes.add(resumed, post(resume));
    let run = route(
        Verb::Post,
        own("/batches/{id}/runs"),
        operate,
        "Runs a batch now",
        None,
        json_body(start),
        json_reply(202, started),
    );
    routes.add(run, post(begin));
}

async fn every(State(api): State<Api>, query: Result<Query<BatchQuery>, QueryRejection>) -> Response {
    page(api, None, query).await
}

async fn list(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    query: Result<Query<BatchQuery>, QueryRejection>,
) -> Response {
    page(api, Some(tenant), query).await
}

impl Api {
    /// A batch of a tenant with its text, where that came through the API.
    pub async fn batch(&self, tenant: &str, batch: &str) -> Result<BatchView, Problem> {
        let (node, key) = (self.node.clone(), BatchKey { tenant: tenant.to_owned(), batch: batch.to_owned() });
        let shown = tokio::task::spawn_blocking(move || {
            known(&node, &key)?;
            view(&node, key, true)
        });
        shown.await.map_err(|_| cut_off())?.map_err(Problem::from)
    }

    /// What is wrong with the text of a batch of a tenant.
    pub async fn validate(&self, tenant: &str, text: &str) -> Validation {
        let name = crate::config::named_in(text);
        let problems = self.node.check_text(tenant, name.as_deref().unwrap_or("batch"), text).await;
        Validation { valid: !problems.has_errors(), problems: listed(&problems) }
    }

    /// Deletes a batch of a tenant with all that it has.
    pub async fn delete_batch(&self, key: BatchKey) -> Result<BatchView, Problem> {
        let node = self.node.clone();
        let done = tokio::task::spawn_blocking(move || {
            known(&node, &key)?;
            let view = view(&node, key.clone(), true)?;
            node.delete_batch(&key)?;
            Ok::<_, Problem>(view)
        });
        done.await.map_err(|_| cut_off())?
    }

    /// Pauses a batch of a tenant, or lets it go on.
    pub async fn set_paused(&self, key: BatchKey, paused: bool) -> Result<BatchView, Problem> {
        let node = self.node.clone();
        let done = tokio::task::spawn_blocking(move || {
            known(&node, &key)?;
            node.pause(&key, paused)?;
            view(&node, key, false)
        });
        done.await.map_err(|_| cut_off())?.map_err(|error: DeskError| error.into())
    }

    /// The first batches of a tenant, by name: as many as a page may have.
    pub async fn batches(&self, tenant: &str) -> Result<Vec<BatchView>, Problem> {
        let (node, tenant) = (self.node.clone(), tenant.to_owned());
        let listed = tokio::task::spawn_blocking(move || {
            let names = node.batch_names(&tenant)?.into_iter().take(node.config.limits.api_page_items);
            names.map(|batch| view(&node, BatchKey { tenant: tenant.clone(), batch }, false)).collect()
        });
        listed.await.unwrap_or_else(|_| Ok(Vec::new())).map_err(|error: DeskError| error.into())
    }
}

async fn page(api: Api, tenant: Option<String>, query: Result<Query<BatchQuery>, QueryRejection>) -> Response {
    let asked = match query {
        Ok(Query(asked)) => asked,
        Err(rejection) => return Problem::new(rejection.status(), rejection.body_text()).into_response(),
    };
    blocking(move || {
        let node = &api.node;
        let mut keys = Vec::new();
        for tenant in tenant.map_or_else(|| node.tenant_names(), |tenant| vec![tenant]) {
            let names = node.batch_names(&tenant)?.into_iter();
            keys.extend(names.map(|batch| BatchKey { tenant: tenant.clone(), batch }));
        }
        let most = node.config.limits.api_page_items;
        let page = Page::of(keys, |key| key.to_string(), asked.cursor.as_deref(), asked.limit, most)?;
        page.map(|key| view(node, key, false))
    })
    .await
}

async fn show(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, batch)): Path<(String, String)>,
) -> Response {
    replied(api.batch(&tenant, &batch).await)
}

async fn write(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, batch)): Path<(String, String)>,
    body: Result<String, StringRejection>,
) -> Response {
    let text = match body {
        Ok(text) => text,
        Err(rejection) => return Problem::new(rejection.status(), rejection.body_text()).into_response(),
    };
    let key = BatchKey { tenant, batch };
    match api.node.put_batch(&key, &text).await {
        Ok(_) => blocking(move || view(&api.node, key, true)).await,
        Err(untaken) => Problem::from(untaken).into_response(),
    }
}

async fn validate(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    body: Result<String, StringRejection>,
) -> Response {
    match body {
        Ok(text) => Json(api.validate(&tenant, &text).await).into_response(),
        Err(rejection) => Problem::new(rejection.status(), rejection.body_text()).into_response(),
    }
}

async fn remove(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, batch)): Path<(String, String)>,
) -> Response {
    replied(api.delete_batch(BatchKey { tenant, batch }).await)
}

async fn pause(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, batch)): Path<(String, String)>,
) -> Response {
    replied(api.set_paused(BatchKey { tenant, batch }, true).await)
}

async fn resume(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, batch)): Path<(String, String)>,
) -> Response {
    replied(api.set_paused(BatchKey { tenant, batch }, false).await)
}

async fn begin(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, batch)): Path<(String, String)>,
    body: Result<Json<Object>, JsonRejection>,
) -> Response {
    let job = match read(body) {
        Ok(RunStart { job }) => job,
        Err(problem) => return problem.into_response(),
    };
    let job = match job.as_deref().map(Job::from_str).transpose() {
        Ok(job) if job.is_none_or(|job| !job.of_tenant()) => job,
        _ => {
            let names = Job::ALL.into_iter().filter(|job| !job.of_tenant()).map(Job::name).collect::<Vec<_>>();
            let detail = format!("there is no such job of a batch; there are {}", names.join(", "));
            return Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).into_response();
        }
    };
    let key = BatchKey { tenant, batch };
    let Some(bound) = api.node.batch(&key) else {
        let problem = match known(&api.node, &key) {
            Ok(()) => Problem::new(StatusCode::CONFLICT, format!("the batch {key} is not taken up; see its problems")),
            Err(error) => error.into(),
        };
        return problem.into_response();
    };
    match api.node.start(&bound, job) {
        Ok(scheduled) => (StatusCode::ACCEPTED, Json(RunStarted { batch: key.batch, scheduled })).into_response(),
        Err(why) => Problem::new(StatusCode::CONFLICT, why).into_response(),
    }
}

/// Does what blocks, on a thread for it.
pub(super) async fn blocking<T: Serialize + Send + 'static>(
    work: impl FnOnce() -> Result<T, DeskError> + Send + 'static,
) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(reply)) => Json(reply).into_response(),
        Ok(Err(error)) => Problem::from(error).into_response(),
        Err(_) => cut_off().into_response(),
    }
}

/// Fails if a tenant has no such batch.
fn known(node: &Node, key: &BatchKey) -> Result<(), DeskError> {
    if node.batch(key).is_some() || node.batch_text(key)?.is_some() {
        return Ok(());
    }
    Err(DeskError::Unknown(format!("the tenant {} has no batch `{}`", key.tenant, key.batch)))
}

fn listed(problems: &Problems) -> Vec<BatchProblem> {
    problems.iter().map(BatchProblem::from).collect()
}

fn view(node: &Node, key: BatchKey, whole: bool) -> Result<BatchView, DeskError> {
    let kept = node.batch_text(&key)?;
    let bound = node.batch(&key);
    let last = |job: Job| node.store.last_run(&key, job).ok().flatten().map(RunView::from);
    let mut problems: Vec<BatchProblem> = node.problems_of(&key).iter().map(BatchProblem::from).collect();
    problems.extend(bound.iter().flat_map(|bound| listed(&bound.batch.warnings)));
    Ok(BatchView {
        source: if kept.is_some() { "api" } else { "file" }.to_owned(),
        active: bound.is_some(),
        paused: node.is_paused(&key),
        problems,
        series: node.store.series(&key).len(),
        last_runs: Job::ALL.into_iter().filter_map(last).collect(),
        text: kept.filter(|_| whole).map(|kept| kept.text),
        tenant: key.tenant,
        batch: key.batch,
    })
}

impl From<Untaken> for Problem {
    fn from(untaken: Untaken) -> Self {
        match untaken {
            Untaken::Conflict(why) => Self::new(StatusCode::CONFLICT, why),
            Untaken::Store(error) => DeskError::from(error).into(),
            Untaken::Problems(problems) => Self {
                problems: listed(&problems),
                ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the batch cannot be used:\n{problems}"))
            },
        }
    }
}
