//! How a node stands: what it counts of itself, and whether it can do its work.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Node;
use crate::message::AlertPhase;
use crate::series::Millis;
use crate::store::{AlertFilter, DeliveryFilter, StoreError};

/// What a node has, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Tenants, `default` among them.
    pub tenants: usize,
    /// Batches by how they stand.
    pub batches: Batches,
    /// Batches of which a run is under way.
    pub runs_under_way: usize,
    /// Runs that were due at the last tick, and for which there was no place.
    pub runs_waiting: usize,
    /// Alerts that are not resolved.
    pub alerts: Alerts,
    /// Messages that wait to be sent, or to be sent again.
    pub deliveries_waiting: usize,
}

/// Batches by how they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Batches {
    /// Their schedules run.
    pub active: usize,
    /// Nothing of them starts by itself.
    pub paused: usize,
    /// They came through the API and are not taken up.
    pub faulty: usize,
}

/// Alerts that are not resolved, by where they are in their life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alerts {
    /// Over the threshold, and not for long enough.
    pub pending: usize,
    /// Told.
    pub firing: usize,
}

/// Something without which a node does not do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// Why it is not as it should be; `None`: it is.
    pub fault: Option<String>,
}

/// What the ticker says of itself.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// When it means to tick next; the outer `None`: it does not run.
    next: std::sync::Mutex<Option<Option<Millis>>>,
    /// See [`State::runs_waiting`].
    waiting: AtomicUsize,
}

/// A ticker that runs; when it is dropped it no longer does.
pub(super) struct Beating<'a>(&'a Pulse);

impl Pulse {
    pub fn begin(&self) -> Beating<'_> {
        Beating(self)
    }

    /// Notes how many runs had no place at this tick.
    pub fn leave_waiting(&self, runs: usize) {
        self.waiting.store(runs, Ordering::Relaxed);
    }

    fn set(&self, next: Option<Option<Millis>>) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn fault(&self, now: Millis, patience: Millis) -> Option<String> {
        match *self.next.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Some("no schedule runs: the node is starting or stopping".to_owned()),
            Some(Some(next)) if now.saturating_sub(next) > patience => {
                Some(format!("the tick that was due {} ms ago has not come", now.saturating_sub(next)))
            }
            Some(_) => None,
        }
    }
}

impl Beating<'_> {
    /// Says when it will tick next; `None`: when something changes.
    pub fn beat(&self, next: Option<Millis>) {
        self.0.set(Some(next));
    }
}

impl Drop for Beating<'_> {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

impl Node {
    /// Counts what the node has. Blocks: open alerts and waiting messages are read.
    pub fn state(&self) -> Result<State, StoreError> {
        let paused = self.paused().len();
        let batches = Batches {
            active: self.batches().iter().filter(|bound| !self.is_paused(&bound.batch.key)).count(),
            paused,
            faulty: self.faulty().len(),
        };
        let open = self.store.alerts(&AlertFilter { open: true, ..AlertFilter::default() })?;
        let of = |phase: AlertPhase| open.iter().filter(|alert| alert.phase == phase).count();
        let queued = DeliveryFilter { state: Some("queued".to_owned()), ..DeliveryFilter::default() };
        Ok(State {
            tenants: self.tenant_names().len(),
            batches,
            runs_under_way: self.busy.lock().unwrap_or_else(PoisonError::into_inner).len(),
            runs_waiting: self.pulse.waiting.load(Ordering::Relaxed),
            alerts: Alerts { pending: of(AlertPhase::Pending), firing: of(AlertPhase::Firing) },
            deliveries_waiting: self.store.deliveries(&queued)?.len(),
        })
    }

    /// Whether the node can do its work: keep what it learns, call plugins, run schedules. No
    /// name of a tenant or a batch is in what it says.
    pub fn checks(&self) -> Vec<Check> {
        let plugins = match self.catalogue.iter().next() {
            Some(_) => None,
            None => Some("no plugin is loaded; the log of the start says why".to_owned()),
        };
        let patience = i64::try_from(self.config.limits.tick_late_ms).unwrap_or(Millis::MAX);
        vec![
            Check { name: "store", fault: self.store.check_writable().err().map(|error| error.to_string()) },
            Check { name: "plugins", fault: plugins },
            Check { name: "schedules", fault: self.pulse.fault(self.clock.now(), patience) },
        ]
    }

    /// Writes what was counted since the node began, in the text format of OpenMetrics,
    /// without the end.
    pub fn write_counters(&self, out: &mut String) -> std::fmt::Result {
        self.meters.encode(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_run_while_the_ticker_ticks_in_time() {
        let pulse = Pulse::default();
        assert!(pulse.fault(0, 1_000).is_some(), "it has not begun");
        let beating = pulse.begin();
        beating.beat(Some(5_000));
        assert_eq!(pulse.fault(6_000, 1_000), None);
        assert_eq!(pulse.fault(6_001, 1_000).unwrap(), "the tick that was due 1001 ms ago has not come");
        beating.beat(None);
        assert_eq!(pulse.fault(i64::MAX, 1_000), None, "it waits for something to change");
        drop(beating);
        assert!(pulse.fault(0, 1_000).is_some());
    }
}
