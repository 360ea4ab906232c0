//! Whether a component asks for what this host offers to its role.
//!
//! Checked before anything is compiled, so that the text names the import, the version
//! wanted and the versions offered, and not a linker's view of it.

use super::Role;
use super::grants::{OFFERS, PACKAGE, VERSION, offer};
use super::manifest::{Import, Manifest};

/// Why a component is not loaded, and what its author can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub message: String,
    pub remedy: String,
}

/// Refuses the first import or export that does not fit.
pub(super) fn check(manifest: &Manifest, role: Role, contract: &str) -> Result<(), Refusal> {
    if !compatible(contract) {
        return Err(Refusal {
            message: format!(
                "it exports {PACKAGE}/{}@{contract}; this host speaks {PACKAGE}@{VERSION}",
                role.export()
            ),
            remedy: format!("build it against wit/ of version {VERSION}, or use an anomd that speaks {contract}"),
        });
    }
    if !manifest.exports.iter().any(|export| export.package == PACKAGE && export.interface == "about") {
        return Err(Refusal {
            message: format!("it exports {PACKAGE}/{} and no {PACKAGE}/about", role.export()),
            remedy: format!("let its world include {PACKAGE}/{role}@{VERSION}"),
        });
    }
    manifest.imports.iter().try_for_each(|import| self::import(import, role))
}

fn import(import: &Import, role: Role) -> Result<(), Refusal> {
    let name = &import.name;
    let Some(offer) = offer(name) else {
        return Err(Refusal {
            message: format!("it imports {name}, which this host does not offer; it offers {}", offered(role)),
            remedy: if name.package.starts_with("wasi:") {
                "build it without WASI: for wasm32-unknown-unknown in Rust, with componentize-py --stub-wasi in \
                 Python, with all features disabled in JavaScript"
                    .into()
            } else {
                "let its world import only what is offered".into()
            },
        });
    };
    let wanted = name.version.as_deref().unwrap_or("no version");
    if !compatible(wanted) {
        return Err(Refusal {
            message: format!("it imports {name}; this host offers {PACKAGE}/{}@{VERSION}", name.interface),
            remedy: format!("build it against wit/ of version {VERSION}, or use an anomd that offers {wanted}"),
        });
    }
    if !offer.roles.contains(&role) {
        return Err(Refusal {
            message: format!(
                "it is {} and imports {name}, which this role is never granted; it may import {}",
                article(role),
                offered(role)
            ),
            remedy: format!("do without {} here, or make it a component of another role", name.interface),
        });
    }
    match import.functions.iter().find(|function| !offer.functions.contains(&function.as_str())) {
        Some(function) => Err(Refusal {
            message: format!(
                "it imports the function {function} of {name}; this host offers {PACKAGE}/{}@{VERSION} with {}",
                name.interface,
                offer.functions.join(", ")
            ),
            remedy: format!("build it against wit/ of version {VERSION}, or use a newer anomd"),
        }),
        None => Ok(()),
    }
}

/// Within 0.1 both sides may be older or newer, as long as the functions are there.
fn compatible(version: &str) -> bool {
    version.strip_prefix("0.1.").is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
}

fn offered(role: Role) -> String {
    let names: Vec<_> = OFFERS.iter().filter(|offer| offer.roles.contains(&role)).map(|o| o.interface).collect();
    format!("{PACKAGE}/{{{}}}@{VERSION}", names.join(","))
}

fn article(role: Role) -> String {
    match role {
        Role::Ingester | Role::Analyst => format!("an {role}"),
        Role::Detector | Role::Notifier => format!("a {role}"),
    }
}
