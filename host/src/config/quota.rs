//! What a tenant may use of a node that it shares with others.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::node::Limits;

/// Bounds of one tenant; `None` takes the node's, see [`Quotas::over`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// Batches.
    pub batches: Option<u64>,
    /// Series of all batches together.
    pub series: Option<u64>,
    /// Samples that are taken in on one day, by UTC.
    pub samples_per_day: Option<u64>,
    /// Bytes of everything that is kept: points, models, records, what plugins keep. Measured
    /// again and again, and not with each write, so that a run may end a little above it.
    pub store_bytes: Option<u64>,
    /// Bytes of all keys and values that all plugins keep.
    pub kv_bytes: Option<u64>,
    /// Memory of all instances of plugins that are alive at once, in bytes.
    pub memory_bytes: Option<u64>,
    /// CPU of plugins in a minute, in milliseconds: 60 000 is one core. Who has used it up
    /// waits.
    pub cpu_ms_per_minute: Option<u64>,
    /// Runs of batches under way at once.
    pub runs_at_once: Option<u64>,
    /// Calls of plugins under way at once; further ones wait.
    pub calls_at_once: Option<u64>,
}

impl Quotas {
    /// These, and what they leave open as `others` have it.
    pub fn over(self, others: Self) -> Self {
        Self {
            batches: self.batches.or(others.batches),
            series: self.series.or(others.series),
            samples_per_day: self.samples_per_day.or(others.samples_per_day),
            store_bytes: self.store_bytes.or(others.store_bytes),
            kv_bytes: self.kv_bytes.or(others.kv_bytes),
            memory_bytes: self.memory_bytes.or(others.memory_bytes),
            cpu_ms_per_minute: self.cpu_ms_per_minute.or(others.cpu_ms_per_minute),
            runs_at_once: self.runs_at_once.or(others.runs_at_once),
            calls_at_once: self.calls_at_once.or(others.calls_at_once),
        }
    }

    /// What a hosted tenant has where nobody says more: the limits `tenant_*`.
    pub fn of_node(limits: &Limits) -> Self {
        Self {
            batches: Some(limits.tenant_batches),
            series: Some(limits.tenant_series),
            samples_per_day: Some(limits.tenant_samples_per_day),
            store_bytes: Some(limits.tenant_store_bytes),
            kv_bytes: Some(limits.tenant_kv_bytes),
            memory_bytes: Some(limits.tenant_memory_bytes),
            cpu_ms_per_minute: Some(limits.tenant_cpu_ms_per_minute),
            runs_at_once: Some(limits.tenant_runs_at_once),
            calls_at_once: Some(limits.tenant_calls_at_once),
        }
    }

    /// A quota by its name, for a command line that sets one.
    pub fn set(&mut self, name: &str, value: Option<u64>) -> Result<(), String> {
        let field = match name {
            "batches" => &mut self.batches,
            "series" => &mut self.series,
            "samples_per_day" => &mut self.samples_per_day,
            "store_bytes" => &mut self.store_bytes,
            "kv_bytes" => &mut self.kv_bytes,
            "memory_bytes" => &mut self.memory_bytes,
            "cpu_ms_per_minute" => &mut self.cpu_ms_per_minute,
            "runs_at_once" => &mut self.runs_at_once,
            "calls_at_once" => &mut self.calls_at_once,
            _ => return Err(format!("`{name}` is not a quota; there are {}", Self::NAMES.join(", "))),
        };
        *field = value;
        Ok(())
    }

    /// All of them, by name.
    pub const NAMES: [&str; 9] = [
        "batches",
        "series",
        "samples_per_day",
        "store_bytes",
        "kv_bytes",
        "memory_bytes",
        "cpu_ms_per_minute",
        "runs_at_once",
        "calls_at_once",
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_that_is_left_open_is_the_nodes() {
        let node = Quotas::of_node(&Limits::default());
        let own = Quotas { series: Some(7), ..Quotas::default() };
        assert_eq!(own.over(node), Quotas { series: Some(7), ..node });
    }

    #[test]
    fn every_quota_can_be_set_by_its_name() {
        let mut quotas = Quotas::default();
        for name in Quotas::NAMES {
            quotas.set(name, Some(1)).unwrap();
        }
        let written = serde_json::to_value(quotas).unwrap();
        assert_eq!(written.as_object().unwrap().keys().collect::<Vec<_>>(), Quotas::NAMES);
        assert!(written.as_object().unwrap().values().all(|value| *value == 1));
        assert!(quotas.set("serieses", None).unwrap_err().contains("there are batches, series"));
    }
}
