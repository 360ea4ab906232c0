//! The API: what the desk answers and what a node does, over HTTP, for whoever shows a token
//! that allows it.
//!
//! A request of the desk is the same value that the command line asks the store itself; a
//! `GET` has it in its query string, a `POST` or `PUT` in its JSON body. Everything of a
//! tenant lies below `/api/v1/tenants/{tenant}`. Problems are those of RFC 9457.

mod auth;
mod batches;
mod bulk;
mod describe;
mod endpoint;
mod plugins;
mod problem;
mod routes;
mod tenants;

use std::sync::Arc;

use axum::Router;
pub use bulk::{BackupRequest, ExportRequest};
pub use endpoint::{Endpoint, Verb};
pub use plugins::{PluginFetch, PluginRemoved, PluginUpload};
pub use problem::Problem;

use crate::desk::tenants::hash_of;
use crate::node::Node;

/// What the API works with.
#[derive(Clone)]
pub(super) struct Api {
    pub node: Arc<Node>,
    /// The hash of the node's own token.
    token: [u8; 32],
}

impl Api {
    pub fn new(node: Arc<Node>, token: &str) -> Self {
        Self { node, token: hash_of(token) }
    }

    /// All routes below `/api`, and `/healthz`.
    pub fn routes(self) -> Router {
        routes::all(self)
    }
}
