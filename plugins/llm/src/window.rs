//! What the model is shown of a series: its newest samples as CSV, and the instants that an
//! answer may name.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use crate::Config;

/// The newest samples of a series, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    times: &'a [i64],
    values: &'a [f64],
    scores: &'a [f64],
    rounding: i8,
}

impl<'a> Window<'a> {
    /// The last `max_points` of a series; `scores` may be empty.
    pub fn new(times: &'a [i64], values: &'a [f64], scores: &'a [f64], config: &Config) -> Self {
        let newest = |length: usize| length.saturating_sub(config.max_points)..;
        let scores = if scores.len() == times.len() { scores } else { &[] };
        Self {
            times: times.get(newest(times.len())).unwrap_or_default(),
            values: values.get(newest(values.len())).unwrap_or_default(),
            scores: scores.get(newest(scores.len())).unwrap_or_default(),
            rounding: config.rounding,
        }
    }

    /// How many samples.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// The oldest and the newest instant.
    pub fn span(&self) -> Option<(i64, i64)> {
        Some((*self.times.first()?, *self.times.last()?))
    }

    /// A line a sample, newest last; a missing value is empty.
    pub fn csv(&self) -> String {
        let mut csv = String::from(if self.scores.is_empty() { "time,value\n" } else { "time,value,score\n" });
        for (index, (time, value)) in self.times.iter().zip(self.values).enumerate() {
            let _ = write!(csv, "{},{}", iso(*time), number(*value, self.rounding));
            if let Some(score) = self.scores.get(index) {
                let _ = write!(csv, ",{}", number(*score, 3));
            }
            csv.push('\n');
        }
        csv
    }

    /// The instant that a text names, if it is one of the series.
    pub fn instant(&self, text: &str) -> Option<i64> {
        let text = text.trim();
        let utc = text.strip_suffix("+00:00").unwrap_or(text);
        let since = humantime::parse_rfc3339_weak(utc).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let time = i64::try_from(since.as_millis()).ok()?;
        self.times.binary_search(&time).ok().map(|_| time)
    }
}

/// An instant as RFC 3339 in UTC, with milliseconds only where there are some.
pub fn iso(millis: i64) -> String {
    let Some(time) =
        u64::try_from(millis).ok().and_then(|ms| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(ms)))
    else {
        return String::new();
    };
    match millis % 1000 {
        0 => humantime::format_rfc3339_seconds(time).to_string(),
        _ => humantime::format_rfc3339_millis(time).to_string(),
    }
}

/// A number with at most so many decimals, or all it has.
fn number(value: f64, rounding: i8) -> String {
    let Ok(decimals) = usize::try_from(rounding) else { return shortest(value) };
    if !value.is_finite() || value.abs() >= 1e15 {
        return shortest(value);
    }
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".into() } else { text.into() }
}

fn shortest(value: f64) -> String {
    match value {
        value if !value.is_finite() => String::new(),
        value if value != 0.0 && !(1e-6..1e15).contains(&value.abs()) => format!("{value:e}"),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: i64 = 1_767_621_780_000;

    #[test]
    fn the_newest_samples_are_shown_newest_last() {
        let times: Vec<i64> = (0..4).map(|minute| BEGIN + minute * 60_000).collect();
        let config = Config { max_points: 3, rounding: 2, ..Config::default() };
        let values = [9.0, 0.12345, f64::NAN, -0.001];
        let window = Window::new(&times, &values, &[0.1, 0.25, f64::NAN, 1.0], &config);
        let csv =
            "time,value,score\n2026-01-05T14:04:00Z,0.12,0.25\n2026-01-05T14:05:00Z,,\n2026-01-05T14:06:00Z,0,1\n";
        assert_eq!(window.csv(), csv);
        assert_eq!(window.span(), Some((times[1], times[3])));
        let plain = Window::new(&times[..1], &values[..1], &[], &Config::default());
        assert_eq!(plain.csv(), "time,value\n2026-01-05T14:03:00Z,9\n");
    }

    #[test]
    fn numbers_are_as_they_are_or_rounded() {
        let all = [0.1 + 0.2, 1e300, -2e-9, 0.0, 1234567.5].map(|x| number(x, -1));
        assert_eq!(all, ["0.30000000000000004", "1e300", "-2e-9", "0", "1234567.5"]);
        assert_eq!([1234.567, 1e20, 0.0004].map(|x| number(x, 0)), ["1235", "1e20", "0"]);
    }

    #[test]
    fn an_instant_is_one_of_the_series_however_it_is_spelled() {
        let times = [BEGIN, BEGIN + 500];
        let config = Config::default();
        let window = Window::new(&times, &[1.0, 2.0], &[], &config);
        for text in ["2026-01-05T14:03:00Z", "2026-01-05 14:03:00", "2026-01-05T14:03:00.000+00:00"] {
            assert_eq!(window.instant(text), Some(BEGIN), "{text}");
        }
        assert_eq!(window.instant(&iso(BEGIN + 500)), Some(BEGIN + 500));
        for text in ["2026-01-05T14:04:00Z", "14:03", "", "1969-01-01T00:00:00Z", "2026-01-05T16:03:00+02:00"] {
            assert_eq!(window.instant(text), None, "{text}");
        }
    }
}
