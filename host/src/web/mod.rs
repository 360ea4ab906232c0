//! What a browser or a client sees: the API, and the page that a link in a message opens.

mod api;
mod page;

use std::sync::Arc;

use api::Api;
pub use api::{BackupRequest, Endpoint, ExportRequest, PluginFetch, PluginRemoved, PluginUpload, Problem, Verb};
use tokio::net::TcpListener;

use crate::node::Node;

/// Serves until it is dropped. The API answers whoever shows `token`, the operator, and those
/// who show a token of a tenant.
pub async fn serve(listener: TcpListener, node: Arc<Node>, token: &str) -> std::io::Result<()> {
    let routes = Api::new(node.clone(), token).routes().merge(page::routes(node));
    axum::serve(listener, routes).await
}
