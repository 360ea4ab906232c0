//! The plugins of a tenant: what they are and may do; installing, upgrading and removing them.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{PartialSchema as _, ToSchema};

use super::auth::Asked;
use super::describe::{Described, json_body, json_reply};
use super::endpoint::{Right, Verb};
use super::routes::{Routes, cut_off};
use super::{Api, Problem};
use crate::desk::tenants::Scope;
use crate::desk::{DeskError, Page};
use crate::node::{Installation, Intent, Node, PluginOffer, PluginRefusal, PluginView};

/// The media type of a component.
const WASM: &str = "application/wasm";

/// Which plugins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PluginQuery {
    /// At most so many, by name.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

/// How the component in the body is to be installed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PluginUpload {
    /// Where it came from, for the lock file.
    pub source: Option<String>,
    /// The digest that it has to have: `sha256:` and hex.
    pub digest: Option<String>,
    /// Whether it replaces the one of its name; else there must be none.
    pub upgrade: bool,
    /// In an upgrade: the digest whose difference was seen and is accepted. Without it the
    /// difference is answered and nothing is changed.
    pub accept: Option<String>,
}

/// Asks for a component to be fetched and installed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PluginFetch {
    /// Its address. It is fetched within the tenant's policy.
    pub url: String,
    /// The digest that it has to have: `sha256:` and hex.
    #[serde(default)]
    pub digest: Option<String>,
    /// Whether it replaces the one of its name; else there must be none.
    #[serde(default)]
    pub upgrade: bool,
    /// In an upgrade: the digest whose difference was seen and is accepted.
    #[serde(default)]
    pub accept: Option<String>,
}

/// A plugin that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginRemoved {
    /// Its name.
    pub name: String,
}

pub(super) fn register(routes: &mut Routes) {
    let (read, admin) = (Right::Tenant(Scope::Read), Right::Tenant(Scope::Admin));
    let own = |path: &str| format!("/api/v1/tenants/{{tenant}}/plugins{path}");
    let view = routes.document.schema::<PluginView>();
    let page = routes.document.schema::<Page<PluginView>>();
    let installed = routes.document.schema::<Installation>();
    let removed = routes.document.schema::<PluginRemoved>();
    let fetched = routes.document.schema::<PluginFetch>();
    let route = |verb, path, right, summary, reply| Described {
        verb,
        path,
        right,
        summary,
        query: None,
        body: None,
        reply: json_reply(200, reply),
    };
    let listed = Described {
        query: Some(PluginQuery::schema()),
        ..route(Verb::Get, own(""), read, "Lists the plugins, and whether they may be used", page)
    };
    routes.add(listed, get(list));
    let shown = route(Verb::Get, own("/{id}"), read, "Shows a plugin, what it wants and what it may do", view);
    routes.add(shown, get(show));
    let summary = "Installs the component in the body, or upgrades to it";
    let uploaded = Described {
        query: Some(PluginUpload::schema()),
        body: Some((WASM, None)),
        ..route(Verb::Put, own("/{id}"), admin, summary, installed.clone())
    };
    let most = DefaultBodyLimit::max(routes.component_bytes());
    routes.add(uploaded, put(upload).layer(most));
    let summary = "Fetches a component and installs it, or upgrades to it";
    let fetched =
        Described { body: json_body(fetched), ..route(Verb::Post, own("/{id}/fetch"), admin, summary, installed) };
    routes.add(fetched, post(fetch));
    let removed = route(Verb::Delete, own("/{id}"), admin, "Removes a plugin that was installed", removed);
    routes.add(removed, delete(remove));
}

async fn list(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    query: Result<Query<PluginQuery>, QueryRejection>,
) -> Response {
    let asked = match query {
        Ok(Query(asked)) => asked,
        Err(rejection) => return Problem::new(rejection.status(), rejection.body_text()).into_response(),
    };
    blocking(move || {
        let node = &api.node;
        let most = node.config.limits.api_page_items;
        let page = Page::of(node.catalogue.names(&tenant), String::clone, asked.cursor.as_deref(), asked.limit, most)?;
        let mut items = Vec::new();
        // One that was removed meanwhile is not there.
        items.extend(page.items.iter().filter_map(|name| node.plugin_view(&tenant, name)));
        Ok(Page { items, next: page.next })
    })
    .await
}

async fn show(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, name)): Path<(String, String)>,
) -> Response {
    blocking(move || {
        let node = &api.node;
        let unknown = || DeskError::Unknown(format!("there is no plugin `{name}`; /plugins lists them"));
        let view = node.plugin_view(&tenant, &name).ok_or_else(unknown)?;
        let plugin = node.catalogue.get_for(&tenant, &name).ok();
        Ok(PluginView { config_schema: plugin.map(|plugin| plugin.config_schema().clone()), ..view })
    })
    .await
}

async fn upload(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, name)): Path<(String, String)>,
    query: Result<Query<PluginUpload>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let PluginUpload { source, digest, upgrade, accept } = match query {
        Ok(Query(asked)) => asked,
        Err(rejection) => return Problem::new(rejection.status(), rejection.body_text()).into_response(),
    };
    let bytes = match body {
        Ok(body) => body.to_vec(),
        Err(rejection) => return Problem::new(rejection.status(), rejection.body_text()).into_response(),
    };
    let source = source.unwrap_or_else(|| format!("{name}.wasm"));
    let offer = PluginOffer { name, bytes, source, digest };
    undisturbed(async move { api.node.install_plugin(&tenant, offer, intent(upgrade, accept)).await }).await
}

async fn fetch(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, name)): Path<(String, String)>,
    body: Result<Json<PluginFetch>, JsonRejection>,
) -> Response {
    let PluginFetch { url, digest, upgrade, accept } = match body {
        Ok(Json(asked)) => asked,
        Err(rejection) => return Problem::new(rejection.status(), rejection.body_text()).into_response(),
    };
    undisturbed(async move {
        let offer = api.node.fetch_plugin(&tenant, &name, &url, digest).await?;
        api.node.install_plugin(&tenant, offer, intent(upgrade, accept)).await
    })
    .await
}

async fn remove(
    State(api): State<Api>,
    Extension(Asked(tenant)): Extension<Asked>,
    Path((_, name)): Path<(String, String)>,
) -> Response {
    undisturbed(async move { removed(&api.node, tenant, name).await }).await
}

async fn removed(node: &std::sync::Arc<Node>, tenant: String, name: String) -> Result<PluginRemoved, PluginRefusal> {
    node.remove_plugin(&tenant, &name).await?;
    Ok(PluginRemoved { name })
}

fn intent(upgrade: bool, accept: Option<String>) -> Intent {
    if upgrade { Intent::Upgrade { accept } } else { Intent::Install }
}

/// In a task of its own: who asked may go away, and what was begun is to be ended.
async fn undisturbed<T: Serialize + Send + 'static>(
    work: impl Future<Output = Result<T, PluginRefusal>> + Send + 'static,
) -> Response {
    match tokio::spawn(work).await {
        Ok(Ok(reply)) => Json(reply).into_response(),
        Ok(Err(refusal)) => Problem::from(refusal).into_response(),
        Err(_) => cut_off().into_response(),
    }
}

/// Does what blocks, on a thread for it.
async fn blocking<T: Serialize + Send + 'static>(
    work: impl FnOnce() -> Result<T, DeskError> + Send + 'static,
) -> Response {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(reply)) => Json(reply).into_response(),
        Ok(Err(error)) => Problem::from(error).into_response(),
        Err(_) => cut_off().into_response(),
    }
}

impl From<PluginRefusal> for Problem {
    fn from(refusal: PluginRefusal) -> Self {
        let status = match &refusal {
            PluginRefusal::Forbidden(_) => StatusCode::FORBIDDEN,
            PluginRefusal::Unknown(_) => StatusCode::NOT_FOUND,
            PluginRefusal::Conflict(_) => StatusCode::CONFLICT,
            PluginRefusal::Unsound(_) => StatusCode::UNPROCESSABLE_ENTITY,
            PluginRefusal::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, refusal.to_string())
    }
}
