//! What a node does for a tenant beside what the desk answers: usage, plugins, the end.

use axum::extract::{Path, Query, State, rejection::QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema as _, ToSchema};

use super::auth::Asked;
use super::describe::{Described, json_reply};
use super::endpoint::{Right, Verb};
use super::routes::{Routes, cut_off, replied};
use super::{Api, Problem};
use crate::config::DEFAULT_TENANT;
use crate::desk::tenants::Scope;
use crate::desk::{DeskError, Page};
use crate::node::{Node, UsageView};
use crate::plugin::Plugin;

/// Which plugins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PluginQuery {
    /// At most so many, by name.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

/// A plugin as a tenant sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginView {
    /// The name that batches use.
    pub name: String,
    /// The version that it says it is.
    pub version: String,
    /// What it is for.
    pub role: String,
    /// What it is, in a line.
    pub summary: String,
    /// Sha-256 of its file, in hex.
    pub digest: String,
    /// Whether it came with anomd.
    pub bundled: bool,
    /// Whether the tenant's batches may use it.
    pub allowed: bool,
    /// All that it can do: what it imports.
    pub imports: Vec<String>,
    /// The secrets that it can use, by slot.
    pub secrets: Vec<String>,
    /// The origins that it would like to reach.
    pub origins: Vec<String>,
    /// What the operator granted it for this tenant.
    pub granted_origins: Vec<String>,
    /// The JSON Schema of its configuration, where one plugin is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub config_schema: Option<serde_json::Value>,
}

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
    let (page, plugin) = (routes.document.schema::<Page<PluginView>>(), routes.document.schema::<PluginView>());
    let route = |verb, path, right, summary, reply| Described {
        verb,
        path,
        right,
        summary,
        query: None,
        body: None,
        reply: json_reply(200, reply),
    };
    let text = Described {
        reply: (200, "text/plain", None),
        ..route(Verb::Get, "/healthz".to_owned(), Right::Open, "Says that the node serves", String::new())
    };
    routes.add(text, get(async || "ok\n"));
    let summary = "Deletes a tenant with all that it has";
    routes.add(route(Verb::Delete, own(""), Right::Operator, summary, deleted), delete(remove));
    routes.add(route(Verb::Get, own("/usage"), read, "Shows what is used of the quotas", usage), get(used));
    let listed = Described {
        query: Some(PluginQuery::schema()),
        ..route(Verb::Get, own("/plugins"), read, "Lists the plugins, and whether they may be used", page)
    };
    routes.add(listed, get(plugins));
    let inspected = route(Verb::Get, own("/plugins/{id}"), read, "Shows a plugin and what it may do", plugin);
    routes.add(inspected, get(inspect));
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

async fn plugins(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    query: Result<Query<PluginQuery>, QueryRejection>,
) -> Response {
    let asked = match query {
        Ok(Query(asked)) => asked,
        Err(rejection) => return Problem::new(rejection.status(), rejection.body_text()).into_response(),
    };
    let node = &api.node;
    let views = node.catalogue.iter().map(|plugin| view(node, &tenant, plugin));
    let most = node.config.limits.api_page_items;
    match Page::of(views, |view| view.name.clone(), asked.cursor.as_deref(), asked.limit, most) {
        Ok(page) => Json(page).into_response(),
        Err(error) => Problem::from(error).into_response(),
    }
}

async fn inspect(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, name)): Path<(String, String)>,
) -> Response {
    match api.node.catalogue.get(&name) {
        Ok(plugin) => {
            let config_schema = Some(plugin.config_schema().clone());
            Json(PluginView { config_schema, ..view(&api.node, &tenant, &plugin) }).into_response()
        }
        Err(fault) => {
            Problem::new(StatusCode::NOT_FOUND, format!("{}; {}", fault.message, fault.remedy)).into_response()
        }
    }
}

fn view(node: &Node, tenant: &str, plugin: &Plugin) -> PluginView {
    let config = node.config_now();
    let of_tenant = config.tenants.get(tenant);
    let granted = of_tenant.and_then(|tenant| tenant.grants.get(plugin.name()));
    let allowed = tenant == DEFAULT_TENANT
        || granted.is_some()
        || of_tenant.is_some_and(|tenant| tenant.policy.allows_plugin(plugin.name(), plugin.bundled()));
    PluginView {
        name: plugin.name().to_owned(),
        version: plugin.version().to_owned(),
        role: plugin.role().to_string(),
        summary: plugin.summary().to_owned(),
        digest: plugin.digest().to_owned(),
        bundled: plugin.bundled(),
        allowed,
        imports: plugin.imports().iter().map(crate::plugin::Import::name).collect(),
        secrets: plugin.secrets().iter().map(|slot| slot.name.clone()).collect(),
        origins: plugin.origins().to_vec(),
        granted_origins: granted.map(|granted| granted.origins.clone()).unwrap_or_default(),
        config_schema: None,
    }
}
