//! The list of alerts: those that are on, those that stand in some way, or all that are kept.

use askama::Template;
use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::Pages;
use super::alert_row::AlertRow;
use super::frame::{Frame, Part, ProblemPage, page};
use super::moment::given;
use crate::desk::tenants::Scope;
use crate::desk::{AlertQuery, AlertStanding};
use crate::message::AlertKind;
use crate::web::api::Api;
use crate::web::auth::Visitor;

/// Alerts of one page.
const ALERTS: usize = 50;
/// What can be chosen of the states, by what stands in the address.
const STATES: [(&str, &str); 8] = [
    ("open", "On"),
    ("firing", "Firing"),
    ("acknowledged", "Acknowledged"),
    ("snoozed", "Snoozed"),
    ("silenced", "Silenced"),
    ("pending", "Pending"),
    ("resolved", "Over"),
    ("all", "All"),
];

pub(super) fn register(pages: &mut Pages) {
    pages.add("/alerts", Scope::Read, get(show));
}

/// What stands in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Look {
    /// One of [`STATES`].
    state: Option<String>,
    batch: Option<String>,
    metric: Option<String>,
    kind: Option<String>,
    cursor: Option<String>,
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage {
    frame: Frame,
    can_act: bool,
    alerts: Vec<AlertRow>,
    /// The state that is shown, and what can be chosen.
    state: &'static str,
    states: Vec<Choice>,
    batch: String,
    /// Names that the field for it offers.
    batches: Vec<String>,
    metric: String,
    kinds: Vec<(&'static str, bool)>,
    filtered: bool,
    first_href: Option<String>,
    next_href: Option<String>,
}

/// A state that can be chosen, and the address that chooses it.
struct Choice {
    words: &'static str,
    href: String,
    current: bool,
}

async fn show(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    look: Result<Query<Look>, QueryRejection>,
) -> Result<Response, ProblemPage> {
    let look = look.map(|Query(look)| look).unwrap_or_default();
    let (batch, metric) = (given(look.batch.as_deref()), given(look.metric.as_deref()));
    let kind = AlertKind::ALL.into_iter().find(|kind| look.kind.as_deref() == Some(kind.name()));
    let usual = STATES.first().map_or("open", |(name, _)| *name);
    let chosen = STATES.into_iter().find(|(name, _)| look.state.as_deref() == Some(name));
    let state = chosen.map_or(usual, |(name, _)| name);
    let cursor = given(look.cursor.as_deref());
    let asked = AlertQuery {
        batch: batch.clone(),
        metric: metric.clone(),
        kind,
        state: AlertStanding::ALL.into_iter().find(|standing| standing.name() == state),
        all: state == "all",
        limit: Some(ALERTS),
        cursor: cursor.clone(),
    };
    let refused = |problem| ProblemPage::of(Some(&visitor), problem);
    let listed = api.ask(&visitor.tenant, asked).await.map_err(refused)?;
    let batches = api.batches(&visitor.tenant).await.map_err(refused)?;
    let frame = Frame::new(&visitor, Part::Alerts, "Alerts");
    let now = api.node.clock.now();
    let address = |state: &str, cursor: Option<&str>| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("state", state);
        let kept = [("batch", batch.as_deref()), ("metric", metric.as_deref()), ("kind", kind.map(AlertKind::name))];
        for (name, value) in kept.into_iter().chain([("cursor", cursor)]) {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        frame.at(&format!("/alerts?{}", query.finish()))
    };
    Ok(page(&AlertsPage {
        can_act: visitor.scope >= Scope::Operate,
        alerts: listed.items.iter().map(|alert| AlertRow::of(alert, &frame, now)).collect(),
        state,
        states: STATES
            .into_iter()
            .map(|(name, words)| Choice { words, href: address(name, None), current: name == state })
            .collect(),
        batches: batches.into_iter().map(|known| known.batch).collect(),
        kinds: AlertKind::ALL.into_iter().map(|own| (own.name(), kind == Some(own))).collect(),
        filtered: batch.is_some() || metric.is_some() || kind.is_some(),
        first_href: cursor.map(|_| address(state, None)),
        next_href: listed.next.as_deref().map(|next| address(state, Some(next))),
        batch: batch.unwrap_or_default(),
        metric: metric.unwrap_or_default(),
        frame,
    }))
}
