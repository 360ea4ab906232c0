//! Tenants: who they are, what they may do, and the tokens by which they are known.
//!
//! The record of a tenant stands in the store. A tenant that stands in `anomd.yaml` needs
//! none until something is added to it, a token say; what the file says goes before the
//! record.

mod grants;
mod record;
mod scope;
mod secrets;
mod settings;
mod token;
mod variables;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use grants::{GrantSet, GrantView};
pub use record::{SecretRecord, TenantRecord, TokenRecord};
pub use scope::Scope;
pub use secrets::{SecretDelete, SecretQuery, SecretSet, SecretView};
use serde::{Deserialize, Serialize};
pub use settings::{PolicySet, QuotaSet};
pub use token::{TokenCreate, TokenCreated, TokenQuery, TokenRevoke, TokenView, hash_of, is_same, parse_token};
use utoipa::ToSchema;
pub use variables::{VariableDelete, VariableQuery, VariableSet, VariableView};

use super::page::Listing;
use super::{Ask, Desk, DeskError, Page, instant};
use crate::config::{DEFAULT_TENANT, Quotas, TenantPolicy, checked_name};
use crate::series::Millis;

/// The longest name of a tenant, in bytes: it is part of paths and of keys.
const NAME_BYTES: usize = 40;

/// Held from reading a record to writing it.
static RECORDS: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    RECORDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which tenants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TenantQuery {
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// One tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TenantShow {}

/// A new tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantCreate {
    /// Its name: up to 40 lower-case letters, digits, `_` and `-`.
    pub name: String,
    /// What it may grant itself; nothing where this is left out.
    #[serde(default)]
    pub policy: TenantPolicy,
    /// Its quotas; the node's where they are left out.
    #[serde(default)]
    pub quotas: Quotas,
}

/// A tenant as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TenantView {
    /// Its name.
    pub name: String,
    /// When it was made; `None`: it stands in `anomd.yaml`, or is the tenant `default`.
    #[serde(with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub created: Option<Millis>,
    /// What it may grant itself.
    pub policy: TenantPolicy,
    /// The quotas that it is held to; `null`: as much as there is.
    pub quotas: Quotas,
    /// Those that were set for it; the others are the node's.
    pub set_quotas: Quotas,
    /// How many tokens it has.
    pub tokens: usize,
    /// How many batches it has data of.
    pub batches: usize,
    /// How many series these have.
    pub series: usize,
}

/// The name of a tenant that is about to be made.
pub fn tenant_name(name: &str) -> Result<String, DeskError> {
    let sound = |name: &str| name.len() <= NAME_BYTES && name.chars().all(|c| !c.is_ascii_uppercase() && c != '.');
    match checked_name(name) {
        Ok(name) if sound(&name) => Ok(name),
        _ => Err(DeskError::invalid(format!(
            "{name:?} cannot be a tenant's name; write up to {NAME_BYTES} lower-case letters, digits, `_` and `-`, a \
             letter or digit first"
        ))),
    }
}

impl Desk<'_> {
    /// Whether there is a tenant of this name.
    pub fn has_tenant(&self, name: &str) -> Result<bool, DeskError> {
        Ok(self.stands_in_file(name) || self.store.tenant::<serde::de::IgnoredAny>(name)?.is_some())
    }

    /// Whether a tenant is there without a record: `default`, and those of `anomd.yaml`.
    pub fn stands_in_file(&self, name: &str) -> bool {
        name == DEFAULT_TENANT || self.config.tenants.contains_key(name)
    }

    /// The record of this desk's tenant; an empty one where `anomd.yaml` alone names it.
    fn record(&self) -> Result<TenantRecord, DeskError> {
        match self.store.tenant(self.tenant)? {
            Some(record) => Ok(record),
            None if self.stands_in_file(self.tenant) => Ok(TenantRecord::default()),
            None => Err(DeskError::unknown(format!(
                "there is no tenant `{0}`; `anomd tenant create {0}` makes it",
                self.tenant
            ))),
        }
    }

    /// Changes the record of this desk's tenant.
    fn change_record<T>(&self, change: impl FnOnce(&mut TenantRecord) -> Result<T, DeskError>) -> Result<T, DeskError> {
        let _alone = alone();
        let mut record = self.record()?;
        let changed = change(&mut record)?;
        self.store.write_tenant(self.tenant, &record)?;
        Ok(changed)
    }

    fn tenant_view(&self, name: &str, record: Option<TenantRecord>) -> TenantView {
        let file = self.config.tenants.get(name).cloned().unwrap_or_default();
        let record = record.unwrap_or_default();
        let merged = record.over_file(name, &file, &self.config.limits);
        TenantView {
            name: name.to_owned(),
            created: (!self.stands_in_file(name)).then_some(record.created),
            policy: merged.policy,
            quotas: merged.quotas,
            set_quotas: record.quotas,
            tokens: record.tokens.len(),
            batches: self.store.batches_of(name).len(),
            series: self.store.series_count_of(name),
        }
    }
}

impl Ask for TenantQuery {
    type Reply = Page<TenantView>;

    fn ask(&self, desk: &Desk<'_>) -> Result<Page<TenantView>, DeskError> {
        let mut records: std::collections::BTreeMap<String, Option<TenantRecord>> =
            desk.store.tenants()?.into_iter().map(|(name, record)| (name, Some(record))).collect();
        for name in desk.config.tenants.keys() {
            records.entry(name.clone()).or_default();
        }
        let most = desk.config.limits.api_page_items;
        let page = Page::of(records, |(name, _)| name.clone(), self.cursor.as_deref(), self.limit, most)?;
        page.map(|(name, record)| Ok(desk.tenant_view(&name, record)))
    }
}

impl Listing for TenantQuery {
    type Item = TenantView;

    fn go_on(&mut self, cursor: Option<String>, limit: usize) {
        (self.cursor, self.limit) = (cursor, Some(limit));
    }
}

impl Ask for TenantShow {
    type Reply = TenantView;

    fn ask(&self, desk: &Desk<'_>) -> Result<TenantView, DeskError> {
        let record = desk.record()?;
        Ok(desk.tenant_view(desk.tenant, Some(record)))
    }
}

impl Ask for TenantCreate {
    type Reply = TenantView;

    fn ask(&self, desk: &Desk<'_>) -> Result<TenantView, DeskError> {
        let name = tenant_name(&self.name)?;
        let policy = self.policy.clone().checked().map_err(DeskError::invalid)?;
        let _alone = alone();
        if desk.has_tenant(&name)? {
            return Err(DeskError::conflict(format!("there is a tenant `{name}` already; choose another name")));
        }
        let record = TenantRecord { created: desk.now, policy, quotas: self.quotas, ..TenantRecord::default() };
        // An earlier tenant of this name may have been deleted: what comes late for it is refused.
        desk.store.set_quotas(&name, Quotas::default());
        desk.store.write_tenant(&name, &record)?;
        Ok(desk.tenant_view(&name, Some(record)))
    }
}
