//! Times at which a route tells nobody.

use chrono::{DateTime, Datelike as _, Timelike as _};
use chrono_tz::Tz;

use super::{Target, Why};
use crate::config::{Routing, TimeInterval};
use crate::series::Millis;

/// Why a route tells nobody now; `None` if it does.
pub(super) fn muted(routing: &Routing, target: &Target<'_>, now: Millis) -> Option<Why> {
    let is_on = |name: &&String| routing.intervals.get(*name).is_some_and(|spans| spans.iter().any(|s| fits(s, now)));
    if !target.active.is_empty() && !target.active.iter().any(|name| is_on(&name)) {
        return Some(Why::Inactive);
    }
    target.mute.iter().find(is_on).map(|name| Why::Muted(name.clone()))
}

fn fits(interval: &TimeInterval, now: Millis) -> bool {
    fn any<T: PartialOrd + Copy>(ranges: &[(T, T)], value: T) -> bool {
        ranges.is_empty() || ranges.iter().any(|(from, to)| (*from..=*to).contains(&value))
    }
    let Some(now) = DateTime::from_timestamp_millis(now) else { return false };
    let now = now.with_timezone(&interval.location.unwrap_or(Tz::UTC));
    let minute = now.hour() * 60 + now.minute();
    let times = interval.times.is_empty() || interval.times.iter().any(|(from, to)| (*from..*to).contains(&minute));
    let (day, last) = (now.day().cast_signed(), i32::from(now.num_days_in_month()));
    // -1 is the last day. A range that begins after the month's end has none of its days.
    let in_month = |edge: i32| if edge < 0 { last + 1 + edge } else { edge };
    let days: Vec<(i32, i32)> =
        interval.days_of_month.iter().map(|(from, to)| (in_month(*from), in_month(*to))).collect();
    times
        && any(&interval.weekdays, now.weekday().num_days_from_sunday())
        && any(&days, day)
        && any(&interval.months, now.month())
        && any(&interval.years, now.year())
}
