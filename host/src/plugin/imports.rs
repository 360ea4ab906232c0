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
            message: format!("it exports {PACKAGE}/{}@{contract}; this host speaks {PACKAGE}@{VERSION}", role.export()),
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
                role.with_article(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::grants;
    use crate::plugin::manifest::Name;

    fn manifest(imports: &[(&str, &[&str])]) -> Manifest {
        let imports = imports.iter().map(|(name, functions)| {
            let name = Name::parse(name);
            let roles = grants::roles(&name);
            Import { name, functions: functions.iter().map(|f| (*f).to_owned()).collect(), roles }
        });
        let exports = ["anomd:plugin/about@0.1.0", "anomd:plugin/detect@0.1.0"];
        Manifest { imports: imports.collect(), exports: exports.map(Name::parse).into(), ..Manifest::default() }
    }

    #[test]
    fn a_newer_or_older_plugin_fits_as_long_as_the_functions_are_there() {
        let imports: &[(&str, &[&str])] = &[("anomd:plugin/types@0.1.3", &[]), ("anomd:plugin/log@0.1.7", &["write"])];
        assert_eq!(check(&manifest(imports), Role::Detector, "0.1.2"), Ok(()));
    }

    #[test]
    fn what_is_not_offered_is_refused_with_what_is() {
        let refused = |role, contract: &str, import: (&str, &[&str])| {
            let Refusal { message, remedy } = check(&manifest(&[import]), role, contract).unwrap_err();
            format!("{message}\n  {remedy}")
        };
        let texts = [
            refused(Role::Detector, "0.1.0", ("anomd:plugin/http@0.1.0", &["send"])),
            refused(Role::Ingester, "0.1.0", ("wasi:sockets/tcp@0.2.0", &[])),
            refused(Role::Ingester, "0.1.0", ("anomd:plugin/http@0.2.0", &["send"])),
            refused(Role::Ingester, "0.1.0", ("anomd:plugin/http@0.1.4", &["send", "stream"])),
            refused(Role::Ingester, "0.1.0", ("acme:secrets/vault", &[])),
            refused(Role::Ingester, "0.2.0", ("anomd:plugin/log@0.1.0", &["write"])),
        ];
        insta::assert_snapshot!(texts.join("\n"), @r"
        it is a detector and imports anomd:plugin/http@0.1.0, which this role is never granted; it may import anomd:plugin/{types,log,clock,random}@0.1.0
          do without http here, or make it a component of another role
        it imports wasi:sockets/tcp@0.2.0, which this host does not offer; it offers anomd:plugin/{types,log,clock,random,http,kv}@0.1.0
          build it without WASI: for wasm32-unknown-unknown in Rust, with componentize-py --stub-wasi in Python, with all features disabled in JavaScript
        it imports anomd:plugin/http@0.2.0; this host offers anomd:plugin/http@0.1.0
          build it against wit/ of version 0.1.0, or use an anomd that offers 0.2.0
        it imports the function stream of anomd:plugin/http@0.1.4; this host offers anomd:plugin/http@0.1.0 with send
          build it against wit/ of version 0.1.0, or use a newer anomd
        it imports acme:secrets/vault, which this host does not offer; it offers anomd:plugin/{types,log,clock,random,http,kv}@0.1.0
          let its world import only what is offered
        it exports anomd:plugin/ingest@0.2.0; this host speaks anomd:plugin@0.1.0
          build it against wit/ of version 0.1.0, or use an anomd that speaks 0.2.0
        ");
    }
}
