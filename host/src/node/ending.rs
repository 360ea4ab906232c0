//! The end of a tenant: first nothing of it runs any more, and then nothing of it is left.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::Node;
use crate::fault::Fault;
use crate::store::StoreError;

use super::tenant::host_fault;

/// Held while something of a tenant runs.
pub(super) struct Running {
    node: Arc<Node>,
    tenant: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut running = self.node.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.tenant);
            }
        }
        drop(running);
        self.node.ended.notify_waiters();
    }
}

impl Node {
    /// Does something for a tenant, unless the tenant is being deleted; when that begins, it is
    /// cut off, as a crash would do it.
    pub(super) async fn for_tenant<T>(self: &Arc<Self>, tenant: &str, work: impl Future<Output = T>) -> Option<T> {
        let mut ending = self.ending.subscribe();
        let _running = {
            *self.running.lock().unwrap_or_else(PoisonError::into_inner).entry(tenant.to_owned()).or_default() += 1;
            Running { node: self.clone(), tenant: tenant.to_owned() }
        };
        tokio::select! {
            biased;
            // The sender lives as long as the node.
            _ = ending.wait_for(|ending| ending.contains(tenant)) => None,
            done = work => Some(done),
        }
    }

    /// Whether a tenant is being deleted.
    pub(super) fn is_ending(&self, tenant: &str) -> bool {
        self.ending.borrow().contains(tenant)
    }

    /// Deletes a tenant that stands in the store, with everything that it has. What runs for
    /// it is cut off. It is all gone when this returns without an error; after an error it can
    /// be asked for again.
    pub async fn delete_tenant(self: &Arc<Self>, tenant: &str) -> Result<(), Fault> {
        self.ending.send_if_modified(|ending| ending.insert(tenant.to_owned()));
        let result = self.end(tenant).await;
        self.ending.send_if_modified(|ending| ending.remove(tenant));
        result
    }

    async fn end(self: &Arc<Self>, tenant: &str) -> Result<(), Fault> {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).copied();
            if running.is_none() {
                break;
            }
            ended.await;
        }
        for bound in self.batches().iter().filter(|bound| bound.batch.key.tenant == tenant) {
            self.give_up(&bound.batch.key);
        }
        let node = self.clone();
        let own = tenant.to_owned();
        let removed = tokio::task::spawn_blocking(move || {
            // Folders go first: while the tenant is there, a deletion that was cut off can be
            // asked for again.
            remove_folders(&node.config.data, &own)?;
            node.store.delete_tenant(&own)
        });
        let removed = removed.await.map_err(|error| host_fault(tenant, error.to_string()))?;
        removed.map_err(|error| host_fault(tenant, error.to_string()))?;
        self.paused().retain(|key| key.tenant != tenant);
        self.faulty().retain(|key, _| key.tenant != tenant);
        self.forget_plans(tenant);
        self.catalogue.forget_tenant(tenant);
        self.live.forget(tenant);
        self.backfilled.lock().unwrap_or_else(PoisonError::into_inner).retain(|key, _| key.tenant != tenant);
        self.catalogue.runtime().forget_tenant(tenant);
        self.measured.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
        self.refresh().await.map_err(|error| host_fault(tenant, error.to_string()))
    }

    /// How many runs of batches each tenant has under way.
    pub(super) fn running_batches(&self) -> BTreeMap<String, usize> {
        let mut running = BTreeMap::new();
        for key in self.busy.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            *running.entry(key.tenant.clone()).or_default() += 1;
        }
        running
    }
}

/// Removes the folders of a tenant below the data folder.
pub fn remove_folders(data: &std::path::Path, tenant: &str) -> Result<(), StoreError> {
    for folder in [data.join("tenants").join(tenant), data.join("plots").join(tenant)] {
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("removing", &folder, &error));
            }
            _ => {}
        }
    }
    Ok(())
}
