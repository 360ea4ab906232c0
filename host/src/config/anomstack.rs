//! Anomstack's keys that change nothing here.
//!
//! A file written for Anomstack loads as it stands. A key that asks for something that
//! anomd does not do (yet, or at all) gives a warning that says so, unless it asks for
//! just that: `disable_llmalert: true`.

use serde_json::Value;

use super::section::Section;

const OWN_STORE: &str = "anomd keeps metrics, scores and models in its own store";
const NO_SQL: &str = "jobs read the store; there is no SQL to replace";
const NO_CHANGE: &str = "change detection is not built yet";
const NO_THRESHOLD: &str = "threshold alerts are not built yet";
const NO_LLM: &str = "LLM alerts are not built yet";
const NO_PLOT: &str = "there is no plot job; charts are not built yet";
const NO_SUMMARY: &str = "the summary mail is not built yet";
const NO_DELETE: &str = "nothing is deleted yet";
const NO_DASHBOARD: &str = "there is no dashboard yet";

/// Each key, and why it changes nothing.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("db", OWN_STORE),
    ("table_key", OWN_STORE),
    ("model_path", OWN_STORE),
    ("ingest_sql", "SQL sources are not built yet; name a component with ingest_fn"),
    ("train_sql", NO_SQL),
    ("score_sql", NO_SQL),
    ("alert_sql", NO_SQL),
    ("preprocess_fn", "a detector has its preprocessing built in; preprocess_params sets that of pca and knn"),
    ("alert_max_n", NO_PLOT),
    ("disable_dashboard", NO_DASHBOARD),
    ("dashboard_stale_metric_max_days_ago", NO_DASHBOARD),
    ("dashboard_sql", NO_DASHBOARD),
    ("disable_change", NO_CHANGE),
    ("change_cron_schedule", NO_CHANGE),
    ("change_default_schedule_status", NO_CHANGE),
    ("change_detect_last_n", NO_CHANGE),
    ("change_exclude_metrics", NO_CHANGE),
    ("change_include_metrics", NO_CHANGE),
    ("change_max_n", NO_CHANGE),
    ("change_metric_timestamp_max_days_ago", NO_CHANGE),
    ("change_smooth_n", NO_CHANGE),
    ("change_snooze_n", NO_CHANGE),
    ("change_sql", NO_CHANGE),
    ("change_threshold", NO_CHANGE),
    ("disable_tholdalert", NO_THRESHOLD),
    ("tholdalert_exclude_metrics", NO_THRESHOLD),
    ("tholdalert_methods", NO_THRESHOLD),
    ("tholdalert_recent_n", NO_THRESHOLD),
    ("tholdalert_snooze_n", NO_THRESHOLD),
    ("tholdalert_thresholds", NO_THRESHOLD),
    ("disable_llmalert", NO_LLM),
    ("llmalert_anomaly_agent_detection_prompt", NO_LLM),
    ("llmalert_anomaly_agent_verification_prompt", NO_LLM),
    ("llmalert_cron_schedule", NO_LLM),
    ("llmalert_default_schedule_status", NO_LLM),
    ("llmalert_include_plot", NO_LLM),
    ("llmalert_metric_rounding", NO_LLM),
    ("llmalert_metric_timestamp_max_days_ago", NO_LLM),
    ("llmalert_model", NO_LLM),
    ("llmalert_prompt_max_n", NO_LLM),
    ("llmalert_recent_n", NO_LLM),
    ("llmalert_smooth_n", NO_LLM),
    ("llmalert_sql", NO_LLM),
    ("prompt_fn", NO_LLM),
    ("disable_plot", NO_PLOT),
    ("plot_cron_schedule", NO_PLOT),
    ("plot_default_schedule_status", NO_PLOT),
    ("plot_sql", NO_PLOT),
    ("disable_summary", NO_SUMMARY),
    ("summary_cron_schedule", NO_SUMMARY),
    ("summary_default_schedule_status", NO_SUMMARY),
    ("summary_metric_timestamp_max_days_ago", NO_SUMMARY),
    ("summary_sql", NO_SUMMARY),
    ("disable_delete", NO_DELETE),
    ("delete_after_n_days", NO_DELETE),
    ("delete_cron_schedule", NO_DELETE),
    ("delete_default_schedule_status", NO_DELETE),
    ("delete_sql", NO_DELETE),
];

/// Warns of the keys of a batch that change nothing.
pub(super) fn warn_of_idle_keys(batch: &Section<'_>) {
    for (key, reason) in WITHOUT_EFFECT {
        let Some(value) = batch.value(key) else { continue };
        let asks_for_what_is = match value {
            Value::Bool(flag) => *flag && key.starts_with("disable_"),
            Value::String(text) => key.ends_with("_default_schedule_status") && text.eq_ignore_ascii_case("stopped"),
            _ => false,
        };
        if !asks_for_what_is {
            batch.warn_at(&batch.pointer(key), format!("has no effect: {reason}"), "");
        }
    }
}
