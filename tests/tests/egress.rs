//! What leaves a node as a user runs it, and what of its secrets stays behind: nothing.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anomd_tests::{Anomd, HOUR, MINUTE, Millis, Receiver, Source, instant};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// When the made-up story begins; a Monday.
const BEGIN: Millis = 1_767_571_200_000;

/// A batch whose every value is above its limit, and that posts what it sees to a receiver.
fn loud(source: &Source, receiver: &Receiver, more: &str) -> String {
    format!(
        "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 10m\ndisable_train: true\n\
         disable_score: true\ningest_params: {{url: '{}', queries: [load], auth: bearer}}\n\
         tholdalert_thresholds: {{load: {{upper: 50}}}}\nalert_methods: webhook\n\
         alert_params: {{webhook: {{url: '{}', auth: bearer}}}}\n{more}",
        source.url(),
        receiver.url("/hook")
    )
}

fn run(anomd: &Anomd, batch: &str) -> String {
    let (from, to) = (instant(BEGIN + HOUR), instant(BEGIN + HOUR + 10 * MINUTE));
    let output = anomd.run(&["run", batch, "--from", &from, "--to", &to, "--every", "5m"]);
    output.stdout + &output.stderr
}

#[test]
fn variables_that_name_a_proxy_change_nothing() {
    let proxy = Receiver::start();
    let mut anomd = Anomd::new();
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        anomd.variable(name, &proxy.url(""));
        anomd.variable(&name.to_lowercase(), &proxy.url(""));
    }
    let (source, receiver) = (Source::start(|_| vec![("load", "a:9100", 90.0)]), Receiver::start());
    let batch = anomd.batch("direct", &loud(&source, &receiver, "secrets: {token: a-long-token}\n"));
    let told = run(&anomd, batch);
    assert!(!receiver.received().is_empty(), "{told}");
    assert_eq!(proxy.received().len(), 0);
}

#[test]
fn a_secret_that_servers_send_back_is_in_nothing_that_the_node_keeps_or_prints() {
    const TOKEN: &str = "s3cr3t/+token-0123456789";
    let percent: String = TOKEN.bytes().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    });
    let forms = [TOKEN.to_owned(), percent, STANDARD.encode(TOKEN), URL_SAFE_NO_PAD.encode(TOKEN)];
    let echo = format!("you sent {}", forms.join(" and "));

    // What is written in a batch's file is there to be read; this one comes from the environment.
    let mut anomd = Anomd::new();
    anomd.variable("TOKEN", TOKEN);
    anomd.variable("ANOMD_LOG", "trace");
    let (source, receiver) = (Source::start(|_| vec![("load", "a:9100", 90.0)]), Receiver::start());
    receiver.say(&echo);
    receiver.answer(&[500, 200]);
    let batch = anomd.batch("echoes", &loud(&source, &receiver, "secrets: {token: '${TOKEN}'}\n"));
    let mut printed = run(&anomd, batch);
    assert!(receiver.received().iter().any(|got| got.header("authorization").ends_with(TOKEN)), "{printed}");

    // A source that refuses, and says of what.
    let angry = Receiver::start();
    angry.say(&format!(r#"{{"status": "error", "errorType": "bad_data", "error": "{echo}"}}"#));
    let yaml = format!(
        "ingest_fn: prometheus\nstep: 60s\ningest_params: {{url: '{}', queries: [load], auth: bearer}}\n\
         secrets: {{token: '${{TOKEN}}'}}\n",
        angry.url("")
    );
    let refused = anomd.batch("refused", &yaml);
    printed += &run(&anomd, refused);
    for batch in [batch, refused] {
        for what in ["series", "values", "alerts", "runs", "deliveries"] {
            let output = anomd.run(&["query", batch, "--what", what, "--json"]);
            printed += &(output.stdout + &output.stderr);
        }
    }
    assert!(printed.contains("you sent [secret]"), "the echo came as far as the run: {printed}");
    for form in &forms {
        assert!(!printed.contains(form), "{form} was printed: {printed}");
    }
    for (file, bytes) in files(anomd.home()) {
        for form in &forms {
            let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
            assert!(!found, "{form} is in {file}");
        }
    }
}

/// The files below a folder; links are not followed.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push((entry.path().display().to_string(), fs::read(entry.path()).unwrap()));
        }
    }
    found
}
