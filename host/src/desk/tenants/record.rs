//! A tenant as it is kept. It holds secrets, so it is neither printed nor sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::Scope;
use crate::config::{DEFAULT_TENANT, Limits, Quotas, Secret, Tenant, TenantPolicy};
use crate::series::Millis;

/// A tenant.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantRecord {
    /// When it was made.
    pub created: Millis,
    /// What it may grant itself.
    pub policy: TenantPolicy,
    /// Its quotas, as they were set.
    pub quotas: Quotas,
    /// What `${name}` means in its batches.
    pub variables: BTreeMap<String, String>,
    /// Its secrets, by slot.
    pub secrets: BTreeMap<String, SecretRecord>,
    /// Origins that somebody approved of, by plugin.
    pub approved: BTreeMap<String, Vec<String>>,
    /// Its tokens.
    pub tokens: Vec<TokenRecord>,
}

/// A secret of a tenant. It is kept as it is, since it has to be sent.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SecretRecord {
    /// Its value.
    pub value: String,
    /// Where it may be sent to.
    pub origins: Vec<String>,
}

/// A token, by its hash.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Its public part, unique in the node.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// SHA-256 of the whole token.
    pub hash: ByteBuf,
    /// When it was made.
    pub created: Millis,
    /// From when on it is refused.
    pub expires: Option<Millis>,
}

impl TenantRecord {
    /// The tenant as batches are bound to it: what `anomd.yaml` says goes before this record,
    /// and the node's limits stand behind both, for a hosted tenant.
    pub fn over_file(&self, name: &str, file: &Tenant, limits: &Limits) -> Tenant {
        let secrets = self
            .secrets
            .iter()
            .map(|(slot, secret)| (slot.clone(), (Secret::new(secret.value.clone()), secret.origins.clone())));
        let node = if name == DEFAULT_TENANT { Quotas::default() } else { Quotas::of_node(limits) };
        let policy = if file.policy == TenantPolicy::default() { &self.policy } else { &file.policy };
        Tenant {
            secrets: secrets.chain(file.secrets.clone()).collect(),
            grants: file.grants.clone(),
            approved: self.approved.clone(),
            policy: policy.clone(),
            quotas: file.quotas.over(self.quotas).over(node),
            variables: self.variables.clone().into_iter().chain(file.variables.clone()).collect(),
            routing: file.routing.clone(),
        }
    }
}
