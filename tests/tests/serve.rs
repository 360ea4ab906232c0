//! A running node: what it does by itself.

#![expect(clippy::indexing_slicing, reason = "tests")]

use anomd_tests::{Anomd, HOUR, MINUTE, Receiver, Source, get, instant, load, this_hour, until};
use serde_json::Value;

fn ingest(source: &Source) -> String {
    format!(
        "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 7d\n\
         ingest_params: {{url: '{}', queries: [load]}}\n",
        source.url()
    )
}

/// The state of the newest ingest of a batch, as the node itself tells it.
fn ingested(url: &str, batch: &str) -> Option<String> {
    let batches = get(&format!("{url}/api/v1/batches"))?;
    let found = batches.as_array()?.iter().find(|found| found["batch"] == batch)?;
    let run = found["last_runs"].as_array()?.iter().find(|run| run["slot"]["job"] == "ingest")?;
    run["state"].as_str().map(str::to_owned)
}

#[test]
fn what_one_node_could_not_deliver_the_next_sends_by_itself() {
    let end = this_hour();
    let begin = end - 14 * HOUR;
    let source = Source::start(move |time| vec![("load", "a", load(time, begin, &[(13 * 60, 13 * 60 + 8)]))]);
    let receiver = Receiver::start();
    let anomd = Anomd::new();
    let params = format!("alert_methods: webhook\nalert_params: {{webhook: {{url: '{}'}}}}\n", receiver.url("/"));
    let batch = anomd.batch("late", &format!("{}{params}", ingest(&source)));
    receiver.answer(&[500]);
    let (from, to) = (instant(begin + 12 * HOUR), instant(begin + 13 * HOUR + 10 * MINUTE));
    anomd.run(&["run", batch, "--from", &from, "--to", &to, "--every", "10m"]).done();
    let queued = anomd.query(batch, "deliveries");
    assert_eq!((queued.len(), &queued[0]["state"]), (1, &Value::from("queued")), "{queued:?}");

    let (server, _) = anomd.serve();
    let sent = until("the message is sent again", || {
        let received = receiver.received();
        received.get(1).map(|second| (received[0].clone(), second.clone()))
    });
    assert_eq!(sent.0.header("idempotency-key"), sent.1.header("idempotency-key"));
    assert_eq!(server.stop(), Some(0));
    assert!(std::fs::read_to_string(anomd.log()).unwrap().contains("nothing was lost"));
    let deliveries = anomd.query(batch, "deliveries");
    let first = deliveries.iter().find(|delivery| delivery["id"] == queued[0]["id"]).unwrap();
    assert_eq!((&first["state"], &first["tries"]), (&Value::from("sent"), &Value::from(2)));
}

#[test]
fn a_node_takes_up_new_batches_and_keeps_the_old_one_where_the_new_one_is_wrong() {
    let source = Source::start(|time| vec![("load", "a", load(time, 0, &[]))]);
    let anomd = Anomd::new();
    anomd.batch("first", &ingest(&source));
    let (server, url) = anomd.serve();
    // What never ran does not wait for its cron.
    until("the first batch has run", || (ingested(&url, "first")? == "done").then_some(()));

    anomd.batch("second", &ingest(&source));
    until("the second batch has run", || (ingested(&url, "second")? == "done").then_some(()));

    anomd.batch("first", &format!("{}alert_treshold: 0.7\n", ingest(&source)));
    until("the fault is told", || server.printed().contains("alert_threshold").then_some(()));
    assert!(ingested(&url, "first").is_some(), "the batch goes on as it was");
    std::fs::remove_file(anomd.home().join("batches/second.yaml")).unwrap();
    until("the second batch is given up", || ingested(&url, "second").is_none().then_some(()));
    assert!(ingested(&url, "first").is_some());
    assert_eq!(server.stop(), Some(0));
    assert_eq!(anomd.query("second", "series").len(), 1, "what it had is kept");
}
