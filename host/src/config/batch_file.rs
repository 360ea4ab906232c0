//! A batch file becomes a [`Batch`]: every key of it taken, checked and typed, or refused.
//!
//! All faults of a file are found in one pass. What only a plugin can judge (its
//! configuration, whether it exists) is left to the layers above.

use std::cell::RefCell;
use std::path::Path;

use chrono_tz::Tz;
use serde_json::Value;

use super::alert_file::alerts;
use super::analysis_file::{change, llm};
use super::anomstack::{source_plugin, warn_of_idle_keys};
use super::batch::{Batch, BatchSecrets, Combination, IngestUse};
use super::capacity_file::capacity;
use super::detector_file::{detectors, preprocess};
use super::document::Document;
use super::environment::Environment;
use super::name::name;
use super::notifier_file::warn_of_credentials;
use super::policy::{ScorePolicy, TrainPolicy};
use super::problem::{Problems, nearest};
use super::schedule_file::schedules;
use super::section::Section;
use super::{BatchKey, Job, Secret, overrides, prometheus};
use crate::series::{MetricName, Millis};

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

/// Reads a batch, unless it is disabled; the environment has not been filled in yet.
pub(super) fn read(mut document: Document, source: &Path, environment: &Environment) -> (BatchFile, Problems) {
    let problems = overrides::apply(&mut document, environment);
    if document.value.get("disable_batch") == Some(&Value::Bool(true)) {
        return (BatchFile::Disabled, problems);
    }
    read_laid(document, source, environment, problems)
}

/// Reads a batch, disabled or not.
pub(super) fn read_anyway(mut document: Document, source: &Path, environment: &Environment) -> (BatchFile, Problems) {
    let problems = overrides::apply(&mut document, environment);
    read_laid(document, source, environment, problems)
}

/// Reads a batch, disabled or not, with keys of the command line laid over it and over the
/// environment's.
pub(super) fn read_changed(
    mut document: Document,
    source: &Path,
    environment: &Environment,
    changes: &[overrides::Change],
) -> (BatchFile, Problems) {
    let mut problems = overrides::apply(&mut document, environment);
    problems.extend(overrides::lay(&mut document, changes));
    read_laid(document, source, environment, problems)
}

fn read_laid(
    mut document: Document,
    source: &Path,
    environment: &Environment,
    mut problems: Problems,
) -> (BatchFile, Problems) {
    problems.extend(document.fill(environment));
    let problems = RefCell::new(problems);
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

    let plugin = source_plugin(batch, &name);
    let mut config = batch.object("ingest_params");
    let mut secrets = secrets(batch);
    if environment.is_hosted() && batch.has("secrets") {
        let remedy = format!(
            "set each with `anomd tenant secret {} SLOT --origin ORIGIN`; plugins find it by the name of their slot",
            environment.tenant()
        );
        batch.fault("secrets", "stand in no batch of a hosted tenant, which others may read", remedy);
    }
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
    let (preprocess, judged) = preprocess(batch, step_ms);
    let (alert, threshold) = alerts(batch, environment);
    let (change, llm) = (change(batch), llm(batch, environment));
    let entity_labels = batch.texts("entity_labels");
    let capacity = capacity(batch, step_ms);
    let asked = [(Job::Change, change.enabled), (Job::Capacity, capacity.enabled), (Job::LlmAlert, llm.detect)];
    let read = Batch {
        key: BatchKey { tenant: environment.tenant().to_owned(), batch: name },
        source: source.to_owned(),
        step_ms,
        judged,
        timezone: batch.parsed("timezone", zone).unwrap_or(Tz::UTC),
        metric_name: batch.parsed("metric_name", metric_name).unwrap_or_default(),
        ingest,
        detectors: detectors(batch, preprocess, !entity_labels.is_empty()),
        entity_labels,
        combination: batch.choice("model_combination_method", &combinations).unwrap_or_default(),
        train: TrainPolicy {
            max_n: batch.count("train_max_n", 1..=10_000_000),
            min_n: batch.count("train_min_n", 1..=10_000_000).unwrap_or(14),
            max_age_ms: max_train_age,
            include: batch.metrics("train_include_metrics"),
            exclude: batch.metrics("train_exclude_metrics"),
        },
        score: ScorePolicy {
            max_n: batch.count("score_max_n", 1..=10_000_000),
            max_age_ms: batch.days("score_metric_timestamp_max_days_ago").unwrap_or(14 * DAY),
            rounding: batch.whole("score_metric_rounding", 0..=15).and_then(|n| u8::try_from(n).ok()).unwrap_or(4),
            include: batch.metrics("score_include_metrics"),
            exclude: batch.metrics("score_exclude_metrics"),
        },
        summary_ms: batch.days("summary_metric_timestamp_max_days_ago").unwrap_or(DAY),
        delete_after_ms: batch.days("delete_after_n_days").unwrap_or(365 * DAY),
        schedules: schedules(batch, chain, &asked),
        alert,
        threshold,
        change,
        capacity,
        llm,
        chain,
        secrets,
        spans: Document::empty(source).spans,
        warnings: Problems::default(),
    };
    warn_of_idle_keys(batch);
    read
}

/// A key that must be there. A faulty value has been told of already.
pub(super) fn required(batch: &Section<'_>, key: &'static str, value: Option<String>, remedy: &str) -> String {
    if !batch.has(key) {
        batch.fault(key, "is missing", remedy);
    }
    value.unwrap_or_default()
}

/// `secrets`, shared and by plugin.
pub(super) fn secrets(section: &Section<'_>) -> BatchSecrets {
    let mut secrets = BatchSecrets::default();
    let written = section.section("secrets");
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

pub(super) fn zone(text: &str) -> Checked<Tz> {
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
