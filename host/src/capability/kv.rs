//! Bytes that a plugin keeps for a tenant, under a quota: a cursor, a token's expiry. Not
//! for models, which the host keeps.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Holder;
use crate::config::Limits;
use crate::store::{Database, StoreError};

/// Bytes of one key at most.
const KEY_BYTES: usize = 256;
/// Bytes of one value at most.
const VALUE_BYTES: usize = 64 << 10;
/// Keys of one listing at most.
const KEYS: u32 = 1_000;

/// Why nothing was read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It would be more than so many bytes.
    Quota(usize),
    /// The stored value is not the expected one.
    Conflict,
    /// The store failed, or the key is not one.
    Unavailable(String),
}

/// A store of keys and values, each pair of tenant and plugin by itself. Calls block; they
/// are short. `quota` bounds the bytes of all keys and values of the holder after the write.
pub trait KeyValue: Send + Sync {
    /// The value of a key.
    fn get(&self, holder: &Holder, key: &str) -> Result<Option<Vec<u8>>, Fault>;

    /// Writes a value.
    fn put(&self, holder: &Holder, key: &str, value: &[u8], quota: usize) -> Result<(), Fault>;

    /// Writes (`None`: removes) only if the stored value is `expected` (`None`: absent).
    fn swap(
        &self,
        holder: &Holder,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
        quota: usize,
    ) -> Result<(), Fault>;

    /// At most `limit` keys that begin with `prefix`, in order, those after `after`.
    fn keys(&self, holder: &Holder, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault>;
}

impl KeyValue for Database {
    fn get(&self, holder: &Holder, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.kv_get(&holder.tenant, &holder.plugin, key).map_err(Fault::from)
    }

    fn put(&self, holder: &Holder, key: &str, value: &[u8], quota: usize) -> Result<(), Fault> {
        self.kv_put(&holder.tenant, &holder.plugin, key, value.to_vec(), quota).map_err(Fault::from)
    }

    fn swap(
        &self,
        holder: &Holder,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
        quota: usize,
    ) -> Result<(), Fault> {
        match self.kv_swap(&holder.tenant, &holder.plugin, key, expected, value.map(<[u8]>::to_vec), quota) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Fault::Conflict),
            Err(error) => Err(error.into()),
        }
    }

    fn keys(&self, holder: &Holder, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        self.kv_keys(&holder.tenant, &holder.plugin, prefix, after, limit).map_err(Fault::from)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Quota { limit, .. } => Self::Quota(limit),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

/// The right to keep bytes.
#[derive(Clone)]
pub struct Grant {
    holder: Arc<Holder>,
    store: Arc<dyn KeyValue>,
    quota: usize,
}

impl Grant {
    /// As many bytes as the limits say.
    pub fn new(holder: Arc<Holder>, store: Arc<dyn KeyValue>, limits: &Limits) -> Self {
        Self { holder, store, quota: limits.kv_bytes }
    }

    /// For one call.
    pub fn open(&self) -> Kv {
        Kv(self.clone())
    }
}

/// Kept bytes, in one call.
pub struct Kv(Grant);

impl Kv {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.0.store.get(&self.0.holder, checked(key)?)
    }

    /// Writes a value.
    pub fn put(&self, key: &str, value: &[u8]) -> Result<(), Fault> {
        self.fits(Some(value))?;
        self.0.store.put(&self.0.holder, checked(key)?, value, self.0.quota)
    }

    /// Writes or removes if the stored value is `expected`.
    pub fn swap(&self, key: &str, expected: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), Fault> {
        self.fits(value)?;
        self.0.store.swap(&self.0.holder, checked(key)?, expected, value, self.0.quota)
    }

    /// A page of keys.
    pub fn keys(&self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>, Fault> {
        self.0.store.keys(&self.0.holder, prefix, after, limit.min(KEYS) as usize)
    }

    fn fits(&self, value: Option<&[u8]>) -> Result<(), Fault> {
        match value {
            Some(value) if value.len() > VALUE_BYTES.min(self.0.quota) => {
                Err(Fault::Quota(VALUE_BYTES.min(self.0.quota)))
            }
            _ => Ok(()),
        }
    }
}

fn checked(key: &str) -> Result<&str, Fault> {
    if key.is_empty() || key.len() > KEY_BYTES {
        return Err(Fault::Unavailable(format!("a key has 1 to {KEY_BYTES} bytes, not {}", key.len())));
    }
    Ok(key)
}

/// A store that forgets when the process ends.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<BTreeMap<Holder, BTreeMap<String, Vec<u8>>>>);

impl InMemory {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Holder, BTreeMap<String, Vec<u8>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyValue for InMemory {
    fn get(&self, holder: &Holder, key: &str) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.lock().get(holder).and_then(|space| space.get(key)).cloned())
    }

    fn put(&self, holder: &Holder, key: &str, value: &[u8], quota: usize) -> Result<(), Fault> {
        let mut spaces = self.lock();
        write(spaces.entry(holder.clone()).or_default(), key, Some(value), quota)
    }

    fn swap(
        &self,
        holder: &Holder,
        key: &str,
        expected: Option<&[u8]>,
        value: Option<&[u8]>,
        quota: usize,
    ) -> Result<(), Fault> {
        let mut spaces = self.lock();
        let space = spaces.entry(holder.clone()).or_default();
        if space.get(key).map(Vec::as_slice) != expected {
            return Err(Fault::Conflict);
        }
        write(space, key, value, quota)
    }

    fn keys(&self, holder: &Holder, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let spaces = self.lock();
        let keys = spaces.get(holder).into_iter().flat_map(|space| space.range::<str, _>((from, Bound::Unbounded)));
        Ok(keys.map(|(key, _)| key.clone()).take_while(|key| key.starts_with(prefix)).take(limit).collect())
    }
}

fn write(space: &mut BTreeMap<String, Vec<u8>>, key: &str, value: Option<&[u8]>, quota: usize) -> Result<(), Fault> {
    let Some(value) = value else {
        space.remove(key);
        return Ok(());
    };
    let others: usize = space.iter().filter(|(k, _)| *k != key).map(|(k, v)| k.len() + v.len()).sum();
    if others + key.len() + value.len() > quota {
        return Err(Fault::Quota(quota));
    }
    space.insert(key.to_owned(), value.to_vec());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(store: &Arc<InMemory>, tenant: &str) -> Kv {
        let holder = Arc::new(Holder { tenant: tenant.into(), plugin: "prometheus".into() });
        let limits = Limits { kv_bytes: 100, ..Limits::default() };
        Grant::new(holder, Arc::clone(store) as Arc<dyn KeyValue>, &limits).open()
    }

    #[test]
    fn tenants_do_not_see_each_other() {
        let store = Arc::new(InMemory::default());
        kv(&store, "a").put("cursor", b"1").unwrap();
        assert_eq!(kv(&store, "b").get("cursor"), Ok(None));
        assert_eq!(kv(&store, "a").get("cursor"), Ok(Some(b"1".to_vec())));
    }

    #[test]
    fn the_quota_counts_keys_and_values_and_an_overwrite_frees_what_was_there() {
        let kv = kv(&Arc::default(), "a");
        kv.put("k", &[0; 60]).unwrap();
        assert_eq!(kv.put("l", &[0; 60]), Err(Fault::Quota(100)));
        assert_eq!(kv.put("k", &[0; 99]), Ok(()));
        assert_eq!(kv.put("k", &[0; 101]), Err(Fault::Quota(100)));
    }

    #[test]
    fn a_swap_needs_the_expected_value_and_keys_come_in_pages() {
        let kv = kv(&Arc::default(), "a");
        kv.swap("a/1", None, Some(b"x")).unwrap();
        assert_eq!(kv.swap("a/1", None, Some(b"y")), Err(Fault::Conflict));
        kv.swap("a/1", Some(b"x"), Some(b"y")).unwrap();
        for key in ["a/2", "a/3", "b/1"] {
            kv.put(key, b"").unwrap();
        }
        assert_eq!(kv.keys("a/", None, 2).unwrap(), ["a/1", "a/2"]);
        assert_eq!(kv.keys("a/", Some("a/2"), 2).unwrap(), ["a/3"]);
        kv.swap("a/1", Some(b"y"), None).unwrap();
        assert_eq!(kv.get("a/1"), Ok(None));
    }
}
