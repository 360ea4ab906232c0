//! Which series a METRIC of the command line means.

use regex::Regex;

use super::DeskError;
use crate::config::BatchKey;
use crate::series::Matchers;
use crate::store::{Database, SeriesRecord};

/// Names that an error lists.
const LISTED: usize = 20;

/// The one series of a batch that `metric` means: its `metric_name`; a glob of it, with `*`
/// and `?`; a selector, `cpu{mode="idle"}` or `{job="api"}`; or a part of its name.
pub(super) fn one(store: &Database, key: &BatchKey, metric: &str) -> Result<SeriesRecord, DeskError> {
    let all = store.series(key);
    let mut found = select(&all, metric)?;
    if found.is_empty() {
        let names = all.iter().map(|series| series.name.as_str());
        return Err(DeskError::unknown(match all.len() {
            0 => format!("{key} has no series yet: nothing was ingested. See `anomd query {key} --what runs`"),
            n => format!("{key} has no series `{metric}`. It has {n}:{}", listed(names, n)),
        }));
    }
    if let [_, _, ..] = found.as_slice() {
        let (names, count) = (found.iter().map(|series| series.name.as_str()), found.len());
        return Err(DeskError::conflict(format!(
            "`{metric}` means {count} series of {key}; name one of them:{}",
            listed(names, count)
        )));
    }
    found.pop().cloned().ok_or_else(|| DeskError::unknown(metric))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>, count: usize) -> String {
    let mut text: String = names.take(LISTED).map(|name| format!("\n  {name}")).collect();
    if count > LISTED {
        text.push_str(&format!("\n  and {} more", count - LISTED));
    }
    text
}

/// The series that `metric` means, by the first of these readings that gives any.
fn select<'a>(all: &'a [SeriesRecord], metric: &str) -> Result<Vec<&'a SeriesRecord>, DeskError> {
    let by = |test: &dyn Fn(&SeriesRecord) -> bool| -> Vec<&'a SeriesRecord> {
        all.iter().filter(|series| test(series)).collect()
    };
    let exact = by(&|series| series.name == metric);
    if !exact.is_empty() {
        return Ok(exact);
    }
    if metric.contains(['{', '=']) {
        let matchers: Matchers = metric.parse().map_err(|e| DeskError::invalid(format!("METRIC: {e}")))?;
        return Ok(by(&|series| matchers.matches(&series.labels)));
    }
    if metric.contains(['*', '?']) {
        let pattern: String = metric
            .chars()
            .map(|c| match c {
                '*' => ".*".to_owned(),
                '?' => ".".to_owned(),
                c => regex::escape(c.encode_utf8(&mut [0; 4])),
            })
            .collect();
        let glob = Regex::new(&format!("^(?s:{pattern})$"))
            .map_err(|_| DeskError::invalid(format!("`{metric}` is no pattern: use * and ? alone")))?;
        return Ok(by(&|series| glob.is_match(&series.name)));
    }
    Ok(by(&|series| series.name.contains(metric)))
}
