//! Label sets: the identity of a series within its batch.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

/// Sorted, unique label names with their values. `__name__` holds the metric name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<(String, String)>", into = "Vec<(String, String)>")]
pub struct Labels(Vec<(String, String)>);

/// Why a list of pairs is no label set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Two labels have this name.
    #[error("label \"{0}\" stands twice")]
    Duplicate(String),
    /// A label has no name.
    #[error("a label has no name")]
    Unnamed,
}

impl Labels {
    /// The label that holds the metric name.
    pub const NAME: &'static str = "__name__";

    /// Sorts the pairs. Labels with an empty value are dropped: to Prometheus an empty
    /// label and an absent one are the same.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, LabelError> {
        let mut pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        pairs.sort();
        for pair in pairs.windows(2) {
            if let [(a, _), (b, _)] = pair
                && a == b
            {
                return Err(LabelError::Duplicate(a.clone()));
            }
        }
        if pairs.first().is_some_and(|(name, _)| name.is_empty()) {
            return Err(LabelError::Unnamed);
        }
        Ok(Self(pairs))
    }

    /// The value of a label.
    pub fn get(&self, name: &str) -> Option<&str> {
        let index = self.0.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok()?;
        self.0.get(index).map(|(_, value)| value.as_str())
    }

    /// The pairs, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The pairs as the contract passes them.
    pub fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

impl TryFrom<Vec<(String, String)>> for Labels {
    type Error = LabelError;

    fn try_from(pairs: Vec<(String, String)>) -> Result<Self, LabelError> {
        Self::new(pairs)
    }
}

impl From<Labels> for Vec<(String, String)> {
    fn from(labels: Labels) -> Self {
        labels.0
    }
}

/// The PromQL spelling, `name{label="value"}`: nothing is lost, and equal text means an
/// equal series.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get(Self::NAME).unwrap_or_default())?;
        let mut separator = '{';
        for (name, value) in self.iter().filter(|(name, _)| *name != Self::NAME) {
            write!(f, "{separator}{name}={value:?}")?;
            separator = ',';
        }
        match separator {
            '{' if self.get(Self::NAME).is_none() => f.write_str("{}"),
            '{' => Ok(()),
            _ => f.write_char('}'),
        }
    }
}

/// How `metric_name` is made of a label set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MetricName {
    /// [`Labels`] in PromQL's spelling: nothing is lost.
    #[default]
    Lossless,
    /// `__name__`, then `_` and the instance with `.` and `:` as `_`. Series that differ
    /// in other labels share a name.
    NameAndInstance,
    /// A text in which `{label}` stands for the value of a label.
    Template(String),
}

impl MetricName {
    /// The name of a series.
    pub fn render(&self, labels: &Labels) -> String {
        match self {
            Self::Lossless => labels.to_string(),
            Self::NameAndInstance => {
                let name = labels.get(Labels::NAME).unwrap_or("unknown");
                match labels.get("instance") {
                    Some(instance) => format!("{name}_{}", instance.replace(['.', ':'], "_")),
                    None => name.to_owned(),
                }
            }
            Self::Template(text) => {
                let mut name = String::new();
                let mut rest = text.as_str();
                while let Some((before, tail)) = rest.split_once('{') {
                    name.push_str(before);
                    let Some((label, after)) = tail.split_once('}') else { break };
                    name.push_str(labels.get(label).unwrap_or_default());
                    rest = after;
                }
                name + rest
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::new(pairs.iter().map(|(n, v)| (n.to_string(), v.to_string()))).unwrap()
    }

    #[test]
    fn names_are_lossless_or_as_the_founding_document_spells_them() {
        let cpu = labels(&[("mode", "idle"), ("__name__", "cpu"), ("instance", "demo.example:10000")]);
        assert_eq!(cpu.to_string(), r#"cpu{instance="demo.example:10000",mode="idle"}"#);
        assert_eq!(MetricName::NameAndInstance.render(&cpu), "cpu_demo_example_10000");
        assert_eq!(MetricName::Template("{__name__} of {mode}{none}".into()).render(&cpu), "cpu of idle");
        assert_eq!(labels(&[("job", "x")]).to_string(), r#"{job="x"}"#);
        assert_eq!(labels(&[]).to_string(), "{}");
    }

    #[test]
    fn duplicate_labels_are_refused_and_empty_ones_dropped() {
        let pair = |n: &str, v: &str| (n.to_string(), v.to_string());
        assert_eq!(Labels::new([pair("a", "1"), pair("a", "2")]), Err(LabelError::Duplicate("a".into())));
        assert_eq!(Labels::new([pair("a", "")]), Ok(Labels::default()));
    }
}
