//! Which series a text means: the METRIC of the command line, and what is typed into a search.

use wildmatch::WildMatch;

use super::DeskError;
use crate::config::BatchKey;
use crate::series::{Labels, Matchers};
use crate::store::{Database, SeriesRecord};

/// Names that an error lists.
const LISTED: usize = 20;
/// The longest text that is looked for, in bytes.
const TEXT_BYTES: usize = 1_024;

/// What a text asks of a series.
#[derive(Clone, Debug)]
pub(super) enum Selector {
    /// `cpu*`: a glob of the whole name.
    Glob(WildMatch),
    /// `cpu{mode="idle"}` or `{job="api"}`.
    Labels(Matchers),
    /// `cpu idle`: each word is a part of the name or of the value of a label, in capitals or not.
    Words(Vec<String>),
}

impl Selector {
    /// Reads a text; one that is empty means every series.
    pub fn parse(text: &str) -> Result<Self, DeskError> {
        if text.len() > TEXT_BYTES {
            return Err(DeskError::invalid(format!("the text to look for is longer than {TEXT_BYTES} bytes")));
        }
        if text.contains(['{', '=']) {
            let matchers = text.parse().map_err(|e| DeskError::invalid(format!("`{text}` selects no series: {e}")))?;
            return Ok(Self::Labels(matchers));
        }
        if text.contains(['*', '?']) {
            return Ok(Self::Glob(WildMatch::new(text)));
        }
        Ok(Self::Words(text.split_whitespace().map(str::to_lowercase).collect()))
    }

    /// A selector of what may be asked for; without a text every series.
    pub fn of(text: Option<&String>) -> Result<Self, DeskError> {
        Self::parse(text.map_or("", String::as_str))
    }

    pub fn matches(&self, name: &str, labels: &Labels) -> bool {
        match self {
            Self::Glob(glob) => glob.matches(name),
            Self::Labels(matchers) => matchers.matches(labels),
            Self::Words(words) => {
                let has = |text: &str, word: &String| text.to_lowercase().contains(word);
                words.iter().all(|word| has(name, word) || labels.iter().any(|(_, value)| has(value, word)))
            }
        }
    }
}

/// The one series of a batch that `metric` means: the one of this name or, where none has it,
/// the one that it selects as a [`Selector`].
pub(super) fn one(store: &Database, key: &BatchKey, metric: &str) -> Result<SeriesRecord, DeskError> {
    let mut found = store.series_where(key, |name, _| name == metric);
    if found.is_empty() {
        let selector = Selector::parse(metric)?;
        found = store.series_where(key, |name, labels| selector.matches(name, labels));
    }
    if found.is_empty() {
        let all = store.series(key);
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
    found.pop().ok_or_else(|| DeskError::unknown(metric))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>, count: usize) -> String {
    let mut text: String = names.take(LISTED).map(|name| format!("\n  {name}")).collect();
    if count > LISTED {
        text.push_str(&format!("\n  and {} more", count - LISTED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&'static str> {
        let selector = Selector::parse(text).unwrap();
        let names = ["cpu_idle", "cpu_user", "Disk_reads"];
        let labels = |name: &str| {
            let job = if name.starts_with("cpu") { "node" } else { "Storage" };
            Labels::new([("job".to_owned(), job.to_owned())]).unwrap()
        };
        names.into_iter().filter(|name| selector.matches(name, &labels(name))).collect()
    }

    #[test]
    fn a_series_is_found_by_glob_by_labels_and_by_words_of_either() {
        assert_eq!(found(""), ["cpu_idle", "cpu_user", "Disk_reads"]);
        assert_eq!(found("cpu_*"), ["cpu_idle", "cpu_user"]);
        assert_eq!(found("cpu"), ["cpu_idle", "cpu_user"]);
        assert_eq!(found("{job=\"Storage\"}"), ["Disk_reads"]);
        assert_eq!(found("STORAGE disk"), ["Disk_reads"]);
        assert_eq!(found("cpu storage"), Vec::<&str>::new());
        assert!(matches!(Selector::parse("{job=~\"(\"}"), Err(DeskError::Invalid(_))));
    }
}
