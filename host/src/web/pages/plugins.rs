//! The plugins of a tenant: what there is, what each may do and costs, what it still wants; and
//! for an administrator the forms that approve, install, upgrade and remove.

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Form};

use super::Pages;
use super::frame::{Frame, Part, ProblemPage, encoded, page};
use super::moment::filters;
use super::range::words;
use crate::desk::tenants::{GrantSet, Scope};
use crate::desk::{DeskError, instant};
use crate::node::{Installation, Intent, PluginRefusal, PluginView, WantedOrigin};
use crate::plugin::{Came, Change};
use crate::series::Millis;
use crate::web::api::{Api, Problem};
use crate::web::auth::Visitor;

pub(super) fn register(pages: &mut Pages) {
    pages.add("/plugins", Scope::Read, get(list));
    pages.add("/plugins", Scope::Admin, post(install));
    pages.add("/plugins/{name}", Scope::Read, get(show));
    pages.add("/plugins/{name}/grants", Scope::Admin, post(approve));
    pages.add("/plugins/{name}/upgrade", Scope::Admin, post(upgrade));
    pages.add("/plugins/{name}/remove", Scope::Admin, post(remove));
}

/// What a plugin is like now, in a few words and a class.
struct Standing {
    class: &'static str,
    words: String,
}

/// A line of the list.
struct Row {
    plugin: PluginView,
    standing: Standing,
}

#[derive(Template)]
#[template(path = "plugins.html")]
struct PluginsTemplate {
    frame: Frame,
    admin: bool,
    rows: Vec<Row>,
}

/// Something that a plugin can do, by an import.
struct Ability {
    interface: String,
    words: &'static str,
}

#[derive(Template)]
#[template(path = "plugin.html")]
struct PluginTemplate {
    frame: Frame,
    admin: bool,
    plugin: PluginView,
    standing: Standing,
    abilities: Vec<Ability>,
    users: Vec<User>,
}

/// What uses a plugin.
struct User {
    name: String,
    /// Its page, where it is a batch.
    href: Option<String>,
}

#[derive(Template)]
#[template(path = "plugin_upgrade.html")]
struct UpgradeTemplate {
    frame: Frame,
    url: String,
    told: Installation,
    changes: Vec<Line>,
}

/// A change of an upgrade, as a line of a table.
struct Line {
    what: &'static str,
    old: String,
    new: String,
}

impl Row {
    fn of(plugin: PluginView) -> Self {
        Self { standing: Standing::of(&plugin), plugin }
    }
}

impl Standing {
    fn of(plugin: &PluginView) -> Self {
        let is = |class, words: &str| Self { class, words: words.to_owned() };
        if plugin.problem.is_some() {
            return is("bad", "does not load");
        }
        if let Some(quarantine) = &plugin.quarantine {
            return is("bad", &format!("in quarantine until {}", words(quarantine.until)));
        }
        if !plugin.allowed {
            return is("", "not allowed");
        }
        let used = !plugin.users.is_empty();
        let wants = plugin.origins.iter().any(|wanted| !wanted.granted);
        match (wants, used) {
            (true, _) if plugin.came != Came::Bundled => is("warn", "wants an approval"),
            (_, true) => is("good", "in use"),
            _ => is("", "not used"),
        }
    }
}

impl PluginTemplate {
    fn came(&self) -> String {
        let came = came(self.plugin.came);
        match self.plugin.hides {
            Some(hidden) => format!("{came}; it stands before the one that is {}", self::came(hidden)),
            None => came.to_owned(),
        }
    }

    fn installed(&self) -> bool {
        self.plugin.came == Came::Installed
    }

    fn instant(&self, at: &Millis) -> String {
        instant::text(*at)
    }

    /// Why an origin is granted, or is not.
    fn by(&self, wanted: &WantedOrigin) -> &'static str {
        match wanted.by.as_str() {
            "batch" => "each batch names it in its parameters",
            "anomd.yaml" => "granted in anomd.yaml",
            "approval" => "approved",
            "bundled" => "comes with anomd",
            "policy" => "the tenant's policy does not allow it",
            _ => "nobody approved of it yet",
        }
    }

    /// Whether the visitor can approve of an origin, or take that back.
    fn choosable(&self, wanted: &WantedOrigin) -> bool {
        self.admin && matches!(wanted.by.as_str(), "" | "approval")
    }

    /// Whether they can do so with any.
    fn approvable(&self) -> bool {
        self.plugin.origins.iter().any(|wanted| self.choosable(wanted))
    }
}

fn came(came: Came) -> &'static str {
    match came {
        Came::Bundled => "bundled with anomd",
        Came::Folder => "in the node's folder of plugins",
        Came::Installed => "installed for this tenant",
    }
}

fn ability(import: String) -> Option<Ability> {
    let ours = import.strip_prefix("anomd:plugin/").map(|rest| rest.split('@').next().unwrap_or(rest).to_owned());
    let interface = ours.unwrap_or(import);
    let words = match interface.as_str() {
        "log" => "write lines into the log of its run",
        "clock" => "see the time of its run",
        "random" => "draw numbers that the host has seeded",
        "http" => "send requests to the origins that are granted below, and to no other",
        "kv" => "keep bytes for this tenant, within its quota",
        "mail" => "send mail to recipients that were granted",
        // It has no functions.
        "types" => return None,
        _ => "",
    };
    Some(Ability { interface, words })
}

fn shown(visitor: &Visitor, error: impl Into<Problem>) -> ProblemPage {
    ProblemPage::of(Some(visitor), error.into())
}

async fn list(State(api): State<Api>, Extension(visitor): Extension<Visitor>) -> Result<Response, ProblemPage> {
    let tenant = visitor.tenant.clone();
    let views = tokio::task::spawn_blocking(move || api.node.plugin_views(&tenant)).await;
    let views = views
        .map_err(|error| ProblemPage::new(Some(&visitor), StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let rows = views.into_iter().map(Row::of).collect();
    let frame = Frame::new(&visitor, Part::Plugins, "Plugins");
    Ok(page(&PluginsTemplate { frame, admin: visitor.scope >= Scope::Admin, rows }))
}

async fn show(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, name)): Path<(String, String)>,
) -> Result<Response, ProblemPage> {
    let unknown = || DeskError::Unknown(format!("There is no plugin {name}."));
    let plugin = api.node.plugin_view(&visitor.tenant, &name).ok_or_else(|| shown(&visitor, unknown()))?;
    let frame = Frame::new(&visitor, Part::Plugins, plugin.name.clone());
    let users = plugin.users.iter().map(|name| User {
        href: api
            .node
            .batch(&crate::config::BatchKey { tenant: visitor.tenant.clone(), batch: name.clone() })
            .map(|_| frame.at(&format!("/batches/{}", encoded(name)))),
        name: name.clone(),
    });
    let users = users.collect();
    let abilities = plugin.imports.iter().cloned().filter_map(ability).collect();
    let standing = Standing::of(&plugin);
    let admin = visitor.scope >= Scope::Admin;
    Ok(page(&PluginTemplate { frame, admin, plugin, standing, abilities, users }))
}

/// The fields of a form, those with one name several times too.
type Fields = Result<Form<Vec<(String, String)>>, FormRejection>;

fn fields(visitor: &Visitor, form: Fields) -> Result<Vec<(String, String)>, ProblemPage> {
    form.map(|Form(fields)| fields)
        .map_err(|rejection| ProblemPage::new(Some(visitor), rejection.status(), rejection.body_text()))
}

/// A field that has something in it.
fn field(fields: &[(String, String)], name: &str) -> Option<String> {
    let found = fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.trim().to_owned());
    found.filter(|value| !value.is_empty())
}

async fn approve(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, name)): Path<(String, String)>,
    form: Fields,
) -> Result<Response, ProblemPage> {
    let fields = fields(&visitor, form)?;
    let origins = fields.into_iter().filter(|(field, _)| field == "origin").map(|(_, origin)| origin).collect();
    let request = GrantSet { id: name.clone(), origins };
    api.change(&visitor.tenant, request).await.map_err(|problem| shown(&visitor, problem))?;
    Ok(to(&visitor, &name))
}

async fn install(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    form: Fields,
) -> Result<Response, ProblemPage> {
    let fields = fields(&visitor, form)?;
    let url = field(&fields, "url").unwrap_or_default();
    let of_url = url.split(['?', '#']).next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let name = field(&fields, "name").unwrap_or_else(|| of_url.trim_end_matches(".wasm").to_owned());
    let done = fetched(api, &visitor, &name, &url, field(&fields, "digest"), Intent::Install).await?;
    Ok(to(&visitor, &done.name))
}

async fn upgrade(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, name)): Path<(String, String)>,
    form: Fields,
) -> Result<Response, ProblemPage> {
    let fields = fields(&visitor, form)?;
    let url = field(&fields, "url").unwrap_or_default();
    let accept = field(&fields, "accept");
    let told = fetched(api, &visitor, &name, &url, None, Intent::Upgrade { accept }).await?;
    if told.done {
        return Ok(to(&visitor, &name));
    }
    let line = |Change { what, old, new }: &Change| Line {
        what: match what.as_str() {
            "version" => "Version",
            "role" => "Role",
            "contract" => "Contract",
            "import" => "Import",
            "origin" => "Wanted origin",
            _ => "Wanted secret",
        },
        old: old.clone().unwrap_or_default(),
        new: new.clone().unwrap_or_default(),
    };
    let changes = told.difference.changes.iter().map(line).collect();
    let frame = Frame::new(&visitor, Part::Plugins, format!("Upgrade {name}"));
    Ok(page(&UpgradeTemplate { frame, url, told, changes }))
}

/// In a task of its own: who asked may go away, and what was begun is to be ended.
async fn fetched(
    api: Api,
    visitor: &Visitor,
    name: &str,
    url: &str,
    digest: Option<String>,
    intent: Intent,
) -> Result<Installation, ProblemPage> {
    let (tenant, name, url) = (visitor.tenant.clone(), name.to_owned(), url.to_owned());
    let work = tokio::spawn(async move {
        let offer = api.node.fetch_plugin(&tenant, &name, &url, digest).await?;
        api.node.install_plugin(&tenant, offer, intent).await
    });
    ended(visitor, work).await
}

async fn remove(
    State(api): State<Api>,
    Extension(visitor): Extension<Visitor>,
    Path((_, name)): Path<(String, String)>,
) -> Result<Response, ProblemPage> {
    let tenant = visitor.tenant.clone();
    ended(&visitor, tokio::spawn(async move { api.node.remove_plugin(&tenant, &name).await })).await?;
    Ok(Redirect::to(&Frame::new(&visitor, Part::Plugins, "").at("/plugins")).into_response())
}

async fn ended<T>(
    visitor: &Visitor,
    work: tokio::task::JoinHandle<Result<T, PluginRefusal>>,
) -> Result<T, ProblemPage> {
    match work.await {
        Ok(result) => result.map_err(|refusal| shown(visitor, refusal)),
        Err(error) => Err(ProblemPage::new(Some(visitor), StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

fn to(visitor: &Visitor, name: &str) -> Response {
    let frame = Frame::new(visitor, Part::Plugins, "");
    Redirect::to(&frame.at(&format!("/plugins/{}", encoded(name)))).into_response()
}
