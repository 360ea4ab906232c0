//! Moving in from Anomstack: its 27 example files, with its defaults below them and its variables
//! in the environment, on one node.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;

use anomd_tests::anomstack::{Example, examples};
use anomd_tests::{Anomd, HOUR, MINUTE, Millis, Model, Receiver, SMTP_LOGIN, Smtp, Source};
use anomd_tests::{instant, load, millis, or_skip};
use serde_json::Value;

/// When the recorded samples begin to be looked at; a Monday at midnight.
const BEGIN: Millis = 1_767_571_200_000;
/// The first tick at which they are odd has seen so much of it.
const SEEN: Millis = 5 * MINUTE;
/// How long they are odd.
const ODD: Millis = 10 * MINUTE;

/// A node of somebody who had Anomstack: the variables of its `.env`, its `defaults.yaml` and
/// more keys in that.
///
/// In Anomstack's defaults every job is stopped until it is started on a page; there is no such
/// page here.
fn moved_in(more: &str) -> Anomd {
    let mut anomd = Anomd::new();
    for (name, value) in [
        ("ANOMSTACK_ALERT_EMAIL_SMTP_HOST", "localhost"),
        ("ANOMSTACK_ALERT_EMAIL_FROM", "anomd@example.com"),
        ("ANOMSTACK_ALERT_EMAIL_PASSWORD", "a password"),
        ("ANOMSTACK_ALERT_EMAIL_TO", "ops@example.com"),
        ("ANOMSTACK_SLACK_BOT_TOKEN", "xoxb-test"),
        ("ANOMSTACK_SLACK_CHANNEL", "#ops"),
        ("OPENAI_API_KEY", "sk-of-the-test"),
    ] {
        anomd.variable(name, value);
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/anomstack/defaults/defaults.yaml");
    let defaults = std::fs::read_to_string(file).unwrap().replace("STOPPED", "RUNNING");
    write(&anomd, "defaults", &format!("{defaults}{more}"));
    anomd
}

fn write(anomd: &Anomd, name: &str, text: &str) {
    std::fs::write(anomd.home().join(format!("batches/{name}.yaml")), text).unwrap();
}

/// The problems that `anomd check` finds in a file: errors, and warnings. By its name a file is
/// checked although `disable_batch` stands in it.
#[track_caller]
fn problems(anomd: &Anomd, name: &str, code: i32) -> (Vec<Value>, Vec<Value>) {
    let checked = anomd.run(&["check", &format!("batches/{name}.yaml"), "--json"]);
    assert_eq!(checked.code, Some(code), "{checked:#?}");
    let problems = checked.json();
    problems.as_array().unwrap().iter().cloned().partition(|problem| problem["severity"] == "error")
}

/// Those who move in bring 27 files, and want to be told what of them does not do here what it
/// did there.
#[test]
fn each_example_is_accepted_for_every_key_but_its_source_which_is_answered_with_a_component() {
    let anomd = moved_in("");
    for example in examples() {
        write(&anomd, &example.name, &example.text);
    }
    // What is read and does nothing here, and crons that do not mean what they seem to.
    let idle = ["/db", "/table_key", "/model_path", "_sql", "_fn", "dashboard", "dashboard_stale_metric_max_days_ago"];
    for example in examples() {
        let (errors, warnings) = problems(&anomd, &example.name, 3);
        let [error] = &errors[..] else { panic!("{}: {errors:#?}", example.name) };
        assert!(["/ingest_fn", "/ingest_sql"].contains(&error["pointer"].as_str().unwrap()), "{error:#}");
        assert!(error["remedy"].as_str().unwrap().contains("ingest_fn: prometheus"), "{error:#}");
        for warning in &warnings {
            let pointer = warning["pointer"].as_str().unwrap();
            let told = pointer.ends_with("_cron_schedule") || idle.iter().any(|idle| pointer.ends_with(idle));
            assert!(told, "{warning:#}");
        }
        let edit = "ingest_fn: prometheus\ningest_params: {url: 'http://prometheus:9090', queries: [up]}";
        write(&anomd, &example.name, &example.with_source(edit));
        assert_eq!(problems(&anomd, &example.name, 0).0, Vec::<Value>::new());
    }
}

/// Minutes past midnight of the first ingest of an example, and minutes between two.
fn ticks(example: &Example) -> (Millis, Millis) {
    let line = example.text.lines().find_map(|line| line.strip_prefix("ingest_cron_schedule: "));
    // What Anomstack's defaults say.
    let cron = line.unwrap_or("\"*/3 * * * *\"").trim_matches('"').to_owned();
    let number = |text: &str| text.parse::<Millis>().unwrap_or_else(|_| panic!("{}: {cron}", example.name));
    let fields: Vec<&str> = cron.split(' ').collect();
    match fields[..] {
        [minute, "*", "*", "*", "*"] => match minute.strip_prefix("*/") {
            Some(step) => (0, number(step)),
            None => (number(minute), 60),
        },
        [minute, hour, "*", "*", "*"] => (60 * number(hour) + number(minute), 24 * 60),
        _ => panic!("{}: {cron}", example.name),
    }
}

/// When an example is run with what it is given.
struct Story {
    first: Millis,
    every: Millis,
    /// The samples are odd from here on.
    odd: Millis,
    last: Millis,
}

impl Story {
    /// The ticks of its own ingest: at the first, all is history; at a later one, five minutes of
    /// the odd ones have come; after the last, they are over.
    fn of(example: &Example) -> Self {
        let (offset, period) = ticks(example);
        let (first, every) = (BEGIN + offset * MINUTE, period * MINUTE);
        let seen = first + (ODD / every + 1) * every;
        let odd = seen - SEEN;
        Self { first, every, odd, last: seen + (HOUR / every).max(1) * every }
    }
}

/// Runs an example over its story, from samples that are recorded; fails unless every job did
/// what it is there for.
fn run(anomd: &Anomd, example: &Example) -> (Story, Vec<Value>) {
    let story = Story::of(example);
    let odd = (story.odd - BEGIN) / MINUTE;
    let metric = if example.text.contains("random_1") { "random_1" } else { "metric1" };
    let source = Source::start(move |time| vec![(metric, "a", load(time, BEGIN, &[(odd, odd + ODD / MINUTE)]))]);
    let edit = format!("ingest_fn: prometheus\ningest_params: {{url: '{}', queries: [{metric}]}}", source.url());
    write(anomd, &example.name, &example.with_source(&edit));

    // The file, since some are disabled.
    let file = format!("batches/{}.yaml", example.name);
    let (from, to, every) = (instant(story.first), instant(story.last), format!("{}m", story.every / MINUTE));
    let ran = anomd.run(&["run", &file, "--from", &from, "--to", &to, "--every", &every, "--json"]).done().json();
    let runs = ran.as_array().unwrap();
    for job in ["ingest", "train", "score", "change", "alert"] {
        let of_job = runs.iter().filter(|run| run["slot"]["job"] == job);
        assert!(of_job.clone().any(|run| run["state"] == "done"), "{job} of {}: {runs:#?}", example.name);
    }
    assert!(runs.iter().all(|run| run["state"] != "failed" && run["state"] != "partial"), "{runs:#?}");
    (story, runs.clone())
}

/// The value of a key of an example, or what Anomstack's defaults say.
fn methods(example: &Example) -> Vec<&str> {
    let line = example.text.lines().find_map(|line| line.strip_prefix("alert_methods: "));
    line.unwrap_or("email,slack").trim_matches('"').split(',').collect()
}

/// Those who move in want their batches to do what they did, and to be told.
#[test]
fn each_example_after_one_edit_learns_and_scores_and_tells_what_is_odd() {
    let (model, slack) = (Model::start(36.0), Receiver::start());
    let smtp = or_skip!(Smtp::start(0));
    slack.say(&format!(r#"{{"ok":true,"ts":"1.0","file_id":"F1","upload_url":"{}"}}"#, slack.url("/upload")));
    // The site's own: where its servers are, and how far back its recorded samples go.
    let mut anomd = moved_in(&format!(
        "\ningest_history: 3d\nalert_params: {{slack: {{api_url: '{}'}}}}\n\
         secrets: {{slack: {{bot_token: xoxb-test}}}}\n",
        slack.url("/api")
    ));
    anomd.variable("OPENAI_BASE_URL", &model.url());
    anomd.config(&format!(
        "smtp: {{host: localhost, port: {}, username: {}, password: {}, from: anomd@example.com, ca_file: '{}'}}\n",
        smtp.port(),
        SMTP_LOGIN.0,
        SMTP_LOGIN.1,
        smtp.ca_file().display()
    ));
    let mut told = [0, 0];
    for example in examples() {
        let (name, (story, runs)) = (&example.name, run(&anomd, &example));
        let batch = runs[0]["slot"]["key"]["batch"].as_str().unwrap();
        let alerts = anomd.query(batch, "alerts");
        let kinds: BTreeSet<&str> = alerts.iter().map(|alert| alert["kind"].as_str().unwrap()).collect();
        // Anomstack's defaults have change detection on. A model speaks of the newest five points.
        let mut due = BTreeSet::from(["anomaly", "change"]);
        due.extend(example.text.contains("tholdalert_thresholds").then_some("threshold"));
        let shown = story.odd + 1..story.odd + ODD + 6 * MINUTE;
        let saw = |run: &Value| {
            run["slot"]["job"] == "llmalert" && run["slot"]["scheduled"].as_i64().is_some_and(|at| shown.contains(&at))
        };
        due.extend(runs.iter().any(saw).then_some("llm"));
        assert_eq!(kinds, due, "{name}: {alerts:#?}");
        let grid = if example.text.contains("10min") { 10 * MINUTE } else { MINUTE };
        // The mean of three scores needs more than one that is high.
        let soon = story.odd - grid + 1..story.odd + ODD + 2 * grid;
        for alert in &alerts {
            let began = millis(&alert["started"]);
            assert!(began % grid == 0 && soon.contains(&began), "{name}: {alert:#}");
        }

        let deliveries = anomd.query(batch, "deliveries");
        let by = |method: &str| deliveries.iter().filter(|delivery| delivery["method"] == method).count();
        for (method, told) in ["email", "slack"].into_iter().zip(&mut told) {
            assert_eq!(by(method) > 0, methods(&example).contains(&method), "{name}: {deliveries:#?}");
            *told += by(method);
        }
        assert!(deliveries.iter().all(|delivery| delivery["state"] == "sent"), "{name}: {deliveries:#?}");
    }
    let (mails, posts) = (smtp.mails(), slack.received());
    let posts = posts.iter().filter(|request| request.path == "/api/chat.postMessage").count();
    assert_eq!([mails.len(), posts], told);
    let tagged = mails.iter().find(|mail| mail.text.contains("random_1")).unwrap();
    assert!(tagged.text.contains("priority") && tagged.text.contains("p1"), "{}", tagged.text);
}

/// Users want one query at several resolutions, each alerting on its own grid; in Anomstack a
/// batch with `freq` could not alert at all.
#[test]
fn b10_one_query_in_three_batches_alerts_on_the_grid_of_each() {
    let odd = (13 * 60, 14 * 60);
    let source = Source::start(move |time| vec![("load", "a", load(time, BEGIN, &[odd]))]);
    let anomd = Anomd::new();
    for (name, freq) in [("minutes", "1min"), ("fives", "5min"), ("hours", "1h")] {
        let keys = format!(
            "ingest_fn: prometheus\ningest_delay: 0s\ningest_history: 14d\nalert_resolve_n: 1\n\
             ingest_params: {{url: '{}', queries: [load]}}\npreprocess_params: {{freq: {freq}, freq_agg: mean}}\n",
            source.url()
        );
        anomd.batch(name, &keys);
        let (from, to) = (instant(BEGIN + 12 * HOUR), instant(BEGIN + 14 * HOUR));
        anomd.run(&["run", name, "--from", &from, "--to", &to, "--every", "10m"]).done();
    }
    for (name, grid) in [("minutes", 1), ("fives", 5), ("hours", 60)] {
        let alerts = anomd.query(name, "alerts");
        let [alert] = &alerts[..] else { panic!("{name}: {alerts:#?}") };
        let started = (millis(&alert["started"]) - BEGIN) / MINUTE;
        assert!(started % grid == 0 && (odd.0..odd.0 + grid).contains(&started), "{name}: {alert:#}");
        let scored: Vec<Millis> =
            anomd.query(name, "scores").iter().map(|row| millis(&row["metric_timestamp"])).collect();
        assert!(!scored.is_empty() && scored.iter().all(|time| time % (grid * MINUTE) == 0), "{name}");
    }
}

/// Users want jobs to run; Anomstack's own SQL was wrong for one of its databases. Here there is
/// no SQL and no database to bring: what there is to show is that every job does its work for two
/// lines of a batch and nothing else.
#[test]
fn b15_every_job_runs_for_a_batch_with_every_default_in_an_empty_folder() {
    let source = Source::start(|time| vec![("load", "a", load(time, BEGIN, &[]))]);
    let mut anomd = Anomd::new();
    std::fs::remove_file(anomd.home().join("anomd.yaml")).unwrap();
    std::fs::remove_dir(anomd.home().join("plugins")).unwrap();
    anomd.variable("PROMETHEUS_URL", &source.url());
    anomd.variable("PROMETHEUS_METRICS", "load");
    let batch = anomd.batch("orders", "ingest_fn: prometheus\n");

    let chain = anomd.run(&["run", batch, "--json"]).done().json();
    let jobs: Vec<&str> = chain.as_array().unwrap().iter().map(|run| run["slot"]["job"].as_str().unwrap()).collect();
    assert_eq!(jobs[..4], ["ingest", "train", "score", "alert"]);
    assert!(chain.as_array().unwrap().iter().all(|run| run["state"] == "done"), "{chain:#}");
    assert!(anomd.query(batch, "values").len() > 100_000 && !anomd.query(batch, "scores").is_empty());
    for job in
        ["ingest", "train", "score", "change", "alert", "llmalert", "plot", "summary", "delete", "notify", "deliver"]
    {
        anomd.run(&["run", batch, "--job", job]).done();
    }
    let runs = [anomd.query(batch, "runs"), anomd.query("*", "runs")].concat();
    let bad = |run: &&Value| run["state"] == "failed" || run["state"] == "partial";
    assert_eq!(runs.iter().find(bad), None);
    let mut left: Vec<_> = std::fs::read_dir(anomd.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["batches", "data"], "nothing is written elsewhere");
}
