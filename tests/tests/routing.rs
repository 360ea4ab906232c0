//! Who is told of what: the same table of routes here and in Debian's Alertmanager, a storm,
//! and a cascade.

#![expect(clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use anomd_tests::{Alertmanager, Anomd, HOUR, MINUTE, Millis, Receiver, Source, instant, or_skip, this_hour, until};
use serde_json::{Value, json};

/// Routes, inhibition and time intervals, as both read them.
const TABLE: &str = r#"
route:
  receiver: rest
  group_by: [team]
  group_wait: 1s
  group_interval: 1h
  repeat_interval: 4h
  routes:
  - {receiver: audit, matchers: ['env="prod"'], group_by: [severity], continue: true}
  - receiver: db
    matchers: ['team="db"']
    routes:
    - {receiver: db-page, matchers: ['severity=~"page|crit.*"'], group_by: [team, zone]}
    - {receiver: db-night, matchers: ['zone="night"'], mute_time_intervals: [always]}
  - {receiver: web, matchers: ['team=~"web.*"', 'severity!="info"'], group_by: ['...']}
  - {receiver: web-again, matchers: ['team="web-eu"'], group_by: [zone]}
  - {receiver: office, matchers: ['team="office"'], active_time_intervals: [never]}
  - {receiver: orphans, matchers: ['team=""'], group_by: [zone, absent]}
inhibit_rules:
- {source_matchers: ['severity="critical"'], target_matchers: ['severity=~"warning|critical"'], equal: [team, zone]}
time_intervals:
- {name: always, time_intervals: [{years: ['2000:2199']}]}
- {name: never, time_intervals: [{years: ['2000']}]}
"#;

/// The receivers of the table.
const RECEIVERS: [&str; 9] = ["rest", "audit", "db", "db-page", "db-night", "web", "web-again", "office", "orphans"];

/// The labels by which alert `n` is routed; an empty one is not there.
fn tags(n: usize) -> [(&'static str, &'static str); 4] {
    [
        ("team", ["db", "web", "web-eu", "office", "", "ops"][n % 6]),
        ("severity", ["page", "warning", "critical", "info", "warning"][n % 5]),
        ("zone", ["a", "b", "night"][n / 2 % 3]),
        ("env", ["dev", "prod"][usize::from(n.is_multiple_of(7))]),
    ]
}

/// The metrics of the thirty alerts.
fn metrics() -> impl Iterator<Item = (usize, String)> {
    (0..30).map(|n| (n, format!("m{n:02}")))
}

/// Who was told of which alerts in one message.
type Told = BTreeMap<String, BTreeSet<BTreeSet<String>>>;

/// What came to a receiver of webhooks; `named` finds the metrics of a message.
fn told(receiver: &Receiver, named: impl Fn(&Value) -> Vec<Value>) -> Told {
    let mut told = Told::new();
    for request in receiver.received() {
        let metrics = named(&request.json()).iter().map(|name| name.as_str().unwrap_or_default().to_owned()).collect();
        told.entry(request.path.trim_start_matches('/').to_owned()).or_default().insert(metrics);
    }
    told
}

/// A batch of series that are over a limit at once, or later. Nothing is learnt: a limit is one.
fn batch(source: &Source, queries: &str, more: &str) -> String {
    format!(
        "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 10m\n\
         ingest_params: {{url: '{}', queries: [{queries}]}}\ndisable_train: true\ndisable_score: true\n\
         tholdalert_thresholds: {{'*': {{upper: 50}}}}\n{more}",
        source.url()
    )
}

#[test]
fn thirty_alerts_go_to_the_same_people_in_the_same_groups_as_with_alertmanager() {
    let theirs = Receiver::start();
    let webhooks: Vec<String> = RECEIVERS
        .iter()
        .map(|name| format!("- {{name: {name}, webhook_configs: [{{url: '{}'}}]}}", theirs.url(&format!("/{name}"))))
        .collect();
    let alertmanager = or_skip!(Alertmanager::start(&format!("{TABLE}\nreceivers:\n{}\n", webhooks.join("\n"))));

    let source = Source::start(|_| {
        let names = [
            "m00", "m01", "m02", "m03", "m04", "m05", "m06", "m07", "m08", "m09", "m10", "m11", "m12", "m13", "m14",
            "m15", "m16", "m17", "m18", "m19", "m20", "m21", "m22", "m23", "m24", "m25", "m26", "m27", "m28", "m29",
        ];
        names.map(|name| (name, "a:9100", 100.0)).to_vec()
    });
    let (anomd, ours) = (Anomd::new(), Receiver::start());
    let receivers: Vec<String> = RECEIVERS
        .iter()
        .map(|name| {
            let url = ours.url(&format!("/{name}"));
            format!("  - {{name: {name}, notifiers: [{{plugin: webhook, params: {{url: '{url}'}}}}]}}")
        })
        .collect();
    let table = TABLE.replace('\n', "\n  ");
    // The first line is one more limit: a message names all of its alerts.
    anomd.config(&format!("  message_findings: 100\nalerting:{table}\n  receivers:\n{}\n", receivers.join("\n")));
    let of_metric = |n: usize| {
        let tags = tags(n).into_iter().filter(|(_, value)| !value.is_empty());
        tags.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(", ")
    };
    let all: Vec<String> = metrics().map(|(n, name)| format!("  {name}: {{{}}}", of_metric(n))).collect();
    let names: Vec<String> = metrics().map(|(_, name)| name).collect();
    let more = format!("alert_methods: route\nmetric_tags:\n{}\n", all.join("\n"));
    let name = anomd.batch("table", &batch(&source, &names.join(", "), &more));
    let now = this_hour() - HOUR;
    anomd.run(&["run", name, "--from", &instant(now), "--to", &instant(now + MINUTE), "--every", "1m"]).done();
    let alerts = anomd.query(name, "alerts");
    assert_eq!(alerts.len(), 30, "{alerts:#?}");
    let ours = told(&ours, |message| {
        let findings = message["findings"].as_array().unwrap();
        findings.iter().map(|finding| finding["labels"]["__name__"].clone()).collect()
    });

    // The same alerts, with the labels that the routes look at.
    let alert = |(n, name): (usize, String)| {
        let mut labels = serde_json::Map::from_iter(tags(n).map(|(name, value)| (name.to_owned(), json!(value))));
        labels.retain(|_, value| value != "");
        labels.extend([("alertname".to_owned(), json!("Threshold")), ("name".to_owned(), json!(name))]);
        json!({"labels": labels})
    };
    alertmanager.post(&Value::Array(metrics().map(alert).collect()));
    let named = |message: &Value| {
        let alerts = message["alerts"].as_array().unwrap();
        alerts.iter().map(|alert| alert["labels"]["name"].clone()).collect()
    };
    let messages = |told: &Told| told.values().map(BTreeSet::len).sum::<usize>();
    let theirs = until("Alertmanager has told as much", || {
        let told = told(&theirs, named);
        (messages(&told) >= messages(&ours)).then_some(told)
    });
    assert_eq!(ours, theirs);
    assert!(ours.len() >= 6 && !ours.contains_key("db-night") && !ours.contains_key("office"), "{ours:#?}");
    // Something was held back, and something was told twice.
    let said: Vec<&String> = ours.values().flatten().flatten().collect();
    let distinct: BTreeSet<&String> = said.iter().copied().collect();
    assert!(distinct.len() < 30 && distinct.len() < said.len(), "{ours:#?}");
}

#[test]
fn a_storm_is_one_message_that_names_the_worst_and_counts_the_rest() {
    let instances: Vec<&'static str> = (0..500).map(|n| &*format!("host{n:03}").leak()).collect();
    let begin = this_hour() - HOUR;
    let broken = begin + 5 * MINUTE;
    let source = Source::start(move |time| {
        let worse = |n: usize| if time >= broken { 100.0 + n as f64 } else { 1.0 };
        instances.iter().enumerate().map(|(n, instance)| ("load", *instance, worse(n))).collect()
    });
    let (anomd, receiver) = (Anomd::new(), Receiver::start());
    let params = format!(
        "alert_methods: webhook\nalert_params: {{webhook: {{url: '{}'}}}}\nalert_group_by: [batch]\n\
         alert_group_wait: 2m\n",
        receiver.url("/")
    );
    let name = anomd.batch("fleet", &batch(&source, "load", &params));
    let run = |from: Millis, to: Millis| {
        anomd.run(&["run", name, "--from", &instant(from), "--to", &instant(to), "--every", "1m"]).done()
    };
    run(begin + 4 * MINUTE, broken + 2 * MINUTE);
    assert!(receiver.received().is_empty(), "group_wait is not over");
    run(broken + 3 * MINUTE, broken + 4 * MINUTE);
    let received = receiver.received();
    let [told] = &received[..] else { panic!("{} messages", received.len()) };
    let message = told.json();
    let worst = message["findings"].as_array().unwrap();
    assert_eq!((worst.len(), &message["more"]), (10, &json!(490)), "{message}");
    let instances: Vec<&str> = worst.iter().map(|one| one["labels"]["instance"].as_str().unwrap()).collect();
    let expected: Vec<String> = (490..500).rev().map(|n| format!("host{n}")).collect();
    assert_eq!(instances, expected);
    assert_eq!(anomd.query(name, "alerts").len(), 500);
}

#[test]
fn a_cascade_over_three_services_is_one_message_that_names_the_first() {
    let begin = this_hour() - HOUR;
    let minute = move |n: i64| begin + n * MINUTE;
    let source = Source::start(move |time| {
        let after = |from: i64| if time >= minute(from) { 100.0 } else { 1.0 };
        vec![("orders", "a", after(9)), ("database", "b", after(5)), ("checkout", "c", after(7))]
    });
    let (anomd, receiver) = (Anomd::new(), Receiver::start());
    let params = format!(
        "alert_methods: webhook\nalert_params: {{webhook: {{url: '{}'}}}}\nalert_group_by: [batch]\n\
         alert_group_wait: 10m\n",
        receiver.url("/")
    );
    let name = anomd.batch("shop", &batch(&source, "orders, database, checkout", &params));
    anomd.run(&["run", name, "--from", &instant(minute(4)), "--to", &instant(minute(17)), "--every", "1m"]).done();
    let received = receiver.received();
    let [told] = &received[..] else { panic!("{} messages", received.len()) };
    let message = told.json();
    assert_eq!(message["findings"].as_array().unwrap().len(), 3);
    let text = format!("{} {}", message["title"], message["body"]);
    let first = ["database", "checkout", "orders"].map(|service| text.find(service));
    assert!(first[0].is_some() && (first[1].is_none() || first[0] < first[1]), "{text}");
    assert!(first[2].is_none() || first[1] < first[2], "{text}");
}

/// A receiver that hangs costs its own messages time, and nobody else's.
#[test]
fn a_running_node_tells_when_group_wait_is_over_and_a_receiver_that_hangs_holds_up_no_other() {
    let source = Source::start(|_| vec![("load", "a", 100.0)]);
    let (anomd, hangs, works) = (Anomd::new(), Receiver::start(), Receiver::start());
    hangs.answer(&[0; 20]);
    let webhook = |receiver: &Receiver| format!("{{plugin: webhook, params: {{url: '{}'}}}}", receiver.url("/"));
    // Longer than this test waits for anything.
    let patient = "  http_total_ms: 110000\n";
    anomd.config(&format!(
        "{patient}alerting:\n  route:\n    receiver: works\n    group_wait: 2s\n    routes:\n    \
         - {{receiver: hangs, group_wait: 1s, matchers: ['batch=\"live\"'], continue: true}}\n    \
         - {{receiver: works, matchers: ['batch=\"live\"']}}\n  \
         receivers:\n  - {{name: hangs, notifiers: [{}]}}\n  - {{name: works, notifiers: [{}, {}]}}\n",
        webhook(&hangs),
        webhook(&works),
        webhook(&works)
    ));
    anomd.batch("live", &batch(&source, "load", "alert_methods: route\n"));
    let (server, _) = anomd.serve();
    until("the receiver that hangs has a request", || (!hangs.received().is_empty()).then_some(()));
    // It has two notifiers of one plugin, and both are used.
    let told = until("the other is told", || Some(works.received()).filter(|received| received.len() == 2));
    assert_eq!(hangs.received().len(), 1, "the first request still hangs");
    assert_ne!(told[0].header("idempotency-key"), told[1].header("idempotency-key"));
    server.kill();
}
