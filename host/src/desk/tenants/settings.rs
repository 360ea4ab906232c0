//! What the operator sets for a tenant: its policy and its quotas, each as a whole.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Ask, Desk, DeskError, TenantShow, TenantView};
use crate::config::{Quotas, TenantPolicy};

/// Sets what a tenant may grant itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct PolicySet(pub TenantPolicy);

/// Sets the quotas of a tenant; what is left out is the node's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct QuotaSet(pub Quotas);

/// What `anomd.yaml` sets cannot be set over it.
fn check_free(desk: &Desk<'_>, what: &str, in_file: bool) -> Result<(), DeskError> {
    match in_file {
        true => Err(DeskError::conflict(format!(
            "the {what} of tenant {} stand in anomd.yaml, which goes before; change them there",
            desk.tenant
        ))),
        false => Ok(()),
    }
}

impl Ask for PolicySet {
    type Reply = TenantView;

    fn ask(&self, desk: &Desk<'_>) -> Result<TenantView, DeskError> {
        let in_file = desk.config.tenants.get(desk.tenant).is_some_and(|file| file.policy != TenantPolicy::default());
        check_free(desk, "bounds (policy)", in_file)?;
        let policy = self.0.clone().checked().map_err(DeskError::invalid)?;
        desk.change_record(|record| {
            record.policy = policy;
            Ok(())
        })?;
        TenantShow {}.ask(desk)
    }
}

impl Ask for QuotaSet {
    type Reply = TenantView;

    fn ask(&self, desk: &Desk<'_>) -> Result<TenantView, DeskError> {
        let in_file = desk.config.tenants.get(desk.tenant).is_some_and(|file| file.quotas != Quotas::default());
        check_free(desk, "quotas", in_file)?;
        desk.change_record(|record| {
            record.quotas = self.0;
            Ok(())
        })?;
        TenantShow {}.ask(desk)
    }
}
