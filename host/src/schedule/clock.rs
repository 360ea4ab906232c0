//! The clock is passed, never asked: a month of crons is a test of milliseconds.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::series::Millis;

/// What time it is, and how to wait for another.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The time.
    fn now(&self) -> Millis;

    /// Returns at `time`, or at once if that has passed.
    async fn sleep_until(&self, time: Millis);
}

/// The wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks")]
    fn now(&self) -> Millis {
        chrono::Utc::now().timestamp_millis()
    }

    async fn sleep_until(&self, time: Millis) {
        // In slices, so that a step of the wall clock is noticed.
        while let Ok(left @ 1..) = u64::try_from(time - self.now()) {
            tokio::time::sleep(Duration::from_millis(left.min(60_000))).await;
        }
    }
}

/// A clock that stands until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: AtomicI64,
    moved: Notify,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: Millis) -> Self {
        Self { now: AtomicI64::new(now), moved: Notify::new() }
    }

    /// Moves the clock; never back.
    pub fn advance_to(&self, now: Millis) {
        self.now.fetch_max(now, Ordering::SeqCst);
        self.moved.notify_waiters();
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Millis {
        self.now.load(Ordering::SeqCst)
    }

    async fn sleep_until(&self, time: Millis) {
        loop {
            let moved = self.moved.notified();
            if self.now() >= time {
                return;
            }
            moved.await;
        }
    }
}
