//! A component that was read, checked and asked what it is.
//!
//! The order is: size, file, role, imports, and only then the compiler; then `describe`, in
//! a store that grants nothing. What `describe` said is kept with the compiled form, so
//! that a later start runs nothing; the compiled form is mapped with the first call.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OnceCell;
use utoipa::ToSchema;

use super::binding::Binding;
use super::checked::Wrong;
use super::descriptor::{Descriptor, SecretSlot};
use super::difference::Profile;
use super::fault::{Site, bytes as bytes_text, text_of};
use super::grants::{PACKAGE, Use};
use super::imports;
use super::lock::LOCK_FILE;
use super::manifest::{Import, Inspection, Manifest, digest};
use super::quarantine::{Admitted, Quarantine, Ward};
use super::runtime::{Request, Runtime, Silent, Wall, Work};
use super::schema::Schema;
use super::v0_1::Prepared;
use super::{Analyse, Detect, Ingest, Judge, Notify, Problem, Role, checked};
use crate::fault::{Blame, Fault};

/// The name under which the cache keeps what `describe` said.
const DESCRIPTOR: &str = "describe.json";

/// Where the bytes of a component are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bytes {
    /// In this binary.
    Bundled(&'static [u8]),
    /// In a file.
    File(PathBuf),
    /// In a file that was installed; its sha256, in hex, as the lock file has it.
    Installed(PathBuf, String),
}

/// How a plugin came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Came {
    /// In the binary of anomd.
    Bundled,
    /// In the folder that `plugins` of `anomd.yaml` names.
    Folder,
    /// Somebody installed it for a tenant.
    Installed,
}

impl Bytes {
    /// What is in the binary is mapped with it: a copy of it would be memory for nothing.
    fn read(&self, most: usize) -> Result<Cow<'static, [u8]>, String> {
        let path = match self {
            Self::Bundled(bytes) => return Ok(Cow::Borrowed(bytes)),
            Self::File(path) | Self::Installed(path, _) => path,
        };
        let unreadable = |e: std::io::Error| format!("cannot read {}: {e}", path.display());
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > most as u64 {
            return Err(format!(
                "{} has {length} bytes, where {most} are allowed (limits.component_bytes in anomd.yaml)",
                path.display()
            ));
        }
        let read = std::fs::read(path).map_err(unreadable)?;
        if let Self::Installed(_, locked) = self {
            let found = digest(&read);
            if found != *locked {
                return Err(format!(
                    "{} has sha256:{found}, where {LOCK_FILE} has sha256:{locked}: it was changed after it was installed; \
                     remove it and install it again",
                    path.display()
                ));
            }
        }
        Ok(Cow::Owned(read))
    }
}

/// A component, by the name that batches use.
pub struct Plugin {
    runtime: Arc<Runtime>,
    name: String,
    role: Role,
    contract: String,
    manifest: Manifest,
    digest: String,
    component_bytes: u64,
    descriptor: Descriptor,
    schema: Schema,
    bytes: Bytes,
    prepared: OnceCell<Arc<Prepared>>,
    ward: Ward,
}

/// What a file of a component says, without running or compiling it.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, Fault> {
    let refuse = |why: String| Site::loading("").fault(Blame::Plugin, why, "");
    let manifest = Manifest::read(bytes).map_err(refuse)?;
    let (role, contract) = manifest.role().map_err(refuse)?;
    let refusal = imports::check(&manifest, role, &contract).err();
    Ok(Inspection {
        refusal: refusal.map(|refusal| format!("{}: {}", refusal.message, refusal.remedy)),
        ..inspection(&manifest, role, &contract, digest(bytes), bytes.len() as u64)
    })
}

fn inspection(manifest: &Manifest, role: Role, contract: &str, digest: String, component_bytes: u64) -> Inspection {
    Inspection {
        role,
        contract: contract.to_owned(),
        imports: manifest.imports.clone(),
        exports: manifest.exports.iter().map(ToString::to_string).collect(),
        digest,
        component_bytes,
        core_bytes: manifest.core_bytes,
        memory_bytes: manifest.memory_bytes,
        compiled_bytes: None,
        name: manifest.name.clone(),
        refusal: None,
    }
}

impl Plugin {
    /// Loads a component under a name.
    pub(super) async fn load(runtime: Arc<Runtime>, name: String, bytes: Bytes) -> Result<Self, Fault> {
        let site = Site::loading(&name);
        let most = runtime.limits.component_bytes;
        let read = {
            let bytes = bytes.clone();
            runtime.engine.executor().block(move || {
                let read = bytes.read(most)?;
                let digest = digest(&read);
                Ok::<_, String>((read, digest))
            })
        };
        let read = read.await.map_err(|lost| site.fault(Blame::Host, lost.to_string(), ""))?;
        let (read, digest) = read.map_err(|why| site.fault(Blame::Operator, why, ""))?;

        let refuse = |why: String| site.fault(Blame::Plugin, why, "tell the plugin's author, or take the file away");
        let manifest = Manifest::read(&read).map_err(refuse)?;
        let (role, contract) = manifest.role().map_err(refuse)?;
        imports::check(&manifest, role, &contract)
            .map_err(|refusal| site.fault(Blame::Plugin, refusal.message, refusal.remedy))?;

        if manifest.memory_bytes > runtime.limits.instance_memory_bytes as u64 {
            let allowed = bytes_text(runtime.limits.instance_memory_bytes);
            let wanted = bytes_text(usize::try_from(manifest.memory_bytes).unwrap_or(usize::MAX));
            return Err(site.forbidden(Wrong {
                what: format!("it starts with {wanted} of memory, where an instance may have {allowed}"),
                limit: Some("instance_memory_bytes"),
            }));
        }

        let component_bytes = read.len() as u64;
        let prepared = OnceCell::new();
        let note = runtime.engine.cache().note(&digest, DESCRIPTOR);
        let descriptor = match note.and_then(|text| serde_json::from_str::<Descriptor>(&text).ok()) {
            Some(descriptor) => descriptor,
            None => {
                let compiled = prepare(&runtime, &site, role, &manifest, read, &digest).await?;
                let descriptor = describe(&runtime, &site, Arc::clone(&compiled)).await?;
                // Only what is sound is kept, below.
                prepared.set(compiled).ok();
                descriptor
            }
        };
        let schema = descriptor.schema().map_err(|why| site.forbidden(why))?;
        if prepared.initialized() {
            let text = serde_json::to_string(&descriptor).unwrap_or_default();
            if let Err(error) = runtime.engine.cache().set_note(&digest, DESCRIPTOR, &text) {
                tracing::warn!("cannot keep what {name} says of itself, so the next start asks again: {error}");
            }
        }
        Ok(Self {
            runtime,
            name,
            role,
            contract,
            manifest,
            digest,
            component_bytes,
            descriptor,
            schema,
            bytes,
            prepared,
            ward: Ward::default(),
        })
    }

    /// The name that batches use: that of its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version that it says it is.
    pub fn version(&self) -> &str {
        &self.descriptor.version
    }

    /// What it is, in a line.
    pub fn summary(&self) -> &str {
        &self.descriptor.summary
    }

    /// Sha-256 of its file, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What it is for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether it came with this binary.
    pub fn bundled(&self) -> bool {
        self.came() == Came::Bundled
    }

    /// How it came here.
    pub fn came(&self) -> Came {
        match self.bytes {
            Bytes::Bundled(_) => Came::Bundled,
            Bytes::File(_) => Came::Folder,
            Bytes::Installed(..) => Came::Installed,
        }
    }

    /// The version of the contract that it was built against.
    pub fn contract(&self) -> &str {
        &self.contract
    }

    /// What an upgrade is compared by.
    pub fn profile(&self) -> Profile {
        Profile {
            version: self.version().to_owned(),
            role: self.role.to_string(),
            contract: self.contract.clone(),
            imports: self.imports().iter().map(Import::name).collect(),
            origins: self.origins().to_vec(),
            secrets: self.secrets().iter().map(|slot| slot.name.clone()).collect(),
        }
    }

    /// The quarantine in which it is for a tenant.
    pub fn quarantine(&self, tenant: &str) -> Option<Quarantine> {
        self.ward.of(tenant)
    }

    /// Lets a call through, unless it is in quarantine. `None`: nobody keeps the time.
    pub(super) fn admit(&self, site: &Site) -> Result<Option<Admitted>, Fault> {
        let Some(now) = self.runtime.now() else { return Ok(None) };
        self.ward.admit(&site.tenant, now).map(Some).map_err(|quarantine| site.quarantined(&quarantine, now))
    }

    /// Takes note of what became of a call.
    pub(super) fn ended<T>(&self, admitted: Admitted, tenant: &str, result: &Result<T, Fault>) {
        let Some(now) = self.runtime.now() else { return };
        if admitted.ended(result, now, &self.runtime.limits)
            && let Some(quarantine) = self.quarantine(tenant)
        {
            let Quarantine { until, faults, last } = quarantine;
            let until = text_of(until);
            tracing::warn!(tenant, plugin = self.name, "in quarantine until {until} after {faults} faults: {last}");
        }
    }

    /// Whether it imports an interface of the contract: `mail`, say.
    pub fn imports_interface(&self, interface: &str) -> bool {
        self.manifest.imports.iter().any(|import| import.name.interface == interface)
    }

    /// What it imports: all that it can do.
    pub fn imports(&self) -> &[Import] {
        &self.manifest.imports
    }

    /// The JSON Schema of its configuration.
    pub fn config_schema(&self) -> &Value {
        self.schema.value()
    }

    /// The secrets that it can use.
    pub fn secrets(&self) -> &[SecretSlot] {
        &self.descriptor.secrets
    }

    /// The origins that it would like to reach, as it wrote them: `{{config.url}}` stands
    /// for one that the operator types.
    pub fn origins(&self) -> &[String] {
        &self.descriptor.origins
    }

    /// The origins that it would like to reach with a configuration.
    pub fn origins_with(&self, config: &Value) -> Vec<String> {
        self.descriptor.origins(config)
    }

    /// What `anomd plugin inspect` prints.
    pub fn inspection(&self) -> Inspection {
        Inspection {
            compiled_bytes: self.runtime.engine.cache().compiled_bytes(&self.digest),
            ..inspection(&self.manifest, self.role, &self.contract, self.digest.clone(), self.component_bytes)
        }
    }

    /// All faults of a configuration: what the schema says, and if that says nothing, what
    /// the plugin itself says. A plugin that cannot be asked is a fault of the whole.
    pub async fn check_config(&self, config: &Value) -> Vec<Problem> {
        let problems = self.schema.problems(config);
        if !problems.is_empty() {
            return problems;
        }
        let text = with_timezone(config, chrono_tz::UTC);
        let work: Work<Vec<Problem>> =
            Box::new(move |guest, store| Box::pin(async move { Ok(Ok(guest.check(store, &text).await?)) }));
        match self.ask("check", work).await {
            Ok(problems) => checked::problems(problems),
            Err(fault) => vec![Problem { pointer: String::new(), message: fault.to_string() }],
        }
    }

    /// The faults that the schema finds.
    pub(super) fn schema_problems(&self, config: &Value) -> Vec<Problem> {
        self.schema.problems(config)
    }

    async fn ask<T: Send + 'static>(&self, export: &'static str, work: Work<T>) -> Result<T, Fault> {
        let site = Site { version: self.version().to_owned(), export, ..Site::loading(&self.name) };
        let prepared = self.prepared().await?;
        ask(&self.runtime, &site, prepared, work).await
    }

    /// The compiled component, made or mapped with the first call.
    pub(super) async fn prepared(&self) -> Result<Arc<Prepared>, Fault> {
        let site = Site { version: self.version().to_owned(), ..Site::loading(&self.name) };
        let make = async || {
            let bytes = self.bytes.clone();
            let most = self.runtime.limits.component_bytes;
            let read = self.runtime.engine.executor().block(move || bytes.read(most)).await;
            let read = read.map_err(|lost| site.fault(Blame::Host, lost.to_string(), ""))?;
            let read = read.map_err(|why| site.fault(Blame::Operator, why, ""))?;
            if digest(&read) != self.digest {
                return Err(site.fault(
                    Blame::Operator,
                    "its file has changed since it was loaded",
                    "start anomd again",
                ));
            }
            prepare(&self.runtime, &site, self.role, &self.manifest, read, &self.digest).await
        };
        self.prepared.get_or_try_init(make).await.map(Arc::clone)
    }

    /// Binds an ingester to a use.
    pub fn ingester(self: &Arc<Self>, usage: Use) -> Result<Arc<dyn Ingest>, Fault> {
        Ok(Arc::new(self.bind(Role::Ingester, usage)?))
    }

    /// Binds a detector to a use.
    pub fn detector(self: &Arc<Self>, usage: Use) -> Result<Arc<dyn Detect>, Fault> {
        Ok(Arc::new(self.bind(Role::Detector, usage)?))
    }

    /// Binds a detector to a use as a judge of tables; `None` if it does not export `vectors`.
    pub fn vectors(self: &Arc<Self>, usage: Use) -> Result<Option<Arc<dyn Judge>>, Fault> {
        let binding = self.bind(Role::Detector, usage)?;
        let exported = self.manifest.exports.iter().any(|name| name.package == PACKAGE && name.interface == "vectors");
        Ok(exported.then(|| Arc::new(binding) as Arc<dyn Judge>))
    }

    /// Binds a notifier to a use.
    pub fn notifier(self: &Arc<Self>, usage: Use) -> Result<Arc<dyn Notify>, Fault> {
        Ok(Arc::new(self.bind(Role::Notifier, usage)?))
    }

    /// Binds an analyst to a use.
    pub fn analyst(self: &Arc<Self>, usage: Use) -> Result<Arc<dyn Analyse>, Fault> {
        Ok(Arc::new(self.bind(Role::Analyst, usage)?))
    }

    fn bind(self: &Arc<Self>, wanted: Role, usage: Use) -> Result<Binding, Fault> {
        if self.role != wanted {
            let site = Site { version: self.version().to_owned(), ..Site::loading(&self.name) };
            let site = Site { tenant: usage.tenant, ..site };
            return Err(site.fault(
                Blame::Operator,
                format!(
                    "it is {}, and batch {} uses it as {}",
                    self.role.with_article(),
                    usage.batch,
                    wanted.with_article()
                ),
                format!("name {}: `anomd plugin list` shows them", wanted.with_article()),
            ));
        }
        Binding::new(Arc::clone(&self.runtime), Arc::clone(self), usage)
    }
}

/// A configuration as plugins get it.
pub(super) fn with_timezone(config: &Value, zone: chrono_tz::Tz) -> String {
    match config {
        Value::Object(keys) => {
            let mut keys = keys.clone();
            keys.insert("timezone".into(), zone.name().into());
            Value::Object(keys).to_string()
        }
        other => other.to_string(),
    }
}

async fn prepare(
    runtime: &Arc<Runtime>,
    site: &Site,
    role: Role,
    manifest: &Manifest,
    bytes: Cow<'static, [u8]>,
    digest: &str,
) -> Result<Arc<Prepared>, Fault> {
    let refuse = |why: String| site.fault(Blame::Plugin, why, "tell the plugin's author, or take the file away");
    let compiled = runtime.engine.compile(bytes, digest).await;
    let (component, _) = compiled.map_err(|why| refuse(format!("it does not compile: {why}")))?;
    let interfaces = manifest.imports.iter().map(|import| import.name.interface.as_str());
    let prepared = Prepared::new(runtime.engine.wasm(), &component, role, interfaces);
    prepared.map(Arc::new).map_err(|e| refuse(format!("it does not fit the contract: {e:#}")))
}

async fn describe(runtime: &Arc<Runtime>, site: &Site, prepared: Arc<Prepared>) -> Result<Descriptor, Fault> {
    let site = Site { export: "describe", ..site.clone() };
    let work: Work<Descriptor> = Box::new(|guest, store| Box::pin(async move { Ok(Ok(guest.describe(store).await?)) }));
    ask(runtime, &site, prepared, work).await
}

/// A call that grants nothing and is nobody's.
async fn ask<T: Send + 'static>(
    runtime: &Arc<Runtime>,
    site: &Site,
    prepared: Arc<Prepared>,
    work: Work<T>,
) -> Result<T, Fault> {
    let granted = runtime.grant_nothing(&site.plugin).map_err(|why| site.ungranted(why))?;
    let request = Request {
        prepared,
        granted,
        warm: None,
        now: 0,
        subject: site.export.to_owned(),
        sink: Arc::new(Silent),
        wall: Wall::About,
        site: site.clone(),
        work,
    };
    runtime.call(request).await
}
