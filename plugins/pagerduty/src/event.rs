//! An event, in the words of PagerDuty's Events API v2 and within its lengths.

use std::collections::BTreeMap;

use anomd_notifier::text::{headline, is_web, iso, line, links, more, rows, series, shortened, worst};
use anomd_notifier::{Alert, Finding, State};
use serde_json::{Value, json};

use crate::Config;

/// Characters of `summary`.
const SUMMARY: usize = 1024;
/// Characters of `dedup_key`, and of any short field.
const SHORT: usize = 255;
/// Characters of a text among the details. With all of them an event stays far below 512 KiB.
const TEXT: usize = 8_000;

/// The event of an alert, without its routing key.
pub fn of(config: &Config, alert: &Alert) -> Value {
    let dedup_key = shortened(&alert.incident, SHORT);
    if alert.state == State::Resolved {
        return json!({"event_action": "resolve", "dedup_key": dedup_key});
    }
    let links: Vec<Value> = links(alert).map(|(name, url)| json!({"href": url, "text": name})).collect();
    let mut event = json!({
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": config.client,
        "links": links,
        "payload": payload(config, alert),
    });
    if let Some(url) = alert.link.as_deref().filter(|url| is_web(url)) {
        event["client_url"] = url.into();
    }
    event
}

fn payload(config: &Config, alert: &Alert) -> Value {
    let worst_labels = alert.findings.first().map_or(&[][..], |worst| worst.labels.as_slice());
    let label = |labels: &[(String, String)], names: &[&str]| {
        let value = names.iter().find_map(|wanted| labels.iter().find(|(name, _)| name == wanted));
        value.map(|(_, value)| shortened(value, SHORT))
    };
    let batch = label(&alert.labels, &["batch"]);
    let source = label(worst_labels, &["instance", "host", "pod"])
        .or_else(|| alert.findings.first().map(|worst| shortened(&series(&worst.labels), SHORT)))
        .or_else(|| batch.clone());
    let mut payload = json!({
        "summary": shortened(&line(alert), SUMMARY),
        "source": source.unwrap_or_else(|| "anomd".into()),
        "severity": config.severity(alert).name(),
        "class": alert.kind,
        "custom_details": details(alert),
    });
    let optional = [
        ("component", label(worst_labels, &["job", "service", "app"])),
        ("group", batch),
        ("timestamp", alert.findings.iter().map(|finding| finding.started).min().map(iso)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            payload[name] = value.into();
        }
    }
    payload
}

/// What the alert says, for who looks at it in PagerDuty.
fn details(alert: &Alert) -> Value {
    let named = worst(alert);
    let labels: BTreeMap<&str, String> =
        alert.labels.iter().map(|(name, value)| (name.as_str(), shortened(value, SHORT))).collect();
    let mut details = json!({
        "title": shortened(&headline(alert), SUMMARY),
        "description": shortened(alert.body.trim(), TEXT),
        "labels": labels,
        "findings": named.iter().map(found).collect::<Vec<_>>(),
    });
    if let Some(more) = more(alert, named.len()) {
        details["more"] = more.into();
    }
    details
}

fn found(finding: &Finding) -> Value {
    let rows = rows(finding).into_iter().map(|(name, text)| (name.to_lowercase(), shortened(&text, TEXT)));
    let series = ("series".to_owned(), shortened(&series(&finding.labels), TEXT));
    Value::Object(rows.chain([series]).map(|(name, text)| (name, text.into())).collect())
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
            title: "cpu looks anomalous".into(),
            body: "Batch demo.".into(),
            link: Some("https://anomd.example/alerts/a1".into()),
            actions: vec![Action { name: "Snooze 1 h".into(), url: "https://anomd.example/snooze/a1".into() }],
            chart: Some(vec![1, 2]),
            findings: vec![Finding {
                labels: vec![
                    ("__name__".into(), "cpu".into()),
                    ("instance".into(), "a:9100".into()),
                    ("job".into(), "node".into()),
                ],
                value: 0.97,
                expected: f64::NAN,
                lower: 0.1,
                upper: 0.2,
                score: 0.934,
                terms: vec![("level".into(), 0.8)],
                started: 1_767_621_780_000,
                ended: None,
            }],
            more: 3,
        }
    }

    #[test]
    fn an_alert_that_fires_triggers_with_all_that_is_known() {
        let expected = json!({
            "event_action": "trigger",
            "dedup_key": "i1",
            "client": "anomd",
            "client_url": "https://anomd.example/alerts/a1",
            "links": [
                {"href": "https://anomd.example/alerts/a1", "text": "Open"},
                {"href": "https://anomd.example/snooze/a1", "text": "Snooze 1 h"},
            ],
            "payload": {
                "summary": "cpu looks anomalous: cpu{instance=\"a:9100\",job=\"node\"} came as 0.97, expected 0.1 to 0.2",
                "source": "a:9100",
                "severity": "error",
                "timestamp": "2026-01-05T14:03:00.000Z",
                "component": "node",
                "group": "demo",
                "class": "anomaly",
                "custom_details": {
                    "title": "cpu looks anomalous",
                    "description": "Batch demo.",
                    "labels": {"batch": "demo"},
                    "findings": [{
                        "series": "cpu{instance=\"a:9100\",job=\"node\"}",
                        "came": "0.97",
                        "expected": "0.1 to 0.2",
                        "score": "0.93 (level 0.80)",
                        "when": "since 2026-01-05 14:03 UTC",
                    }],
                    "more": "and 3 more series",
                },
            },
        });
        assert_eq!(of(&Config::default(), &alert()), expected);
    }

    #[test]
    fn one_that_is_over_resolves_what_was_triggered() {
        let over = Alert { state: State::Resolved, ..alert() };
        assert_eq!(of(&Config::default(), &over), json!({"event_action": "resolve", "dedup_key": "i1"}));
    }

    #[test]
    fn no_alert_is_too_large_for_pagerduty() {
        let mut large = alert();
        large.title = "t".repeat(5_000);
        large.body = "b".repeat(1_000_000);
        large.findings = vec![large.findings[0].clone(); 500];
        large.findings.iter_mut().for_each(|finding| finding.labels[0].1 = "n".repeat(100_000));
        let event = of(&Config::default(), &large);
        assert!(event["payload"]["summary"].as_str().unwrap().chars().count() <= SUMMARY);
        assert!(event.to_string().len() < 512 << 10);
        assert_eq!(event["payload"]["custom_details"]["findings"].as_array().unwrap().len(), 10);
        assert_eq!(event["payload"]["custom_details"]["more"], "and 493 more series");
    }

    #[test]
    fn an_alert_about_no_series_has_a_source_all_the_same() {
        let mut bare = alert();
        bare.findings.clear();
        bare.more = 0;
        let event = of(&Config::default(), &bare);
        assert_eq!(event["payload"]["source"], "demo");
        assert_eq!(event["payload"]["custom_details"].get("more"), None);
    }
}
