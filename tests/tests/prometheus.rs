//! The ingester `prometheus` against a real Prometheus, seen from the command line.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use anomd_tests::{
    Anomd, Exporter, HOUR, LOGIN, MINUTE, Millis, NodeExporter, Point, Prometheus, Proxy, Starting, instant, millis,
    or_skip, this_hour, until,
};
use serde_json::Value;

/// A batch that asks every minute and keeps nothing waiting.
const EVERY_MINUTE: &str = "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\n";

/// One point a minute in a span, without the last.
fn minutes(span: std::ops::Range<Millis>, value: impl Fn(i64) -> f64) -> Vec<Point> {
    (span.start / MINUTE..span.end / MINUTE).map(|minute| (minute * MINUTE, value(minute))).collect()
}

/// A day with an hour of ups and downs, to three decimals.
fn wave(minute: i64) -> f64 {
    let angle = std::f64::consts::TAU * (minute % 60) as f64 / 60.0;
    (1_000.0 * (10.0 + angle.sin())).round() / 1_000.0
}

/// The rows of `anomd run BATCH --job ingest --json` or of `anomd query --what values`, a
/// series each.
fn columns(rows: &[Value]) -> BTreeMap<String, Vec<Point>> {
    let mut columns: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    for row in rows {
        let point = (millis(&row["metric_timestamp"]), row["metric_value"].as_f64().unwrap());
        columns.entry(row["metric_name"].as_str().unwrap().to_owned()).or_default().push(point);
    }
    columns
}

/// Runs the ingest of a batch at an instant and gives the points it brought.
#[track_caller]
fn ingest(anomd: &Anomd, batch: &str, at: Millis) -> BTreeMap<String, Vec<Point>> {
    let output = anomd.run(&["run", batch, "--job", "ingest", "--at", &instant(at), "--json"]);
    assert_eq!(output.code, Some(0), "{:?} {output:#?}", newest_run(anomd, batch));
    columns(output.json().as_array().unwrap())
}

/// State and text of the newest run of a batch.
fn newest_run(anomd: &Anomd, batch: &str) -> (String, String) {
    let run = anomd.query(batch, "runs").swap_remove(0);
    let text = |column: &str| run[column].as_str().unwrap_or_default().to_owned();
    (text("state"), text("said"))
}

#[test]
fn the_first_run_fetches_history_by_range_and_later_runs_only_what_is_new() {
    let end = this_hour();
    // 12 960 points a series: more than the 11 000 that Prometheus gives in one answer.
    let begin = end - 9 * 24 * HOUR;
    let points = minutes(begin..end, wave);
    let prometheus = or_skip!(
        Starting::default()
            .history(r#"load{instance="a:9100",job="node"}"#, points.clone())
            .history(r#"load{instance="b:9100",job="node"}"#, points.clone())
            .start()
    );
    let anomd = Anomd::new();
    let batch = anomd.batch(
        "history",
        &format!("{EVERY_MINUTE}ingest_history: 9d\ningest_params: {{url: '{}', queries: [load]}}\n", prometheus.url()),
    );

    let before = end - 10 * MINUTE;
    let first = ingest(&anomd, batch, before);
    let names: Vec<&str> = first.keys().map(String::as_str).collect();
    assert_eq!(names, [r#"load{instance="a:9100",job="node"}"#, r#"load{instance="b:9100",job="node"}"#]);
    let expected: Vec<Point> = points.iter().copied().filter(|(time, _)| *time < before).collect();
    for got in first.values() {
        assert_eq!(got.len(), expected.len());
        assert_eq!(*got, expected);
    }
    let ranges: Vec<Value> = prometheus.asked().into_iter().filter(|asked| asked["query"] == "load").collect();
    assert_eq!(ranges.len(), 2, "history is split at 11 000 points: {ranges:?}");
    assert!(ranges.iter().all(|range| range["step"] == 60), "{ranges:?}");

    let second = ingest(&anomd, batch, before + 5 * MINUTE);
    let expected: Vec<Point> =
        points.iter().copied().filter(|(time, _)| (before..before + 5 * MINUTE).contains(time)).collect();
    assert_eq!(second.len(), 2);
    assert!(second.values().all(|got| *got == expected), "{second:?}");
    let asked = prometheus.asked().into_iter().rfind(|asked| asked["query"] == "load").unwrap();
    assert_eq!(millis(&asked["start"]), before, "{asked}");

    // The slot has been run: running it again brings and changes nothing.
    let asked = prometheus.asked().len();
    let again = ingest(&anomd, batch, before + 5 * MINUTE);
    assert_eq!(again, second);
    assert_eq!(prometheus.asked().len(), asked);
    assert_eq!(columns(&anomd.query(batch, "values")).values().map(Vec::len).sum::<usize>(), 2 * (points.len() - 5));
}

#[test]
fn a_login_from_the_environment_is_sent_and_a_wrong_one_is_told() {
    let end = this_hour();
    let points = minutes(end - HOUR..end, wave);
    let prometheus = or_skip!(Starting::default().login().history("load", points).start());
    let mut anomd = Anomd::new();
    let batch =
        anomd.batch("login", &format!("{EVERY_MINUTE}ingest_history: 10m\ningest_params: {{queries: [load]}}\n"));
    anomd.variable("PROMETHEUS_URL", &prometheus.url());
    let at = instant(end);

    // Without, with the wrong, with the right password.
    let output = anomd.run(&["run", batch, "--job", "ingest", "--at", &at]);
    assert_eq!(output.code, Some(1), "{output:#?}");
    anomd.variable("PROMETHEUS_USERNAME", LOGIN.0);
    anomd.variable("PROMETHEUS_PASSWORD", "wrong horse");
    let output = anomd.run(&["run", batch, "--job", "ingest", "--at", &instant(end + MINUTE)]);
    assert_eq!(output.code, Some(1), "{output:#?}");
    let (state, said) = newest_run(&anomd, batch);
    assert_eq!(state, "failed");
    assert!(said.contains("401") && said.contains("blame: operator"), "{said}");
    assert!(!said.contains("wrong horse") && !output.stderr.contains("wrong horse"), "{said}");

    anomd.variable("PROMETHEUS_PASSWORD", LOGIN.1);
    let rows = ingest(&anomd, batch, end + 2 * MINUTE);
    assert_eq!(rows["load"].len(), 10, "{rows:?}");
}

/// Fails unless a batch keeps of each metric what Prometheus itself has in a span.
#[track_caller]
fn assert_kept(anomd: &Anomd, batch: &str, prometheus: &Prometheus, span: std::ops::Range<Millis>) {
    let kept = columns(&anomd.query(batch, "values"));
    let there = prometheus.range(r#"{__name__=~"load.*"}"#, span.start, span.end - MINUTE, MINUTE);
    assert_eq!(kept.len(), there.len(), "{:?}", kept.keys());
    for (labels, points) in there {
        let name = labels["__name__"].as_str().unwrap();
        assert_eq!(kept[name].len(), points.len(), "{name}");
        assert!(kept[name] == points, "{name}");
    }
}

/// Kills a Prometheus before it answers the tenth of fourteen range queries of a first run,
/// seven of each metric; then runs while it is gone so often, and once when it is back.
#[track_caller]
fn kill_in_the_middle(runs_without: i64) {
    let end = this_hour();
    let span = end - 12 * HOUR..end;
    let prometheus = or_skip!(
        Starting::default()
            .history("load_a", minutes(span.clone(), wave))
            .history("load_b", minutes(span, wave))
            .start()
    );
    let address = prometheus.address();
    let prometheus = Arc::new(Mutex::new(prometheus));
    let (victim, mut ranges) = (prometheus.clone(), 0);
    let proxy = Proxy::start(&address, move |request| {
        let range = request.contains("/query_range");
        ranges += usize::from(range);
        if range && ranges == 10 {
            victim.lock().unwrap().kill();
        }
    });
    let anomd = Anomd::new();
    let batch = anomd.batch(
        "killed",
        &format!(
            "{EVERY_MINUTE}ingest_history: 690m\n\
             ingest_params: {{url: '{}', queries: [load_a, load_b], max_points: 100}}\n",
            proxy.url()
        ),
    );
    let at = end - 10 * MINUTE;
    ingest(&anomd, batch, at);
    let (state, said) = newest_run(&anomd, batch);
    assert_eq!(state, "partial");
    assert!(said.contains("lost load_b") && said.contains(&proxy.url()), "it says what is gone: {said}");

    for run in 1..=runs_without {
        let output = anomd.run(&["run", batch, "--job", "ingest", "--at", &instant(at + run * MINUTE)]);
        assert_eq!(output.code, Some(1), "{output:#?}");
    }
    prometheus.lock().unwrap().start_again();
    ingest(&anomd, batch, at + 5 * MINUTE);
    assert_eq!(newest_run(&anomd, batch).0, "done");
    assert_kept(&anomd, batch, &prometheus.lock().unwrap(), at - 690 * MINUTE..at + 5 * MINUTE);
}

#[test]
fn a_prometheus_killed_in_the_middle_of_a_run_costs_a_part_that_the_next_run_fetches() {
    kill_in_the_middle(0);
}

#[test]
fn what_a_killed_prometheus_cost_is_fetched_when_it_is_back_after_failed_runs() {
    kill_in_the_middle(2);
}

#[test]
fn a_run_without_its_prometheus_fails_by_the_remote_side_and_the_next_one_fills_the_gap() {
    let end = this_hour();
    let span = end - 2 * HOUR..end;
    let mut prometheus = or_skip!(Starting::default().history("load", minutes(span.clone(), wave)).start());
    let anomd = Anomd::new();
    let batch = anomd.batch(
        "gone",
        &format!("{EVERY_MINUTE}ingest_history: 1h\ningest_params: {{url: '{}', queries: [load]}}\n", prometheus.url()),
    );
    let begin = end - HOUR;
    ingest(&anomd, batch, begin);

    prometheus.kill();
    for minute in [10, 20] {
        let at = instant(begin + minute * MINUTE);
        let output = anomd.run(&["run", batch, "--job", "ingest", "--at", &at]);
        assert_eq!(output.code, Some(1), "{output:#?}");
    }
    let run = anomd.query(batch, "runs").swap_remove(0);
    assert_eq!(run["state"], "failed");
    assert_eq!(run["tries"], 3, "it was tried again at once: {run}");
    let said = run["said"].as_str().unwrap();
    assert!(said.contains("blame: remote") && said.contains(&prometheus.url()), "{said}");

    prometheus.start_again();
    ingest(&anomd, batch, begin + 30 * MINUTE);
    assert_kept(&anomd, batch, &prometheus, begin - HOUR..begin + 30 * MINUTE);
}

#[test]
fn one_bad_query_of_ten_costs_itself_alone_and_is_seen() {
    let end = this_hour();
    let mut starting = Starting::default();
    for index in 0..9 {
        starting = starting.history(&format!("load_{index}"), minutes(end - HOUR..end + MINUTE, wave));
    }
    let prometheus = or_skip!(starting.start());
    let anomd = Anomd::new();
    let queries: String = (0..9).map(|index| format!("    fine_{index}: load_{index}\n")).collect();
    let batch = anomd.batch(
        "ten",
        &format!(
            "{EVERY_MINUTE}ingest_history: 10m\ningest_params:\n  url: '{}'\n  queries:\n    broken: nonsense(load_0)\n{queries}",
            prometheus.url()
        ),
    );
    let rows = ingest(&anomd, batch, end);
    let names: Vec<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(names, (0..9).map(|index| format!("fine_{index}")).collect::<Vec<_>>());
    assert!(rows.values().all(|points| points.len() == 10), "{rows:?}");
    let run = anomd.query(batch, "runs").swap_remove(0);
    assert_eq!(run["state"], "partial");
    assert!(run["what"].as_str().unwrap().contains("1 lost"), "{run}");
    let said = run["said"].as_str().unwrap();
    assert!(said.contains("broken") && said.contains("unknown function"), "{said}");

    // It is wrong and not missing: nothing is asked for again.
    let rows = ingest(&anomd, batch, end + MINUTE);
    assert!(rows.len() == 9 && rows.values().all(|points| points.len() == 1), "{rows:?}");
}

#[test]
fn prefixes_from_the_environment_choose_metrics_up_to_a_cap_that_is_told() {
    let end = this_hour();
    let mut starting = Starting::default();
    for metric in ["app_errors", "app_latency", "app_requests", "db_size", "system_load", "system_users"] {
        starting = starting.history(metric, minutes(end - HOUR..end, wave));
    }
    let prometheus = or_skip!(starting.start());
    let mut anomd = Anomd::new();
    anomd.variable("PROMETHEUS_URL", &prometheus.url());
    anomd.variable("PROMETHEUS_METRICS", "app_, system_l");
    let names = |anomd: &Anomd, batch| ingest(anomd, batch, end).into_keys().collect::<Vec<_>>();

    let all = anomd.batch("all", &format!("{EVERY_MINUTE}ingest_history: 5m\n"));
    assert_eq!(names(&anomd, all), ["app_errors", "app_latency", "app_requests", "system_load"]);

    let cut = anomd.batch("cut", &format!("{EVERY_MINUTE}ingest_history: 5m\ningest_params: {{max_metrics: 2}}\n"));
    assert_eq!(names(&anomd, cut), ["app_errors", "app_latency"]);
    let (_, said) = newest_run(&anomd, cut);
    assert!(said.contains("max_metrics") && said.contains('4'), "{said}");
}

#[test]
fn counters_of_both_exposition_formats_are_rated_and_gauges_are_not() {
    let exporter = Exporter::start();
    let prometheus = or_skip!(
        Starting::default()
            .scrape("shop", &exporter.address(), "/text")
            .scrape("depot", &exporter.address(), "/openmetrics")
            .start()
    );
    until("a dozen scrapes of both", || {
        let samples = prometheus.samples(r#"{__name__=~"shop_visits|depot_orders_total"}"#);
        (samples.len() == 2 && samples.iter().all(|n| *n >= 12)).then_some(())
    });
    let families = prometheus.get("metadata", &[]);
    assert_eq!(families["depot_orders"][0]["type"], "counter", "an OpenMetrics family lacks `_total`: {families}");

    let anomd = Anomd::new();
    let batch = anomd.batch(
        "formats",
        &format!(
            "ingest_fn: prometheus\nstep: 2s\ningest_delay: 0s\ningest_history: 2m\nmetric_name: '{{__name__}}{{le}}'\n\
             ingest_params: {{url: '{}', metrics: [shop_, depot_, shop_wait_seconds_bucket, depot_wait_seconds_bucket]}}\n",
            prometheus.url()
        ),
    );
    let rows = columns(anomd.json(&["run", batch, "--job", "ingest"]).as_array().unwrap());
    let gauges = ["depot_stock", "shop_stock_total"];
    for (name, points) in &rows {
        assert!(points.len() >= 2, "{name}: {points:?}");
        for (_, value) in points {
            if gauges.contains(&name.as_str()) {
                assert!(*value >= 1_000_000.0, "{name} is a gauge and stays as it is: {points:?}");
            } else {
                assert!((0.0..=50.0).contains(value), "{name} is about 5 a second: {points:?}");
            }
        }
    }
    let names: Vec<&str> = rows.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "depot_orders_total",
            "depot_stock",
            "depot_wait_seconds_bucket+Inf",
            "depot_wait_seconds_bucket1.0",
            "depot_wait_seconds_count",
            "depot_wait_seconds_sum",
            "shop_orders_total",
            "shop_stock_total",
            "shop_visits",
            "shop_wait_seconds_bucket+Inf",
            "shop_wait_seconds_bucket1",
            "shop_wait_seconds_count",
            "shop_wait_seconds_sum",
        ]
    );
}

#[test]
fn where_the_server_knows_no_types_the_suffix_decides_and_the_run_says_so() {
    let end = this_hour();
    let prometheus = or_skip!(
        Starting::default()
            .history("orders_total", minutes(end - HOUR..end, |minute| 1e6 + 60.0 * minute as f64))
            .history("stock", minutes(end - HOUR..end, |minute| 60.0 * minute as f64))
            .start()
    );
    let anomd = Anomd::new();
    let batch = anomd.batch(
        "untyped",
        &format!(
            "{EVERY_MINUTE}ingest_history: 10m\ningest_params: {{url: '{}', queries: [orders_total, stock]}}\n",
            prometheus.url()
        ),
    );
    let rows = ingest(&anomd, batch, end);
    assert_eq!(rows["orders_total"].len(), 10);
    assert!(rows["orders_total"].iter().all(|(_, value)| *value == 1.0), "{rows:?}");
    assert!(rows["stock"].iter().all(|(_, value)| *value > 1e6), "{rows:?}");
    let (_, said) = newest_run(&anomd, batch);
    assert!(said.contains("type"), "{said}");
}

#[test]
fn idle_cpu_of_a_node_exporter_is_a_share_of_each_cpu() {
    let exporter = or_skip!(NodeExporter::start());
    let prometheus = or_skip!(Starting::default().scrape("node", &exporter.address(), "/metrics").start());
    let idle = r#"node_cpu_seconds_total{mode="idle"}"#;
    until("enough scrapes", || prometheus.samples(idle).iter().any(|n| *n >= 16).then_some(()));
    let anomd = Anomd::new();
    let batch = anomd.batch(
        "node",
        &format!(
            "ingest_fn: prometheus\nstep: 3s\ningest_delay: 0s\ningest_history: 1m\nmetric_name: 'cpu {{cpu}}'\n\
             ingest_params: {{url: '{}', queries: ['{idle}']}}\n",
            prometheus.url()
        ),
    );
    let rows = columns(anomd.json(&["run", batch, "--job", "ingest"]).as_array().unwrap());
    assert_eq!(
        rows.len(),
        prometheus.samples(idle).len(),
        "a series each cpu: {rows:?} {:?}",
        newest_run(&anomd, batch)
    );
    for (name, points) in &rows {
        assert!(!points.is_empty(), "{name}");
        // A scrape comes up to a second late: then three seconds hold what four brought.
        assert!(points.iter().all(|(_, share)| (0.0..=1.35).contains(share)), "{name}: {points:?}");
    }
}

#[test]
fn scalars_are_values_and_what_is_no_number_is_left_out() {
    let end = this_hour();
    let prometheus = or_skip!(
        Starting::default()
            .history(r#"part{of="half"}"#, minutes(end - HOUR..end, |_| 1.0))
            .history(r#"part{of="nothing"}"#, minutes(end - HOUR..end, |_| 0.0))
            .start()
    );
    let anomd = Anomd::new();
    let queries = "\n    answer: '40 + 2'\n    ratio: '1 / part'\n    unknown: 'part / part'\n    span: 'part[5m]'\n";
    for (batch, instant, points) in [("instants", true, 1), ("ranges", false, 10)] {
        anomd.batch(
            batch,
            &format!(
                "{EVERY_MINUTE}ingest_history: 10m\nmetric_name: '{{__name__}} {{of}}'\n\
                 ingest_params:\n  url: '{}'\n  instant: {instant}\n  queries:{queries}",
                prometheus.url()
            ),
        );
        let rows = ingest(&anomd, batch, end);
        let names: Vec<&str> = rows.keys().map(String::as_str).collect();
        // Neither 1 / 0 nor 0 / 0 is a number.
        assert_eq!(names, ["answer ", "ratio half", "unknown half"], "{batch}");
        assert!(rows.values().all(|column| column.len() == points), "{batch}: {rows:?}");
        assert!(rows["answer "].iter().all(|(_, value)| *value == 42.0), "{batch}: {rows:?}");
        // A range vector has many values an instant: it is refused, and costs itself alone.
        let (state, said) = newest_run(&anomd, batch);
        assert_eq!(state, "partial", "{batch}");
        assert!(said.contains("span"), "{batch}: {said}");
    }
}
