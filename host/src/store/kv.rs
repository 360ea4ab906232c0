//! What plugins keep: small values under names, for each tenant and plugin apart.

use serde_bytes::ByteBuf;

use super::database::{Database, Inner, Writer};
use super::entry::{Entry, KvEntry};
use super::keys::{Key, Space, after};
use super::{StoreError, lock};

fn plugin_prefix(tenant: &str, plugin: &str) -> Key {
    Space::Kv.key().text(tenant).text(plugin)
}

impl Database {
    /// The value of a plugin's key.
    pub fn kv_get(&self, tenant: &str, plugin: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(&plugin_prefix(tenant, plugin).last(key).done())
    }

    /// Sets a plugin's key; durable when it returns. [`StoreError::Quota`] if all keys and
    /// values of the plugin would be longer than `quota`, or those of all plugins of the tenant
    /// than the tenant's own.
    pub fn kv_put(
        &self,
        tenant: &str,
        plugin: &str,
        key: &str,
        value: Vec<u8>,
        quota: usize,
    ) -> Result<(), StoreError> {
        self.inner.kv_write(&mut lock(&self.inner.writer), tenant, plugin, key, Some(value), quota)
    }

    /// Sets or removes a plugin's key, if its value is still the expected one; says whether
    /// it was. The quota is that of [`Database::kv_put`].
    pub fn kv_swap(
        &self,
        tenant: &str,
        plugin: &str,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<Vec<u8>>,
        quota: usize,
    ) -> Result<bool, StoreError> {
        let mut writer = lock(&self.inner.writer);
        if self.kv_get(tenant, plugin, key)?.as_deref() != expected {
            return Ok(false);
        }
        self.inner.kv_write(&mut writer, tenant, plugin, key, value, quota)?;
        Ok(true)
    }

    /// Removes a plugin's key, if it is there.
    pub fn kv_delete(&self, tenant: &str, plugin: &str, key: &str) -> Result<(), StoreError> {
        self.inner.kv_write(&mut lock(&self.inner.writer), tenant, plugin, key, None, usize::MAX)
    }

    /// The keys of a plugin that begin with `prefix` and are greater than `after_key`, in
    /// order, at most so many.
    pub fn kv_keys(
        &self,
        tenant: &str,
        plugin: &str,
        prefix: &str,
        after_key: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let own = plugin_prefix(tenant, plugin);
        let skipped = own.clone().done().len();
        let from = after_key.map(|key| after(&own.clone().last(key).done())).unwrap_or_default();
        let mut keys = Vec::new();
        if limit > 0 {
            self.inner.visit(&own.last(prefix), &from, |key, _| {
                let name = key.get(skipped..).and_then(|name| std::str::from_utf8(name).ok());
                keys.push(
                    name.ok_or_else(|| StoreError::damaged("the keys of a plugin", "one is no text"))?.to_owned(),
                );
                Ok(keys.len() < limit)
            })?;
        }
        Ok(keys)
    }
}

impl Inner {
    /// Bytes of all keys and values that the plugins of a tenant keep.
    pub fn kv_bytes_of(&self, tenant: &str) -> Result<usize, StoreError> {
        let prefix = Space::Kv.key().text(tenant);
        let skipped = prefix.clone().done().len();
        let mut bytes = 0;
        self.visit(&prefix, &[], |key, value| {
            // A key has the plugin's name in front, behind its length.
            let rest = key.get(skipped..).unwrap_or_default();
            let name = rest.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
            bytes += rest.len().saturating_sub(size_of::<u32>() + name) + value.len();
            Ok(true)
        })?;
        Ok(bytes)
    }

    fn kv_write(
        &self,
        writer: &mut Writer,
        tenant: &str,
        plugin: &str,
        key: &str,
        value: Option<Vec<u8>>,
        quota: usize,
    ) -> Result<(), StoreError> {
        writer.accounts.check_open(tenant)?;
        let owner = (tenant.to_owned(), plugin.to_owned());
        let kept = match writer.kv_bytes.get(&owner) {
            Some(kept) => *kept,
            None => {
                let prefix = plugin_prefix(tenant, plugin);
                let skipped = prefix.clone().done().len();
                let pairs = self.scan(&prefix, None)?;
                pairs.iter().map(|(key, value)| key.len() - skipped + value.len()).sum()
            }
        };
        let before = self.get(&plugin_prefix(tenant, plugin).last(key).done())?;
        let size = |value: Option<&Vec<u8>>| value.map_or(0, |value| key.len() + value.len());
        let (old, new) = (size(before.as_ref()), size(value.as_ref()));
        let total = kept.saturating_sub(old).saturating_add(new);
        if total > quota && new > old {
            let what = format!("tenant {tenant}: plugin {plugin} would keep {total} bytes (limits.kv_bytes)");
            return Err(StoreError::Quota { what, limit: quota });
        }
        if new > old
            && let Some(limit) = writer.accounts.quotas(tenant).kv_bytes
        {
            let all = self.kv_bytes_of(tenant)?.saturating_sub(old).saturating_add(new);
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            if all > limit {
                let what = format!("tenant {tenant}: its plugins would keep {all} bytes (its quota kv_bytes)");
                return Err(StoreError::Quota { what, limit });
            }
        }
        if before.is_some() || value.is_some() {
            let entry = KvEntry {
                tenant: tenant.to_owned(),
                plugin: plugin.to_owned(),
                key: key.to_owned(),
                value: value.map(ByteBuf::from),
            };
            self.write_entry(writer, Entry::Kv(entry))?;
        }
        writer.kv_bytes.insert(owner, total);
        Ok(())
    }
}
