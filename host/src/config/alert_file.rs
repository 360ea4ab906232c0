//! `alert_*`, `tholdalert_*` and `metric_tags` of a batch.

use std::collections::BTreeMap;

use serde_json::Value;

use super::environment::Environment;
use super::metric_set::MetricSet;
use super::metric_tags::MetricTags;
use super::notifier_file::methods;
use super::policy::{AlertPolicy, Bounds, Deviation, Direction, ThresholdPolicy};
use super::routing::Grouping;
use super::section::Section;
use crate::message::check_template;
use crate::series::Millis;

/// The keys of a [`Grouping`].
pub(super) struct GroupingKeys {
    pub by: &'static str,
    pub wait: &'static str,
    pub interval: &'static str,
    pub repeat: &'static str,
}

const GROUPING: GroupingKeys = GroupingKeys {
    by: "alert_group_by",
    wait: "alert_group_wait",
    interval: "alert_group_interval",
    repeat: "alert_repeat_interval",
};

/// How `group_by` says that each alert is a group of its own.
const EACH: &str = "...";

/// `alert_*` and `tholdalert_*`, which share their methods.
pub(super) fn alerts(batch: &Section<'_>, environment: &Environment) -> (AlertPolicy, ThresholdPolicy) {
    let usual = AlertPolicy::default();
    let (methods, threshold_methods) = methods(batch, environment);
    let alert = AlertPolicy {
        threshold: batch.number("alert_threshold", 0.0..=1.0).unwrap_or(usual.threshold),
        smooth_n: batch.count("alert_smooth_n", 0..=10_000).unwrap_or(usual.smooth_n),
        snooze_n: batch.count("alert_snooze_n", 0..=1_000_000).unwrap_or(usual.snooze_n),
        recent_n: batch.count("alert_recent_n", 1..=1_000_000),
        always: batch.flag("alert_always").unwrap_or(usual.always),
        max_age_ms: batch.days("alert_metric_timestamp_max_days_ago").unwrap_or(usual.max_age_ms),
        include: batch.metrics("alert_include_metrics"),
        exclude: batch.metrics("alert_exclude_metrics"),
        direction: batch.choice("alert_direction", &DIRECTIONS).unwrap_or_default(),
        min_deviation: deviation(batch),
        for_ms: batch.span("alert_for", "0s"..="30d").unwrap_or(usual.for_ms),
        resolve_n: batch.count("alert_resolve_n", 1..=1_000_000).unwrap_or(usual.resolve_n),
        flap_n: match batch.count("alert_flap_n", 0..=1_000) {
            Some(0) => None,
            Some(n) => Some(n),
            None => usual.flap_n,
        },
        flap_window_ms: batch.span("alert_flap_window", "1m"..="30d").unwrap_or(usual.flap_window_ms),
        no_data_ms: batch.span("alert_no_data_after", "1s"..="365d"),
        notifiers: methods.notifiers,
        routed: methods.routed,
        route_named: methods.route_named,
        grouping: grouping(batch, &GROUPING, usual.grouping),
        send_resolved: batch.flag("alert_send_resolved").unwrap_or(usual.send_resolved),
        chart_n: batch.count("alert_max_n", 2..=100_000).unwrap_or(usual.chart_n),
        title: batch.parsed("alert_title", template),
        body: batch.parsed("alert_body", template),
        metric_tags: metric_tags(batch),
    };
    let usual = ThresholdPolicy::default();
    let limits = limits(batch);
    let disabled = batch.flag("disable_tholdalert");
    if disabled == Some(false) && !batch.has("tholdalert_thresholds") {
        let text = "has no effect: there are no tholdalert_thresholds";
        let remedy = "write tholdalert_thresholds: {error_rate: {upper: 0.05}}";
        batch.warn_at(&batch.pointer("disable_tholdalert"), text, remedy);
    }
    let threshold = ThresholdPolicy {
        enabled: !limits.is_empty() && disabled != Some(true),
        limits,
        include: batch.metrics("tholdalert_include_metrics"),
        exclude: batch.metrics("tholdalert_exclude_metrics"),
        recent_n: batch.count("tholdalert_recent_n", 1..=1_000_000),
        snooze_n: batch.count("tholdalert_snooze_n", 0..=1_000_000).unwrap_or(usual.snooze_n),
        methods: threshold_methods,
    };
    (alert, threshold)
}

const DIRECTIONS: [(&str, Direction); 3] =
    [("both", Direction::Both), ("above", Direction::Above), ("below", Direction::Below)];

/// How alerts are grouped, with what is not written from `usual`.
pub(super) fn grouping(section: &Section<'_>, keys: &GroupingKeys, usual: Grouping) -> Grouping {
    let span = |key, range| -> Option<Millis> { section.span(key, range) };
    Grouping {
        by: group_by(section, keys.by).unwrap_or(usual.by),
        wait_ms: span(keys.wait, "0s"..="7d").unwrap_or(usual.wait_ms),
        interval_ms: span(keys.interval, "1s"..="30d").unwrap_or(usual.interval_ms),
        repeat_ms: span(keys.repeat, "1s"..="3650d").unwrap_or(usual.repeat_ms),
    }
}

/// The labels, or `None` for each alert by itself.
fn group_by(section: &Section<'_>, key: &'static str) -> Option<Option<Vec<String>>> {
    if !section.has(key) {
        section.value(key);
        return None;
    }
    let mut labels = section.texts(key);
    if labels == [EACH] {
        return Some(None);
    }
    if labels.iter().any(|label| label == EACH) {
        section.fault(key, format!("has {EACH}, each alert by itself, beside labels"), format!("write {EACH} alone"));
    }
    for (index, label) in labels.iter().enumerate() {
        if labels.iter().take(index).any(|other| other == label) {
            section.fault(key, format!("names {label} twice"), "name each label once");
        }
    }
    labels.retain(|label| label != EACH);
    Some(Some(labels))
}

/// A template that can be read, and uses names that it will be given.
fn template(text: &str) -> Result<String, (String, String)> {
    let fault = |what| (format!("is no template: {what}"), "docs/templates.md has what a template is given".to_owned());
    check_template(text).map(|()| text.to_owned()).map_err(fault)
}

/// `alert_min_deviation`: a number in the unit of the series, or a percentage.
fn deviation(batch: &Section<'_>) -> Option<Deviation> {
    const KEY: &str = "alert_min_deviation";
    let value = batch.value(KEY)?;
    let read = match value {
        Value::String(text) => match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim().parse().ok().map(|percent: f64| Deviation::Relative(percent / 100.0)),
            None => text.trim().parse().ok().map(Deviation::Absolute),
        },
        other => other.as_f64().map(Deviation::Absolute),
    };
    let sound = read.filter(|(Deviation::Absolute(size) | Deviation::Relative(size))| size.is_finite() && *size >= 0.0);
    if sound.is_none() {
        batch.fault(KEY, "is no deviation", "write a number in the unit of the series, 5, or a percentage, 10%");
    }
    sound
}

fn limits(batch: &Section<'_>) -> Vec<(MetricSet, Bounds)> {
    let mut limits = Vec::new();
    for (metric, section) in batch.sections("tholdalert_thresholds") {
        let bounds = Bounds {
            lower: section.number("lower", f64::MIN..=f64::MAX),
            upper: section.number("upper", f64::MIN..=f64::MAX),
        };
        if !section.has("lower") && !section.has("upper") {
            section.fault_at(&section.own_pointer(), "has neither lower nor upper", "write {upper: 100, lower: 0}");
        }
        if let Bounds { lower: Some(lower), upper: Some(upper) } = bounds
            && lower > upper
        {
            let text = format!("every value is outside: lower is {lower} and upper {upper}");
            section.fault_at(&section.own_pointer(), text, "exchange the two");
        }
        match MetricSet::of_entry(metric) {
            Ok(metrics) => limits.push((metrics, bounds)),
            Err(fault) => section.fault_at(&section.own_pointer(), fault.message, fault.remedy),
        }
        section.finish();
    }
    // An exception by name goes before what is said of many.
    limits.sort_by_key(|(metrics, _): &(MetricSet, Bounds)| !metrics.is_of_names());
    limits
}

fn metric_tags(batch: &Section<'_>) -> MetricTags {
    let mut all = MetricTags::default();
    for (metric, section) in batch.sections("metric_tags") {
        let mut tags = BTreeMap::new();
        for (name, value) in section.members() {
            let text = match value {
                Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
                _ => section.member_text(name, value).map(str::to_owned),
            };
            tags.extend(text.map(|text| (name.to_owned(), text)));
        }
        if let Err(fault) = all.add(metric, tags) {
            section.fault_at(&section.own_pointer(), fault.message, fault.remedy);
        }
    }
    all
}
