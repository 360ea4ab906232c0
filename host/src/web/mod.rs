//! What a browser or a client sees: for now whether the node lives, and what it runs.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::node::Node;

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, node: Arc<Node>) -> std::io::Result<()> {
    let routes = Router::new().route("/healthz", get(|| async { "ok\n" })).route("/api/v1/batches", get(batches));
    axum::serve(listener, routes.with_state(node)).await
}

async fn batches(State(node): State<Arc<Node>>) -> Json<Value> {
    let batch = |bound: &Arc<crate::pipeline::BoundBatch>| {
        let batch = &bound.batch;
        let runs: Vec<Value> = crate::config::Job::ALL
            .iter()
            .filter_map(|job| node.store.last_run(&batch.key, *job).ok().flatten())
            .filter_map(|run| serde_json::to_value(run).ok())
            .collect();
        json!({ "tenant": batch.key.tenant, "batch": batch.key.batch, "last_runs": runs })
    };
    Json(node.batches().iter().map(batch).collect())
}
