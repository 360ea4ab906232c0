//! `change_*` and `llmalert_*` of a batch.

use serde_json::{Map, Value};

use super::environment::Environment;
use super::llm_environment;
use super::name::component;
use super::policy::{AnalystUse, ChangePolicy, LlmPolicy};
use super::section::Section;

/// The keys that switch change detection on by being there.
const CHANGE: [&str; 10] = [
    "change_threshold",
    "change_detect_last_n",
    "change_max_n",
    "change_smooth_n",
    "change_snooze_n",
    "change_metric_timestamp_max_days_ago",
    "change_include_metrics",
    "change_exclude_metrics",
    "change_cron_schedule",
    "change_default_schedule_status",
];

/// `change_*`.
pub(super) fn change(batch: &Section<'_>) -> ChangePolicy {
    let usual = ChangePolicy::default();
    let enabled = match batch.flag("disable_change") {
        Some(disabled) => !disabled,
        None => CHANGE.iter().any(|key| batch.has(key)),
    };
    ChangePolicy {
        enabled,
        threshold: batch.number("change_threshold", 0.1..=1_000.0).unwrap_or(usual.threshold),
        last_n: batch.count("change_detect_last_n", 1..=10_000).unwrap_or(usual.last_n),
        max_n: batch.count("change_max_n", 3..=1_000_000).unwrap_or(usual.max_n),
        smooth_n: batch.count("change_smooth_n", 0..=10_000).unwrap_or(usual.smooth_n),
        snooze_n: batch.count("change_snooze_n", 0..=1_000_000).unwrap_or(usual.snooze_n),
        max_age_ms: batch.days("change_metric_timestamp_max_days_ago").unwrap_or(usual.max_age_ms),
        include: batch.metrics("change_include_metrics"),
        exclude: batch.metrics("change_exclude_metrics"),
    }
}

/// `llmalert_*`. What is the component's is laid under `llmalert_params`.
pub(super) fn llm(batch: &Section<'_>, environment: &Environment) -> LlmPolicy {
    let usual = LlmPolicy::default();
    let detect = batch.flag("disable_llmalert") == Some(false);
    let explain = batch.flag("llmalert_explain").unwrap_or(usual.explain);
    let chart = batch.flag("llmalert_include_plot");
    let max_n = batch.count("llmalert_prompt_max_n", 2..=10_000);
    let plugin = batch.parsed("llmalert_fn", component).unwrap_or_else(|| llm_environment::PLUGIN.to_owned());

    let mut config = batch.object("llmalert_params");
    let text = |key: &'static str| batch.text(key).map(Value::from);
    let written = [
        ("llmalert_model", "model", text("llmalert_model")),
        (
            "llmalert_anomaly_agent_detection_prompt",
            "detection_prompt",
            text("llmalert_anomaly_agent_detection_prompt"),
        ),
        (
            "llmalert_anomaly_agent_verification_prompt",
            "verification_prompt",
            text("llmalert_anomaly_agent_verification_prompt"),
        ),
        ("llmalert_metric_rounding", "rounding", batch.integer("llmalert_metric_rounding", -1..=12).map(Value::from)),
        ("llmalert_prompt_max_n", "max_points", max_n.map(Value::from)),
        ("llmalert_include_plot", "include_chart", chart.map(Value::from)),
    ];
    for (key, name, value) in written {
        set(batch, &mut config, key, name, value);
    }
    if plugin == llm_environment::PLUGIN {
        llm_environment::fill(&mut config, environment);
    }
    let analyst = (detect || explain).then(|| AnalystUse {
        plugin,
        config: Value::Object(config),
        pointer: batch.pointer("llmalert_params"),
    });
    LlmPolicy {
        detect,
        explain,
        analyst,
        recent_n: batch.count("llmalert_recent_n", 1..=10_000).unwrap_or(usual.recent_n),
        smooth_n: batch.count("llmalert_smooth_n", 0..=10_000).unwrap_or(usual.smooth_n),
        max_n: max_n.unwrap_or(usual.max_n),
        max_age_ms: batch.days("llmalert_metric_timestamp_max_days_ago").unwrap_or(usual.max_age_ms),
        chart: chart.unwrap_or(usual.chart),
        calls_per_day: batch
            .whole("llmalert_budget_calls", 0..=1_000_000)
            .and_then(|calls| u32::try_from(calls).ok())
            .unwrap_or(usual.calls_per_day),
        tokens_per_day: batch.whole("llmalert_budget_tokens", 0..=1_000_000_000_000).unwrap_or(usual.tokens_per_day),
        include: batch.metrics("llmalert_include_metrics"),
        exclude: batch.metrics("llmalert_exclude_metrics"),
    }
}

/// Sets what a key says in the component's configuration, if that leaves it open.
fn set(batch: &Section<'_>, config: &mut Map<String, Value>, key: &str, name: &str, value: Option<Value>) {
    let Some(value) = value else { return };
    if config.get(name).is_some_and(|other| *other != value) {
        let text = format!("has no effect: llmalert_params sets {name}");
        batch.warn_at(&batch.pointer(key), text, "remove one of the two");
    } else {
        config.insert(name.to_owned(), value);
    }
}
