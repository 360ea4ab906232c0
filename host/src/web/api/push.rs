//! Samples that somebody sends.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Asked;
use super::describe::{Described, json_body, json_reply};
use super::endpoint::{Right, Verb};
use super::routes::Routes;
use super::{Api, Problem};
use crate::config::BatchKey;
use crate::desk::DeskError;
use crate::desk::tenants::Scope;
use crate::node::{Pushed, PushedSample};

/// Samples for a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Push {
    /// In any order.
    pub samples: Vec<PushedSample>,
}

pub(super) fn register(routes: &mut Routes) {
    let (body, reply) = (routes.document.schema::<Push>(), routes.document.schema::<Pushed>());
    let described = Described {
        verb: Verb::Post,
        path: "/api/v1/tenants/{tenant}/batches/{id}/samples".to_owned(),
        right: Right::Tenant(Scope::Operate),
        summary: "Keeps samples as if the batch had fetched them; all of them, or none where one is not sound",
        query: None,
        body: json_body(body),
        reply: json_reply(200, reply),
    };
    let most = DefaultBodyLimit::max(routes.push_bytes());
    routes.add(described, post(push).layer(most));
}

async fn push(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, batch)): Path<(String, String)>,
    body: Result<Json<Push>, JsonRejection>,
) -> Response {
    let samples = match body {
        Ok(Json(Push { samples })) => samples,
        Err(rejection) => return Problem::new(rejection.status(), rejection.body_text()).into_response(),
    };
    let key = BatchKey { tenant, batch };
    // A task of its own: who sent them may go away, and they are kept or not, but not in part.
    match tokio::spawn(async move { api.node.push(&key, samples).await }).await {
        Ok(Ok(pushed)) => Json(pushed).into_response(),
        Ok(Err(error)) => Problem::from(error).into_response(),
        Err(_) => {
            let lost = "the node ended before the samples were kept: send them again";
            Problem::from(DeskError::Conflict(lost.to_owned())).into_response()
        }
    }
}
