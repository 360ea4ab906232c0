//! What people do about alerts, by the command line: against a stopped node and beside a
//! running one.

use anomd_tests::{Anomd, HOUR, MINUTE, Receiver, Source, get, instant, load, page, this_hour};
use serde_json::Value;

/// A node with one alert that is on.
fn broken() -> (Anomd, Source, &'static str) {
    broken_with("", "")
}

/// The same, with more keys of the node's file and of the batch; a summary at nine would be a message
/// more at some hours of the day.
fn broken_with(node: &str, keys: &str) -> (Anomd, Source, &'static str) {
    let end = this_hour();
    let begin = end - 15 * HOUR;
    let source = Source::start(move |time| vec![("load", "a", load(time, begin, &[(14 * 60 + 50, 1_000_000)]))]);
    let anomd = Anomd::new();
    anomd.config(node);
    let batch = anomd.batch(
        "orders",
        &format!(
            "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 7d\ndisable_summary: true\n\
             ingest_params: {{url: '{}', queries: [load]}}\n{keys}",
            source.url()
        ),
    );
    anomd.run(&["run", batch, "--from", &instant(end - 2 * HOUR), "--to", &instant(end), "--every", "10m"]).done();
    (anomd, source, batch)
}

#[test]
fn an_alert_is_acknowledged_on_a_stopped_node_and_beside_a_running_one() {
    let (anomd, _source, batch) = broken();
    let alerts = anomd.json(&["alert", "list", batch]);
    assert_eq!(alerts.as_array().map(Vec::len), Some(1), "{alerts}");
    let id = alerts[0]["id"].as_str().unwrap();
    let short = &id[..8];
    anomd.run(&["alert", "ack", short, "--by", "ana", "--comment", "looking"]).done();

    let (server, url) = anomd.serve();
    let seen = anomd.json(&["alert", "show", short]);
    assert_eq!((&seen["acknowledged"]["by"], &seen["acknowledged"]["comment"]), (&"ana".into(), &"looking".into()));
    anomd.run(&["alert", "unack", short]).done();
    anomd.run(&["alert", "ack", short, "--by", "ben"]).done();
    anomd.run(&["alert", "snooze", short, "--for", "4h", "--by", "ben"]).done();
    let unknown = anomd.run(&["alert", "ack", "ffff0000"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("there is no alert `ffff0000`"), "{}", unknown.stderr);
    let refused = get(&format!("{url}/api/v1/alerts"));
    assert!(refused.is_none(), "without the token nothing is told: {refused:?}");
    assert_eq!(server.stop(), Some(0));

    assert!(!anomd.home().join("data/node.json").exists());
    let seen = anomd.json(&["alert", "show", short]);
    assert_eq!(seen["acknowledged"]["by"], "ben");
    assert_eq!(seen["snoozed"]["by"], "ben");
}

#[test]
fn what_the_store_holds_can_be_asked_exported_and_backed_up_beside_a_running_node() {
    let (anomd, _source, batch) = broken();
    let (server, _) = anomd.serve();
    assert_eq!(anomd.query(batch, "series").len(), 1);
    assert_eq!(anomd.query(batch, "alerts").len(), 1);
    let exported = anomd.run(&["export", batch, "--to", &instant(this_hour())]).done().stdout;
    assert!(exported.starts_with("metric_timestamp,") && exported.lines().count() > 10_000);
    let trace = anomd.json(&["why", batch, "load", "--at", &instant(this_hour() - 5 * MINUTE)]);
    anomd.run(&["backup", "whole"]).done();
    assert!(anomd.run(&["backup", "whole"]).stderr.contains("exists"));
    assert_eq!(server.stop(), Some(0));

    anomd.run(&["restore", "whole", "--data", "restored"]).done();
    let restored = |arguments: &[&str]| anomd.json(&[arguments, &["--data", "restored"]].concat());
    assert_eq!(restored(&["why", batch, "load", "--at", &instant(this_hour() - 5 * MINUTE)]), trace);
    let left: Vec<_> = std::fs::read_dir(anomd.home().join("data")).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("backup")), "{left:?}");
}

#[test]
fn silences_and_events_are_kept_by_whoever_holds_the_store() {
    let (anomd, _source, _batch) = broken();
    let add = ["silence", "add", r#"instance="a""#, "--for", "2h", "--by", "ana", "--comment", "new rack"];
    let silence = anomd.json(&add);
    assert_eq!((&silence["state"], &silence["alerts"]), (&Value::from("active"), &Value::from(1)));
    let (server, _) = anomd.serve();
    let alerts = anomd.json(&["alert", "list"]);
    assert_eq!(alerts[0]["silenced_by"][0], silence["id"]);
    anomd.run(&["silence", "expire", silence["id"].as_str().unwrap()]).done();
    let event = anomd.json(&["event", "add", "deploy", "checkout v2", "--by", "ci", "--match", r#"instance="a""#]);
    let listed = anomd.json(&["event", "list"]);
    assert_eq!(listed[0], event);
    let all = anomd.run(&["silence", "add", "{}", "--for", "1h"]);
    assert_eq!(all.code, Some(2));
    assert!(all.stderr.contains("matches every alert"), "{}", all.stderr);
    server.kill();
    // The file that it left behind names a process that no longer holds the store.
    assert!(anomd.home().join("data/node.json").exists());
    assert_eq!(anomd.json(&["silence", "list"]), Value::Array(Vec::new()));
    assert_eq!(anomd.json(&["silence", "list", "--all"])[0]["state"], "expired");
    let ended = anomd.json(&["event", "end", event["id"].as_str().unwrap()]);
    assert!(ended["end"].is_string(), "{ended}");
}

#[test]
fn the_link_in_a_message_shows_the_alert_and_only_its_buttons_act() {
    let receiver = Receiver::start();
    let (anomd, _source, batch) = broken_with(
        "public_url: https://anomd.example.com/ops\n",
        &format!("alert_methods: webhook\nalert_params: {{webhook: {{url: '{}'}}}}\n", receiver.url("/")),
    );
    let told = receiver.received()[0].json();
    let link = told["link"].as_str().unwrap();
    let token = link.strip_prefix("https://anomd.example.com/ops/a/").unwrap();
    let state = || anomd.json(&["alert", "list", batch])[0]["acknowledged"].clone();

    let (server, url) = anomd.serve();
    let own = format!("{url}/a/{token}");
    let (status, _, text) = page(&format!("{own}?do=acknowledge"), None);
    assert_eq!(status, 200);
    assert!(text.contains("load{instance") && text.contains("Snooze 1 day"), "{text}");
    assert_eq!(state(), Value::Null, "mail scanners follow links");

    let (status, to, _) = page(&own, Some("do=acknowledge&by=ana&comment=looking"));
    assert_eq!((status, to.as_deref()), (303, Some(format!("{token}?done=acknowledge").as_str())));
    assert_eq!(state()["by"], "ana");
    assert!(page(&own, None).2.contains("by ana"));
    let last = if token.ends_with('A') { 'Q' } else { 'A' };
    let forged = format!("{url}/a/{}{last}", &token[..token.len() - 1]);
    assert_eq!(page(&forged, Some("do=snooze-day")).0, 404);
    assert_eq!(page(&own, Some("do=delete")).0, 422);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn why_follows_an_alert_from_its_sample_to_the_answer_of_the_receiver() {
    let receiver = Receiver::start();
    let keys = format!("alert_methods: webhook\nalert_params: {{webhook: {{url: '{}'}}}}\n", receiver.url("/"));
    let (anomd, _source, batch) = broken_with("", &keys);
    let began = anomd.json(&["alert", "list", batch])[0]["fired"].as_str().unwrap().to_owned();
    let trace = anomd.json(&["why", batch, "load", "--at", &began]);
    assert_eq!(trace["answer"]["reason"], "told", "{trace:#}");
    assert_eq!(trace["rules"][0]["verdict"], "firing", "{trace:#}");
    assert_eq!(trace["deliveries"][0]["tries"][0]["sent"], true, "{trace:#}");
    let quiet = anomd.json(&["why", batch, "load", "--at", &instant(this_hour() - 100 * MINUTE)]);
    assert_eq!(quiet["answer"]["reason"], "threshold", "{quiet:#}");
    assert_eq!(quiet["rules"][0]["conditions"][0]["outcome"], "failed", "{quiet:#}");
}

#[test]
fn what_was_rated_up_is_shown_with_the_alert_and_left_out_of_the_next_fit() {
    let (anomd, _source, batch) = broken();
    let id = anomd.json(&["alert", "list", batch])[0]["id"].as_str().unwrap().to_owned();
    let rated = |rating: &str| anomd.json(&["alert", "rate", &id, rating, "--by", "ana"])["rated"].clone();
    assert_eq!(rated("down")["rating"], "down");
    let later = instant(this_hour() + 24 * HOUR);
    let fit = || {
        anomd.run(&["run", batch, "--job", "train", "--at", &later]).done();
        anomd.json(&["why", batch, "load", "--at", &later])["models"][0]["fit"].clone()
    };
    let (server, _) = anomd.serve();
    assert_eq!((&rated("up")["rating"], &rated("up")["by"]), (&"up".into(), &"ana".into()));
    assert_eq!(server.stop(), Some(0));
    let text = anomd.run(&["alert", "show", &id]).done().stdout;
    assert!(text.contains("rated up by ana at"), "{text}");
    let left_out = fit()["left_out"].as_u64().unwrap();
    assert!(left_out >= 5, "the ten minutes of the alert are not learnt from: {left_out}");
    let run = anomd.run(&["query", batch, "--what", "runs"]).done().stdout;
    assert!(run.contains(&format!("{left_out} left_out")), "{run}");
    assert_eq!(rated("none"), Value::Null);
}
