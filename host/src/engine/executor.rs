//! The threads on which guest code runs: not those that serve HTTP and tick schedules.

use std::fmt;
use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinError, JoinSet};

/// A tokio runtime of its own.
pub struct Executor {
    // Only `None` while it is dropped.
    runtime: Option<Runtime>,
    cores: usize,
}

/// A task that ended without a result: it panicked, or the executor was stopped.
#[derive(Debug)]
pub struct Lost(String);

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a call into a component was lost: {}", self.0)
    }
}

impl From<JoinError> for Lost {
    fn from(error: JoinError) -> Self {
        Self(error.to_string())
    }
}

impl Executor {
    pub(super) fn new() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Guests in their turns keep a thread a core. As many again begin and end calls meanwhile, and
        // the kernel shares the cores. A poll is up to a tick long: after 61 of them, which is usual, an answer or a
        // call that came would be half a second old.
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores * 2)
            .thread_name("guest")
            .event_interval(4)
            .global_queue_interval(1)
            .enable_all()
            .build()?;
        Ok(Self { runtime: Some(runtime), cores })
    }

    /// How many calls run at once without waiting for each other.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Runs a future here. Dropping the returned future cancels it.
    pub async fn run<R: Send + 'static>(&self, future: impl Future<Output = R> + Send + 'static) -> Result<R, Lost> {
        let mut tasks = JoinSet::new();
        if let Some(runtime) = &self.runtime {
            tasks.spawn_on(future, runtime.handle());
        }
        first(tasks).await
    }

    /// Runs blocking work here. It goes on when the returned future is dropped.
    pub async fn block<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Result<R, Lost> {
        let mut tasks = JoinSet::new();
        if let Some(runtime) = &self.runtime {
            tasks.spawn_blocking_on(work, runtime.handle());
        }
        first(tasks).await
    }
}

async fn first<R: 'static>(mut tasks: JoinSet<R>) -> Result<R, Lost> {
    match tasks.join_next().await {
        Some(result) => result.map_err(Lost::from),
        None => Err(Lost("the executor is stopping".into())),
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        // A runtime must not wait for its tasks where this may be dropped: in async code.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
