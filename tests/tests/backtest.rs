//! What a batch would have told people: on what a store keeps, beside a running node, and on
//! what a source gives.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use anomd_tests::{Anomd, HOUR, MINUTE, Millis, Source, instant, load, millis, this_hour};
use serde_json::Value;

/// A label that would be markup, if anybody took it for that.
const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'{{ 7*7 }}";
/// Minutes of the two hours before now in which the load of one machine is far too high.
const SPIKE: (i64, i64) = (13 * 60 + 20, 13 * 60 + 30);

/// Minutes in which the load of the other one begins to be a little too high, and by how much.
const BUMPS: [(i64, f64); 3] = [(4 * 60, 0.8), (7 * 60, 1.2), (10 * 60, 1.6)];

/// Two machines, one of which has a hostile name and an incident; and the instant at which its
/// fifteen hours are over.
fn source() -> (Source, Millis) {
    let end = this_hour();
    let begin = end - 15 * HOUR;
    let source = Source::start(move |time| {
        let bump = BUMPS.iter().find(|(from, _)| (0..5).contains(&((time - begin) / MINUTE - from)));
        let calm = load(time, begin, &[]) + bump.map_or(0.0, |(_, height)| *height);
        vec![("load", "calm", calm), ("load", HOSTILE, load(time, begin, &[SPIKE]))]
    });
    (source, end)
}

fn batch<'a>(anomd: &Anomd, source: &Source, name: &'a str) -> &'a str {
    let url = source.url();
    let yaml = format!(
        "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 7d\nalert_threshold: 0.95\n\
         ingest_params: {{url: '{url}', queries: [load]}}\n"
    );
    anomd.batch(name, &yaml)
}

/// A node that has ingested the story of the source, and judged nothing of it.
fn ingested() -> (Anomd, Source, Millis) {
    let (source, end) = source();
    let anomd = Anomd::new();
    batch(&anomd, &source, "web");
    anomd.run(&["run", "web", "--job", "ingest", "--at", &instant(end)]).done();
    (anomd, source, end)
}

/// What a backtest of the last three hours finds.
fn backtest(anomd: &Anomd, end: Millis, more: &[&str]) -> Value {
    backtest_of(3, anomd, end, more)
}

/// What a backtest of the last hours finds.
fn backtest_of(hours: Millis, anomd: &Anomd, end: Millis, more: &[&str]) -> Value {
    let (from, to) = (instant(end - hours * HOUR), instant(end));
    anomd.json(&[&["backtest", "web", "--from", &from, "--to", &to], more].concat())
}

/// The alerts of a configuration, by its place.
fn alerts(report: &Value, place: usize) -> &Vec<Value> {
    report["configurations"][place]["alerts"].as_array().unwrap()
}

#[test]
fn a_lower_threshold_finds_what_a_higher_one_finds_and_more() {
    let (anomd, _source, end) = ingested();
    let before = anomd.query("web", "runs");
    let page = anomd.home().join("report.html");
    let report = backtest_of(12, &anomd, end, &["--set", "threshold=0.2", "--out", page.to_str().unwrap()]);
    let (a, b) = (alerts(&report, 0), alerts(&report, 1));
    let spike = end - 15 * HOUR + SPIKE.0 * MINUTE;
    let incident = |alert: &&Value| {
        alert["labels"]["instance"] == HOSTILE && (spike..spike + 10 * MINUTE).contains(&millis(&alert["started"]))
    };
    let found = a.iter().find(incident).unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!(found["in_both"], true);
    assert!(found["value"].as_f64().unwrap() > 35.0, "{found}");
    assert!(b.len() > a.len(), "{} and {}", a.len(), b.len());
    assert!(b.iter().any(|alert| alert["in_both"] == false));
    let figures = &report["configurations"][1]["figures"];
    assert_eq!(figures["alerts"], b.len());
    assert_eq!(figures["alerts_a_day"].as_f64().unwrap(), b.len() as f64 * 2.0);
    assert_eq!((report["configurations"][1]["threshold"].as_f64(), report["series"].as_u64()), (Some(0.2), Some(2)));

    let html = std::fs::read_to_string(&page).unwrap();
    assert!(!html.contains("<script") && !html.contains("<img"), "labels are texts");
    assert!(html.contains("&lt;script&gt;") && html.contains("{{ 7*7 }}"), "and they are there");
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("url("), "nothing is loaded");
    assert!(html.contains("alert_threshold") && html.contains("--set alert_threshold=0.2"), "what differs, and how");
    assert!(html.len() < 1 << 20, "{} bytes", html.len());

    assert_eq!(anomd.query("web", "runs"), before, "nothing is kept");
    assert_eq!(anomd.query("web", "alerts"), Vec::<Value>::new());
}

#[test]
fn a_backtest_finds_what_the_server_found_stopped_and_beside_it() {
    let (source, end) = source();
    let anomd = Anomd::new();
    batch(&anomd, &source, "web");
    // A backtest is run in for a day, and this node has run for as long.
    let from = instant(end - 27 * HOUR);
    anomd.run(&["run", "web", "--from", &from, "--to", &instant(end), "--every", "10m"]).done();
    let raised = anomd.json(&["alert", "list", "web", "--all"]);
    let raised = raised.as_array().unwrap();

    let stopped = backtest(&anomd, end, &[]);
    let told = |alert: &Value| (millis(&alert["started"]), alert["labels"]["instance"].clone(), alert["score"].clone());
    // What the server judged before the span is none of the backtest's.
    let mut expected: Vec<_> =
        raised.iter().filter(|alert| millis(&alert["started"]) >= end - 3 * HOUR).map(told).collect();
    let mut found: Vec<_> = alerts(&stopped, 0).iter().map(told).collect();
    expected.sort_by_key(|alert| alert.0);
    found.sort_by_key(|alert| alert.0);
    assert_eq!(found, expected);
    assert!(found.iter().any(|(_, instance, _)| instance == HOSTILE), "the incident is among them");
    let judgement = &stopped["configurations"][0]["figures"]["judgement"];
    assert_eq!((&judgement["raised_again"], &judgement["new"]), (&judgement["raised"], &Value::from(0)), "{judgement}");

    let (server, _) = anomd.serve();
    let beside = backtest(&anomd, end, &["--detector", "knn"]);
    assert_eq!(beside["configurations"].as_array().unwrap().len(), 2);
    assert_eq!(alerts(&beside, 0).iter().map(told).collect::<Vec<_>>().len(), found.len());
    assert_eq!(beside["configurations"][1]["detectors"], serde_json::json!(["knn"]));
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_batch_that_is_not_stored_is_tried_on_what_its_source_gives() {
    let (source, end) = source();
    let anomd = Anomd::new();
    batch(&anomd, &source, "web");
    let (from, to) = (instant(end - 3 * HOUR), instant(end));
    let fetched = anomd.json(&["backtest", "batches/web.yaml", "--from", &from, "--to", &to, "--fetch"]);
    assert!(alerts(&fetched, 0).iter().any(|alert| alert["labels"]["instance"] == HOSTILE), "{fetched:#}");
    assert!(fetched["samples"].as_u64().unwrap() > 1_000);
    assert!(!anomd.home().join("data/db").exists(), "nothing is kept");

    let other = anomd.home().join("other.yaml");
    let text = std::fs::read_to_string(anomd.home().join("batches/web.yaml")).unwrap();
    std::fs::write(&other, text.replace("alert_threshold: 0.95", "alert_threshold: 0.95\nalert_direction: below"))
        .unwrap();
    let two = backtest(&anomd, end, &["--fetch", "--with", other.to_str().unwrap(), "--metric", "script"]);
    assert_eq!(two["series"], 1);
    assert!(!alerts(&two, 0).is_empty());
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let (anomd, _source, end) = ingested();
    let refused = |arguments: &[&str], code: i32, says: &str| {
        let output = anomd.run(&[&["backtest"], arguments].concat());
        assert_eq!(output.code, Some(code), "{output:#?}");
        assert!(output.stderr.contains(says), "{} lacks {says}", output.stderr);
    };
    let from = instant(end - 3 * HOUR);
    refused(&["wep", "--from", &from], 2, "there is no batch `wep` in batches; there are: web");
    refused(&["web", "--from", "2001-01-01T00:00:00Z", "--to", "2001-01-02T00:00:00Z"], 2, "the store has no samples");
    refused(&["web", "--from", &from, "--metric", "nothing"], 2, "whose name holds `nothing`");
    refused(&["web", "--from", "1h", "--to", "2h"], 2, "give an earlier --from");
    refused(&["web", "--from", &from, "--set", "alert_treshold=0.7"], 3, "alert_threshold");
    refused(&["web", "--from", &from, "--set", "threshold=7"], 3, "--set alert_threshold");
    refused(&["web", "--from", &from, "--set", "ingest_fn=x"], 2, "both configurations have the same");
    refused(&["web", "--from", &from, "--detector", "pcb"], 3, "did you mean \"pca\"");
    anomd.batch("fresh", "ingest_fn: prometheus\ningest_params: {url: 'http://127.0.0.1:9', queries: [up]}\n");
    refused(&["fresh", "--from", &from], 2, "With --fetch its source is asked instead.");
}
