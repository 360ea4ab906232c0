//! Binding: a batch meets its plugins. What its file says to them is checked here, each
//! fault with the line of the file, before anything runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::tenant::Receivers;
use crate::alert::methods;
use crate::config::{
    AnalystUse, Batch, BatchKey, CapacityUse, DEFAULT_TENANT, DetectorUse, IngestUse, Node as NodeConfig, NotifierUse,
    Problem, Problems, Receiver, Routing, Severity, Wishes, config_digest, named_origins,
};
use crate::fault::{Blame, Fault};
use crate::pipeline::{BoundAnalyst, BoundBatch, BoundDetector, BoundNotifier, RunLog};
use crate::plugin::{Call, Catalogue, KeyValue, Plugin, Role, Use};

/// Checks a batch against its plugins and the grants, and touches nothing: no plugin is
/// called but for what it says about itself and its configuration. What `known` problems
/// are about is passed over, so that a fault is not told twice in different words.
pub async fn check(batch: &Batch, known: &Problems, config: &NodeConfig, catalogue: &Catalogue) -> Problems {
    let mut problems = Problems::default();
    let is_known = |pointer: &str| {
        let errors =
            known.iter().filter(|known| known.severity == Severity::Error && *known.place.file == *batch.source);
        errors.into_iter().any(|known| !known.pointer.is_empty() && pointer.starts_with(&known.pointer))
    };
    for entry in entries(batch) {
        // A batch whose source is SQL names no component, and was told so.
        if entry.plugin().is_empty() || is_known(entry.config_at()) || is_known(&entry.named_at()) {
            continue;
        }
        match find(batch, entry, config, catalogue).await {
            Ok(plugin) => problems.extend(beyond_policy(batch, entry, &plugin, config)),
            Err(found) => problems.extend(found),
        }
    }
    problems.extend(unrouted(batch, config));
    problems
}

/// A batch that names the method `route`, where its tenant has no routes: nobody is told.
fn unrouted(batch: &Batch, config: &NodeConfig) -> Problems {
    let mut problems = Problems::default();
    if config.tenants.get(&batch.key.tenant).is_some_and(|tenant| tenant.routing.route.is_some()) {
        return problems;
    }
    let of_limits = batch.threshold.methods.as_ref().is_some_and(|methods| methods.route_named);
    for (key, named) in [("/alert_methods", batch.alert.route_named), ("/tholdalert_methods", of_limits)] {
        if named {
            let text = format!("route tells nobody: the tenant {} has no routes", batch.key.tenant);
            problems.push(batch.warning_at(key, text, "write alerting.route in anomd.yaml, or name a notifier"));
        }
    }
    problems
}

/// Binds a batch, or says all that is in the way.
pub async fn bind(
    batch: Batch,
    config: &NodeConfig,
    catalogue: &Catalogue,
    kv: Arc<dyn KeyValue>,
) -> Result<BoundBatch, Problems> {
    let mut problems = Problems::default();
    let (mut ingester, mut detectors, mut notifiers, mut analyst) = (None, Vec::new(), Vec::new(), None);
    let mut capacity = Vec::new();
    for entry in entries(&batch) {
        let plugin = match find(&batch, entry, config, catalogue).await {
            Ok(plugin) => plugin,
            Err(found) => {
                problems.extend(found);
                continue;
            }
        };
        let grant = grant(&batch, entry, &plugin, config, kv.clone());
        let bound = match entry {
            Entry::Ingest(_) => plugin.ingester(grant).map(|bound| ingester = Some(bound)),
            Entry::Detect(_, entry) => {
                detector(&batch, entry, batch.judged.step_ms, &plugin, grant).await.map(|bound| detectors.push(bound))
            }
            Entry::Foresee(limit) => {
                detector(&batch, &limit.detector, limit.step_ms, &plugin, grant).await.map(|bound| capacity.push(bound))
            }
            Entry::Analyse(entry) => plugin.analyst(grant).map(|analyse| {
                analyst = Some(BoundAnalyst { entry: entry.clone(), analyse, config: entry.config.to_string() });
            }),
            Entry::Notify(entry) => plugin.notifier(grant).map(|notify| {
                notifiers.push(BoundNotifier { entry: entry.clone(), notify, config: entry.config.to_string() });
            }),
        };
        if let Err(fault) = bound {
            problems.push(at(&batch, &entry.named_at(), &fault));
        }
    }
    match ingester {
        Some(ingester) if !problems.has_errors() => {
            Ok(BoundBatch { batch, ingester, detectors, capacity, notifiers, analyst })
        }
        _ => Err(problems),
    }
}

/// A plugin that a batch names.
#[derive(Clone, Copy)]
enum Entry<'a> {
    Ingest(&'a IngestUse),
    Detect(usize, &'a DetectorUse),
    /// The detector of a limit.
    Foresee(&'a CapacityUse),
    Notify(&'a NotifierUse),
    Analyse(&'a AnalystUse),
}

fn entries(batch: &Batch) -> impl Iterator<Item = Entry<'_>> {
    std::iter::once(Entry::Ingest(&batch.ingest))
        .chain(batch.detectors.iter().enumerate().map(|(index, entry)| Entry::Detect(index, entry)))
        .chain(batch.capacity.limits.iter().filter(|_| batch.capacity.enabled).map(Entry::Foresee))
        .chain(notifiers(batch).map(Entry::Notify))
        .chain(batch.llm.analyst.iter().map(Entry::Analyse))
}

/// Those of `alert_methods`, then those that only `tholdalert_methods` names: a notifier has
/// one configuration in a batch.
fn notifiers(batch: &Batch) -> impl Iterator<Item = &NotifierUse> {
    let own = &batch.alert.notifiers;
    let more = batch.threshold.methods.iter().flat_map(|methods| &methods.notifiers);
    own.iter().chain(more.filter(|more| !own.iter().any(|own| own.plugin == more.plugin)))
}

impl<'a> Entry<'a> {
    fn plugin(self) -> &'a str {
        match self {
            Self::Ingest(entry) => &entry.plugin,
            Self::Detect(_, entry) => &entry.plugin,
            Self::Foresee(limit) => &limit.detector.plugin,
            Self::Notify(entry) => &entry.plugin,
            Self::Analyse(entry) => &entry.plugin,
        }
    }

    fn config(self) -> &'a Value {
        match self {
            Self::Ingest(entry) => &entry.config,
            Self::Detect(_, entry) => &entry.config,
            Self::Foresee(limit) => &limit.detector.config,
            Self::Notify(entry) => &entry.config,
            Self::Analyse(entry) => &entry.config,
        }
    }

    /// The role in which it is used.
    fn role(self) -> Role {
        match self {
            Self::Ingest(_) => Role::Ingester,
            Self::Detect(..) | Self::Foresee(_) => Role::Detector,
            Self::Notify(_) => Role::Notifier,
            Self::Analyse(_) => Role::Analyst,
        }
    }

    /// The pointer to its configuration in the batch's file.
    fn config_at(self) -> &'a str {
        match self {
            Self::Ingest(entry) => &entry.pointer,
            Self::Detect(_, entry) => &entry.pointer,
            Self::Foresee(limit) => &limit.detector.pointer,
            Self::Notify(entry) => &entry.pointer,
            Self::Analyse(entry) => &entry.pointer,
        }
    }

    /// The pointer to its name.
    fn named_at(self) -> String {
        match self {
            Self::Ingest(_) => "/ingest_fn".to_owned(),
            Self::Detect(index, _) => format!("/model_configs/{index}/model_name"),
            Self::Foresee(limit) => limit.detector.pointer.clone(),
            Self::Notify(_) => "/alert_methods".to_owned(),
            Self::Analyse(_) => "/llmalert_fn".to_owned(),
        }
    }
}

/// The plugin of an entry, if its configuration is one that it takes.
async fn find(
    batch: &Batch,
    entry: Entry<'_>,
    config: &NodeConfig,
    catalogue: &Catalogue,
) -> Result<Arc<Plugin>, Problems> {
    let plugin = catalogue.get_for(&batch.key.tenant, entry.plugin());
    let plugin = plugin.map_err(|fault| at(batch, &entry.named_at(), &fault))?;
    let problems = judge(batch, entry, &plugin, config).await;
    if problems.has_errors() { Err(problems) } else { Ok(plugin) }
}

/// What keeps a plugin from doing what an entry asks of it.
async fn judge(batch: &Batch, entry: Entry<'_>, plugin: &Plugin, config: &NodeConfig) -> Problems {
    let mut problems = Problems::default();
    for found in plugin.check_config(entry.config()).await {
        let pointer = format!("{}{}", entry.config_at(), found.pointer);
        let message = format!("plugin {} {}: {}", plugin.name(), plugin.version(), found.message);
        problems.push(batch.error_at(&pointer, message, ""));
    }
    if let Some((message, remedy)) = without_mail(plugin, config) {
        problems.push(batch.error_at(&entry.named_at(), message, remedy));
    }
    problems.extend(beyond_policy(batch, entry, plugin, config));
    problems
}

/// Whether a batch uses a plugin.
pub(super) fn uses(batch: &Batch, name: &str) -> bool {
    entries(batch).any(|entry| entry.plugin() == name)
}

/// What would keep a plugin from taking the place of that of its name in a batch.
pub(super) async fn would_not_take(batch: &Batch, name: &str, plugin: &Plugin, config: &NodeConfig) -> Problems {
    let mut problems = Problems::default();
    for entry in entries(batch).filter(|entry| entry.plugin() == name) {
        if entry.role() != plugin.role() {
            let (is, wanted) = (plugin.role().with_article(), entry.role().with_article());
            let message = format!("plugin {name} {} is {is}, and is used as {wanted}", plugin.version());
            problems.push(batch.error_at(&entry.named_at(), message, format!("name {wanted}")));
            continue;
        }
        problems.extend(judge(batch, entry, plugin, config).await);
    }
    problems
}

/// What of a use a hosted tenant may not grant itself. A plugin is refused; an origin is told
/// of, since an address in a configuration may be one that is only shown.
fn beyond_policy(batch: &Batch, entry: Entry<'_>, plugin: &Plugin, config: &NodeConfig) -> Problems {
    let mut problems = Problems::default();
    let called = &batch.key.tenant;
    let Some(tenant) = config.tenants.get(called).filter(|_| called != DEFAULT_TENANT) else { return problems };
    let granted = tenant.grants.get(plugin.name());
    if granted.is_none() && !tenant.policy.allows_plugin(plugin.name(), plugin.bundled()) {
        let message = format!("the tenant {called} may not use the plugin {}", plugin.name());
        let remedy = format!("`anomd tenant policy {called} --plugin {}` allows it", plugin.name());
        problems.push(batch.error_at(&entry.named_at(), message, remedy));
    }
    for origin in named_origins(entry.config()) {
        let listed = granted.is_some_and(|granted| granted.origins.contains(&origin));
        if !listed && !tenant.policy.allows_origin(&origin) {
            let message = format!("the tenant {called} may not reach {origin}");
            let remedy = format!("`anomd tenant policy {called} --origin {origin}` allows it");
            problems.push(batch.warning_at(entry.config_at(), message, remedy));
        }
    }
    problems
}

/// What is missing for a plugin that sends mail.
fn without_mail(plugin: &Plugin, config: &NodeConfig) -> Option<(String, &'static str)> {
    let remedy = "add `smtp` to anomd.yaml, or take it out of `alert_methods`";
    (plugin.imports_interface("mail") && config.mail.is_none())
        .then(|| (format!("plugin {} sends mail and the node has no mail account", plugin.name()), remedy))
}

/// Checks the receivers of the tenants' routes, as [`check`] does a batch.
pub async fn check_receivers(config: &NodeConfig, catalogue: &Catalogue) -> Problems {
    let mut problems = Problems::default();
    for (tenant, routing) in config.tenants.iter().map(|(name, tenant)| (name, &tenant.routing)) {
        for entry in routing.receivers.values().flat_map(|receiver| &receiver.notifiers) {
            if let Err(found) = find_receiver(tenant, routing, entry, config, catalogue).await {
                problems.extend(found);
            }
        }
    }
    problems
}

/// Binds the receivers of the tenants' routes: those that work, and what is in the way of
/// the others.
pub(super) async fn receivers(
    config: &NodeConfig,
    catalogue: &Catalogue,
    kv: Arc<dyn KeyValue>,
) -> (Receivers, Problems) {
    let (mut bound, mut problems) = (Receivers::new(), Problems::default());
    for (tenant, routing) in config.tenants.iter().map(|(name, tenant)| (name, &tenant.routing)) {
        let own = bound.entry(tenant.clone()).or_default();
        for receiver in routing.receivers.values() {
            let mut notifiers = BTreeMap::new();
            for (entry, (method, _)) in receiver.notifiers.iter().zip(methods(&receiver.notifiers)) {
                let plugin = match find_receiver(tenant, routing, entry, config, catalogue).await {
                    Ok(plugin) => plugin,
                    Err(found) => {
                        problems.extend(found);
                        continue;
                    }
                };
                match plugin.notifier(grant_receiver(tenant, receiver, entry, &plugin, config, kv.clone())) {
                    Ok(notify) => {
                        let config = entry.config.to_string();
                        notifiers.insert(method, Arc::new(BoundNotifier { entry: entry.clone(), notify, config }));
                    }
                    Err(fault) => problems.push(routing.error_at(&entry.pointer, fault.message, fault.remedy)),
                }
            }
            own.insert(receiver.name.clone(), notifiers);
        }
    }
    (bound, problems)
}

async fn find_receiver(
    tenant: &str,
    routing: &Routing,
    entry: &NotifierUse,
    config: &NodeConfig,
    catalogue: &Catalogue,
) -> Result<Arc<Plugin>, Problems> {
    let plugin = catalogue.get_for(tenant, &entry.plugin);
    let plugin = plugin.map_err(|fault| routing.error_at(&entry.pointer, fault.message, fault.remedy))?;
    let problems = judge_receiver(routing, entry, &plugin, config).await;
    if problems.has_errors() { Err(problems) } else { Ok(plugin) }
}

/// What would keep a plugin from taking the place of that of its name in a tenant's routes.
pub(super) async fn receivers_would_not_take(
    tenant: &str,
    name: &str,
    plugin: &Plugin,
    config: &NodeConfig,
) -> Problems {
    let mut problems = Problems::default();
    let Some(routing) = config.tenants.get(tenant).map(|tenant| &tenant.routing) else { return problems };
    let notifiers = routing.receivers.values().flat_map(|receiver| &receiver.notifiers);
    for entry in notifiers.filter(|entry| entry.plugin == name) {
        if plugin.role() == Role::Notifier {
            problems.extend(judge_receiver(routing, entry, plugin, config).await);
        } else {
            let message = format!("plugin {name} {} is {}", plugin.version(), plugin.role().with_article());
            problems.push(routing.error_at(&entry.pointer, message, "name a notifier"));
        }
    }
    problems
}

/// What keeps a plugin from doing what a receiver asks of it.
async fn judge_receiver(routing: &Routing, entry: &NotifierUse, plugin: &Plugin, config: &NodeConfig) -> Problems {
    let mut problems = Problems::default();
    for found in plugin.check_config(&entry.config).await {
        let message = format!("plugin {} {}: {}", plugin.name(), plugin.version(), found.message);
        problems.push(routing.error_at(&format!("{}{}", entry.pointer, found.pointer), message, ""));
    }
    if let Some((message, remedy)) = without_mail(plugin, config) {
        problems.push(routing.error_at(&entry.pointer, message, remedy));
    }
    problems
}

fn grant_receiver(
    tenant: &str,
    receiver: &Receiver,
    entry: &NotifierUse,
    plugin: &Plugin,
    config: &NodeConfig,
    kv: Arc<dyn KeyValue>,
) -> Use {
    let origins = if plugin.bundled() { plugin.origins_with(&entry.config) } else { Vec::new() };
    let slots: Vec<String> = plugin.secrets().iter().map(|slot| slot.name.clone()).collect();
    let wishes = Wishes { origins: &origins, slots: &slots };
    let (grants, secrets) = config.grants_for(tenant, receiver, &entry.plugin, &entry.config, wishes);
    Use {
        tenant: tenant.to_owned(),
        batch: BatchKey::TENANT.to_owned(),
        grants,
        secrets,
        timezone: chrono_tz::Tz::UTC,
        mail: config.mail.clone(),
        kv,
        warm: true,
    }
}

fn grant(batch: &Batch, entry: Entry<'_>, plugin: &Plugin, config: &NodeConfig, kv: Arc<dyn KeyValue>) -> Use {
    // What a plugin wishes for is granted where it came with anomd; others ask the operator.
    let origins = if plugin.bundled() { plugin.origins_with(entry.config()) } else { Vec::new() };
    let slots: Vec<String> = plugin.secrets().iter().map(|slot| slot.name.clone()).collect();
    let wishes = Wishes { origins: &origins, slots: &slots };
    let (grants, secrets) = batch.grants_for(entry.plugin(), entry.config(), wishes, config);
    Use {
        tenant: batch.key.tenant.clone(),
        batch: batch.key.batch.clone(),
        grants,
        secrets,
        timezone: batch.timezone,
        mail: config.mail.clone(),
        kv,
        warm: true,
    }
}

async fn detector(
    batch: &Batch,
    entry: &DetectorUse,
    step_ms: u32,
    plugin: &Arc<Plugin>,
    grant: Use,
) -> Result<BoundDetector, Fault> {
    let judge = if batch.entity_labels.is_empty() { None } else { plugin.vectors(grant.clone())? };
    if judge.is_none() && !batch.entity_labels.is_empty() {
        return Err(Fault {
            blame: Blame::Operator,
            tenant: batch.key.tenant.clone(),
            plugin: entry.plugin.clone(),
            version: plugin.version().to_owned(),
            export: "vectors".to_owned(),
            message: format!("plugin {} judges series one by one, and no entities", entry.plugin),
            remedy: "name one that does (ECOD, IForest, LOF), or remove entity_labels".to_owned(),
            log_tail: Vec::new(),
            answer: None,
            until: None,
        });
    }
    let detect = plugin.detector(grant)?;
    let call = Call { now: 0, subject: format!("{}/plan", batch.key), log: RunLog::new(0) };
    let config = entry.config.to_string();
    let needs = detect.plan(&call, &config, step_ms).await?;
    Ok(BoundDetector {
        entry: entry.clone(),
        detect,
        judge,
        plugin_digest: plugin.digest().to_owned(),
        config_digest: config_digest(&entry.config),
        config,
        needs,
    })
}

fn at(batch: &Batch, pointer: &str, fault: &Fault) -> Problem {
    batch.error_at(pointer, fault.message.clone(), fault.remedy.clone())
}
