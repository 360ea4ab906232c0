//! `anomd serve`: configuration, node, ticker; then waits to be stopped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::{CliError, Global, open};
use crate::config::{self, BatchKey, Environment};
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
}

pub(super) async fn serve(global: &Global, args: ServeArgs) -> Result<(), CliError> {
    let environment = Environment::of_process();
    let config = open::node_config(global, &environment)?;
    let listen = args.listen.unwrap_or(config.listen);
    let folder = config.batches.clone();
    let node = open::node(config, Arc::new(SystemClock)).await?;

    let mut reload = Reload { node: node.clone(), environment, folder, seen: BTreeMap::new(), owned: BTreeMap::new() };
    reload.look().await;
    let front = Front::open(listen, &node).await?;
    eprintln!("anomd serves {} batches on http://{}", node.batches().len(), front.address);
    let watch = tokio::spawn(async move {
        loop {
            tokio::time::sleep(RELOAD_POLL).await;
            reload.look().await;
        }
    });

    let cut_off = Ticker::new(node.clone()).run(stop_signal()).await;
    watch.abort();
    drop(front);
    match cut_off {
        0 => eprintln!("anomd stopped; nothing was lost"),
        n => eprintln!("anomd stopped; {n} runs were cut off and are due again at the next start"),
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

/// Takes up what is new or changed in the batch folder. A file that is wrong changes
/// nothing: the batch goes on as it was.
struct Reload {
    node: Arc<Node>,
    environment: Environment,
    folder: PathBuf,
    seen: BTreeMap<PathBuf, String>,
    owned: BTreeMap<PathBuf, BatchKey>,
}

impl Reload {
    async fn look(&mut self) {
        let found = config::fingerprint(&self.folder);
        if found == self.seen {
            return;
        }
        let changed = |path: &Path| found.get(path) != self.seen.get(path);
        let defaults = found.keys().chain(self.seen.keys()).any(|p| p.ends_with("defaults.yaml") && changed(p));
        let mut loaded = config::load_batches(&self.folder, &self.node.config, &self.environment);
        if !loaded.problems.is_empty() {
            eprintln!("{}", loaded.problems);
        }
        let gone: Vec<PathBuf> = self
            .owned
            .keys()
            .filter(|path| !loaded.keeps(path) && !loaded.batches.contains_key(*path))
            .cloned()
            .collect();
        for path in gone {
            if let Some(key) = self.owned.remove(&path) {
                tracing::info!(batch = %key, "given up: its file is gone or disabled");
                self.node.give_up(&key);
            }
        }
        for (path, batch) in std::mem::take(&mut loaded.batches) {
            if !(defaults || changed(&path)) {
                continue;
            }
            let key = batch.key.clone();
            match self.node.take_up(batch).await {
                Ok(_) => {
                    tracing::info!(batch = %key, "taken up");
                    if let Some(before) = self.owned.insert(path, key.clone()).filter(|before| *before != key) {
                        self.node.give_up(&before);
                    }
                }
                Err(problems) => eprintln!("{problems}"),
            }
        }
        self.seen = found;
    }
}
