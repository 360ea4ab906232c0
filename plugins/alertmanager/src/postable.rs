//! One series of a message as Alertmanager's API takes it (`postableAlert`).

use std::collections::BTreeMap;

use anomd_notifier::text::{came, expected, headline, is_web, iso, period, score, terms};
use anomd_notifier::{Alert, Finding, State};
use serde::Serialize;

use crate::Config;
use crate::labels::{Labels, merged};

/// An alert in the API's own words.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Postable<'a> {
    labels: Labels,
    annotations: BTreeMap<String, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<&'a str>,
}

/// The alerts of a message, each as JSON: one for each series, or one for a message that is
/// about none.
pub fn of(config: &Config, hold: i64, alert: &Alert, now: i64) -> Vec<String> {
    let given = given(config, alert);
    let alone = alert.findings.is_empty().then(|| postable(given.clone(), hold, alert, None, now));
    let findings = alert.findings.iter().map(|finding| {
        let labels = merged(given.clone(), &finding.labels);
        postable(labels, hold, alert, Some(finding), now)
    });
    // Only a map with keys that are no strings could fail.
    alone.into_iter().chain(findings).map(|postable| serde_json::to_string(&postable).unwrap_or_default()).collect()
}

/// The labels of the message: the operator's before the host's, and what it is about, so that
/// the end of one alert is not the end of another about the same series.
fn given(config: &Config, alert: &Alert) -> Labels {
    let mut labels = config.labels.clone();
    labels.retain(|_, value| !value.is_empty());
    labels.extend(config.alertname.iter().map(|name| ("alertname".to_owned(), name.clone())));
    let of_host = alert.labels.iter().filter(|(name, _)| !labels.contains_key(name)).collect::<Vec<_>>();
    let mut labels = merged(labels.clone(), of_host);
    labels.entry("alertname".into()).or_insert_with(|| "AnomalyDetected".into());
    if !alert.kind.is_empty() {
        labels.entry("kind".into()).or_insert_with(|| alert.kind.clone());
    }
    labels
}

fn postable<'a>(labels: Labels, hold: i64, alert: &'a Alert, finding: Option<&Finding>, now: i64) -> Postable<'a> {
    let starts = finding.map_or(now, |finding| finding.started);
    let ends = match (alert.state, finding.and_then(|finding| finding.ended)) {
        (State::Firing, None) => now.saturating_add(hold),
        // One of several series may be over before the others are.
        (State::Firing | State::Resolved, Some(ended)) => ended.min(now),
        (State::Resolved, None) => now,
    };
    Postable {
        labels,
        annotations: annotations(alert, finding),
        starts_at: iso(starts),
        // An end before the start is refused.
        ends_at: iso(ends.max(starts)),
        generator_url: alert.link.as_deref().filter(|url| is_web(url)),
    }
}

fn annotations(alert: &Alert, finding: Option<&Finding>) -> BTreeMap<String, String> {
    let mut annotations = vec![("summary", headline(alert)), ("description", alert.body.trim().to_owned())];
    annotations.extend(alert.link.iter().filter(|url| is_web(url)).map(|url| ("dashboard", url.clone())));
    if let Some(finding) = finding {
        annotations.extend([("value", came(finding)), ("period", period(finding)), ("terms", terms(finding))]);
        annotations.extend(expected(finding).map(|expected| ("expected", expected)));
        annotations.extend(score(finding).map(|_| ("score", format!("{:.2}", finding.score))));
    }
    annotations.retain(|(_, text)| !text.is_empty());
    annotations.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_767_622_000_000;

    pub fn alert() -> Alert {
        Alert {
            id: "a1".into(),
            incident: "i1".into(),
            state: State::Firing,
            kind: "anomaly".into(),
            labels: vec![("batch".into(), "demo".into()), ("tenant".into(), "default".into())],
            title: "cpu looks anomalous".into(),
            body: "Batch demo.".into(),
            link: Some("https://anomd.example/alerts/a1".into()),
            actions: vec![],
            chart: None,
            findings: vec![Finding {
                labels: vec![("__name__".into(), "cpu".into()), ("instance".into(), "a:9100".into())],
                value: 0.97,
                expected: f64::NAN,
                lower: 0.1,
                upper: 0.2,
                score: 0.934,
                terms: vec![("level".into(), 0.8)],
                started: 1_767_621_780_000,
                ended: None,
            }],
            more: 0,
        }
    }

    pub fn config(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    fn posted(config_json: &str, alert: &Alert) -> Vec<Value> {
        let config = config(config_json);
        let all = of(&config, config.hold().unwrap(), alert, NOW);
        all.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    #[test]
    fn a_series_is_an_alert_that_lives_for_hold() {
        let config = r#"{"url": "http://am", "hold": "5m", "labels": {"severity": "page"}}"#;
        let expected = json!([{
            "labels": {
                "alertname": "AnomalyDetected", "batch": "demo", "tenant": "default", "kind": "anomaly",
                "severity": "page", "metric": "cpu", "instance": "a:9100",
            },
            "annotations": {
                "summary": "cpu looks anomalous",
                "description": "Batch demo.",
                "value": "0.97",
                "expected": "0.1 to 0.2",
                "score": "0.93",
                "terms": "level 0.80",
                "period": "since 2026-01-05 14:03 UTC",
                "dashboard": "https://anomd.example/alerts/a1",
            },
            "startsAt": "2026-01-05T14:03:00.000Z",
            "endsAt": "2026-01-05T14:11:40.000Z",
            "generatorURL": "https://anomd.example/alerts/a1",
        }]);
        assert_eq!(Value::from(posted(config, &alert())), expected);
    }

    #[test]
    fn a_resolved_series_has_its_own_end_and_the_labels_it_fired_with() {
        let url = r#"{"url": "http://am"}"#;
        let mut over = alert();
        over.state = State::Resolved;
        over.findings[0].ended = Some(1_767_621_840_000);
        let (firing, resolved) = (posted(url, &alert()), posted(url, &over));
        assert_eq!(resolved[0]["endsAt"], "2026-01-05T14:04:00.000Z");
        assert_eq!((&firing[0]["labels"], &firing[0]["startsAt"]), (&resolved[0]["labels"], &resolved[0]["startsAt"]));
        // What is over may not end in Alertmanager's future, nor before it began.
        over.findings[0].ended = Some(NOW + 1);
        assert_eq!(posted(url, &over)[0]["endsAt"], iso(NOW));
        over.findings[0].ended = Some(0);
        assert_eq!(posted(url, &over)[0]["endsAt"], posted(url, &over)[0]["startsAt"]);
    }

    #[test]
    fn the_operators_labels_go_before_the_hosts_and_those_before_the_series() {
        let mut alert = alert();
        alert.labels.push(("alertname".into(), "Anomaly".into()));
        alert.labels.push(("severity".into(), "low".into()));
        alert.findings[0].labels.push(("severity".into(), "none".into()));
        let labels = |config: &str| posted(config, &alert)[0]["labels"].clone();
        let of_host = labels(r#"{"url": "http://am"}"#);
        assert_eq!((&of_host["alertname"], &of_host["severity"]), (&json!("Anomaly"), &json!("low")));
        assert_eq!(of_host["exported_severity"], "none");
        let ours = labels(r#"{"url": "http://am", "alertname": "Odd", "labels": {"severity": "page"}}"#);
        assert_eq!((&ours["alertname"], &ours["severity"]), (&json!("Odd"), &json!("page")));
    }

    #[test]
    fn nothing_in_an_alert_makes_alertmanager_refuse_it() {
        let mut hostile = alert();
        hostile.link = Some("javascript:alert(1)".into());
        hostile.labels.push(("not a name".into(), "x".into()));
        hostile.labels.push(("gone".into(), String::new()));
        hostile.findings[0].labels = vec![(String::new(), "no name".into()), ("a b".into(), "\u{0}\"\n".into())];
        let posted = posted(r#"{"url": "http://am"}"#, &hostile);
        assert_eq!(posted[0].get("generatorURL"), None);
        let labels = posted[0]["labels"].as_object().unwrap();
        let valid = |name: &str| {
            !name.starts_with(|c: char| c.is_ascii_digit())
                && !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        assert!(labels.iter().all(|(name, value)| valid(name) && value != ""), "{labels:?}");
    }

    #[test]
    fn an_alert_about_no_series_is_one_alert() {
        let mut bare = alert();
        bare.findings.clear();
        let posted = posted(r#"{"url": "http://am"}"#, &bare);
        assert_eq!(posted.len(), 1);
        assert_eq!(posted[0]["labels"]["batch"], "demo");
    }
}
