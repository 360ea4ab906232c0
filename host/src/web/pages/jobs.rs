//! Jobs: when they run, how they last went, the last hours as a picture, and all runs.

use askama::Template;
use axum::Extension;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::Pages;
use super::frame::{Frame, Part, ProblemPage, encoded, page};
use super::gantt::{Lane, lanes};
use super::run::{Button, Shown, moment, on_node, sent, to_run};
use crate::config::{BatchKey, Job};
use crate::desk::tenants::Scope;
use crate::desk::{DeskError, RunList, RunView, instant};
use crate::node::{BackfillView, JobQuery, JobView, Node};
use crate::series::Millis;
use crate::web::api::auth::Visitor;
use crate::web::api::{Api, runs};

/// The spans of the picture, and how long they are.
const RANGES: [(&str, Millis); 3] = [("1h", 3_600_000), ("6h", 6 * 3_600_000), ("24h", 24 * 3_600_000)];
/// Runs of a page of the list.
const LISTED: usize = 50;
/// Lanes of the picture, and runs that are looked at for it, of each job.
const LANES: usize = 200;
const DRAWN: usize = 1_500;
/// Jobs of the table of schedules.
const SCHEDULED: usize = 600;

pub(super) fn register(pages: &mut Pages) {
    pages.add("/jobs", Scope::Read, get(show));
    pages.add("/jobs/pause", Scope::Operate, post(pause_all));
    pages.add("/jobs/resume", Scope::Operate, post(resume_all));
    pages.add("/jobs/{batch}/pause", Scope::Operate, post(pause));
    pages.add("/jobs/{batch}/resume", Scope::Operate, post(resume));
    pages.add("/jobs/{batch}/run", Scope::Operate, post(run_now));
    pages.add("/jobs/{batch}/backfill", Scope::Operate, post(backfill));
}

/// The state of the view: all of it stands in the address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct View {
    range: String,
    batch: String,
    job: String,
    state: String,
    cursor: String,
}

impl View {
    fn span(&self) -> (&'static str, Millis) {
        let [_, usual, _] = RANGES;
        RANGES.into_iter().find(|(name, _)| *name == self.range).unwrap_or(usual)
    }

    /// The address of the page with another range or a cursor.
    fn with(&self, frame: &Frame, range: &str, cursor: Option<&str>) -> String {
        let state = [
            ("range", range),
            ("batch", &self.batch),
            ("job", &self.job),
            ("state", &self.state),
            ("cursor", cursor.unwrap_or_default()),
        ];
        let set: Vec<String> = (state.iter())
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        format!("{}?{}", frame.at("/jobs"), set.join("&"))
    }

    fn list(&self) -> RunList {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        RunList {
            batch: text(&self.batch),
            job: text(&self.job),
            state: text(&self.state),
            since: None,
            limit: Some(LISTED),
            cursor: text(&self.cursor),
        }
    }
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    frame: Frame,
    view: View,
    ranges: Vec<Choice>,
    batches: Vec<Scheduled>,
    /// Names that the filters offer.
    names: Vec<String>,
    jobs: Vec<&'static str>,
    states: Vec<&'static str>,
    lanes: Vec<Lane>,
    /// The ends and the middle of the picture.
    axis: [String; 3],
    runs: Vec<Shown>,
    next: Option<String>,
    all_paused: bool,
    operates: bool,
    /// The span that the form for a backfill offers.
    fill: (String, String),
}

struct Choice {
    name: &'static str,
    href: String,
    current: bool,
}

/// A batch with its jobs.
struct Scheduled {
    batch: String,
    paused: bool,
    jobs: Vec<JobLine>,
    /// Jobs that nothing starts but people.
    off: Vec<JobLine>,
    backfill: Option<BackfillView>,
}

struct JobLine {
    job: String,
    words: String,
    /// Its cron with its zone.
    cron: String,
    last: Option<Shown>,
    open: Option<Shown>,
    /// For people, and for programs.
    next: Option<(String, String)>,
    /// The instants to come, for who wants to know more.
    ticks: String,
    runs_alone: bool,
}

/// What the page shows.
struct Found {
    batches: Vec<Scheduled>,
    names: Vec<String>,
    drawn: Vec<RunView>,
    runs: Vec<RunView>,
    next: Option<String>,
    now: Millis,
}

fn look(node: &Node, tenant: &str, view: &View) -> Result<Found, DeskError> {
    let now = node.clock.now();
    let names: Vec<String> = node.batch_names(tenant)?.into_iter().collect();
    // A batch that is not taken up has runs and no schedule.
    let taken_up = |name: &String| node.batch(&BatchKey { tenant: tenant.to_owned(), batch: name.clone() }).is_some();
    let asked = Some(view.batch.clone()).filter(|batch| names.contains(batch) && taken_up(batch));
    let jobs = match view.batch.is_empty() || asked.is_some() {
        true => {
            let query = JobQuery { batch: asked, ticks: Some(5), limit: Some(SCHEDULED), cursor: None };
            node.jobs(tenant, &query)?.items
        }
        false => Vec::new(),
    };
    let (_, length) = view.span();
    let from = now.saturating_sub(length);
    let mut drawn = Vec::new();
    for key in node.store.batches_of(tenant) {
        if view.batch.is_empty() || view.batch == key.batch {
            let runs = node.store.runs_between(&key, None, from..Millis::MAX, DRAWN, |_| true)?;
            drawn.extend(runs.into_iter().map(|run| RunView::from(run).without_lines()));
        }
    }
    let open = node.open_runs(tenant);
    drawn.extend(open.into_iter().filter(|run| view.batch.is_empty() || view.batch == run.batch));
    let listed = runs::runs(node, tenant, &view.list())?;
    Ok(Found { batches: scheduled(jobs), names, drawn, runs: listed.items, next: listed.next, now })
}

fn scheduled(jobs: Vec<JobView>) -> Vec<Scheduled> {
    let mut batches: Vec<Scheduled> = Vec::new();
    for job in jobs {
        if batches.last().is_none_or(|last| last.batch != job.batch) {
            let (batch, paused) = (job.batch.clone(), job.paused);
            batches.push(Scheduled { batch, paused, jobs: Vec::new(), off: Vec::new(), backfill: None });
        }
        if let Some(last) = batches.last_mut() {
            last.backfill = last.backfill.take().or_else(|| job.backfill.clone());
            // One that was started by hand is seen while it runs.
            let is_off = job.started_by == "hand" && job.open.is_none();
            let lines = if is_off { &mut last.off } else { &mut last.jobs };
            lines.push(line(job));
        }
    }
    batches
}

fn line(job: JobView) -> JobLine {
    let ticks: Vec<String> = job.next_ticks.iter().map(|time| moment(*time)).collect();
    JobLine {
        runs_alone: job.job.parse::<Job>().is_ok_and(|job| !job.of_tenant()),
        job: job.job,
        words: job.words,
        cron: format!("{} ({})", job.cron, job.timezone),
        last: job.last.map(Shown::of),
        open: job.open.map(Shown::of),
        next: job.next_ticks.first().map(|time| (moment(*time), instant::text(*time))),
        ticks: ticks.join(", "),
    }
}

async fn show(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    query: Result<Query<View>, QueryRejection>,
) -> Result<Response, ProblemPage> {
    let view = match query {
        Ok(Query(view)) => view,
        Err(rejection) => {
            return Err(ProblemPage::new(Some(&visitor), StatusCode::BAD_REQUEST, rejection.body_text()));
        }
    };
    let (tenant, asked) = (visitor.tenant.clone(), view.clone());
    let found = on_node(&api, &visitor, move |node| look(node, &tenant, &asked)).await?;
    let frame = Frame::new(&visitor, Part::Jobs, "Jobs");
    let (chosen, length) = view.span();
    let (from, to) = (found.now.saturating_sub(length), found.now);
    let choice = |(name, _): (&'static str, Millis)| Choice {
        name,
        href: view.with(&frame, name, None),
        current: name == chosen,
    };
    Ok(page(&JobsPage {
        ranges: RANGES.into_iter().map(choice).collect(),
        lanes: lanes(&found.drawn, from, to, LANES),
        axis: [from, from.saturating_add(length / 2), to].map(moment),
        all_paused: !found.batches.is_empty() && found.batches.iter().all(|batch| batch.paused),
        batches: found.batches,
        names: found.names,
        jobs: Job::ALL.map(Job::name).to_vec(),
        states: RunList::STATES.to_vec(),
        runs: found.runs.into_iter().map(Shown::of).collect(),
        next: found.next.map(|cursor| view.with(&frame, chosen, Some(&cursor))),
        operates: visitor.scope >= Scope::Operate,
        fill: (field(to.saturating_sub(86_400_000)), field(to)),
        view,
        frame,
    }))
}

/// An instant as a field of a form has it, in UTC.
fn field(time: Millis) -> String {
    let text = instant::text(time);
    text.get(..16).unwrap_or_default().to_owned()
}

async fn pause_all(
    api: State<Api>,
    visitor: Extension<Visitor>,
    form: Result<Form<Button>, FormRejection>,
) -> Result<Response, ProblemPage> {
    set_paused(api, visitor, form, None, true).await
}

async fn resume_all(
    api: State<Api>,
    visitor: Extension<Visitor>,
    form: Result<Form<Button>, FormRejection>,
) -> Result<Response, ProblemPage> {
    set_paused(api, visitor, form, None, false).await
}

async fn pause(
    api: State<Api>,
    visitor: Extension<Visitor>,
    Path((_, batch)): Path<(String, String)>,
    form: Result<Form<Button>, FormRejection>,
) -> Result<Response, ProblemPage> {
    set_paused(api, visitor, form, Some(batch), true).await
}

async fn resume(
    api: State<Api>,
    visitor: Extension<Visitor>,
    Path((_, batch)): Path<(String, String)>,
    form: Result<Form<Button>, FormRejection>,
) -> Result<Response, ProblemPage> {
    set_paused(api, visitor, form, Some(batch), false).await
}

async fn set_paused(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    form: Result<Form<Button>, FormRejection>,
    batch: Option<String>,
    paused: bool,
) -> Result<Response, ProblemPage> {
    sent(&visitor, form)?;
    let tenant = visitor.tenant.clone();
    on_node(&api, &visitor, move |node| {
        let named = batch.map(|batch| vec![batch]);
        node.pause_many(&tenant, named.as_deref(), paused)
    })
    .await?;
    Ok(to_jobs(&visitor, ""))
}

#[derive(Deserialize)]
struct RunNow {
    /// A job; empty: the whole chain.
    #[serde(default)]
    job: String,
}

async fn run_now(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((tenant, batch)): Path<(String, String)>,
    form: Result<Form<RunNow>, FormRejection>,
) -> Result<Response, ProblemPage> {
    let RunNow { job } = sent(&visitor, form)?;
    let job = match Some(job).filter(|job| !job.is_empty()).map(|job| job.parse::<Job>()).transpose() {
        Ok(job) if job.is_none_or(|job| !job.of_tenant()) => job,
        _ => return Err(ProblemPage::new(Some(&visitor), StatusCode::BAD_REQUEST, "There is no such job of a batch.")),
    };
    let node = api.node.clone();
    let slot = on_node(&api, &visitor, move |_| node.start_named(&BatchKey { tenant, batch }, job)).await?;
    Ok(to_run(&visitor, &slot.id()))
}

#[derive(Deserialize)]
struct Fill {
    from: String,
    to: String,
}

async fn backfill(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((tenant, batch)): Path<(String, String)>,
    form: Result<Form<Fill>, FormRejection>,
) -> Result<Response, ProblemPage> {
    let Fill { from, to } = sent(&visitor, form)?;
    // A field for an instant has neither seconds nor a zone; it is labelled as UTC.
    let read = |text: &str| instant::parse(text).or_else(|_| instant::parse(&format!("{text}:00Z")));
    let (from, to) = match (read(&from), read(&to)) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(wrong), _) | (_, Err(wrong)) => {
            return Err(ProblemPage::new(Some(&visitor), StatusCode::BAD_REQUEST, wrong));
        }
    };
    let node = api.node.clone();
    let query = format!("?batch={}", encoded(&batch));
    on_node(&api, &visitor, move |_| node.backfill(&BatchKey { tenant, batch }, from, to)).await?;
    Ok(to_jobs(&visitor, &query))
}

fn to_jobs(visitor: &Visitor, query: &str) -> Response {
    Redirect::to(&format!("/t/{}/jobs{query}", encoded(&visitor.tenant))).into_response()
}
