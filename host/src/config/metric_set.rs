//! Sets of metrics, as `<job>_include_metrics` and `<job>_exclude_metrics` name them.
//!
//! An entry is a name, a glob (`*` is any text, `?` one character) or a selector in PromQL's
//! spelling. Names and globs are compared with a series' `metric_name` and with its
//! `__name__`, so `cpu` stands for all series of that name. No entry is ever part of a query
//! in another language: whatever a name has in it, it is compared and nothing else.

use std::str::FromStr;

use wildmatch::WildMatch;

use crate::series::{Labels, Matchers};

/// Metrics by name, glob or selector; the empty set has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricSet(Vec<Entry>);

/// Why a text names no metrics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}; {remedy}")]
pub struct MetricSetFault {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Name(String),
    Glob(WildMatch),
    Selector {
        /// The whole text: a series may be called so.
        text: String,
        /// What stands before the braces, if it is a glob.
        family: Option<WildMatch>,
        matchers: Matchers,
    },
}

impl MetricSet {
    /// Whether a series is in it. `metric_name` is what the batch calls it.
    pub fn contains(&self, metric_name: &str, labels: &Labels) -> bool {
        let family = labels.get(Labels::NAME);
        self.0.iter().any(|entry| match entry {
            Entry::Name(name) => name == metric_name || family == Some(name),
            Entry::Glob(glob) => glob.matches(metric_name) || family.is_some_and(|family| glob.matches(family)),
            Entry::Selector { text, family: glob, matchers } => {
                let of_family = glob.as_ref().is_none_or(|glob| glob.matches(family.unwrap_or_default()));
                text == metric_name || (of_family && matchers.matches(labels))
            }
        })
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it names its metrics, each by its name.
    pub fn is_of_names(&self) -> bool {
        self.0.iter().all(|entry| matches!(entry, Entry::Name(_)))
    }

    /// The metrics of one entry: in it, a comma is part of the name.
    pub(super) fn of_entry(text: &str) -> Result<Self, MetricSetFault> {
        Entry::of(text.trim()).map(|entry| Self(vec![entry]))
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

/// Whether a job looks at a series: `include` has it or is empty, and `exclude` has it not.
pub(super) fn selects(include: &MetricSet, exclude: &MetricSet, metric_name: &str, labels: &Labels) -> bool {
    (include.is_empty() || include.contains(metric_name, labels)) && !exclude.contains(metric_name, labels)
}

/// Reads a list with commas; those in braces and quotes are part of an entry.
impl FromStr for MetricSet {
    type Err = MetricSetFault;

    fn from_str(text: &str) -> Result<Self, MetricSetFault> {
        let mut set = Self::default();
        for entry in split(text) {
            set.extend(Self::of_entry(entry)?);
        }
        Ok(set)
    }
}

impl Entry {
    fn of(text: &str) -> Result<Self, MetricSetFault> {
        let is_glob = |text: &str| text.contains(['*', '?']);
        let braces = text.split_once('{').and_then(|(family, rest)| Some((family, rest.strip_suffix('}')?)));
        if let Some((family, inner)) = braces.filter(|(_, inner)| inner.is_empty() || inner.contains('=')) {
            let family = family.trim();
            let glob = is_glob(family).then(|| WildMatch::new(family));
            let selector = if glob.is_some() { inner } else { text };
            let matchers = selector.parse::<Matchers>().map_err(|error| MetricSetFault {
                message: format!("\"{text}\" is no selector: {error}"),
                remedy: "write it as in PromQL: '{job=\"api\"}', 'cpu{mode!=\"idle\"}'".to_owned(),
            })?;
            return Ok(Self::Selector { text: text.to_owned(), family: glob, matchers });
        }
        match text {
            "" => Err(MetricSetFault {
                message: "an empty text names no metric".to_owned(),
                remedy: "write a name, a glob (cpu_*) or a selector ('{job=\"api\"}')".to_owned(),
            }),
            _ if is_glob(text) => Ok(Self::Glob(WildMatch::new(text))),
            _ => Ok(Self::Name(text.to_owned())),
        }
    }
}

/// The items of a list with commas that are neither in braces nor in quotes.
pub(super) fn split(text: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let items = text.split(move |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if depth > 0 => quoted = !quoted,
            _ if quoted => {}
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' => return depth == 0,
            _ => {}
        }
        false
    });
    items.map(str::trim).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::new(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))).unwrap()
    }

    fn has(set: &str, name: &str, pairs: &[(&str, &str)]) -> bool {
        set.parse::<MetricSet>().unwrap().contains(name, &labels(pairs))
    }

    /// Who excludes a metric wants it excluded, whatever is in its name; Anomstack put names
    /// into SQL without quotes.
    #[test]
    fn b12_names_that_would_need_quotes_globs_and_selectors_are_compared_and_nothing_else() {
        for name in ["it's", "a\"b", "x'; drop table metrics; --", "tab\there", "50% of all", "a/b", "ä", "cpu{idle}"]
        {
            let set = MetricSet::of_entry(name).unwrap();
            assert!(set.contains(name, &Labels::default()), "{name}");
            assert!(!set.contains("other", &Labels::default()), "{name}");
        }
        let idle = [("__name__", "cpu"), ("mode", "idle"), ("job", "api")];
        for (set, holds) in [
            ("cpu", true),
            ("cp", false),
            ("memory, cpu", true),
            ("cp?", true),
            ("c*u", true),
            ("disk_*", false),
            ("{job=\"api\"}", true),
            ("{job=~\"a.*\",mode=\"idle\"}", true),
            ("cpu{mode!=\"idle\"}", false),
            ("c*{mode=\"idle\"}", true),
            ("d*{mode=\"idle\"}", false),
            ("disk{mode=\"idle\"}, cpu{job=\"api\", mode=\"idle\"}", true),
            ("cpu{}", true),
            ("{}", true),
            ("", false),
        ] {
            assert_eq!(has(set, "cpu{job=\"api\",mode=\"idle\"}", &idle), holds, "{set}");
        }
        assert!(has("*{host?}*", "cpu{host1} of it", &[]));
    }

    #[test]
    fn what_is_no_selector_is_told() {
        let fault = |text: &str| text.parse::<MetricSet>().unwrap_err().to_string();
        assert_eq!(
            fault("up{job=~\"(\"}"),
            "\"up{job=~\"(\"}\" is no selector: \"(\" is not a regular expression; \
             write it as in PromQL: '{job=\"api\"}', 'cpu{mode!=\"idle\"}'"
        );
    }
}
