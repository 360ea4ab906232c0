//! What is wrong now, and the batches.

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::Pages;
use super::frame::{Frame, Part, ProblemPage, page};
use crate::desk::tenants::Scope;
use crate::web::api::auth::Visitor;
use crate::web::api::{Api, BatchView};

pub(super) fn register(pages: &mut Pages) {
    pages.add("", Scope::Read, get(show));
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    batches: Vec<BatchView>,
}

async fn show(State(api): State<Api>, Extension(visitor): Extension<Visitor>) -> Result<Response, ProblemPage> {
    let batches = api.batches(&visitor.tenant).await.map_err(|problem| ProblemPage::of(Some(&visitor), problem))?;
    Ok(page(&Overview { frame: Frame::new(&visitor, Part::Overview, "Overview"), batches }))
}
