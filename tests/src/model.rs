//! A language model that is none: it answers as an OpenAI-compatible server does, about what
//! is in the prompt.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::runtime::{Task, serve};

/// Says of a series that its values above a limit are anomalies, and that this is why.
#[derive(Debug)]
pub struct Model {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    _task: Task,
}

impl Model {
    /// Starts one that finds what is above a limit.
    pub fn start(limit: f64) -> Self {
        let asked: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let kept = asked.clone();
        let complete = async move |headers: HeaderMap, Json(body): Json<Value>| {
            let key = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
            kept.lock().unwrap().push((key.to_owned(), body.clone()));
            let content = answer(&body, limit).to_string();
            Json(json!({
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
                "usage": {"prompt_tokens": 1_000, "completion_tokens": 50, "total_tokens": 1_050},
            }))
        };
        let (address, task) = serve(Router::new().route("/v1/chat/completions", post(complete)));
        Self { address, asked, _task: task }
    }

    /// What the plugin takes as `url`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The requests so far: their `Authorization` and their body.
    pub fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

/// What it says: it knows its task by the schema that its answer must have.
fn answer(body: &Value, limit: f64) -> Value {
    let schema = body["response_format"]["json_schema"]["name"].as_str().unwrap_or_default();
    let content = &body["messages"][1]["content"];
    let prompt = content.as_str().or_else(|| content[0]["text"].as_str()).unwrap_or_default();
    // Time and value, and the score where there is one.
    let rows = prompt.lines().filter_map(|line| {
        let mut cells = line.split(',');
        let time = chrono::DateTime::parse_from_rfc3339(cells.next()?).ok()?;
        Some((time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true), cells.next()?.parse::<f64>().ok()?))
    });
    let high: Vec<String> = rows.filter(|(_, value)| *value > limit).map(|(time, _)| time).collect();
    match schema {
        "detection_prompt" => {
            let anomaly = |time: &String| json!({"start": time, "end": time, "score": 0.9, "description": "far above"});
            json!({"anomalies": high.iter().map(anomaly).collect::<Vec<_>>()})
        }
        "verification_prompt" => {
            let verdict =
                |index: usize| json!({"index": index, "real": true, "score": 0.9, "description": "far above the rest"});
            json!({"verdicts": (0..high.len()).map(verdict).collect::<Vec<_>>()})
        }
        _ => json!({"explanation": "The load is far above the rest of the hour.", "score": 0.9}),
    }
}
