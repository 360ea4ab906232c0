//! Plugins as artefacts: installing, upgrading and removing those of a tenant, while it runs.
//!
//! What is installed lies in the tenant's own folder, `tenants/<name>/plugins` below the data
//! folder, with a lock file. A component is read, checked and asked what it is before anything
//! changes; so is whether each batch that uses the name would go on with it. Then the lock file
//! is replaced and the tenant's batches are bound anew: calls that are under way end on the
//! earlier generation, new ones begin on the new one, and nothing is stopped.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::{Node, bind};
use crate::config::{DEFAULT_TENANT, component_name};
use crate::desk::instant;
use crate::fault::{Blame, Fault};
use crate::plugin::{Difference, Installed, LOCK_FILE, Locked, Lockfile, Plugin, Profile};
use crate::store::{Beside, StoreError};

/// The longest text that says where a component came from, in bytes.
const SOURCE_BYTES: usize = 2_000;

/// A component that somebody wants to be installed.
#[derive(Clone, Debug)]
pub struct PluginOffer {
    /// The name that batches are to use.
    pub name: String,
    /// The component.
    pub bytes: Vec<u8>,
    /// Where it came from: a URL, or the name of a file.
    pub source: String,
    /// The digest that it has to have: `sha256:` and hex.
    pub digest: Option<String>,
}

/// What is to be done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intent {
    /// To install it where there is none of its name yet.
    Install,
    /// To have it replace the one of its name. `accept`: the digest that somebody saw the
    /// difference of and accepts; with another or none, the difference is all that comes of it.
    Upgrade {
        /// `sha256:` and hex.
        accept: Option<String>,
    },
}

/// What became of an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Installation {
    /// The name that batches use.
    pub name: String,
    /// `sha256:` and the digest of the component, in hex: what has to be accepted.
    pub digest: String,
    /// Whether it is in use now. Where not, its difference was not accepted yet.
    pub done: bool,
    /// Its number among those of its name.
    pub generation: u32,
    /// What it is and asks for.
    pub profile: Profile,
    /// What that changes.
    pub difference: Difference,
}

/// Why nothing was installed, upgraded or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PluginRefusal {
    /// The tenant may not.
    #[error("{0}")]
    Forbidden(String),
    /// There is none of this name.
    #[error("{0}")]
    Unknown(String),
    /// It cannot be in the present state.
    #[error("{0}")]
    Conflict(String),
    /// The component, its source or its name is no good.
    #[error("{0}")]
    Unsound(String),
    /// Files cannot be written.
    #[error("{0}")]
    Failed(String),
}

impl From<Fault> for PluginRefusal {
    fn from(fault: Fault) -> Self {
        let text = fault.to_string();
        match fault.blame {
            Blame::Host => Self::Failed(text),
            _ => Self::Unsound(text),
        }
    }
}

/// The tenants that may have installed something, with the folders of their plugins.
pub(super) fn folders(data: &Path) -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(data.join("tenants")).into_iter().flatten().flatten();
    let own = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path().join("plugins"))));
    let mut folders: Vec<_> = own.filter(|(_, folder)| folder.is_dir()).collect();
    folders.sort();
    folders
}

/// The lock files below a data folder and the components that they name: what a backup has to hold for
/// what was installed to be there again. While nobody installs, they stay as they are.
pub fn installed_files(data: &Path) -> Result<Beside, StoreError> {
    let mut files = Vec::new();
    for (_, folder) in folders(data) {
        let lock = Lockfile::read(&folder).map_err(|detail| StoreError::Io {
            doing: format!("looking for the plugins in {}", folder.display()),
            detail,
        })?;
        let components = lock.plugins.values().map(|locked| Lockfile::file(&folder, locked.hex()));
        let paths = std::iter::once(folder.join(LOCK_FILE)).chain(components);
        // A component that is gone is told of whenever it would be loaded.
        let there = paths.filter(|path| path.is_file());
        files.extend(there.filter_map(|path| path.strip_prefix(data).map(Path::to_owned).ok()));
    }
    // Two names may stand for the same component.
    files.sort();
    files.dedup();
    Ok(Beside { folder: data.to_owned(), files })
}

fn failed(why: impl ToString) -> PluginRefusal {
    PluginRefusal::Failed(why.to_string())
}

impl Node {
    /// Writes a backup of the store and of what tenants installed. Whoever installs meanwhile waits.
    /// Blocks, and panics on a thread that may not.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let _still = self.installing.blocking_lock();
        self.store.backup(&installed_files(&self.config.data)?, to)
    }

    /// The folder of the plugins that a tenant installed.
    fn plugin_folder(&self, tenant: &str) -> PathBuf {
        self.folder_of(tenant).join("plugins")
    }

    /// Fetches a component from a URL, as far as the tenant may reach it.
    pub async fn fetch_plugin(
        self: &Arc<Self>,
        tenant: &str,
        name: &str,
        url: &str,
        digest: Option<String>,
    ) -> Result<PluginOffer, PluginRefusal> {
        let name = self.allowed_name(tenant, name)?;
        let grants = self.config_now().grants_to_fetch(tenant, &name, url);
        let fetch = self.catalogue.runtime().download(tenant, &name, &grants, url);
        let bytes = self.for_tenant(tenant, fetch).await.ok_or_else(|| ending(tenant))??;
        Ok(PluginOffer { name, bytes, source: url.to_owned(), digest })
    }

    /// Installs a component or upgrades to it, or says what that would change.
    pub async fn install_plugin(
        self: &Arc<Self>,
        tenant: &str,
        offer: PluginOffer,
        intent: Intent,
    ) -> Result<Installation, PluginRefusal> {
        let name = self.allowed_name(tenant, &offer.name)?;
        let work = async {
            let _alone = self.installing.lock().await;
            self.install_alone(tenant, PluginOffer { name, ..offer }, intent).await
        };
        self.for_tenant(tenant, work).await.unwrap_or_else(|| Err(ending(tenant)))
    }

    async fn install_alone(
        self: &Arc<Self>,
        tenant: &str,
        offer: PluginOffer,
        intent: Intent,
    ) -> Result<Installation, PluginRefusal> {
        let PluginOffer { name, bytes, source, digest } = offer;
        let most = self.config.limits.component_bytes;
        if bytes.len() > most {
            let text = format!("it has {} bytes, where {most} are allowed (limits.component_bytes)", bytes.len());
            return Err(PluginRefusal::Unsound(text));
        }
        let found = format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(&bytes)));
        if let Some(wanted) = digest.filter(|wanted| !is_digest(wanted, &found)) {
            let text = format!("{source} has the digest {found}, and {wanted} was asked for: nothing was installed");
            return Err(PluginRefusal::Conflict(text));
        }
        let folder = self.plugin_folder(tenant);
        let mut lock = Lockfile::read(&folder).map_err(failed)?;
        let earlier = lock.plugins.get(&name).cloned();
        match (&earlier, &intent) {
            (Some(locked), Intent::Install) if locked.digest != found => {
                return Err(PluginRefusal::Conflict(format!(
                    "{name} {} is installed for tenant {tenant} and locked to {}; {source} has {found}. \
                     `anomd plugin upgrade` shows what would change and replaces it",
                    locked.profile.version, locked.digest
                )));
            }
            (None, Intent::Upgrade { .. }) => {
                let text = format!("tenant {tenant} has no plugin {name} installed; `anomd plugin install` does that");
                return Err(PluginRefusal::Unknown(text));
            }
            (None, _) if self.catalogue.installed_count(tenant) >= self.config.limits.tenant_plugins => {
                let most = self.config.limits.tenant_plugins;
                let text = format!("tenant {tenant} has {most} plugins, as many as it may (limits.tenant_plugins)");
                return Err(PluginRefusal::Conflict(text));
            }
            _ => {}
        }
        let plugin = self.catalogue.stage(tenant, &folder, &name, bytes).await?;
        let profile = plugin.profile();
        let old = earlier.as_ref().map(|locked| locked.profile.clone()).unwrap_or_default();
        let mut told = Installation {
            name: name.clone(),
            digest: found.clone(),
            done: false,
            generation: earlier.as_ref().map_or(0, |locked| locked.generation),
            difference: Difference::between(&old, &profile),
            profile: profile.clone(),
        };
        let again = earlier.as_ref().is_some_and(|locked| locked.digest == found);
        let accepted = match &intent {
            Intent::Install => true,
            Intent::Upgrade { accept } => again || accept.as_deref().is_some_and(|accept| is_digest(accept, &found)),
        };
        let taken = match accepted {
            true => self.check_users(tenant, &name, &plugin).await,
            false => Ok(()),
        };
        if !accepted || taken.is_err() {
            drop(plugin);
            self.catalogue.unstage(tenant, &folder, found.trim_start_matches("sha256:"));
            return taken.map(|()| told);
        }
        let locked = match earlier.clone().filter(|_| again) {
            Some(same) => same,
            None => Locked {
                profile,
                source: source.chars().filter(|c| !c.is_control()).take(SOURCE_BYTES).collect(),
                digest: found,
                generation: 1,
                installed: instant::text(self.clock.now().div_euclid(1_000) * 1_000),
                past: Vec::new(),
            }
            .after(earlier.as_ref()),
        };
        told.generation = locked.generation;
        told.done = true;
        let before = self.catalogue.installed(tenant, &name);
        if again && before.as_ref().is_some_and(|before| before.plugin.is_ok()) {
            return Ok(told);
        }
        lock.plugins.insert(name.clone(), locked.clone());
        lock.write(&folder).map_err(|error| failed(format!("cannot write into {}: {error}", folder.display())))?;
        self.catalogue.put(tenant, &name, Installed { locked, plugin: Ok(plugin) });
        if let Some(before) = before {
            self.catalogue.retire(tenant, &name, &folder, &before);
        }
        tracing::info!(tenant, plugin = name, digest = told.digest, generation = told.generation, "installed");
        self.bind_users(tenant, &name).await;
        Ok(told)
    }

    /// Removes what a tenant installed under a name, with what was approved for it. Batches that
    /// use the name go on with a plugin of the node, where there is one that takes their
    /// parameters; else nothing is removed.
    pub async fn remove_plugin(self: &Arc<Self>, tenant: &str, name: &str) -> Result<(), PluginRefusal> {
        let work = async {
            let _alone = self.installing.lock().await;
            let folder = self.plugin_folder(tenant);
            let mut lock = Lockfile::read(&folder).map_err(failed)?;
            if lock.plugins.remove(name).is_none() {
                let text = format!("tenant {tenant} has no plugin {name} installed; `anomd plugin list` shows them");
                return Err(PluginRefusal::Unknown(text));
            }
            match self.catalogue.shared(name).cloned() {
                Some(shared) => self.check_users(tenant, name, &shared).await?,
                None => {
                    let users = self.users_of(tenant, name);
                    if !users.is_empty() {
                        let text = format!("{name} is used by {}; change or delete these first", users.join(", "));
                        return Err(PluginRefusal::Conflict(text));
                    }
                }
            }
            lock.write(&folder).map_err(|error| failed(format!("cannot write into {}: {error}", folder.display())))?;
            if let Some(before) = self.catalogue.installed(tenant, name) {
                self.catalogue.take(tenant, name);
                self.catalogue.retire(tenant, name, &folder, &before);
            }
            tracing::info!(tenant, plugin = name, "removed");
            self.bind_users(tenant, name).await;
            Ok(())
        };
        self.for_tenant(tenant, work).await.unwrap_or_else(|| Err(ending(tenant)))
    }

    /// The name of a plugin that a tenant may install.
    fn allowed_name(&self, tenant: &str, name: &str) -> Result<String, PluginRefusal> {
        let name =
            component_name(name).map_err(|(what, remedy)| PluginRefusal::Unsound(format!("{what}; {remedy}")))?;
        let config = self.config_now();
        let own = config.tenants.get(tenant);
        let allowed = tenant == DEFAULT_TENANT
            || own.is_some_and(|own| own.grants.contains_key(&name) || own.policy.allows_plugin(&name, false));
        match allowed {
            true => Ok(name),
            false => Err(PluginRefusal::Forbidden(format!(
                "the tenant {tenant} may not use a plugin {name} of its own; `anomd tenant policy {tenant} --plugin \
                 {name}` allows it"
            ))),
        }
    }

    /// The batches of a tenant that use a plugin, and its routes where they do.
    pub(super) fn users_of(&self, tenant: &str, name: &str) -> Vec<String> {
        let batches = self.batches();
        let own = batches.iter().filter(|bound| bound.batch.key.tenant == tenant && bind::uses(&bound.batch, name));
        let mut users: Vec<String> = own.map(|bound| bound.batch.key.batch.clone()).collect();
        if self.routes_use(tenant, name) {
            users.push("alerting (the routes in anomd.yaml)".to_owned());
        }
        users
    }

    fn routes_use(&self, tenant: &str, name: &str) -> bool {
        let config = self.config_now();
        let receivers = config.tenants.get(tenant).into_iter().flat_map(|tenant| tenant.routing.receivers.values());
        receivers.flat_map(|receiver| &receiver.notifiers).any(|entry| entry.plugin == name)
    }

    /// Refuses a plugin with which a batch that uses the name would not go on.
    async fn check_users(&self, tenant: &str, name: &str, plugin: &Plugin) -> Result<(), PluginRefusal> {
        let config = self.config_now();
        let mut wrong = bind::receivers_would_not_take(tenant, name, plugin, &config).await;
        for bound in self.batches().iter().filter(|bound| bound.batch.key.tenant == tenant) {
            wrong.extend(bind::would_not_take(&bound.batch, name, plugin, &config).await);
        }
        match wrong.has_errors() {
            true => Err(PluginRefusal::Conflict(format!(
                "{name} {} does not do what uses {name} asks for; nothing was changed:\n{wrong}",
                plugin.version()
            ))),
            false => Ok(()),
        }
    }

    /// Binds what uses a plugin anew, so that it uses the one that has the name now.
    async fn bind_users(&self, tenant: &str, name: &str) {
        for bound in self.batches() {
            if bound.batch.key.tenant == tenant
                && bind::uses(&bound.batch, name)
                && let Err(problems) = self.take_up(bound.batch.clone()).await
            {
                tracing::warn!(batch = %bound.batch.key, "goes on with the earlier plugin {name}: {problems}");
            }
        }
        if self.routes_use(tenant, name) {
            let (receivers, problems) =
                bind::receivers(&self.config_now(), &self.catalogue, Arc::new(self.store.clone())).await;
            if !problems.is_empty() {
                tracing::warn!(tenant, "{problems}");
            }
            *self.receivers.write().unwrap_or_else(PoisonError::into_inner) = receivers;
        }
        // Batches that could not be taken up may be able to now.
        self.generation.fetch_add(1, Ordering::SeqCst);
        let faulty: Vec<_> = self.faulty().keys().filter(|key| key.tenant == tenant).cloned().collect();
        if !faulty.is_empty()
            && let Err(error) = self.bind_hosted(tenant).await
        {
            tracing::warn!(tenant, "cannot read the batches again: {error}");
        }
        self.catalogue.draining(tenant, name);
    }
}

/// Whether a digest that somebody wrote, with or without `sha256:`, is one that was found.
fn is_digest(wanted: &str, found: &str) -> bool {
    let bare = |text: &str| text.trim().trim_start_matches("sha256:").to_ascii_lowercase();
    bare(wanted) == bare(found)
}

fn ending(tenant: &str) -> PluginRefusal {
    PluginRefusal::Conflict(format!("the tenant {tenant} is being deleted"))
}
