//! What a tenant approves of for its plugins: origins, by plugin.
//!
//! An approval is held to the tenant's policy when it is given and whenever it is used. It
//! stands over upgrades; what a new version wants in addition has to be approved of anew.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Ask, Desk, DeskError};
use crate::config::{DEFAULT_TENANT, component_name, parse_origin};

/// Origins of a plugin.
const ORIGINS: usize = 100;

/// Sets the origins that a plugin may reach beside those that `anomd.yaml` grants and batches
/// name; none takes all approvals back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantSet {
    /// The plugin, as batches name it.
    #[serde(default)]
    pub id: String,
    /// The origins: `https://hooks.slack.com`.
    pub origins: Vec<String>,
}

/// What was approved of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GrantView {
    /// The plugin.
    pub plugin: String,
    /// The origins.
    pub origins: Vec<String>,
}

impl Ask for GrantSet {
    type Reply = GrantView;

    fn ask(&self, desk: &Desk<'_>) -> Result<GrantView, DeskError> {
        let sentence = |(message, remedy): (String, String)| DeskError::invalid(format!("{message}; {remedy}"));
        let plugin = component_name(&self.id).map_err(sentence)?;
        if self.origins.len() > ORIGINS {
            return Err(DeskError::invalid(format!("a plugin has at most {ORIGINS} origins")));
        }
        let origins: Vec<String> =
            self.origins.iter().map(|text| parse_origin(text)).collect::<Result<_, _>>().map_err(sentence)?;
        let most = desk.config.limits.tenant_variables;
        desk.change_record(|record| {
            let file = desk.config.tenants.get(desk.tenant).cloned().unwrap_or_default();
            let policy = record.over_file(desk.tenant, &file, &desk.config.limits).policy;
            if desk.tenant != DEFAULT_TENANT
                && let Some(beyond) = origins.iter().find(|origin| !policy.allows_origin(origin))
            {
                return Err(DeskError::conflict(format!(
                    "the policy of tenant {0} does not allow {beyond}; `anomd tenant policy {0} --origin {beyond}` does",
                    desk.tenant
                )));
            }
            match origins.is_empty() {
                true => drop(record.approved.remove(&plugin)),
                false => drop(record.approved.insert(plugin.clone(), origins.clone())),
            }
            if record.approved.len() > most {
                return Err(DeskError::conflict(format!("a tenant approves of origins for at most {most} plugins")));
            }
            Ok(GrantView { plugin: plugin.clone(), origins: origins.clone() })
        })
    }
}
