//! A real Prometheus, and a real node exporter.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::runtime::{block, client};
use crate::{Millis, Server, free_port, program, until};

/// User name and password of a Prometheus that wants them.
pub const LOGIN: (&str, &str) = ("anomd", "correct horse");

/// The password in bcrypt, at the lowest cost.
const BCRYPT: &str = "$2b$04$ZHG4NXgmtA5x2cjJniUvW.gMyXSnZHT.U9Jl/vEaPI..eWBpEKlbe";

/// A sample: when and what.
pub type Point = (Millis, f64);

/// What a Prometheus is started with.
#[derive(Debug, Default)]
pub struct Starting {
    scrapes: String,
    history: String,
    login: bool,
}

impl Starting {
    /// Scrapes a target every second.
    pub fn scrape(mut self, job: &str, address: &str, path: &str) -> Self {
        let _ = writeln!(
            self.scrapes,
            "  - {{job_name: {job}, metrics_path: {path}, static_configs: [{{targets: ['{address}']}}]}}"
        );
        self
    }

    /// Begins with these samples of a series, which `promtool` makes blocks of. All samples of
    /// a metric must be given one after the other.
    pub fn history(mut self, series: &str, points: impl IntoIterator<Item = Point>) -> Self {
        for (time, value) in points {
            let _ = writeln!(self.history, "{series} {value} {}.{:03}", time.div_euclid(1_000), time.rem_euclid(1_000));
        }
        self
    }

    /// Wants [`LOGIN`].
    pub fn login(mut self) -> Self {
        self.login = true;
        self
    }

    /// Starts it and waits until it answers; says what is missing on this machine.
    pub fn start(self) -> Result<Prometheus, String> {
        let program = program("prometheus").ok_or("there is no `prometheus` on this machine")?;
        let home = TempDir::new().unwrap();
        let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
        let log = home.path().join("queries.log");
        write(
            "prometheus.yml",
            &format!(
                "global: {{scrape_interval: 1s, scrape_timeout: 1s, query_log_file: '{}'}}\nscrape_configs:\n{}",
                log.display(),
                self.scrapes
            ),
        );
        let users = if self.login { format!("basic_auth_users:\n  {}: {BCRYPT}\n", LOGIN.0) } else { String::new() };
        write("web.yml", &users);
        if !self.history.is_empty() {
            let promtool = crate::program("promtool").ok_or("there is no `promtool` on this machine")?;
            write("history.om", &format!("{}# EOF\n", self.history));
            let made = Command::new(promtool)
                .args(["tsdb", "create-blocks-from", "--quiet", "openmetrics", "history.om", "data"])
                .current_dir(home.path())
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        let mut prometheus =
            Prometheus { program, home, port: free_port(), server: None, login: self.login, client: client() };
        prometheus.start_again();
        Ok(prometheus)
    }
}

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    program: PathBuf,
    home: TempDir,
    port: u16,
    server: Option<Server>,
    login: bool,
    client: reqwest::Client,
}

impl Prometheus {
    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.server.take().expect("it runs").kill();
    }

    /// Starts it on its port and its data, and waits until it answers.
    pub fn start_again(&mut self) {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.home.path())
            .args(["--config.file=prometheus.yml", "--web.config.file=web.yml", "--storage.tsdb.path=data"])
            .args(["--storage.tsdb.retention.time=10y", "--log.level=warn"])
            .arg(format!("--web.listen-address=127.0.0.1:{}", self.port));
        let mut server = Server::start(&mut command, &self.home.path().join("log"));
        until("Prometheus answers", || {
            if let Some(log) = server.ended() {
                panic!("Prometheus has ended: {log}");
            }
            self.try_get("query", &[("query", "1")])
        });
        self.server = Some(server);
    }

    fn try_get(&self, path: &str, parameters: &[(&str, &str)]) -> Option<Value> {
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/{path}", self.url()), parameters).unwrap();
        let mut request = self.client.get(url);
        if self.login {
            request = request.basic_auth(LOGIN.0, Some(LOGIN.1));
        }
        let body = block(async { request.send().await?.error_for_status()?.bytes().await }).ok()?;
        serde_json::from_slice(&body).ok()
    }

    /// The `data` of an answer of its API.
    #[track_caller]
    pub fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let mut answer = self.try_get(path, parameters).unwrap_or_else(|| panic!("no answer: {path} {parameters:?}"));
        answer["data"].take()
    }

    /// How many samples it has of each series of a selector in the last minutes.
    pub fn samples(&self, selector: &str) -> Vec<usize> {
        let data = self.get("query", &[("query", &format!("count_over_time({selector}[10m])"))]);
        let series = data["result"].as_array().unwrap();
        series.iter().map(|series| series["value"][1].as_str().unwrap().parse().unwrap()).collect()
    }

    /// What it answers to a range query, a series each in the order of its own answer.
    #[track_caller]
    pub fn range(&self, query: &str, start: Millis, end: Millis, step: Millis) -> Vec<(Value, Vec<Point>)> {
        let seconds = |millis: Millis| format!("{}", millis as f64 / 1_000.0);
        let (start, end, step) = (seconds(start), seconds(end), seconds(step));
        let data = self.get("query_range", &[("query", query), ("start", &start), ("end", &end), ("step", &step)]);
        let point = |pair: &Value| {
            let time = (pair[0].as_f64().unwrap() * 1_000.0).round() as Millis;
            (time, pair[1].as_str().unwrap().parse().unwrap())
        };
        let series = |series: &Value| {
            (series["metric"].clone(), series["values"].as_array().unwrap().iter().map(point).collect())
        };
        data["result"].as_array().unwrap().iter().map(series).collect()
    }

    /// The queries that it was asked over the API, from its own log, oldest first: the object
    /// `params` with `query`, `start`, `end` and `step`.
    pub fn asked(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.home.path().join("queries.log")).unwrap();
        log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["params"].take()).collect()
    }
}

/// A running node exporter.
#[derive(Debug)]
pub struct NodeExporter {
    port: u16,
    _server: Server,
    _home: TempDir,
}

impl NodeExporter {
    /// Starts one with the collectors that the tests ask for.
    pub fn start() -> Result<Self, String> {
        let program = program("prometheus-node-exporter").ok_or("there is no `prometheus-node-exporter` here")?;
        let (port, home) = (free_port(), TempDir::new().unwrap());
        let mut command = Command::new(program);
        command.args(["--collector.disable-defaults", "--collector.cpu", "--collector.loadavg"]);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let server = Server::start(&mut command, &home.path().join("log"));
        Ok(Self { port, _server: server, _home: home })
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
