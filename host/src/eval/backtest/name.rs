//! Series by what tells them apart.

use std::collections::{BTreeMap, BTreeSet};

use super::trial::Trial;
use crate::message::text::one_line;
use crate::series::Labels;

/// Characters of a short name.
const SHORT: usize = 120;

/// The series of one `__name__`: how many they are, and how many have each pair of a label and its
/// value.
type Group<'a> = (usize, BTreeMap<(&'a str, &'a str), usize>);

/// Short names of the series of trials.
///
/// Of a series with a `__name__` that is the name, and the labels in which it differs from
/// others of that name; of one without, its `metric_name`. They are for people: two series have
/// the same short name only where a cut made it so.
pub struct Names<'a> {
    names: BTreeMap<&'a Labels, &'a str>,
    /// The labels that differ, by `__name__`.
    telling: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> Names<'a> {
    /// The names of all series of some trials.
    pub fn of(trials: &'a [Trial]) -> Self {
        let series = trials.iter().flat_map(|trial| &trial.series);
        Self::new(series.map(|series| (&series.record.labels, series.record.name.as_str())))
    }

    fn new(series: impl Iterator<Item = (&'a Labels, &'a str)>) -> Self {
        let names: BTreeMap<_, _> = series.collect();
        let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
        for labels in names.keys() {
            let (series, pairs) = groups.entry(labels.get("__name__").unwrap_or_default()).or_default();
            *series += 1;
            for pair in labels.iter() {
                *pairs.entry(pair).or_default() += 1;
            }
        }
        let telling = |(name, (series, pairs)): (&'a str, Group<'a>)| {
            let differ = pairs.into_iter().filter(|(_, count)| *count < series).map(|((label, _), _)| label);
            (name, differ.collect())
        };
        Self { telling: groups.into_iter().map(telling).collect(), names }
    }

    /// The short name of a series.
    pub fn short(&self, labels: &Labels) -> String {
        let Some(name) = labels.get("__name__") else {
            return one_line(self.names.get(labels).copied().unwrap_or_default(), SHORT);
        };
        let telling = self.telling.get(name);
        let differ = labels.iter().filter(|(label, _)| telling.is_some_and(|telling| telling.contains(label)));
        let text: String = differ.map(|(label, value)| format!(" {label}={value}")).collect();
        one_line(&format!("{name}{text}"), SHORT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_has_the_labels_that_differ() {
        let series = |pairs: &[(&str, &str)]| {
            Labels::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).unwrap()
        };
        let idle = series(&[("__name__", "cpu"), ("job", "a"), ("mode", "idle")]);
        let user = series(&[("__name__", "cpu"), ("job", "a"), ("mode", "user")]);
        let load = series(&[("__name__", "load"), ("job", "b")]);
        let nameless = series(&[("job", "b")]);
        let all = [(&idle, "cpu{…}"), (&user, "cpu{…}"), (&load, "load{…}"), (&nameless, "orders")];
        let names = Names::new(all.into_iter());
        assert_eq!(names.short(&idle), "cpu mode=idle");
        assert_eq!(names.short(&load), "load");
        assert_eq!(names.short(&nameless), "orders");
    }
}
