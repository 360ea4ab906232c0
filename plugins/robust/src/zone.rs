//! Columns in the time that people live by.
//!
//! A day follows the clock on the wall: where that is set forward or back, the day moves by an
//! hour of UTC. So a row is laid on local time before anything looks at it: a spring night has
//! a gap of an hour, and of the hour that an autumn night repeats the second is kept, but for
//! those who judge the first. Everything else, weekends too, is counted in local columns.
//!
//! The rules are the IANA time zone database's as `jiff` bundles it.

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Deserializer};

/// By how much a clock is set forward or back at most, in milliseconds.
const MOST_MS: u32 = 2 * 3_600_000;

/// Where a series lives; UTC, if nobody says.
#[derive(Clone, Debug, Default)]
pub struct Zone(Option<TimeZone>);

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The host has checked the name. One that is newer than our rules is as UTC.
        Ok(Self::named(&String::deserialize(deserializer)?))
    }
}

/// Values on the local grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    /// Oldest first; NaN where one is missing, or the clock was set forward.
    pub values: Vec<f64>,
    /// The column of the first, counted from the epoch of local time.
    pub start: i64,
}

/// A span of a row in which no clock is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    /// The index of its first value.
    from: usize,
    /// Columns from UTC to local time.
    shift: i64,
}

impl Zone {
    /// Of an IANA name.
    pub fn named(name: &str) -> Self {
        if matches!(name, "UTC" | "Etc/UTC") {
            return Self(None);
        }
        Self(TimeZoneDatabase::bundled().get(name).ok())
    }

    /// Columns by which a clock is set at most.
    pub fn most(&self, step_ms: u32) -> u32 {
        if self.0.is_some() { MOST_MS.div_ceil(step_ms.max(1)) } else { 0 }
    }

    /// A row from `start`, milliseconds since the epoch, as its end sees it.
    pub fn whole(&self, values: &[f64], start: i64, step_ms: u32) -> Local {
        let step = i64::from(step_ms.max(1));
        lay(values, start.div_euclid(step), &self.parts(values.len(), start, step))
    }

    /// The same as each of its last `tail` values sees it: rows, each with how many of its last
    /// values are those.
    pub fn tails(&self, values: &[f64], start: i64, step_ms: u32, tail: usize) -> Vec<(Local, usize)> {
        let step = i64::from(step_ms.max(1));
        let (first, parts) = (values.len().saturating_sub(tail), self.parts(values.len(), start, step));
        let ends = parts.iter().skip(1).map(|part| part.from).chain([values.len()]);
        let seen = ends.enumerate().filter(|(_, end)| *end > first);
        seen.map(|(index, end)| {
            let own = end - first.max(parts[index].from);
            (lay(&values[..end], start.div_euclid(step), &parts[..=index]), own)
        })
        .collect()
    }

    fn parts(&self, count: usize, start: i64, step: i64) -> Vec<Part> {
        let Some(zone) = &self.0 else { return vec![Part { from: 0, shift: 0 }] };
        let shift = |instant: Timestamp| {
            let offset = i64::from(zone.to_offset(instant).seconds()) * 1000;
            (offset + step / 2).div_euclid(step)
        };
        let Ok(begin) = Timestamp::from_millisecond(start) else { return vec![Part { from: 0, shift: 0 }] };
        let mut parts = vec![Part { from: 0, shift: shift(begin) }];
        for change in zone.following(begin) {
            // The first column at the change or after it.
            let from = (change.timestamp().as_millisecond() - start + step - 1).div_euclid(step);
            let Some(from) = usize::try_from(from).ok().filter(|from| *from < count) else { break };
            let shift = shift(change.timestamp());
            match parts.last_mut() {
                Some(last) if last.shift == shift => {}
                Some(last) if last.from == from => last.shift = shift,
                _ => parts.push(Part { from, shift }),
            }
        }
        parts
    }
}

/// Values of consecutive parts; where two lie on one column the later one stays.
fn lay(values: &[f64], first: i64, parts: &[Part]) -> Local {
    let column = |index: usize, shift: i64| first + index as i64 + shift;
    let begin = parts.iter().map(|part| column(part.from, part.shift)).min().unwrap_or(first);
    let end = parts.last().map_or(first, |part| column(values.len(), part.shift));
    let mut laid = vec![f64::NAN; usize::try_from(end - begin).unwrap_or(0)];
    for (index, part) in parts.iter().enumerate() {
        let until = parts.get(index + 1).map_or(values.len(), |next| next.from);
        let place = usize::try_from(column(part.from, part.shift) - begin).unwrap_or(0);
        let cells = laid.iter_mut().skip(place);
        cells.zip(&values[part.from..until]).for_each(|(cell, value)| *cell = *value);
    }
    Local { values: laid, start: begin }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u32 = 3_600_000;
    /// 2026-03-28T23:00Z and 2026-10-24T23:00Z: Berlin sets its clocks at 01:00Z.
    const SPRING: i64 = 1_774_738_800_000;
    const AUTUMN: i64 = 1_792_882_800_000;

    fn hours(count: usize) -> Vec<f64> {
        (0..count).map(|i| i as f64).collect()
    }

    #[test]
    fn utc_is_as_it_was() {
        let zone = Zone::named("UTC");
        let local = zone.whole(&hours(4), SPRING, HOUR);
        assert_eq!((local.values, local.start), (hours(4), SPRING / i64::from(HOUR)));
        assert_eq!(zone.most(HOUR), 0);
    }

    #[test]
    fn a_spring_night_has_a_gap() {
        let local = Zone::named("Europe/Berlin").whole(&hours(4), SPRING, HOUR);
        assert_eq!(local.start, SPRING / i64::from(HOUR) + 1);
        assert_eq!(local.values[..2], [0.0, 1.0]);
        assert!(local.values[2].is_nan());
        assert_eq!(local.values[3..], [2.0, 3.0]);
    }

    #[test]
    fn an_autumn_night_is_seen_by_each_of_its_hours() {
        let zone = Zone::named("Europe/Berlin");
        // 23Z and 0Z are 1 and 2 o'clock; 1Z is 2 o'clock once more, 2Z is 3 o'clock.
        assert_eq!(zone.whole(&hours(4), AUTUMN, HOUR).values, [0.0, 2.0, 3.0]);
        let tails = zone.tails(&hours(4), AUTUMN, HOUR, 3);
        assert_eq!(
            tails.iter().map(|(local, own)| (local.values.clone(), *own)).collect::<Vec<_>>(),
            [(vec![0.0, 1.0], 1), (vec![0.0, 2.0, 3.0], 2)]
        );
    }

    #[test]
    fn a_step_of_a_day_has_no_hours_to_set() {
        let day = 24 * HOUR;
        assert_eq!(
            Zone::named("Europe/Berlin").whole(&hours(5), SPRING - SPRING % i64::from(day), day).values,
            hours(5)
        );
    }

    const MINUTE: u32 = 60_000;
    const DAY: usize = 1440;

    /// The highest score of the days after the clocks were set, of a job that runs at six o'clock in
    /// Berlin and is a tenth of an hour long.
    fn most_after_a_change(timezone: &str, change: i64) -> f64 {
        use anomd_detector::{Detector, Row};
        let config: crate::Config =
            serde_json::from_value(serde_json::json!({ "timezone": timezone })).expect("a configuration");
        let start = change - 8 * DAY as i64 * i64::from(MINUTE);
        let berlin = Zone::named("Europe/Berlin");
        let time = |i: usize| start + i as i64 * i64::from(MINUTE);
        let mut noise = 1_u64;
        let values: Vec<f64> = (0..10 * DAY)
            .map(|i| {
                let clock = (time(i) / i64::from(MINUTE) + berlin.parts(1, time(i), i64::from(MINUTE))[0].shift)
                    .rem_euclid(DAY as i64);
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let job = if (360..380).contains(&clock) { 100.0 } else { 0.0 };
                50.0 + job + (noise >> 40) as f64 / f64::from(1 << 23)
            })
            .collect();
        let needs = crate::Robust::plan(&config, MINUTE).expect("a plan");
        let slot = needs.refit as usize;
        let (mut model, mut most) = (Vec::new(), 0.0_f64);
        for from in (6 * DAY..10 * DAY).step_by(slot) {
            let row = |from: usize, to: usize| Row { values: &values[from..to], start: time(from), step: MINUTE };
            model = crate::Robust::fit(&config, row(0, from), &model).unwrap_or_default();
            let (head, recent) =
                (&model[..crate::Robust::head(&model)], row(from - needs.context as usize, from + slot));
            let scored = crate::Robust::score(&config, head, recent, slot);
            let scores = scored.unwrap_or_default().scores;
            assert_eq!(scores.len(), slot);
            if from >= 8 * DAY {
                most = scores.into_iter().fold(most, f64::max);
            }
        }
        most
    }

    #[test]
    fn a_job_at_six_is_ordinary_on_the_day_after_clocks_were_set() {
        for change in [SPRING, AUTUMN] {
            let (there, utc) = (most_after_a_change("Europe/Berlin", change), most_after_a_change("UTC", change));
            assert!(there < 0.7, "{there}");
            assert!(utc >= 0.7, "who counts in UTC is surprised: {utc}");
        }
    }
}
