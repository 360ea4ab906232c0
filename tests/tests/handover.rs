//! Handing alerts over to what tells people in its own way: Alertmanager, PagerDuty, Discord,
//! and a thread in Slack.

use std::collections::{BTreeMap, BTreeSet};

use anomd_tests::{
    Alertmanager, Anomd, HOUR, MINUTE, Millis, Received, Receiver, Source, instant, load, or_skip, this_hour, until,
};
use serde_json::{Value, json};

/// The minutes of the story in which the load is far too high.
const SPIKE: (i64, i64) = (13 * 60, 13 * 60 + 8);

/// Two machines whose load is ordinary but for [`SPIKE`], and when their story begins: its
/// hours 12 to 15 are over.
fn story() -> (Anomd, Source, Millis) {
    let begin = this_hour() - 15 * HOUR;
    let source = Source::start(move |time| {
        vec![("load", "a:9100", load(time, begin, &[SPIKE])), ("load", "b:9100", load(time, begin, &[SPIKE]))]
    });
    (Anomd::new(), source, begin)
}

/// A batch that learns from a week and looks at the next hours. It has no summary: one would be told
/// where nine o'clock is among these.
fn batch(source: &Source, more: &str) -> String {
    format!(
        "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 7d\ndisable_summary: true\n\
         ingest_params: {{url: '{}', queries: [load]}}\n{more}",
        source.url()
    )
}

/// Runs the chain of a batch every ten minutes between two hours.
fn replay(anomd: &Anomd, batch: &str, from: Millis, to: Millis) {
    let output = anomd.run(&["run", batch, "--from", &instant(from), "--to", &instant(to), "--every", "10m"]).done();
    // Shown where the test fails.
    println!("{}", output.stdout);
}

/// The bodies that came to a path; fails unless there are some.
#[track_caller]
fn told(receiver: &Receiver, path: &str) -> Vec<Value> {
    let bodies: Vec<Value> =
        receiver.received().iter().filter(|request| request.path == path).map(Received::json).collect();
    assert!(!bodies.is_empty(), "{:#?}", receiver.received());
    bodies
}

#[test]
fn alertmanager_receives_groups_and_resolves() {
    let alertmanager = or_skip!(Alertmanager::start(
        "route: {receiver: everybody, group_by: [batch, severity], routes: [{receiver: pager, \
         matchers: ['severity=\"page\"']}]}\nreceivers: [{name: everybody}, {name: pager}]\n"
    ));
    let (anomd, source, begin) = story();
    let name = anomd.batch(
        "machines",
        &batch(
            &source,
            &format!(
                "alert_methods: alertmanager\nalert_params: {{alertmanager: {{url: '{}', hold: 12h, \
                 labels: {{severity: page}}}}}}\n",
                alertmanager.url()
            ),
        ),
    );
    // The spike has begun and is not over.
    let middle = begin + 13 * HOUR + 5 * MINUTE;
    replay(&anomd, name, begin + 12 * HOUR + 5 * MINUTE, middle);
    let mut firing = alertmanager.firing();
    firing.sort_by_key(|alert| alert["labels"]["instance"].to_string());
    assert_eq!(firing.len(), 2, "{firing:#?}");
    for (alert, instance) in firing.iter().zip(["a:9100", "b:9100"]) {
        let labels = &alert["labels"];
        assert!(labels["alertname"].is_string());
        assert_eq!((&labels["metric"], &labels["instance"]), (&json!("load"), &json!(instance)));
        assert_eq!((&labels["batch"], &labels["severity"]), (&json!("machines"), &json!("page")));
        assert!(alert["annotations"]["summary"].as_str().unwrap().contains("load"), "{alert}");
        assert!(alert["annotations"]["expected"].is_string(), "{alert}");
    }
    // It knows an alert at once, and its groups a moment later.
    let group = until("the alerts are grouped", || alertmanager.groups().pop());
    assert_eq!(group["labels"], json!({"batch": "machines", "severity": "page"}));
    assert_eq!((&group["receiver"]["name"], group["alerts"].as_array().unwrap().len()), (&json!("pager"), 2));

    replay(&anomd, name, middle, begin + 15 * HOUR);
    assert_eq!(alertmanager.firing(), Vec::<Value>::new());
}

#[test]
fn pagerduty_gets_its_key_from_the_host_and_closes_what_it_opened() {
    let (anomd, source, begin) = story();
    let pagerduty = Receiver::start();
    let name = anomd.batch(
        "paged",
        &batch(
            &source,
            &format!(
                "alert_methods: pagerduty\nalert_params: {{pagerduty: {{url: '{}', severity: {{critical: 0.1}}}}}}\n\
                 secrets: {{pagerduty: {{pagerduty_routing_key: R0UT1NG}}}}\n",
                pagerduty.url("/v2/enqueue")
            ),
        ),
    );
    replay(&anomd, name, begin + 12 * HOUR, begin + 15 * HOUR);
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for event in told(&pagerduty, "/v2/enqueue") {
        assert_eq!(event["routing_key"], "R0UT1NG");
        if event["event_action"] == "trigger" {
            assert_eq!(event["payload"]["severity"], "critical");
            assert!(event["payload"]["summary"].as_str().unwrap().contains("load"), "{event}");
        }
        keys.entry(event["event_action"].to_string()).or_default().insert(event["dedup_key"].to_string());
    }
    assert_eq!(keys.keys().collect::<Vec<_>>(), ["\"resolve\"", "\"trigger\""]);
    assert_eq!(keys["\"resolve\""], keys["\"trigger\""], "what was opened is closed");
}

#[test]
fn discord_gets_a_message_that_calls_nobody() {
    let (anomd, source, begin) = story();
    let discord = Receiver::start();
    let name = anomd.batch(
        "chat",
        &batch(
            &source,
            &format!(
                "alert_methods: discord\nalert_params: {{discord: {{chart: false}}}}\nsecrets: {{discord: {{discord_webhook_url: '{}'}}}}\n",
                discord.url("/api/webhooks/1/token")
            ),
        ),
    );
    replay(&anomd, name, begin + 12 * HOUR, begin + 15 * HOUR);
    let messages = told(&discord, "/api/webhooks/1/token");
    for message in &messages {
        assert_eq!(message["allowed_mentions"], json!({"parse": []}));
        assert!(message["embeds"][0].to_string().contains("load"), "{message}");
    }
    let colours: BTreeSet<i64> =
        messages.iter().map(|message| message["embeds"][0]["color"].as_i64().unwrap()).collect();
    assert_eq!(colours.len(), 2, "one while it fires and one when it is over");
}

#[test]
fn slack_says_that_it_is_over_in_the_thread_of_what_it_told() {
    let (anomd, source, begin) = story();
    let slack = Receiver::start();
    slack.say(r#"{"ok": true, "channel": "C00000OPS", "ts": "7.1"}"#);
    let name = anomd.batch(
        "threads",
        &batch(
            &source,
            &format!(
                "alert_methods: slack\nalert_params: {{slack: {{channel: '#ops', api_url: '{}'}}}}\n\
                 secrets: {{slack: {{bot_token: xoxb-test}}}}\n",
                slack.url("/api")
            ),
        ),
    );
    replay(&anomd, name, begin + 12 * HOUR, begin + 15 * HOUR);
    let messages = told(&slack, "/api/chat.postMessage");
    let (resolved, firing): (Vec<&Value>, Vec<&Value>) =
        messages.iter().partition(|message| message["text"].as_str().unwrap().starts_with("Resolved"));
    assert!(!firing.is_empty() && firing.iter().all(|message| message.get("thread_ts").is_none()), "{firing:?}");
    assert!(!resolved.is_empty());
    for message in resolved {
        assert_eq!((&message["thread_ts"], &message["channel"]), (&json!("7.1"), &json!("C00000OPS")));
    }
}
