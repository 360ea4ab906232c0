//! The list of alerts: those that are on, or all that are kept.

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
use crate::desk::AlertQuery;
use crate::desk::tenants::Scope;
use crate::message::AlertKind;
use crate::web::api::Api;
use crate::web::auth::Visitor;

/// Alerts of one page.
const ALERTS: usize = 50;

pub(super) fn register(pages: &mut Pages) {
    pages.add("/alerts", Scope::Read, get(show));
}

/// What stands in the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Look {
    /// `all`: also those that are over.
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
    all: bool,
    batch: String,
    metric: String,
    kinds: Vec<(&'static str, bool)>,
    filtered: bool,
    first_href: Option<String>,
    next_href: Option<String>,
}

async fn show(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    look: Result<Query<Look>, QueryRejection>,
) -> Result<Response, ProblemPage> {
    let look = look.map(|Query(look)| look).unwrap_or_default();
    let (batch, metric) = (given(look.batch.as_deref()), given(look.metric.as_deref()));
    let kind = AlertKind::ALL.into_iter().find(|kind| look.kind.as_deref() == Some(kind.name()));
    let (all, cursor) = (look.state.as_deref() == Some("all"), given(look.cursor.as_deref()));
    let asked = AlertQuery {
        batch: batch.clone(),
        metric: metric.clone(),
        kind,
        all,
        limit: Some(ALERTS),
        cursor: cursor.clone(),
    };
    let listed = api.ask(&visitor.tenant, asked).await.map_err(|problem| ProblemPage::of(Some(&visitor), problem))?;
    let frame = Frame::new(&visitor, Part::Alerts, "Alerts");
    let now = api.node.clock.now();
    let address = |cursor: Option<&str>| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("state", if all { "all" } else { "open" });
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
        all,
        kinds: AlertKind::ALL.into_iter().map(|own| (own.name(), kind == Some(own))).collect(),
        filtered: batch.is_some() || metric.is_some() || kind.is_some(),
        first_href: cursor.map(|_| address(None)),
        next_href: listed.next.as_deref().map(|next| address(Some(next))),
        batch: batch.unwrap_or_default(),
        metric: metric.unwrap_or_default(),
        frame,
    }))
}
