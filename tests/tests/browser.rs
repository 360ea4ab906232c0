//! What a person reads in a browser, journey by journey.

use anomd_tests::{Anomd, HOUR, Source, instant, journey, load, or_skip, this_hour};

#[test]
fn a_node_without_a_batch_says_what_to_do_next() {
    let anomd = Anomd::new();
    let (_server, url) = anomd.serve();
    or_skip!(journey("overview", &url, &[]));
}

#[test]
fn a_silence_is_made_from_an_alert_and_seen_to_act() {
    let end = this_hour();
    let begin = end - 15 * HOUR;
    let source = Source::start(move |time| vec![("load", "a", load(time, begin, &[(14 * 60 + 50, 1_000_000)]))]);
    let anomd = Anomd::new();
    let batch = anomd.batch(
        "orders",
        &format!(
            "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 7d\n\
             ingest_cron_schedule: '0 0 1 1 *'\ningest_params: {{url: '{}', queries: [load]}}\n",
            source.url()
        ),
    );
    anomd.run(&["run", batch, "--from", &instant(end - 2 * HOUR), "--to", &instant(end), "--every", "10m"]).done();
    let (_server, url) = anomd.serve();
    or_skip!(journey("alerts", &url, &[]));
}
