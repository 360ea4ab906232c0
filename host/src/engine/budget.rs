//! CPU over time, as pure arithmetic with a passed clock: how much somebody may still use, and
//! how much they used lately.
//!
//! A [`Budget`] is a token bucket (Turner, "New directions in communications", 1986): it fills
//! at the rate of the quota up to what a minute gives, and a call is let in while there is
//! something in it. A call that costs more than is left leaves a debt, which is waited for
//! afterwards: nobody knows the cost of a call before it was made.

use std::time::Duration;

/// A minute, in nanoseconds.
const MINUTE_NS: u64 = 60_000_000_000;

/// What may be used of a minute's CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Milliseconds of CPU a minute; `None`: as much as there is.
    per_minute: Option<u64>,
    /// Nanoseconds of CPU that are left; below zero it is a debt.
    left: i64,
    /// When that was.
    at: Duration,
}

impl Budget {
    /// Sets how many milliseconds of CPU there are in a minute; begins with a whole minute's.
    pub fn bound(&mut self, now: Duration, per_minute: Option<u64>) {
        if self.per_minute != per_minute {
            let debt = self.per_minute.map_or(0, |_| self.refilled(now).left.min(0));
            self.per_minute = per_minute;
            *self = Self { left: self.most().saturating_add(debt), at: now, ..*self };
        }
    }

    /// Takes what was used.
    pub fn charge(&mut self, now: Duration, used: Duration) {
        let used = i64::try_from(used.as_nanos()).unwrap_or(i64::MAX);
        *self = self.refilled(now);
        self.left = self.left.saturating_sub(used);
    }

    /// How long to wait before something may be used again; zero: nothing is in the way.
    pub fn wait(&self, now: Duration) -> Duration {
        let Some(per_minute) = self.per_minute else { return Duration::ZERO };
        let left = self.refilled(now).left;
        if left > 0 {
            return Duration::ZERO;
        }
        // Up to a fiftieth of a minute's, so that what is let in has something to use.
        let missing = u128::from(left.unsigned_abs()) + u128::from(self.most().unsigned_abs() / 50) + 1;
        let wait = missing * u128::from(MINUTE_NS) / (u128::from(per_minute.max(1)) * 1_000_000);
        Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    fn most(&self) -> i64 {
        let nanoseconds = self.per_minute.unwrap_or(0).saturating_mul(1_000_000);
        i64::try_from(nanoseconds).unwrap_or(i64::MAX)
    }

    fn refilled(self, now: Duration) -> Self {
        let passed = now.saturating_sub(self.at).as_nanos();
        let rate = u128::from(self.per_minute.unwrap_or(0)) * 1_000_000;
        let came = i64::try_from(passed.saturating_mul(rate) / u128::from(MINUTE_NS)).unwrap_or(i64::MAX);
        Self { left: self.left.saturating_add(came).min(self.most()), at: self.at.max(now), ..self }
    }
}

/// CPU that was used lately: what was used a minute ago counts half.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    seconds: f64,
    at: Duration,
}

impl Load {
    /// Adds what was used.
    pub fn charge(&mut self, now: Duration, used: Duration) {
        *self = Self { seconds: self.at(now) + used.as_secs_f64(), at: self.at.max(now) };
    }

    /// What was used lately, in seconds.
    pub fn at(&self, now: Duration) -> f64 {
        let minutes = now.saturating_sub(self.at).as_secs_f64() / 60.0;
        self.seconds * 0.5_f64.powf(minutes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_minutes_cpu_can_be_used_at_once_and_then_comes_at_its_rate() {
        let mut budget = Budget::default();
        // Half a core.
        budget.bound(s(0), Some(30_000));
        assert_eq!(budget.wait(s(0)), Duration::ZERO);
        budget.charge(s(1), s(29));
        assert_eq!(budget.wait(s(1)), Duration::ZERO);
        budget.charge(s(1), s(11));
        // 10 s of debt and 0.6 s to begin with, at half a second a second.
        assert_eq!(budget.wait(s(1)).as_millis(), 21_200);
        assert_eq!(budget.wait(s(23)), Duration::ZERO);
        // However long nothing is used, no more than a minute's is saved.
        budget.charge(s(10_000), s(31));
        assert!(budget.wait(s(10_000)) > s(2));
    }

    #[test]
    fn without_a_bound_nobody_waits_and_a_new_bound_keeps_a_debt() {
        let mut budget = Budget::default();
        budget.charge(s(0), s(1_000));
        assert_eq!(budget.wait(s(0)), Duration::ZERO);
        budget.bound(s(0), Some(1_000));
        budget.charge(s(0), s(61));
        assert!(budget.wait(s(0)) > s(3_000));
        budget.bound(s(0), Some(60_000));
        assert!(budget.wait(s(0)) > Duration::ZERO, "to ask for another quota is no way out");
        budget.bound(s(0), None);
        assert_eq!(budget.wait(s(0)), Duration::ZERO);
    }

    #[test]
    fn what_was_used_a_minute_ago_counts_half() {
        let mut load = Load::default();
        load.charge(s(0), s(8));
        assert_eq!((load.at(s(0)), load.at(s(60)), load.at(s(180))), (8.0, 4.0, 1.0));
        load.charge(s(60), s(2));
        assert_eq!(load.at(s(60)), 6.0);
    }
}
