//! The tenants of a running node: those of `anomd.yaml` and those of the store, as one
//! configuration, and the tokens by which requests are told apart.
//!
//! The store has the truth; this is read from it again after each change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::Node;
use crate::config::{DEFAULT_TENANT, Node as NodeConfig, Quotas};
use crate::desk::tenants::{Scope, TenantRecord, TokenRecord, is_same, parse_token};
use crate::series::Millis;
use crate::store::StoreError;

/// What was last read.
#[derive(Default)]
pub(super) struct Registry {
    config: Option<Arc<NodeConfig>>,
    records: BTreeMap<String, TenantRecord>,
    /// By the public part of a token.
    tokens: BTreeMap<String, (String, TokenRecord)>,
}

/// Whom a token is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHolder {
    /// The tenant.
    pub tenant: String,
    /// What it allows.
    pub scope: Scope,
    /// Its public part.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// From when on it is refused.
    pub expires: Option<Millis>,
}

impl TokenHolder {
    fn of(tenant: &str, record: &TokenRecord) -> Self {
        let TokenRecord { id, name, scope, expires, .. } = record.clone();
        Self { tenant: tenant.to_owned(), scope, id, name, expires }
    }
}

impl Registry {
    /// Reads all tenants. Gives those whose batches have to be bound anew.
    pub fn read(&mut self, node: &Node) -> Result<BTreeSet<String>, StoreError> {
        let records: BTreeMap<String, TenantRecord> = node.store.tenants()?.into_iter().collect();
        let mut config = node.config.clone();
        let mut changed = BTreeSet::new();
        for name in records.keys().chain(self.records.keys()) {
            let shape = |records: &BTreeMap<String, TenantRecord>| {
                let record = records.get(name)?;
                Some((record.policy.clone(), record.variables.clone(), record.secrets.clone(), record.approved.clone()))
            };
            if shape(&records) != shape(&self.records) {
                changed.insert(name.clone());
            }
        }
        let none = TenantRecord::default();
        let names: BTreeSet<String> = records.keys().chain(node.config.tenants.keys()).cloned().collect();
        for name in &names {
            let file = node.config.tenants.get(name).cloned().unwrap_or_default();
            let record = records.get(name).unwrap_or(&none);
            let tenant = record.over_file(name, &file, &node.config.limits);
            node.store.set_quotas(name, tenant.quotas);
            node.catalogue.runtime().set_quotas(name, &tenant.quotas);
            config.tenants.insert(name.clone(), tenant);
        }
        for name in records.keys().filter(|name| *name != DEFAULT_TENANT) {
            let folder = node.folder_of(name).join("batches");
            if let Err(error) = std::fs::create_dir_all(&folder) {
                tracing::warn!(tenant = name, "cannot make the folder {}: {error}", folder.display());
            }
        }
        let tokens = records.iter().flat_map(|(name, record)| {
            record.tokens.iter().map(move |token| (token.id.clone(), (name.clone(), token.clone())))
        });
        self.tokens = tokens.collect();
        self.config = Some(Arc::new(config));
        self.records = records;
        Ok(changed)
    }
}

impl Node {
    fn registry(&self) -> std::sync::RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node's file with all tenants as they are now.
    pub fn config_now(&self) -> Arc<NodeConfig> {
        let config = self.registry().config.clone();
        config.unwrap_or_else(|| Arc::new(self.config.clone()))
    }

    /// All tenants, by name.
    pub fn tenant_names(&self) -> Vec<String> {
        self.config_now().tenants.keys().cloned().collect()
    }

    /// Whether there is a tenant of this name.
    pub fn has_tenant(&self, name: &str) -> bool {
        self.config_now().tenants.contains_key(name)
    }

    /// Whether it has a tenant beside `default`, or a token: then nothing is told to those who
    /// show none.
    pub fn is_shared(&self) -> bool {
        let registry = self.registry();
        let others = |config: &Arc<NodeConfig>| config.tenants.keys().any(|name| name != DEFAULT_TENANT);
        !registry.tokens.is_empty() || registry.config.as_ref().is_some_and(others)
    }

    /// Whether anybody has a token.
    pub fn has_tokens(&self) -> bool {
        !self.registry().tokens.is_empty()
    }

    /// Whom a token is for; `None`: it is nobody's, revoked, or has expired.
    pub fn holder_of(&self, token: &str, now: Millis) -> Option<TokenHolder> {
        let registry = self.registry();
        let (tenant, record) = registry.tokens.get(parse_token(token)?)?;
        let holds = is_same(&record.hash, token) && record.expires.is_none_or(|expires| expires > now);
        holds.then(|| TokenHolder::of(tenant, record))
    }

    /// Whom the token with this public part is for, as [`Node::holder_of`] says it.
    pub(super) fn holder_by_id(&self, id: &str, now: Millis) -> Option<TokenHolder> {
        let registry = self.registry();
        let (tenant, record) = registry.tokens.get(id)?;
        record.expires.is_none_or(|expires| expires > now).then(|| TokenHolder::of(tenant, record))
    }

    /// The quotas that a tenant is held to.
    pub fn quotas(&self, tenant: &str) -> Quotas {
        self.config_now().tenants.get(tenant).map(|tenant| tenant.quotas).unwrap_or_default()
    }
}

/// Where a node keeps it.
pub(super) type Shared = RwLock<Registry>;
