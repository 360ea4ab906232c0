//! The tenants of the node, for its operator: made here, and deleted with all that they have.

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
use super::moment::filters;
use crate::config::{Quotas, TenantPolicy};
use crate::desk::instant;
use crate::desk::tenants::{TenantCreate, TenantQuery, TenantView};
use crate::web::api::{Api, Problem};
use crate::web::auth::Visitor;

pub(super) fn register(pages: &mut Pages) {
    pages.add_for_operator("/tenants", get(show).post(make));
    pages.add_for_operator("/tenants/{tenant}/delete", post(delete));
}

#[derive(Template)]
#[template(path = "tenants.html")]
struct Tenants {
    frame: Frame,
    refused: Option<String>,
    tenants: Vec<TenantRow>,
    next: Option<String>,
}

struct TenantRow {
    name: String,
    created: Option<String>,
    tokens: usize,
    batches: usize,
    series: usize,
}

impl From<TenantView> for TenantRow {
    fn from(view: TenantView) -> Self {
        let TenantView { name, created, tokens, batches, series, .. } = view;
        Self { name, created: created.map(instant::text), tokens, batches, series }
    }
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    cursor: Option<String>,
}

impl Tenants {
    async fn of(api: &Api, visitor: &Visitor, cursor: Option<String>) -> Result<Self, ProblemPage> {
        let query = TenantQuery { cursor, limit: None };
        let listed = api.ask(&visitor.tenant, query).await;
        let listed = listed.map_err(|problem| ProblemPage::of(Some(visitor), problem))?;
        let tenants = listed.items.into_iter().map(TenantRow::from).collect();
        let frame = Frame::new(visitor, Part::Settings, "Tenants");
        Ok(Self { frame, refused: None, tenants, next: listed.next })
    }
}

async fn show(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, ProblemPage> {
    let cursor = asked.ok().and_then(|Query(asked)| asked.cursor);
    Ok(page(&Tenants::of(&api, &visitor, cursor).await?))
}

async fn refused(api: &Api, visitor: &Visitor, problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match Tenants::of(api, visitor, None).await {
        Ok(tenants) => {
            let mut response = page(&Tenants { refused: Some(problem.detail), ..tenants });
            *response.status_mut() = status;
            response
        }
        Err(page) => page.into_response(),
    }
}

#[derive(Deserialize)]
struct MakeForm {
    name: String,
}

async fn make(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    form: Result<Form<MakeForm>, FormRejection>,
) -> Response {
    let name = match form {
        Ok(Form(form)) => form.name.trim().to_owned(),
        Err(rejection) => {
            return refused(&api, &visitor, Problem::new(rejection.status(), rejection.body_text())).await;
        }
    };
    let request = TenantCreate { name, policy: TenantPolicy::default(), quotas: Quotas::default() };
    match api.change(&visitor.tenant, request).await {
        Ok(made) => Redirect::to(&format!("/t/{}/settings", encoded(&made.name))).into_response(),
        Err(problem) => refused(&api, &visitor, problem).await,
    }
}

#[derive(Deserialize)]
struct DeleteForm {
    confirm: String,
}

async fn delete(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path(tenant): Path<String>,
    form: Result<Form<DeleteForm>, FormRejection>,
) -> Response {
    let confirmed = form.is_ok_and(|Form(form)| form.confirm.trim() == tenant);
    let visitor = Visitor { tenant: crate::config::DEFAULT_TENANT.to_owned(), ..visitor };
    if !confirmed {
        let detail = format!("nothing was deleted: write the name {tenant} beside the button to confirm it");
        return refused(&api, &visitor, Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)).await;
    }
    match api.delete_tenant(&tenant).await {
        Ok(_) => Redirect::to("/tenants").into_response(),
        Err(problem) => refused(&api, &visitor, problem).await,
    }
}
