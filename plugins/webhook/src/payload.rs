//! The JSON that is posted. Its shape is a promise: fields may be added, and none changes
//! its meaning or goes away without a new `version`.

use std::collections::BTreeMap;

use anomd_notifier::text::{iso, series};
use anomd_notifier::{Alert, Finding, State};
use data_encoding::BASE64;
use serde::Serialize;

#[derive(Serialize)]
struct Payload<'a> {
    version: u32,
    id: &'a str,
    incident: &'a str,
    state: &'static str,
    kind: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    title: &'a str,
    body: &'a str,
    link: Option<&'a str>,
    actions: Vec<Deed<'a>>,
    findings: Vec<Found<'a>>,
    more: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    chart: Option<Chart>,
}

#[derive(Serialize)]
struct Chart {
    media_type: &'static str,
    base64: String,
}

#[derive(Serialize)]
struct Deed<'a> {
    name: &'a str,
    url: &'a str,
}

/// Numbers that are not known are null: JSON has no NaN.
#[derive(Serialize)]
struct Found<'a> {
    series: String,
    labels: BTreeMap<&'a str, &'a str>,
    value: Option<f64>,
    expected: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
    score: Option<f64>,
    terms: Vec<Term<'a>>,
    started: String,
    started_ms: i64,
    ended: Option<String>,
    ended_ms: Option<i64>,
}

#[derive(Serialize)]
struct Term<'a> {
    name: &'a str,
    value: Option<f64>,
}

/// The body of the request. The chart is large, so it is there only where it is wanted.
pub fn json(alert: &Alert, chart: bool) -> Vec<u8> {
    let payload = Payload {
        version: 1,
        id: &alert.id,
        incident: &alert.incident,
        state: match alert.state {
            State::Firing => "firing",
            State::Resolved => "resolved",
        },
        kind: &alert.kind,
        labels: map(&alert.labels),
        title: &alert.title,
        body: &alert.body,
        link: alert.link.as_deref(),
        actions: alert.actions.iter().map(|action| Deed { name: &action.name, url: &action.url }).collect(),
        findings: alert.findings.iter().map(found).collect(),
        more: alert.more,
        chart: alert
            .chart
            .as_deref()
            .filter(|_| chart)
            .map(|png| Chart { media_type: "image/png", base64: BASE64.encode(png) }),
    };
    // Only a map with keys that are no strings could fail.
    serde_json::to_vec(&payload).unwrap_or_default()
}

fn map(labels: &[(String, String)]) -> BTreeMap<&str, &str> {
    labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn found(finding: &Finding) -> Found<'_> {
    let known = |x: f64| x.is_finite().then_some(x);
    Found {
        series: series(&finding.labels),
        labels: map(&finding.labels),
        value: known(finding.value),
        expected: known(finding.expected),
        lower: known(finding.lower),
        upper: known(finding.upper),
        score: known(finding.score),
        terms: finding.terms.iter().map(|(name, value)| Term { name, value: known(*value) }).collect(),
        started: iso(finding.started),
        started_ms: finding.started,
        ended: finding.ended.map(iso),
        ended_ms: finding.ended,
    }
}

#[cfg(test)]
pub mod tests {
    use anomd_notifier::Action;

    use super::*;

    pub fn alert() -> Alert {
        Alert {
            id: "a1".into(),
            incident: "i1".into(),
            state: State::Firing,
            kind: "anomaly".into(),
            labels: vec![("batch".into(), "demo".into())],
            title: "cpu is unusual".into(),
            body: "**High** since 14:03.".into(),
            link: Some("https://anomd.example/alerts/a1".into()),
            actions: vec![Action { name: "Snooze 1 h".into(), url: "https://anomd.example/snooze/a1".into() }],
            chart: Some(b"a PNG".to_vec()),
            findings: vec![Finding {
                labels: vec![("__name__".into(), "cpu".into()), ("instance".into(), "demo:1".into())],
                value: 0.97,
                expected: f64::NAN,
                lower: 0.1,
                upper: f64::INFINITY,
                score: 0.93,
                terms: vec![("level".into(), 0.8)],
                started: 1_767_621_780_000,
                ended: None,
            }],
            more: 3,
        }
    }

    /// The example of README.md.
    #[test]
    fn the_shape_is_the_documented_one() {
        let readme = include_str!("../README.md");
        let (_, after) = readme.split_once("```json\n").unwrap();
        let (example, _) = after.split_once("```").unwrap();
        let example: serde_json::Value = serde_json::from_str(example).unwrap();
        let posted: serde_json::Value = serde_json::from_slice(&json(&alert(), false)).unwrap();
        assert_eq!(posted, example);
    }

    #[test]
    fn the_chart_is_there_where_it_is_asked_for() {
        let posted: serde_json::Value = serde_json::from_slice(&json(&alert(), true)).unwrap();
        assert_eq!(posted["chart"], serde_json::json!({"media_type": "image/png", "base64": "YSBQTkc="}));
    }
}
