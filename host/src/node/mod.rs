//! One running anomd: configuration, plugins, store and clock, put together once.
//!
//! Whatever starts a run, the ticker, a command or a page, starts it here. A batch has one
//! run at a time: what comes while it runs waits for the next tick. What its alerts lead to
//! is the tenant's. Tenants share the node by what they use of it, see [`crate::schedule::fair`].

mod artefacts;
mod backfill;
mod bind;
mod ending;
mod hosted;
mod jobs;
mod live;
mod meter;
mod plugin_view;
mod presence;
mod push;
mod registry;
mod runs;
mod session;
mod state;
mod tenant;
mod tick;
mod trial;
mod usage;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub use artefacts::{Installation, Intent, PluginOffer, PluginRefusal, installed_files};
pub use backfill::BackfillView;
pub use bind::{bind, check, check_receivers};
pub use ending::remove_folders;
pub use hosted::{BatchText, Untaken};
pub use jobs::{JobQuery, JobView};
pub use live::{AlertNews, Heard, Listener, Live, LiveEvent, LogNews, News, PointNews, RunNews};
pub use plugin_view::{CostView, PluginView, QuarantineView, WantedOrigin, WantedSecret};
pub use presence::{Presence, Published};
pub use push::{Pushed, PushedSample};
pub use registry::TokenHolder;
pub use runs::{RunDetail, STAGES};
pub use session::{NewSession, SessionHolder};
pub use state::{Alerts, Batches, Check, State};
use tenant::Planned;
pub use tick::{TickOutcome, Ticker};
pub use trial::Trial;
pub use usage::UsageView;

use crate::config::{Batch, BatchKey, DEFAULT_TENANT, Job, Node as NodeConfig, Problems, Slot};
use crate::desk::Links;
use crate::fault::Fault;
use crate::pipeline::{Address, BoundBatch, ChainReport, Runner, Watch};
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
    receivers: RwLock<tenant::Receivers>,
    /// Held while a plugin is installed, upgraded or removed.
    installing: tokio::sync::Mutex<()>,
    /// Makes the links of messages, where they can be reached.
    links: Option<Links>,
    busy: Mutex<BTreeSet<BatchKey>>,
    /// The tenants and their tokens, as they were last read.
    registry: registry::Shared,
    /// The browsers that are signed in.
    sessions: session::Sessions,
    /// Counts the changes after which batches of tenants have to be read again.
    generation: AtomicU64,
    /// Batches of which no run starts by itself.
    paused: Mutex<BTreeSet<BatchKey>>,
    /// What is wrong with batches that came through the API and are not taken up.
    faulty: Mutex<BTreeMap<BatchKey, Problems>>,
    /// How much runs for each tenant.
    running: Mutex<BTreeMap<String, usize>>,
    /// Tenants that are being deleted.
    ending: tokio::sync::watch::Sender<BTreeSet<String>>,
    /// Woken when something that ran for a tenant has ended.
    ended: tokio::sync::Notify,
    /// What each tenant keeps, in bytes, and when that was measured.
    measured: Mutex<BTreeMap<String, (Millis, u64)>>,
    /// Held while it is decided who is told, by tenant.
    deciding: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// Notifiers that are sending, by tenant.
    sending: Mutex<BTreeSet<(String, Address)>>,
    /// Slots of tenants' runs that are under way.
    slots: Mutex<BTreeSet<Slot>>,
    /// When the jobs of each tenant are due.
    planned: Mutex<BTreeMap<String, Planned>>,
    /// Places for trials of batches.
    trials: tokio::sync::Semaphore,
    /// Woken when a run has ended or the batches have changed.
    changed: tokio::sync::Notify,
    /// Woken when the ticker has started what is due.
    ticked: tokio::sync::Notify,
    /// Runs that are due and wait.
    waits: Mutex<Vec<Slot>>,
    /// The last backfill of each batch.
    backfilled: Mutex<BTreeMap<BatchKey, BackfillView>>,
    /// What goes on, as it is told to whoever listens.
    live: Arc<Live>,
    /// The same, as runs see it.
    watch: Arc<dyn Watch>,
    /// What runs did since it began.
    meters: meter::Meters,
    /// Whether the ticker ticks.
    pulse: state::Pulse,
}

/// Held while a batch runs; its end wakes the ticker.
pub struct BusyGuard {
    node: Arc<Node>,
    key: BatchKey,
    silent: bool,
}

impl BusyGuard {
    /// Gives the batch back although nothing was run: nobody is woken.
    fn give_back(mut self) {
        self.silent = true;
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.node.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        if !self.silent {
            self.node.changed.notify_one();
        }
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
        let time = clock.clone();
        catalogue.runtime().keep_time(move || time.now());
        let (receivers, problems) = bind::receivers(&config, &catalogue, Arc::new(store.clone())).await;
        let links = match &config.public_url {
            Some(url) => {
                let clock = clock.clone();
                let links = Links::open(&store, Some(url), move || clock.now());
                Some(links.map_err(|error| tenant::host_fault(DEFAULT_TENANT, error.to_string()))?)
            }
            None => None,
        };
        let live = Live::new(clock.now(), &config.limits);
        let node = Self {
            trials: tokio::sync::Semaphore::new(config.limits.trials_at_once),
            watch: live.clone(),
            live,
            links,
            config,
            catalogue,
            store,
            clock,
            problems,
            batches: RwLock::default(),
            receivers: RwLock::new(receivers),
            installing: tokio::sync::Mutex::default(),
            busy: Mutex::default(),
            registry: registry::Shared::default(),
            sessions: session::Sessions::default(),
            generation: AtomicU64::new(0),
            paused: Mutex::default(),
            faulty: Mutex::default(),
            running: Mutex::default(),
            ending: tokio::sync::watch::Sender::new(BTreeSet::new()),
            ended: tokio::sync::Notify::new(),
            measured: Mutex::default(),
            deciding: Mutex::default(),
            sending: Mutex::default(),
            slots: Mutex::default(),
            planned: Mutex::default(),
            changed: tokio::sync::Notify::new(),
            ticked: tokio::sync::Notify::new(),
            waits: Mutex::default(),
            backfilled: Mutex::default(),
            meters: meter::Meters::new(),
            pulse: state::Pulse::default(),
        };
        for (tenant, folder) in artefacts::folders(&node.config.data) {
            node.catalogue.sweep(&tenant, &folder);
        }
        let read = node.registry.write().unwrap_or_else(PoisonError::into_inner).read(&node);
        read.map_err(|error| tenant::host_fault(DEFAULT_TENANT, error.to_string()))?;
        node.read_sessions().map_err(|error| tenant::host_fault(DEFAULT_TENANT, error.to_string()))?;
        Ok((Arc::new(node), faults))
    }

    /// Binds a batch to its plugins and takes it up, in place of an earlier one of its name.
    pub async fn take_up(&self, batch: Batch) -> Result<Arc<BoundBatch>, Problems> {
        let config = self.config_now();
        let bound = Arc::new(bind(batch, &config, &self.catalogue, Arc::new(self.store.clone())).await?);
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

    /// What goes on.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// What runs need.
    pub(super) fn runner(&self) -> Runner<'_> {
        Runner { store: &self.store, limits: &self.config.limits, clock: self.clock.as_ref(), watch: Some(&self.watch) }
    }

    /// How often tenants have changed so that their batches have to be read again.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn paused(&self) -> MutexGuard<'_, BTreeSet<BatchKey>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faulty(&self) -> MutexGuard<'_, BTreeMap<BatchKey, Problems>> {
        self.faulty.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a run of a batch at once, its chain or one job: `Ok` when it has begun, with its
    /// logical now. A batch has one run at a time, and a tenant as many as it may.
    pub fn start(self: &Arc<Self>, bound: &Arc<BoundBatch>, job: Option<Job>) -> Result<Millis, String> {
        let key = bound.batch.key.clone();
        let guard = self.claim_asked(&key)?;
        let (node, bound, now) = (self.clone(), bound.clone(), self.clock.now());
        self.in_background(key, guard, async move {
            match job {
                Some(job) => node.run_job(&bound, job, now, "manual").await.map(|run| vec![run]),
                None => node.run_untold(&bound, now, "manual").await,
            }
        });
        Ok(now)
    }

    /// Claims a batch for a run that somebody asks for, or says why it cannot be now.
    fn claim_asked(self: &Arc<Self>, key: &BatchKey) -> Result<BusyGuard, String> {
        let most = self.quotas(&key.tenant).runs_at_once;
        let running = self.running_batches().get(&key.tenant).copied().unwrap_or(0);
        if let Some(most) = most.filter(|most| running as u64 >= *most) {
            return Err(format!(
                "tenant {} has {running} runs under way, and may have {most} (its quota runs_at_once); try again when \
                 one has ended",
                key.tenant
            ));
        }
        let guard = self.claim(key);
        guard.ok_or_else(|| format!("a run of {key} is under way; try again when it has ended"))
    }

    /// Claims a batch for a run; `None` while another run of it is under way, or its tenant is
    /// being deleted.
    pub fn claim(self: &Arc<Self>, key: &BatchKey) -> Option<BusyGuard> {
        if self.is_ending(&key.tenant) {
            return None;
        }
        let free = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        free.then(|| BusyGuard { node: self.clone(), key: key.clone(), silent: false })
    }

    /// Runs one job of a batch at a logical now.
    pub async fn run_job(
        self: &Arc<Self>,
        bound: &BoundBatch,
        job: Job,
        now: Millis,
        reason: &str,
    ) -> Result<RunRecord, Fault> {
        let slot = Slot { key: bound.batch.key.clone(), job, scheduled: now };
        if matches!(job, Job::Ingest | Job::Train)
            && let Some(why) = self.over_bytes(&slot.key.tenant).await
        {
            return self.counted(self.runner().refuse(slot, reason, why));
        }
        self.counted(self.runner().execute(bound, slot, reason).await)
    }

    /// Runs the chain of a batch at a logical now, and tells what came of it.
    pub async fn run_chain(
        self: &Arc<Self>,
        bound: &BoundBatch,
        now: Millis,
        reason: &str,
    ) -> Result<ChainReport, Fault> {
        let mut runs = self.run_untold(bound, now, reason).await?;
        runs.extend(self.run_tenant(&bound.batch.key.tenant, now, "chain").await?);
        Ok(runs)
    }

    /// Runs the chain of a batch at a logical now; what comes of it is told by a run of its
    /// tenant.
    async fn run_untold(self: &Arc<Self>, bound: &BoundBatch, now: Millis, reason: &str) -> Result<ChainReport, Fault> {
        let slot = Slot { key: bound.batch.key.clone(), job: Job::Ingest, scheduled: now };
        if let Some(why) = self.over_bytes(&slot.key.tenant).await {
            return Ok(vec![self.counted(self.runner().refuse(slot, reason, why))?]);
        }
        let runs = self.runner().run_chain(bound, now, reason).await?;
        runs.iter().for_each(|run| self.count(run));
        Ok(runs)
    }

    /// Counts a run that has ended. One that the store did not take counts when it is done again.
    fn counted(&self, ended: Result<RunRecord, Fault>) -> Result<RunRecord, Fault> {
        ended.inspect(|run| self.count(run))
    }

    fn count(&self, run: &RunRecord) {
        self.meters.count(run);
        let (BatchKey { tenant, batch }, job) = (&run.slot.key, run.slot.job);
        let RunRecord { slot, state, reason, duration_ms, .. } = run;
        tracing::info!(tenant, batch, %job, run = %slot, state = state.name(), reason, duration_ms, "a run ended");
    }
}

/// The plugins of a node, without a store: enough to check a configuration.
pub async fn load_plugins(config: &NodeConfig) -> Result<(Catalogue, Vec<Fault>), Fault> {
    let runtime = Runtime::new(&config.limits, &config.data.join("cache"))?;
    let (catalogue, mut faults) = Catalogue::load(&runtime, config.plugins.as_deref()).await;
    for (tenant, folder) in artefacts::folders(&config.data) {
        faults.extend(catalogue.load_installed(&tenant, &folder).await);
    }
    Ok((catalogue, faults))
}
