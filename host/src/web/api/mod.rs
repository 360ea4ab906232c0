//! The API: what the desk answers and what a node does, over HTTP, for whoever shows a token
//! that allows it.
//!
//! A request of the desk is the same value that the command line asks the store itself; a
//! `GET` has it in its query string, a `POST` or `PUT` in its JSON body. Everything of a
//! tenant lies below `/api/v1/tenants/{tenant}`. Problems are those of RFC 9457.

mod batches;
mod bulk;
mod describe;
mod endpoint;
mod health;
mod live;
mod plugins;
mod problem;
mod push;
mod routes;
pub(super) mod runs;
mod tenants;
mod trial;

use std::sync::Arc;

use axum::Router;
pub(super) use batches::BatchView;
pub use bulk::{BackupRequest, ExportRequest};
pub use endpoint::{Endpoint, Verb};
pub use plugins::{PluginFetch, PluginRemoved, PluginUpload};
pub(super) use problem::BatchProblem;
pub use problem::Problem;
pub(super) use trial::{TrialSeries, TrialView};

use crate::desk::{Ask, Desk};
use crate::node::Node;
use crate::web::auth::Gate;
pub(super) use crate::web::auth::{self, Right};

/// What the API works with.
#[derive(Clone)]
pub(super) struct Api {
    pub node: Arc<Node>,
    pub gate: Gate,
}

impl Api {
    pub fn new(node: Arc<Node>, token: &str) -> Self {
        Self { gate: Gate::new(node.clone(), token), node }
    }

    /// All routes below `/api`, and what the node says of itself.
    pub fn routes(self) -> Router {
        routes::all(self)
    }

    /// Asks the desk in the name of a tenant, on a thread that may block.
    pub async fn ask<R: Ask>(&self, tenant: &str, request: R) -> Result<R::Reply, Problem> {
        let (node, tenant) = (self.node.clone(), tenant.to_owned());
        let answered = tokio::task::spawn_blocking(move || {
            let bound = node.batches();
            let own = bound.iter().filter(|bound| bound.batch.key.tenant == tenant);
            let batches = own.map(|bound| (bound.batch.key.clone(), &bound.batch)).collect();
            let config = &node.config;
            request.ask(&Desk { store: &node.store, batches: &batches, config, tenant: &tenant, now: node.clock.now() })
        });
        match answered.await {
            Ok(reply) => reply.map_err(Problem::from),
            Err(_) => Err(routes::cut_off()),
        }
    }

    /// Asks the desk for a change: who is told may be another now.
    pub async fn change<R: Endpoint>(&self, tenant: &str, request: R) -> Result<R::Reply, Problem> {
        let reply = self.ask(tenant, request).await?;
        if R::RESHAPES {
            self.node.refresh().await.map_err(crate::desk::DeskError::from)?;
        }
        self.node.look_again(tenant);
        Ok(reply)
    }
}
