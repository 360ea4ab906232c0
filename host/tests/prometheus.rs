//! The ingester `prometheus`, as it is shipped, through the host: against the demo's
//! endpoint, and against a real Prometheus that is started for the test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it expects"
)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use anomd::capability::LogSink;
use anomd::capability::kv::InMemory;
use anomd::config::{Grants, Limits, Secret};
use anomd::demo::endpoint::{self, Endpoint};
use anomd::demo::{Family, Source};
use anomd::fault::{Blame, Fault, PluginError, Retry};
use anomd::plugin::{Call, Catalogue, Ingest, Plugin, Runtime, Use, Window};
use anomd::schedule::{Clock, ManualClock, SystemClock};
use anomd::series::{Kind, Labels, Millis};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MINUTE: Millis = 60_000;

/// One for all tests, so that the component is compiled once.
static CACHE: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl LogSink for Lines {
    fn line(&self, _: tracing::Level, _: &str, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

/// The component, bound to what it may reach.
struct Ingester {
    plugin: Arc<dyn Ingest>,
    log: Arc<Lines>,
}

/// What a window gave.
#[derive(Debug, Default, PartialEq)]
struct Fetched {
    series: BTreeMap<String, (Kind, Vec<(Millis, f64)>)>,
    lost: Vec<(String, PluginError)>,
}

impl Fetched {
    fn values(&self, series: &str) -> Vec<f64> {
        let (_, points) = self.series.get(series).unwrap_or_else(|| panic!("no {series} in {:?}", self.series.keys()));
        points.iter().map(|point| point.1).collect()
    }

    /// Appends what a later window gave.
    fn append(&mut self, later: Self) {
        self.lost.extend(later.lost);
        for (series, (_, points)) in later.series {
            self.series.get_mut(&series).expect("no new series").1.extend(points);
        }
    }
}

impl Ingester {
    async fn new(origin: &str, secrets: &[(&str, &str)]) -> Self {
        let origins = vec![origin.to_owned()];
        let secret = |(slot, secret): &(&str, &str)| ((*slot).to_owned(), (Secret::new(*secret), origins.clone()));
        let usage = Use {
            tenant: "default".into(),
            batch: "prometheus".into(),
            grants: Grants {
                origins: origins.clone(),
                networks: vec!["127.0.0.0/8".parse().unwrap()],
                recipients: Vec::new(),
            },
            secrets: secrets.iter().map(secret).collect(),
            timezone: chrono_tz::UTC,
            mail: None,
            kv: Arc::new(InMemory::default()),
            warm: true,
        };
        let plugin = component().await.ingester(usage).unwrap();
        Self { plugin, log: Arc::default() }
    }

    async fn page(
        &self,
        config: &Value,
        window: &Window,
        cursor: Option<Vec<u8>>,
        fetched: &mut Fetched,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let log = Arc::clone(&self.log) as Arc<dyn LogSink>;
        let call = Call { now: window.span.end, subject: "default/prometheus/ingest".into(), log };
        let page = self.plugin.fetch(&call, &config.to_string(), window, cursor).await?;
        fetched.lost.extend(page.lost.into_iter().map(|loss| (loss.part, loss.error)));
        for (labels, kind, times, values) in page.samples.iter() {
            let (_, points) = fetched.series.entry(labels.to_string()).or_insert((kind, Vec::new()));
            points.extend(times.iter().copied().zip(values.iter().copied()));
        }
        Ok(page.next)
    }

    /// All pages of a window.
    async fn fetch(&self, config: &Value, span: Range<Millis>, step_ms: u32) -> Result<Fetched, Fault> {
        let window = Window { span, step_ms };
        let (mut fetched, mut cursor) = (Fetched::default(), None);
        loop {
            cursor = self.page(config, &window, cursor, &mut fetched).await?;
            if cursor.is_none() {
                return Ok(fetched);
            }
        }
    }

    /// What was logged since this was asked last.
    fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.0.lock().unwrap())
    }
}

async fn component() -> Arc<Plugin> {
    let runtime = Runtime::new(&Limits::default(), CACHE.path()).unwrap();
    let (catalogue, faults) = Catalogue::load(&runtime, None).await;
    assert!(faults.is_empty(), "{faults:?}");
    catalogue.get("prometheus").unwrap()
}

#[tokio::test]
async fn a_wrong_configuration_is_told_with_its_place() {
    let component = component().await;
    for (config, pointer) in [
        (json!({ "queries": ["up"] }), ""),
        (json!({ "url": "http://a", "queries": ["up"], "step": "60s" }), "/step"),
        (json!({ "url": "http://a", "queries": ["up", { "query": "up", "nmae": "x" }] }), "/queries/1/nmae"),
        (json!({ "url": "http://a", "queries": { "a": { "query": "up", "name": "x" } } }), "/queries/a/name"),
        (json!({ "url": "http://a", "queries": { "a": 1 } }), "/queries/a"),
        (json!({ "url": "http://a", "queries": ["up"], "timeout": "soon" }), "/timeout"),
        (json!({ "url": "http://a", "queries": ["up"], "lookback": 0 }), "/lookback"),
        (json!({ "url": "http://a", "queries": ["up"], "headers": { "X": "a\nb" } }), "/headers/X"),
        (json!({ "url": "http://a" }), ""),
        (json!({ "url": "a:9090", "queries": ["up"] }), "/url"),
        (json!({ "url": "http://a", "queries": ["up", "up", "up", "sum(up"] }), "/queries/3"),
    ] {
        let problems = component.check_config(&config).await;
        let pointers: Vec<_> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
        assert_eq!(pointers, [pointer], "{config}: {problems:?}");
    }
    let right =
        json!({ "url": "http://a", "queries": { "a": "up" }, "metrics": "x", "timeout": 1.5, "lookback": "1m" });
    assert_eq!(component.check_config(&right).await, []);
    assert_eq!(component.origins_with(&right), ["http://a"]);
}

/// `requests_total` of two hosts, that goes up by 120 a minute and begins again each day, and
/// a gauge that is the minute.
struct Hosts(Vec<Labels>);

impl Hosts {
    fn new() -> Self {
        let series = [("requests_total", "a"), ("requests_total", "b"), ("minute", "a")];
        let labels = |(name, host): (&str, &str)| {
            Labels::new([("__name__".into(), name.into()), ("host".into(), host.into())]).unwrap()
        };
        Self(series.map(labels).to_vec())
    }
}

impl Source for Hosts {
    fn families(&self) -> Vec<Family> {
        let family = |name: &str, kind| Family { name: name.into(), kind, help: String::new() };
        vec![family("requests_total", Kind::Counter), family("minute", Kind::Gauge)]
    }

    fn series(&self) -> &[Labels] {
        &self.0
    }

    fn step_ms(&self) -> u32 {
        60_000
    }

    fn value(&self, series: usize, time: Millis) -> Option<f64> {
        let minute = time / MINUTE;
        Some(if series == 2 { minute as f64 } else { 120.0 * ((minute % 1440) + 1) as f64 })
    }
}

async fn demo(now: Millis) -> (Endpoint, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(now));
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    (endpoint::serve(Arc::new(Hosts::new()), clock.clone(), listen).await.unwrap(), clock)
}

#[tokio::test]
async fn the_demo_is_fetched_as_history_and_then_step_by_step() {
    let (endpoint, clock) = demo(30_000 * MINUTE).await;
    let origin = format!("http://{}", endpoint.address());
    let ingester = Ingester::new(&origin, &[]).await;
    let config = json!({ "url": origin, "queries": ["requests_total", { "name": "m", "query": "minute" }] });
    // More than 11 000 points, so several ranges.
    let mut history = ingester.fetch(&config, 10 * MINUTE..30_000 * MINUTE, 60_000).await.unwrap();
    for now in 30_000..30_005 {
        clock.advance_to(now * MINUTE);
        history.append(ingester.fetch(&config, now * MINUTE..(now + 1) * MINUTE, 60_000).await.unwrap());
    }
    let whole = ingester.fetch(&config, 10 * MINUTE..30_005 * MINUTE, 60_000).await.unwrap();
    assert_eq!(history, whole);
    assert_eq!((whole.series.len(), whole.lost.len()), (3, 0));
    assert_eq!(whole.series["requests_total{host=\"b\"}"].0, Kind::Gauge);
    // 120 a minute, across the resets at midnight.
    assert_eq!(whole.values("requests_total{host=\"b\"}"), vec![2.0; 29_995]);
    assert_eq!(whole.values("m{host=\"a\"}"), (10..30_005).map(|minute| minute as f64).collect::<Vec<_>>());
    assert_eq!(ingester.log(), Vec::<String>::new());
}

/// A process that ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

const INSTALL: &str = "cannot be started: apt-get install prometheus prometheus-node-exporter";

fn start(command: &mut Command) -> Process {
    let child = command.spawn();
    Process(child.unwrap_or_else(|e| panic!("{:?} {INSTALL} ({e})", command.get_program())))
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Asks again until it is so.
async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let all = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("it is not so after a minute");
}

/// A real Prometheus on a free port.
struct Prometheus {
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

/// The user `admin` with the password `secret`.
const WEB: &str = "basic_auth_users:\n  admin: $2b$04$0uHI0dg37eT5AZOE4o15jOsM7PB.QyIKEkHce6vtEGbihbvJeoBvG\n";

impl Prometheus {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        Self { folder, port: free_port(), process: None }
    }

    /// One that scrapes these each second: job, address and path.
    async fn scraping(targets: &[(&str, SocketAddr, &str)]) -> Self {
        let job = |(job, address, path): &(&str, SocketAddr, &str)| json!({ "job_name": job, "metrics_path": path, "static_configs": [{ "targets": [address.to_string()] }] });
        let jobs: Vec<Value> = targets.iter().map(job).collect();
        let config = json!({ "global": { "scrape_interval": "1s" }, "scrape_configs": jobs });
        let mut server = Self::new(&config.to_string());
        server.start(&[]).await;
        server
    }

    /// One that holds what an OpenMetrics text says.
    async fn holding(samples: &str, arguments: &[&str]) -> Self {
        let mut server = Self::new("global: {}");
        let folder = server.folder.path();
        std::fs::write(folder.join("samples"), samples).unwrap();
        std::fs::write(folder.join("web.yml"), WEB).unwrap();
        let mut fill = command("promtool");
        fill.args(["tsdb", "create-blocks-from", "openmetrics", "samples", "data"]).current_dir(folder);
        assert!(fill.status().unwrap_or_else(|e| panic!("promtool {INSTALL} ({e})")).success());
        server.start(arguments).await;
        server
    }

    /// Returns when it answers.
    async fn start(&mut self, arguments: &[&str]) {
        let process = start(
            command("prometheus")
                .args([
                    "--config.file=prometheus.yml",
                    "--storage.tsdb.path=data",
                    "--storage.tsdb.retention.time=100y",
                ])
                .arg(format!("--web.listen-address=127.0.0.1:{}", self.port))
                .args(arguments)
                .current_dir(self.folder.path()),
        );
        self.process = Some(process);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        until(async || {
            let mut answer = String::new();
            if let Ok(mut stream) = tokio::net::TcpStream::connect(address).await {
                let _ = stream.write_all(b"GET /-/ready HTTP/1.0\r\n\r\n").await;
                let _ = stream.read_to_string(&mut answer).await;
            }
            // Where a password is wanted, its want means that it answers.
            answer.contains(" 200 ") || answer.contains(" 401 ")
        })
        .await;
    }

    fn kill(&mut self) {
        self.process = None;
    }

    fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// A long while ago, at midnight.
const T0: Millis = 1_700_006_400_000;

/// A counter that begins again after 5000 minutes, and a gauge; a sample a minute.
fn samples(minutes: i64) -> String {
    let mut text = String::from("# TYPE sold counter\n");
    for minute in 0..minutes {
        text += &format!("sold_total{{shop=\"x\"}} {} {}\n", 30 * (minute % 5000), T0 / 1000 + 60 * minute);
    }
    text += "# TYPE stock gauge\n";
    for minute in 0..minutes {
        text += &format!("stock{{shop=\"x\"}} {} {}\n", minute % 7, T0 / 1000 + 60 * minute);
    }
    text + "# EOF\n"
}

#[tokio::test]
async fn a_real_server_gives_history_by_range_and_then_increments() {
    let server = Prometheus::holding(&samples(12_000), &[]).await;
    let ingester = Ingester::new(&server.origin(), &[]).await;
    let config = json!({ "url": server.origin(), "queries": ["sold_total", "stock", "sum(stock) * 2"] });
    let span = |from: i64, to: i64| T0 + from * MINUTE..T0 + to * MINUTE;
    let mut history = ingester.fetch(&config, span(-10, 11_990), 60_000).await.unwrap();
    // Nothing is scraped, so the server tells no types.
    assert!(ingester.log()[0].contains("does not tell the types"));
    for minute in 11_990..12_000 {
        history.append(ingester.fetch(&config, span(minute, minute + 1), 60_000).await.unwrap());
    }
    let whole = ingester.fetch(&config, span(-10, 12_000), 60_000).await.unwrap();
    assert_eq!(history, whole);
    // The first sample has none before it; a counter that begins again at 0 has not gone up.
    let rates: Vec<f64> = (1..12_000).map(|minute| if minute % 5000 == 0 { 0.0 } else { 0.5 }).collect();
    assert_eq!(whole.values("sold_total{shop=\"x\"}"), rates);
    assert_eq!(whole.values("stock{shop=\"x\"}"), (0..12_000).map(|minute| (minute % 7) as f64).collect::<Vec<_>>());
    assert_eq!(whole.values("sum(stock) * 2")[..3], [0.0, 2.0, 4.0]);
}

#[tokio::test]
async fn a_password_is_sent_and_a_wrong_one_is_the_operators_fault() {
    let server = Prometheus::holding(&samples(10), &["--web.config.file=web.yml"]).await;
    let config = json!({ "url": server.origin(), "queries": ["stock"], "username": "admin" });
    let span = T0..T0 + 3 * MINUTE;
    let right = Ingester::new(&server.origin(), &[("password", "secret")]).await;
    let fetched = right.fetch(&config, span.clone(), 60_000).await.unwrap();
    assert_eq!(fetched.values("stock{shop=\"x\"}"), [0.0, 1.0, 2.0]);
    let wrong = Ingester::new(&server.origin(), &[("password", "hunter2")]).await;
    let fault = wrong.fetch(&config, span.clone(), 60_000).await.unwrap_err();
    assert!(matches!(fault.answer, Some(PluginError::Unauthorized(_))), "{fault}");
    assert_eq!((fault.blame, fault.retry()), (Blame::Operator, Retry::Never));
    assert!(!fault.to_string().contains("hunter2"));
    let none = Ingester::new(&server.origin(), &[]).await;
    let fault = none.fetch(&config, span, 60_000).await.unwrap_err();
    assert!(fault.to_string().contains("secret slot \"password\" is empty"), "{fault}");
}

#[tokio::test]
async fn one_bad_query_of_ten_loses_the_one() {
    let server = Prometheus::holding(&samples(10), &[]).await;
    let ingester = Ingester::new(&server.origin(), &[]).await;
    let mut queries: Vec<String> = (1..10).map(|factor| format!("stock * {factor}")).collect();
    queries.insert(4, "histogram_quantile(stock)".into());
    let config = json!({ "url": server.origin(), "queries": queries });
    let fetched = ingester.fetch(&config, T0..T0 + 3 * MINUTE, 60_000).await.unwrap();
    assert_eq!(fetched.series.len(), 9);
    assert_eq!(fetched.values("stock * 9{shop=\"x\"}"), [0.0, 9.0, 18.0]);
    let [(part, PluginError::BadConfig(text))] = fetched.lost.as_slice() else { panic!("{:?}", fetched.lost) };
    assert_eq!(part, "histogram_quantile(stock)");
    assert!(text.contains("expected 2 argument(s)"), "{text}");
}

#[tokio::test]
async fn a_server_that_is_killed_in_the_middle_is_asked_again() {
    let mut server = Prometheus::holding(&samples(10), &[]).await;
    let ingester = Ingester::new(&server.origin(), &[]).await;
    let config = json!({ "url": server.origin(), "queries": ["stock", "stock + 1", "stock + 2"], "rate": false });
    let window = Window { span: T0..T0 + 3 * MINUTE, step_ms: 60_000 };
    let mut fetched = Fetched::default();
    let second = ingester.page(&config, &window, None, &mut fetched).await.unwrap();
    server.kill();
    let third = ingester.page(&config, &window, second, &mut fetched).await.unwrap();
    assert!(third.is_some());
    assert_eq!((fetched.series.len(), fetched.lost.len()), (1, 1));
    let [(part, PluginError::Unavailable(_))] = fetched.lost.as_slice() else { panic!("{:?}", fetched.lost) };
    assert_eq!(part, "stock + 1");
    // From the beginning nothing is answered: the run failed, and trying again can help.
    let fault = ingester.fetch(&config, window.span.clone(), 60_000).await.unwrap_err();
    assert_eq!((fault.blame, fault.retry()), (Blame::Remote, Retry::Backoff), "{fault}");
    server.start(&[]).await;
    let whole = ingester.fetch(&config, window.span, 60_000).await.unwrap();
    assert_eq!((whole.series.len(), whole.lost.len()), (3, 0));
}

/// An exporter that speaks both formats, with counters that go up by 5 a second.
async fn exporter() -> SocketAddr {
    let began = std::time::Instant::now();
    let count = move || began.elapsed().as_secs_f64() * 5.0;
    let text = async move || {
        format!("# TYPE sold_total counter\nsold_total {}\n# TYPE held_count gauge\nheld_count 7\n", count())
    };
    let open_metrics = async move || {
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        let count = count();
        let counter = format!("# TYPE om_sold counter\nom_sold_total {count}\n");
        ([("Content-Type", kind)], counter + &format!("# TYPE om_wait summary\nom_wait_count {count}\n# EOF\n"))
    };
    let router = axum::Router::new()
        .route("/text", axum::routing::get(text))
        .route("/openmetrics", axum::routing::get(open_metrics));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test]
async fn counters_are_known_in_both_formats_and_metrics_by_prefix() {
    let exporter = exporter().await;
    let node = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let _node = start(command("prometheus-node-exporter").arg(format!("--web.listen-address={node}")));
    let targets = [("text", exporter, "/text"), ("om", exporter, "/openmetrics"), ("node", node, "/metrics")];
    let server = Prometheus::scraping(&targets).await;
    let ingester = Ingester::new(&server.origin(), &[]).await;
    let config = json!({
        "url": server.origin(),
        "queries": [
            "sold_total", "om_sold_total", "om_wait_count", "held_count",
            { "name": "cpu", "query": "node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"}" },
        ],
        "metrics": "node_load,node_memory_Mem",
        "max_metrics": 4,
    });
    let mut fetched = Fetched::default();
    until(async || {
        let now = SystemClock.now() / 1000 * 1000;
        ingester.log();
        fetched = ingester.fetch(&config, now - 4000..now, 1000).await.unwrap();
        let whole = |name: &str| {
            let mut series = fetched.series.iter();
            series.any(|(series, (_, points))| series.starts_with(name) && points.len() == 4)
        };
        ["sold_total{", "om_sold_total{", "om_wait_count{", "held_count{", "cpu{", "node_load1{"].into_iter().all(whole)
    })
    .await;
    let mean = |name: &str| {
        let (series, (kind, points)) = fetched.series.iter().find(|(series, _)| series.starts_with(name)).unwrap();
        assert_eq!(*kind, Kind::Gauge, "{series}");
        points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64
    };
    for counter in ["sold_total{", "om_sold_total{", "om_wait_count{"] {
        // Scrapes are not exactly on the second.
        let rate = mean(counter);
        assert!((2.0..8.0).contains(&rate), "{counter}: {rate}");
    }
    assert_eq!(mean("held_count{"), 7.0, "a gauge is not rated, whatever its name");
    assert!((0.0..2.0).contains(&mean("cpu{")));
    let [(part, PluginError::Unsupported(text))] = fetched.lost.as_slice() else { panic!("{:?}", fetched.lost) };
    assert_eq!(part, "metrics");
    assert!(text.contains("begin with node_load, node_memory_Mem, and the first 4 are taken"), "{text}");
    assert_eq!(ingester.log(), Vec::<String>::new(), "the server told every type");
}
