//! `/metrics`: what the node says of itself to a Prometheus.
//!
//! OpenMetrics for those who ask for it, the older text format of Prometheus for all others.
//! Every label has few values, whatever tenants and strangers do: jobs, states, who has to act,
//! and plugins up to `limits.metric_plugins`. Names of tenants, batches and series are never
//! among them, so whoever may read this learns nothing of who is hosted.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::fault::Blame;
use crate::node::{Node, State};
use crate::plugin::Cost;
use crate::store::StoreError;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The text format 0.0.4 of Prometheus.
    Plain,
}

impl Format {
    /// What a client asks for.
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let open = accepted.into_iter().any(|accept| accept.contains("application/openmetrics-text"));
        if open { Self::OpenMetrics } else { Self::Plain }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A value could not be written.
    #[error("a metric cannot be written")]
    Format(#[from] fmt::Error),
}

/// All metrics of a node. Blocks: the store is asked.
pub(super) fn exposition(node: &Node, format: Format) -> Result<String, Unread> {
    let mut text = String::new();
    node.write_counters(&mut text)?;
    encode_registry(&mut text, &present(node)?)?;
    encode_eof(&mut text)?;
    Ok(match format {
        Format::OpenMetrics => text,
        Format::Plain => plain(&text),
    })
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPlugin {
    plugin: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFault {
    plugin: String,
    blame: String,
}

/// What can be read off the node now.
fn present(node: &Node) -> Result<Registry, StoreError> {
    let State { batches, tenants, runs_under_way, runs_waiting, alerts, deliveries_waiting, .. } = node.state()?;
    let mut registry = Registry::with_prefix("anomd");
    let version = vec![("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned())];
    registry.register("build", "What runs", Info::new(version));
    let mut gauge = |name: &str, help: &str, value: u64| registry.register(name, help, set(value));
    gauge("tenants", "Tenants", tenants as u64);
    gauge("runs_under_way", "Batches of which a run is under way", runs_under_way as u64);
    gauge("runs_waiting", "Runs that were due at the last tick and had no place", runs_waiting as u64);
    gauge("deliveries_waiting", "Messages that wait to be sent, or sent again", deliveries_waiting as u64);
    gauge("series", "Series that are kept", node.store.series_count() as u64);
    gauge("plugins", "Plugins that are loaded", node.catalogue.iter().count() as u64);
    let runtime = node.catalogue.runtime();
    gauge("places_free", "Places for instances of plugins that nobody has", runtime.free_places() as u64);
    gauge("calls_waiting", "Calls of plugins that wait for a place", runtime.waiting_calls() as u64);

    let by_state: Family<OfState, Gauge> = Family::default();
    for (state, count) in [("active", batches.active), ("paused", batches.paused), ("faulty", batches.faulty)] {
        by_state.get_or_create(&OfState { state }).set(signed(count as u64));
    }
    registry.register("batches", "Batches: active, paused, or with faults that keep them from running", by_state);
    let by_phase: Family<OfState, Gauge> = Family::default();
    for (state, count) in [("pending", alerts.pending), ("firing", alerts.firing)] {
        by_phase.get_or_create(&OfState { state }).set(signed(count as u64));
    }
    registry.register("alerts_open", "Alerts that are not resolved", by_phase);
    if let Some(folder) = node.store.folder() {
        registry.register_with_unit("store_size", "Files of the store", Unit::Bytes, set(size_of(folder)));
    }
    costs(&mut registry, &runtime.costs_by_plugin(node.config.limits.metric_plugins));
    Ok(registry)
}

fn costs(registry: &mut Registry, costs: &std::collections::BTreeMap<String, Cost>) {
    let calls: Family<OfPlugin, Counter> = Family::default();
    let cpu: Family<OfPlugin, Counter<f64, std::sync::atomic::AtomicU64>> = Family::default();
    let memory: Family<OfPlugin, Gauge> = Family::default();
    let faults: Family<OfFault, Counter> = Family::default();
    for (plugin, cost) in costs {
        let label = OfPlugin { plugin: plugin.clone() };
        calls.get_or_create(&label).inc_by(cost.calls);
        cpu.get_or_create(&label).inc_by(Duration::as_secs_f64(&cost.cpu));
        memory.get_or_create(&label).set(signed(cost.memory_peak as u64));
        for blame in Blame::ALL {
            let label = OfFault { plugin: plugin.clone(), blame: blame.to_string() };
            faults.get_or_create(&label).inc_by(cost.faults.get(&blame).copied().unwrap_or(0));
        }
    }
    registry.register("plugin_calls", "Calls of a plugin", calls);
    registry.register_with_unit("plugin_cpu", "CPU of a plugin's calls", Unit::Seconds, cpu);
    registry.register_with_unit("plugin_memory_peak", "The most that an instance of it had", Unit::Bytes, memory);
    registry.register("plugin_faults", "Calls that gave nothing, by who has to act", faults);
}

fn set(value: u64) -> Gauge {
    let gauge: Gauge = Gauge::default();
    gauge.set(signed(value));
    gauge
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Bytes of the files of a folder; of what cannot be read nothing.
fn size_of(folder: &Path) -> u64 {
    let files = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok);
    files.filter_map(|entry| entry.metadata().ok()).filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
}

/// OpenMetrics in the older text format: there counters and information have their suffix in
/// the declaration too, and units and the end are unknown.
fn plain(text: &str) -> String {
    let declared = |line: &str| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        Some((name.to_owned(), kind.to_owned()))
    };
    let kinds: HashMap<String, String> = text.lines().filter_map(declared).collect();
    let renamed = |name: &str| match kinds.get(name).map(String::as_str) {
        Some("counter") => format!("{name}_total"),
        Some("info") => format!("{name}_info"),
        _ => name.to_owned(),
    };
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let written = if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            writeln!(out, "# HELP {} {help}", renamed(name))
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let kind = if kind == "info" { "gauge" } else { kind };
            writeln!(out, "# TYPE {} {kind}", renamed(name))
        } else if line.starts_with('#') {
            Ok(())
        } else {
            writeln!(out, "{line}")
        };
        debug_assert!(written.is_ok(), "a string takes what is written");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_declares_what_its_samples_are_called() {
        let open = "# HELP a_runs Runs.\n# TYPE a_runs counter\na_runs_total{job=\"x\"} 1\n\
                    # HELP a_build What.\n# TYPE a_build info\na_build_info{version=\"1\"} 1\n\
                    # HELP a_size_bytes Size.\n# TYPE a_size_bytes gauge\n# UNIT a_size_bytes bytes\na_size_bytes 7\n\
                    # EOF\n";
        assert_eq!(
            plain(open),
            "# HELP a_runs_total Runs.\n# TYPE a_runs_total counter\na_runs_total{job=\"x\"} 1\n\
             # HELP a_build_info What.\n# TYPE a_build_info gauge\na_build_info{version=\"1\"} 1\n\
             # HELP a_size_bytes Size.\n# TYPE a_size_bytes gauge\na_size_bytes 7\n"
        );
    }
}
