//! What a component says about itself without being run: imports, exports, sizes.
//!
//! The imports are the manifest of what it can do: what it does not import, it cannot reach.
//! The file is only read here; whether its code is valid is the compiler's to say.

use std::collections::BTreeMap;
use std::fmt;

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentNameSectionReader, ComponentOuterAliasKind, ComponentType,
    ComponentTypeRef, Encoding, InstanceTypeDeclaration, KnownCustom, Parser, Payload,
};

use super::Role;
use super::grants::{self, PACKAGE};
use crate::capability::log::{cut, printable};

/// Bytes of a page of WebAssembly memory.
const PAGE_BYTES: u64 = 64 << 10;
/// Imports of a component, and exports: many times what the contract has.
const NAMES: usize = 200;
/// Functions of an interface that are looked at; the contract has no more than four.
const FUNCTIONS: usize = 100;

/// The name of an interface, taken apart: `anomd:plugin/http@0.1.0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name {
    /// `anomd:plugin`
    pub package: String,
    /// `http`
    pub interface: String,
    /// `0.1.0`
    pub version: Option<String>,
}

impl Name {
    pub(super) fn parse(text: &str) -> Self {
        let (text, version) = match text.split_once('@') {
            Some((text, version)) => (text, Some(version.to_owned())),
            None => (text, None),
        };
        let (package, interface) = text.split_once('/').unwrap_or(("", text));
        Self { package: package.to_owned(), interface: interface.to_owned(), version }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.package.is_empty() {
            write!(f, "{}/", self.package)?;
        }
        f.write_str(&self.interface)?;
        match &self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An interface that a component imports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Import {
    pub(super) name: Name,
    /// Its functions that the component names.
    pub functions: Vec<String>,
    /// The roles that may be granted it.
    pub roles: Vec<Role>,
}

impl Import {
    /// `anomd:plugin/http@0.1.0`
    pub fn name(&self) -> String {
        self.name.to_string()
    }
}

/// What `anomd plugin inspect` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The role that it exports.
    pub role: Role,
    /// The version of the contract that it was built against.
    pub contract: String,
    /// What it imports.
    pub imports: Vec<Import>,
    /// What it exports.
    pub exports: Vec<String>,
    /// Sha-256 of the file, in hex.
    pub digest: String,
    /// Bytes of the file.
    pub component_bytes: u64,
    /// Bytes of the core modules in it.
    pub core_bytes: u64,
    /// Bytes of the largest memory that it starts with.
    pub memory_bytes: u64,
    /// Bytes of its compiled form, if that was made; `inspect` does not make it.
    pub compiled_bytes: Option<u64>,
    /// The name that its file gives it.
    pub name: Option<String>,
    /// Why this host would not load it.
    pub refusal: Option<String>,
}

/// Sha-256 in hex.
pub(super) fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// What the file of a component says.
#[derive(Clone, Debug, Default)]
pub(super) struct Manifest {
    pub imports: Vec<Import>,
    pub exports: Vec<Name>,
    pub core_bytes: u64,
    /// The largest memory that a module of it starts with.
    pub memory_bytes: u64,
    pub name: Option<String>,
}

impl Manifest {
    /// Reads a file, or says why it is no component.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        if !bytes.starts_with(b"\0asm") {
            return Err("this is no WebAssembly file".into());
        }
        let damaged = |e: wasmparser::BinaryReaderError| format!("this is a damaged WebAssembly file: {e}");
        let mut manifest = Self::default();
        // The index space of types; instance types with the functions in them.
        let mut types: Vec<Vec<String>> = Vec::new();
        // 0 in the component itself, more in what is nested in it.
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(damaged)?;
            if let Payload::ModuleSection { unchecked_range, .. } = &payload {
                manifest.core_bytes += unchecked_range.len() as u64;
            }
            match payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::MemorySection(section) => {
                    for memory in section {
                        let pages = memory.map_err(damaged)?.initial;
                        manifest.memory_bytes = manifest.memory_bytes.max(pages.saturating_mul(PAGE_BYTES));
                    }
                }
                _ if depth > 0 => {}
                Payload::Version { encoding: Encoding::Module, .. } => {
                    return Err(
                        "this is a core module and no component: `wasm-tools component new` makes one of it".into()
                    );
                }
                Payload::ComponentTypeSection(section) => {
                    for entry in section {
                        types.push(functions(&entry.map_err(damaged)?));
                    }
                }
                Payload::ComponentAliasSection(section) => {
                    for alias in section {
                        if matches!(
                            alias.map_err(damaged)?,
                            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Type, .. }
                                | ComponentAlias::Outer { kind: ComponentOuterAliasKind::Type, .. }
                        ) {
                            types.push(Vec::new());
                        }
                    }
                }
                Payload::ComponentImportSection(section) => {
                    for import in section {
                        let import = import.map_err(damaged)?;
                        if manifest.imports.len() == NAMES {
                            return Err(format!("it imports more than {NAMES} interfaces"));
                        }
                        let functions = match import.ty {
                            ComponentTypeRef::Instance(index) => types.get(index as usize).cloned(),
                            _ => None,
                        };
                        if matches!(import.ty, ComponentTypeRef::Type(_)) {
                            types.push(Vec::new());
                        }
                        let name = Name::parse(&shown(import.name.name));
                        let roles = grants::roles(&name);
                        manifest.imports.push(Import { name, functions: functions.unwrap_or_default(), roles });
                    }
                }
                Payload::ComponentExportSection(section) => {
                    for export in section {
                        let export = export.map_err(damaged)?;
                        if manifest.exports.len() == NAMES {
                            return Err(format!("it exports more than {NAMES} interfaces"));
                        }
                        if export.kind == ComponentExternalKind::Type {
                            types.push(Vec::new());
                        }
                        manifest.exports.push(Name::parse(&shown(export.name.name)));
                    }
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::ComponentName(names) = section.as_known() {
                        manifest.name = name(names);
                    }
                }
                _ => {}
            }
        }
        // The order in a file is that of the tools that made it.
        manifest.imports.sort_by(|a, b| a.name.cmp(&b.name));
        manifest.exports.sort();
        Ok(manifest)
    }

    /// The role that it exports and the version of the contract, or why it has none.
    pub(super) fn role(&self) -> Result<(Role, String), String> {
        let ours: BTreeMap<&str, &Name> =
            self.exports.iter().filter(|e| e.package == PACKAGE).map(|e| (e.interface.as_str(), e)).collect();
        let roles: Vec<Role> = Role::ALL.into_iter().filter(|role| ours.contains_key(role.export())).collect();
        match roles.as_slice() {
            [role] => {
                let version = ours.get(role.export()).and_then(|name| name.version.clone()).unwrap_or_default();
                Ok((*role, version))
            }
            [] => {
                let exports: Vec<_> = self.exports.iter().take(10).map(Name::to_string).collect();
                let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
                Err(format!(
                    "it has no role: it exports {exports}, and none of {PACKAGE}/{{ingest,detect,notify,analyse}}"
                ))
            }
            several => {
                let several: Vec<_> = several.iter().map(Role::to_string).collect();
                Err(format!("it exports {}: a component has one role", several.join(" and ")))
            }
        }
    }
}

/// The functions of an instance type; nothing of any other type.
fn functions(ty: &ComponentType<'_>) -> Vec<String> {
    let ComponentType::Instance(declarations) = ty else { return Vec::new() };
    let exports = declarations.iter().filter_map(|declaration| match declaration {
        InstanceTypeDeclaration::Export { name, ty: ComponentTypeRef::Func(_) } => Some(shown(name.name)),
        _ => None,
    });
    exports.take(FUNCTIONS).collect()
}

fn name(names: ComponentNameSectionReader<'_>) -> Option<String> {
    names.into_iter().find_map(|name| match name {
        Ok(wasmparser::ComponentName::Component { name, .. }) => Some(shown(name)),
        _ => None,
    })
}

fn shown(text: &str) -> String {
    printable(cut(text, 200))
}
