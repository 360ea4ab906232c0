//! A running node: what it does by itself.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

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
    let found = batches["items"].as_array()?.iter().find(|found| found["batch"] == batch)?;
    let run = found["last_runs"].as_array()?.iter().find(|run| run["job"] == "ingest")?;
    run["state"].as_str().map(str::to_owned)
}

#[test]
fn what_one_node_could_not_deliver_the_next_sends_by_itself() {
    let end = this_hour();
    let begin = end - 14 * HOUR;
    let source = Source::start(move |time| vec![("load", "a", load(time, begin, &[(13 * 60, 13 * 60 + 8)]))]);
    let receiver = Receiver::start();
    let anomd = Anomd::new();
    // A summary at nine would be a message more at some hours of the day.
    let params = format!(
        "disable_summary: true\nalert_methods: webhook\nalert_params: {{webhook: {{url: '{}'}}}}\n",
        receiver.url("/")
    );
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

/// Users want a running node to take up what they wrote; Anomstack's reload spoke to a place that
/// there was not, and its watcher looked at some of the files only.
#[test]
fn b17_what_is_written_is_taken_up_by_a_running_node_and_what_is_wrong_changes_nothing() {
    let source = Source::start(|time| vec![("load", "a", load(time, 0, &[])), ("calm", "b", load(time, 0, &[]))]);
    let anomd = Anomd::new();
    let write = |name: &str, text: &str| std::fs::write(anomd.home().join("batches").join(name), text).unwrap();
    let more = ingest(&source).replace("[load]", "[load, calm]");
    write("defaults.yaml", "disable_ingest: true\n");
    anomd.batch("inherits", &ingest(&source));
    anomd.batch("changed", &ingest(&source));
    anomd.batch("works", &format!("{}disable_ingest: false\n", ingest(&source)));
    let (server, url) = anomd.serve();
    let done = |batch: &str| (ingested(&url, batch)? == "done").then_some(());
    // What never ran does not wait for its cron.
    until("the batch that is on has run", || done("works"));
    assert!(ingested(&url, "changed").is_none() && ingested(&url, "inherits").is_none());

    anomd.batch("changed", &format!("{more}disable_ingest: false\n"));
    until("a batch that changed has run", || done("changed"));
    assert_eq!(anomd.query("changed", "series").len(), 2, "as it was written last");
    assert!(ingested(&url, "inherits").is_none());

    write("defaults.yaml", "disable_ingest: false\n");
    until("a batch whose defaults changed has run", || done("inherits"));

    anomd.batch("new", &ingest(&source));
    until("a new batch has run", || done("new"));

    anomd.batch("works", &format!("{}alert_treshold: 0.7\n", ingest(&source)));
    until("the fault is told", || server.printed().contains("alert_threshold").then_some(()));
    assert!(ingested(&url, "works").is_some(), "the batch goes on as it was");
    std::fs::remove_file(anomd.home().join("batches/new.yaml")).unwrap();
    until("a batch whose file is gone is given up", || ingested(&url, "new").is_none().then_some(()));
    assert!(ingested(&url, "works").is_some());
    assert_eq!(server.stop(), Some(0));
    assert_eq!(anomd.query("new", "series").len(), 1, "what it had is kept");
}

/// Users want to look and to act while the node works; Anomstack's runs and its page opened one
/// file for writing at once, and what failed then was told as something else.
#[test]
fn b18_one_process_has_the_store_and_the_others_ask_it_or_are_told_who_has_it() {
    let source = Source::start(|time| vec![("load", "a", load(time, 0, &[]))]);
    let anomd = Anomd::new();
    let batch = anomd.batch("orders", &ingest(&source));
    let (server, url) = anomd.serve();
    until("the batch has run", || (ingested(&url, batch)? == "done").then_some(()));
    let pid = node(&anomd)["pid"].to_string();

    // What would have to write for itself says who writes, what to do, and nothing else.
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["run", batch]] {
        let refused = anomd.run(arguments);
        assert_eq!(refused.code, Some(4), "{refused:#?}");
        for said in [format!("in use by another anomd (process {pid})").as_str(), "Stop that process, or give this one"]
        {
            assert!(refused.stderr.contains(said), "{said}: {refused:#?}");
        }
        assert_eq!(refused.stderr.trim().lines().count(), 1, "{refused:#?}");
    }
    // The second did not take the place of the first.
    assert_eq!(node(&anomd)["pid"].to_string(), pid);

    // All the others ask, and many may at once.
    std::thread::scope(|scope| {
        for n in 0..4 {
            let anomd = &anomd;
            scope.spawn(move || {
                assert_eq!(anomd.query(batch, "series").len(), 1);
                let text = format!("deploy {n}");
                anomd.run(&["event", "add", "deploy", &text, "--by", "ci", "--match", "instance=\"a\""]).done();
            });
        }
    });
    assert!(ingested(&url, batch).is_some(), "the node works on");
    assert_eq!(server.stop(), Some(0));
    assert_eq!(anomd.json(&["event", "list"]).as_array().map(Vec::len), Some(4), "nothing was lost");
    assert!(anomd.query(batch, "values").len() > 10_000);
    anomd.run(&["run", batch]).done();
}

/// What a running node says of itself to the commands beside it.
fn node(anomd: &Anomd) -> Value {
    serde_json::from_slice(&std::fs::read(anomd.home().join("data/node.json")).unwrap()).unwrap()
}
