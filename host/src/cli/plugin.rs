//! `anomd plugin`: what is installed, what a component is and may do; installs, upgrades and
//! removes those of a tenant.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::door::{Client, Door};
use super::{CliError, Global, open, output};
use crate::config::{Environment, Node as NodeConfig};
use crate::desk::tenants::GrantSet;
use crate::desk::{Desk, Page, instant};
use crate::node::{Installation, Intent, Node, PluginOffer, PluginRefusal, PluginView};
use crate::plugin::{self, Came, Inspection, Lockfile};
use crate::schedule::{Clock as _, SystemClock};
use crate::web::{PluginFetch, PluginRemoved, PluginUpload};

#[derive(Args)]
pub(super) struct PluginArgs {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Subcommand)]
enum PluginCommand {
    /// Lists the plugins that the tenant's batches see: those of this binary, those of the plugin
    /// folder and those that were installed.
    List,
    /// Shows role, contract version, imports, digest and sizes of a component, without
    /// running it.
    Inspect {
        /// A `.wasm` file, or the name of a plugin.
        component: PathBuf,
    },
    /// Installs a component for the tenant, under a name that is not installed yet.
    Install {
        /// A `.wasm` file, or an `http` or `https` URL that the tenant may reach.
        #[arg(value_name = "FILE|URL")]
        source: String,
        /// The name that batches use; that of the file where this is left out.
        #[arg(long)]
        name: Option<String>,
        /// The digest that it has to have.
        #[arg(long, value_name = "sha256:HEX")]
        digest: Option<String>,
    },
    /// Shows what another component of an installed name would change, and replaces it once that
    /// is accepted. Calls under way end on the earlier one.
    Upgrade {
        /// The name that batches use.
        name: String,
        /// A `.wasm` file or a URL; where it came from before if this is left out.
        #[arg(value_name = "FILE|URL")]
        source: Option<String>,
        /// The digest that it has to have.
        #[arg(long, value_name = "sha256:HEX")]
        digest: Option<String>,
        /// Accepts the difference, without being asked.
        #[arg(long)]
        accept: bool,
    },
    /// Removes a component that was installed.
    Remove {
        /// The name that batches use.
        name: String,
    },
    /// Approves of origins that a plugin wants to reach: all that it wants, or those that are
    /// named. They replace what was approved of before.
    Approve {
        /// The name that batches use.
        name: String,
        /// An origin: `https://hooks.slack.com`; may be repeated.
        #[arg(long, value_name = "ORIGIN")]
        origin: Vec<String>,
        /// Takes all approvals back.
        #[arg(long, conflicts_with = "origin")]
        none: bool,
    },
}

pub(super) async fn plugin(global: &Global, args: PluginArgs) -> Result<(), CliError> {
    let config = open::node_config(global, &Environment::of_process())?;
    match args.command {
        PluginCommand::List => list(global, &config).await,
        PluginCommand::Inspect { component } => inspect(global, &config, &component),
        PluginCommand::Install { source, name, digest } => install(global, &config, source, name, digest).await,
        PluginCommand::Upgrade { name, source, digest, accept } => {
            upgrade(global, &config, name, source, digest, accept).await
        }
        PluginCommand::Remove { name } => remove(global, &config, name).await,
        PluginCommand::Approve { name, origin, none } => approve(global, &config, name, origin, none).await,
    }
}

/// Who does it: the node that serves, or one that is put together for it.
enum Keeper {
    Serving(Box<Client>),
    Here(Arc<Node>),
}

impl Keeper {
    async fn find(global: &Global, config: &NodeConfig) -> Result<Self, CliError> {
        // A plugin may be installed before the first start.
        std::fs::create_dir_all(&config.data)?;
        let (store, batches, config) = match Door::open(global)? {
            Door::Node(client) => return Ok(Self::Serving(Box::new(client))),
            Door::Store { store, batches, config, tenant: _ } => (store, batches, config),
        };
        let (node, faults) = Node::open(*config, store, Arc::new(SystemClock)).await?;
        for fault in faults {
            eprintln!("{fault}");
        }
        if !node.has_tenant(&global.tenant) {
            let tenant = &global.tenant;
            return Err(CliError::Usage(format!("there is no tenant `{tenant}`; `anomd tenant list` shows them")));
        }
        node.take_up_hosted().await?;
        for batch in batches {
            // What is wrong with one is for `anomd check` to say.
            drop(node.take_up(batch).await);
        }
        Ok(Self::Here(node))
    }

    async fn views(&self, tenant: &str) -> Result<Vec<PluginView>, CliError> {
        let client = match self {
            Self::Here(node) => return Ok(node.plugin_views(tenant)),
            Self::Serving(client) => client,
        };
        let mut views = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("tenants/{tenant}/plugins?limit=1000{cursor}");
            let Page { items, next } = client.get_as::<Page<PluginView>>(&path).await?;
            views.extend(items);
            match next {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(views),
            }
        }
    }

    async fn view(&self, tenant: &str, name: &str) -> Result<PluginView, CliError> {
        match self {
            Self::Here(node) => node
                .plugin_view(tenant, name)
                .ok_or_else(|| CliError::Usage(format!("there is no plugin `{name}`; see `anomd plugin list`"))),
            Self::Serving(client) => client.get_as(&format!("tenants/{tenant}/plugins/{name}")).await,
        }
    }

    /// Sends a component, or has it fetched.
    async fn install(
        &self,
        tenant: &str,
        name: &str,
        source: &Source,
        intent: Intent,
    ) -> Result<Installation, CliError> {
        let digest = source.digest.clone();
        match self {
            Self::Here(node) => {
                let offer = match &source.bytes {
                    Some(bytes) => {
                        PluginOffer { name: name.to_owned(), bytes: bytes.clone(), source: source.text.clone(), digest }
                    }
                    None => node.fetch_plugin(tenant, name, &source.text, digest).await?,
                };
                Ok(node.install_plugin(tenant, offer, intent).await?)
            }
            Self::Serving(client) => {
                let (upgrade, accept) = match intent {
                    Intent::Install => (false, None),
                    Intent::Upgrade { accept } => (true, accept),
                };
                let path = format!("tenants/{tenant}/plugins/{name}");
                match &source.bytes {
                    Some(bytes) => {
                        let query = PluginUpload { source: Some(source.text.clone()), digest, upgrade, accept };
                        client.put_bytes(&path, &query, "application/wasm", bytes.clone()).await
                    }
                    None => {
                        let request = PluginFetch { url: source.text.clone(), digest, upgrade, accept };
                        client.post(&format!("{path}/fetch"), &request).await
                    }
                }
            }
        }
    }
}

/// Where a component comes from.
struct Source {
    /// A URL, or the path of a file.
    text: String,
    /// What the file has.
    bytes: Option<Vec<u8>>,
    digest: Option<String>,
}

impl Source {
    fn of(text: String, digest: Option<String>, config: &NodeConfig) -> Result<Self, CliError> {
        let is_url = text.starts_with("http://") || text.starts_with("https://");
        let bytes = if is_url { None } else { Some(read(Path::new(&text), config)?) };
        Ok(Self { text, bytes, digest })
    }

    /// `slack` of `https://example.com/plugins/slack.wasm?v=2`.
    fn name(&self) -> String {
        let path = self.text.split(['?', '#']).next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        file.strip_suffix(".wasm").unwrap_or(file).to_owned()
    }
}

fn read(file: &Path, config: &NodeConfig) -> Result<Vec<u8>, CliError> {
    let unreadable = |error| CliError::Usage(format!("cannot read {}: {error}", file.display()));
    let size = std::fs::metadata(file).map_err(unreadable)?.len();
    if size > config.limits.component_bytes as u64 {
        return Err(CliError::Usage(format!(
            "{} has {size} bytes; the limit is {} (limits.component_bytes in anomd.yaml)",
            file.display(),
            config.limits.component_bytes
        )));
    }
    std::fs::read(file).map_err(unreadable)
}

async fn list(global: &Global, config: &NodeConfig) -> Result<(), CliError> {
    let views = Keeper::find(global, config).await?.views(&global.tenant).await?;
    if global.json {
        return output::json(&views);
    }
    let mut table = output::table(["name", "version", "role", "came", "what it does", "how it fares", "digest"]);
    for view in views {
        let came = match view.came {
            Came::Bundled => "bundled".to_owned(),
            Came::Folder => "folder".to_owned(),
            Came::Installed => format!("installed ({})", view.generation.unwrap_or(1)),
        };
        let digest: String = view.digest.chars().take(12).collect();
        let fares = fares(&view);
        table.add_row([view.name, view.version, view.role, came, view.summary, fares, digest]);
    }
    output::line(table);
    Ok(())
}

fn fares(view: &PluginView) -> String {
    if let Some(problem) = &view.problem {
        return format!("does not load: {problem}");
    }
    if let Some(quarantine) = &view.quarantine {
        let until = instant::text(quarantine.until);
        return format!("in quarantine until {until} after {} faults: {}", quarantine.faults, quarantine.last);
    }
    if !view.allowed {
        return "the policy does not allow it".to_owned();
    }
    let missing: Vec<&str> =
        view.origins.iter().filter(|wanted| !wanted.granted).map(|wanted| wanted.origin.as_str()).collect();
    if missing.is_empty() { String::new() } else { format!("wants {}", missing.join(" ")) }
}

async fn install(
    global: &Global,
    config: &NodeConfig,
    source: String,
    name: Option<String>,
    digest: Option<String>,
) -> Result<(), CliError> {
    let source = Source::of(source, digest, config)?;
    let name = name.unwrap_or_else(|| source.name());
    let keeper = Keeper::find(global, config).await?;
    let done = keeper.install(&global.tenant, &name, &source, Intent::Install).await?;
    if global.json {
        return output::json(&done);
    }
    output::line(format!(
        "installed {} ({}) for tenant {}:\n{}",
        done.name, done.digest, global.tenant, done.difference
    ));
    let view = keeper.view(&global.tenant, &done.name).await?;
    if view.origins.iter().any(|wanted| !wanted.granted) {
        output::line(format!("`anomd plugin approve {}` lets it reach the origins that it wants", done.name));
    }
    Ok(())
}

async fn upgrade(
    global: &Global,
    config: &NodeConfig,
    name: String,
    source: Option<String>,
    digest: Option<String>,
    accept: bool,
) -> Result<(), CliError> {
    let keeper = Keeper::find(global, config).await?;
    let source = match source {
        Some(source) => source,
        None => keeper.view(&global.tenant, &name).await?.source.ok_or_else(|| {
            CliError::Usage(format!("{name} is not installed for tenant {}; see `anomd plugin list`", global.tenant))
        })?,
    };
    let source = Source::of(source, digest, config)?;
    let mut told = keeper.install(&global.tenant, &name, &source, Intent::Upgrade { accept: None }).await?;
    if !told.done {
        eprintln!("this would change {} ({}):\n{}", told.name, told.digest, told.difference);
        if !accept && !agreed()? {
            return Err(CliError::Usage("nothing was changed; --accept accepts the difference".to_owned()));
        }
        // What was shown is accepted, and nothing that stands there meanwhile.
        let intent = Intent::Upgrade { accept: Some(told.digest) };
        told = keeper.install(&global.tenant, &name, &source, intent).await?;
        if !told.done {
            let text =
                format!("{} has changed since it was looked at, to {}; nothing was changed", source.text, told.digest);
            return Err(CliError::Usage(text));
        }
    }
    if global.json {
        return output::json(&told);
    }
    output::line(format!("{} is {} {} (generation {})", told.name, told.profile.version, told.digest, told.generation));
    Ok(())
}

/// Asks whoever sits there; nobody sits there in a script.
fn agreed() -> Result<bool, CliError> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("Replace it? [y/N] ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

async fn remove(global: &Global, config: &NodeConfig, name: String) -> Result<(), CliError> {
    match Keeper::find(global, config).await? {
        Keeper::Here(node) => node.remove_plugin(&global.tenant, &name).await?,
        Keeper::Serving(client) => client.delete(&format!("tenants/{}/plugins/{name}", global.tenant)).await?,
    }
    if global.json {
        return output::json(&PluginRemoved { name });
    }
    output::line(format!("removed {name} of tenant {}", global.tenant));
    Ok(())
}

async fn approve(
    global: &Global,
    config: &NodeConfig,
    name: String,
    origins: Vec<String>,
    none: bool,
) -> Result<(), CliError> {
    let keeper = Keeper::find(global, config).await?;
    let origins = if origins.is_empty() && !none {
        let wanted = keeper.view(&global.tenant, &name).await?.origins;
        // What a batch names in its parameters needs no approval.
        wanted.into_iter().map(|wanted| wanted.origin).filter(|origin| !origin.starts_with("{{")).collect()
    } else {
        origins
    };
    let request = GrantSet { id: name, origins };
    let granted = match &keeper {
        Keeper::Serving(client) => client.ask(&request).await?,
        Keeper::Here(node) => {
            use crate::desk::Ask as _;
            let (batches, tenant) = (Default::default(), global.tenant.as_str());
            let now = SystemClock.now();
            request.ask(&Desk { store: &node.store, batches: &batches, config: &node.config, tenant, now })?
        }
    };
    if global.json {
        return output::json(&granted);
    }
    match granted.origins.is_empty() {
        true => output::line(format!("nothing is approved of for {}", granted.plugin)),
        false => output::line(format!("{} may reach {}", granted.plugin, granted.origins.join(" "))),
    }
    Ok(())
}

/// The file of a component that a tenant installed.
fn installed(config: &NodeConfig, tenant: &str, name: &str) -> Result<Option<PathBuf>, CliError> {
    let folder = config.data.join("tenants").join(tenant).join("plugins");
    let lock = Lockfile::read(&folder).map_err(CliError::other)?;
    Ok(lock.plugins.get(name).map(|locked| Lockfile::file(&folder, locked.hex())))
}

impl From<PluginRefusal> for CliError {
    fn from(refusal: PluginRefusal) -> Self {
        match refusal {
            PluginRefusal::Failed(text) => Self::Other(text),
            refusal => Self::Usage(refusal.to_string()),
        }
    }
}

fn inspect(global: &Global, config: &NodeConfig, component: &Path) -> Result<(), CliError> {
    let bytes = if component.is_file() {
        let size = std::fs::metadata(component)?.len();
        if size > config.limits.component_bytes as u64 {
            return Err(CliError::Usage(format!(
                "{} has {size} bytes; the limit is {} (limits.component_bytes in anomd.yaml)",
                component.display(),
                config.limits.component_bytes
            )));
        }
        std::fs::read(component)?
    } else {
        let name = component.to_string_lossy();
        if let Some(file) = installed(config, &global.tenant, &name)? {
            return inspect(global, config, &file);
        }
        let file = config.plugins.as_ref().map(|folder| folder.join(format!("{name}.wasm"))).filter(|f| f.is_file());
        match file {
            Some(file) => return inspect(global, config, &file),
            None => plugin::bundled(&name).map(<[u8]>::to_vec).ok_or_else(|| {
                CliError::Usage(format!("`{name}` is neither a file nor a plugin; see `anomd plugin list`"))
            })?,
        }
    };
    let inspection = plugin::inspect(&bytes)?;
    if global.json {
        return output::json(&inspection);
    }
    print(&inspection);
    Ok(())
}

/// An inspection as people read it: an import that its role may not have is crossed.
fn print(found: &Inspection) {
    let mut table = output::table(["what", "is"]);
    let sizes = format!("{} bytes, of which core modules {}", found.component_bytes, found.core_bytes);
    table.add_row(["name in the file", found.name.as_deref().unwrap_or("none")]);
    table.add_row(["role", &found.role.to_string()]);
    table.add_row(["contract", &found.contract]);
    table.add_row(["digest", &found.digest]);
    table.add_row(["size", &sizes]);
    if let Some(compiled) = found.compiled_bytes {
        table.add_row(["compiled", &format!("{compiled} bytes")]);
    }
    for import in &found.imports {
        let mark = if import.roles.contains(&found.role) { '✓' } else { '✗' };
        table.add_row(["import", &format!("{mark} {} {}", import.name(), import.functions.join(" "))]);
    }
    for export in &found.exports {
        table.add_row(["export", export]);
    }
    output::line(table);
    match &found.refusal {
        Some(why) => output::line(format!("this host does not load it: {why}")),
        None => output::line("this host loads it"),
    }
}
