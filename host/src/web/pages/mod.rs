//! The dashboard: one file a page, each a template filled with what the desk answers.
//!
//! Every page is whole without script, and every action is a form. A page is registered with
//! the scope that its visitor needs; who may not see it is led to sign in, or told why.

mod alert;
mod alert_row;
mod alerts;
mod frame;
mod moment;
mod overview;
mod silences;
mod sketch;

pub(super) use alert_row::mood;
use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{MethodRouter, get};
use frame::ProblemPage;
use tower_http::compression::CompressionLayer;

use super::api::auth::{Guarded, Visitor, admit};
use super::api::{Api, Right};
use crate::config::DEFAULT_TENANT;
use crate::desk::tenants::Scope;

/// Scripts, styles and pictures of our own and nothing else: nothing inline, nothing from
/// elsewhere, in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The pages and who may see them.
pub(super) struct Pages {
    api: Api,
    router: Router<Api>,
}

impl Pages {
    /// Adds pages at an address below `/t/{tenant}`, for visitors with a scope. One address may
    /// be added more than once, with other methods.
    pub fn add(&mut self, path: &str, scope: Scope, handler: MethodRouter<Api>) {
        let guarded = Guarded { api: self.api.clone(), right: Right::Tenant(scope), unshared: true };
        let handler = handler.layer(from_fn_with_state(guarded, guard));
        let router = std::mem::take(&mut self.router);
        self.router = router.route(&format!("/t/{{tenant}}{path}"), handler);
    }
}

/// All pages.
pub(super) fn routes(api: Api) -> Router {
    let mut pages = Pages { api: api.clone(), router: Router::new() };
    overview::register(&mut pages);
    alerts::register(&mut pages);
    alert::register(&mut pages);
    silences::register(&mut pages);
    pages
        .router
        .route("/", get(home))
        .fallback(async || ProblemPage::new(None, StatusCode::NOT_FOUND, "There is no page at this address."))
        .layer(axum::middleware::map_response(protect))
        .layer(CompressionLayer::new())
        .with_state(api)
}

/// Leads to the overview, with what stands in the address.
async fn home(RawQuery(query): RawQuery) -> Redirect {
    let query = query.map_or(String::new(), |query| format!("?{query}"));
    Redirect::to(&format!("/t/{DEFAULT_TENANT}{query}"))
}

/// Lets a visitor in with an `Extension<Visitor>`, or leads them to the sign-in.
async fn guard(
    State(guarded): State<Guarded>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    let named = params
        .ok()
        .and_then(|params| params.iter().find(|(name, _)| *name == "tenant").map(|(_, value)| value.to_owned()));
    match admit(&guarded, request.headers(), named) {
        Ok(visitor) => {
            request.extensions_mut().insert::<Visitor>(visitor);
            next.run(request).await
        }
        Err(problem) if problem.status == StatusCode::UNAUTHORIZED.as_u16() && request.method() == Method::GET => {
            let from = request.uri().path_and_query().map_or("/", |from| from.as_str());
            let from = percent_encoding::utf8_percent_encode(from, percent_encoding::NON_ALPHANUMERIC);
            Redirect::to(&format!("/sign-in?next={from}")).into_response()
        }
        Err(problem) => ProblemPage::of(None, problem).into_response(),
    }
}

/// What every page says to the browser that shows it.
async fn protect(mut response: Response) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    let mut say = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    say(header::CONTENT_SECURITY_POLICY, POLICY);
    say(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    // Not `no-referrer`, with which browsers send forms as from nowhere.
    say(header::REFERRER_POLICY, "same-origin");
    say(header::CACHE_CONTROL, "no-store");
    response
}
