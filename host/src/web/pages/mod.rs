//! The dashboard: one file a page, each a template filled with what the desk answers.
//!
//! Every page is whole without script, and every action is a form. A page is registered with
//! the scope that its visitor needs; who may not see it is led to sign in, or told why.

mod alert;
mod alert_row;
mod alerts;
mod batch;
mod drawing;
mod editor;
mod find;
mod frame;
mod gantt;
mod jobs;
mod moment;
mod overview;
mod plugins;
mod range;
mod run;
mod series;
mod settings;
mod sign_in;
mod silences;
mod sketch;
mod tenants;
mod trial;

pub(super) use alert_row::mood;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{MethodRouter, get};
use frame::{ProblemPage, encoded};
use tower_http::compression::CompressionLayer;

use super::api::{Api, Right};
use super::auth::{Face, Guarded, Refusal, guard};
use crate::desk::tenants::Scope;

/// The pages and who may see them.
pub(super) struct Pages {
    api: Api,
    router: Router<Api>,
}

impl Pages {
    /// Adds pages at an address below `/t/{tenant}`, for visitors with a scope. One address may
    /// be added more than once, with other methods.
    pub fn add(&mut self, path: &str, scope: Scope, handler: MethodRouter<Api>) {
        self.guarded(&format!("/t/{{tenant}}{path}"), Right::Tenant(scope), handler);
    }

    /// Adds pages at a whole address, for the operator of the node.
    pub fn add_for_operator(&mut self, path: &str, handler: MethodRouter<Api>) {
        self.guarded(path, Right::Operator, handler);
    }

    /// Bytes that a form may have.
    pub fn form_bytes(&self) -> usize {
        self.api.node.config.limits.form_bytes
    }

    fn guarded(&mut self, path: &str, right: Right, handler: MethodRouter<Api>) {
        let guarded = Guarded { gate: self.api.gate.clone(), right, face: Face::Page(refused) };
        let handler = handler.layer(from_fn_with_state(guarded, guard));
        let router = std::mem::take(&mut self.router);
        self.router = router.route(path, handler);
    }
}

/// All pages.
pub(super) fn routes(api: Api) -> Router {
    let mut pages = Pages { api: api.clone(), router: Router::new() };
    overview::register(&mut pages);
    alerts::register(&mut pages);
    alert::register(&mut pages);
    silences::register(&mut pages);
    batch::register(&mut pages);
    series::register(&mut pages);
    editor::register(&mut pages);
    find::register(&mut pages);
    settings::register(&mut pages);
    tenants::register(&mut pages);
    plugins::register(&mut pages);
    jobs::register(&mut pages);
    run::register(&mut pages);
    pages
        .router
        .merge(sign_in::routes())
        .route("/", get(home))
        .fallback(async || ProblemPage::new(None, StatusCode::NOT_FOUND, "There is no page at this address."))
        .layer(CompressionLayer::new())
        .with_state(api)
}

/// Leads everybody to the pages of their tenant, with what stands in the address.
async fn home(State(api): State<Api>, request: Request) -> Redirect {
    let query = request.uri().query().map_or(String::new(), |query| format!("?{query}"));
    match api.gate.home_of(&request) {
        Some(tenant) => Redirect::to(&format!("/t/{}{query}", encoded(&tenant))),
        None => Redirect::to("/sign-in"),
    }
}

/// Says why somebody may not see a page.
fn refused(refusal: &Refusal) -> Response {
    ProblemPage::new(None, refusal.status(), refusal.detail()).into_response()
}
