//! `anomd serve`: configuration, node, ticker; then waits to be stopped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::{CliError, Global, LogFormat, open};
use crate::config::{self, BatchKey, DEFAULT_TENANT, Environment};
use crate::desk;
use crate::node::{Node, Presence, Published, Ticker};
use crate::schedule::SystemClock;

/// How often the batch folder is looked at for changes.
const RELOAD_POLL: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(super) struct ServeArgs {
    /// The address to listen on, instead of the one in the node's file.
    #[arg(long, env = "ANOMD_LISTEN")]
    listen: Option<SocketAddr>,
    /// Listens beyond this machine although no token was made yet.
    #[arg(long)]
    allow_unauthenticated: bool,
}

pub(super) async fn serve(global: &Global, args: ServeArgs) -> Result<(), CliError> {
    let environment = Environment::of_process();
    let mut config = open::node_config(global, &environment)?;
    config.allow_unauthenticated |= args.allow_unauthenticated;
    let listen = args.listen.unwrap_or(config.listen);
    let folder = config.batches.clone();
    let node = open::node(config, Arc::new(SystemClock)).await?;
    if !listen.ip().is_loopback() && !node.has_tokens() && !node.config.allow_unauthenticated {
        return Err(CliError::Usage(format!(
            "{listen} can be reached from other machines, and nobody has a token yet: make one with `anomd tenant token \
             default NAME --scope admin`, listen on 127.0.0.1, or say --allow-unauthenticated"
        )));
    }
    node.take_up_hosted().await?;

    let log = global.log_format;
    let mut reload = Reload::new(node.clone(), log, Whose::Operator(environment), folder);
    let mut tenants: BTreeMap<String, Reload> = BTreeMap::new();
    reload.look().await;
    look_at_tenants(&node, log, &mut tenants).await;
    let front = Front::open(listen, &node).await?;
    log.say(&format!("anomd serves {} batches on http://{}", node.batches().len(), front.address));
    let serving = node.clone();
    let watch = tokio::spawn(async move {
        loop {
            tokio::time::sleep(RELOAD_POLL).await;
            reload.look().await;
            look_at_tenants(&node, log, &mut tenants).await;
        }
    });

    let cut_off = Ticker::new(serving).run(stop_signal()).await;
    watch.abort();
    drop(front);
    match cut_off {
        0 => log.say("anomd stopped; nothing was lost"),
        n => log.say(&format!("anomd stopped; {n} runs were cut off and are due again at the next start")),
    }
    Ok(())
}

/// What others see of a running node: its pages and API, and the file by which commands find
/// it. Both are gone when this is dropped.
pub(super) struct Front {
    /// Where it listens.
    pub address: SocketAddr,
    _published: Published,
    web: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Front {
    pub(super) async fn open(listen: SocketAddr, node: &Arc<Node>) -> Result<Self, CliError> {
        let listener = tokio::net::TcpListener::bind(listen).await.map_err(|e| {
            CliError::other(format!("cannot listen on {listen}: {e}; choose another address with --listen"))
        })?;
        let token = desk::hex(&desk::random::<32>()?);
        let address = listener.local_addr()?;
        let published = Presence::new(address, token.clone()).publish(&node.config.data)?;
        let node = node.clone();
        let web = tokio::spawn(async move { crate::web::serve(listener, node, &token).await });
        Ok(Self { address, _published: published, web })
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.web.abort();
    }
}

/// Done at the first interrupt or termination.
pub(super) async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}

/// Takes up what is new or changed in the folders of hosted tenants.
async fn look_at_tenants(node: &Arc<Node>, log: LogFormat, known: &mut BTreeMap<String, Reload>) {
    known.retain(|tenant, _| node.has_tenant(tenant));
    for tenant in node.tenant_names().into_iter().filter(|tenant| tenant != DEFAULT_TENANT) {
        let folder = node.folder_of(&tenant).join("batches");
        let reload = known
            .entry(tenant.clone())
            .or_insert_with(|| Reload::new(node.clone(), log, Whose::Tenant(tenant), folder));
        reload.look().await;
    }
}

/// Whose files are read, and so what they see of variables.
enum Whose {
    Operator(Environment),
    Tenant(String),
}

/// Takes up what is new or changed in a batch folder. A file that is wrong changes
/// nothing: the batch goes on as it was.
struct Reload {
    node: Arc<Node>,
    log: LogFormat,
    whose: Whose,
    folder: PathBuf,
    seen: BTreeMap<PathBuf, String>,
    /// The tenants as they were then: a policy or a variable changes what a file says.
    generation: u64,
    owned: BTreeMap<PathBuf, BatchKey>,
}

impl Reload {
    fn new(node: Arc<Node>, log: LogFormat, whose: Whose, folder: PathBuf) -> Self {
        let generation = node.generation();
        Self { node, log, whose, folder, seen: BTreeMap::new(), generation, owned: BTreeMap::new() }
    }

    async fn look(&mut self) {
        let found = config::fingerprint(&self.folder);
        let generation = self.node.generation();
        let reshaped = generation != self.generation;
        if found == self.seen && (!reshaped || found.is_empty()) {
            return;
        }
        let changed = |path: &Path| reshaped || found.get(path) != self.seen.get(path);
        let defaults = found.keys().chain(self.seen.keys()).any(|p| p.ends_with("defaults.yaml") && changed(p));
        let environment = match &self.whose {
            Whose::Operator(environment) => environment.clone(),
            Whose::Tenant(tenant) => self.node.environment_of(tenant),
        };
        let mut loaded = config::load_batches(&self.folder, &self.node.config, &environment);
        if !loaded.problems.is_empty() {
            self.log.warn(&loaded.problems.to_string());
        }
        let gone: Vec<PathBuf> = self
            .owned
            .keys()
            .filter(|path| !loaded.keeps(path) && !loaded.batches.contains_key(*path))
            .cloned()
            .collect();
        for path in gone {
            if let Some(key) = self.owned.remove(&path) {
                tracing::info!(tenant = key.tenant, batch = key.batch, "given up: its file is gone or disabled");
                self.node.give_up(&key);
            }
        }
        for (path, batch) in std::mem::take(&mut loaded.batches) {
            if !(defaults || changed(&path)) {
                continue;
            }
            let key = batch.key.clone();
            if matches!(self.node.batch_text(&key), Ok(Some(_))) {
                self.log.warn(&format!("{}: passed over, since the batch {key} came through the API", path.display()));
                continue;
            }
            match self.node.take_up(batch).await {
                Ok(_) => {
                    tracing::info!(tenant = key.tenant, batch = key.batch, "taken up");
                    if let Some(before) = self.owned.insert(path, key.clone()).filter(|before| *before != key) {
                        self.node.give_up(&before);
                    }
                }
                Err(problems) => self.log.warn(&problems.to_string()),
            }
        }
        self.seen = found;
        self.generation = generation;
    }
}
