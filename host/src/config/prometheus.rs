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

/// The steps that a batch may have, in milliseconds.
const STEPS: std::ops::RangeInclusive<Millis> = 1_000..=86_400_000;

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
    let text = |name: &str| environment.get(name).map(Value::from);
    let written = |span: Millis| if span % 1_000 == 0 { format!("{}s", span / 1_000) } else { format!("{span}ms") };
    fill_open(config, "url", || text("PROMETHEUS_URL"));
    fill_open(config, "timeout", || seconds("PROMETHEUS_TIMEOUT").map(|span| written(span).into()));
    fill_open(config, "metrics", || environment.get("PROMETHEUS_METRICS").map(|list| split_list(list).into()));

    let url = config.get("url").and_then(Value::as_str).unwrap_or_default();
    let same = |its: &str| its == url || origin_of(its).is_some_and(|its| Some(its) == origin_of(url));
    let is_its_server = environment.get("PROMETHEUS_URL").is_none_or(same);
    if is_its_server {
        fill_open(config, "username", || text("PROMETHEUS_USERNAME"));
        let bearer = environment.get("PROMETHEUS_TOKEN").filter(|_| !config.contains_key("username"));
        fill_open(config, "auth", || bearer.map(|_| "bearer".into()));
        let own = secrets.by_plugin.entry(PLUGIN.to_owned()).or_default();
        for (slot, name) in [("password", "PROMETHEUS_PASSWORD"), ("token", "PROMETHEUS_TOKEN")] {
            if let Some(value) = environment.get(name).filter(|_| !secrets.shared.contains_key(slot)) {
                own.entry(slot.to_owned()).or_insert_with(|| Secret::new(value));
            }
        }
    }
    if batch.has("step") {
        return None;
    }
    let step = seconds("PROMETHEUS_STEP")?;
    if !STEPS.contains(&step) {
        batch.fault_at("/step", "the environment variable PROMETHEUS_STEP is out of range", "set it to 1s to 1d");
        return None;
    }
    Some(step)
}

/// Sets a key that the file leaves open.
pub(super) fn fill_open(config: &mut Map<String, Value>, key: &str, value: impl FnOnce() -> Option<Value>) {
    if config.get(key).is_none_or(Value::is_null)
        && let Some(value) = value()
    {
        config.insert(key.to_owned(), value);
    }
}
