//! Inhibition: while one alert fires, others that follow from it are not told.

use super::dispatch::Firing;
use crate::config::InhibitRule;
use crate::series::Labels;

/// The alert that inhibits one with these labels: the first, by identity.
///
/// As in Alertmanager: labels of `equal` that both lack are equal, and an alert that matches
/// both sides of a rule is not inhibited by another that does, nor by itself.
pub(super) fn inhibitor<'a>(rules: &[InhibitRule], firing: &'a [Firing<'_>], labels: &Labels) -> Option<&'a str> {
    let mut found: Option<&str> = None;
    for rule in rules.iter().filter(|rule| rule.target.matches(labels)) {
        let two_sided = rule.source.matches(labels);
        let inhibits = |source: &&Firing<'_>| {
            rule.source.matches(&source.labels)
                && rule
                    .equal
                    .iter()
                    .all(|name| source.labels.get(name).unwrap_or_default() == labels.get(name).unwrap_or_default())
                && !(two_sided && rule.target.matches(&source.labels))
        };
        let first = firing.iter().filter(inhibits).map(|source| source.record.id.as_str()).min();
        found = [found, first].into_iter().flatten().min();
    }
    found
}
