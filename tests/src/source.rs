//! Something that answers as Prometheus does, from a function of time: the same run gets the
//! same samples, whenever it asks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Form, Path, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::Millis;
use crate::runtime::{Task, serve};

/// What a series was at an instant.
pub type Sample = (&'static str, &'static str, f64);

type Function = Arc<dyn Fn(Millis) -> Vec<Sample> + Send + Sync>;
type Parameters = BTreeMap<String, String>;

/// A server of gauges.
#[derive(Debug)]
pub struct Source {
    address: SocketAddr,
    _task: Task,
}

impl Source {
    /// Serves what a function says of an instant: metric, value of the label `instance`, value.
    pub fn start(at: impl Fn(Millis) -> Vec<Sample> + Send + Sync + 'static) -> Self {
        let function: Function = Arc::new(at);
        let range = get(|State(at): State<Function>, Query(asked): Query<Parameters>| async move { range(&at, &asked) })
            .post(|State(at): State<Function>, Form(asked): Form<Parameters>| async move { range(&at, &asked) });
        let vector = get(|State(at): State<Function>, Query(asked): Query<Parameters>| async move { vector(&at, &asked) })
            .post(|State(at): State<Function>, Form(asked): Form<Parameters>| async move { vector(&at, &asked) });
        let values = get(|State(at): State<Function>, Path(_): Path<String>| async move { names(&at) });
        let router = Router::new()
            .route("/api/v1/query_range", range)
            .route("/api/v1/query", vector)
            .route("/api/v1/label/{name}/values", values)
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
    let families = at(0).into_iter().map(|(metric, ..)| {
        (metric.to_owned(), json!([{"type": "gauge", "help": "", "unit": ""}]))
    });
    success(Value::Object(families.collect()))
}

/// Only a metric's name is understood as a query.
fn of_metric(at: &Function, query: &str, time: Millis) -> Vec<Sample> {
    at(time).into_iter().filter(|(metric, ..)| *metric == query).collect()
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
    let series = series.into_iter().map(|((metric, instance), values)| {
        json!({"metric": labels(metric, instance), "values": values})
    });
    success(json!({"resultType": "matrix", "result": series.collect::<Vec<_>>()}))
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
