//! What a node does for a tenant beside what the desk answers: usage, the end.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::Asked;
use super::describe::{Described, json_reply};
use super::endpoint::{Right, Verb};
use super::routes::{Routes, cut_off, replied};
use super::{Api, Problem};
use crate::config::DEFAULT_TENANT;
use crate::desk::DeskError;
use crate::desk::tenants::Scope;
use crate::node::UsageView;

/// A tenant that was deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TenantDeleted {
    /// Its name.
    pub name: String,
}

pub(super) fn register(routes: &mut Routes) {
    let read = Right::Tenant(Scope::Read);
    let own = |path: &str| format!("/api/v1/tenants/{{tenant}}{path}");
    let deleted = routes.document.schema::<TenantDeleted>();
    let usage = routes.document.schema::<UsageView>();
    let route = |verb, path, right, summary, reply| Described {
        verb,
        path,
        right,
        summary,
        query: None,
        body: None,
        reply: json_reply(200, reply),
    };
    let summary = "Deletes a tenant with all that it has";
    routes.add(route(Verb::Delete, own(""), Right::Operator, summary, deleted), delete(remove));
    routes.add(route(Verb::Get, own("/usage"), read, "Shows what is used of the quotas", usage), get(used));
}

impl Api {
    /// Deletes a tenant with all that it has.
    pub async fn delete_tenant(&self, tenant: &str) -> Result<TenantDeleted, Problem> {
        let name = tenant.to_owned();
        if tenant == DEFAULT_TENANT || self.node.config.tenants.contains_key(tenant) {
            let detail = match tenant == DEFAULT_TENANT {
                true => "the tenant default is the node's own and stays".to_owned(),
                false => {
                    format!("the tenant {tenant} stands in anomd.yaml; take it out there first, and start anomd again")
                }
            };
            return Err(Problem::new(StatusCode::CONFLICT, detail));
        }
        // A task of its own: who asked may go away, and what was begun is to be ended.
        let (node, named) = (self.node.clone(), name.clone());
        match tokio::spawn(async move { node.delete_tenant(&named).await }).await {
            Ok(Ok(())) => Ok(TenantDeleted { name }),
            Ok(Err(fault)) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, fault.to_string())),
            Err(_) => Err(cut_off()),
        }
    }

    /// What a tenant uses of its quotas.
    pub async fn usage(&self, tenant: &str) -> Result<UsageView, Problem> {
        let (node, tenant) = (self.node.clone(), tenant.to_owned());
        match tokio::task::spawn_blocking(move || node.usage(&tenant)).await {
            Ok(usage) => usage.map_err(|error| DeskError::from(error).into()),
            Err(_) => Err(cut_off()),
        }
    }
}

async fn remove(State(api): State<Api>, Extension(Asked(tenant)): Extension<Asked>) -> Response {
    replied(api.delete_tenant(&tenant).await)
}

async fn used(State(api): State<Api>, Extension(Asked(tenant)): Extension<Asked>) -> Response {
    replied(api.usage(&tenant).await)
}
