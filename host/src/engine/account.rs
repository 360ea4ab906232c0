//! What one owner's guests cost together: memory that is taken, CPU that was used.
//!
//! CPU is that of the thread while it polls a call, in guest code and in what the host does
//! for it; a call of microseconds counts as one, which the ticks of the epoch do not see.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::budget::{Budget, Load};

/// The longest wait between two looks at a budget, which may have been raised.
const LOOK: Duration = Duration::from_secs(1);

/// What an owner's guests cost, and may cost.
#[derive(Debug)]
pub struct Account {
    memory: AtomicUsize,
    most_memory: AtomicUsize,
    cpu: Mutex<Cpu>,
    /// From which on its times are counted.
    began: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cpu {
    budget: Budget,
    load: Load,
    all: Duration,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            memory: AtomicUsize::new(0),
            most_memory: AtomicUsize::new(usize::MAX),
            cpu: Mutex::default(),
            began: Instant::now(),
        }
    }
}

impl Account {
    /// Sets how much memory its guests may have together, in bytes, and how many milliseconds
    /// of CPU they may use in a minute. `None`: as much as there is.
    pub fn bound(&self, memory: Option<usize>, cpu_ms_per_minute: Option<u64>) {
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

    /// A future whose CPU is charged as it is polled.
    pub async fn metered<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            let before = thread_cpu();
            let polled = future.as_mut().poll(context);
            self.charge(thread_cpu().saturating_sub(before));
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
    use super::*;

    #[tokio::test]
    async fn the_cpu_of_a_future_is_charged_and_what_it_waits_for_is_not() {
        let account = Account::default();
        account.metered(tokio::time::sleep(Duration::from_millis(20))).await;
        let waited = account.cpu_used();
        let mut sum = 0_u64;
        account
            .metered(async {
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
        account.bound(Some(10), None);
        assert_eq!(account.take_memory(8), Ok(()));
        assert_eq!(account.take_memory(3), Err(10));
        assert!(account.is_short_of(3) && !account.is_short_of(2));
        account.give_memory(8);
        assert_eq!((account.take_memory(10), account.memory()), (Ok(()), 10));
    }
}
