//! What went wrong with a request, as RFC 9457 has it.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config;
use crate::desk::DeskError;
use crate::store::StoreError;

/// `application/problem+json`. Its type is always `about:blank`, so the title says no more
/// than the status; the detail is a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// What is wrong, and what to do.
    pub detail: String,
    /// What is wrong with a batch, place by place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<BatchProblem>,
}

/// What is wrong at a place of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchProblem {
    /// `error` or `warning`.
    pub severity: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// RFC 6901 pointer into the batch.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub remedy: String,
}

impl From<&config::Problem> for BatchProblem {
    fn from(problem: &config::Problem) -> Self {
        Self {
            severity: match problem.severity {
                config::Severity::Error => "error",
                config::Severity::Warning => "warning",
            }
            .to_owned(),
            line: problem.place.line,
            column: problem.place.column,
            pointer: problem.pointer.clone(),
            message: problem.message.clone(),
            remedy: problem.remedy.clone(),
        }
    }
}

impl Problem {
    /// A problem of this status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Problem").to_owned();
        Self { title, status: status.as_u16(), detail: detail.into(), problems: Vec::new() }
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        let status = match &error {
            DeskError::Unknown(_) => StatusCode::NOT_FOUND,
            DeskError::Invalid(_) => StatusCode::BAD_REQUEST,
            DeskError::Conflict(_) => StatusCode::CONFLICT,
            DeskError::Store(StoreError::Low { .. } | StoreError::Full { .. }) => StatusCode::INSUFFICIENT_STORAGE,
            DeskError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
