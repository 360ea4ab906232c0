//! `metric_tags`: labels that a batch gives to the alerts of its metrics.

use std::collections::BTreeMap;

use super::metric_set::{MetricSet, MetricSetFault};
use crate::series::Labels;

/// Labels by name, glob or selector of the metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricTags(Vec<Entry>);

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    written: String,
    metrics: MetricSet,
    tags: BTreeMap<String, String>,
}

impl MetricTags {
    /// The tags of a series; `metric_name` is what the batch calls it. Where several entries
    /// have one tag, the name of the series goes before its `__name__`, both before a glob or
    /// selector, and of those the longest, being the closest, before the others.
    pub fn of(&self, metric_name: &str, labels: &Labels) -> BTreeMap<&str, &str> {
        let family = labels.get(Labels::NAME);
        let mut found: Vec<&Entry> =
            self.0.iter().filter(|entry| entry.metrics.contains(metric_name, labels)).collect();
        found.sort_by_key(|entry| (entry.written == metric_name, family == Some(&entry.written), entry.written.len()));
        let tags = found.into_iter().flat_map(|entry| &entry.tags);
        tags.map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    pub(super) fn add(&mut self, written: &str, tags: BTreeMap<String, String>) -> Result<(), MetricSetFault> {
        let metrics = MetricSet::of_entry(written)?;
        self.0.push(Entry { written: written.to_owned(), metrics, tags });
        Ok(())
    }
}
