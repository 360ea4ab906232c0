//! The environment variables of Prometheus batches.
//!
//! They fill in what a batch file with `ingest_fn: prometheus` leaves open; the file goes
//! before the environment. The credentials among them belong to the server that
//! `PROMETHEUS_URL` names: a batch that names another server does not get them.

use serde_json::{Map, Value};

use super::duration::parse_seconds;
use super::environment::Environment;
use super::grant::origin_of;
use super::section::{Section, split_list};
use super::{BatchSecrets, Secret};
use crate::series::Millis;

/// The component that they are for.
pub(super) const PLUGIN: &str = "prometheus";

/// Fills `ingest_params` and `secrets` of a batch; gives `PROMETHEUS_STEP` in milliseconds.
pub(super) fn fill(
    batch: &Section<'_>,
    config: &mut Map<String, Value>,
    secrets: &mut BatchSecrets,
    environment: &Environment,
) -> Option<Millis> {
    let at = batch.pointer("ingest_params");
    let seconds = |name: &str| match parse_seconds(environment.get(name)?) {
        Ok(span) => Some(span),
        Err(fault) => {
            batch.fault_at(&at, format!("the environment variable {name} is wrong: {fault}"), "set it to 30s, say");
            None
        }
    };
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value.filter(|_| config.get(key).is_none_or(Value::is_null)) {
            config.insert(key.to_owned(), value);
        }
    };
    let text = |name: &str| environment.get(name).map(Value::from);

    set("url", text("PROMETHEUS_URL"));
    let written = |span: Millis| if span % 1_000 == 0 { format!("{}s", span / 1_000) } else { format!("{span}ms") };
    set("timeout", seconds("PROMETHEUS_TIMEOUT").map(|span| written(span).into()));
    set("metrics", environment.get("PROMETHEUS_METRICS").map(|list| split_list(list).into()));

    let server = environment.get("PROMETHEUS_URL").and_then(origin_of);
    let named = config.get("url").and_then(Value::as_str).and_then(origin_of);
    if server.is_none() || server == named {
        if let Some(name) = text("PROMETHEUS_USERNAME") {
            config.entry("username").or_insert(name);
        }
        let own = secrets.by_plugin.entry(PLUGIN.to_owned()).or_default();
        for (slot, name) in [("password", "PROMETHEUS_PASSWORD"), ("token", "PROMETHEUS_TOKEN")] {
            if let Some(value) = environment.get(name).filter(|_| !secrets.shared.contains_key(slot)) {
                own.entry(slot.to_owned()).or_insert_with(|| Secret::new(value));
            }
        }
    }
    seconds("PROMETHEUS_STEP")
}
