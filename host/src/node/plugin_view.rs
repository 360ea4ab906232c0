//! A plugin as a tenant sees it: what it is, what it may do of what it wants, and how it fares.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Node;
use crate::config::{DEFAULT_TENANT, Node as NodeConfig};
use crate::desk::instant;
use crate::plugin::{Came, Cost, Import, Past, Plugin, Profile};
use crate::series::Millis;

/// A plugin as a tenant sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PluginView {
    /// The name that batches use.
    pub name: String,
    /// The version that it says it is.
    pub version: String,
    /// What it is for.
    pub role: String,
    /// What it is, in a line.
    pub summary: String,
    /// Sha-256 of its file, in hex.
    pub digest: String,
    /// How it came here: `bundled`, `folder` or `installed`.
    pub came: Came,
    /// What of the same name it stands before.
    pub hides: Option<Came>,
    /// The version of the contract that it was built against.
    pub contract: String,
    /// Whether the tenant's batches may use it.
    pub allowed: bool,
    /// Why it does not load.
    pub problem: Option<String>,
    /// All that it can do: what it imports.
    pub imports: Vec<String>,
    /// The origins that it would like to reach.
    pub origins: Vec<WantedOrigin>,
    /// All origins that were granted to it by the operator, or approved of.
    pub granted_origins: Vec<String>,
    /// Of these, those that were approved of.
    pub approved: Vec<String>,
    /// The secrets that it can use.
    pub secrets: Vec<WantedSecret>,
    /// The batches that use it, and `alerting` for the tenant's routes.
    pub users: Vec<String>,
    /// What the tenant's calls of it have cost since the node began.
    pub cost: CostView,
    /// Its quarantine, where it is in one.
    pub quarantine: Option<QuarantineView>,
    /// Where it was installed from; so with the following.
    pub source: Option<String>,
    /// When.
    pub installed: Option<String>,
    /// Its number among those of its name.
    pub generation: Option<u32>,
    /// Earlier generations on which calls are still under way.
    pub draining: usize,
    /// Those before it, the newest first.
    pub past: Vec<Past>,
    /// The JSON Schema of its configuration, where one plugin is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub config_schema: Option<serde_json::Value>,
}

/// An origin that a plugin would like to reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WantedOrigin {
    /// The origin; `{{config.url}}` is the one that a batch names in its parameters.
    pub origin: String,
    /// Whether it may.
    pub granted: bool,
    /// By what: `bundled`, `anomd.yaml`, `approval`, or `batch`, where each batch says it. Where
    /// it may not: `policy`, if the tenant's policy is in the way, else nothing.
    pub by: String,
}

/// A secret that a plugin can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WantedSecret {
    /// Its slot.
    pub slot: String,
    /// What it is for.
    pub purpose: String,
    /// Whether the tenant has a secret in this slot. A batch of a file may have its own.
    pub set: bool,
    /// Where that may be sent to.
    pub origins: Vec<String>,
}

/// What calls of a plugin have cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CostView {
    /// Calls that ended, however they ended.
    pub calls: u64,
    /// CPU of all of them, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory that an instance had, in bytes.
    pub memory_bytes: u64,
    /// Calls that gave nothing, by who has to act: `plugin`, `limit`, `remote`, `operator`, `host`.
    pub faults: BTreeMap<String, u64>,
}

impl From<Cost> for CostView {
    fn from(cost: Cost) -> Self {
        Self {
            calls: cost.calls,
            cpu_ms: u64::try_from(cost.cpu.as_millis()).unwrap_or(u64::MAX),
            memory_bytes: cost.memory_peak as u64,
            faults: cost.faults.into_iter().map(|(blame, count)| (blame.to_string(), count)).collect(),
        }
    }
}

impl CostView {
    /// Its CPU, for people.
    pub fn cpu(&self) -> String {
        match self.cpu_ms {
            ms if ms < 10_000 => format!("{ms} ms"),
            ms => format!("{} s", ms / 1_000),
        }
    }

    /// Its memory, for people.
    pub fn memory(&self) -> String {
        match self.memory_bytes {
            bytes if bytes < 1 << 20 => format!("{} KiB", bytes >> 10),
            bytes => format!("{} MiB", bytes >> 20),
        }
    }

    /// All faults.
    pub fn faulty(&self) -> u64 {
        self.faults.values().sum()
    }
}

/// A quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineView {
    /// From when on a call is let through on trial.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub until: Millis,
    /// Faults in a row, of which the plugin is to blame.
    pub faults: u32,
    /// What the last of them said.
    pub last: String,
}

impl Node {
    /// The plugins that a tenant sees, by name.
    pub fn plugin_views(&self, tenant: &str) -> Vec<PluginView> {
        let names = self.catalogue.names(tenant);
        names.into_iter().filter_map(|name| self.plugin_view(tenant, &name)).collect()
    }

    /// A plugin that a tenant sees, without its schema.
    pub fn plugin_view(&self, tenant: &str, name: &str) -> Option<PluginView> {
        let config = self.config_now();
        let shared = self.catalogue.shared(name);
        let installed = self.catalogue.installed(tenant, name);
        let users = self.users_of(tenant, name);
        let draining = self.catalogue.draining(tenant, name);
        let view = match installed {
            None => view(&config, tenant, shared?),
            Some(installed) => {
                let locked = installed.locked;
                let plain = match &installed.plugin {
                    Ok(plugin) => view(&config, tenant, plugin),
                    Err(fault) => {
                        let view = profiled(&config, tenant, name, Came::Installed, &locked.profile);
                        PluginView { problem: Some(fault.to_string()), digest: locked.hex().to_owned(), ..view }
                    }
                };
                PluginView {
                    hides: shared.map(|shared| shared.came()),
                    source: Some(locked.source),
                    installed: Some(locked.installed),
                    generation: Some(locked.generation),
                    past: locked.past,
                    ..plain
                }
            }
        };
        let cost = self.catalogue.runtime().costs_of(tenant).remove(name).map(CostView::from).unwrap_or_default();
        Some(PluginView { users, draining, cost, ..view })
    }
}

fn view(config: &NodeConfig, tenant: &str, plugin: &Plugin) -> PluginView {
    let mut view = profiled(config, tenant, plugin.name(), plugin.came(), &plugin.profile());
    for wanted in &mut view.secrets {
        let slot = plugin.secrets().iter().find(|slot| slot.name == wanted.slot);
        wanted.purpose = slot.map(|slot| slot.purpose.clone()).unwrap_or_default();
    }
    let quarantine = plugin.quarantine(tenant);
    PluginView {
        summary: plugin.summary().to_owned(),
        digest: plugin.digest().to_owned(),
        imports: plugin.imports().iter().map(Import::name).collect(),
        hides: (plugin.came() == Came::Folder && crate::plugin::bundled(plugin.name()).is_some())
            .then_some(Came::Bundled),
        quarantine: quarantine.map(|quarantine| QuarantineView {
            until: quarantine.until,
            faults: quarantine.faults,
            last: quarantine.last,
        }),
        ..view
    }
}

/// What is known of a plugin by its profile.
fn profiled(config: &NodeConfig, tenant: &str, name: &str, came: Came, profile: &Profile) -> PluginView {
    let own = config.tenants.get(tenant);
    let granted = own.and_then(|own| own.grants.get(name));
    let of_operator = granted.map(|granted| granted.origins.clone()).unwrap_or_default();
    let approved = own.and_then(|own| own.approved.get(name)).cloned().unwrap_or_default();
    let within = |origin: &str| tenant == DEFAULT_TENANT || own.is_some_and(|own| own.policy.allows_origin(origin));
    let bundled = came == Came::Bundled;
    let wanted = |origin: &String| {
        let (granted, by) = match origin {
            origin if origin.starts_with("{{") => (true, "batch"),
            origin if of_operator.contains(origin) => (true, "anomd.yaml"),
            origin if !within(origin) => (false, "policy"),
            origin if approved.contains(origin) => (true, "approval"),
            _ if bundled => (true, "bundled"),
            _ => (false, ""),
        };
        WantedOrigin { origin: origin.clone(), granted, by: by.to_owned() }
    };
    let secret = |slot: &String| {
        let set = own.and_then(|own| own.secrets.get(slot));
        WantedSecret {
            slot: slot.clone(),
            purpose: String::new(),
            set: set.is_some(),
            origins: set.map(|(_, origins)| origins.clone()).unwrap_or_default(),
        }
    };
    PluginView {
        name: name.to_owned(),
        version: profile.version.clone(),
        role: profile.role.clone(),
        summary: String::new(),
        digest: String::new(),
        came,
        hides: None,
        contract: profile.contract.clone(),
        allowed: tenant == DEFAULT_TENANT
            || granted.is_some()
            || own.is_some_and(|own| own.policy.allows_plugin(name, bundled)),
        problem: None,
        imports: profile.imports.clone(),
        origins: profile.origins.iter().map(wanted).collect(),
        granted_origins: of_operator.iter().cloned().chain(approved.iter().filter(|o| within(o)).cloned()).collect(),
        approved,
        secrets: profile.secrets.iter().map(secret).collect(),
        users: Vec::new(),
        cost: CostView::default(),
        quarantine: None,
        source: None,
        installed: None,
        generation: None,
        draining: 0,
        past: Vec::new(),
        config_schema: None,
    }
}
