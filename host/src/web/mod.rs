//! What a browser or a client sees: the API, and the page that a link in a message opens.

mod api;
mod page;

use std::sync::Arc;

use api::Api;
pub use api::{BackupRequest, Endpoint, ExportRequest, Problem, Verb};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::node::Node;

/// Serves until it is dropped. The API answers whoever shows `token`.
pub async fn serve(listener: TcpListener, node: Arc<Node>, token: &str) -> std::io::Result<()> {
    let open = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/api/v1/batches", get(batches))
        .with_state(node.clone());
    let routes = open.nest("/api/v1", api::routes(Api::new(node.clone(), token))).merge(page::routes(node));
    axum::serve(listener, routes).await
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
