//! Which slots are due: pure, so that three hours of downtime are a test of microseconds.
//!
//! Missed ticks are coalesced: however many instants of a cron have passed, one slot is
//! due, the newest; its window reaches back to where the last run ended.

use chrono::DateTime;
use chrono_tz::Tz;

use crate::config::Cron;
use crate::series::Millis;

/// The instants of a cron in a time zone.
#[derive(Clone, Copy, Debug)]
pub struct Instants<'a> {
    pattern: &'a croner::Cron,
    zone: Tz,
}

/// What a cron asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The newest instant that has passed.
    pub scheduled: Millis,
    /// How many older ones it stands for.
    pub coalesced: u64,
}

impl<'a> Instants<'a> {
    /// The instants of a cron by the wall clocks of a zone.
    pub fn new(cron: &'a Cron, zone: Tz) -> Self {
        Self { pattern: cron.pattern(), zone }
    }

    /// The first instant after `time`. One that a clock change skips comes just after it, one
    /// that it repeats comes once.
    pub fn next(self, time: Millis) -> Option<Millis> {
        let time = DateTime::from_timestamp_millis(time)?.with_timezone(&self.zone);
        self.pattern.find_next_occurrence(&time, false).ok().map(|next| next.timestamp_millis())
    }

    /// The instants after `time`, the first first.
    pub fn after(self, time: Millis) -> impl Iterator<Item = Millis> + 'a {
        std::iter::successors(self.next(time), move |&time| self.next(time))
    }

    /// The instants before `time`, the last first.
    pub fn before(self, time: Millis) -> impl Iterator<Item = Millis> + 'a {
        let last = move |time: Millis| {
            let time = DateTime::from_timestamp_millis(time)?.with_timezone(&self.zone);
            self.pattern.find_previous_occurrence(&time, false).ok().map(|last| last.timestamp_millis())
        };
        std::iter::successors(last(time), move |&time| last(time))
    }

    /// The instants in `after..=now`, without `after` itself, oldest first.
    pub fn between(self, after: Millis, now: Millis) -> impl Iterator<Item = Millis> + 'a {
        self.after(after).take_while(move |&time| time <= now)
    }

    /// The slot that is due at `now`, if an instant has passed since `last`.
    pub fn due(self, last: Millis, now: Millis) -> Option<Due> {
        self.between(last, now).fold(None, |due: Option<Due>, scheduled| {
            Some(Due { scheduled, coalesced: due.map_or(0, |due| due.coalesced + 1) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crons_follow_the_wall_clocks_of_the_zone() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis();
        let cron = "0 6 * * *".parse().unwrap();
        let six = Instants::new(&cron, Tz::Europe__Berlin);
        assert_eq!(six.next(at("2026-03-27T12:00:00Z")), Some(at("2026-03-28T05:00:00Z")));
        assert_eq!(six.next(at("2026-03-28T12:00:00Z")), Some(at("2026-03-29T04:00:00Z")));
    }

    #[test]
    fn instants_lie_on_both_sides_of_now() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis();
        let cron = "*/5 * * * *".parse().unwrap();
        let (every_five, now) = (Instants::new(&cron, Tz::UTC), at("2026-01-01T03:01:00Z"));
        let before: Vec<_> = every_five.before(now).take(2).collect();
        let after: Vec<_> = every_five.after(now).take(2).collect();
        assert_eq!(before, [at("2026-01-01T03:00:00Z"), at("2026-01-01T02:55:00Z")]);
        assert_eq!(after, [at("2026-01-01T03:05:00Z"), at("2026-01-01T03:10:00Z")]);
    }

    #[test]
    fn missed_ticks_are_one_slot() {
        let at = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis();
        let cron = "*/5 * * * *".parse().unwrap();
        let every_five = Instants::new(&cron, Tz::UTC);
        let due = every_five.due(at("2026-01-01T00:00:00Z"), at("2026-01-01T03:01:00Z")).unwrap();
        assert_eq!(due, Due { scheduled: at("2026-01-01T03:00:00Z"), coalesced: 35 });
        assert_eq!(every_five.due(due.scheduled, at("2026-01-01T03:04:59Z")), None);
    }
}
