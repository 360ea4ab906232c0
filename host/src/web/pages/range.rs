//! The span that a page shows, as its address says it: `range=24h`, or `from` and `to`.

use chrono::{DateTime, NaiveDateTime};
use serde::{Deserialize, Serialize};

use crate::desk::instant;
use crate::series::Millis;

const HOUR_MS: Millis = 3_600_000;

/// What can be chosen: in the address, how long, and in words. All end at the newest point.
const PRESETS: [(&str, Millis, &str); 8] = [
    ("1h", HOUR_MS, "Last hour"),
    ("6h", 6 * HOUR_MS, "Last 6 hours"),
    ("24h", 24 * HOUR_MS, "Last day"),
    ("3d", 72 * HOUR_MS, "Last 3 days"),
    ("7d", 168 * HOUR_MS, "Last week"),
    ("14d", 336 * HOUR_MS, "Last 2 weeks"),
    ("30d", 720 * HOUR_MS, "Last month"),
    ("90d", 2_160 * HOUR_MS, "Last 3 months"),
];
const USUAL: (&str, Millis) = ("24h", 24 * HOUR_MS);

/// What an address says of the span.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Range {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub range: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub to: String,
}

/// The span as the desk is asked for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub from: Option<Millis>,
    pub to: Option<Millis>,
    pub last_ms: Option<Millis>,
}

/// A choice in the list of spans.
pub(super) struct Choice {
    pub key: &'static str,
    pub words: &'static str,
    pub chosen: bool,
}

impl Range {
    /// What it means; an instant that cannot be read is a sentence for whoever wrote it.
    pub fn asked(&self) -> Result<Asked, String> {
        let (from, to) = (parse(&self.from)?, parse(&self.to)?);
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(format!("The span ends at {} and so before it begins. Choose a later end.", self.to));
        }
        Ok(Asked { from, to, last_ms: Some(self.length()) })
    }

    fn length(&self) -> Millis {
        PRESETS.into_iter().find(|(key, _, _)| *key == self.range).map_or(USUAL.1, |(_, length, _)| length)
    }

    /// Whether it ends at the newest point, so that what comes belongs to it.
    pub fn is_live(&self) -> bool {
        self.to.is_empty()
    }

    /// Whether its ends are named.
    pub fn is_named(&self) -> bool {
        !self.from.is_empty() || !self.to.is_empty()
    }

    /// What can be chosen.
    pub fn choices(&self) -> Vec<Choice> {
        let known = PRESETS.iter().any(|(key, _, _)| *key == self.range);
        let chosen = if known { self.range.as_str() } else { USUAL.0 };
        let choice = |(key, _, words)| Choice { key, words, chosen: !self.is_named() && key == chosen };
        PRESETS.into_iter().map(choice).collect()
    }

    /// The members of a query string that say it.
    pub fn query(&self) -> Vec<(&'static str, &str)> {
        let all = [("range", self.range.as_str()), ("from", &self.from), ("to", &self.to)];
        all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// An instant as addresses and the date fields of browsers have it; these name no zone, and mean UTC.
fn parse(text: &str) -> Result<Option<Millis>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(time) = instant::parse(text) {
        return Ok(Some(time));
    }
    let read = |format| NaiveDateTime::parse_from_str(text, format).ok();
    let time = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%.f"].into_iter().find_map(read);
    let time = time.map(|time| Some(time.and_utc().timestamp_millis()));
    time.ok_or_else(|| format!("“{text}” is no instant. Write it as 2026-01-31T12:00, in UTC."))
}

/// An instant as the date fields of browsers have it.
pub(super) fn field(time: Millis) -> String {
    let time = DateTime::from_timestamp_millis(time);
    time.map(|time| time.format("%Y-%m-%dT%H:%M").to_string()).unwrap_or_default()
}

/// An instant for people, to the minute, or to the second where it has some.
pub(super) fn words(time: Millis) -> String {
    let format = if time % 60_000 == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
    let time = DateTime::from_timestamp_millis(time);
    time.map(|time| time.format(format).to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(range: &str, from: &str, to: &str) -> Range {
        Range { range: range.to_owned(), from: from.to_owned(), to: to.to_owned() }
    }

    #[test]
    fn a_span_is_read_from_the_address_and_from_the_fields_of_a_form() {
        assert_eq!(range("7d", "", "").asked().unwrap().last_ms, Some(7 * 24 * HOUR_MS));
        assert_eq!(range("", "", "").asked().unwrap().last_ms, Some(24 * HOUR_MS));
        let named = range("7d", "2026-01-01T00:00", "2026-01-01T01:00:00+01:00");
        assert!(named.asked().unwrap_err().contains("before it begins"));
        let named = range("", "2026-01-01T00:00", "1767229200000").asked().unwrap();
        assert_eq!((named.from, named.to), (Some(1_767_225_600_000), Some(1_767_229_200_000)));
        assert!(range("", "yesterday", "").asked().unwrap_err().contains("2026-01-31T12:00"));
    }
}
