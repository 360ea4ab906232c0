//! Components as the rest of the host sees them: a trait a role, and faults with blame.
//!
//! Nothing of wasmtime or of the generated bindings leaves this module. What a component
//! may do is decided three times: by its role, when it is loaded; by its own imports, which
//! alone are linked; and by the grants of the tenant, when it is bound to a use.

mod binding;
mod bound;
mod catalogue;
mod checked;
mod cost;
mod descriptor;
mod detect;
mod difference;
mod download;
mod fault;
mod grants;
mod imports;
mod judge;
mod load;
mod lock;
mod manifest;
mod quarantine;
mod role;
mod runtime;
mod schema;
mod v0_1;

#[cfg(test)]
mod tests;

pub use crate::capability::{LogSink, kv::KeyValue};
pub use catalogue::{Catalogue, Installed, bundled};
pub use cost::{Cost, OTHER};
pub use descriptor::SecretSlot;
pub use difference::{Change, Difference, Profile};
pub use grants::{Use, VERSION as CONTRACT};
pub use load::{Came, Plugin, inspect};
pub use lock::{LOCK_FILE, Locked, Lockfile, Past};
pub use manifest::{Import, Inspection};
pub use quarantine::Quarantine;
pub use role::{
    Analyse, Analysis, Call, Cause, Detect, Fitted, Ingest, Insight, Judge, Judged, Loss, Needs, Notify, Page, Problem,
    Role, Scored, Skip, Subject, Table, Term, Unread, Usage, Window,
};
pub use runtime::Runtime;

use crate::series::Labels;

/// The labels of a series, bounded as those that a plugin gives; or what is wrong with them.
pub fn labels(pairs: Vec<(String, String)>) -> Result<Labels, String> {
    checked::labels(pairs).map_err(|wrong| wrong.what)
}
