//! Spans of time that come again: nights, weekends, the first days of a quarter.
//!
//! Whether an instant lies in one is read off the clock and calendar of its zone, so a night
//! from 22:00 is from 22:00 on both sides of a change to daylight saving time; an hour that
//! a change repeats is in it twice, and one that is left out, not at all.

use chrono::{DateTime, Datelike as _, Timelike as _};
use chrono_tz::Tz;

use crate::series::Millis;

/// A span of time that comes again: all of its fields must fit; an empty one fits always.
/// Ranges include both ends but for `times`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeInterval {
    /// `times`: minutes of the day, half-open.
    pub times: Vec<(u32, u32)>,
    /// `weekdays`: 0 is Sunday.
    pub weekdays: Vec<(u32, u32)>,
    /// `days_of_month`: negative ones count from the end, -1 being the last day.
    pub days_of_month: Vec<(i32, i32)>,
    /// `months`: 1 to 12.
    pub months: Vec<(u32, u32)>,
    /// `years`.
    pub years: Vec<(i32, i32)>,
    /// `location`; `None`: UTC.
    pub location: Option<Tz>,
}

impl TimeInterval {
    /// Whether an instant, in milliseconds, lies in it. An instant beyond the calendar does not.
    pub fn contains(&self, at: Millis) -> bool {
        let Some(utc) = DateTime::from_timestamp_millis(at) else { return false };
        let local = utc.with_timezone(&self.location.unwrap_or(Tz::UTC));
        let minute = local.hour() * 60 + local.minute();
        let days = i32::from(local.num_days_in_month());
        let day = i32::try_from(local.day()).unwrap_or(0);
        let from_start = |day: i32| if day < 0 { days + day + 1 } else { day };
        let of_month = |&(first, last): &(i32, i32)| (from_start(first)..=from_start(last)).contains(&day);

        (self.times.is_empty() || self.times.iter().any(|(start, end)| (*start..*end).contains(&minute)))
            && fits(&self.weekdays, local.weekday().num_days_from_sunday())
            && (self.days_of_month.is_empty() || self.days_of_month.iter().any(of_month))
            && fits(&self.months, local.month())
            && fits(&self.years, local.year())
    }
}

fn fits<T: PartialOrd + Copy>(ranges: &[(T, T)], value: T) -> bool {
    ranges.is_empty() || ranges.iter().any(|(first, last)| (*first..=*last).contains(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Millis {
        text.parse::<DateTime<chrono::Utc>>().unwrap().timestamp_millis()
    }

    #[test]
    fn all_fields_must_fit_and_an_empty_one_fits_always() {
        assert!(TimeInterval::default().contains(at("2026-03-01T00:00:00Z")));
        let office = TimeInterval { times: vec![(9 * 60, 17 * 60)], weekdays: vec![(1, 5)], ..TimeInterval::default() };
        for (text, holds) in [
            // A Monday.
            ("2026-03-02T08:59:59Z", false),
            ("2026-03-02T09:00:00Z", true),
            ("2026-03-02T16:59:59Z", true),
            ("2026-03-02T17:00:00Z", false),
            ("2026-03-06T12:00:00Z", true),
            ("2026-03-07T12:00:00Z", false),
            ("2026-03-01T12:00:00Z", false),
        ] {
            assert_eq!(office.contains(at(text)), holds, "{text}");
        }
    }

    #[test]
    fn days_count_from_both_ends_of_a_month() {
        let days = |days| TimeInterval { days_of_month: vec![days], ..TimeInterval::default() };
        assert!(days((-3, -1)).contains(at("2028-02-29T10:00:00Z")));
        assert!(days((-3, -1)).contains(at("2028-02-27T10:00:00Z")));
        assert!(!days((-3, -1)).contains(at("2028-02-26T10:00:00Z")));
        assert!(days((28, -1)).contains(at("2026-02-28T10:00:00Z")));
        // February has no 30th, so nothing of it is from the 30th on.
        assert!(!days((30, 31)).contains(at("2026-02-28T10:00:00Z")));
        assert!(days((-31, -1)).contains(at("2026-02-01T10:00:00Z")));
    }

    #[test]
    fn months_and_years_are_ranges() {
        let span =
            TimeInterval { months: vec![(11, 12), (1, 1)], years: vec![(2026, 2027)], ..TimeInterval::default() };
        let inside = ["2026-01-15", "2026-12-31", "2027-11-01"];
        let outside = ["2025-12-31", "2026-02-01", "2026-10-31", "2028-01-01"];
        assert!(inside.iter().all(|day| span.contains(at(&format!("{day}T00:00:00Z")))));
        assert!(!outside.iter().any(|day| span.contains(at(&format!("{day}T00:00:00Z")))));
    }

    #[test]
    fn a_zone_has_its_own_clock_on_both_sides_of_daylight_saving_time() {
        let morning =
            TimeInterval { times: vec![(480, 540)], location: Some(Tz::Europe__Berlin), ..TimeInterval::default() };
        // Winter: UTC+1; summer, from 29 March 2026: UTC+2.
        assert!(morning.contains(at("2026-03-28T07:30:00Z")) && !morning.contains(at("2026-03-28T06:30:00Z")));
        assert!(morning.contains(at("2026-03-29T06:30:00Z")) && !morning.contains(at("2026-03-29T07:30:00Z")));
        // Between 2 and 3 on 25 October 2026 comes twice, on 29 March not at all.
        let night = TimeInterval { times: vec![(120, 180)], ..morning.clone() };
        let minutes = |day: &str| {
            let start = at(&format!("{day}T00:00:00Z"));
            (-120..1_440).filter(|minute| night.contains(start + minute * 60_000)).count()
        };
        assert_eq!([minutes("2026-10-24"), minutes("2026-10-25"), minutes("2026-03-29")], [60, 120, 0]);
        // The day is that of the zone as well: Sunday begins at 23:00 UTC on Saturday.
        let sunday =
            TimeInterval { weekdays: vec![(0, 0)], location: Some(Tz::Europe__Berlin), ..TimeInterval::default() };
        assert!(sunday.contains(at("2026-03-07T23:00:00Z")) && !sunday.contains(at("2026-03-07T22:59:59Z")));
    }
}
