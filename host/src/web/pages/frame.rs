//! What all pages have around them, and the page that says what went wrong.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use crate::config::DEFAULT_TENANT;
use crate::web::api::Problem;
use crate::web::assets;
use crate::web::auth::Visitor;

/// The part of the dashboard that a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// What is wrong now, and the batches.
    Overview,
    /// Alerts.
    Alerts,
    /// Silences.
    Silences,
    /// Schedules and runs.
    Jobs,
    /// Components.
    Plugins,
    /// Tokens, variables, secrets.
    Settings,
    /// What is none of these.
    Other,
}

/// A place that the bar leads to.
pub(super) struct Place {
    pub name: &'static str,
    pub href: String,
    pub current: bool,
}

/// What stands around a page: a template that extends `frame.html` has it as its `frame`.
pub(super) struct Frame {
    pub title: String,
    pub part: Part,
    pub visitor: Option<Visitor>,
    pub assets: &'static str,
    pub version: &'static str,
}

impl Frame {
    /// The frame of a page of a tenant.
    pub fn new(visitor: &Visitor, part: Part, title: impl Into<String>) -> Self {
        Self { visitor: Some(visitor.clone()), ..Self::bare(part, title) }
    }

    /// The frame of a page for somebody who is not known.
    pub fn bare(part: Part, title: impl Into<String>) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self { title: title.into(), part, visitor: None, assets: assets::ROOT.as_str(), version }
    }

    /// The tenant whose page it is.
    pub fn tenant(&self) -> &str {
        self.visitor.as_ref().map_or(DEFAULT_TENANT, |visitor| &visitor.tenant)
    }

    /// What a visitor who acts is called; `None`: forms ask for a name.
    pub fn acts_as(&self) -> Option<&str> {
        self.visitor.as_ref().and_then(Visitor::name)
    }

    /// What a form shows, so that no other site acts in the visitor's name.
    pub fn csrf(&self) -> &str {
        self.visitor.as_ref().map_or("", |visitor| &visitor.csrf)
    }

    /// An address of this tenant's pages: `path` begins with a slash or is empty, and its parts
    /// are encoded.
    pub fn at(&self, path: &str) -> String {
        format!("/t/{}{path}", encoded(self.tenant()))
    }

    /// Where the bar leads.
    pub fn places(&self) -> Vec<Place> {
        let place = |part, name, path: &str| Place { name, href: self.at(path), current: self.part == part };
        vec![
            place(Part::Overview, "Overview", ""),
            place(Part::Alerts, "Alerts", "/alerts"),
            place(Part::Silences, "Silences", "/silences"),
            place(Part::Jobs, "Jobs", "/jobs"),
            place(Part::Plugins, "Plugins", "/plugins"),
            place(Part::Settings, "Settings", "/settings"),
        ]
    }
}

/// A part of an address.
pub(super) fn encoded(part: &str) -> String {
    percent_encoding::utf8_percent_encode(part, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// The answer that a template is.
pub(super) fn page(template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => Html(text).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What went wrong, for a person: what a handler of a page answers as its error.
pub(super) struct ProblemPage {
    visitor: Option<Visitor>,
    status: StatusCode,
    detail: String,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemTemplate<'a> {
    frame: Frame,
    title: &'a str,
    detail: &'a str,
}

impl ProblemPage {
    /// The page for a problem.
    pub fn new(visitor: Option<&Visitor>, status: StatusCode, detail: impl Into<String>) -> Self {
        Self { visitor: visitor.cloned(), status, detail: detail.into() }
    }

    /// The page for what the API would answer.
    pub fn of(visitor: Option<&Visitor>, problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(visitor, status, problem.detail)
    }
}

impl IntoResponse for ProblemPage {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Problem");
        let frame = match &self.visitor {
            Some(visitor) => Frame::new(visitor, Part::Other, title),
            None => Frame::bare(Part::Other, title),
        };
        let mut response = page(&ProblemTemplate { frame, title, detail: &self.detail });
        *response.status_mut() = self.status;
        response
    }
}
