//! Time in guest code: a thread ticks, and at each tick a guest yields and is held to its time.
//!
//! A tick also comes when somebody has to go first ([`Turns`](super::Turns)), so ticks are no
//! measure: what counts is the CPU that the thread used for the call. Ticks do not interrupt a
//! host call: [`within`](super::within) does.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use wasmtime::{Store, UpdateDeadline};

use super::Cell;
use super::account;

/// How often a guest yields at least, and how finely its time is bounded.
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

/// The CPU time of one call, and its limit.
pub(super) struct Cpu {
    limit: Duration,
    spent: Arc<account::Spent>,
}

impl Cpu {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, spent: Arc::default() }
    }

    /// A new call begins.
    pub(super) fn begin(&mut self, spent: Arc<account::Spent>) {
        self.spent = spent;
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    fn tick(&self) -> Result<(), Spent> {
        if self.spent.here() > self.limit { Err(Spent) } else { Ok(()) }
    }
}

/// The guest has used its CPU time.
#[derive(Debug, thiserror::Error)]
#[error("the call has used its CPU time")]
pub(super) struct Spent;

/// Makes each tick look and yield.
pub(super) fn watch<T: 'static>(store: &mut Store<Cell<T>>, cpu: fn(&Cell<T>) -> &Cpu) {
    store.epoch_deadline_callback(move |context| {
        cpu(context.data()).tick()?;
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(step_back())))
    });
}

/// Yields and wakes at once. tokio's own `yield_now` wakes when the thread next looks for
/// events, which [`Turns`](super::Turns) could not tell from waiting for something.
async fn step_back() {
    let mut yielded = false;
    poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
