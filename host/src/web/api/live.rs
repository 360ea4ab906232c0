//! What goes on, as server-sent events: one stream a tenant.
//!
//! The stream is a hint to ask again, and no place to learn everything from: who is too slow,
//! or comes again and may have missed something, gets the event `behind` and reloads. It ends
//! after a while, so that whoever listens shows its token again; browsers come again by
//! themselves.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{PartialSchema as _, ToSchema};

use super::auth::Asked;
use super::describe::Described;
use super::endpoint::{Right, Verb};
use super::routes::{Routes, cut_off};
use super::{Api, Problem};
use crate::config::Slot;
use crate::desk::DeskError;
use crate::desk::tenants::Scope;
use crate::node::{Heard, Listener, LogNews, News, Node, RunNews};

/// How often something is sent, so that nobody between takes the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What to listen to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LiveQuery {
    /// What is about this batch, or about none.
    pub batch: Option<String>,
    /// This run, and those of its chain; first comes what it has said so far. Lines of runs are
    /// told to those alone who name the run.
    pub run: Option<String>,
}

pub(super) fn register(routes: &mut Routes) {
    let news = routes.document.schema::<News>();
    let route = Described {
        verb: Verb::Get,
        path: "/api/v1/tenants/{tenant}/live".to_owned(),
        right: Right::Tenant(Scope::Read),
        summary: "Tells what goes on, as server-sent events: `run`, `log`, `points`, `alert`, and `behind` for who \
                  missed some and has to ask again",
        query: Some(LiveQuery::schema()),
        body: None,
        reply: (200, "text/event-stream", Some(news)),
    };
    routes.add(route, get(listen));
}

async fn listen(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    headers: HeaderMap,
    query: Result<Query<LiveQuery>, QueryRejection>,
) -> Response {
    let LiveQuery { batch, run } = match query {
        Ok(Query(asked)) => asked,
        Err(rejection) => return Problem::new(rejection.status(), rejection.body_text()).into_response(),
    };
    let run = match run.map(|id| Slot::of_id(&tenant, &id).ok_or(id)).transpose() {
        Ok(run) => run,
        Err(id) => return Problem::new(StatusCode::NOT_FOUND, format!("there is no run `{id}`")).into_response(),
    };
    let node = api.node;
    let Some(listener) = node.live().listen(&tenant) else {
        let most = node.config.limits.live_listeners_per_tenant;
        let detail = format!(
            "tenant {tenant} has {most} live streams open, as many as it may; close some, or raise \
             limits.live_listeners_per_tenant in anomd.yaml"
        );
        return Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).into_response();
    };
    let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let mut first = VecDeque::new();
    if seen.is_some_and(|seen| listener.missed_since(seen)) {
        first.push_back(behind(None));
    }
    let deadline = Instant::now() + Duration::from_millis(node.config.limits.live_connection_ms);
    let mut told = Told { listener, batch, run, lines: 0, first, deadline };
    if let Some(slot) = told.run.clone() {
        // Whoever listens already hears what comes while this is read.
        let past = tokio::task::spawn_blocking(move || so_far(&node, &slot)).await;
        match past {
            Ok(Ok(past)) => told.catch_up(past),
            Ok(Err(error)) => return Problem::from(error).into_response(),
            Err(_) => return cut_off().into_response(),
        }
    }
    let events = stream::unfold(told, async |mut told| Some((Ok::<_, Infallible>(told.next().await?), told)));
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What a run has said, and where it is; nothing of one that has not begun.
fn so_far(node: &Node, slot: &Slot) -> Result<Option<(Vec<String>, RunNews)>, DeskError> {
    if let Some(run) = node.live().run(slot) {
        return Ok(Some((run.log.lines(), RunNews::of(slot, run.started))));
    }
    Ok(node.store.run(slot)?.map(|run| (run.log.clone(), RunNews::ended(&run))))
}

/// A stream of events.
struct Told {
    listener: Listener,
    batch: Option<String>,
    run: Option<Slot>,
    /// Lines of the run that were told.
    lines: usize,
    /// What is told first.
    first: VecDeque<Event>,
    deadline: Instant,
}

impl Told {
    fn catch_up(&mut self, past: Option<(Vec<String>, RunNews)>) {
        let Some((lines, news)) = past else { return };
        self.lines = lines.len();
        let line = |(number, line)| event(None, &News::Log(LogNews { run: news.run.clone(), number, line }));
        self.first.extend(lines.into_iter().enumerate().map(line));
        self.first.push_back(event(None, &News::Run(news)));
    }

    async fn next(&mut self) -> Option<Event> {
        if let Some(event) = self.first.pop_front() {
            return Some(event);
        }
        loop {
            let heard = tokio::time::timeout_at(self.deadline, self.listener.next()).await.ok()?;
            match heard {
                Heard::Event(told) => {
                    if self.wants(&told.news) {
                        return Some(event(Some(&told.id), &told.news));
                    }
                }
                Heard::Missed(missed) => return Some(behind(Some(missed))),
                Heard::End => return None,
            }
        }
    }

    fn wants(&mut self, news: &News) -> bool {
        if let (Some(run), News::Run(begun)) = (&self.run, news)
            && begun.run == run.id()
            && begun.state == "running"
        {
            // It is done once more, and so are its lines.
            self.lines = 0;
        }
        match (&self.run, news) {
            (Some(run), News::Log(log)) => news.is_of_run(run) && log.number >= self.lines,
            (None, News::Log(_)) => false,
            (Some(run), _) => news.is_of_run(run),
            (None, _) => self.batch.as_deref().is_none_or(|batch| news.is_of_batch(batch)),
        }
    }
}

fn event(id: Option<&str>, news: &News) -> Event {
    let event = Event::default().event(news.name()).data(serde_json::to_string(news).unwrap_or_default());
    id.into_iter().fold(event, |event, id| event.id(id))
}

/// The event that tells a client to ask for everything again.
fn behind(missed: Option<u64>) -> Event {
    Event::default().event("behind").data(serde_json::json!({ "missed": missed }).to_string())
}
