//! Instances: how many live at once, and which wait for another call.
//!
//! An instance is kept only for the binding that made it. Idle ones hold a place, and give
//! it up, the longest idle first, when somebody else wants to begin.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// An instance and the place that it takes.
pub struct Alive<T> {
    /// The instance.
    pub instance: T,
    /// Calls that it has served.
    pub calls: u32,
    /// After the instance, so that the place is free only when the memory is.
    pub place: Place,
}

/// The right to have one instance.
pub struct Place(#[expect(dead_code, reason = "held, never read")] Option<OwnedSemaphorePermit>);

/// What a binding gets for a call.
pub enum Taken<T> {
    /// An instance that it had before.
    Warm(Alive<T>),
    /// The right to make one.
    Empty(Place),
}

struct Idle<T> {
    key: u64,
    since: Instant,
    alive: Alive<T>,
}

/// The places of one node.
pub struct Pool<T> {
    places: Arc<Semaphore>,
    longest_idle: Duration,
    waiting: AtomicUsize,
    // Longest idle first.
    idle: Mutex<VecDeque<Idle<T>>>,
}

impl<T> Pool<T> {
    /// A pool of so many places.
    pub fn new(places: u32, longest_idle: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.max(1) as usize)),
            longest_idle,
            waiting: AtomicUsize::new(0),
            idle: Mutex::new(VecDeque::new()),
        }
    }

    /// An idle instance of the binding `key`, or a place for a new one as soon as there
    /// is one, in the order of asking.
    pub async fn take(&self, key: Option<u64>) -> Taken<T> {
        if let Some(alive) = key.and_then(|key| self.warm(key)) {
            return Taken::Warm(alive);
        }
        // Counted before the idle ones are looked at: `park` looks at the count with the
        // same lock, so an instance is either seen here or not parked.
        let _waiting = Waiting::new(&self.waiting);
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Taken::Empty(Place(Some(place)));
        }
        drop(self.idle().pop_front());
        // An error would mean that the semaphore was closed, which nobody does.
        Taken::Empty(Place(Arc::clone(&self.places).acquire_owned().await.ok()))
    }

    /// Keeps an instance for the next call of its binding, unless somebody waits for a place.
    pub fn park(&self, key: u64, alive: Alive<T>) {
        let mut idle = self.idle();
        let now = Instant::now();
        while idle.front().is_some_and(|oldest| now.duration_since(oldest.since) > self.longest_idle) {
            idle.pop_front();
        }
        if self.waiting.load(Ordering::SeqCst) == 0 {
            idle.push_back(Idle { key, since: now, alive });
        }
    }

    /// Drops the idle instances of a binding that is gone.
    pub fn forget(&self, key: u64) {
        self.idle().retain(|idle| idle.key != key);
    }

    /// Places that nobody has.
    pub fn free(&self) -> usize {
        self.places.available_permits()
    }

    /// Who waits for a place.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Drops the idle instances that are chosen: of an owner that needs their memory.
    pub fn forget_those(&self, chosen: impl Fn(&T) -> bool) {
        self.idle().retain(|idle| !chosen(&idle.alive.instance));
    }

    fn warm(&self, key: u64) -> Option<Alive<T>> {
        let mut idle = self.idle();
        let index = idle.iter().rposition(|idle| idle.key == key)?;
        idle.remove(index).map(|idle| idle.alive)
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Idle<T>>> {
        // Nothing under this lock can leave the queue half changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts while it lives, however the waiting ends.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty<T>(taken: Taken<T>) -> Place {
        match taken {
            Taken::Empty(place) => place,
            Taken::Warm(_) => panic!("expected a new place"),
        }
    }

    #[tokio::test]
    async fn an_idle_instance_serves_its_own_binding_only() {
        let pool = Pool::new(2, Duration::from_secs(60));
        let place = empty(pool.take(Some(1)).await);
        pool.park(1, Alive { instance: "one", calls: 1, place });
        empty(pool.take(Some(2)).await);
        assert!(matches!(pool.take(Some(1)).await, Taken::Warm(alive) if alive.instance == "one"));
    }

    #[tokio::test]
    async fn an_idle_instance_gives_its_place_to_who_needs_one() {
        let pool = Pool::new(1, Duration::from_secs(60));
        let place = empty(pool.take(Some(1)).await);
        pool.park(1, Alive { instance: "one", calls: 1, place });
        let place = empty(pool.take(Some(2)).await);
        // Nobody waits, so this one is parked; forgetting frees its place.
        pool.park(2, Alive { instance: "two", calls: 1, place });
        pool.forget(2);
        empty(pool.take(Some(1)).await);
    }

    #[tokio::test]
    async fn who_waits_gets_the_place_of_the_next_that_is_done() {
        let pool = Arc::new(Pool::new(1, Duration::from_secs(60)));
        let place = empty(pool.take(Some(1)).await);
        let waiter = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { matches!(pool.take(Some(2)).await, Taken::Empty(_)) }
        });
        while pool.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        pool.park(1, Alive { instance: "one", calls: 1, place });
        assert!(waiter.await.unwrap());
    }
}
