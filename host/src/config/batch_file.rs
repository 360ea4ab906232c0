//! A batch file becomes a [`Batch`]: every key of it taken, checked and typed, or refused.
//!
//! All faults of a file are found in one pass. What only a plugin can judge (its
//! configuration, whether it exists) is left to the layers above.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono_tz::Tz;
use serde_json::{Map, Value};

use super::anomstack::warn_of_idle_keys;
use super::batch::{
    AlertPolicy, Batch, BatchSecrets, ChangePolicy, Combination, DetectorUse, IngestUse, JobSchedule, JudgedGrid,
    LlmPolicy, MetricSet, NotifierUse, ScorePolicy, ThresholdPolicy, TrainPolicy,
};
use super::document::Document;
use super::environment::Environment;
use super::grant::{DEFAULT_TENANT, urls};
use super::name::{component, name};
use super::problem::{Problems, nearest};
use super::section::Section;
use super::{BatchKey, Cron, Job, Secret, pointer, prometheus};
use crate::series::{Aggregate, MetricName, Millis};

/// What a file holds.
pub(super) enum BatchFile {
    /// A batch.
    Batch(Box<Batch>),
    /// A batch with `disable_batch: true`; the rest of it was not looked at.
    Disabled,
    /// Nothing that can be used.
    Faulty(Option<Box<Batch>>),
}

type Checked<T> = Result<T, (String, String)>;

const DAY: Millis = 86_400_000;

/// The components whose configuration takes `preprocess_params`.
const PREPROCESSING: [&str; 2] = ["pca", "knn"];

/// A job's keys: cron, status, switch; and the cron that it has if the file gives none.
const SCHEDULES: [(Job, &str, &str, &str, &str); 5] = [
    (Job::Ingest, "ingest_cron_schedule", "ingest_default_schedule_status", "disable_ingest", "*/3 * * * *"),
    (Job::Train, "train_cron_schedule", "train_default_schedule_status", "disable_train", "*/5 * * * *"),
    (Job::Score, "score_cron_schedule", "score_default_schedule_status", "disable_score", "*/4 * * * *"),
    (Job::Alert, "alert_cron_schedule", "alert_default_schedule_status", "disable_alert", "*/5 * * * *"),
    (Job::Deliver, "deliver_cron_schedule", "deliver_default_schedule_status", "disable_deliver", "* * * * *"),
];

/// Reads a batch, unless it is disabled; the environment has not been filled in yet.
pub(super) fn read(document: Document, source: &Path, environment: &Environment) -> (BatchFile, Problems) {
    if document.value.get("disable_batch") == Some(&Value::Bool(true)) {
        return (BatchFile::Disabled, Problems::default());
    }
    read_anyway(document, source, environment)
}

/// Reads a batch, disabled or not.
pub(super) fn read_anyway(mut document: Document, source: &Path, environment: &Environment) -> (BatchFile, Problems) {
    let problems = RefCell::new(document.fill(environment));
    let batch = Section::top(&document, &problems);
    if !document.value.is_object() {
        let what = if document.value.is_null() { "is empty" } else { "is not a mapping" };
        batch.fault_at("", what, "write one batch a file, at least its metric_batch and ingest_fn");
        return (BatchFile::Faulty(None), problems.into_inner());
    }
    let mut read = read_keys(&batch, source, environment);
    batch.finish();
    let problems = problems.into_inner();
    read.spans = document.spans;
    read.warnings = problems.clone();
    for detector in &read.detectors {
        read.spans.alias("/preprocess_params", &format!("{}/preprocess", detector.pointer));
    }
    if problems.has_errors() {
        return (BatchFile::Faulty(Some(Box::new(read))), problems);
    }
    (BatchFile::Batch(Box::new(read)), problems)
}

fn read_keys(batch: &Section<'_>, source: &Path, environment: &Environment) -> Batch {
    batch.flag("disable_batch");
    let name =
        required(batch, "metric_batch", batch.parsed("metric_batch", name), "name the batch: metric_batch: orders");
    let step = batch.span("step", "1s"..="1d");
    let max_train_age = batch.days("train_metric_timestamp_max_days_ago").unwrap_or(90 * DAY);

    let plugin = batch.parsed("ingest_fn", component);
    let plugin = required(batch, "ingest_fn", plugin, "name the component that fetches: ingest_fn: prometheus");
    let mut config = batch.object("ingest_params");
    let mut secrets = secrets(batch);
    let step_from_environment = match plugin.as_str() {
        prometheus::PLUGIN => prometheus::fill(batch, &mut config, &mut secrets, environment),
        _ => None,
    };
    let ingest = IngestUse {
        plugin,
        config: Value::Object(config),
        pointer: batch.pointer("ingest_params"),
        history_ms: batch.span("ingest_history", "0s"..="36500d").unwrap_or(max_train_age),
        delay_ms: batch.span("ingest_delay", "0s"..="7d").unwrap_or(15_000),
        rounding: batch.whole("ingest_metric_rounding", 0..=15).and_then(|decimals| u8::try_from(decimals).ok()),
    };
    warn_of_credentials(batch, &ingest.pointer, &ingest.config);
    let combinations = [("mean", Combination::Mean), ("min", Combination::Min), ("max", Combination::Max)];
    let chain = batch.flag("chain").unwrap_or(true);

    let step_ms = step.or(step_from_environment).and_then(|step| u32::try_from(step).ok()).unwrap_or(60_000);
    let read = Batch {
        key: BatchKey { tenant: DEFAULT_TENANT.to_owned(), batch: name },
        source: source.to_owned(),
        step_ms,
        judged: JudgedGrid { step_ms, aggregate: Aggregate::Last },
        timezone: batch.parsed("timezone", zone).unwrap_or(Tz::UTC),
        metric_name: batch.parsed("metric_name", metric_name).unwrap_or_default(),
        ingest,
        detectors: detectors(batch),
        combination: batch.choice("model_combination_method", &combinations).unwrap_or_default(),
        train: TrainPolicy {
            max_n: batch.count("train_max_n", 1..=10_000_000),
            min_n: batch.count("train_min_n", 1..=10_000_000).unwrap_or(14),
            max_age_ms: max_train_age,
            exclude: exclude(batch, "train_exclude_metrics"),
        },
        score: ScorePolicy {
            max_n: batch.count("score_max_n", 1..=10_000_000),
            max_age_ms: batch.days("score_metric_timestamp_max_days_ago").unwrap_or(14 * DAY),
            rounding: batch.whole("score_metric_rounding", 0..=15).and_then(|n| u8::try_from(n).ok()).unwrap_or(4),
            exclude: exclude(batch, "score_exclude_metrics"),
        },
        alert: AlertPolicy {
            threshold: batch.number("alert_threshold", 0.0..=1.0).unwrap_or(0.8),
            smooth_n: batch.count("alert_smooth_n", 0..=10_000).unwrap_or(1),
            snooze_n: batch.count("alert_snooze_n", 0..=1_000_000).unwrap_or(3),
            recent_n: batch.count("alert_recent_n", 1..=1_000_000),
            always: batch.flag("alert_always").unwrap_or(false),
            max_age_ms: batch.days("alert_metric_timestamp_max_days_ago").unwrap_or(45 * DAY),
            exclude: exclude(batch, "alert_exclude_metrics"),
            notifiers: notifiers(batch),
            metric_tags: metric_tags(batch),
            ..AlertPolicy::default()
        },
        threshold: ThresholdPolicy::default(),
        change: ChangePolicy::default(),
        llm: LlmPolicy::default(),
        summary_ms: DAY,
        delete_after_ms: 365 * DAY,
        schedules: schedules(batch, chain),
        chain,
        secrets,
        spans: Document::empty(source).spans,
        warnings: Problems::default(),
    };
    warn_of_idle_keys(batch);
    read
}

/// A key that must be there. A faulty value has been told of already.
fn required(batch: &Section<'_>, key: &'static str, value: Option<String>, remedy: &str) -> String {
    if !batch.has(key) {
        batch.fault(key, "is missing", remedy);
    }
    value.unwrap_or_default()
}

fn detectors(batch: &Section<'_>) -> Vec<DetectorUse> {
    let preprocess = preprocess(batch);
    let Some(entries) = batch.items("model_configs") else {
        if preprocess.is_some() {
            idle_preprocess(batch);
        }
        let pointer = batch.pointer("model_configs");
        return vec![DetectorUse {
            plugin: "robust".into(),
            tag: "robust".into(),
            config: Value::Object(Map::new()),
            pointer,
        }];
    };
    if entries.is_empty() {
        batch.fault("model_configs", "is empty", "name a detector, or leave the key out for `robust`");
    }
    let mut detectors: Vec<DetectorUse> = Vec::new();
    for entry in entries {
        let plugin = entry.parsed("model_name", component);
        let plugin = required(&entry, "model_name", plugin, "name a detector: model_name: robust");
        let tag = entry.parsed("model_tag", name).unwrap_or_else(|| plugin.clone());
        if let Some(twin) = detectors.iter().find(|other| other.tag == tag && !tag.is_empty()) {
            let place = twin.pointer.trim_end_matches("/model_params").to_owned();
            entry.fault(
                "model_tag",
                format!("\"{tag}\" is also the tag of {place}"),
                "give each entry its own model_tag",
            );
        }
        let mut config = entry.object("model_params");
        if let Some(preprocess) = preprocess.as_ref().filter(|_| PREPROCESSING.contains(&plugin.as_str())) {
            config.insert("preprocess".to_owned(), preprocess.clone());
        }
        detectors.push(DetectorUse {
            plugin,
            tag,
            config: Value::Object(config),
            pointer: entry.pointer("model_params"),
        });
        entry.finish();
    }
    if preprocess.is_some() && !detectors.iter().any(|detector| PREPROCESSING.contains(&detector.plugin.as_str())) {
        idle_preprocess(batch);
    }
    detectors
}

fn idle_preprocess(batch: &Section<'_>) {
    let text = "has no effect: only pca and knn have Anomstack's preprocessing, and neither is in model_configs";
    batch.warn_at(&batch.pointer("preprocess_params"), text, "");
}

/// `preprocess_params`, as the configuration of `pca` and `knn` has it.
fn preprocess(batch: &Section<'_>) -> Option<Value> {
    let params = batch.section("preprocess_params");
    let mut config = Map::new();
    for key in ["diff_n", "smooth_n", "lags_n"] {
        if let Some(number) = params.whole(key, 0..=1_000) {
            config.insert(key.to_owned(), number.into());
        }
    }
    for key in ["freq", "freq_agg"] {
        if params.value(key).is_some() && (key == "freq" || params.has("freq")) {
            let text = "has no effect: `step` is the resolution, and a column takes the last sample of its span";
            params.warn_at(&params.pointer(key), text, "");
        }
    }
    params.finish();
    batch.has("preprocess_params").then_some(Value::Object(config))
}

fn notifiers(batch: &Section<'_>) -> Vec<NotifierUse> {
    let mut methods = BTreeSet::new();
    for method in batch.texts("alert_methods") {
        match component(&method) {
            Ok(method) => drop(methods.insert(method)),
            Err((message, _)) => {
                let remedy = "name notifiers, as slack or email; where they send to stands in alert_params";
                batch.fault("alert_methods", message, remedy);
            }
        }
    }
    let mut configs: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for (name, params) in batch.sections("alert_params") {
        if !methods.contains(name) {
            let text = format!("has no effect: alert_methods does not name {name}");
            batch.warn_at(&params.own_pointer(), text, format!("add {name} to alert_methods"));
        }
        configs.insert(name.to_owned(), params.to_object());
    }
    let use_of = |plugin: String| {
        let config = Value::Object(configs.remove(&plugin).unwrap_or_default());
        let pointer = pointer::child(&batch.pointer("alert_params"), &plugin);
        warn_of_credentials(batch, &pointer, &config);
        NotifierUse { plugin, config, pointer }
    };
    methods.into_iter().map(use_of).collect()
}

fn metric_tags(batch: &Section<'_>) -> BTreeMap<String, BTreeMap<String, String>> {
    let tags_of = |tags: &Section<'_>| {
        let mut texts = BTreeMap::new();
        for (name, value) in tags.members() {
            let text = match value {
                Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
                _ => tags.member_text(name, value).map(str::to_owned),
            };
            texts.extend(text.map(|text| (name.to_owned(), text)));
        }
        texts
    };
    batch.sections("metric_tags").into_iter().map(|(metric, tags)| (metric.to_owned(), tags_of(&tags))).collect()
}

fn secrets(batch: &Section<'_>) -> BatchSecrets {
    let mut secrets = BatchSecrets::default();
    let written = batch.section("secrets");
    for (name, value) in written.members() {
        if value.is_object() {
            let own = written.member_section(name, value);
            let texts = own.members().filter_map(|(slot, value)| Some((slot, own.member_text(slot, value)?)));
            let slots = texts.map(|(slot, text)| (slot.to_owned(), Secret::new(text))).collect();
            secrets.by_plugin.insert(name.to_owned(), slots);
        } else if let Some(text) = written.member_text(name, value) {
            secrets.shared.insert(name.to_owned(), Secret::new(text));
        }
    }
    secrets
}

fn schedules(batch: &Section<'_>, chain: bool) -> BTreeMap<Job, JobSchedule> {
    let mut schedules = BTreeMap::new();
    for (job, cron_key, status_key, disable_key, default) in SCHEDULES {
        let written =
            batch.parsed(cron_key, |text| text.parse::<Cron>().map_err(|fault| (fault.message, fault.remedy)));
        if let Some(oddity) = written.as_ref().and_then(Cron::oddity) {
            batch.warn_at(&batch.pointer(cron_key), oddity, "use a step that divides the field");
        }
        if chain && batch.has(cron_key) && !matches!(job, Job::Ingest | Job::Train) {
            let text = format!("has no effect: in the chain {job} runs as soon as the job before it is done");
            batch.warn_at(&batch.pointer(cron_key), text, "write chain: false to run each job by its own cron");
        }
        let runs = batch.choice(status_key, &[("RUNNING", true), ("STOPPED", false)]).unwrap_or(true);
        let disabled = batch.flag(disable_key).unwrap_or(false);
        if let Some(cron) = written.or_else(|| default.parse().ok()) {
            schedules.insert(job, JobSchedule { cron, enabled: runs && !disabled });
        }
    }
    schedules
}

fn exclude(batch: &Section<'_>, key: &'static str) -> MetricSet {
    MetricSet(batch.texts(key).into_iter().collect())
}

fn warn_of_credentials(batch: &Section<'_>, at: &str, config: &Value) {
    for (pointer, url) in urls(config) {
        if !url.username().is_empty() || url.password().is_some() {
            batch.warn_at(
                &format!("{at}{pointer}"),
                "is a URL with a user name or password in it, which plugins may not use",
                "write the URL without them and put the password under `secrets`",
            );
        }
    }
}

fn zone(text: &str) -> Checked<Tz> {
    text.parse().map_err(|_| {
        let near = nearest(text, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        let remedy =
            near.map_or("write an IANA name, as Europe/Berlin".to_owned(), |near| format!("did you mean {near}?"));
        (format!("\"{text}\" is not a time zone"), remedy)
    })
}

fn metric_name(text: &str) -> Checked<MetricName> {
    match text {
        "lossless" => Ok(MetricName::Lossless),
        "name_instance" => Ok(MetricName::NameAndInstance),
        template if template.contains('{') && is_template(template) => Ok(MetricName::Template(template.to_owned())),
        _ => Err((
            format!("\"{text}\" is neither a rule nor a template"),
            "write lossless, name_instance, or a template with labels in braces: \"{__name__} {instance}\"".to_owned(),
        )),
    }
}

/// Whether braces come in pairs, with a label's name in each.
fn is_template(text: &str) -> bool {
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once('{') {
        let Some((label, after)) = tail.split_once('}') else { return false };
        if before.contains('}') || label.is_empty() || label.contains('{') {
            return false;
        }
        rest = after;
    }
    !rest.contains('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_names_every_key_and_limit() {
        let documentation = include_str!("../../../docs/configuration.md");
        let document = Document::parse(Path::new("b.yaml"), "metric_batch: b\ningest_fn: prometheus\n").unwrap();
        let problems = RefCell::default();
        let batch = Section::top(&document, &problems);
        read_keys(&batch, Path::new("b.yaml"), &Environment::default());
        let limits = serde_json::to_value(crate::config::Limits::default()).unwrap();
        let rows = limits.as_object().unwrap().iter().map(|(name, value)| format!("| `{name}` | {value} |"));
        for text in batch.known().into_iter().map(|key| format!("`{key}`")).chain(rows) {
            assert!(documentation.contains(&text), "docs/configuration.md lacks {text}");
        }
    }
}
