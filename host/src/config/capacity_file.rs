//! `capacity_*` of a batch.

use serde_json::Value;

use super::DetectorUse;
use super::metric_set::MetricSet;
use super::name::component;
use super::policy::{Bounds, CapacityPolicy, CapacityUse};
use super::section::Section;
use crate::series::Millis;

/// The component, where the batch names no other.
const PLUGIN: &str = "capacity";
/// How far ahead is looked, if nothing is written.
const HORIZON: Millis = 7 * 86_400_000;
/// A horizon is judged in so many columns, if the batch's step allows it.
const COLUMNS: Millis = 1_008;

/// `capacity_*`: each limit is a use of its own of the component.
pub(super) fn capacity(batch: &Section<'_>, step_ms: u32) -> CapacityPolicy {
    let plugin = batch.parsed("capacity_fn", component).unwrap_or_else(|| PLUGIN.to_owned());
    let params = batch.object("capacity_params");
    let usual = batch.span("capacity_horizon", "1h"..="365d").unwrap_or(HORIZON);
    let disabled = batch.flag("disable_capacity");
    let mut limits = Vec::new();
    for (metric, section) in batch.sections("capacity_limits") {
        let of = section.text("of").map(str::to_owned);
        let bounds = Bounds { lower: limit(&section, "lower", &of), upper: limit(&section, "upper", &of) };
        let at = section.own_pointer();
        match (section.has("lower"), section.has("upper")) {
            (false, false) => section.fault_at(&at, "has neither lower nor upper", "write {upper: 100}"),
            (true, true) => {
                let remedy = "keep the one that the series is on its way to; tholdalert_thresholds takes both";
                section.fault_at(&at, "has both lower and upper", remedy);
            }
            _ => {}
        }
        let horizon_ms = section.span("horizon", "1h"..="365d").unwrap_or(usual);
        let mut config = params.clone();
        config.insert("horizon".to_owned(), (horizon_ms / 1_000).into());
        for (name, edge) in [("lower", bounds.lower), ("upper", bounds.upper)] {
            config.extend(edge.map(|edge| (name.to_owned(), Value::from(edge))));
        }
        let detector = DetectorUse {
            plugin: plugin.clone(),
            tag: CapacityPolicy::TAG.to_owned(),
            config: Value::Object(config),
            pointer: at.clone(),
        };
        match MetricSet::of_entry(metric) {
            Ok(metrics) => {
                let step_ms = columns(horizon_ms, step_ms);
                limits.push(CapacityUse { metrics, bounds, of, horizon_ms, step_ms, detector });
            }
            Err(fault) => section.fault_at(&at, fault.message, fault.remedy),
        }
        section.finish();
    }
    // An exception by name goes before what is said of many.
    limits.sort_by_key(|limit: &CapacityUse| !limit.metrics.is_of_names());
    if limits.is_empty() && disabled == Some(false) {
        let text = "has no effect: there are no capacity_limits";
        batch.warn_at(
            &batch.pointer("disable_capacity"),
            text,
            "write capacity_limits: {disk_used_ratio: {upper: 0.9}}",
        );
    }
    CapacityPolicy { enabled: !limits.is_empty() && disabled != Some(true), limits }
}

/// A number in the unit of the series; as a share of another, also a percentage.
fn limit(section: &Section<'_>, key: &'static str, of: &Option<String>) -> Option<f64> {
    let value = section.value(key)?;
    let percent = value.as_str().and_then(|text| text.trim().strip_suffix('%'));
    let read = match percent {
        Some(percent) => percent.trim().parse().ok().map(|percent: f64| percent / 100.0),
        None => value.as_f64(),
    };
    let sound = read.filter(|limit| limit.is_finite());
    if sound.is_none() {
        section.fault(key, "is no limit", "write a number in the unit of the series, or with `of` a percentage, 90%");
    } else if percent.is_some() && of.is_none() {
        let remedy = "name the series that it is a part of, `of: disk_total_bytes`, or write 0.9 for a ratio";
        section.fault(key, "is a percentage of nothing", remedy);
    }
    sound
}

/// The step of what is judged.
fn columns(horizon_ms: Millis, step_ms: u32) -> u32 {
    let step = Millis::from(step_ms.max(1));
    let wanted = (horizon_ms / COLUMNS).max(1);
    u32::try_from((wanted + step - 1) / step * step).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_horizon_is_judged_in_about_a_thousand_columns_of_whole_steps() {
        let hour = 3_600_000;
        let steps = [(168 * hour, 60_000), (24 * hour, 60_000), (168 * hour, 7_000), (168 * hour, 3_600_000)];
        assert_eq!(steps.map(|(horizon, step)| columns(horizon, step)), [600_000, 120_000, 602_000, 3_600_000]);
    }
}
