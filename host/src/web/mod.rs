//! What a browser or a client sees: the API, the dashboard, and the page that a link in a
//! message opens.

mod api;
mod assets;
mod auth;
mod headers;
mod link;
mod metrics;
mod pages;
mod throttle;

use std::net::SocketAddr;
use std::sync::Arc;

use api::Api;
pub use api::{BackupRequest, Endpoint, ExportRequest, PluginFetch, PluginRemoved, PluginUpload, Problem, Verb};
use axum::middleware::map_response;
use tokio::net::TcpListener;

use crate::node::Node;

/// Serves until it is dropped. It answers whoever shows `token`, the operator, and those who
/// show a token of a tenant, themselves or with a browser in which it was entered.
pub async fn serve(listener: TcpListener, node: Arc<Node>, token: &str) -> std::io::Result<()> {
    let api = Api::new(node.clone(), token);
    let routes = api.clone().routes().merge(link::routes(node)).merge(assets::routes()).merge(pages::routes(api));
    let routes = routes.layer(map_response(headers::harden));
    axum::serve(listener, routes.into_make_service_with_connect_info::<SocketAddr>()).await
}
