//! Something that answers from a function of time: the same run gets the same samples, whenever
//! it asks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Form, Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::runtime::{Task, serve};
use crate::{MINUTE, Millis};

/// What a series was at an instant.
pub type Sample = (&'static str, &'static str, f64);

type Function = Arc<dyn Fn(Millis) -> Vec<Sample> + Send + Sync>;
type Parameters = BTreeMap<String, String>;

/// A server of gauges, one point a minute: as Prometheus answers, and as the plugin `http-json`
/// asks.
#[derive(Debug)]
pub struct Source {
    address: SocketAddr,
    _task: Task,
}

impl Source {
    /// Serves what a function says of an instant: metric, value of the label `instance`, value.
    pub fn start(at: impl Fn(Millis) -> Vec<Sample> + Send + Sync + 'static) -> Self {
        let function: Function = Arc::new(at);
        let range =
            get(|State(at): State<Function>, Query(asked): Query<Parameters>| async move { range(&at, &asked) })
                .post(|State(at): State<Function>, Form(asked): Form<Parameters>| async move { range(&at, &asked) });
        let vector =
            get(|State(at): State<Function>, Query(asked): Query<Parameters>| async move { vector(&at, &asked) })
                .post(|State(at): State<Function>, Form(asked): Form<Parameters>| async move { vector(&at, &asked) });
        let values = get(|State(at): State<Function>, Path(_): Path<String>| async move { names(&at) });
        let router = Router::new()
            .route("/api/v1/query_range", range)
            .route("/api/v1/query", vector)
            .route("/api/v1/label/{name}/values", values)
            .route(
                "/series",
                get(|State(at): State<Function>, Query(asked): Query<Parameters>| async move { plain(&at, &asked) }),
            )
            .route("/api/v1/metadata", get(|State(at): State<Function>| async move { metadata(&at) }))
            .with_state(function);
        let (address, task) = serve(router);
        Self { address, _task: task }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn success(data: Value) -> Json<Value> {
    Json(json!({"status": "success", "data": data}))
}

fn names(at: &Function) -> Json<Value> {
    let mut names: Vec<_> = at(0).into_iter().map(|(metric, ..)| metric).collect();
    names.dedup();
    success(json!(names))
}

fn metadata(at: &Function) -> Json<Value> {
    let families =
        at(0).into_iter().map(|(metric, ..)| (metric.to_owned(), json!([{"type": "gauge", "help": "", "unit": ""}])));
    success(Value::Object(families.collect()))
}

/// The query for all that there is.
pub const EVERYTHING: &str = r#"{__name__!=""}"#;

/// Only a metric's name and [`EVERYTHING`] are understood as a query.
fn of_metric(at: &Function, query: &str, time: Millis) -> Vec<Sample> {
    at(time).into_iter().filter(|(metric, ..)| query == EVERYTHING || *metric == query).collect()
}

fn vector(at: &Function, asked: &Parameters) -> Json<Value> {
    let time = seconds(asked, "time");
    let query = asked.get("query").map_or("", String::as_str);
    let series = of_metric(at, query, time).into_iter().map(|(metric, instance, value)| {
        json!({"metric": labels(metric, instance), "value": [time as f64 / 1_000.0, value.to_string()]})
    });
    success(json!({"resultType": "vector", "result": series.collect::<Vec<_>>()}))
}

fn range(at: &Function, asked: &Parameters) -> Json<Value> {
    let (start, end, step) = (seconds(asked, "start"), seconds(asked, "end"), seconds(asked, "step"));
    let query = asked.get("query").map_or("", String::as_str);
    let mut series: BTreeMap<(&str, &str), Vec<Value>> = BTreeMap::new();
    let mut time = start;
    while time <= end {
        for (metric, instance, value) in of_metric(at, query, time) {
            series.entry((metric, instance)).or_default().push(json!([time as f64 / 1_000.0, value.to_string()]));
        }
        time += step.max(1);
    }
    let series = series
        .into_iter()
        .map(|((metric, instance), values)| json!({"metric": labels(metric, instance), "values": values}));
    success(json!({"resultType": "matrix", "result": series.collect::<Vec<_>>()}))
}

/// The answer to `http-json`, whose times are milliseconds.
fn plain(at: &Function, asked: &Parameters) -> Json<Value> {
    let millis = |name: &str| asked.get(name).and_then(|text| text.parse::<Millis>().ok()).unwrap_or_default();
    let minutes = (millis("start") + MINUTE - 1) / MINUTE..(millis("end") + MINUTE - 1) / MINUTE;
    let mut series: BTreeMap<(&str, &str), Vec<Value>> = BTreeMap::new();
    for time in minutes.map(|minute| minute * MINUTE) {
        for (metric, instance, value) in at(time) {
            series.entry((metric, instance)).or_default().push(json!([time, value]));
        }
    }
    let series = series.into_iter().map(
        |((metric, instance), points)| json!({"name": metric, "labels": {"instance": instance}, "points": points}),
    );
    Json(json!({"series": series.collect::<Vec<_>>()}))
}

/// Load with an hour of ups and downs and a little noise, the same whenever it is asked; 30 more
/// in the spans that are given, half-open, in minutes since `begin`.
pub fn load(time: Millis, begin: Millis, spikes: &[(i64, i64)]) -> f64 {
    let minute = time.div_euclid(MINUTE);
    let angle = std::f64::consts::TAU * (minute % 60) as f64 / 60.0;
    // Splitmix64 of the minute: noise that needs no state.
    let mut bits = (minute as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let noise = (bits >> 40) as f64 / (1u64 << 24) as f64;
    let since = (time - begin).div_euclid(MINUTE);
    let spike = spikes.iter().any(|(from, to)| (*from..*to).contains(&since));
    10.0 + angle.sin() + noise + if spike { 30.0 } else { 0.0 }
}

fn labels(metric: &str, instance: &str) -> Value {
    json!({"__name__": metric, "instance": instance, "job": "made-up"})
}

/// A time or a span in seconds, as milliseconds.
fn seconds(asked: &Parameters, name: &str) -> Millis {
    let text = asked.get(name).map_or("0", String::as_str);
    let number = text.trim_end_matches('s').parse::<f64>().unwrap_or_else(|_| panic!("{name}={text}"));
    (number * 1_000.0).round() as Millis
}
