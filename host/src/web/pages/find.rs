//! What the search of the bar finds: batches by name, and series by words, a glob or labels.

use askama::Template;
use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::Pages;
use super::frame::{Frame, Part, ProblemPage, encoded, page};
use crate::desk::SeriesQuery;
use crate::desk::tenants::Scope;
use crate::web::api::Api;
use crate::web::auth::Visitor;

/// Batches that are looked through, and series that each shows.
const BATCHES: usize = 100;
const SERIES: usize = 10;

pub(super) fn register(pages: &mut Pages) {
    pages.add("/find", Scope::Read, get(show));
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
}

#[derive(Template)]
#[template(path = "find.html")]
struct FindPage {
    frame: Frame,
    q: String,
    found: Vec<Found>,
    /// Whether there are batches that were not looked through.
    more: bool,
}

/// A batch whose name or series match.
struct Found {
    batch: String,
    href: String,
    series: Vec<(String, String)>,
    /// Where the rest of the series is, if there are more.
    rest: Option<String>,
}

async fn show(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, ProblemPage> {
    let refused = |problem| ProblemPage::of(Some(&visitor), problem);
    let asked = asked.map_err(|error| ProblemPage::new(Some(&visitor), StatusCode::BAD_REQUEST, error.body_text()))?.0;
    let q = asked.q.trim().to_owned();
    let frame = Frame::new(&visitor, Part::Other, "Find");
    let mut found = Vec::new();
    let batches = api.batches(&visitor.tenant).await.map_err(refused)?;
    let more = batches.len() > BATCHES;
    for batch in batches.into_iter().take(BATCHES).filter(|_| !q.is_empty()) {
        let request =
            SeriesQuery { id: batch.batch.clone(), metric: Some(q.clone()), limit: Some(SERIES), ..Default::default() };
        // What is no selector for one batch is none for any; a batch without series has none to show.
        let listed = api.ask(&visitor.tenant, request).await.map(|page| (page.items, page.next)).unwrap_or_default();
        let href = frame.at(&format!("/batches/{}", encoded(&batch.batch)));
        let series: Vec<_> =
            listed.0.into_iter().map(|s| (format!("{href}/series/{}", encoded(&s.metric)), s.metric)).collect();
        if !series.is_empty() || batch.batch.to_lowercase().contains(&q.to_lowercase()) {
            let rest = listed.1.map(|_| format!("{href}?q={}", encoded(&q)));
            found.push(Found { batch: batch.batch, href, series, rest });
        }
    }
    Ok(page(&FindPage { frame, q, found, more }))
}
