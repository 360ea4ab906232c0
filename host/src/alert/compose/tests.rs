use std::path::PathBuf;

use super::*;
use crate::alert::{EventNote, Links, alert_labels};
use crate::config::{Environment, load_batch, load_node};
use crate::message::{Act, AlertPhase, AlertState};
use crate::store::SeriesId;

const MINUTE: Millis = 60_000;
/// 2026-01-05, 14:05 in Berlin.
const BEGAN: Millis = 1_767_618_300_000;

fn batch(extra: &str) -> Batch {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("orders.yaml");
    let text = format!(
        "metric_batch: orders\ntimezone: Europe/Berlin\ningest_fn: prometheus.py\ningest_params: {{}}\n{extra}"
    );
    std::fs::write(&path, text).unwrap();
    let environment = Environment::default();
    load_batch(&path, &load_node(None, &environment).unwrap(), &environment).unwrap()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::new(pairs.iter().map(|(n, v)| (n.to_string(), v.to_string()))).unwrap()
}

fn record(kind: AlertKind, name: &str, host: &str) -> AlertRecord {
    let labels = labels(&[("__name__", name), ("instance", host)]);
    AlertRecord {
        key: BatchKey { tenant: "default".into(), batch: "orders".into() },
        id: format!("id-{host}"),
        kind,
        series: SeriesId(host.bytes().map(u32::from).sum()),
        name: labels.to_string(),
        labels,
        phase: AlertPhase::Firing,
        started: BEGAN,
        fired: Some(BEGAN),
        ended: None,
        worst: Peak { time: BEGAN + 4 * MINUTE, value: 9.2, score: 0.93, lower: 3.1, upper: 4.4 },
        terms: vec![("ewma-resid".into(), 0.82), ("winknn-mid".into(), 0.31), ("other_part".into(), 0.2)],
        threshold: 0.8,
        models: Vec::new(),
        policy: String::new(),
        events: Vec::new(),
        explanation: None,
    }
}

fn anomaly() -> AlertRecord {
    record(AlertKind::Anomaly, "cpu_usage", "web-1")
}

fn over(mut record: AlertRecord) -> AlertRecord {
    (record.phase, record.ended) = (AlertPhase::Resolved, Some(BEGAN + 25 * MINUTE));
    record
}

fn message<'a>(batch: &'a Batch, records: &'a [AlertRecord]) -> GroupMessage<'a> {
    let state = |record: &AlertRecord| if record.ended.is_some() { AlertState::Resolved } else { AlertState::Firing };
    let member = |record: &'a AlertRecord| Member {
        record,
        labels: alert_labels(batch, record),
        batch: Some(batch),
        act: Act::default(),
        state: state(record),
        fresh: true,
    };
    let members: Vec<Member<'_>> = records.iter().map(member).collect();
    let firing = members.iter().any(|member| member.state == AlertState::Firing);
    GroupMessage {
        id: "m1".into(),
        incident: "i1".into(),
        state: if firing { AlertState::Firing } else { AlertState::Resolved },
        repeat: false,
        tenant: "default",
        receiver: "batch/orders",
        method: "slack",
        group: labels(&[("batch", "orders")]),
        common: crate::alert::common_labels(members.iter().map(|member| &member.labels)),
        members,
        events: Vec::new(),
        findings: 10,
        now: BEGAN + 25 * MINUTE,
        links: None,
    }
}

fn told(records: &[AlertRecord]) -> Alert {
    compose_group(&message(&batch(""), records), &Limits::default())
}

#[test]
fn an_anomaly_says_what_came_what_was_expected_since_when_and_why() {
    let alert = told(&[anomaly()]);
    assert_eq!(alert.title, "cpu_usage of web-1 looks anomalous");
    assert_eq!(
        alert.body,
        "At its worst, at 14:09 CET: **9.2** where 3.1 to 4.4 was expected.\n\
         Since 14:05 CET, for 25 min.\n\
         Score 0.93 of 1 (alerts begin at 0.80): a sudden jump, an unusual shape, other_part.\n\
         \n\
         Series `cpu_usage{instance=\"web-1\"}` of batch `orders`."
    );
    assert_eq!((alert.id.as_str(), alert.kind.as_str(), alert.state), ("m1", "anomaly", AlertState::Firing));
}

#[test]
fn what_is_over_says_how_long_it_was() {
    let alert = told(&[over(anomaly())]);
    assert_eq!(alert.title, "cpu_usage of web-1 is ordinary again after 25 min");
    assert!(alert.body.contains("\n14:05 to 14:30 CET, for 25 min.\n"), "{}", alert.body);
    assert_eq!(alert.state, AlertState::Resolved);
}

#[test]
fn each_kind_of_alert_is_told_in_its_own_words() {
    let peak = |value, lower, upper| Peak { time: BEGAN, value, score: 1.2, lower, upper };
    let of = |kind, worst| AlertRecord { worst, ..record(kind, "queue_bytes", "web-1") };
    let first = |record: AlertRecord| {
        let alert = told(&[record]);
        let first = alert.body.lines().next().unwrap_or_default().to_owned();
        (alert.title, first)
    };
    let gib = f64::from(1 << 30);
    let pair = |title: &str, body: &str| (title.to_owned(), body.to_owned());

    let above = of(AlertKind::Threshold, peak(9.5 * gib, f64::NAN, 9.0 * gib));
    let title = "queue_bytes of web-1 is above its limit of 9 GiB";
    assert_eq!(first(above.clone()), pair(title, "**9.5 GiB** came, above the limit of 9 GiB."));
    assert_eq!(first(over(above)).0, "queue_bytes of web-1 is within its limit of 9 GiB again after 25 min");
    let below = of(AlertKind::Threshold, peak(10.0, 20.0, 90.0));
    assert_eq!(first(below).0, "queue_bytes of web-1 is below its limit of 20 B");

    let change = AlertRecord { worst: peak(25.04, 9.0, 11.0), ..record(AlertKind::Change, "load", "web-1") };
    let title = "load of web-1 has changed for good: about 10 until 14:05 CET, about 25 since";
    assert_eq!(first(change.clone()), pair(title, "About **25** where about 10 was before."));
    assert_eq!(first(over(change)).0, "load of web-1 has settled after 25 min");

    let silent = of(AlertKind::NoData, peak(f64::NAN, f64::NAN, f64::NAN));
    assert_eq!(first(silent.clone()), pair("queue_bytes of web-1 has had no data since 14:05 CET", "No sample came."));
    assert_eq!(first(over(silent)).0, "queue_bytes of web-1 has data again after 25 min");

    let read = AlertRecord {
        explanation: Some("Memory leaks.\n<b>Restart</b> it.".into()),
        ..of(AlertKind::Llm, peak(4e9, f64::NAN, f64::NAN))
    };
    let alert = told(&[read]);
    assert_eq!(alert.title, "queue_bytes of web-1 looks anomalous to the language model");
    assert!(alert.body.contains("explanation:\n\n> Memory leaks.\n> \\<b\\>Restart\\</b\\> it."), "{}", alert.body);
}

/// The edges of a change are those of a lone point: 25 is far from the level of 10, and yet
/// within them.
#[test]
fn a_change_is_compared_with_the_level_before_and_not_with_a_band_that_it_lies_in() {
    let worst = Peak { time: BEGAN, value: 25.0, score: 1.2, lower: -16.0, upper: 36.0 };
    let terms = vec![("shift".to_owned(), 403.2)];
    let alert = told(&[AlertRecord { worst, terms, ..record(AlertKind::Change, "load", "web-1") }]);
    let finding = &alert.findings[0];
    assert_eq!(finding.expected, 10.0);
    assert!(finding.lower.is_nan() && finding.upper.is_nan() && finding.terms.is_empty());
}

#[test]
fn a_repeat_says_how_long_it_goes_on() {
    let (batch, records) = (batch(""), [anomaly()]);
    let repeat = GroupMessage { repeat: true, now: BEGAN + 240 * MINUTE, ..message(&batch, &records) };
    let alert = compose_group(&repeat, &Limits::default());
    assert_eq!(alert.title, "cpu_usage of web-1 looks anomalous, for 4 h now");
}

#[test]
fn a_storm_is_one_message_that_names_the_worst_ten_and_counts_the_rest() {
    let one = |index: u32| {
        let score = 0.8 + f64::from(index) / 5000.0;
        let record = record(AlertKind::Anomaly, "cpu_usage", &format!("web-{index:03}"));
        AlertRecord { series: SeriesId(index), worst: Peak { score, ..record.worst }, ..record }
    };
    let records: Vec<_> = (0..500).map(one).collect();
    let alert = told(&records);
    assert_eq!(alert.title, "500 series of batch orders look anomalous, first cpu_usage of web-000");
    assert!(
        alert.body.starts_with("All 500 began at 14:05 CET.\n\n- `cpu_usage of web-499`: **9.2** where"),
        "{}",
        alert.body
    );
    assert!(alert.body.contains("- `cpu_usage of web-490`") && !alert.body.contains("web-489"), "{}", alert.body);
    assert!(alert.body.contains("\n- and 490 more\n\nBatch `orders`."), "{}", alert.body);
    assert_eq!((alert.findings.len(), alert.more), (10, 490));
    assert_eq!(alert.findings[0].labels.get("instance"), Some("web-499"));
}

#[test]
fn a_cascade_names_the_first_and_how_it_spread() {
    let at = |host: &str, minutes: Millis| AlertRecord {
        started: BEGAN + minutes * MINUTE,
        ..record(AlertKind::Anomaly, "latency", host)
    };
    let records = [at("db", 0), at("api", 2), at("cache", 2), at("web", 5)];
    let alert = told(&records);
    assert_eq!(alert.title, "4 series of batch orders look anomalous, first latency of db");
    let cascade = "It began with `latency of db` at 14:05 CET, then `latency of cache` and one other 2 min later, \
                   `latency of web` 5 min later.\n";
    assert!(alert.body.starts_with(cascade), "{}", alert.body);

    let all: Vec<_> = records.into_iter().map(over).collect();
    assert_eq!(told(&all).title, "4 series of batch orders are ordinary again after 25 min");

    let long: Vec<_> = (0..15).map(|i| at(&format!("s{i:02}"), i)).collect();
    assert!(told(&long).body.contains("`latency of s09` 9 min later, and 5 more after that."));
}

#[test]
fn alerts_of_several_kinds_are_counted_as_alerts() {
    let limit = AlertRecord {
        worst: Peak { value: 95.0, upper: 90.0, ..anomaly().worst },
        ..record(AlertKind::Threshold, "cpu_usage", "web-1")
    };
    let alert = told(&[anomaly(), limit]);
    assert_eq!(alert.title, "2 alerts of batch orders, first cpu_usage of web-1 looks anomalous");
    assert!(
        alert.body.contains(": **95** came, above the limit of 90, since 14:05 CET, for 25 min\n"),
        "{}",
        alert.body
    );
}

#[test]
fn events_tags_acknowledgements_and_links_are_told() {
    let batch = batch("alert_methods: []\nmetric_tags:\n  cpu_usage: {team: db, note: 'a*b'}\n");
    let records = [anomaly()];
    let mut message = message(&batch, &records);
    message.events = vec![EventNote {
        id: "e1".into(),
        title: "deploy *api* v2".into(),
        labels: Labels::default(),
        start: BEGAN - 7 * MINUTE,
        end: None,
    }];
    message.members[0].act.acknowledged = Some(("ana".into(), BEGAN + 3 * MINUTE, "on it".into()));
    message.links = Some(Links {
        page: "https://a.example/m1".into(),
        actions: vec![("Snooze".into(), "https://a.example/s".into())],
    });
    let alert = compose_group(&message, &Limits::default());
    for part in [
        "\n\nWhat was done at that time:\n- 13:58 CET, 7 min before: deploy \\*api\\* v2\n\n",
        "Acknowledged by ana at 14:08 CET: on it.",
        " Tags: `note=a*b`, `team=db`.",
    ] {
        assert!(alert.body.contains(part), "{part}\nis not in\n{}", alert.body);
    }
    assert_eq!(alert.link.as_deref(), Some("https://a.example/m1"));
    assert_eq!(alert.actions.len(), 1);
}

#[test]
fn a_hostile_label_brings_no_markup_and_no_second_line() {
    let host = "x` <script>alert(1)</script> [y](http://evil)\r\nBcc: z@example.com\u{202e}";
    let alert = told(&[record(AlertKind::Anomaly, "cpu", host), record(AlertKind::Anomaly, "cpu", "b")]);
    assert!(!alert.title.contains(['\n', '\r', '\u{202e}']), "{}", alert.title);
    let outside: String = alert.body.split('`').step_by(2).collect();
    assert!(!outside.contains("script") && !outside.contains("evil"), "{}", alert.body);
    assert!(!alert.body.contains('\r'));
}

#[test]
fn an_operators_words_replace_ours() {
    let mut batch = batch("");
    batch.alert.title = Some("[{{ labels.team or 'nobody' }}] {{ findings[0].subject }}: {{ state }}".into());
    let body = "{% for f in findings %}{{ f.name|code }} {{ f.came }} not {{ f.expected }} {{ f.when }}; \
                {{ f.terms[0].words }}\n{% endfor %}{{ more }} {{ body }}\n";
    batch.alert.body = Some(body.into());
    let records = [anomaly()];
    let alert = compose_group(&message(&batch, &records), &Limits::default());
    assert_eq!(alert.title, "[nobody] cpu_usage of web-1: firing");
    let start = "`cpu_usage{instance=\"web-1\"}` 9.2 not 3.1 to 4.4 since 14:05 CET, for 25 min; a sudden jump\n0 At its worst, at";
    assert!(alert.body.starts_with(start), "{}", alert.body);
}

#[test]
fn the_documentation_lists_what_a_template_is_given_and_all_of_it_is_there() {
    let documented = include_str!("../../../../docs/templates.md");
    for name in crate::message::template::NAMES {
        assert!(documented.contains(&format!("`{name}`")), "{name} is not in docs/templates.md");
    }
    let names =
        crate::message::template::NAMES.map(|name| format!("{{% if {name} is undefined %}}{name}{{% endif %}}"));
    let rows = documented.split("An entry of `findings` has:").nth(1).unwrap().split("\n\n").nth(1).unwrap();
    let fields = rows.lines().skip(2).flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2));
    let fields: Vec<String> =
        fields.map(|name| format!("{{% if findings[0].{name} is undefined %}}{name}{{% endif %}}")).collect();
    assert_eq!(fields.len(), 27, "{fields:?}");
    let (mut batch, records) = (batch(""), [anomaly()]);
    batch.alert.title = Some(format!("ok{}{}", names.concat(), fields.concat()));
    assert_eq!(compose_group(&message(&batch, &records), &Limits::default()).title, "ok");
    // The example of the page.
    let example = documented.split("alert_body: |\n").nth(1).unwrap().split("```").next().unwrap();
    batch.alert.body = Some(example.to_owned());
    let alert = compose_group(&message(&batch, &records), &Limits::default());
    assert!(
        alert.body.contains("- `cpu_usage{instance=\"web-1\"}`: **9.2** where 3.1 to 4.4 was expected, since"),
        "{}",
        alert.body
    );
    assert!(alert.body.contains("Runbook: https://wiki.example/orders"), "{}", alert.body);
}

#[test]
fn a_template_that_fails_costs_only_its_own_words() {
    let mut batch = batch("");
    batch.alert.title = Some("{{ titel }}".into());
    batch.alert.body =
        Some("one\n{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}".into());
    let records = [anomaly()];
    let alert = compose_group(&message(&batch, &records), &Limits::default());
    assert_eq!(alert.title, "cpu_usage of web-1 looks anomalous");
    for part in [
        "**9.2** where 3.1 to 4.4 was expected",
        "`alert_title` of batch `default/orders` failed: line 1: undefined value: \\`titel\\` is undefined. The built-in text",
        "`alert_body` of batch `default/orders` failed: line 2: it takes too long (limits.template_fuel).",
    ] {
        assert!(alert.body.contains(part), "{part}\nis not in\n{}", alert.body);
    }
}

#[test]
fn an_alert_keeps_its_identity_in_every_replay() {
    let key = BatchKey { tenant: "default".into(), batch: "demo".into() };
    let id = |started| alert_id(&key, AlertKind::Anomaly, &labels(&[("__name__", "cpu")]), started);
    assert_eq!(id(60_000), id(60_000));
    assert_ne!(id(60_000), id(120_000));
}
