//! The API: what the desk answers, over HTTP, for whoever shows the node's token.
//!
//! A request is the same value that the command line asks the store itself; a `GET` has it
//! in its query string, a `POST` in its JSON body. Problems are those of RFC 9457.

mod bulk;
mod endpoint;
mod problem;

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
pub use bulk::{BackupRequest, ExportRequest};
pub use endpoint::{Endpoint, Named, Verb};
pub use problem::Problem;
use sha2::{Digest as _, Sha256};

use crate::desk::{
    Acknowledge, AlertQuery, AlertShow, Ask, Desk, EventAdd, EventEnd, EventQuery, SilenceAdd, SilenceExpire,
    SilenceQuery, Snooze, Unacknowledge, Why,
};
use crate::node::Node;

/// The longest body of a request, in bytes.
const BODY_BYTES: usize = 64 << 10;

/// What the API works with.
#[derive(Clone)]
pub(super) struct Api {
    pub node: Arc<Node>,
    /// Of the token; to compare digests tells nothing of the token by the time it takes.
    token: [u8; 32],
}

impl Api {
    pub fn new(node: Arc<Node>, token: &str) -> Self {
        Self { node, token: Sha256::digest(token).into() }
    }
}

/// The routes below `/api/v1` that ask for the token.
pub(super) fn routes(api: Api) -> Router {
    Router::new()
        .route("/alerts", asked::<AlertQuery>())
        .route("/alerts/{id}", asked_of::<AlertShow>())
        .route("/alerts/{id}/ack", done_to::<Acknowledge>())
        .route("/alerts/{id}/unack", done_to::<Unacknowledge>())
        .route("/alerts/{id}/snooze", done_to::<Snooze>())
        .route("/silences", asked::<SilenceQuery>().merge(done::<SilenceAdd>()))
        .route("/silences/{id}/expire", done_to::<SilenceExpire>())
        .route("/events", asked::<EventQuery>().merge(done::<EventAdd>()))
        .route("/events/{id}/end", done_to::<EventEnd>())
        .route("/why", asked::<Why>())
        .route("/query", asked::<crate::desk::Query>())
        .route("/export", get(bulk::export))
        .route("/backup", get(bulk::backup))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is no such address in the API"))
        .layer(middleware::from_fn_with_state(api.clone(), guard))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(api)
}

async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token =
        shown.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if token.is_some_and(|(_, token)| Sha256::digest(token.trim())[..] == api.token) {
        return next.run(request).await;
    }
    let detail = "show the node's token as `Authorization: Bearer`; commands on the same machine find it in `node.json` \
                  of the data folder";
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn asked<R: Ask>() -> MethodRouter<Api> {
    get(async |State(api): State<Api>, query: Result<Query<R>, QueryRejection>| match query {
        Ok(Query(request)) => answer(api, request).await,
        Err(rejection) => Problem::new(rejection.status(), rejection.body_text()).into_response(),
    })
}

fn asked_of<R: Ask + Named + Default>() -> MethodRouter<Api> {
    get(async |State(api): State<Api>, Path(id): Path<String>| {
        let mut request = R::default();
        request.name(id);
        answer(api, request).await
    })
}

fn done<R: Ask>() -> MethodRouter<Api> {
    post(async |State(api): State<Api>, body: Result<Json<R>, JsonRejection>| match body {
        Ok(Json(request)) => changed(api, request).await,
        Err(rejection) => Problem::new(rejection.status(), rejection.body_text()).into_response(),
    })
}

fn done_to<R: Ask + Named>() -> MethodRouter<Api> {
    post(async |State(api): State<Api>, Path(id): Path<String>, body: Result<Json<R>, JsonRejection>| match body {
        Ok(Json(mut request)) => {
            request.name(id);
            changed(api, request).await
        }
        Err(rejection) => Problem::new(rejection.status(), rejection.body_text()).into_response(),
    })
}

/// Asks the desk for a change: who is told may be another now.
async fn changed<R: Ask>(api: Api, request: R) -> Response {
    let node = api.node.clone();
    let response = answer(api, request).await;
    if response.status().is_success() {
        node.tenants().iter().for_each(|tenant| node.look_again(tenant));
    }
    response
}

/// Asks the desk, on a thread that may block.
async fn answer<R: Ask>(api: Api, request: R) -> Response {
    let node = api.node;
    let answered = tokio::task::spawn_blocking(move || {
        let bound = node.batches();
        let batches = bound.iter().map(|bound| (bound.batch.key.clone(), &bound.batch)).collect();
        request.ask(&Desk { store: &node.store, batches: &batches, now: node.clock.now() })
    });
    match answered.await {
        Ok(Ok(reply)) => Json(reply).into_response(),
        Ok(Err(error)) => Problem::from(error).into_response(),
        Err(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer was cut off; this is a fault in anomd")
            .into_response(),
    }
}
