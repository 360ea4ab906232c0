//! The plugins of a node, by the names that batches use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::fault::Site;
use super::load::{Bytes, Plugin};
use super::runtime::Runtime;
use super::schema::nearest;
use crate::fault::{Blame, Fault};

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// Plugins by name.
pub struct Catalogue {
    plugins: BTreeMap<String, Arc<Plugin>>,
    runtime: Arc<Runtime>,
}

impl Catalogue {
    /// Loads what is bundled in this binary, and every `NAME.wasm` of a folder; a file
    /// stands before a bundled component of its name. A component that does not load is a
    /// fault in the list, and takes no other with it.
    pub async fn load(runtime: &Arc<Runtime>, folder: Option<&Path>) -> (Self, Vec<Fault>) {
        let mut sources: BTreeMap<String, Bytes> =
            BUNDLED.iter().map(|(name, bytes)| ((*name).to_owned(), Bytes::Bundled(bytes))).collect();
        let mut faults = Vec::new();
        if let Some(folder) = folder {
            match files(folder) {
                Ok(files) => sources.extend(files),
                Err(error) => faults.push(Site::loading("").fault(
                    Blame::Operator,
                    format!("cannot read the folder of plugins {}: {error}", folder.display()),
                    "correct plugins in anomd.yaml, or make the folder",
                )),
            }
        }
        let mut loads = JoinSet::new();
        for (name, bytes) in sources {
            let runtime = Arc::clone(runtime);
            loads.spawn(Plugin::load(runtime, name, bytes));
        }
        let mut plugins = BTreeMap::new();
        while let Some(loaded) = loads.join_next().await {
            match loaded {
                Ok(Ok(plugin)) => {
                    plugins.insert(plugin.name().to_owned(), Arc::new(plugin));
                }
                Ok(Err(fault)) => faults.push(fault),
                Err(error) => faults.push(Site::loading("").fault(Blame::Host, error.to_string(), "")),
            }
        }
        faults.sort_by(|a, b| a.plugin.cmp(&b.plugin));
        (Self { plugins, runtime: Arc::clone(runtime) }, faults)
    }

    /// What all of them run in.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// The plugin of a name.
    pub fn get(&self, name: &str) -> Result<Arc<Plugin>, Fault> {
        self.plugins.get(name).map(Arc::clone).ok_or_else(|| {
            let names: Vec<&str> = self.plugins.keys().map(String::as_str).collect();
            let remedy = match nearest(name, names.iter().copied()) {
                _ if names.is_empty() => "no components are bundled: run `make plugins`, then build anomd again".into(),
                Some(nearest) => format!("did you mean \"{nearest}\"? The plugins are {}", names.join(", ")),
                None => format!(
                    "the plugins are {}; another is {name}.wasm in the folder that plugins in anomd.yaml names",
                    names.join(", ")
                ),
            };
            Site::loading(name).fault(Blame::Operator, format!("there is no plugin {name:?}"), remedy)
        })
    }

    /// All plugins, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.plugins.values()
    }
}

/// The bytes of a component that is bundled in this binary.
pub fn bundled(name: &str) -> Option<&'static [u8]> {
    BUNDLED.iter().find(|(bundled, _)| *bundled == name).map(|(_, bytes)| *bytes)
}

/// The components of a folder by the names of their files.
fn files(folder: &Path) -> std::io::Result<Vec<(String, Bytes)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm")
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
        {
            files.push((name.to_owned(), Bytes::File(path)));
        }
    }
    Ok(files)
}
