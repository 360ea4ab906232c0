//! What a tenant uses of what its quotas bound.

use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Node;
use crate::config::Quotas;
use crate::series::Millis;
use crate::store::StoreError;

/// What a tenant uses, beside its quotas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageView {
    /// The quotas that it is held to; `null`: as much as there is.
    pub quotas: Quotas,
    /// Its batches.
    pub batches: u64,
    /// Its series.
    pub series: u64,
    /// Samples that it has taken in today, by UTC; counted where they are bounded.
    pub samples_today: u64,
    /// Bytes of everything that it keeps, as they were last measured.
    pub store_bytes: u64,
    /// Bytes of what its plugins keep.
    pub kv_bytes: u64,
    /// Memory of its instances now, in bytes.
    pub memory_bytes: u64,
    /// CPU that its plugins have used since the node began, in milliseconds.
    pub cpu_ms: u64,
    /// CPU that they used lately, in milliseconds: what was used a minute ago counts half.
    pub cpu_ms_lately: u64,
    /// Its runs of batches that are under way.
    pub runs: u64,
}

impl Node {
    /// What a tenant uses. Blocks: what it keeps may have to be measured.
    pub fn usage(&self, tenant: &str) -> Result<UsageView, StoreError> {
        let account = self.catalogue.runtime().account(tenant);
        Ok(UsageView {
            quotas: self.quotas(tenant),
            batches: self.batch_names(tenant)?.len() as u64,
            series: self.store.series_count_of(tenant) as u64,
            samples_today: self.store.samples_on_day(tenant, self.clock.now())?,
            store_bytes: self.store_bytes(tenant)?,
            kv_bytes: self.store.kv_bytes_of(tenant)? as u64,
            memory_bytes: account.memory() as u64,
            cpu_ms: u64::try_from(account.cpu_used().as_millis()).unwrap_or(u64::MAX),
            cpu_ms_lately: (account.load() * 1_000.0) as u64,
            runs: self.running_batches().get(tenant).copied().unwrap_or(0) as u64,
        })
    }

    /// Bytes that a tenant keeps: measured anew where the last measure is old.
    fn store_bytes(&self, tenant: &str) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let fresh =
            |at: Millis| now.saturating_sub(at) < i64::try_from(self.config.limits.tenant_measure_ms).unwrap_or(0);
        let known = self.measured.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).copied();
        if let Some((_, bytes)) = known.filter(|(at, _)| fresh(*at)) {
            return Ok(bytes);
        }
        let bytes = self.store.bytes_of(tenant)?;
        self.measured.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant.to_owned(), (now, bytes));
        Ok(bytes)
    }

    /// Says why a tenant must not keep more, if it must not.
    pub(super) async fn over_bytes(self: &Arc<Self>, tenant: &str) -> Option<String> {
        let most = self.quotas(tenant).store_bytes?;
        let (node, own) = (self.clone(), tenant.to_owned());
        let measured = tokio::task::spawn_blocking(move || node.store_bytes(&own)).await.ok()?.ok()?;
        (measured >= most).then(|| {
            format!(
                "tenant {tenant} keeps {measured} bytes, and may keep {most} (its quota store_bytes); it is measured \
                 every {} s",
                self.config.limits.tenant_measure_ms / 1_000
            )
        })
    }
}
