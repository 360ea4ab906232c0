//! The pages of a batch and of its series, as a person reads them in a browser.

use anomd_tests::{Anomd, HOUR, MINUTE, Source, instant, journey, load, or_skip, this_hour};

#[test]
fn a_person_finds_the_odd_series_and_tries_another_threshold() {
    let end = this_hour();
    let begin = end - 14 * HOUR;
    let incident = (13 * 60, 13 * 60 + 8);
    let source = Source::start(move |time| {
        vec![("load", "a", load(time, begin, &[incident])), ("load", "b", load(time, begin, &[]))]
    });
    let anomd = Anomd::new();
    let text = format!(
        "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 7d\n\
         ingest_params: {{url: '{}', queries: [load]}}\n",
        source.url()
    );
    let batch = anomd.batch("shop", &text);
    let (from, to) = (instant(begin + 12 * HOUR), instant(begin + 13 * HOUR + 30 * MINUTE));
    anomd.run(&["run", batch, "--from", &from, "--to", &to, "--every", "10m"]).done();
    let (_server, url) = anomd.serve();
    or_skip!(journey("series", &url, &[("BATCH", batch)]));
}
