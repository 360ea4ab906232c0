//! The batches that came through the API: their texts stand in the store, each is bound as
//! those of files are, and the tenant's declared variables are all that they see.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Node, bind};
use crate::config::{BatchKey, Environment, Problem, Problems, load_hosted_text};
use crate::pipeline::BoundBatch;
use crate::series::Millis;
use crate::store::{DocumentKind, DocumentWrite, StoreError};

/// The names of the documents that say that a batch is paused.
const PAUSED: &str = "paused/";

/// The text of a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchText {
    /// As it was written: YAML.
    pub text: String,
    /// When.
    pub written: Millis,
}

/// Why a batch was not taken.
#[derive(Debug)]
pub enum Untaken {
    /// What is wrong with it.
    Problems(Problems),
    /// It cannot be now.
    Conflict(String),
    /// The store cannot be used.
    Store(StoreError),
}

impl From<StoreError> for Untaken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Node {
    /// What the batches of a hosted tenant see of variables.
    pub fn environment_of(&self, tenant: &str) -> Environment {
        let config = self.config_now();
        let variables = config.tenants.get(tenant).map(|tenant| tenant.variables.clone()).unwrap_or_default();
        Environment::of_tenant(tenant, variables)
    }

    /// The folder of a hosted tenant; everything in it goes with the tenant.
    pub fn folder_of(&self, tenant: &str) -> PathBuf {
        self.config.data.join("tenants").join(tenant)
    }

    /// Takes up what the store has: tenants, their batches, what is paused. What is wrong with
    /// a batch is kept for whoever asks, and keeps no other from being taken up.
    pub async fn take_up_hosted(&self) -> Result<(), StoreError> {
        self.registry.write().unwrap_or_else(PoisonError::into_inner).read(self)?;
        for tenant in self.tenant_names() {
            for (name, _) in self.store.documents::<bool>(&tenant, DocumentKind::State, PAUSED)? {
                let batch = name.trim_start_matches(PAUSED).to_owned();
                self.paused().insert(BatchKey { tenant: tenant.clone(), batch });
            }
            self.bind_hosted(&tenant).await?;
        }
        Ok(())
    }

    /// Reads the tenants again after a change, and binds the batches of those that changed.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let changed = self.registry.write().unwrap_or_else(PoisonError::into_inner).read(self)?;
        for tenant in changed {
            self.generation.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            if self.has_tenant(&tenant) {
                self.bind_again(&tenant).await;
                self.bind_hosted(&tenant).await?;
            }
        }
        self.end_sessions_without_token()?;
        self.changed.notify_one();
        Ok(())
    }

    /// Binds the batches of a tenant anew, as they were read: with what is granted now.
    async fn bind_again(&self, tenant: &str) {
        for bound in self.batches().into_iter().filter(|bound| bound.batch.key.tenant == tenant) {
            if let Err(problems) = self.take_up(bound.batch.clone()).await {
                tracing::warn!(batch = %bound.batch.key, "goes on as it was: {problems}");
            }
        }
    }

    pub(super) async fn bind_hosted(&self, tenant: &str) -> Result<(), StoreError> {
        for (name, kept) in self.store.documents::<BatchText>(tenant, DocumentKind::Batch, "")? {
            let key = BatchKey { tenant: tenant.to_owned(), batch: name };
            if let Err(problems) = self.bind_text(&key, &kept.text).await {
                tracing::warn!(tenant, batch = key.batch, "not taken up: {problems}");
                self.faulty().insert(key, problems);
            }
        }
        Ok(())
    }

    async fn bind_text(&self, key: &BatchKey, text: &str) -> Result<Arc<BoundBatch>, Problems> {
        let batch = load_hosted_text(&key.batch, text, &self.environment_of(&key.tenant))?;
        if batch.key != *key {
            let message = format!("is {:?}, and the address names {:?}", batch.key.batch, key.batch);
            return Err(batch.error_at("/metric_batch", message, "write the same name into both").into());
        }
        let bound = self.take_up(batch).await?;
        self.faulty().remove(key);
        Ok(bound)
    }

    /// All that is wrong with the text of a batch; nothing is kept or run.
    pub async fn check_text(&self, tenant: &str, name: &str, text: &str) -> Problems {
        let batch = match load_hosted_text(name, text, &self.environment_of(tenant)) {
            Ok(batch) => batch,
            Err(problems) => return problems,
        };
        let mut problems = batch.warnings.clone();
        let found = bind::check(&batch, &problems, &self.config_now(), &self.catalogue).await;
        problems.extend(found);
        problems
    }

    /// Keeps the text of a batch and takes it up, in place of an earlier one of its name. A
    /// text with errors changes nothing.
    pub async fn put_batch(&self, key: &BatchKey, text: &str) -> Result<Problems, Untaken> {
        let is_new = self.batch_text(key)?.is_none();
        if is_new && self.batch(key).is_some() {
            return Err(Untaken::Conflict(format!(
                "the batch {key} stands in a file of the node; change it there, or choose another name"
            )));
        }
        if is_new && let Some(most) = self.quotas(&key.tenant).batches {
            let known = self.store.documents::<serde::de::IgnoredAny>(&key.tenant, DocumentKind::Batch, "")?.len();
            if known as u64 >= most {
                return Err(Untaken::Conflict(format!(
                    "tenant {} has {known} batches, as many as it may (its quota batches); delete one",
                    key.tenant
                )));
            }
        }
        let problems = self.check_text(&key.tenant, &key.batch, text).await;
        if problems.has_errors() {
            return Err(Untaken::Problems(problems));
        }
        self.bind_text(key, text).await.map_err(Untaken::Problems)?;
        let kept = BatchText { text: text.to_owned(), written: self.clock.now() };
        let write = DocumentWrite::of(DocumentKind::Batch, &key.batch, &kept);
        if let Err(error) = self.store.write_documents(&key.tenant, vec![write]) {
            self.give_up(key);
            return Err(error.into());
        }
        self.changed.notify_one();
        Ok(problems)
    }

    /// The text of a batch that came through the API.
    pub fn batch_text(&self, key: &BatchKey) -> Result<Option<BatchText>, StoreError> {
        self.store.document(&key.tenant, DocumentKind::Batch, &key.batch)
    }

    /// Deletes a batch that came through the API, with everything that it has.
    pub fn delete_batch(self: &Arc<Self>, key: &BatchKey) -> Result<(), Untaken> {
        if self.batch_text(key)?.is_none() {
            return Err(Untaken::Conflict(format!("the batch {key} stands in a file of the node; delete that")));
        }
        let Some(_guard) = self.claim(key) else {
            return Err(Untaken::Conflict(format!("a run of {key} is under way; try again when it has ended")));
        };
        self.give_up(key);
        let paused = format!("{PAUSED}{}", key.batch);
        let writes = vec![
            DocumentWrite::deletion(DocumentKind::Batch, &key.batch),
            DocumentWrite::deletion(DocumentKind::State, paused),
        ];
        self.store.write_documents(&key.tenant, writes)?;
        self.store.delete_batch(key)?;
        self.paused().remove(key);
        self.faulty().remove(key);
        Ok(())
    }

    /// Pauses a batch, so that no run of it starts by itself, or lets it go on.
    pub fn pause(&self, key: &BatchKey, paused: bool) -> Result<(), StoreError> {
        let name = format!("{PAUSED}{}", key.batch);
        let write = match paused {
            true => DocumentWrite::of(DocumentKind::State, name, &true),
            false => DocumentWrite::deletion(DocumentKind::State, name),
        };
        self.store.write_documents(&key.tenant, vec![write])?;
        if paused {
            self.paused().insert(key.clone());
        } else {
            self.paused().remove(key);
        }
        self.changed.notify_one();
        Ok(())
    }

    /// Whether a batch is paused.
    pub fn is_paused(&self, key: &BatchKey) -> bool {
        self.paused().contains(key)
    }

    /// What is wrong with a batch that came through the API and is not taken up.
    pub fn problems_of(&self, key: &BatchKey) -> Vec<Problem> {
        self.faulty().get(key).map(|problems| problems.iter().cloned().collect()).unwrap_or_default()
    }

    /// The batches of a tenant: those that are taken up, and those whose text is kept.
    pub fn batch_names(&self, tenant: &str) -> Result<BTreeSet<String>, StoreError> {
        let bound = self.batches().into_iter().map(|bound| bound.batch.key.clone());
        let own = bound.filter(|key| key.tenant == tenant).map(|key| key.batch);
        let kept = self.store.documents::<serde::de::IgnoredAny>(tenant, DocumentKind::Batch, "")?;
        Ok(own.chain(kept.into_iter().map(|(name, _)| name)).collect())
    }
}
