//! The page that a link in a message opens: what the alert is, and buttons.
//!
//! A `GET` changes nothing, because mail scanners and chat previews follow links; the
//! buttons `POST`. The token in the address is the only right, so the page is not cached,
//! sends no referrer, runs no script and loads nothing but its style.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Form, Path, Query, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use minijinja::{Environment, Value, context};
use serde::Deserialize;

use super::assets;
use super::pages::mood;
use crate::config::DEFAULT_TENANT;
use crate::desk::{Action, AlertView, Claim, Desk, DeskError, LinkError, Links, instant, why};
use crate::node::Node;
use crate::series::Millis;

const TEMPLATE: &str = include_str!("../../assets/link.html");
/// What a form may have, in bytes.
const FORM_BYTES: usize = 8 << 10;
/// No script, nothing from elsewhere, in no frame.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

static PAGES: LazyLock<Option<Environment<'static>>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    pages.add_template("link.html", TEMPLATE).ok()?;
    Some(pages)
});

pub(super) fn routes(node: Arc<Node>) -> Router {
    Router::new().route("/a/{token}", get(show).post(act)).layer(DefaultBodyLimit::max(FORM_BYTES)).with_state(node)
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    /// The action that the reader chose in the message: its button comes first.
    #[serde(default, rename = "do")]
    action: Option<Action>,
    /// The action that was just done.
    #[serde(default)]
    done: Option<Action>,
}

#[derive(Debug, Deserialize)]
struct Act {
    #[serde(rename = "do")]
    action: Action,
    #[serde(default)]
    by: String,
    #[serde(default)]
    comment: String,
}

/// Why there is no page, or nothing was done.
enum Refused {
    Link(LinkError),
    Desk(DeskError),
    Cut,
}

impl From<DeskError> for Refused {
    fn from(error: DeskError) -> Self {
        Self::Desk(error)
    }
}

impl From<LinkError> for Refused {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

impl Refused {
    fn page(&self) -> Response {
        let (status, title, problem) = match self {
            Self::Link(error @ LinkError::Forged) => {
                (StatusCode::NOT_FOUND, "This link cannot be used", error.to_string())
            }
            Self::Link(error @ LinkError::Expired) => (StatusCode::GONE, "This link has expired", error.to_string()),
            Self::Desk(DeskError::Store(error)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "Nothing was changed", error.to_string())
            }
            Self::Desk(error) => (StatusCode::BAD_REQUEST, "Nothing was changed", error.to_string()),
            Self::Cut => (StatusCode::INTERNAL_SERVER_ERROR, "Nothing was shown", "Try again.".to_owned()),
        };
        page(status, context! { title, problem })
    }
}

async fn show(
    State(node): State<Arc<Node>>,
    Path(token): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    // What is wrong behind the question mark is no reason to show nothing.
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let own = token.clone();
    let seen = on_desk(node, move |desk, links| {
        let claim = links.read(&own)?;
        Ok((desk.claimed(&claim)?, claim, desk.now))
    });
    match seen.await {
        Ok((alerts, claim, now)) => alert_page(&token, &alerts, &claim, &asked, now),
        Err(refused) => refused.page(),
    }
}

async fn act(
    State(node): State<Arc<Node>>,
    Path(token): Path<String>,
    form: Result<Form<Act>, FormRejection>,
) -> Response {
    let form = match form {
        Ok(Form(form)) => form,
        Err(rejection) => {
            return page(
                rejection.status(),
                context! { title => "Nothing was changed", problem => rejection.body_text() },
            );
        }
    };
    let own = token.clone();
    let action = form.action;
    let acted = on_desk(node.clone(), move |desk, links| {
        let claim = links.read(&own)?;
        desk.act(&claim, form.action, &form.by, &form.comment)?;
        Ok(claim.tenant)
    });
    match acted.await {
        Ok(tenant) => {
            node.look_again(&tenant);
            // So that to load the page again asks, and does not act again.
            let mut headers = guarded();
            let back = format!("{token}?done={}", action.name());
            headers.extend(HeaderValue::from_str(&back).ok().map(|back| (LOCATION, back)));
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(refused) => refused.page(),
    }
}

/// Asks the desk, on a thread that may block.
async fn on_desk<T: Send + 'static>(
    node: Arc<Node>,
    ask: impl FnOnce(&Desk<'_>, &Links) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let asked = tokio::task::spawn_blocking(move || {
        let bound = node.batches();
        let batches = bound.iter().map(|bound| (bound.batch.key.clone(), &bound.batch)).collect();
        // Which tenant is asked about stands in the link.
        let (config, tenant) = (&node.config, DEFAULT_TENANT);
        let desk = Desk { store: &node.store, batches: &batches, config, tenant, now: node.clock.now() };
        let links = Links::open(&node.store, None, {
            let now = desk.now;
            move || now
        })?;
        ask(&desk, &links)
    });
    asked.await.unwrap_or(Err(Refused::Cut))
}

fn alert_page(token: &str, alerts: &[AlertView], claim: &Claim, asked: &Asked, now: Millis) -> Response {
    let open = alerts.iter().filter(|alert| alert.state() != "resolved").count();
    let main = asked.action.filter(|action| claim.actions.contains(action)).unwrap_or(Action::Acknowledge);
    let mut actions = claim.actions.clone();
    actions.sort_by_key(|action| *action != main);
    let buttons: Vec<Value> = (actions.iter())
        .filter(|_| open > 0)
        .map(|action| context! { name => action.name(), title => action.title(), main => *action == main, focus => asked.action == Some(*action) })
        .collect();
    let done = asked.done.map(|action| match action.span() {
        None => "Acknowledged. It is not told again until it is over.".to_owned(),
        Some(span) => format!("Snoozed: nobody is told for {}.", instant::span(span)),
    });
    let title = match alerts {
        [one] => format!("{} · {}", one.metric, one.state()),
        several => format!("{} alerts", several.len()),
    };
    let over = match alerts {
        [] => "The alerts of this message are no longer kept.",
        [_] => "It is over, so there is nothing to do.",
        _ => "They are over, so there is nothing to do.",
    };
    page(
        StatusCode::OK,
        context! {
            title, token, buttons, done, over,
            heading => if open > 1 { format!("For all {open} alerts that are on") } else { "What now?".to_owned() },
            alerts => alerts.iter().map(|alert| shown(alert, now)).collect::<Vec<_>>(),
            expires => instant::text(claim.expires),
        },
    )
}

fn shown(alert: &AlertView, now: Millis) -> Value {
    let fact = |name: &str, text: String, more: String| context! { name, text, more };
    let mut facts = vec![
        fact(
            "Came",
            alert.value.map_or("nothing".to_owned(), why::number),
            format!("at {}", instant::text(alert.worst_at)),
        ),
        fact("Expected", why::expected(alert.expected), String::new()),
    ];
    let lasted = instant::span(alert.ended.unwrap_or(now) - alert.started);
    facts.push(fact(
        "Since",
        instant::text(alert.started),
        match alert.ended {
            Some(_) => format!("for {lasted}, and over"),
            None => format!("for {lasted}"),
        },
    ));
    if let (Some(score), Some(threshold)) = (alert.score, alert.threshold) {
        facts.push(fact("Score", format!("{score:.2}"), format!("an alert from {threshold:.2} on")));
    }
    let mut put = |name: &str, text: String, more: String| facts.push(fact(name, text, more));
    put("Batch", alert.batch.clone(), alert.kind.name().to_owned());
    if let Some(text) = &alert.explanation {
        put("Why", text.clone(), String::new());
    }
    if let Some(act) = &alert.acknowledged {
        put("Acknowledged", format!("by {}", act.by), format!("{} {}", instant::text(act.at), act.comment));
    }
    if let Some(snoozed) = &alert.snoozed {
        put("Snoozed", format!("until {}", instant::text(snoozed.until)), format!("by {}", snoozed.by));
    }
    context! { state => alert.state(), mood => mood(alert.state()), metric => alert.metric.clone(), facts }
}

fn page(status: StatusCode, values: Value) -> Response {
    // Below an address of a proxy's choosing everything is relative.
    let values = context! { assets => assets::ROOT.as_str(), ..values };
    let pages = PAGES.as_ref();
    let text = pages.and_then(|pages| pages.get_template("link.html").ok()?.render(values).ok());
    match text {
        Some(text) => (status, guarded(), text).into_response(),
        None => {
            (StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be made; this is a fault in anomd").into_response()
        }
    }
}

fn guarded() -> HeaderMap {
    let robots = HeaderName::from_static("x-robots-tag");
    [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (robots, "noindex"),
    ]
    .into_iter()
    .map(|(name, value)| (name, HeaderValue::from_static(value)))
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::body::to_bytes;

    use super::*;
    use crate::message::{AlertKind, AlertPhase};

    const NOW: Millis = 1_767_225_600_000;

    fn alert(metric: &str, phase: AlertPhase) -> AlertView {
        AlertView {
            id: "00112233445566778899aabb".to_owned(),
            tenant: "default".to_owned(),
            batch: "orders".to_owned(),
            kind: AlertKind::Anomaly,
            number: 0,
            metric: metric.to_owned(),
            labels: BTreeMap::new(),
            phase,
            acknowledged: None,
            snoozed: None,
            rated: None,
            silenced_by: Vec::new(),
            started: NOW - 2_100_000,
            fired: Some(NOW - 2_100_000),
            ended: (phase == AlertPhase::Resolved).then_some(NOW - 60_000),
            worst_at: NOW - 1_800_000,
            value: Some(1_243.87),
            expected: (Some(210.25), Some(388.5)),
            score: Some(0.97),
            threshold: Some(0.8),
            limit_at: None,
            limit_earliest: None,
            limit_latest: None,
            terms: Vec::new(),
            events: Vec::new(),
            explanation: None,
        }
    }

    async fn text(response: Response) -> String {
        String::from_utf8(to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap()
    }

    fn claim() -> Claim {
        Claim { tenant: "default".to_owned(), alerts: Vec::new(), actions: Action::ALL.to_vec(), expires: NOW + 1 }
    }

    #[tokio::test]
    async fn the_page_says_what_is_wrong_and_the_chosen_button_comes_first() {
        let alerts = [alert("checkout_errors{instance=\"web-1:9100\"}", AlertPhase::Firing)];
        let asked = Asked { action: Some(Action::SnoozeHours), done: None };
        let page = text(alert_page("TOKEN", &alerts, &claim(), &asked, NOW)).await;
        for told in ["1244", "210.2 to 388.5", "for 35 min", "0.97", "orders", "method=\"post\" action=\"TOKEN\""] {
            assert!(page.contains(told), "{told} is not in {page}");
        }
        let at = |text: &str| page.find(text).unwrap();
        assert!(at("value=\"snooze-hours\" class=\"primary\"") < at("value=\"acknowledge\""));
    }

    #[tokio::test]
    async fn what_a_source_sends_is_text_and_no_script_can_run() {
        let response =
            alert_page("TOKEN", &[alert("<script>x</script>", AlertPhase::Firing)], &claim(), &Asked::default(), NOW);
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{policy}");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let page = text(response).await;
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{page}");
    }

    #[tokio::test]
    async fn an_alert_that_is_over_has_no_buttons() {
        let over = [alert("cpu", AlertPhase::Resolved)];
        let page = text(alert_page("TOKEN", &over, &claim(), &Asked::default(), NOW)).await;
        assert!(!page.contains("<button") && page.contains("nothing to do"), "{page}");
    }

    #[tokio::test]
    async fn a_link_that_cannot_be_used_says_what_to_do() {
        let forged = Refused::Link(LinkError::Forged).page();
        assert_eq!(forged.status(), StatusCode::NOT_FOUND);
        assert!(text(forged).await.contains("Open it again from the message"));
        assert_eq!(Refused::Link(LinkError::Expired).page().status(), StatusCode::GONE);
    }
}
