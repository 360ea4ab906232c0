//! A disk that fills: told days ahead with the limit and the time, shown, and over when
//! somebody has made room.

#![expect(clippy::unwrap_used, reason = "tests")]

use anomd_tests::{Anomd, HOUR, MINUTE, Millis, Received, Receiver, Source, instant};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// When the made-up story begins; a Monday.
const BEGIN: Millis = 1_767_571_200_000;
const DAY: Millis = 24 * HOUR;
const GIB: f64 = 1_073_741_824.0;
/// When a log begins that nobody cleans, and when somebody deletes it.
const LOG: (f64, f64) = (10.0, 12.5);

/// GiB on the disk: 50, the day's logs, and the log that nobody cleans.
fn used(time: Millis) -> f64 {
    let day = (time - BEGIN) as f64 / DAY as f64;
    let wobble = f64::from(u32::try_from((time / MINUTE * 7_919).rem_euclid(101)).unwrap()) / 1_000.0;
    let log = if (LOG.0..LOG.1).contains(&day) { 10.0 * (day - LOG.0) } else { 0.0 };
    50.0 + 2.0 * day.rem_euclid(1.0) + log + wobble
}

/// When it would be 90 % full.
fn full() -> Millis {
    let at = |hour: &Millis| 50.0 + 10.0 * (*hour as f64 / 24.0 - LOG.0) + 2.0 * (*hour as f64 / 24.0).fract() >= 90.0;
    BEGIN + (10 * 24..).find(at).unwrap() * HOUR
}

/// The text that stands between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).unwrap().1.split_once(after).unwrap().0
}

#[test]
fn a_disk_that_fills_is_told_a_day_ahead_with_its_limit_and_when() {
    let source = Source::start(|time| {
        vec![("disk_used_bytes", "a:9100", used(time) * GIB), ("disk_total_bytes", "a:9100", 100.0 * GIB)]
    });
    let receiver = Receiver::start();
    let anomd = Anomd::new();
    let yaml = format!(
        "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 10d\n\
         ingest_params: {{url: '{}', queries: [disk_used_bytes, disk_total_bytes]}}\n\
         disable_train: true\ndisable_score: true\ndisable_summary: true\nalert_repeat_interval: 30d\n\
         capacity_limits: {{disk_used_bytes: {{upper: 90%, of: disk_total_bytes}}}}\n\
         alert_methods: [webhook]\nalert_params: {{webhook: {{url: '{}', chart: true}}}}\n",
        source.url(),
        receiver.url("/hook")
    );
    let batch = anomd.batch("disks", &yaml);
    let replay = |from: Millis, to: Millis| {
        anomd.run(&["run", batch, "--from", &instant(from), "--to", &instant(to), "--every", "1h"]).done()
    };
    replay(BEGIN + 10 * DAY, BEGIN + 12 * DAY);

    let alerts = anomd.json(&["alert", "list", "--all", batch]);
    let [alert] = &alerts.as_array().unwrap()[..] else { panic!("{alerts:#}") };
    assert_eq!((&alert["kind"], &alert["phase"]), (&"capacity".into(), &"firing".into()), "{alert:#}");
    let at = |key: &str| chrono::DateTime::parse_from_rfc3339(alert[key].as_str().unwrap()).unwrap().timestamp_millis();
    assert!(at("fired") + DAY < full(), "{alert:#}");
    assert!((at("limit_at") - full()).abs() < 6 * HOUR, "{alert:#}, and not {}", instant(full()));
    assert!(at("limit_earliest") < at("limit_at") && at("limit_at") <= at("limit_latest"), "{alert:#}");

    let told: Vec<serde_json::Value> = receiver.received().iter().map(Received::json).collect();
    let [message] = &told[..] else { panic!("{told:#?}") };
    let (title, body) = (message["title"].as_str().unwrap(), message["body"].as_str().unwrap());
    assert!(title.contains("disk_used_bytes of a:9100 will reach its limit of 90 GiB on "), "{title}");
    assert!(body.contains("now, and the limit of 90 GiB will be reached on "), "{body}");
    assert!(between(body, "(between ", ")").contains(" and "), "{body}");
    let picture = STANDARD.decode(message["chart"]["base64"].as_str().unwrap()).unwrap();
    assert!(picture.starts_with(b"\x89PNG"));

    let why = anomd.run(&["why", batch, "disk_used_bytes", "--at", &instant(at("fired"))]).done().stdout;
    assert!(why.contains("reaches its limit") && why.contains("capacity_limits"), "{why}");

    // What is shown is what is foreseen now.
    let shown = anomd.run(&["alert", "show", alert["id"].as_str().unwrap()]).done().stdout;
    assert!(shown.contains("reaches its limit 2026-01-18T"), "{shown}");

    // Somebody makes room: it is over, and told once.
    replay(BEGIN + 12 * DAY, BEGIN + 14 * DAY);
    let alerts = anomd.json(&["alert", "list", "--all", batch]);
    assert_eq!(alerts.as_array().unwrap().len(), 1, "{alerts:#}");
    assert_eq!(alerts[0]["phase"], "resolved", "{alerts:#}");
    let last = receiver.received().last().unwrap().json();
    assert_eq!(last["state"], "resolved");
    assert!(last["title"].as_str().unwrap().contains("no longer on its way to its limit of 90 GiB"), "{last:#}");
}
