//! A tenant as the store sees it: a key space of its own, which ends as a whole.

use serde_bytes::ByteBuf;

use super::account::{SAMPLES, Samples};
use super::database::Database;
use super::document::document_prefix;
use super::entry::{Body, DropEntry, DropTenantEntry, Entry, ModelEntry, decode};
use super::keys::Space;
use super::record::DocumentKind;
use super::{StoreError, lock, read};
use crate::config::{BatchKey, Quotas};
use crate::series::Millis;

/// Whose documents the tenants themselves are; no tenant can have this name.
pub(super) const NOBODY: &str = "";

impl Database {
    /// Sets the quotas of a tenant: from now on commits and kept bytes are held to them. A
    /// tenant of which nobody said any has none.
    pub fn set_quotas(&self, tenant: &str, quotas: Quotas) {
        lock(&self.inner.writer).accounts.set(tenant, quotas);
    }

    /// The samples that a tenant has taken in on the day of `now`, by UTC.
    pub fn samples_on_day(&self, tenant: &str, now: Millis) -> Result<u64, StoreError> {
        let kept: Option<Samples> = self.document(tenant, DocumentKind::Usage, SAMPLES)?;
        Ok(lock(&self.inner.writer).accounts.samples(tenant, now, kept))
    }

    /// The batches of a tenant that have ever had a commit.
    pub fn batches_of(&self, tenant: &str) -> Vec<BatchKey> {
        let state = read(&self.inner.state);
        let all = state.catalogue.of_tenant(tenant).map(|(key, _)| key);
        all.filter(|key| !key.is_tenant()).cloned().collect()
    }

    /// How many series the batches of a tenant have.
    pub fn series_count_of(&self, tenant: &str) -> usize {
        read(&self.inner.state).catalogue.series_of_tenant(tenant)
    }

    /// How many series all batches have.
    pub fn series_count(&self) -> usize {
        read(&self.inner.state).catalogue.batches.values().map(|batch| batch.series.len()).sum()
    }

    /// Bytes of all keys and values that the plugins of a tenant keep.
    pub fn kv_bytes_of(&self, tenant: &str) -> Result<usize, StoreError> {
        self.inner.kv_bytes_of(tenant)
    }

    /// Bytes of everything that a tenant has: keys and values as they are kept, the blobs of
    /// its models, and points that are still in memory at 24 bytes each. Reads all of it.
    pub fn bytes_of(&self, tenant: &str) -> Result<u64, StoreError> {
        let inner = &*self.inner;
        let (batches, points) = {
            let state = read(&inner.state);
            let batches: Vec<u32> = state.catalogue.of_tenant(tenant).map(|(_, batch)| batch).collect();
            let layers = std::iter::once(&state.active).chain(state.frozen.as_deref());
            let rows = |layer: &super::layer::Layer| -> usize {
                batches.iter().filter_map(|batch| layer.points.get(batch)).map(super::layer::BatchPoints::rows).sum()
            };
            let points: usize = layers.map(rows).sum();
            (batches, points)
        };
        let mut bytes = points as u64 * 24;
        let own = [Space::Kv.key().text(tenant), Space::Document.key().text(tenant)];
        let of_batches = batches.iter().flat_map(|batch| {
            Space::ALL.into_iter().filter(|space| space.of_batch()).map(move |space| (space, space.batch(*batch)))
        });
        for (space, prefix) in own.into_iter().map(|prefix| (Space::Kv, prefix)).chain(of_batches) {
            inner.visit(&prefix, &[], |key, value| {
                bytes += (key.len() + value.len()) as u64;
                if space == Space::Model
                    && let Body::Blob { length, .. } = decode::<ModelEntry>("a model", value)?.body
                {
                    bytes += length;
                }
                Ok(true)
            })?;
        }
        Ok(bytes)
    }

    /// Deletes a tenant with everything that it has: batches with their points, models, runs
    /// and alerts; what its people and its plugins keep; the tenant itself. When it returns
    /// nothing of it is in the log, among the values or among the blobs. What comes later for
    /// the tenant is refused, until [`Database::set_quotas`] says that it is there again.
    pub fn delete_tenant(&self, tenant: &str) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let mut writer = lock(&inner.writer);
        let batches: Vec<DropEntry> = {
            let state = read(&inner.state);
            let all = state.catalogue.of_tenant(tenant);
            all.map(|(key, batch)| DropEntry { key: key.clone(), batch }).collect()
        };
        let mut removed = Vec::new();
        let itself = document_prefix(NOBODY, DocumentKind::Tenant).last(tenant).done();
        if inner.get(&itself)?.is_some() {
            removed.push(ByteBuf::from(itself));
        }
        for prefix in [Space::Kv.key().text(tenant), Space::Document.key().text(tenant)] {
            inner.visit(&prefix, &[], |key, _| {
                removed.push(ByteBuf::from(key.to_vec()));
                Ok(true)
            })?;
        }
        writer.kv_bytes.retain(|(owner, _), _| owner != tenant);
        writer.accounts.end(tenant);
        inner.write_entry(&mut writer, Entry::DropTenant(DropTenantEntry { batches, removed }))?;
        drop(writer);
        // Until then its values are hidden, and not gone; and its name is in the log.
        inner.seal()
    }

    /// The records of all tenants, by name: documents of [`DocumentKind::Tenant`].
    pub fn tenants<T: serde::de::DeserializeOwned>(&self) -> Result<Vec<(String, T)>, StoreError> {
        self.documents(NOBODY, DocumentKind::Tenant, "")
    }

    /// The record of a tenant.
    pub fn tenant<T: serde::de::DeserializeOwned>(&self, tenant: &str) -> Result<Option<T>, StoreError> {
        self.document(NOBODY, DocumentKind::Tenant, tenant)
    }

    /// Writes the record of a tenant.
    pub fn write_tenant<T: serde::Serialize>(&self, tenant: &str, record: &T) -> Result<(), StoreError> {
        let write = super::record::DocumentWrite::of(DocumentKind::Tenant, tenant, record);
        self.write_documents(NOBODY, vec![write])
    }
}
