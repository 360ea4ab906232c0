//! WebAssembly, and nothing of metrics: an engine that runs foreign code within limits.
//!
//! What it holds against a component that means harm: its memory ends at a limit summed
//! over all its memories and tables; its CPU time and its wall-clock time end, in guest
//! code and in host calls alike; it yields every tick, on threads of its own, where owners
//! take turns, so that it slows nobody else down for long; no single value larger than a limit crosses to the host; a
//! store that trapped is never used again. It does not hold against a fault in the
//! compiler: a tenant who must be kept apart by law gets a process of their own.

mod account;
mod budget;
mod cache;
mod call;
mod epoch;
mod executor;
#[cfg(test)]
mod language;
mod limiter;
mod pool;
mod turn;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::{
    Config, InstanceAllocationStrategy, PoolingAllocationConfig, Store, WasmBacktraceDetails, WasmFeatures,
};

use crate::config::Limits;

pub use account::{Account, Entered, Spent};
pub use budget::{Budget, Load};
pub use cache::{Cache, Source};
pub use call::{Failure, Refusal, Stop, within};
pub use executor::{Executor, Lost};
pub use pool::{Alive, Place, Pool, Taken};
pub use turn::Turns;

/// What a store holds: the meters of its limits, and the data of whoever uses the engine.
pub struct Cell<T> {
    memory: limiter::Memory,
    cpu: epoch::Cpu,
    /// What the host functions see.
    pub data: T,
}

/// Slots of the pool that are in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "as wasmtime names them")]
pub struct Lent {
    pub components: u64,
    pub modules: u64,
    pub memories: usize,
    pub tables: usize,
    pub stacks: usize,
}

/// A wasmtime engine with our limits, its compile cache and its executor.
pub struct Engine {
    wasm: wasmtime::Engine,
    cache: Cache,
    executor: Executor,
    turns: Turns,
    /// Compiling takes all cores for a while: one at a time leaves some to others.
    compiling: Arc<tokio::sync::Semaphore>,
    limits: Limits,
}

impl Engine {
    /// An engine that keeps what it compiles in `cache_dir`.
    pub fn new(limits: &Limits, cache_dir: &Path) -> Result<Self, String> {
        let wasm = match wasmtime::Engine::new(&config(limits, pooled(limits))) {
            Ok(wasm) => wasm,
            Err(error) => {
                tracing::warn!(
                    "no address space for {} pooled instances, so each call allocates its own memory, which is \
                     slower: raise the limit of virtual memory (ulimit -v), or lower limits.instances ({error:#})",
                    limits.instances
                );
                wasmtime::Engine::new(&config(limits, InstanceAllocationStrategy::OnDemand))
                    .map_err(|e| format!("the WebAssembly engine does not start: {e:#}"))?
            }
        };
        let cache = Cache::open(cache_dir, &wasm)
            .map_err(|e| format!("cannot use {} for compiled components: {e}", cache_dir.display()))?;
        let executor = Executor::new().map_err(|e| format!("cannot start threads for guests: {e}"))?;
        epoch::start(&wasm).map_err(|e| format!("cannot start the thread that ticks: {e}"))?;
        let ticker = wasm.weak();
        let turns = Turns::new(executor.cores(), move || {
            if let Some(engine) = ticker.upgrade() {
                engine.increment_epoch();
            }
        });
        let compiling = Arc::new(tokio::sync::Semaphore::new(1));
        Ok(Self { wasm, cache, executor, turns, compiling, limits: limits.clone() })
    }

    /// The wasmtime engine, for linking.
    pub fn wasm(&self) -> &wasmtime::Engine {
        &self.wasm
    }

    /// What was compiled before.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Where guest code runs.
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// Whose guest runs next.
    pub fn turns(&self) -> &Turns {
        &self.turns
    }

    /// What the pool has lent; `None` where there is no pool.
    pub fn lent(&self) -> Option<Lent> {
        self.wasm.pooling_allocator_metrics().map(|pool| Lent {
            components: pool.component_instances(),
            modules: pool.core_instances(),
            memories: pool.memories(),
            tables: pool.tables(),
            stacks: pool.stacks(),
        })
    }

    /// The compiled form of a component, from the cache or made now. `digest` is the
    /// sha256 of `bytes` in hex.
    pub async fn compile(
        &self,
        bytes: impl AsRef<[u8]> + Send + 'static,
        digest: &str,
    ) -> Result<(Component, Source), String> {
        if let Some(component) = self.cache.get(&self.wasm, digest) {
            return Ok((component, Source::Cache));
        }
        let permit = Arc::clone(&self.compiling).acquire_owned().await.map_err(|e| e.to_string())?;
        let (wasm, cache, digest) = (self.wasm.clone(), self.cache.clone(), digest.to_owned());
        let compile = move || {
            let _permit = permit;
            // Another load of the same bytes may have been faster.
            if let Some(component) = cache.get(&wasm, &digest) {
                return Ok((component, Source::Cache));
            }
            let compiled = wasm.precompile_component(bytes.as_ref()).map_err(|e| format!("{e:#}"))?;
            if let Err(error) = cache.put(&digest, &compiled) {
                tracing::warn!("cannot keep a compiled component, so the next start compiles it again: {error}");
            }
            match cache.get(&wasm, &digest) {
                Some(component) => Ok((component, Source::Compiled)),
                None => {
                    Component::new(&wasm, bytes.as_ref()).map(|c| (c, Source::Compiled)).map_err(|e| format!("{e:#}"))
                }
            }
        };
        self.executor.block(compile).await.map_err(|lost| lost.to_string())?
    }

    /// A store whose limits act on a call, and whose memory an owner is charged with.
    pub fn store<T: Send + 'static>(&self, data: T, account: Arc<Account>, spent: Arc<Spent>) -> Store<Cell<T>> {
        let cell = Cell {
            memory: limiter::Memory::new(self.limits.instance_memory_bytes, account),
            cpu: epoch::Cpu::new(Duration::from_millis(self.limits.call_cpu_ms)),
            data,
        };
        let mut store = Store::new(&self.wasm, cell);
        store.limiter(|cell| &mut cell.memory);
        store.set_max_component_handles(1_000);
        epoch::watch(&mut store, |cell| &cell.cpu);
        self.arm(&mut store, spent);
        store
    }

    /// Gives a store the limits of a new call, which is to be metered into `spent`.
    pub fn arm<T: 'static>(&self, store: &mut Store<Cell<T>>, spent: Arc<Spent>) {
        store.set_hostcall_fuel(self.limits.crossing_bytes);
        store.set_epoch_deadline(1);
        store.data_mut().cpu.begin(spent);
        store.data_mut().memory.begin();
    }

    /// Bytes of memories and tables that a store has.
    pub fn memory_of<T>(store: &Store<Cell<T>>) -> usize {
        store.data().memory.used()
    }
}

/// The language, the limits and the memory layout of guests.
fn config(limits: &Limits, allocation: InstanceAllocationStrategy) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.max_wasm_stack(512 << 10);
    // Above the guest's own by what host functions use.
    config.async_stack_size(2 << 20);
    // Stacks are pooled, and a pooled stack goes from one tenant to another.
    config.async_stack_zeroing(true);

    // The least language that Rust, Python and JavaScript guests need. What is off here is
    // code that cannot be attacked.
    config.concurrency_support(false);
    config.gc_support(false);
    config.wasm_gc(false);
    config.wasm_features(WasmFeatures::FUNCTION_REFERENCES, false);
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    config.wasm_relaxed_simd(false);
    config.wasm_tail_call(false);
    config.wasm_component_model_implements(false);
    config.shared_memory(false);
    // No bit pattern of a NaN reaches a score, and canonical ones would cost a third of
    // the speed of vector loops.
    config.cranelift_nan_canonicalization(false);

    config.wasm_backtrace_max_frames(NonZeroUsize::new(16));
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config.native_unwind_info(false);

    config.memory_init_cow(true);
    // A Python guest starts from an image of 13 to 30 MB.
    config.memory_guaranteed_dense_image_size(64 << 20);
    config.memory_guard_size(32 << 20);
    config.guard_before_linear_memory(true);
    if matches!(allocation, InstanceAllocationStrategy::OnDemand) {
        // Without the reservations of the pool: for machines with little address space.
        config.memory_reservation(limits.instance_memory_bytes as u64);
    }
    config.allocation_strategy(allocation);
    config
}

/// Core modules of one component: a Python guest has 39.
const MODULES: u32 = 100;
/// Memories of one component. What is composed of two languages has two.
const MEMORIES: u32 = 2;
/// Tables of one component: its own, and one for what it imports.
const TABLES: u32 = 4;

/// Slots for `limits.instances` instances, made once and used again. There are as many of
/// each kind as all instances together may take: else a few with many memories would be in
/// the way of all others.
fn pooled(limits: &Limits) -> InstanceAllocationStrategy {
    let instances = limits.instances.max(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances);
    pool.total_core_instances(instances.saturating_mul(MODULES));
    pool.total_memories(instances.saturating_mul(MEMORIES));
    pool.total_tables(instances.saturating_mul(TABLES));
    pool.total_stacks(instances);
    pool.max_memory_size(limits.instance_memory_bytes);
    // JavaScript starts at 7 689 and Python grows its own.
    pool.table_elements(100_000);
    pool.max_component_instance_size(10 << 20);
    pool.max_core_instance_size(10 << 20);
    pool.max_core_instances_per_component(MODULES);
    pool.max_memories_per_component(MEMORIES);
    pool.max_tables_per_component(TABLES);
    pool.max_memories_per_module(1);
    pool.max_tables_per_module(2);
    pool.max_unused_warm_slots(instances / 4);
    pool.linear_memory_keep_resident(512 << 10);
    pool.table_keep_resident(64 << 10);
    pool.async_stack_keep_resident(64 << 10);
    // Slots of a batch that is on its way back would be missing for whoever has the place already.
    pool.decommit_batch_size(1);
    InstanceAllocationStrategy::Pooling(pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_address_space_for_a_pool_the_engine_starts_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        // 200 000 memories of 4 GiB are more than a process can address.
        let limits = Limits { instances: 100_000, ..Limits::default() };
        assert!(wasmtime::Engine::new(&config(&limits, pooled(&limits))).is_err());
        Engine::new(&limits, folder.path()).map(|_| ()).unwrap();
    }
}
