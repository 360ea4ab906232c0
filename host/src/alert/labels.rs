//! The labels of an alert: what routes, silences and markers match.

use std::collections::BTreeMap;

use crate::config::{Batch, BatchKey};
use crate::message::AlertKind;
use crate::series::Labels;
use crate::store::AlertRecord;

/// The labels of an alert: those of its series, and of our own
/// * `alertname`: `Anomaly`, `Threshold`, `Change`, `Llm` or `NoData`;
/// * `kind`: the same as the command line writes it;
/// * `batch`, `tenant`, and `metric`, its `metric_name`;
/// * the batch's `metric_tags` of that metric.
///
/// Where names meet, the series goes before us, and a tag before `alertname` and `metric`.
/// `batch`, `tenant` and `kind` are always ours: a source must not choose who is told.
pub fn alert_labels(batch: &Batch, record: &AlertRecord) -> Labels {
    series_labels(batch, record.kind, &record.labels, &record.name)
}

/// The labels that an alert of a series would have.
pub fn series_labels(batch: &Batch, kind: AlertKind, labels: &Labels, name: &str) -> Labels {
    let mut pairs: BTreeMap<&str, &str> = BTreeMap::new();
    pairs.extend([("alertname", alert_name(kind)), ("metric", name)]);
    pairs.extend(batch.alert.metric_tags.of(name, labels));
    pairs.extend(labels.iter());
    let BatchKey { tenant, batch } = &batch.key;
    pairs.extend([("batch", batch.as_str()), ("tenant", tenant.as_str()), ("kind", kind.name())]);
    let pairs = pairs.into_iter().filter(|(name, _)| !name.is_empty());
    // Names that differ, none of them empty, are a label set.
    Labels::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap_or_default()
}

/// `alertname` of a kind, in Alertmanager's spelling.
pub fn alert_name(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Anomaly => "Anomaly",
        AlertKind::Threshold => "Threshold",
        AlertKind::Change => "Change",
        AlertKind::Llm => "Llm",
        AlertKind::NoData => "NoData",
        AlertKind::Capacity => "Capacity",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Environment, load_batch_text};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::new(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))).unwrap()
    }

    fn batch(tags: &str) -> Batch {
        let text = format!("metric_batch: web\ningest_fn: prometheus\nmetric_tags: {tags}\n");
        load_batch_text(Path::new("web.yaml"), &text, &Environment::default()).unwrap()
    }

    /// Users tag metrics so that alerts find their team; Anomstack only printed the tags.
    #[test]
    fn tags_and_our_own_labels_stand_beside_those_of_the_series() {
        let batch = batch("{cpu*: {team: infra, page: 'no'}, cpu_a: {page: 'yes'}}");
        let series = labels(&[("__name__", "cpu"), ("host", "a")]);
        let alert = series_labels(&batch, AlertKind::NoData, &series, "cpu_a");
        let expected = [
            ("__name__", "cpu"),
            ("alertname", "NoData"),
            ("batch", "web"),
            ("host", "a"),
            ("kind", "no-data"),
            ("metric", "cpu_a"),
            ("page", "yes"),
            ("team", "infra"),
            ("tenant", "default"),
        ];
        assert_eq!(alert, labels(&expected));
    }

    #[test]
    fn a_source_cannot_choose_the_batch_the_tenant_or_the_kind() {
        let series = labels(&[("tenant", "other"), ("batch", "x"), ("kind", "y"), ("metric", "m"), ("team", "series")]);
        let batch = batch("{m: {team: tag, tenant: tag}}");
        let alert = series_labels(&batch, AlertKind::Anomaly, &series, "m");
        let get = |name| alert.get(name).unwrap();
        assert_eq!([get("tenant"), get("batch"), get("kind")], ["default", "web", "anomaly"]);
        assert_eq!([get("metric"), get("team")], ["m", "series"]);
    }
}
