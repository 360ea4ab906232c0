//! The page that a link in a message opens: what the alert is, and buttons.

use std::sync::Arc;

use axum::Router;

use crate::node::Node;

pub(super) fn routes(node: Arc<Node>) -> Router {
    Router::new().with_state(node)
}
