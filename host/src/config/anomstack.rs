//! Anomstack's keys that change nothing here, and its sources, which are code.
//!
//! A file written for Anomstack loads as it stands, but for its source: in place of Python
//! or SQL it names a component. A key that asks for something that anomd does not do (yet, or
//! at all) gives a warning that says so, unless it asks for just that:
//! `disable_dashboard: true`.

use serde_json::Value;

use super::name::component;
use super::section::Section;

const OWN_STORE: &str = "anomd keeps metrics, scores and models in its own store";
const NO_SQL: &str = "jobs read the store; there is no SQL to replace";
const NO_DASHBOARD: &str = "there is no dashboard yet";

/// Each key, and why it changes nothing.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("db", OWN_STORE),
    ("table_key", OWN_STORE),
    ("model_path", OWN_STORE),
    ("train_sql", NO_SQL),
    ("score_sql", NO_SQL),
    ("alert_sql", NO_SQL),
    ("change_sql", NO_SQL),
    ("llmalert_sql", NO_SQL),
    ("plot_sql", NO_SQL),
    ("summary_sql", NO_SQL),
    ("delete_sql", NO_SQL),
    ("dashboard_sql", NO_SQL),
    ("preprocess_fn", "a detector has its preprocessing built in; preprocess_params sets that of Anomstack's"),
    ("prompt_fn", "llmalert_anomaly_agent_detection_prompt is the prompt"),
    ("disable_dashboard", NO_DASHBOARD),
    ("dashboard_stale_metric_max_days_ago", NO_DASHBOARD),
];

/// `ingest_fn`, the component that fetches. Python and SQL, which Anomstack has in its place,
/// are answered with what to write instead.
pub(super) fn source_plugin(batch: &Section<'_>, name: &str) -> String {
    let written = batch.text("ingest_fn");
    let sql = batch.value("ingest_sql").is_some();
    let own = |what: &str| {
        format!(
            "name a component in its place: ingest_fn: prometheus, which is built in, or one of your own for {what}, \
             from the folder `plugins` of anomd.yaml"
        )
    };
    if sql {
        let db = batch.value("db").and_then(Value::as_str).unwrap_or("duckdb");
        let remedy = if written.is_some() { "remove it".to_owned() } else { own(&format!("{name} in {db}")) };
        batch.fault("ingest_sql", "is SQL, which anomd does not run", remedy);
    }
    let Some(text) = written else {
        if !sql && !batch.has("ingest_fn") {
            batch.fault("ingest_fn", "is missing", "name the component that fetches: ingest_fn: prometheus");
        }
        return String::new();
    };
    match (component(text), included(text)) {
        (Ok(plugin), _) => return plugin,
        (Err((message, _)), Some("prometheus.py")) => {
            batch.fault("ingest_fn", message, "name the component in its place: ingest_fn: prometheus");
        }
        (Err((message, _)), Some(file)) => batch.fault("ingest_fn", message, own(&format!("what {file} fetches"))),
        (Err((message, remedy)), None) => batch.fault("ingest_fn", message, remedy),
    }
    String::new()
}

/// The file's name in `{% include "./examples/x/x.py" %}`.
fn included(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("{%")?;
    let path = rest.trim().strip_prefix("include")?.trim_start();
    let quote = path.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (path, _) = path.get(1..)?.split_once(quote)?;
    path.rsplit('/').next()
}

/// Warns of the keys of a batch that change nothing.
pub(super) fn warn_of_idle_keys(batch: &Section<'_>) {
    for (key, reason) in WITHOUT_EFFECT {
        let Some(value) = batch.value(key) else { continue };
        let asks_for_what_is = key.starts_with("disable_") && value == &Value::Bool(true);
        if !asks_for_what_is {
            batch.warn_at(&batch.pointer(key), format!("has no effect: {reason}"), "");
        }
    }
}
