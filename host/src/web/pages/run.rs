//! One run: where it is, what it said, what went wrong and what to do, and its chain.

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, http::StatusCode};
use chrono::DateTime;
use serde::Deserialize;

use super::Pages;
use super::frame::{Frame, Part, ProblemPage, encoded, page};
use crate::config::Job;
use crate::desk::tenants::Scope;
use crate::desk::{DeskError, RunView, instant};
use crate::node::{Node, RunDetail, STAGES};
use crate::series::Millis;
use crate::web::api::Api;
use crate::web::api::auth::Visitor;

pub(super) fn register(pages: &mut Pages) {
    pages.add("/runs/{run}", Scope::Read, get(show));
    pages.add("/runs/{run}/cancel", Scope::Operate, post(cancel));
    pages.add("/runs/{run}/retry", Scope::Operate, post(retry));
    pages.add("/runs/{run}/rerun", Scope::Operate, post(rerun));
}

/// A run as pages show it.
pub(super) struct Shown {
    pub run: RunView,
    /// The class of its state.
    pub badge: &'static str,
    /// When it was planned for, and when it began: for people, and for programs.
    pub scheduled: (String, String),
    pub started: (String, String),
    pub took: String,
    /// What went wrong, in a line.
    pub brief: String,
}

impl Shown {
    pub fn of(run: RunView) -> Self {
        let both = |time| (moment(time), instant::text(time));
        Self {
            badge: badge(&run.state),
            scheduled: both(run.scheduled),
            started: both(run.started),
            took: took(run.duration_ms),
            brief: run.why.as_deref().and_then(|why| why.lines().next()).unwrap_or_default().to_owned(),
            run,
        }
    }

    /// Whether it has not ended.
    pub fn is_open(&self) -> bool {
        matches!(self.run.state.as_str(), "queued" | "running")
    }

    pub fn is_running(&self) -> bool {
        self.run.state == "running"
    }

    /// Whether it is the tenant's and not a batch's.
    pub fn is_of_tenant(&self) -> bool {
        self.run.batch == "*"
    }
}

/// The class that colours a state; it is always told in words too.
pub(super) fn badge(state: &str) -> &'static str {
    match state {
        "done" => "good",
        "failed" => "bad",
        "partial" | "cancelled" => "warn",
        "running" => "on",
        _ => "",
    }
}

/// An instant for people: the day and the time, in UTC.
pub(super) fn moment(time: Millis) -> String {
    DateTime::from_timestamp_millis(time).map(|time| time.format("%-d %b %H:%M:%S").to_string()).unwrap_or_default()
}

fn took(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        _ => instant::span(Millis::try_from(ms).unwrap_or(Millis::MAX)),
    }
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    run: Shown,
    chain: Vec<Stage>,
    stages: Vec<String>,
    operates: bool,
}

/// A run of the chain, and where it lies in the time that the chain took.
struct Stage {
    shown: Shown,
    current: bool,
    x: String,
    width: String,
}

fn timeline(chain: Vec<RunView>, id: &str) -> Vec<Stage> {
    let end = |run: &RunView| run.started.saturating_add(Millis::try_from(run.duration_ms).unwrap_or(Millis::MAX));
    let first = chain.iter().map(|run| run.started).min().unwrap_or_default();
    let last = chain.iter().map(end).max().unwrap_or_default();
    let scale = 1_000.0 / last.saturating_sub(first).max(1) as f64;
    let at = |time: Millis| time.saturating_sub(first) as f64 * scale;
    let stage = |run: RunView| {
        let x = at(run.started).clamp(0.0, 994.0);
        let width = (at(end(&run)) - x).clamp(6.0, 1_000.0 - x);
        Stage { current: run.id == id, x: format!("{x:.1}"), width: format!("{width:.1}"), shown: Shown::of(run) }
    };
    chain.into_iter().map(stage).collect()
}

async fn show(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((tenant, id)): Path<(String, String)>,
) -> Result<Response, ProblemPage> {
    let detail = on_node(&api, &visitor, move |node| node.run_detail(&tenant, &id)).await?;
    let RunDetail { run, chain, stages } = detail;
    let title = match run.batch.as_str() {
        "*" => run.job.clone(),
        batch => format!("{batch} · {}", run.job),
    };
    Ok(page(&RunPage {
        frame: Frame::new(&visitor, Part::Jobs, title),
        chain: timeline(chain, &run.id),
        run: Shown::of(run),
        stages,
        operates: visitor.scope >= Scope::Operate,
    }))
}

/// A form of which only the button counts.
#[derive(Deserialize)]
pub(super) struct Button {}

#[derive(Deserialize)]
struct Again {
    from: String,
}

async fn cancel(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((tenant, id)): Path<(String, String)>,
    form: Result<Form<Button>, FormRejection>,
) -> Result<Response, ProblemPage> {
    sent(&visitor, form)?;
    let by = visitor.name().unwrap_or("a person on the dashboard").to_owned();
    let run = on_node(&api, &visitor, move |node| node.cancel_run(&tenant, &id, &by)).await?;
    Ok(to_run(&visitor, &run.id))
}

async fn retry(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((tenant, id)): Path<(String, String)>,
    form: Result<Form<Button>, FormRejection>,
) -> Result<Response, ProblemPage> {
    sent(&visitor, form)?;
    let node = api.node.clone();
    let run = on_node(&api, &visitor, move |_| node.retry_run(&tenant, &id)).await?;
    Ok(to_run(&visitor, &run.id))
}

async fn rerun(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((tenant, id)): Path<(String, String)>,
    form: Result<Form<Again>, FormRejection>,
) -> Result<Response, ProblemPage> {
    let Again { from } = sent(&visitor, form)?;
    let stage = from.parse::<Job>().ok().filter(|stage| STAGES.contains(stage));
    let Some(stage) = stage else {
        let detail = "A run begins again at ingest, train, score or alert.";
        return Err(ProblemPage::new(Some(&visitor), StatusCode::BAD_REQUEST, detail));
    };
    let node = api.node.clone();
    let run = on_node(&api, &visitor, move |_| node.rerun_from(&tenant, &id, stage)).await?;
    Ok(to_run(&visitor, &run.id))
}

/// What a form holds, or the page that says what is wrong with it.
pub(super) fn sent<T>(visitor: &Visitor, form: Result<Form<T>, FormRejection>) -> Result<T, ProblemPage> {
    match form {
        Ok(Form(form)) => Ok(form),
        Err(rejection) => Err(ProblemPage::new(Some(visitor), rejection.status(), rejection.body_text())),
    }
}

/// Leads to the page of a run.
pub(super) fn to_run(visitor: &Visitor, id: &str) -> Response {
    Redirect::to(&format!("/t/{}/runs/{}", encoded(&visitor.tenant), encoded(id))).into_response()
}

/// Does what may block with the node, on a thread for it.
pub(super) async fn on_node<T: Send + 'static>(
    api: &Api,
    visitor: &Visitor,
    work: impl FnOnce(&Node) -> Result<T, DeskError> + Send + 'static,
) -> Result<T, ProblemPage> {
    let node = api.node.clone();
    match tokio::task::spawn_blocking(move || work(&node)).await {
        Ok(done) => done.map_err(|error| ProblemPage::of(Some(visitor), error.into())),
        Err(_) => {
            let detail = "The answer was cut off; this is a fault in anomd.";
            Err(ProblemPage::new(Some(visitor), StatusCode::INTERNAL_SERVER_ERROR, detail))
        }
    }
}
