//! The routes: each is registered once, with its guard and its description.

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use axum::{Extension, Json, Router, middleware};

use super::auth::{Asked, Face, Guarded, guard};
use super::describe::{Described, Document, json_body, json_reply};
use super::endpoint::{Endpoint, Register, Right, Verb};
use super::{Api, Problem, batches, bulk, health, live, plugins, push, runs, tenants, trial};

/// Routes and their description.
pub(super) struct Routes {
    api: Api,
    router: Router<Api>,
    pub document: Document,
}

impl Routes {
    pub fn new(api: Api) -> Self {
        Self { api, router: Router::new(), document: Document::default() }
    }

    /// Bytes that the text of a batch may have.
    pub fn config_bytes(&self) -> usize {
        self.api.node.config.limits.config_bytes
    }

    /// Bytes of the samples of one request.
    pub fn push_bytes(&self) -> usize {
        self.api.node.config.limits.push_bytes
    }

    /// Bytes that a component may have.
    pub fn component_bytes(&self) -> usize {
        self.api.node.config.limits.component_bytes
    }

    /// Adds a route.
    pub fn add(&mut self, route: Described, handler: MethodRouter<Api>) {
        let guarded = Guarded { gate: self.api.gate.clone(), right: route.right, face: Face::Api };
        let handler = handler.layer(middleware::from_fn_with_state(guarded, guard));
        let router = std::mem::take(&mut self.router);
        self.router = router.route(&route.path, handler);
        self.document.add(route);
    }

    /// The router, which also serves its own description.
    pub fn finish(mut self) -> Router {
        self.document.add(Described {
            verb: Verb::Get,
            path: "/api/v1/openapi.json".to_owned(),
            right: Right::Open,
            summary: "This description",
            query: None,
            body: None,
            reply: (200, "application/json", None),
        });
        let document: Arc<str> = self.document.json().into();
        let described =
            get(
                move || async move { ([(axum::http::header::CONTENT_TYPE, "application/json")], document.to_string()) },
            );
        let most = self.api.node.config.limits.api_request_bytes;
        self.router
            .route("/api/v1/openapi.json", described)
            .route("/api/{*rest}", axum::routing::any(nowhere))
            .method_not_allowed_fallback(async || {
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this address does not take that method")
            })
            .layer(DefaultBodyLimit::max(most))
            .with_state(self.api)
    }
}

async fn nowhere() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no such address in the API; /api/v1/openapi.json lists them")
}

impl Register for Routes {
    fn endpoint<R: Endpoint>(&mut self) {
        let path = match R::PATH.strip_prefix(':') {
            Some(path) => format!("/api/v1{path}"),
            None => format!("/api/v1/tenants/{{tenant}}{}", R::PATH),
        };
        let named = path.contains("{id}");
        let (request, reply) = (self.document.schema::<R>(), self.document.schema::<R::Reply>());
        let (handler, query, body) = match R::VERB {
            Verb::Get => (get(asked::<R>), Some(R::schema()), None),
            Verb::Post => (post(changed::<R>), None, json_body(request)),
            Verb::Put => (put(changed::<R>), None, json_body(request)),
            Verb::Delete => (delete(removed::<R>), None, None),
        };
        debug_assert!(R::VERB != Verb::Delete || named);
        let (right, summary) = (R::RIGHT, R::SUMMARY);
        let route = Described { verb: R::VERB, path, right, summary, query, body, reply: json_reply(200, reply) };
        self.add(route, handler);
    }
}

/// A JSON object, whatever is in it.
pub(super) type Object = serde_json::Map<String, serde_json::Value>;

/// The value of a body. Not read straight into its type, which would also take the values of its
/// fields as a list, without their names.
pub(super) fn read<R: serde::de::DeserializeOwned>(body: Result<Json<Object>, JsonRejection>) -> Result<R, Problem> {
    let Json(object) = body.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let wrong = |error: serde_json::Error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
    serde_json::from_value(object.into()).map_err(wrong)
}

/// The part of the path that says what a request is about.
type Id = Option<axum::extract::Path<std::collections::HashMap<String, String>>>;

fn name<R: Endpoint>(request: &mut R, id: Id) {
    if let Some(axum::extract::Path(mut parts)) = id
        && let Some(id) = parts.remove("id")
    {
        request.set_id(id);
    }
}

async fn asked<R: Endpoint>(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    id: Id,
    query: Result<Query<R>, QueryRejection>,
) -> Response {
    match query {
        Ok(Query(mut request)) => {
            name(&mut request, id);
            replied(api.ask(&tenant, request).await)
        }
        Err(rejection) => Problem::new(rejection.status(), rejection.body_text()).into_response(),
    }
}

async fn changed<R: Endpoint>(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    id: Id,
    body: Result<Json<Object>, JsonRejection>,
) -> Response {
    match read::<R>(body) {
        Ok(mut request) => {
            name(&mut request, id);
            replied(api.change(&tenant, request).await)
        }
        Err(problem) => problem.into_response(),
    }
}

async fn removed<R: Endpoint>(State(api): State<Api>, Extension(Asked(tenant)): Extension<Asked>, id: Id) -> Response {
    // Such a request has nothing but its path.
    let parts = serde_json::Map::new();
    match serde_json::from_value::<R>(parts.into()) {
        Ok(mut request) => {
            name(&mut request, id);
            replied(api.change(&tenant, request).await)
        }
        Err(error) => Problem::new(StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

/// An answer of the desk, or what is in its way.
pub(super) fn replied<T: serde::Serialize>(reply: Result<T, Problem>) -> Response {
    reply.map_or_else(Problem::into_response, |reply| Json(reply).into_response())
}

/// What is answered where a thread of ours fell.
pub(super) fn cut_off() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer was cut off; this is a fault in anomd")
}

/// All routes below `/api`.
pub(super) fn all(api: Api) -> Router {
    let mut routes = Routes::new(api);
    super::endpoint::each(&mut routes);
    health::register(&mut routes);
    tenants::register(&mut routes);
    plugins::register(&mut routes);
    batches::register(&mut routes);
    bulk::register(&mut routes);
    push::register(&mut routes);
    trial::register(&mut routes);
    live::register(&mut routes);
    runs::register(&mut routes);
    routes.finish()
}
