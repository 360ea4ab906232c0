//! What the clients of a node share: how names are looked up, how connections are made, and
//! how many requests are on their way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{Connect, Fault, Resolve, SystemResolver};
use crate::capability::Holder;
use crate::config::Limits;

/// The way out of a node: all that leaves it for a plugin goes through one of these.
#[derive(Clone)]
pub struct Net {
    /// Looks names up.
    pub(in crate::capability) resolver: Arc<dyn Resolve>,
    /// Connects to addresses that were checked.
    pub(in crate::capability) connector: Arc<dyn Connect>,
    flights: Arc<Flights>,
}

impl Net {
    /// With these ways to look up and to connect.
    pub fn new(resolver: Arc<dyn Resolve>, connector: Arc<dyn Connect>) -> Self {
        Self { resolver, connector, flights: Arc::default() }
    }

    /// The room that a plugin has for its requests, and shares with the tenant's others.
    pub(super) fn lanes(&self, holder: &Holder, limits: &Limits) -> Lanes {
        Lanes {
            plugin: self.flights.lane(&holder.tenant, Some(&holder.plugin), limits.http_in_flight_per_plugin),
            tenant: self.flights.lane(&holder.tenant, None, limits.http_in_flight_per_tenant),
        }
    }
}

impl Default for Net {
    /// The machine's own. In tests the connector leads to the loopback interface and
    /// nowhere else.
    fn default() -> Self {
        #[cfg(not(test))]
        let connector = super::SystemConnector;
        #[cfg(test)]
        let connector = super::LoopbackConnector;
        Self::new(Arc::new(SystemResolver), Arc::new(connector))
    }
}

/// By tenant and plugin; without a plugin, what all of a tenant share.
type Lane = (String, Option<String>);

/// Requests on their way. What nobody uses any more is forgotten.
#[derive(Default)]
struct Flights(Mutex<BTreeMap<Lane, Weak<Semaphore>>>);

impl Flights {
    fn lane(&self, tenant: &str, plugin: Option<&str>, at_once: u32) -> Arc<Semaphore> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = (tenant.to_owned(), plugin.map(str::to_owned));
        if let Some(open) = lanes.get(&lane).and_then(Weak::upgrade) {
            return open;
        }
        lanes.retain(|_, lane| lane.strong_count() > 0);
        let open = Arc::new(Semaphore::new(at_once as usize));
        lanes.insert(lane, Arc::downgrade(&open));
        open
    }
}

/// Room for the requests of a plugin for a tenant.
pub(super) struct Lanes {
    plugin: Arc<Semaphore>,
    tenant: Arc<Semaphore>,
}

impl Lanes {
    /// Waits for room: first among the plugin's own requests, so that those that wait for
    /// each other take nothing from the tenant's other plugins.
    pub(super) async fn enter(&self) -> Result<[SemaphorePermit<'_>; 2], Fault> {
        let closed = |_| Fault::Transport("anomd is stopping".into());
        let own = self.plugin.acquire().await.map_err(closed)?;
        Ok([own, self.tenant.acquire().await.map_err(closed)?])
    }
}
