//! Reading models: what is known of them, what scoring is passed of them, or all of them.
//!
//! Whoever needs no bytes asks for the metadata: bytes lie in another file, and are checked
//! whenever they are read.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::database::{Database, Inner, model_key};
use super::entry::{Body, ModelEntry, decode};
use super::keys::Space;
use super::record::{ModelMetadata, ModelRecord, SeriesId};
use super::{Digest, StoreError};
use crate::config::BatchKey;

impl Database {
    /// What is known of the models of series under a tag, in the order asked for. Their bytes are not
    /// read: they may be missing or damaged.
    pub fn model_metadata(
        &self,
        key: &BatchKey,
        tag: &str,
        series: &[SeriesId],
    ) -> Result<Vec<Option<ModelMetadata>>, StoreError> {
        self.inner.model_entries(key, tag, series, |entry| Ok(Some(entry.metadata())))
    }

    /// The models of series under a tag, in the order asked for.
    ///
    /// `None` also where the bytes of a model are missing or are not those that were written:
    /// a fit makes another, and a warning says so.
    pub fn models(
        &self,
        key: &BatchKey,
        tag: &str,
        series: &[SeriesId],
    ) -> Result<Vec<Option<ModelRecord>>, StoreError> {
        self.inner.model_entries(key, tag, series, |entry| {
            let bytes = self.inner.model_bytes(&entry.body, u64::MAX)?;
            let bytes = bytes.filter(|bytes| Digest::of(bytes) == entry.digest);
            Ok(entry.record(key, bytes))
        })
    }

    /// The same with the heads of the models: what scoring reads. The rest of their bytes is not
    /// read, and not checked.
    pub fn heads(
        &self,
        key: &BatchKey,
        tag: &str,
        series: &[SeriesId],
    ) -> Result<Vec<Option<ModelRecord>>, StoreError> {
        self.inner.model_entries(key, tag, series, |entry| {
            let bytes = self.inner.model_bytes(&entry.body, entry.head)?;
            let bytes = bytes.filter(|bytes| crc32fast::hash(bytes) == entry.head_crc32);
            Ok(entry.record(key, bytes))
        })
    }

    /// The tags under which a batch has models.
    pub fn model_tags(&self, key: &BatchKey) -> Result<Vec<String>, StoreError> {
        let Some(batch) = self.inner.batch_id(key) else { return Ok(Vec::new()) };
        let mut tags = BTreeSet::new();
        for (_, value) in self.inner.scan(&Space::Model.batch(batch), None)? {
            let entry: ModelEntry = decode("a model", &value)?;
            tags.insert(entry.tag);
        }
        Ok(tags.into_iter().collect())
    }
}

impl Inner {
    /// What is made of the entries of models, in the order asked for.
    fn model_entries<T: Clone>(
        &self,
        key: &BatchKey,
        tag: &str,
        series: &[SeriesId],
        make: impl Fn(ModelEntry) -> Result<Option<T>, StoreError>,
    ) -> Result<Vec<Option<T>>, StoreError> {
        let Some(batch) = self.batch_id(key) else { return Ok(vec![None; series.len()]) };
        let place = format!("the models of {key}");
        let one = |id: &SeriesId| match self.get(&model_key(batch, tag, id.0).done())? {
            Some(value) => make(decode(&place, &value)?),
            None => Ok(None),
        };
        series.iter().map(one).collect()
    }

    /// The first bytes of a model, at most so many, as they are; `None` where they are missing.
    fn model_bytes(&self, body: &Body, most: u64) -> Result<Option<Vec<u8>>, StoreError> {
        match body {
            Body::Inline(bytes) => {
                let most = usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes.get(..most).map(<[u8]>::to_vec))
            }
            Body::Blob { blob, start, length } => {
                self.store.get_blob(blob, *start..start.saturating_add(most.min(*length)))
            }
        }
    }
}

impl ModelEntry {
    fn metadata(self) -> ModelMetadata {
        let Self {
            series,
            tag,
            plugin,
            plugin_digest,
            config_digest,
            slot,
            data,
            digest,
            head: _,
            head_crc32: _,
            body: _,
            left_out: _,
            facts: _,
        } = self;
        let (series, digest) = (SeriesId(series), digest.to_string());
        ModelMetadata { series, tag, plugin, plugin_digest, config_digest, slot, data, digest }
    }

    /// With those of its bytes that were asked for; nothing without them.
    fn record(self, key: &BatchKey, bytes: Option<Vec<u8>>) -> Option<ModelRecord> {
        let metadata = self.metadata();
        if bytes.is_none() {
            let ModelMetadata { digest, series, .. } = &metadata;
            tracing::warn!(
                "the model {digest} of series {} of {key} is missing or damaged; it has to be fit again",
                series.0
            );
        }
        Some(ModelRecord { metadata, bytes: Arc::from(bytes?) })
    }
}
