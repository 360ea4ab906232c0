//! What all plugins of a node share: the engine, its places for instances, and the way a
//! call takes through them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use wasmtime::Store;

use super::checked::{self, Wrong};
use super::cost::{Cost, Costs, Tally};
use super::fault::Site;
use super::v0_1::{Guest, Prepared};
use crate::capability::kv::{InMemory, KeyValue};
use crate::capability::{Granted, Holder, LogSink, Open, Ungranted, http, kv, log, mail};
use crate::config::{Grants, Limits, Mail, Quotas, Secret};
use crate::engine::{Account, Alive, Cell, Engine, Lent, Pool, Taken, within};
use crate::fault::{Blame, Fault, PluginError};
use crate::series::Millis;

/// A guest's call: an instance and its store are lent to it.
pub(super) type Work<T> =
    Box<dyn for<'a> FnOnce(&'a Guest, &'a mut Store<Cell<Open>>) -> BoxFuture<'a, wasmtime::Result<Outcome<T>>> + Send>;

/// What a call gave that came back.
pub(super) type Outcome<T> = Result<T, Complaint>;

/// Why what came back is no result.
#[derive(Debug)]
pub(super) enum Complaint {
    /// The plugin says so.
    Answered(PluginError),
    /// The contract does not allow it; the instance is not used again.
    Forbidden(Wrong),
}

impl From<PluginError> for Complaint {
    fn from(error: PluginError) -> Self {
        Self::Answered(error)
    }
}

struct Instance {
    store: Store<Cell<Open>>,
    guest: Guest,
    account: Arc<Account>,
}

/// The engine and all that plugins share.
pub struct Runtime {
    pub(super) engine: Engine,
    pub(super) limits: Arc<Limits>,
    pool: Pool<Instance>,
    pub(super) net: http::Net,
    bindings: AtomicU64,
    /// What each tenant's instances cost.
    accounts: Mutex<BTreeMap<String, Arc<Account>>>,
    clock: OnceLock<Box<Now>>,
    costs: Costs,
}

/// What time it is.
type Now = dyn Fn() -> Millis + Send + Sync;

/// Which limit of wall-clock time a call has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wall {
    /// `limits.call_wall_ms`.
    Call,
    /// `limits.about_wall_ms`: nobody waits long to hear what a plugin is.
    About,
}

/// What a call is made with.
pub(super) struct Request<T> {
    pub prepared: Arc<Prepared>,
    pub granted: Granted,
    /// The binding whose warm instances may serve it.
    pub warm: Option<u64>,
    pub now: Millis,
    pub subject: String,
    pub sink: Arc<dyn LogSink>,
    pub wall: Wall,
    pub site: Site,
    pub work: Work<T>,
}

impl Runtime {
    /// Starts the engine; compiled components are kept in `cache_dir`.
    pub fn new(limits: &Limits, cache_dir: &Path) -> Result<Arc<Self>, Fault> {
        Self::with_net(limits, cache_dir, http::Net::default())
    }

    /// The same with another way to resolve names.
    pub fn with_net(limits: &Limits, cache_dir: &Path, net: http::Net) -> Result<Arc<Self>, Fault> {
        let engine = Engine::new(limits, cache_dir).map_err(|why| {
            Site::loading("").fault(Blame::Host, why, "see that the folder of the data can be written")
        })?;
        Ok(Arc::new(Self {
            engine,
            limits: Arc::new(limits.clone()),
            pool: Pool::new(limits.instances, Duration::from_millis(limits.warm_idle_ms)),
            net,
            bindings: AtomicU64::new(0),
            accounts: Mutex::default(),
            clock: OnceLock::new(),
            costs: Costs::new(limits.plugin_costs),
        }))
    }

    /// Has plugins that keep failing put into quarantine, by this clock; the first one counts.
    pub fn keep_time(&self, now: impl Fn() -> Millis + Send + Sync + 'static) {
        self.clock.get_or_init(|| Box::new(now));
    }

    /// The time, where somebody keeps it.
    pub(super) fn now(&self) -> Option<Millis> {
        self.clock.get().map(|now| now())
    }

    /// What calls hold of the engine's pool; `None` where it has none.
    pub fn lent(&self) -> Option<Lent> {
        self.engine.lent()
    }

    /// Places for instances that nobody has.
    pub fn free_places(&self) -> usize {
        self.pool.free()
    }

    /// Calls that wait for a place.
    pub fn waiting_calls(&self) -> usize {
        self.pool.waiting()
    }

    /// What the calls of a tenant have cost since the node began, by plugin.
    pub fn costs_of(&self, tenant: &str) -> BTreeMap<String, Cost> {
        self.costs.of_tenant(tenant)
    }

    /// What all calls have cost since the node began, by plugin: of so many plugins, those that
    /// were called first, and of all others together as [`super::OTHER`].
    pub fn costs_by_plugin(&self, most: usize) -> BTreeMap<String, Cost> {
        self.costs.by_plugin(most)
    }

    /// What a tenant's instances cost, and may cost.
    pub fn account(&self, tenant: &str) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(accounts.entry(tenant.to_owned()).or_default())
    }

    /// Holds the instances of a tenant to its quotas of memory, CPU and calls at once.
    pub fn set_quotas(&self, tenant: &str, quotas: &Quotas) {
        let memory = quotas.memory_bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let calls = quotas.calls_at_once.map(|calls| usize::try_from(calls).unwrap_or(usize::MAX));
        self.account(tenant).bound(memory, quotas.cpu_ms_per_minute, calls);
    }

    /// Forgets what a tenant's instances cost: it is gone.
    pub fn forget_tenant(&self, tenant: &str) {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
        self.costs.forget_tenant(tenant);
    }

    /// A key for the warm instances of one binding.
    pub(super) fn binding(&self) -> u64 {
        self.bindings.fetch_add(1, Ordering::Relaxed)
    }

    /// Drops the warm instances of a binding that is gone.
    pub(super) fn forget(&self, binding: u64) {
        self.pool.forget(binding);
    }

    /// Checks what the operator grants.
    pub(super) fn grant(
        &self,
        holder: Holder,
        grants: &Grants,
        secrets: BTreeMap<String, (Secret, Vec<String>)>,
        mail: Option<Mail>,
        store: Arc<dyn KeyValue>,
    ) -> Result<Granted, Ungranted> {
        let holder = Arc::new(holder);
        Ok(Granted {
            http: http::Grant::new(Arc::clone(&holder), grants, secrets, &self.net, &self.limits)?,
            kv: kv::Grant::new(Arc::clone(&holder), store, &self.limits),
            mail: mail::Grant::new(Arc::clone(&holder), grants, mail, &self.net, &self.limits)?,
            log: log::Grant::new(&self.limits),
            holder,
        })
    }

    /// Grants nothing: for what a plugin says about itself.
    pub(super) fn grant_nothing(&self, plugin: &str) -> Result<Granted, Ungranted> {
        let holder = Holder { tenant: String::new(), plugin: plugin.to_owned() };
        let store: Arc<dyn KeyValue> = Arc::new(InMemory::default());
        self.grant(holder, &Grants::default(), Default::default(), None, store)
    }

    /// Makes a call on the executor of guests. Dropping the future cancels it.
    pub(super) async fn call<T: Send + 'static>(self: &Arc<Self>, request: Request<T>) -> Result<T, Fault> {
        let runtime = Arc::clone(self);
        let site = request.site.clone();
        match self.engine.executor().run(async move { runtime.serve(request).await }).await {
            Ok(result) => result,
            Err(lost) => Err(site.fault(Blame::Host, lost.to_string(), "")),
        }
    }

    async fn serve<T>(&self, request: Request<T>) -> Result<T, Fault> {
        let Request { prepared, granted, warm, now, subject, sink, wall, site, work } = request;
        // Describing itself is nobody's call.
        let account = if site.tenant.is_empty() { Arc::default() } else { self.account(&site.tenant) };
        account.admitted().await;
        // Before a place is taken: who has many calls waits here, and in nobody's way.
        let entered_with = Arc::clone(&account);
        let _entered = entered_with.enter().await;
        let mut tally = Tally::begin(&self.costs, &site.tenant, &site.plugin);
        let open = granted.open(now, &subject, sink);
        // Dropped from the last to the first: the place is free when the memory is.
        let (place, calls, mut store, guest) = match self.pool.take(warm).await {
            Taken::Warm(Alive { instance: Instance { mut store, guest, account: _ }, calls, place }) => {
                store.data_mut().data = open;
                self.engine.arm(&mut store, Arc::clone(&tally.spent));
                (place, calls, store, Some(guest))
            }
            Taken::Empty(place) => {
                if account.is_short_of(self.limits.instance_memory_bytes) {
                    // What waits for a call that may come gives way to one that is there.
                    self.pool.forget_those(|idle| Arc::ptr_eq(&idle.account, &account));
                }
                (place, 0, self.engine.store(open, Arc::clone(&account), Arc::clone(&tally.spent)), None)
            }
        };
        let (wall, wall_key) = match wall {
            Wall::Call => (self.limits.call_wall_ms, "call_wall_ms"),
            Wall::About => (self.limits.about_wall_ms, "about_wall_ms"),
        };
        let wall = Duration::from_millis(wall);
        let ours = account.metered(&tally.spent, async {
            let guest = match guest {
                Some(guest) => guest,
                // Start functions run here, so it is within the limits of the call.
                None => prepared.instantiate(&mut store).await?,
            };
            let outcome = work(&guest, &mut store).await?;
            Ok((guest, outcome))
        });
        let result = within(wall, self.engine.turns().take(&site.tenant, ours)).await;
        tally.memory = Engine::memory_of(&store);
        // What is kept in an idle instance must not keep the sink of a finished run alive.
        let closed = granted.open(0, "", Arc::new(Silent));
        let log_tail = std::mem::replace(&mut store.data_mut().data, closed).log.close();
        let fault = match result {
            Ok((guest, Ok(value))) => {
                self.park(warm, calls, place, Instance { store, guest, account });
                return Ok(value);
            }
            Ok((guest, Err(Complaint::Answered(error)))) => {
                self.park(warm, calls, place, Instance { store, guest, account });
                site.answered(checked::error(error))
            }
            Ok((_, Err(Complaint::Forbidden(wrong)))) => site.forbidden(wrong),
            Err(failure) => site.stopped(failure.explain(&store), wall_key, &self.limits),
        };
        tally.blame = Some(fault.blame);
        Err(Fault { log_tail, ..fault })
    }

    fn park(&self, warm: Option<u64>, calls: u32, place: crate::engine::Place, instance: Instance) {
        let calls = calls.saturating_add(1);
        if let Some(key) = warm
            && calls < self.limits.warm_calls
            && Engine::memory_of(&instance.store) <= self.limits.warm_memory_bytes
        {
            self.pool.park(key, Alive { instance, calls, place });
        }
    }
}

/// Hears nothing.
#[derive(Debug)]
pub(super) struct Silent;

impl LogSink for Silent {
    fn line(&self, _: tracing::Level, _: &str, _: &str) {}
}
