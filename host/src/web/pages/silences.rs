//! Silences: which hold, what a new one would hide now, and their end.

use askama::Template;
use axum::Extension;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::Pages;
use super::alert::author;
use super::alert_row::AlertRow;
use super::frame::{Frame, Part, ProblemPage, encoded, page};
use super::moment::{Moment, given};
use crate::desk::tenants::Scope;
use crate::desk::{SilenceAdd, SilenceExpire, SilencePreview, SilenceQuery, SilenceState, SilenceView};
use crate::series::Millis;
use crate::web::api::Api;
use crate::web::auth::Visitor;

const HOUR: Millis = 3_600_000;
/// How long a silence may be by the form, in hours, and in words.
const LENGTHS: [(Millis, &str); 6] =
    [(1, "1 hour"), (4, "4 hours"), (8, "8 hours"), (24, "1 day"), (72, "3 days"), (168, "1 week")];
/// The one that is chosen unasked, in hours.
const USUAL: Millis = 4;
/// Silences of one page, and alerts of a preview.
const SILENCES: usize = 100;
const PREVIEWED: usize = 20;

pub(super) fn register(pages: &mut Pages) {
    pages.add("/silences", Scope::Read, get(show));
    pages.add("/silences", Scope::Operate, post(add));
    pages.add("/silences/{id}/expire", Scope::Operate, post(expire));
}

/// What stands in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Look {
    /// `all`: also those that are over.
    state: Option<String>,
    matchers: Option<String>,
    cursor: Option<String>,
}

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct New {
    matchers: String,
    hours: Option<Millis>,
    by: String,
    comment: String,
    /// Only show what it would hide.
    preview: Option<String>,
}

#[derive(Template)]
#[template(path = "silences.html")]
struct SilencesPage {
    frame: Frame,
    can_act: bool,
    all: bool,
    silences: Vec<SilenceRow>,
    next_href: Option<String>,
    matchers: String,
    by: String,
    comment: String,
    lengths: Vec<Length>,
    preview: Preview,
    /// Why the silence that was sent was not added.
    refused: Option<String>,
}

struct Length {
    hours: Millis,
    title: &'static str,
    chosen: bool,
}

/// What the matchers in the form would hide.
enum Preview {
    /// There are none yet.
    Nothing,
    /// These alerts, and perhaps more.
    Alerts(Vec<AlertRow>, bool),
    /// They make no sense.
    Wrong(String),
}

struct SilenceRow {
    id: String,
    matchers: String,
    state: &'static str,
    mood: &'static str,
    author: String,
    comment: String,
    start: Moment,
    end: Moment,
    alerts: usize,
    expire_href: Option<String>,
}

impl SilenceRow {
    fn of(silence: SilenceView, frame: &Frame, now: Millis) -> Self {
        let (state, mood) = match silence.state {
            SilenceState::Pending => ("pending", "warn"),
            SilenceState::Active => ("active", "good"),
            SilenceState::Expired => ("expired", ""),
        };
        let ends = silence.state != SilenceState::Expired;
        Self {
            expire_href: ends.then(|| frame.at(&format!("/silences/{}/expire", encoded(&silence.id)))),
            state,
            mood,
            start: Moment::of(silence.start, now),
            end: Moment::of(silence.end, now),
            id: silence.id,
            matchers: silence.matchers,
            author: silence.author,
            comment: silence.comment,
            alerts: silence.alerts,
        }
    }
}

async fn show(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    look: Result<Query<Look>, QueryRejection>,
) -> Result<Response, ProblemPage> {
    let look = look.map(|Query(look)| look).unwrap_or_default();
    let new = New { matchers: look.matchers.clone().unwrap_or_default(), ..New::default() };
    list(&api, &visitor, &look, new, None).await
}

async fn list(
    api: &Api,
    visitor: &Visitor,
    look: &Look,
    new: New,
    refused: Option<String>,
) -> Result<Response, ProblemPage> {
    let all = look.state.as_deref() == Some("all");
    let asked = SilenceQuery { all, limit: Some(SILENCES), cursor: given(look.cursor.as_deref()) };
    let listed = api.ask(&visitor.tenant, asked).await.map_err(|problem| ProblemPage::of(Some(visitor), problem))?;
    let frame = Frame::new(visitor, Part::Silences, "Silences");
    let now = api.node.clock.now();
    let preview = match given(Some(new.matchers.as_str())) {
        None => Preview::Nothing,
        Some(matchers) => {
            let asked = SilencePreview { matchers, limit: Some(PREVIEWED), cursor: None };
            match api.ask(&visitor.tenant, asked).await {
                Ok(page) => {
                    let rows = page.items.iter().map(|alert| AlertRow::of(alert, &frame, now)).collect();
                    Preview::Alerts(rows, page.next.is_some())
                }
                Err(problem) => Preview::Wrong(problem.detail),
            }
        }
    };
    let hours = new.hours.unwrap_or(USUAL);
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = page(&SilencesPage {
        can_act: visitor.scope >= Scope::Operate,
        all,
        silences: listed.items.into_iter().map(|silence| SilenceRow::of(silence, &frame, now)).collect(),
        next_href: listed.next.map(|next| {
            let state = if all { "all" } else { "open" };
            frame.at(&format!("/silences?state={state}&cursor={next}"))
        }),
        matchers: new.matchers,
        by: new.by,
        comment: new.comment,
        lengths: LENGTHS.map(|(own, title)| Length { hours: own, title, chosen: own == hours }).into(),
        preview,
        refused,
        frame,
    });
    *response.status_mut() = status;
    Ok(response)
}

async fn add(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    sent: Result<Form<New>, FormRejection>,
) -> Result<Response, ProblemPage> {
    let wrong = |text: String| ProblemPage::new(Some(&visitor), StatusCode::UNPROCESSABLE_ENTITY, text);
    let Form(new) = sent.map_err(|rejection| wrong(rejection.body_text()))?;
    if new.preview.is_some() {
        return list(&api, &visitor, &Look::default(), new, None).await;
    }
    let hours = new.hours.unwrap_or(USUAL);
    let asked = SilenceAdd {
        matchers: new.matchers.clone(),
        author: author(&visitor, &new.by),
        comment: new.comment.clone(),
        start: None,
        end: api.node.clock.now().saturating_add(hours.saturating_mul(HOUR)),
    };
    match api.change(&visitor.tenant, asked).await {
        Ok(_) => Ok(Redirect::to(&format!("/t/{}/silences", encoded(&visitor.tenant))).into_response()),
        // What was typed stays in the form.
        Err(problem) => list(&api, &visitor, &Look::default(), new, Some(problem.detail)).await,
    }
}

async fn expire(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, ProblemPage> {
    let done = api.change(&visitor.tenant, SilenceExpire { id }).await;
    done.map_err(|problem| ProblemPage::of(Some(&visitor), problem))?;
    Ok(Redirect::to(&format!("/t/{}/silences", encoded(&visitor.tenant))).into_response())
}
