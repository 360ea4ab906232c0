//! The HTTP API of a Prometheus server, over a [`Source`]: `query`, `query_range`,
//! `metadata`, `label/<name>/values` and `status/buildinfo`.
//!
//! Envelope, result types and limits are those of Prometheus 2.42, and so are the texts of
//! errors but for those of the parser. It is for loopback: there are no credentials. `start`
//! and `end` of `label/<name>/values` are not looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::evaluate::{Row, Value, evaluate};
use super::promql;
use super::source::Source;
use crate::schedule::Clock;
use crate::series::{Labels, Millis};

/// Steps that one range may have, as in Prometheus.
const MOST_POINTS: Millis = 11_000;

/// A running endpoint. Dropped, it stops as well, without waiting.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

impl Endpoint {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers what has been asked, and ends.
    pub async fn stop(self) -> io::Result<()> {
        drop(self.stop);
        self.task.await.map_err(io::Error::other)?
    }
}

/// Serves `source` as far as `clock` has come. Port 0 in `listen` takes a free one.
pub async fn serve(source: Arc<dyn Source>, clock: Arc<dyn Clock>, listen: SocketAddr) -> io::Result<Endpoint> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel();
    let router = router(Server { source, clock });
    let stopped = async move {
        // An error is a sender that was dropped: the same.
        let _ = stopped.await;
    };
    let task = tokio::spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stopped).await });
    Ok(Endpoint { address, stop, task })
}

#[derive(Clone)]
struct Server {
    source: Arc<dyn Source>,
    clock: Arc<dyn Clock>,
}

fn router(server: Server) -> Router {
    Router::new()
        .route("/api/v1/query", get(query).post(query))
        .route("/api/v1/query_range", get(query_range).post(query_range))
        .route("/api/v1/metadata", get(metadata))
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/api/v1/status/buildinfo", get(build))
        .fallback(async || (StatusCode::NOT_FOUND, "404 page not found\n"))
        .with_state(server)
}

/// What went wrong, with the API's `errorType`.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    kind: &'static str,
    text: String,
}

impl Refusal {
    fn bad_data(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", text: text.into() }
    }

    fn parameter(name: &str, text: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter {name:?}: {text}"))
    }

    fn execution(text: String) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, kind: "execution", text }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "status": "error", "errorType": self.kind, "error": self.text });
        json(self.status, body.to_string())
    }
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The envelope round some data.
fn success(data: impl Serialize) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Envelope<T> {
        status: &'static str,
        data: T,
    }
    let body = serde_json::to_string(&Envelope { status: "success", data }).map_err(|error| Refusal {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        kind: "internal",
        text: error.to_string(),
    })?;
    Ok(json(StatusCode::OK, body))
}

/// The parameters of the URL and of a posted form; of several with one name the first.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(url: Option<&str>, form: &[u8]) -> Self {
        let read = |text| url::form_urlencoded::parse(text).into_owned();
        Self(read(url.unwrap_or_default().as_bytes()).chain(read(form)).collect())
    }

    /// Empty where it is not given.
    fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn instant(&self, name: &str) -> Result<Millis, Refusal> {
        let text = self.get(name);
        let wrong = || Refusal::parameter(name, format!("cannot parse {text:?} to a valid timestamp"));
        if let Some(millis) = millis(text) {
            return Ok(millis);
        }
        let time = chrono::DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?;
        Ok(time.timestamp_millis())
    }
}

/// Seconds, with or without a fraction.
fn millis(seconds: &str) -> Option<Millis> {
    let millis = (seconds.parse::<f64>().ok()? * 1000.0).round();
    // Up to the year 275 000 either way, so that sums of two do not overflow.
    (millis.abs() <= 8.64e15).then_some(millis as Millis)
}

async fn query(State(server): State<Server>, RawQuery(url): RawQuery, form: Bytes) -> Result<Response, Refusal> {
    let parameters = Parameters::read(url.as_deref(), &form);
    let now = server.clock.now();
    let time = if parameters.get("time").is_empty() { now } else { parameters.instant("time")? };
    let expr = promql::parse(parameters.get("query")).map_err(|error| Refusal::parameter("query", error))?;
    let value = run(server, expr, vec![time], now).await?;
    match value {
        Value::Scalar(values) => {
            let value = values.first().copied().unwrap_or(f64::NAN);
            success(Data { kind: "scalar", result: point(time, value) })
        }
        Value::Vector(rows) => {
            #[derive(Serialize)]
            struct Sample {
                metric: BTreeMap<String, String>,
                value: (f64, String),
            }
            let samples = rows.into_iter().filter_map(|row| {
                let value = row.values.first().copied().flatten()?;
                Some(Sample { metric: metric(&row.labels), value: point(time, value) })
            });
            success(Data { kind: "vector", result: samples.collect::<Vec<_>>() })
        }
    }
}

async fn query_range(State(server): State<Server>, RawQuery(url): RawQuery, form: Bytes) -> Result<Response, Refusal> {
    let parameters = Parameters::read(url.as_deref(), &form);
    let (start, end) = (parameters.instant("start")?, parameters.instant("end")?);
    if end < start {
        return Err(Refusal::parameter("end", "end timestamp must not be before start time"));
    }
    let text = parameters.get("step");
    let Some(step) = millis(text).or_else(|| promql::parse_duration(text)) else {
        return Err(Refusal::parameter("step", format!("cannot parse {text:?} to a valid duration")));
    };
    if step <= 0 {
        let text = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(Refusal::parameter("step", text));
    }
    if (end - start) / step > MOST_POINTS {
        return Err(Refusal::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ));
    }
    let expr = promql::parse(parameters.get("query")).map_err(|error| Refusal::parameter("query", error))?;
    let instants: Vec<Millis> = (0..=(end - start) / step).map(|i| start + i * step).collect();
    let now = server.clock.now();
    let rows = match run(server, expr, instants.clone(), now).await? {
        Value::Vector(rows) => rows,
        Value::Scalar(values) => {
            vec![Row { labels: Labels::default(), values: values.into_iter().map(Some).collect() }]
        }
    };
    #[derive(Serialize)]
    struct Samples {
        metric: BTreeMap<String, String>,
        values: Vec<(f64, String)>,
    }
    let series = rows.into_iter().map(|row| {
        let values = instants.iter().zip(row.values).filter_map(|(time, value)| Some(point(*time, value?)));
        Samples { metric: metric(&row.labels), values: values.collect() }
    });
    success(Data { kind: "matrix", result: series.filter(|series| !series.values.is_empty()).collect::<Vec<_>>() })
}

#[derive(Serialize)]
struct Data<T> {
    #[serde(rename = "resultType")]
    kind: &'static str,
    result: T,
}

/// Evaluates on a thread where that may take a while.
async fn run(server: Server, expr: promql::Expr, instants: Vec<Millis>, now: Millis) -> Result<Value, Refusal> {
    let work = tokio::task::spawn_blocking(move || evaluate(&*server.source, &expr, &instants, now));
    match work.await {
        Ok(value) => value.map_err(Refusal::execution),
        Err(error) => {
            Err(Refusal { status: StatusCode::INTERNAL_SERVER_ERROR, kind: "internal", text: error.to_string() })
        }
    }
}

fn metric(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
}

/// Seconds, and a number in Go's shortest notation without an exponent.
fn point(time: Millis, value: f64) -> (f64, String) {
    let text = match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    };
    (time as f64 / 1000.0, text)
}

async fn metadata(State(server): State<Server>, RawQuery(url): RawQuery) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Entry {
        #[serde(rename = "type")]
        kind: crate::series::Kind,
        help: String,
        unit: &'static str,
    }
    let parameters = Parameters::read(url.as_deref(), &[]);
    let metric = parameters.get("metric");
    let families = server.source.families().into_iter().filter(|family| metric.is_empty() || family.name == metric);
    let entry = |kind, help| vec![Entry { kind, help, unit: "" }];
    success(families.map(|family| (family.name, entry(family.kind, family.help))).collect::<BTreeMap<_, _>>())
}

async fn label_values(
    State(server): State<Server>,
    Path(name): Path<String>,
    RawQuery(url): RawQuery,
) -> Result<Response, Refusal> {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(letter) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Refusal::bad_data(format!("invalid label name: {name:?}")));
    }
    let parameters = Parameters::read(url.as_deref(), &[]);
    let selectors: Result<Vec<_>, _> = parameters.all("match[]").map(promql::parse_selector).collect();
    let selectors = selectors.map_err(|error| Refusal::parameter("match[]", error))?;
    let series = server.source.series().iter();
    let matched = series.filter(|labels| selectors.is_empty() || selectors.iter().any(|one| one.matches(labels)));
    success(matched.filter_map(|labels| labels.get(&name)).collect::<BTreeSet<_>>())
}

async fn build() -> Result<Response, Refusal> {
    success(serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "application": "anomd demo" }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::evaluate::tests::{MINUTE, Machines};
    use super::*;
    use crate::schedule::ManualClock;

    async fn start(now: Millis) -> (Endpoint, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(now));
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        (serve(Arc::new(Machines::new()), clock.clone(), listen).await.unwrap(), clock)
    }

    async fn send(endpoint: &Endpoint, request: &str) -> (u16, String) {
        let mut stream = tokio::net::TcpStream::connect(endpoint.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    async fn ask(endpoint: &Endpoint, path: &str) -> (u16, Json) {
        let (status, body) = send(endpoint, &format!("GET /api/v1/{path} HTTP/1.0\r\n\r\n")).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    #[tokio::test]
    async fn an_instant_is_a_vector_or_a_scalar_and_follows_the_clock() {
        let (endpoint, clock) = start(10 * MINUTE + 1).await;
        let load = |time: f64, value: &str| {
            let metric = json!({ "__name__": "load", "host": "a" });
            json!({ "status": "success", "data": { "resultType": "vector",
                "result": [{ "metric": metric, "value": [time, value] }] } })
        };
        let query = "query?query=load%7Bhost%3D%22a%22%7D";
        assert_eq!(ask(&endpoint, query).await, (200, load(600.001, "10")));
        assert_eq!(ask(&endpoint, &format!("{query}&time=1970-01-01T00:05:30Z")).await, (200, load(330.0, "5")));
        assert_eq!(ask(&endpoint, &format!("{query}&time=720")).await, (200, load(720.0, "10")));
        clock.advance_to(12 * MINUTE);
        assert_eq!(ask(&endpoint, &format!("{query}&time=720")).await, (200, load(720.0, "12")));
        let scalar = json!({ "status": "success", "data": { "resultType": "scalar", "result": [720.0, "+Inf"] } });
        assert_eq!(ask(&endpoint, "query?query=1/0").await, (200, scalar));
        endpoint.stop().await.unwrap();
    }

    #[tokio::test]
    async fn a_range_is_a_matrix_by_get_and_by_form() {
        let (endpoint, _) = start(3 * MINUTE).await;
        let expected = json!({ "status": "success", "data": { "resultType": "matrix", "result": [
            { "metric": { "host": "a" }, "values": [[60.0, "0.5"], [120.0, "1"], [180.0, "1.5"], [240.0, "1.5"]] },
        ] } });
        let form = "query=load%7Bhost%3D%22a%22%7D/2&start=60&end=240&step=1m";
        assert_eq!(ask(&endpoint, &format!("query_range?{form}")).await, (200, expected.clone()));
        let post = format!(
            "POST /api/v1/query_range HTTP/1.0\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let (status, body) = send(&endpoint, &post).await;
        assert_eq!((status, serde_json::from_str::<Json>(&body).unwrap()), (200, expected));
        let number = ask(&endpoint, "query_range?query=7&start=0&end=0&step=1").await.1;
        assert_eq!(number["data"]["result"], json!([{ "metric": {}, "values": [[0.0, "7"]] }]));
    }

    #[tokio::test]
    async fn refusals_are_in_prometheus_words() {
        let (endpoint, _) = start(0).await;
        for (path, status, text) in [
            ("query?query=sum(load", 400, "invalid parameter \"query\": 1:9: parse error: unclosed left parenthesis"),
            ("query", 400, "invalid parameter \"query\": 1:1: parse error: no expression found in input"),
            ("query?query=1&time=x", 400, "invalid parameter \"time\": cannot parse \"x\" to a valid timestamp"),
            (
                "query_range?query=1&start=5&end=1&step=1",
                400,
                "invalid parameter \"end\": end timestamp must not be before start time",
            ),
            (
                "query_range?query=1&start=5&end=9",
                400,
                "invalid parameter \"step\": cannot parse \"\" to a valid duration",
            ),
            (
                "query_range?query=1&start=5&end=9&step=0",
                400,
                "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
            ),
            (
                "query_range?query=1&start=0&end=11001&step=1",
                400,
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
            ),
            (
                "query_range?query=1&start=-1e300&end=1e300&step=1e-300",
                400,
                "invalid parameter \"start\": cannot parse \"-1e300\" to a valid timestamp",
            ),
            ("query?query=%7Bhost=~%22.%2B%22%7D%2B1", 422, "vector cannot contain metrics with the same labelset"),
            ("label/0x/values", 400, "invalid label name: \"0x\""),
        ] {
            let kind = if status == 400 { "bad_data" } else { "execution" };
            let expected = json!({ "status": "error", "errorType": kind, "error": text });
            assert_eq!(ask(&endpoint, path).await, (status, expected), "{path}");
        }
        let full = ask(&endpoint, "query_range?query=1&start=0&end=11000&step=1").await;
        assert_eq!((full.0, full.1["data"]["result"][0]["values"].as_array().unwrap().len()), (200, 11_001));
        let (status, body) = send(&endpoint, "GET /api/v1/rules HTTP/1.0\r\n\r\n").await;
        assert_eq!((status, body.as_str()), (404, "404 page not found\n"));
    }

    #[tokio::test]
    async fn metadata_and_label_values_are_listed() {
        let (endpoint, _) = start(0).await;
        let load = json!([{ "type": "gauge", "help": "Load.", "unit": "" }]);
        let requests = json!([{ "type": "counter", "help": "Requests.", "unit": "" }]);
        let (_, all) = ask(&endpoint, "metadata?limit_per_metric=2").await;
        assert_eq!(all["data"], json!({ "load": load, "requests_total": requests }));
        assert_eq!(ask(&endpoint, "metadata?metric=load").await.1["data"], json!({ "load": load }));
        assert_eq!(ask(&endpoint, "label/__name__/values").await.1["data"], json!(["load", "requests_total"]));
        assert_eq!(ask(&endpoint, "label/host/values?match[]=load&match[]=x").await.1["data"], json!(["a", "b"]));
        assert_eq!(ask(&endpoint, "label/none/values").await.1["data"], json!([]));
        assert_eq!(ask(&endpoint, "status/buildinfo").await.0, 200);
    }
}
