//! Names that are text and nothing else, wherever they come.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anomd_tests::{
    Anomd, EVERYTHING, HOUR, MINUTE, Millis, Receiver, SMTP_LOGIN, Smtp, Source, instant, load, millis, or_skip,
};
use serde_json::Value;

/// When the made-up story begins; a Monday.
const BEGIN: Millis = 1_767_571_200_000;
/// The minutes of it in which everything is odd.
const SPIKE: (i64, i64) = (13 * 60, 13 * 60 + 8);

/// Texts that somewhere are more than a text.
fn texts() -> Vec<&'static str> {
    vec![
        "it's",
        "say \"hi\"",
        "a/b",
        "..",
        "../../b21-escaped",
        "/tmp/b21-escaped",
        "back\\slash",
        "naïve 日本語 🦀",
        "line\nbreak",
        "x\r\nBcc: b21-escaped@example.com",
        "'; drop table metrics; --",
        "<script>alert(1)</script> & {{ 7 * 7 }} *bold*",
        "=cmd|' /C calc'!A0",
        "x".repeat(300).leak(),
    ]
}

/// As it is kept: a control character is seen and does nothing.
fn kept(text: &str) -> String {
    text.replace('\n', "␊").replace('\r', "␍")
}

/// Every file below a folder, without what is below `data`.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) =
        entries.filter(|path| !path.ends_with("data")).partition(|path| path.is_dir());
    files.into_iter().chain(folders.iter().flat_map(|folder| self::files(folder))).collect()
}

/// Users have names with quotes, slashes and worse; in Anomstack some broke a query, some a path
/// and some the storage.
#[test]
fn b21_whatever_is_in_a_name_comes_through_and_gets_nowhere_else() {
    let smtp = or_skip!(Smtp::start(0));
    let receiver = Receiver::start();
    // As a metric's name, and as the value of a label.
    let source = Source::start(|time| {
        let value = load(time, BEGIN, &[SPIKE]);
        texts().into_iter().flat_map(|text| [(text, "a", value), ("load", text, value)]).collect()
    });
    let anomd = Anomd::new();
    anomd.config(&format!(
        "smtp: {{host: localhost, port: {}, username: {}, password: {}, from: anomd@example.com, ca_file: '{}'}}\n",
        smtp.port(),
        SMTP_LOGIN.0,
        SMTP_LOGIN.1,
        smtp.ca_file().display()
    ));
    let batch = anomd.batch(
        "odd",
        &format!(
            "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 1d\n\
             ingest_params: {{url: '{}', queries: ['{EVERYTHING}']}}\n\
             disable_plot: false\nalert_group_by: ...\nalert_methods: [email, webhook]\n\
             alert_params: {{email: {{to: [ops@example.com]}}, webhook: {{url: '{}', chart: true}}}}\n\
             tholdalert_thresholds: {{\"it's\": {{upper: 100}}}}\nmetric_tags: {{\"it's\": {{team: \"it's\"}}}}\n",
            source.url(),
            receiver.url("/hook")
        ),
    );
    let before = files(anomd.home());
    let (from, to) = (instant(BEGIN + 12 * HOUR), instant(BEGIN + 13 * HOUR + 10 * MINUTE));
    let ran = anomd.run(&["run", batch, "--from", &from, "--to", &to, "--every", "10m", "--json"]).done().json();
    assert!(ran.as_array().unwrap().iter().all(|run| run["state"] != "failed" && run["state"] != "partial"), "{ran:#}");

    let names = |rows: &[Value]| -> BTreeSet<String> {
        rows.iter().map(|row| row["metric_name"].as_str().unwrap().to_owned()).collect()
    };
    let series = names(&anomd.query(batch, "series"));
    assert_eq!(series.len(), 2 * texts().len());
    for what in ["values", "scores", "alerts"] {
        assert_eq!(names(&anomd.query(batch, what)), series, "{what}");
    }
    let alerts = anomd.query(batch, "alerts");
    for name in &series {
        let alert = alerts.iter().find(|alert| alert["metric_name"] == **name).unwrap();
        let at = instant(millis(&alert["started"]));
        let trace = anomd.json(&["why", batch, name, "--at", &at]);
        assert_eq!(trace["answer"]["reason"], "told", "{name}: {trace:#}");
    }

    // Each is told as it is, to those who are to be told.
    let received = receiver.received();
    let findings = received.iter().flat_map(|request| request.json()["findings"].as_array().unwrap().clone());
    let told: BTreeSet<[String; 2]> = findings
        .map(|finding| ["__name__", "instance"].map(|label| finding["labels"][label].as_str().unwrap().to_owned()))
        .collect();
    let all = texts().into_iter().map(kept).flat_map(|text| [[text.clone(), "a".into()], ["load".into(), text]]);
    assert_eq!(told, all.collect());
    let mails = smtp.mails();
    assert_eq!(mails.len(), series.len());
    for text in ["it's", "a/b", "../../b21-escaped", "naïve 日本語 🦀"] {
        assert!(mails.iter().any(|mail| mail.text.contains(text)), "{text}");
    }
    for mail in &mails {
        assert_eq!(mail.envelope.1, ["ops@example.com"]);
        assert!(mail.headers.iter().all(|(name, _)| name != "bcc"), "{:?}", mail.headers);
        assert!(!mail.html.contains("<script>") && mail.pictures.len() == 1, "{}", mail.html);
    }

    // And kept, shown and given away as it is.
    let exported = anomd.run(&["export", batch, "--format", "jsonl"]).done().stdout;
    let exported: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(names(&exported), series);
    assert!(anomd.run(&["export", batch]).done().stdout.contains("\"say \"\"hi\"\""));
    anomd.run(&["run", batch, "--job", "plot"]).done();
    anomd.run(&["plot", batch, "--out", "odd.png"]).done();
    let mut after = files(anomd.home());
    assert!(after.remove(&anomd.home().join("odd.png")));
    assert_eq!(after, before, "nothing is written outside of the data folder");
    for place in [anomd.home().parent().unwrap(), anomd.home(), Path::new("/tmp")] {
        assert!(!place.join("b21-escaped").exists());
    }
}
