//! Time in guest code: a thread ticks, and at each tick a guest yields and pays.
//!
//! Ticks count the time in which the guest ran, not the time for which it waited: after a
//! host call or a yield the next tick is a whole one away. They do not interrupt a host
//! call: [`within`](super::within) does.

use std::time::Duration;

use wasmtime::{Store, UpdateDeadline};

use super::Cell;

/// How often a guest yields, and how finely its time is counted.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Starts the thread that ticks; it ends with the engine.
pub(super) fn start(engine: &wasmtime::Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    let ticker = move || {
        loop {
            std::thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    };
    std::thread::Builder::new().name("epoch".into()).spawn(ticker).map(|_| ())
}

/// The CPU time of one call.
pub(super) struct Cpu {
    limit: Duration,
    used: Duration,
}

impl Cpu {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, used: Duration::ZERO }
    }

    /// A new call begins.
    pub(super) fn begin(&mut self) {
        self.used = Duration::ZERO;
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    fn tick(&mut self) -> Result<(), Spent> {
        self.used = self.used.saturating_add(TICK);
        if self.used > self.limit { Err(Spent) } else { Ok(()) }
    }
}

/// The guest has used its CPU time.
#[derive(Debug, thiserror::Error)]
#[error("the call has used its CPU time")]
pub(super) struct Spent;

/// Makes each tick count and yield.
pub(super) fn watch<T: 'static>(store: &mut Store<Cell<T>>, cpu: fn(&mut Cell<T>) -> &mut Cpu) {
    store.epoch_deadline_callback(move |mut context| {
        cpu(context.data_mut()).tick()?;
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
}
