//! Labels as Alertmanager takes them. They are an alert's identity, so two series that differ
//! here differ there, and a series has the same labels from firing to resolved.

use std::collections::BTreeMap;

/// Names and values.
pub type Labels = BTreeMap<String, String>;

/// The labels of a series, under `given` ones that nothing overwrites.
///
/// `__name__` becomes `metric`, and a name that Prometheus' rule refuses is spelled with `_`.
/// Where a name is taken already, the label of the series is kept with `exported_` before
/// it, as Prometheus does with labels of a scraped target; unless both say the same.
pub fn merged<'a>(given: Labels, series: impl IntoIterator<Item = &'a (String, String)>) -> Labels {
    let mut labels = given;
    // Names that need no other spelling come first, so that they keep it.
    let (exact, others): (Vec<_>, Vec<_>) = series.into_iter().partition(|(name, _)| name_of(name) == *name);
    for (name, value) in exact.into_iter().chain(others).filter(|(_, value)| !value.is_empty()) {
        let mut name = name_of(name);
        while labels.get(&name).is_some_and(|taken| taken != value) {
            name.insert_str(0, "exported_");
        }
        labels.insert(name, value.clone());
    }
    labels
}

/// A name by Prometheus' rule, `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn name_of(name: &str) -> String {
    if name == "__name__" {
        return "metric".into();
    }
    let mut text: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) {
        text.insert(0, '_');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn names_follow_prometheus_rule() {
        let names = ["__name__", "instance", "k8s.pod-name", "1st", "", "größe", "_x"].map(name_of);
        assert_eq!(names, ["metric", "instance", "k8s_pod_name", "_1st", "_", "gr__e", "_x"]);
    }

    #[test]
    fn no_label_of_a_series_is_lost_or_takes_the_place_of_ours() {
        let given: Labels = pairs(&[("batch", "demo"), ("alertname", "AnomalyDetected")]).into_iter().collect();
        let series = pairs(&[
            ("__name__", "up"),
            ("a.b", "1"),
            ("a_b", "2"),
            ("alertname", "Old"),
            ("batch", "7"),
            ("empty", ""),
            ("exported_batch", "8"),
        ]);
        let expected = pairs(&[
            ("a_b", "2"),
            ("alertname", "AnomalyDetected"),
            ("batch", "demo"),
            ("exported_a_b", "1"),
            ("exported_alertname", "Old"),
            ("exported_batch", "7"),
            ("exported_exported_batch", "8"),
            ("metric", "up"),
        ]);
        assert_eq!(merged(given, &series), expected.into_iter().collect());
        // What the host says of a series is not said twice.
        let known: Labels = pairs(&[("metric", "up"), ("job", "node")]).into_iter().collect();
        assert_eq!(merged(known.clone(), &pairs(&[("__name__", "up"), ("job", "node")])), known);
    }
}
