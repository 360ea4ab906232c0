//! What a node says of itself: to a Prometheus, to who watches over it, and in its log.

#![expect(clippy::indexing_slicing, reason = "tests")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use anomd_tests::{Anomd, Api, HOUR, Prometheus, Server, Source, Starting, load, or_skip, program, this_hour, until};
use serde_json::{Value, json};

const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

fn source() -> Source {
    let begin = this_hour() - 12 * HOUR;
    Source::start(move |time| vec![("load", "a", load(time, begin, &[])), ("calm", "b", load(time, begin, &[]))])
}

/// A batch that ingests by itself as soon as its node serves.
fn batch(anomd: &Anomd, name: &str, source: &Source) {
    let ingest = "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 6h\n";
    let params = format!("ingest_params: {{url: '{}', queries: [load, calm]}}\n", source.url());
    anomd.batch(name, &format!("{ingest}{params}"));
}

/// The value of a series in the text that a node answers with.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Waits until the node has counted something.
fn counted(api: &Api, series: &str) -> String {
    until(series, || {
        let text = api.get("/metrics").text;
        (value(&text, series)? > 0.0).then_some(text)
    })
}

fn instant_value(prometheus: &Prometheus, query: &str) -> Option<f64> {
    let data = prometheus.get("query", &[("query", query)]);
    data["result"][0]["value"][1].as_str()?.parse().ok()
}

#[test]
fn a_prometheus_scrapes_a_node_and_sees_its_runs_plugins_and_store() {
    let (anomd, source) = (Anomd::new(), source());
    batch(&anomd, "web", &source);
    let (_server, url) = anomd.serve();
    let address = url.trim_start_matches("http://");
    let prometheus = or_skip!(Starting::default().scrape("anomd", address, "/metrics").start());
    let seen = |query: &str| until(query, || instant_value(&prometheus, query).filter(|value| *value > 0.0));
    seen("anomd_runs_total{job_name='ingest',state='done',job='anomd'}");
    seen("anomd_plugin_calls_total{plugin='prometheus'}");
    seen("anomd_plugin_cpu_seconds_total{plugin='prometheus'}");
    seen("anomd_plugin_memory_peak_bytes{plugin='prometheus'}");
    seen("anomd_run_lateness_seconds_count{job_name='ingest'}");
    seen("anomd_store_size_bytes");
    assert_eq!(seen("anomd_series"), 2.0);
    assert_eq!(seen("anomd_batches{state='active'}"), 1.0);
    assert_eq!(instant_value(&prometheus, "up{job='anomd'}"), Some(1.0));
    assert_eq!(instant_value(&prometheus, "sum(anomd_plugin_faults_total)"), Some(0.0));
}

#[test]
fn promtool_has_nothing_to_complain_of() {
    let promtool = or_skip!(program("promtool").ok_or("there is no `promtool` on this machine".to_owned()));
    let (anomd, source) = (Anomd::new(), source());
    batch(&anomd, "web", &source);
    let (_server, url) = anomd.serve();
    let text = counted(&Api::new(&url, None), "anomd_runs_total{job_name=\"ingest\",state=\"done\"}");
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}

#[test]
fn metrics_come_in_the_format_that_is_asked_for() {
    let anomd = Anomd::new();
    let (_server, url) = anomd.serve();
    let api = Api::new(&url, None);
    let open = api.get_as("/metrics", OPEN_METRICS);
    assert_eq!(open.kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.text.ends_with("\n# EOF\n") && open.text.contains("\n# TYPE anomd_runs counter\n"), "{}", open.text);
    let plain = api.get_as("/metrics", "*/*");
    assert_eq!(plain.kind, "text/plain; version=0.0.4; charset=utf-8");
    assert!(plain.text.contains("\n# TYPE anomd_runs_total counter\n") && !plain.text.contains("# EOF"));
}

#[test]
fn metrics_of_a_shared_node_are_for_its_operator_and_name_no_tenant() {
    let (anomd, source) = (Anomd::new(), source());
    batch(&anomd, "a-batch-of-ours", &source);
    anomd.run(&["tenant", "create", "shop-of-ana"]).done();
    let token = |tenant: &str| {
        anomd.run(&["tenant", "token", tenant, "scraper", "--scope", "read"]).done().stdout.trim().to_owned()
    };
    let (own, other) = (token("default"), token("shop-of-ana"));
    let (_server, url) = anomd.serve();
    let status = |token: Option<&str>| Api::new(&url, token).get("/metrics").status;
    assert_eq!(status(None), 401);
    assert_eq!(status(Some(&other)), 403);
    assert_eq!(status(Some(&own)), 200);
    assert_eq!(status(Some(&anomd.operator())), 200);
    let text = counted(&Api::new(&url, Some(&own)), "anomd_runs_total{job_name=\"ingest\",state=\"done\"}");
    assert_eq!(value(&text, "anomd_tenants"), Some(2.0));
    for name in ["shop-of-ana", "a-batch-of-ours"] {
        assert!(!text.contains(name), "{name} is in {text}");
    }
}

#[test]
fn plugins_beyond_the_bound_have_one_name_in_the_metrics() {
    let (anomd, source) = (Anomd::new(), source());
    anomd.config("  metric_plugins: 1\n");
    batch(&anomd, "web", &source);
    let (_server, url) = anomd.serve();
    let text = counted(&Api::new(&url, None), "anomd_plugin_calls_total{plugin=\"other\"}");
    let named = text.lines().filter(|line| line.starts_with("anomd_plugin_calls_total")).count();
    assert_eq!(named, 2, "{text}");
}

#[test]
fn a_node_says_that_it_is_ready_and_what_it_is() {
    let anomd = Anomd::new();
    let (_server, url) = anomd.serve();
    let api = Api::new(&url, None);
    assert_eq!(api.get("/healthz").text, "ok\n");
    let ready = until("the node is ready", || Some(api.get("/readyz")).filter(|reply| reply.status == 200));
    assert_eq!(ready.json["checks"], json!(["store", "plugins", "schedules"]));
    let build = api.get("/api/v1/build").json;
    assert_eq!(build["version"], anomd.run(&["--version"]).stdout.trim().trim_start_matches("anomd "));
}

#[test]
fn a_node_that_cannot_write_is_not_ready_and_says_why() {
    let anomd = Anomd::new();
    let (server, url) = anomd.serve();
    drop((server, url));
    // No disk has that much.
    anomd.config("  disk_reserve_bytes: 4611686018427387904\n");
    let (_server, url) = anomd.serve();
    let reply = Api::new(&url, None).get("/readyz");
    assert_eq!((reply.status, reply.kind.as_str()), (503, "application/problem+json"), "{reply:?}");
    let detail = reply.json["detail"].as_str().unwrap();
    assert!(detail.starts_with("not ready: store: ") && detail.contains("disk"), "{detail}");
}

#[test]
fn a_log_in_json_names_the_run_its_tenant_and_the_plugin_that_failed() {
    let anomd = Anomd::new();
    let gone = "http://127.0.0.1:1";
    anomd.batch("web", &format!("ingest_fn: prometheus\ningest_params: {{url: '{gone}', queries: [load]}}\n"));
    let log = anomd.home().join("serve.json");
    let mut command = anomd.command(&["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]);
    let mut server = Server::start(&mut command, &log);
    let lines = |server: &Server| -> Vec<Value> {
        let printed = server.printed();
        let whole = printed.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    };
    let failed = until("a run has failed", || {
        assert_eq!(server.ended(), None);
        lines(&server).into_iter().find(|line| line["level"] == "WARN" && line["job"] == "ingest")
    });
    assert_eq!((&failed["tenant"], &failed["batch"]), (&Value::from("default"), &Value::from("web")));
    assert_eq!((&failed["plugin"], &failed["blame"]), (&Value::from("prometheus"), &Value::from("remote")));
    let mut ended = lines(&server).into_iter().filter(|line| line["message"] == "a run ended");
    assert!(ended.any(|line| line["run"] == failed["run"] && line["state"] == "failed"));
    assert!(lines(&server).iter().any(|line| line["message"].as_str().unwrap().contains(" batches on http://")));
    assert_eq!(server.stop(), Some(0));
}
