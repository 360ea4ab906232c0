//! What a role may be granted, and what one use of a plugin is.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;

use super::Role;
use super::manifest::Name;
use crate::capability::kv::KeyValue;
use crate::config::{Grants, Mail, Secret};

/// The package of the contract.
pub(super) const PACKAGE: &str = "anomd:plugin";
/// The version of the contract that this host offers.
pub const VERSION: &str = "0.1.0";

/// An interface that this host offers.
pub(super) struct Offer {
    pub interface: &'static str,
    pub functions: &'static [&'static str],
    pub roles: &'static [Role],
}

/// All that this host offers: to `anomd:plugin@0.1.0` what the linker is to a component.
pub(super) const OFFERS: [Offer; 7] = [
    // Has no functions, so it grants nothing.
    Offer { interface: "types", functions: &[], roles: &Role::ALL },
    Offer { interface: "log", functions: &["write"], roles: &Role::ALL },
    Offer { interface: "clock", functions: &["now"], roles: &Role::ALL },
    Offer { interface: "random", functions: &["seed", "draw"], roles: &Role::ALL },
    Offer { interface: "http", functions: &["send"], roles: &[Role::Ingester, Role::Notifier, Role::Analyst] },
    Offer { interface: "kv", functions: &["get", "put", "swap", "keys"], roles: &[Role::Ingester, Role::Notifier] },
    Offer { interface: "mail", functions: &["send"], roles: &[Role::Notifier] },
];

/// The offer of an interface by its name, whatever the version.
pub(super) fn offer(name: &Name) -> Option<&'static Offer> {
    OFFERS.iter().find(|offer| name.package == PACKAGE && offer.interface == name.interface)
}

/// The roles that may be granted an interface.
pub(super) fn roles(name: &Name) -> Vec<Role> {
    offer(name).map(|offer| offer.roles.to_vec()).unwrap_or_default()
}

/// One use of a plugin: for whom, and what it may do there.
#[derive(Clone)]
pub struct Use {
    /// The tenant.
    pub tenant: String,
    /// The batch, or whatever else uses it.
    pub batch: String,
    /// What it may reach.
    pub grants: Grants,
    /// By slot: a secret and the origins that it may be sent to.
    pub secrets: BTreeMap<String, (Secret, Vec<String>)>,
    /// The zone that is told to the plugin.
    pub timezone: Tz,
    /// The host's mail account.
    pub mail: Option<Mail>,
    /// Where it keeps bytes.
    pub kv: Arc<dyn KeyValue>,
    /// Whether an instance serves many calls: quicker, above all in Python and JavaScript,
    /// and what the plugin left in its memory is there in the next call.
    pub warm: bool,
}
