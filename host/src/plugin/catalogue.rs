//! The plugins of a node, by the names that batches use.
//!
//! Of several that have a name, the nearest to its user stands: what a tenant installed for
//! itself before a file in the node's folder, and that before what is bundled in the binary.
//! This does not depend on the order in which they load, and one that is nearer and does not
//! load leaves nothing of its name: nobody gets another component than the one that was meant.
//! That one stands before another is logged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak};

use tokio::task::JoinSet;

use super::fault::Site;
use super::load::{Bytes, Came, Plugin};
use super::lock::{LOCK_FILE, Locked, Lockfile, replace};
use super::manifest::digest;
use super::runtime::Runtime;
use super::schema::nearest;
use crate::config::DEFAULT_TENANT;
use crate::fault::{Blame, Fault};

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// Plugins by name.
pub struct Catalogue {
    /// Those of the binary and of the node's folder.
    shared: BTreeMap<String, Arc<Plugin>>,
    /// Those that tenants installed for themselves, by tenant and name.
    own: RwLock<BTreeMap<(String, String), Installed>>,
    /// Earlier generations, on which calls may still be under way.
    earlier: Mutex<Vec<Earlier>>,
    runtime: Arc<Runtime>,
}

/// What a tenant installed.
#[derive(Clone)]
pub struct Installed {
    /// What the lock file says.
    pub locked: Locked,
    /// The plugin, or why it does not load.
    pub plugin: Result<Arc<Plugin>, Fault>,
}

/// A generation that was replaced: gone when its last call has ended, and its file with it.
struct Earlier {
    tenant: String,
    name: String,
    plugin: Weak<Plugin>,
    file: PathBuf,
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
                Ok(files) => {
                    for (name, bytes) in files {
                        if sources.insert(name.clone(), bytes).is_some() {
                            tracing::warn!(plugin = name, "the one of {} stands before the bundled", folder.display());
                        }
                    }
                }
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
        let mut shared = BTreeMap::new();
        while let Some(loaded) = loads.join_next().await {
            match loaded {
                Ok(Ok(plugin)) => {
                    shared.insert(plugin.name().to_owned(), Arc::new(plugin));
                }
                Ok(Err(fault)) => faults.push(fault),
                Err(error) => faults.push(Site::loading("").fault(Blame::Host, error.to_string(), "")),
            }
        }
        faults.sort_by(|a, b| a.plugin.cmp(&b.plugin));
        let (own, earlier) = (RwLock::default(), Mutex::default());
        (Self { shared, own, earlier, runtime: Arc::clone(runtime) }, faults)
    }

    /// Loads what a tenant installed into a folder. What does not load is a fault in the list,
    /// and so is a lock file that cannot be read: then nothing of it is loaded.
    pub async fn load_installed(&self, tenant: &str, folder: &Path) -> Vec<Fault> {
        let lock = match Lockfile::read(folder) {
            Ok(lock) => lock,
            Err(why) => {
                let remedy = format!("correct it, or remove the folder {} and install anew", folder.display());
                let site = Site { tenant: tenant.to_owned(), ..Site::loading(LOCK_FILE) };
                return vec![site.fault(Blame::Operator, why, remedy)];
            }
        };
        let mut faults = Vec::new();
        let mut loads = JoinSet::new();
        for (name, locked) in lock.plugins {
            let bytes = Bytes::Installed(Lockfile::file(folder, locked.hex()), locked.hex().to_owned());
            let load = Plugin::load(Arc::clone(&self.runtime), name.clone(), bytes);
            loads.spawn(async move { (name, locked, load.await) });
        }
        while let Some(loaded) = loads.join_next().await {
            match loaded {
                Ok((name, locked, plugin)) => {
                    let plugin = plugin.map(Arc::new).map_err(|fault| Fault { tenant: tenant.to_owned(), ..fault });
                    faults.extend(plugin.as_ref().err().cloned());
                    self.put(tenant, &name, Installed { locked, plugin });
                }
                Err(error) => faults.push(Site::loading("").fault(Blame::Host, error.to_string(), "")),
            }
        }
        faults.sort_by(|a, b| a.plugin.cmp(&b.plugin));
        faults
    }

    /// Puts a component into a tenant's folder and loads it; nobody uses it yet. Gives it with
    /// its digest in hex.
    pub async fn stage(&self, tenant: &str, folder: &Path, name: &str, bytes: Vec<u8>) -> Result<Arc<Plugin>, Fault> {
        let site = Site { tenant: tenant.to_owned(), ..Site::loading(name) };
        let own = folder.to_owned();
        let kept = self.runtime.engine.executor().block(move || {
            let hex = digest(&bytes);
            let file = Lockfile::file(&own, &hex);
            std::fs::create_dir_all(&own)?;
            let kept = std::fs::read(&file).is_ok_and(|kept| digest(&kept) == hex);
            if !kept {
                replace(&file, &bytes)?;
            }
            Ok::<_, std::io::Error>((file, hex))
        });
        let kept = kept.await.map_err(|lost| site.fault(Blame::Host, lost.to_string(), ""))?;
        let (file, hex) = kept.map_err(|error| {
            let what = format!("cannot write into {}: {error}", folder.display());
            site.fault(Blame::Host, what, "see that the folder of the data can be written")
        })?;
        let loaded =
            Plugin::load(Arc::clone(&self.runtime), name.to_owned(), Bytes::Installed(file, hex.clone())).await;
        if loaded.is_err() {
            self.unstage(tenant, folder, &hex);
        }
        loaded.map(Arc::new).map_err(|fault| Fault { tenant: tenant.to_owned(), ..fault })
    }

    /// Removes from a tenant's folder what no plugin of it is: what a process left that ended in
    /// the middle of something. Only for the process that has the store, since another may have
    /// generations that are still in use.
    pub fn sweep(&self, tenant: &str, folder: &Path) {
        let own = self.own();
        let used = |stem: &str| own.iter().any(|((of, _), installed)| of == tenant && installed.locked.hex() == stem);
        for file in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let component = file.extension().is_some_and(|extension| extension == "wasm" || extension == "partial");
            if component && !file.file_stem().and_then(|stem| stem.to_str()).is_some_and(used) {
                remove(&file);
            }
        }
    }

    /// Removes a component that was staged, unless somebody uses it.
    pub fn unstage(&self, tenant: &str, folder: &Path, hex: &str) {
        let file = Lockfile::file(folder, hex);
        let used = self.own().iter().any(|((of, _), installed)| of == tenant && installed.locked.hex() == hex)
            || self.earlier().iter().any(|earlier| earlier.file == file);
        if !used {
            remove(&file);
        }
    }

    /// Has a plugin stand for a name of a tenant. Calls that are under way on an earlier one end
    /// there.
    pub fn put(&self, tenant: &str, name: &str, installed: Installed) {
        if let Some(hidden) = self.shared.get(name) {
            let hidden = match hidden.came() {
                Came::Folder => "that of the node's folder",
                Came::Bundled | Came::Installed => "the bundled",
            };
            tracing::warn!(tenant, plugin = name, "the one that was installed stands before {hidden}");
        }
        let key = (tenant.to_owned(), name.to_owned());
        self.own.write().unwrap_or_else(PoisonError::into_inner).insert(key, installed);
    }

    /// Takes what a tenant installed under a name away.
    pub fn take(&self, tenant: &str, name: &str) {
        let key = (tenant.to_owned(), name.to_owned());
        self.own.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
    }

    /// Remembers a generation that was replaced until its last call has ended; then its file is
    /// removed.
    pub fn retire(&self, tenant: &str, name: &str, folder: &Path, installed: &Installed) {
        let plugin = installed.plugin.as_ref().map(Arc::downgrade).unwrap_or_default();
        let file = Lockfile::file(folder, installed.locked.hex());
        self.earlier().push(Earlier { tenant: tenant.to_owned(), name: name.to_owned(), plugin, file });
    }

    /// How many earlier generations of a name still have calls, or uses, under way. Removes the
    /// files of the others.
    pub fn draining(&self, tenant: &str, name: &str) -> usize {
        let used: Vec<String> = self.own().values().map(|installed| installed.locked.hex().to_owned()).collect();
        let mut earlier = self.earlier();
        earlier.retain(|earlier| {
            let gone = earlier.plugin.strong_count() == 0;
            let again = earlier.file.file_stem().is_some_and(|stem| used.iter().any(|hex| stem == hex.as_str()));
            if gone && !again {
                remove(&earlier.file);
                tracing::info!(tenant = earlier.tenant, plugin = earlier.name, "an earlier generation has ended");
            }
            !gone
        });
        earlier.iter().filter(|earlier| earlier.tenant == tenant && earlier.name == name).count()
    }

    /// Forgets what a tenant installed: it is gone.
    pub fn forget_tenant(&self, tenant: &str) {
        self.own.write().unwrap_or_else(PoisonError::into_inner).retain(|(of, _), _| of != tenant);
        self.earlier().retain(|earlier| earlier.tenant != tenant);
    }

    /// What all of them run in.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// The plugin of a name, for the tenant `default`.
    pub fn get(&self, name: &str) -> Result<Arc<Plugin>, Fault> {
        self.get_for(DEFAULT_TENANT, name)
    }

    /// The plugin of a name, for a tenant.
    pub fn get_for(&self, tenant: &str, name: &str) -> Result<Arc<Plugin>, Fault> {
        if let Some(installed) = self.installed(tenant, name) {
            return installed.plugin;
        }
        self.shared.get(name).map(Arc::clone).ok_or_else(|| {
            let names = self.names(tenant);
            let remedy = match nearest(name, names.iter().map(String::as_str)) {
                _ if names.is_empty() => "no components are bundled: run `make plugins`, then build anomd again".into(),
                Some(nearest) => format!("did you mean \"{nearest}\"? The plugins are {}", names.join(", ")),
                None => format!(
                    "the plugins are {}; another comes with `anomd plugin install {name}.wasm`, or as {name}.wasm in \
                     the folder that plugins in anomd.yaml names",
                    names.join(", ")
                ),
            };
            Site::loading(name).fault(Blame::Operator, format!("there is no plugin {name:?}"), remedy)
        })
    }

    /// What a tenant installed under a name.
    pub fn installed(&self, tenant: &str, name: &str) -> Option<Installed> {
        self.own().get(&(tenant.to_owned(), name.to_owned())).cloned()
    }

    /// How many plugins a tenant has installed.
    pub fn installed_count(&self, tenant: &str) -> usize {
        self.own().keys().filter(|(of, _)| of == tenant).count()
    }

    /// What has a name beside what tenants installed.
    pub fn shared(&self, name: &str) -> Option<&Arc<Plugin>> {
        self.shared.get(name)
    }

    /// The names that a tenant's batches may use.
    pub fn names(&self, tenant: &str) -> Vec<String> {
        let own = self.own();
        let own = own.keys().filter(|(of, _)| of == tenant).map(|(_, name)| name);
        let mut names: Vec<String> = self.shared.keys().chain(own).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// All plugins but those that tenants installed, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.shared.values()
    }

    fn own(&self) -> RwLockReadGuard<'_, BTreeMap<(String, String), Installed>> {
        self.own.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn earlier(&self) -> MutexGuard<'_, Vec<Earlier>> {
        self.earlier.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of a component that is bundled in this binary.
pub fn bundled(name: &str) -> Option<&'static [u8]> {
    BUNDLED.iter().find(|(bundled, _)| *bundled == name).map(|(_, bytes)| *bytes)
}

fn remove(file: &Path) {
    if let Err(error) = std::fs::remove_file(file)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!("cannot remove {}: {error}", file.display());
    }
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
