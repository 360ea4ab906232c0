//! One call into a guest, and the reasons why it may stop.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use wasmtime::{PoolConcurrencyLimitError, Store, Trap, WasmBacktrace};

use super::{Cell, epoch};

/// Why a call into a guest gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It wanted more memory than the limit, in bytes.
    Memory(usize),
    /// All that its owner runs wanted more memory than the owner may have, in bytes.
    OwnerMemory(usize),
    /// It ran longer than the limit.
    Cpu(Duration),
    /// It ran and waited longer than the limit.
    Wall(Duration),
    /// One value that it passed was larger than may cross.
    Crossing,
    /// Its calls nested too deeply.
    Stack,
    /// It trapped.
    Trap {
        /// The innermost reason.
        cause: String,
        /// Names of its functions, the innermost first.
        frames: Vec<String>,
    },
    /// We had no place for it.
    Busy,
}

/// A host function's answer to an argument that the contract forbids and has no error
/// for: the call ends, with this as the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A call that did not come back with a result; see [`Failure::explain`].
#[derive(Debug)]
pub enum Failure {
    /// wasmtime ended it.
    Error(wasmtime::Error),
    /// Its time was over, in guest code or in a host call.
    Elapsed(Duration),
}

/// Awaits a call for at most `wall`. After a failure its store is to be dropped.
pub async fn within<R>(wall: Duration, call: impl Future<Output = wasmtime::Result<R>>) -> Result<R, Failure> {
    match tokio::time::timeout(wall, call).await {
        Ok(result) => result.map_err(Failure::Error),
        Err(_) => Err(Failure::Elapsed(wall)),
    }
}

impl Failure {
    /// The reason, by what the store's meters say.
    pub fn explain<T>(&self, store: &Store<Cell<T>>) -> Stop {
        let (error, cell) = match self {
            Self::Elapsed(wall) => return Stop::Wall(*wall),
            Self::Error(error) => (error, store.data()),
        };
        if error.is::<epoch::Spent>() {
            return Stop::Cpu(cell.cpu.limit());
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return Stop::Busy;
        }
        if let Some(limit) = cell.memory.account_refused() {
            return Stop::OwnerMemory(limit);
        }
        // A guest that is refused memory aborts: "unreachable" would hide why.
        if cell.memory.refused() {
            return Stop::Memory(cell.memory.limit());
        }
        if matches!(error.downcast_ref(), Some(Trap::StackOverflow)) {
            return Stop::Stack;
        }
        let cause = error.root_cause().to_string();
        // The type of this error is private to wasmtime; a test keeps the text.
        if cause.contains("fuel allocated for hostcalls") {
            return Stop::Crossing;
        }
        let frames = error.downcast_ref::<WasmBacktrace>().map_or_else(Vec::new, |trace| {
            trace.frames().iter().filter_map(|frame| frame.func_name().map(demangled)).collect()
        });
        Stop::Trap { cause, frames }
    }
}

/// A function's name without the hash that the Rust compiler adds.
fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}
