//! What the node says of itself: that it serves, whether it can do its work, what it is, and
//! its metrics.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::describe::{Described, json_reply};
use super::endpoint::{Right, Verb};
use super::routes::{Routes, cut_off};
use super::{Api, Problem};
use crate::plugin::CONTRACT;
use crate::web::metrics::{Format, Unread, exposition};

/// A node that can do its work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ready {
    /// What was looked at, and is as it should be.
    pub checks: Vec<String>,
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Build {
    /// The version of anomd.
    pub version: String,
    /// The newest version of the contract that plugins can have.
    pub contract: String,
}

pub(super) fn register(routes: &mut Routes) {
    let (ready, build) = (routes.document.schema::<Ready>(), routes.document.schema::<Build>());
    let route = |path: &str, right, summary, reply| Described {
        verb: Verb::Get,
        path: path.to_owned(),
        right,
        summary,
        query: None,
        body: None,
        reply,
    };
    let text = (200, "text/plain", None);
    let healthy = route("/healthz", Right::Open, "Says that the node serves", text);
    routes.add(healthy, get(async || "ok\n"));
    let summary = "Says whether the node can do its work";
    routes.add(route("/readyz", Right::Open, summary, json_reply(200, ready)), get(readyz));
    let built = route("/api/v1/build", Right::Open, "Says what runs", json_reply(200, build));
    routes.add(built, get(async || Json(Build::of_this())));
    let (summary, formats) =
        ("Writes the metrics of the node", (200, "text/plain, application/openmetrics-text", None));
    let measured = route("/metrics", Right::Node, summary, formats);
    routes.add(measured, get(metrics));
}

impl Build {
    fn of_this() -> Self {
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), contract: CONTRACT.to_owned() }
    }
}

async fn readyz(State(api): State<Api>) -> Response {
    // The room on the disk is asked for.
    let Ok(checks) = tokio::task::spawn_blocking(move || api.node.checks()).await else {
        return cut_off().into_response();
    };
    let faults = checks.iter().filter_map(|check| Some(format!("{}: {}", check.name, check.fault.as_ref()?)));
    let faults: Vec<String> = faults.collect();
    let mut response = if faults.is_empty() {
        Json(Ready { checks: checks.iter().map(|check| check.name.to_owned()).collect() }).into_response()
    } else {
        let detail = format!("not ready: {}", faults.join("; "));
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response()
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn metrics(State(api): State<Api>, headers: HeaderMap) -> Response {
    let format = Format::of(&headers);
    match tokio::task::spawn_blocking(move || exposition(&api.node, format)).await {
        Ok(Ok(text)) => ([(CONTENT_TYPE, format.media_type()), (CACHE_CONTROL, "no-store")], text).into_response(),
        Ok(Err(Unread::Store(error))) => Problem::from(crate::desk::DeskError::from(error)).into_response(),
        Ok(Err(error)) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        Err(_) => cut_off().into_response(),
    }
}
