//! Instants and numbers as pages write them.

use chrono::DateTime;

use crate::desk::instant;
use crate::message::{Unit, text};
use crate::series::Millis;

const MINUTE: Millis = 60_000;

/// An instant: for programs, for people, and how far it is from now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// RFC 3339, for `datetime`.
    pub iso: String,
    /// `31 Jan 12:00`, in UTC.
    pub short: String,
    /// `2 h 5 min ago`, `in 10 min`, `now`: to the minute, where it is not less.
    pub ago: String,
}

impl Moment {
    /// An instant, seen at another.
    pub fn of(time: Millis, now: Millis) -> Self {
        let iso = instant::text(time);
        let short = DateTime::from_timestamp_millis(time);
        let short = short.map_or_else(|| iso.clone(), |time| time.format("%-d %b %H:%M").to_string());
        let ago = match now.saturating_sub(time) {
            -999..=999 => "now".to_owned(),
            past @ 1_000.. => format!("{} ago", lasted(past)),
            ahead => format!("in {}", lasted(ahead.saturating_neg())),
        };
        Self { iso, short, ago }
    }
}

/// A span as people say it: what is a minute or longer to the minute.
pub(super) fn lasted(ms: Millis) -> String {
    instant::span(if ms < MINUTE { ms } else { ms.saturating_sub(ms % MINUTE) })
}

/// What templates write with.
pub(super) mod filters {
    use chrono::DateTime;

    /// An instant of RFC 3339 as people read it, in UTC: `31 Jan 2026 12:00`. What is none stays.
    #[askama::filter_fn]
    pub fn when(time: impl std::fmt::Display, _: &dyn askama::Values) -> askama::Result<String> {
        let text = time.to_string();
        let read = DateTime::parse_from_rfc3339(&text);
        Ok(read.map_or(text, |time| time.to_utc().format("%-d %b %Y %H:%M").to_string()))
    }
}

/// A number as charts write it, too: `0.01235`, `2.98 G`.
pub(super) fn number(value: f64) -> String {
    text::number(value, Unit::None)
}

/// What lies between two numbers, or at one.
pub(super) fn between(edges: (Option<f64>, Option<f64>)) -> String {
    match edges {
        (Some(lower), Some(upper)) if lower == upper => number(lower),
        (Some(lower), Some(upper)) => format!("{} to {}", number(lower), number(upper)),
        (Some(lower), None) => format!("at least {}", number(lower)),
        (None, Some(upper)) => format!("at most {}", number(upper)),
        (None, None) => String::new(),
    }
}

/// A share as people write it: `0.4 %`.
pub(super) fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        part if part < 0.1 => "< 0.1 %".to_owned(),
        part if part < 10.0 => format!("{part:.1} %"),
        part => format!("{part:.0} %"),
    }
}

/// What a form field has, without what surrounds it; empty is nothing.
pub(super) fn given(field: Option<&str>) -> Option<String> {
    field.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// An instant out of a form: RFC 3339, or what browsers make of `datetime-local`, which is read as
/// UTC.
pub(super) fn read(field: Option<&str>) -> Result<Option<Millis>, String> {
    let Some(text) = given(field) else { return Ok(None) };
    let local = text.len() == 16 || text.len() == 19;
    let whole = match (local && !text.ends_with('Z'), text.len()) {
        (true, 16) => format!("{text}:00Z"),
        (true, _) => format!("{text}Z"),
        (false, _) => text,
    };
    instant::parse(&whole).map(Some)
}

/// An instant as `datetime-local` has it, in UTC.
pub(super) fn local(time: Millis) -> String {
    instant::text(time).get(..16).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_767_225_600_000;

    #[test]
    fn moments_and_shares_read_as_people_write_them() {
        let past = Moment::of(NOW - 7_500_000, NOW);
        assert_eq!((past.iso.as_str(), past.short.as_str()), ("2025-12-31T21:55:00Z", "31 Dec 21:55"));
        assert_eq!((past.ago.as_str(), Moment::of(NOW + 60_999, NOW).ago.as_str()), ("2 h 5 min ago", "in 1 min"));
        assert_eq!(Moment::of(NOW - 7_000, NOW).ago, "7 s ago");
        assert_eq!([0.0, 0.0004, 0.0123, 0.5].map(percent), ["0 %", "< 0.1 %", "1.2 %", "50 %"]);
    }

    #[test]
    fn what_a_browser_sends_for_a_time_is_read_as_utc() {
        assert_eq!(read(Some(&local(NOW))), Ok(Some(NOW)));
        assert_eq!(read(Some("2026-01-01T00:00:00Z")), Ok(Some(NOW)));
        assert_eq!(read(Some("2026-01-01T00:00:01")), Ok(Some(NOW + 1_000)));
        assert_eq!(read(Some(" ")), Ok(None));
        assert!(read(Some("soon")).is_err());
    }
}
