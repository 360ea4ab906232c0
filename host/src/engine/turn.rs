//! Turns: whose guest runs next, where more want to run than there are threads.
//!
//! Guests yield with every tick. If all calls were then equal, whoever makes the most calls
//! would have the most of the cores. So the owner that had the least time lately goes first,
//! however many calls it makes: decay-usage scheduling (Hellerstein, "Achieving service rate
//! objectives with decay usage scheduling", 1993) with equal weights, where a turn costs what it
//! took and counts half after [`HALF_LIFE`]. Whoever wants less than their share, in bursts too,
//! goes before those who want all there is; who wants as much as others gets as much. Nobody
//! saves up, and nobody pays for long for time that nobody else wanted. Nor does anybody pay for time
//! that was theirs: what an owner had counts from its share on, so that somebody who comes and had
//! nothing yet does not lock out those who had less than they may.
//!
//! A turn ends with the next tick. Who has to wait and had less than somebody who has a turn asks for
//! a tick at once, so that its call begins within what a guest does between two looks at the epoch,
//! which is a host call or the filling of memory at most.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::epoch::TICK;

/// Long beside a turn, so that bursts of many turns are seen as such; short beside what people
/// notice, so that it is soon forgotten that a machine was used alone.
const HALF_LIFE: Duration = Duration::from_millis(250);
/// So much more than who waits somebody must have had to be asked to step back: else two owners
/// that are equal would do nothing but that.
const UNFAIR: f64 = 0.02;
/// An owner without calls that had less than this lately, in seconds, is forgotten.
const NOTHING: f64 = 1e-4;

/// The turns on so many threads.
pub struct Turns {
    state: Mutex<State>,
    /// Makes those that have a turn yield.
    tick: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}

#[derive(Debug)]
struct State {
    threads: usize,
    /// Threads on which nobody has a turn. While there is one, nobody waits.
    free: usize,
    /// Those that have calls, or had turns lately.
    owners: HashMap<Arc<str>, Owner>,
    waiting: BTreeMap<u64, Waiting>,
    /// Those that waited, have a turn, and do not know it yet.
    granted: HashSet<u64>,
    tickets: u64,
}

#[derive(Debug)]
struct Owner {
    calls: usize,
    turns: usize,
    /// What it had, in seconds, as it counted at the instant beside it.
    used: f64,
    at: Instant,
}

impl Owner {
    fn new(now: Instant) -> Self {
        Self { calls: 0, turns: 0, used: 0.0, at: now }
    }

    /// What it had lately, in seconds.
    fn lately(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.used * 0.5_f64.powf(passed / HALF_LIFE.as_secs_f64())
    }

    /// What it had beyond its share, with its turns under way.
    fn had(&self, now: Instant, share: f64) -> f64 {
        (self.lately(now) - share).max(0.0) + TICK.as_secs_f64() * self.turns as f64
    }
}

#[derive(Debug)]
struct Waiting {
    owner: Arc<str>,
    waker: Waker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Away,
    Waiting(u64),
    Turn,
}

/// A call of an owner; what it holds is free again when it is dropped.
struct Call<'a> {
    turns: &'a Turns,
    owner: Arc<str>,
    place: Place,
}

impl Turns {
    /// `tick` is to make those that have a turn yield soon.
    pub(super) fn new(threads: usize, tick: impl Fn() + Send + Sync + 'static) -> Self {
        let (owners, waiting) = (HashMap::new(), BTreeMap::new());
        let threads = threads.max(1);
        let state = State { threads, free: threads, owners, waiting, granted: HashSet::new(), tickets: 0 };
        Self { state: Mutex::new(state), tick: Box::new(tick) }
    }

    /// Polls a future only when it is its owner's turn.
    pub async fn take<F: Future>(&self, owner: &str, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut call = self.enter(owner);
        poll_fn(move |context| {
            if !call.begin(context.waker()) {
                return Poll::Pending;
            }
            let woken = Arc::new(Woken { task: context.waker().clone(), poll: AtomicU8::new(UNDER_WAY) });
            let begun = Instant::now();
            let polled = future.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&woken))));
            let took = begun.elapsed();
            // Who only yielded wants its next turn, and has its place among those that wait at once.
            let again = woken.poll.swap(OVER, Ordering::AcqRel) == WOKEN && polled.is_pending();
            call.end(took, again.then(|| context.waker()));
            polled
        })
        .await
    }

    fn enter(&self, owner: &str) -> Call<'_> {
        let mut state = self.state();
        let owner: Arc<str> = owner.into();
        let now = Instant::now();
        state.owners.retain(|_, owner| owner.calls > 0 || owner.lately(now) > NOTHING);
        state.owners.entry(Arc::clone(&owner)).or_insert_with(|| Owner::new(now)).calls += 1;
        Call { turns: self, owner, place: Place::Away }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, owner: &Arc<str>, waker: &Waker) -> Place {
        self.tickets += 1;
        self.waiting.insert(self.tickets, Waiting { owner: Arc::clone(owner), waker: waker.clone() });
        Place::Waiting(self.tickets)
    }

    fn count(&mut self, owner: &Arc<str>, turns: isize, took: Duration) {
        if let Some(owner) = self.owners.get_mut(owner) {
            owner.turns = owner.turns.saturating_add_signed(turns);
            let now = Instant::now();
            owner.used = owner.lately(now) + took.as_secs_f64();
            owner.at = now;
        }
    }

    /// What each of those that have calls would have had lately, in seconds, were the threads theirs
    /// alone in equal parts.
    fn share(&self) -> f64 {
        let owners = self.owners.values().filter(|owner| owner.calls > 0).count();
        let all = HALF_LIFE.as_secs_f64() / std::f64::consts::LN_2 * self.threads as f64;
        all / owners.max(1) as f64
    }

    /// Whether somebody has a turn who had clearly more than this owner.
    fn is_unfair_to(&self, owner: &Arc<str>) -> bool {
        let (now, share) = (Instant::now(), self.share());
        let had = self.owners.get(owner).map_or(0.0, |owner| owner.had(now, share));
        self.owners.values().any(|other| other.turns > 0 && other.had(now, share) > had + UNFAIR)
    }

    /// A turn is over: the next is that of the owner that had the least, of equal ones of the one that
    /// had a turn the longest ago, and of its calls of the one that waits the longest.
    fn pass_on(&mut self) {
        let (now, share) = (Instant::now(), self.share());
        let rank = |waiting: &Waiting| {
            let owner = self.owners.get(&waiting.owner)?;
            Some((owner.had(now, share), owner.at))
        };
        let ranked = self.waiting.iter().filter_map(|(ticket, waiting)| Some((rank(waiting)?, *ticket)));
        // Of equal calls the first, which waits the longest.
        let next = ranked.min_by(|(a, _), (b, _)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).map(|(_, ticket)| ticket);
        match next.and_then(|ticket| self.waiting.remove(&ticket).map(|waiting| (ticket, waiting))) {
            Some((ticket, waiting)) => {
                self.granted.insert(ticket);
                self.count(&waiting.owner, 1, Duration::ZERO);
                waiting.waker.wake();
            }
            None => self.free += 1,
        }
    }
}

impl Call<'_> {
    /// Whether it is its turn; if not, it will be woken.
    fn begin(&mut self, waker: &Waker) -> bool {
        let mut unfair = false;
        let mut state = self.turns.state();
        self.place = match self.place {
            Place::Waiting(ticket) if state.granted.remove(&ticket) => Place::Turn,
            Place::Waiting(ticket) => {
                if let Some(waiting) = state.waiting.get_mut(&ticket) {
                    waiting.waker.clone_from(waker);
                }
                self.place
            }
            Place::Away if state.free > 0 => {
                state.free -= 1;
                state.count(&self.owner, 1, Duration::ZERO);
                Place::Turn
            }
            Place::Away => {
                unfair = state.is_unfair_to(&self.owner);
                state.wait(&self.owner, waker)
            }
            Place::Turn => Place::Turn,
        };
        drop(state);
        if unfair {
            (self.turns.tick)();
        }
        self.place == Place::Turn
    }

    /// Its turn is over; `again`: it wants another.
    fn end(&mut self, took: Duration, again: Option<&Waker>) {
        let mut state = self.turns.state();
        state.count(&self.owner, -1, took);
        self.place = again.map_or(Place::Away, |waker| state.wait(&self.owner, waker));
        state.pass_on();
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        let had_turn = match self.place {
            Place::Away => false,
            Place::Waiting(ticket) => state.waiting.remove(&ticket).is_none() && state.granted.remove(&ticket),
            Place::Turn => true,
        };
        if had_turn {
            state.count(&self.owner, -1, Duration::ZERO);
            state.pass_on();
        }
        if let Some(owner) = state.owners.get_mut(&self.owner) {
            owner.calls = owner.calls.saturating_sub(1);
        }
    }
}

const UNDER_WAY: u8 = 0;
const WOKEN: u8 = 1;
const OVER: u8 = 2;

/// Wakes a task after a poll. During the poll it is only kept that it was woken: the end of the turn
/// sees to it.
struct Woken {
    task: Waker,
    poll: AtomicU8,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let woken = self.poll.compare_exchange(UNDER_WAY, WOKEN, Ordering::AcqRel, Ordering::Acquire);
        if woken == Err(OVER) {
            self.task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many turns, each of which blocks its thread for a while.
    async fn work(turns: Arc<Turns>, owner: &'static str, rounds: usize, order: Arc<Mutex<Vec<&'static str>>>) {
        turns
            .take(owner, async {
                for _ in 0..rounds {
                    let begun = Instant::now();
                    while begun.elapsed() < Duration::from_micros(200) {
                        std::hint::spin_loop();
                    }
                    order.lock().unwrap().push(owner);
                    // As a tick of the epoch, but at once.
                    let mut yielded = false;
                    poll_fn(|context| {
                        context.waker().wake_by_ref();
                        if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }
                    })
                    .await;
                }
            })
            .await;
    }

    #[tokio::test]
    async fn who_makes_many_calls_has_no_more_than_who_makes_one() {
        let (turns, order) = (Arc::new(Turns::new(1, || ())), Arc::<Mutex<Vec<_>>>::default());
        let greedy = (0..10).map(|_| work(Arc::clone(&turns), "greedy", 20, Arc::clone(&order)));
        let modest = work(Arc::clone(&turns), "modest", 20, Arc::clone(&order));
        tokio::join!(futures_util::future::join_all(greedy), modest);
        let order = order.lock().unwrap();
        let last = order.iter().rposition(|owner| *owner == "modest").unwrap();
        let others = order.iter().take(last).filter(|owner| **owner == "greedy").count();
        // 20 of its own; without turns the greedy one would have had about 200 in between.
        assert!(others < 60, "{others} turns of others");
        assert_eq!(turns.state().free, 1);
        assert!(turns.state().owners.values().all(|owner| owner.calls == 0 && owner.turns == 0));
    }

    #[test]
    fn who_had_less_has_those_who_had_more_step_back_and_equals_wait() {
        let ticks = Arc::new(AtomicU8::new(0));
        let turns = Turns::new(1, {
            let ticks = Arc::clone(&ticks);
            move || {
                ticks.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut hog = turns.enter("hog");
        assert!(hog.begin(Waker::noop()));
        turns.state().count(&Arc::from("hog"), 0, Duration::from_millis(15));
        // A turn under way counts for a tick: 25 ms by now, and soon forgotten.
        let mut own = turns.enter("hog");
        assert!(!own.begin(Waker::noop()));
        assert_eq!(ticks.load(Ordering::Relaxed), 0, "an owner does not hurry itself");
        turns.state().count(&Arc::from("hog"), 0, Duration::from_secs(1));
        let mut modest = turns.enter("modest");
        assert!(!modest.begin(Waker::noop()));
        assert_eq!(ticks.load(Ordering::Relaxed), 1);
        hog.end(Duration::from_millis(1), Some(Waker::noop()));
        assert!(modest.begin(Waker::noop()) && !own.begin(Waker::noop()));
    }

    #[test]
    fn who_had_less_than_may_be_had_is_not_locked_out_by_who_had_nothing() {
        let turns = Turns::new(1, || ());
        let mut modest = turns.enter("modest");
        assert!(modest.begin(Waker::noop()));
        // A quarter of the thread, for long: half of it may be had beside one other.
        modest.end(Duration::from_millis(90), None);
        let (mut one, mut other) = (turns.enter("new"), turns.enter("new"));
        assert!(one.begin(Waker::noop()) && !other.begin(Waker::noop()));
        assert!(!modest.begin(Waker::noop()));
        one.end(Duration::from_millis(10), Some(Waker::noop()));
        assert!(modest.begin(Waker::noop()), "it is the next");
        assert!(!other.begin(Waker::noop()));
    }

    #[tokio::test]
    async fn who_waits_for_something_else_holds_no_turn() {
        let turns = Turns::new(1, || ());
        let mut idle = Box::pin(turns.take("idle", std::future::pending::<()>()));
        assert!(idle.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        turns.take("busy", tokio::task::yield_now()).await;
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_gives_its_turn_back_wherever_it_is() {
        let turns = Turns::new(1, || ());
        let held = turns.enter("a");
        let mut held = held;
        assert!(held.begin(Waker::noop()));
        let (mut granted, mut waiting) = (turns.enter("b"), turns.enter("c"));
        assert!(!granted.begin(Waker::noop()) && !waiting.begin(Waker::noop()));
        drop(held);
        // It was b's turn, which never came to know.
        drop(granted);
        assert!(waiting.begin(Waker::noop()));
        drop(waiting);
        let state = turns.state();
        assert!(state.owners.values().all(|owner| owner.calls == 0 && owner.turns == 0));
        assert!(state.granted.is_empty() && state.waiting.is_empty());
        assert_eq!(state.free, 1);
    }
}
