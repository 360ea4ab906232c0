//! One alert: its picture, what happened to it, why, who was told, and what one can do.

use askama::Template;
use axum::Extension;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::Pages;
use super::alert_row::AlertRow;
use super::frame::{Frame, Part, ProblemPage, encoded, page};
use super::moment::{Moment, between, given, lasted, number};
use super::range::words;
use super::sketch::{HEIGHT, Sketch, WIDTH};
use crate::desk::tenants::Scope;
use crate::desk::why::{self, Outcome};
use crate::desk::{Acknowledge, AlertView, Rate, Snooze, Timeline, TimelineView, Trace, Unacknowledge, instant};
use crate::message::{AlertKind, Rating};
use crate::series::Millis;
use crate::web::api::{Api, Endpoint};
use crate::web::auth::Visitor;

const MINUTE: Millis = 60_000;

pub(super) fn register(pages: &mut Pages) {
    pages.add("/alerts/{id}", Scope::Read, get(show));
    pages.add("/alerts/{id}/ack", Scope::Operate, post(acknowledge));
    pages.add("/alerts/{id}/unack", Scope::Operate, post(unacknowledge));
    pages.add("/alerts/{id}/snooze", Scope::Operate, post(snooze));
    pages.add("/alerts/{id}/rate", Scope::Operate, post(rate));
}

#[derive(Template)]
#[template(path = "alert.html")]
struct AlertPage {
    frame: Frame,
    can_act: bool,
    alert: AlertRow,
    is_over: bool,
    acknowledged: bool,
    snoozed: bool,
    series_href: String,
    facts: Vec<Fact>,
    sketch: Option<Sketch>,
    width: f64,
    height: f64,
    words: String,
    entries: Vec<Entry>,
    answer: Option<String>,
    rules: Vec<RuleRow>,
    models: Vec<String>,
    deliveries: Vec<DeliveryRow>,
    silence_href: String,
}

struct Fact {
    name: &'static str,
    text: String,
    more: String,
}

struct Entry {
    at: Moment,
    what: String,
    text: String,
}

struct RuleRow {
    kind: &'static str,
    /// A word for how it came out, and the numbers.
    conditions: Vec<(&'static str, String)>,
}

struct DeliveryRow {
    method: String,
    receiver: String,
    state: String,
    mood: &'static str,
    tries: usize,
    last: String,
    next: Option<Moment>,
}

async fn show(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, ProblemPage> {
    let seen = api.ask(&visitor.tenant, Timeline { id }).await;
    let seen = seen.map_err(|problem| ProblemPage::of(Some(&visitor), problem))?;
    Ok(page(&AlertPage::of(seen, &visitor, api.node.clock.now())))
}

impl AlertPage {
    fn of(seen: TimelineView, visitor: &Visitor, now: Millis) -> Self {
        let TimelineView { alert, entries, why, span, points, matchers } = seen;
        let frame = Frame::new(visitor, Part::Alerts, format!("{} · {}", alert.metric, alert.state()));
        let scored = alert.kind == AlertKind::Anomaly;
        let threshold = alert.threshold.filter(|_| scored);
        let during = alert.started..alert.ended.unwrap_or(span.1);
        let entry = |entry: crate::desk::TimelineEntry| Entry {
            at: Moment::of(entry.at, now),
            what: entry.what,
            text: entry.text,
        };
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("matchers", &matchers).finish();
        Self {
            can_act: visitor.scope >= Scope::Operate,
            is_over: alert.ended.is_some(),
            acknowledged: alert.acknowledged.is_some(),
            snoozed: alert.snoozed.is_some(),
            series_href: frame.at(&format!(
                "/batches/{}/series/{}?from={}&to={}",
                encoded(&alert.batch),
                encoded(&alert.metric),
                instant::text(span.0),
                instant::text(span.1)
            )),
            facts: facts(&alert, now),
            sketch: Sketch::of(&points, &(span.0..span.1), &during, threshold),
            width: WIDTH,
            height: HEIGHT,
            words: picture(&alert),
            entries: entries.into_iter().map(entry).collect(),
            answer: why.as_ref().map(|why| why.answer.text.clone()),
            rules: why.as_ref().map(rules).unwrap_or_default(),
            models: why.as_ref().map(models).unwrap_or_default(),
            deliveries: why.as_ref().map(|why| deliveries(why, now)).unwrap_or_default(),
            silence_href: frame.at(&format!("/silences?{query}")),
            alert: AlertRow::of(&alert, &frame, now),
            frame,
        }
    }
}

fn facts(alert: &AlertView, now: Millis) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut put = |name, text: String, more: String| facts.push(Fact { name, text, more });
    put("Value", alert.value.map_or("nothing".to_owned(), number), {
        format!("on {}", Moment::of(alert.worst_at, now).short)
    });
    if alert.expected != (None, None) {
        put("Expected", between(alert.expected), String::new());
    }
    if let (Some(score), Some(threshold), AlertKind::Anomaly) = (alert.score, alert.threshold, alert.kind) {
        put("Score", format!("{score:.2}"), format!("an alert from {threshold:.2} on"));
        if !alert.terms.is_empty() {
            let terms: Vec<String> = alert.terms.iter().map(|(name, part)| format!("{name} {part:.2}")).collect();
            put("Parts of it", terms.join("\n"), String::new());
        }
    }
    let lasted = lasted(alert.ended.unwrap_or(now).saturating_sub(alert.started));
    put(
        "Since",
        Moment::of(alert.started, now).short,
        match alert.ended {
            Some(_) => format!("for {lasted}, and over"),
            None => format!("for {lasted}"),
        },
    );
    if let Some(at) = alert.limit_at {
        put("Reaches its limit", Moment::of(at, now).short, Moment::of(at, now).ago);
    }
    if let Some(text) = &alert.explanation {
        put("Explanation", text.clone(), String::new());
    }
    if !alert.events.is_empty() {
        put("Events", alert.events.join(", "), String::new());
    }
    if let Some(rated) = &alert.rated {
        let meaning = match rated.rating {
            Rating::Up => "it was real; left out of training",
            Rating::Down => "a false alarm; learnt from",
        };
        put(
            "Rated",
            rated.rating.name().to_owned(),
            format!("by {}, {}: {meaning}", rated.by, Moment::of(rated.at, now).ago),
        );
    }
    for (name, value) in &alert.labels {
        if name != "__name__" {
            facts.push(Fact { name: "Label", text: format!("{name}={value}"), more: String::new() });
        }
    }
    facts
}

/// The picture in words.
fn picture(alert: &AlertView) -> String {
    let value = alert.value.map_or("no value".to_owned(), number);
    let expected = match alert.expected {
        (None, None) => String::new(),
        edges => format!(", where {} was expected", between(edges)),
    };
    format!("{} around the alert: at its worst {value}{expected}.", alert.metric)
}

fn rules(why: &Trace) -> Vec<RuleRow> {
    let outcome = |outcome: Outcome| match outcome {
        Outcome::Held => "held",
        Outcome::Failed => "failed",
        Outcome::NotReached => "not looked at",
    };
    let rows = why.rules.iter().map(|rule| RuleRow {
        kind: rule.kind.name(),
        conditions: (rule.conditions.iter())
            .map(|condition| (outcome(condition.outcome), format!("{}: {}", condition.name, condition.text)))
            .collect(),
    });
    rows.collect()
}

fn models(why: &Trace) -> Vec<String> {
    let short = |digest: &str| digest.chars().take(12).collect::<String>();
    let text = |model: &why::ModelStep| match &model.fit {
        None => format!("{}: no model stood", model.tag),
        Some(fit) => {
            let left_out = match fit.left_out {
                0 => String::new(),
                n => format!(", without {n} points that were rated as anomalies"),
            };
            format!(
                "{}: {} {}, fit {} on {} to {}{left_out}",
                model.tag,
                fit.plugin,
                short(&fit.model_digest),
                words(fit.fitted),
                words(fit.data.0),
                words(fit.data.1)
            )
        }
    };
    why.models.iter().map(text).collect()
}

fn deliveries(why: &Trace, now: Millis) -> Vec<DeliveryRow> {
    let rows = why.deliveries.iter().map(|delivery| DeliveryRow {
        method: delivery.method.clone(),
        receiver: delivery.receiver.clone(),
        mood: match delivery.state.as_str() {
            "sent" => "good",
            "dead" => "bad",
            _ => "warn",
        },
        state: delivery.state.clone(),
        tries: delivery.tries.len(),
        last: delivery.tries.last().map(|tried| tried.answer.clone()).unwrap_or_default(),
        next: (delivery.state == "queued").then(|| Moment::of(delivery.due, now)),
    });
    rows.collect()
}

/// What the forms of this page send.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Act {
    by: String,
    comment: String,
    /// Minutes of a snooze; 0 ends it.
    minutes: Option<Millis>,
    rating: String,
}

type Sent = Result<Form<Act>, FormRejection>;

/// Who does it: the visitor by their token; and who shows none, the name in the form.
pub(super) fn author(visitor: &Visitor, named: &str) -> String {
    let known = visitor.name().map(str::to_owned);
    known.or_else(|| given(Some(named))).unwrap_or_else(|| "the operator".to_owned())
}

/// Does what a form asks, then leads back to the alert.
async fn act<R: Endpoint>(
    api: Api,
    visitor: Visitor,
    id: String,
    sent: Sent,
    request: impl FnOnce(Act, String) -> Result<R, String>,
) -> Result<Response, ProblemPage> {
    let invalid = |text: String| ProblemPage::new(Some(&visitor), StatusCode::UNPROCESSABLE_ENTITY, text);
    let Form(sent) = sent.map_err(|rejection| invalid(rejection.body_text()))?;
    let by = author(&visitor, &sent.by);
    let mut request = request(sent, by).map_err(invalid)?;
    request.set_id(id.clone());
    let done = api.change(&visitor.tenant, request).await;
    done.map_err(|problem| ProblemPage::of(Some(&visitor), problem))?;
    let to = format!("/t/{}/alerts/{}", encoded(&visitor.tenant), encoded(&id));
    Ok(Redirect::to(&to).into_response())
}

type Named = Path<(String, String)>;

async fn acknowledge(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, id)): Named,
    sent: Sent,
) -> Result<Response, ProblemPage> {
    let request = |sent: Act, by| Ok(Acknowledge { id: String::new(), by, comment: sent.comment });
    act(api, visitor, id, sent, request).await
}

async fn unacknowledge(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, id)): Named,
    sent: Sent,
) -> Result<Response, ProblemPage> {
    act(api, visitor, id, sent, |_, by| Ok(Unacknowledge { id: String::new(), by })).await
}

async fn snooze(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, id)): Named,
    sent: Sent,
) -> Result<Response, ProblemPage> {
    let now = api.node.clock.now();
    let request = |sent: Act, by| {
        let minutes = sent.minutes.filter(|minutes| *minutes >= 0).ok_or("for how long is missing")?;
        Ok(Snooze { id: String::new(), by, until: now.saturating_add(minutes.saturating_mul(MINUTE)) })
    };
    act(api, visitor, id, sent, request).await
}

async fn rate(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, id)): Named,
    sent: Sent,
) -> Result<Response, ProblemPage> {
    let request = |sent: Act, by| {
        let rating = match sent.rating.as_str() {
            "up" => Some(Rating::Up),
            "down" => Some(Rating::Down),
            "none" => None,
            other => return Err(format!("`{other}` is no rating; it is up, down or none")),
        };
        Ok(Rate { id: String::new(), by, rating })
    };
    act(api, visitor, id, sent, request).await
}
