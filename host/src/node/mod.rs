//! One running anomd: configuration, plugins, store and clock, put together once.
//!
//! Whatever starts a run, the ticker, a command or a page, starts it here. A batch has one
//! run at a time: what comes while it runs waits for the next tick. What its alerts lead to
//! is the tenant's.

mod bind;
mod presence;
mod tenant;
mod tick;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub use bind::{bind, check, check_receivers};
pub use presence::{Presence, Published};
use tenant::Planned;
pub use tick::{TickOutcome, Ticker};

use crate::config::{Batch, BatchKey, DEFAULT_TENANT, Job, Node as NodeConfig, Problems, Slot};
use crate::desk::Links;
use crate::fault::Fault;
use crate::pipeline::{self, Address, BoundBatch, ChainReport};
use crate::plugin::{Catalogue, Runtime};
use crate::schedule::Clock;
use crate::series::Millis;
use crate::store::{Database, RunRecord};

/// One running anomd.
pub struct Node {
    /// What the operator wrote about the node.
    pub config: NodeConfig,
    /// The plugins that were found.
    pub catalogue: Catalogue,
    /// What is kept.
    pub store: Database,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What is wrong with the receivers of the tenants' routes; the others work.
    pub problems: Problems,
    batches: RwLock<BTreeMap<BatchKey, Arc<BoundBatch>>>,
    receivers: tenant::Receivers,
    /// Makes the links of messages, where they can be reached.
    links: Option<Links>,
    busy: Mutex<BTreeSet<BatchKey>>,
    /// Held while it is decided who is told, by tenant.
    deciding: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Notifiers that are sending, by tenant.
    sending: Mutex<BTreeSet<(String, Address)>>,
    /// Slots of tenants' runs that are under way.
    slots: Mutex<BTreeSet<Slot>>,
    /// When the jobs of each tenant are due.
    planned: Mutex<BTreeMap<String, Planned>>,
    /// Woken when a run has ended or the batches have changed.
    changed: tokio::sync::Notify,
}

/// Held while a batch runs; its end wakes the ticker.
pub struct BusyGuard {
    node: Arc<Node>,
    key: BatchKey,
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.node.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.node.changed.notify_one();
    }
}

impl Node {
    /// Puts a node together. Plugins that do not load are in the list of faults; the node
    /// runs without them.
    pub async fn open(
        config: NodeConfig,
        store: Database,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Self>, Vec<Fault>), Fault> {
        let (catalogue, faults) = load_plugins(&config).await?;
        let (receivers, problems) = bind::receivers(&config, &catalogue, Arc::new(store.clone())).await;
        let links = match &config.public_url {
            Some(url) => {
                let clock = clock.clone();
                let links = Links::open(&store, Some(url), move || clock.now());
                Some(links.map_err(|error| tenant::host_fault(DEFAULT_TENANT, error.to_string()))?)
            }
            None => None,
        };
        let node = Self {
            links,
            config,
            catalogue,
            store,
            clock,
            problems,
            batches: RwLock::default(),
            receivers,
            busy: Mutex::default(),
            deciding: Mutex::default(),
            sending: Mutex::default(),
            slots: Mutex::default(),
            planned: Mutex::default(),
            changed: tokio::sync::Notify::new(),
        };
        Ok((Arc::new(node), faults))
    }

    /// Binds a batch to its plugins and takes it up, in place of an earlier one of its name.
    pub async fn take_up(&self, batch: Batch) -> Result<Arc<BoundBatch>, Problems> {
        let bound = Arc::new(bind(batch, &self.config, &self.catalogue, Arc::new(self.store.clone())).await?);
        self.batches.write().unwrap_or_else(PoisonError::into_inner).insert(bound.batch.key.clone(), bound.clone());
        // Its routes may have changed, and alerts of its own wait for it.
        self.look_again(&bound.batch.key.tenant);
        Ok(bound)
    }

    /// Gives a batch up. A run of it that is under way ends by itself.
    pub fn give_up(&self, key: &BatchKey) {
        self.batches.write().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.changed.notify_one();
    }

    /// The batches, by name.
    pub fn batches(&self) -> Vec<Arc<BoundBatch>> {
        self.batches.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// A batch.
    pub fn batch(&self, key: &BatchKey) -> Option<Arc<BoundBatch>> {
        self.batches.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Claims a batch for a run; `None` while another run of it is under way.
    pub fn claim(self: &Arc<Self>, key: &BatchKey) -> Option<BusyGuard> {
        let free = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        free.then(|| BusyGuard { node: self.clone(), key: key.clone() })
    }

    /// Runs one job of a batch at a logical now.
    pub async fn run_job(&self, bound: &BoundBatch, job: Job, now: Millis, reason: &str) -> Result<RunRecord, Fault> {
        let slot = Slot { key: bound.batch.key.clone(), job, scheduled: now };
        pipeline::execute(bound, &self.store, &self.config.limits, self.clock.as_ref(), slot, reason).await
    }

    /// Runs the chain of a batch at a logical now, and tells what came of it.
    pub async fn run_chain(&self, bound: &BoundBatch, now: Millis, reason: &str) -> Result<ChainReport, Fault> {
        let mut runs = self.run_untold(bound, now, reason).await?;
        runs.extend(self.run_tenant(&bound.batch.key.tenant, now, "chain").await?);
        Ok(runs)
    }

    /// Runs the chain of a batch at a logical now; what comes of it is told by a run of its
    /// tenant.
    async fn run_untold(&self, bound: &BoundBatch, now: Millis, reason: &str) -> Result<ChainReport, Fault> {
        pipeline::run_chain(bound, &self.store, &self.config.limits, self.clock.as_ref(), now, reason).await
    }
}

/// The plugins of a node, without a store: enough to check a configuration.
pub async fn load_plugins(config: &NodeConfig) -> Result<(Catalogue, Vec<Fault>), Fault> {
    let runtime = Runtime::new(&config.limits, &config.data.join("cache"))?;
    Ok(Catalogue::load(&runtime, config.plugins.as_deref()).await)
}
