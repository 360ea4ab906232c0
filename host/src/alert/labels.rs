//! The labels of an alert: what routes, silences and inhibitions look at.

use std::collections::BTreeMap;

use crate::config::Batch;
use crate::message::AlertKind;
use crate::series::Labels;
use crate::store::AlertRecord;

/// The label by which Prometheus people tell kinds of alerts apart.
pub const ALERT_NAME: &str = "alertname";

/// The labels of an alert: those of its series, `alertname`, `metric`, the batch's
/// `metric_tags` of its metric, and `batch`, `tenant`, `kind`.
///
/// Where names meet, a series' own label goes before a tag, and both go before `alertname`
/// and `metric`; but `batch`, `tenant` and `kind` are always ours: who may see an alert must
/// not depend on what a source sends.
pub fn alert_labels(batch: Option<&Batch>, record: &AlertRecord) -> Labels {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    let mut put = |name: &str, value: &str| drop(labels.insert(name.to_owned(), value.to_owned()));
    put(ALERT_NAME, alert_name(record.kind));
    put("metric", &record.name);
    let tags = batch.into_iter().flat_map(|batch| &batch.alert.metric_tags);
    // Globs come first in the order of texts, mostly, and the exact name must win.
    let (exact, wide): (Vec<_>, Vec<_>) = tags.partition(|(metric, _)| **metric == record.name);
    let of_family = record.labels.get(Labels::NAME).unwrap_or_default();
    for (metric, tags) in wide.into_iter().chain(exact) {
        if is_like(metric, &record.name) || is_like(metric, of_family) {
            tags.iter().for_each(|(name, value)| put(name, value));
        }
    }
    record.labels.iter().for_each(|(name, value)| put(name, value));
    put("batch", &record.key.batch);
    put("tenant", &record.key.tenant);
    put("kind", record.kind.name());
    // The names of a map differ; an empty one is not there.
    labels.remove("");
    Labels::new(labels).unwrap_or_default()
}

fn alert_name(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Anomaly => "Anomaly",
        AlertKind::Threshold => "Threshold",
        AlertKind::Change => "Change",
        AlertKind::Llm => "Llm",
        AlertKind::NoData => "NoData",
    }
}

/// Whether a glob, in which `*` stands for any text, fits a whole text.
fn is_like(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_fits_the_whole_text() {
        for (glob, text, fits) in [
            ("cpu", "cpu", true),
            ("cpu", "cpus", false),
            ("cpu*", "cpus", true),
            ("*_total", "requests_total", true),
            ("*a*b", "xaxb", true),
            ("*a*b", "xb", false),
            ("a*a", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(is_like(glob, text), fits, "{glob} {text}");
        }
    }
}
