//! What a person reads in a browser, journey by journey.

use anomd_tests::{Anomd, HOUR, Source, instant, journey, load, or_skip, this_hour, until};

#[test]
fn a_node_without_a_batch_says_what_to_do_next() {
    let anomd = Anomd::new();
    let (_server, url) = anomd.serve();
    or_skip!(journey("overview", &url, &[]));
}

#[test]
fn a_plugin_is_installed_and_reaches_what_it_wants_once_that_is_approved() {
    let anomd = Anomd::new();
    let (_server, url) = anomd.serve();
    or_skip!(journey("plugin", &url, &[]));
}

#[test]
fn a_batch_is_run_now_with_a_live_log_and_a_run_that_hangs_is_cut_short() {
    let source = Source::start(|time| vec![("load", "a", load(time, 0, &[]))]);
    // Nobody ever answers there.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    let anomd = Anomd::new();
    anomd.config("  http_first_byte_ms: 100000\n  http_total_ms: 100000\n");
    for (name, url) in [("orders", source.url()), ("stuck", silent_url)] {
        let text = format!(
            "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 6h\n\
             ingest_cron_schedule: '0 0 1 1 *'\ningest_params: {{url: '{url}', queries: [load]}}\n"
        );
        anomd.batch(name, &text);
    }
    let (_server, url) = anomd.serve();
    until("the first chain has ended", || {
        let runs = anomd.json(&["runs", "orders", "--job", "alert"]);
        (!runs.as_array()?.is_empty()).then_some(())
    });
    or_skip!(journey("jobs", &url, &[]));
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
