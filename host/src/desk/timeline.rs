//! An alert from its first point to its end: what happened to it, who was told, who did what
//! about it, and the chain of reasons behind its worst point.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::alerts::act;
use super::around::around;
use super::{AlertView, AroundPoint, Ask, Desk, DeskError, Trace, instant, why};
use crate::message::{AlertKind, DeedKind};
use crate::series::{MatchOp, Matcher, Matchers, Millis};

/// Asks for the timeline of an alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Timeline {
    /// Its identity, or a beginning of it that no other has.
    #[serde(default)]
    pub id: String,
}

/// The timeline of an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimelineView {
    /// The alert as it stands.
    pub alert: AlertView,
    /// What happened, the oldest first.
    pub entries: Vec<TimelineEntry>,
    /// The chain of reasons behind its worst point, with all messages and their tries; `None`
    /// where its series is no longer kept.
    #[schema(value_type = Option<Object>)]
    pub why: Option<Trace>,
    /// The span of the picture.
    #[serde(with = "instant::pair")]
    #[schema(value_type = Vec<String>)]
    pub span: (Millis, Millis),
    /// Its series in that span, thinned.
    pub points: Vec<AroundPoint>,
    /// Matchers of a silence that would hide it and other alerts of its series.
    pub matchers: String,
}

/// Something that happened to an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimelineEntry {
    /// When.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub at: Millis,
    /// What, in a word: `began`, `fired`, `worst`, `told`, `held`, `sent`, `unsent`,
    /// `acknowledged`, `unacknowledged`, `snoozed`, `woken`, `rated`, `ended`.
    pub what: String,
    /// What, in a sentence.
    pub text: String,
}

fn entry(at: Millis, what: &str, text: impl Into<String>) -> TimelineEntry {
    TimelineEntry { at, what: what.to_owned(), text: text.into() }
}

impl Ask for Timeline {
    type Reply = TimelineView;

    fn ask(&self, desk: &Desk<'_>) -> Result<TimelineView, DeskError> {
        let record = desk.alert(&self.id)?;
        let why = why::of_alert(desk, &record)?;
        let (span, points) = around(desk, &record)?;
        let deeds = act(desk, &record)?.history;
        let alert = desk.view(record)?;
        let mut entries = course(&alert);
        entries.extend(deeds.into_iter().map(|deed| {
            let (what, did) = did(&deed.what);
            entry(deed.at, what, format!("{} {did}", deed.by))
        }));
        for notice in why.iter().flat_map(|why| &why.notices) {
            let what = if notice.held.is_some() { "held" } else { "told" };
            let text = if notice.held.is_some() { format!("not told: {}", notice.text) } else { notice.text.clone() };
            entries.push(entry(notice.at, what, text));
        }
        for delivery in why.iter().flat_map(|why| &why.deliveries) {
            for tried in &delivery.tries {
                let to = format!("{} ({})", delivery.method, delivery.receiver);
                entries.push(match tried.sent {
                    true => entry(tried.at, "sent", format!("{to} took the message: {}", tried.answer)),
                    false => entry(tried.at, "unsent", format!("{to} did not take the message: {}", tried.answer)),
                });
            }
        }
        // What is at one instant stays in the order of its causes.
        entries.sort_by_key(|entry| entry.at);
        let matchers = matchers(&alert)?;
        Ok(TimelineView { alert, entries, why, span: (span.start, span.end), points, matchers })
    }
}

/// What became of the condition itself.
fn course(alert: &AlertView) -> Vec<TimelineEntry> {
    let number = |value: Option<f64>| value.map_or("no value".to_owned(), why::number);
    let scored = alert.kind == AlertKind::Anomaly;
    let began = match alert.kind {
        AlertKind::NoData => "samples stopped".to_owned(),
        AlertKind::Anomaly => {
            format!("the score reached the threshold {}", alert.threshold.map_or(String::new(), |t| format!("{t:.2}")))
        }
        kind => format!("the {} rule saw its first point", kind.name()),
    };
    let mut entries = vec![entry(alert.started, "began", began)];
    if let Some(fired) = alert.fired.filter(|fired| *fired > alert.started) {
        entries.push(entry(fired, "fired", "it held for long enough to be told (alert_for)"));
    }
    if alert.worst_at > alert.started && alert.kind != AlertKind::NoData {
        let score = alert.score.filter(|_| scored).map_or(String::new(), |score| format!(", score {score:.2}"));
        let expected = match alert.expected {
            (None, None) => String::new(),
            edges => format!(", expected {}", why::expected(edges)),
        };
        entries.push(entry(
            alert.worst_at,
            "worst",
            format!("the worst point: {}{expected}{score}", number(alert.value)),
        ));
    }
    if let Some(ended) = alert.ended {
        let lasted = instant::span(ended.saturating_sub(alert.started));
        entries.push(entry(ended, "ended", format!("over, after {lasted}")));
    }
    entries
}

fn did(what: &DeedKind) -> (&'static str, String) {
    match what {
        DeedKind::Acknowledged(said) if said.is_empty() => ("acknowledged", "acknowledged it".to_owned()),
        DeedKind::Acknowledged(said) => ("acknowledged", format!("acknowledged it: {said}")),
        DeedKind::Unacknowledged => ("unacknowledged", "took the acknowledgement back".to_owned()),
        DeedKind::Snoozed(until) => ("snoozed", format!("snoozed it until {}", instant::text(*until))),
        DeedKind::Woken => ("woken", "ended the snooze".to_owned()),
        DeedKind::Rated(None) => ("rated", "took the rating back".to_owned()),
        DeedKind::Rated(Some(rating)) => ("rated", format!("rated it {}", rating.name())),
    }
}

/// Matchers of a silence for an alert: its batch and its metric.
fn matchers(alert: &AlertView) -> Result<String, DeskError> {
    let equal = |name: &str, value: &str| {
        Matcher::new(name, MatchOp::Equal, value).map_err(|e| DeskError::invalid(e.to_string()))
    };
    let both = vec![equal("batch", &alert.batch)?, equal("metric", &alert.metric)?];
    Ok(Matchers(both).to_string())
}
