//! What one owner's guests cost together: memory that is taken, CPU that was used, calls that
//! are under way.
//!
//! CPU is that of the thread while it polls a call, in guest code and in what the host does
//! for it; a call of microseconds counts as one, which the ticks of the epoch do not see.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

use super::budget::{Budget, Load};

/// The longest wait between two looks at a budget, which may have been raised.
const LOOK: Duration = Duration::from_secs(1);

/// What an owner's guests cost, and may cost.
#[derive(Debug)]
pub struct Account {
    memory: AtomicUsize,
    most_memory: AtomicUsize,
    cpu: Mutex<Cpu>,
    calls: Mutex<Calls>,
    /// Woken when a call ends or more may be under way.
    fewer_calls: Notify,
    /// From which on its times are counted.
    began: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cpu {
    budget: Budget,
    load: Load,
    all: Duration,
}

/// Calls under way, and how many there may be.
#[derive(Clone, Copy, Debug)]
struct Calls {
    most: usize,
    under_way: usize,
}

/// CPU of one call, in nanoseconds.
#[derive(Debug, Default)]
pub struct Spent {
    /// That of polls that came back.
    before: AtomicU64,
    /// What the thread had used when the poll began that is under way.
    since: AtomicU64,
}

impl Spent {
    /// Up to the last poll that came back.
    pub fn time(&self) -> Duration {
        Duration::from_nanos(self.before.load(Ordering::Relaxed))
    }

    /// So far, asked by who is being polled, on its thread.
    pub(super) fn here(&self) -> Duration {
        let since = Duration::from_nanos(self.since.load(Ordering::Relaxed));
        self.time().saturating_add(thread_cpu().saturating_sub(since))
    }

    fn begin(&self, thread: Duration) {
        self.since.store(nanoseconds(thread), Ordering::Relaxed);
    }

    fn add(&self, used: Duration) {
        self.before.fetch_add(nanoseconds(used), Ordering::Relaxed);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A call under way; it has ended when this is dropped.
#[derive(Debug)]
pub struct Entered<'a>(&'a Account);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut calls = self.0.calls();
        calls.under_way = calls.under_way.saturating_sub(1);
        drop(calls);
        self.0.fewer_calls.notify_one();
    }
}

impl Default for Account {
    fn default() -> Self {
        Self {
            memory: AtomicUsize::new(0),
            most_memory: AtomicUsize::new(usize::MAX),
            cpu: Mutex::default(),
            calls: Mutex::new(Calls { most: usize::MAX, under_way: 0 }),
            fewer_calls: Notify::new(),
            began: Instant::now(),
        }
    }
}

impl Account {
    /// Sets how much memory its guests may have together, in bytes, how many milliseconds
    /// of CPU they may use in a minute, and how many calls of them may be under way at once, one
    /// at least. `None`: as much as there is.
    pub fn bound(&self, memory: Option<usize>, cpu_ms_per_minute: Option<u64>, calls_at_once: Option<usize>) {
        self.calls().most = calls_at_once.map_or(usize::MAX, |most| most.max(1));
        self.fewer_calls.notify_waiters();
        self.most_memory.store(memory.unwrap_or(usize::MAX), Ordering::Relaxed);
        let now = self.now();
        self.cpu().budget.bound(now, cpu_ms_per_minute);
    }

    /// Memory that its guests have, in bytes.
    pub fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    /// CPU that its guests have used since the node began.
    pub fn cpu_used(&self) -> Duration {
        self.cpu().all
    }

    /// CPU that its guests used lately, in seconds; see [`Load`].
    pub fn load(&self) -> f64 {
        self.cpu().load.at(self.now())
    }

    /// Whether so much more memory would be too much.
    pub fn is_short_of(&self, bytes: usize) -> bool {
        self.memory().saturating_add(bytes) > self.most_memory.load(Ordering::Relaxed)
    }

    /// Takes memory, or says how much there may be.
    pub(super) fn take_memory(&self, bytes: usize) -> Result<(), usize> {
        let most = self.most_memory.load(Ordering::Relaxed);
        let taken = |memory: usize| memory.checked_add(bytes).filter(|memory| bytes == 0 || *memory <= most);
        self.memory.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).map(drop).map_err(|_| most)
    }

    /// Gives memory back.
    pub(super) fn give_memory(&self, bytes: usize) {
        let given = |memory: usize| Some(memory.saturating_sub(bytes));
        // It never refuses.
        let _ = self.memory.fetch_update(Ordering::Relaxed, Ordering::Relaxed, given);
    }

    /// Waits until something of its CPU is left.
    pub async fn admitted(&self) {
        loop {
            let wait = {
                let now = self.now();
                self.cpu().budget.wait(now)
            };
            if wait.is_zero() {
                return;
            }
            tokio::time::sleep(wait.min(LOOK)).await;
        }
    }

    /// Waits until one more call may be under way, and begins it.
    pub async fn enter(&self) -> Entered<'_> {
        loop {
            let mut fewer = pin!(self.fewer_calls.notified());
            // Before the look, so that no end of a call after it is missed.
            fewer.as_mut().enable();
            if let Some(entered) = self.try_enter() {
                return entered;
            }
            fewer.await;
        }
    }

    fn try_enter(&self) -> Option<Entered<'_>> {
        let mut calls = self.calls();
        let free = calls.under_way < calls.most;
        calls.under_way += usize::from(free);
        free.then(|| Entered(self))
    }

    /// A future whose CPU is charged as it is polled, to this account and to the call.
    pub async fn metered<F: Future>(&self, spent: &Spent, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            let before = thread_cpu();
            spent.begin(before);
            let polled = future.as_mut().poll(context);
            let used = thread_cpu().saturating_sub(before);
            self.charge(used);
            spent.add(used);
            polled
        })
        .await
    }

    fn charge(&self, used: Duration) {
        let now = self.now();
        let mut cpu = self.cpu();
        cpu.budget.charge(now, used);
        cpu.load.charge(now, used);
        cpu.all = cpu.all.saturating_add(used);
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cpu(&self) -> MutexGuard<'_, Cpu> {
        self.cpu.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// CPU that this thread has used.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn the_cpu_of_a_future_is_charged_and_what_it_waits_for_is_not() {
        let account = Account::default();
        let spent = Spent::default();
        account.metered(&spent, tokio::time::sleep(Duration::from_millis(20))).await;
        let waited = account.cpu_used();
        assert_eq!(spent.time(), waited);
        account.metered(&spent, async { assert!(spent.here() > waited) }).await;
        let waited = account.cpu_used();
        let mut sum = 0_u64;
        account
            .metered(&spent, async {
                for number in 0..3_000_000_u64 {
                    sum = std::hint::black_box(sum.wrapping_add(number * number));
                }
            })
            .await;
        assert!(account.cpu_used() > waited * 2, "{waited:?} {:?}", account.cpu_used());
        assert!(account.load() > 0.0);
    }

    #[test]
    fn memory_is_taken_up_to_the_bound() {
        let account = Account::default();
        account.bound(Some(10), None, None);
        assert_eq!(account.take_memory(8), Ok(()));
        assert_eq!(account.take_memory(3), Err(10));
        assert!(account.is_short_of(3) && !account.is_short_of(2));
        account.give_memory(8);
        assert_eq!((account.take_memory(10), account.memory()), (Ok(()), 10));
    }

    #[tokio::test]
    async fn calls_wait_for_those_before_them_and_a_raised_bound_lets_them_in() {
        let account = Account::default();
        account.bound(None, None, Some(1));
        let first = account.enter().await;
        let (mut second, mut third) = (Box::pin(account.enter()), Box::pin(account.enter()));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        drop(first);
        // It was the second's turn, which gave up waiting.
        drop(second);
        let _third = (&mut third).now_or_never().unwrap();
        let mut fourth = Box::pin(account.enter());
        assert!((&mut fourth).now_or_never().is_none());
        account.bound(None, None, Some(2));
        assert!((&mut fourth).now_or_never().is_some());
    }
}
