//! What a browser or a client sees: the API, the dashboard, and the page that a link in a
//! message opens.

mod api;
mod assets;
mod link;
mod pages;

use std::sync::Arc;

use api::Api;
pub use api::{BackupRequest, Endpoint, ExportRequest, Problem, Verb};
use tokio::net::TcpListener;

use crate::node::Node;

/// Serves until it is dropped. The API answers whoever shows `token`, the operator, and those
/// who show a token of a tenant.
pub async fn serve(listener: TcpListener, node: Arc<Node>, token: &str) -> std::io::Result<()> {
    let api = Api::new(node.clone(), token);
    let routes = api.clone().routes().merge(link::routes(node)).merge(assets::routes()).merge(pages::routes(api));
    axum::serve(listener, routes).await
}
