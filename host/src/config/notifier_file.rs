//! `alert_methods`, `tholdalert_methods` and `alert_params` of a batch.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::environment::Environment;
use super::grant::urls;
use super::mail_environment;
use super::name::component;
use super::policy::Methods;
use super::section::Section;
use super::{NotifierUse, pointer};

/// The method that stands for the tenant's routes.
const ROUTE: &str = "route";

/// The methods of the alerts, and those of the threshold alerts where they differ.
pub(super) fn methods(batch: &Section<'_>, environment: &Environment) -> (Methods, Option<Methods>) {
    let of_alerts = names(batch, "alert_methods");
    let of_thresholds =
        batch.has("tholdalert_methods").then(|| names(batch, "tholdalert_methods")).filter(|own| *own != of_alerts);
    if !batch.has("tholdalert_methods") {
        batch.value("tholdalert_methods");
    }
    let mut configs: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for (name, params) in batch.sections("alert_params") {
        let named = of_alerts.contains(name) || of_thresholds.as_ref().is_some_and(|own| own.contains(name));
        if !named || name == ROUTE {
            let text = format!("has no effect: alert_methods does not name {name}");
            let (text, remedy) = match name {
                ROUTE => {
                    ("has no effect: route is no notifier".to_owned(), "write `alerting` in anomd.yaml".to_owned())
                }
                _ => (text, format!("add {name} to alert_methods")),
            };
            batch.warn_at(&params.own_pointer(), text, remedy);
        }
        configs.insert(name.to_owned(), params.to_object());
    }
    let methods = |names: BTreeSet<String>| Methods {
        routed: names.is_empty() || names.contains(ROUTE),
        route_named: names.contains(ROUTE),
        notifiers: names
            .into_iter()
            .filter(|name| name != ROUTE)
            .map(|plugin| {
                let mut config = configs.get(&plugin).cloned().unwrap_or_default();
                mail_environment::fill_notifier(&plugin, &mut config, environment);
                let config = Value::Object(config);
                let pointer = pointer::child(&batch.pointer("alert_params"), &plugin);
                warn_of_credentials(batch, &pointer, &config);
                NotifierUse { plugin, config, pointer }
            })
            .collect(),
    };
    (methods(of_alerts), of_thresholds.map(methods))
}

fn names(batch: &Section<'_>, key: &'static str) -> BTreeSet<String> {
    let mut methods = BTreeSet::new();
    for method in batch.texts(key) {
        match component(&method) {
            Ok(method) => drop(methods.insert(method)),
            Err((message, _)) => {
                let remedy = "name notifiers, as slack or email; where they send to stands in alert_params";
                batch.fault(key, message, remedy);
            }
        }
    }
    methods
}

/// Warns of URLs with a user name or password in them.
pub(super) fn warn_of_credentials(section: &Section<'_>, at: &str, config: &Value) {
    for (pointer, url) in urls(config) {
        if !url.username().is_empty() || url.password().is_some() {
            section.warn_at(
                &format!("{at}{pointer}"),
                "is a URL with a user name or password in it, which plugins may not use",
                "write the URL without them and put the password under `secrets`",
            );
        }
    }
}
