//! Minutes of a history as hours of the day and days of the week, in UTC.

use crate::series::Millis;

/// Milliseconds of a minute, the step of a history.
pub const MINUTE_MS: Millis = 60_000;
/// Minutes of a day.
pub const DAY: usize = 1440;

/// Where in the week a history begins.
#[derive(Clone, Copy, Debug)]
pub struct Calendar {
    start: Millis,
}

impl Calendar {
    /// Of a history that begins then.
    pub fn new(start: Millis) -> Self {
        Self { start }
    }

    fn minutes(self, minute: usize) -> i64 {
        self.start.div_euclid(MINUTE_MS) + minute as i64
    }

    /// The hour of the day, with fractions.
    pub fn hour(self, minute: usize) -> f64 {
        self.minutes(minute).rem_euclid(DAY as i64) as f64 / 60.0
    }

    /// Whether it is Saturday or Sunday.
    pub fn weekend(self, minute: usize) -> bool {
        // 1970-01-01 was a Thursday.
        matches!((self.minutes(minute).div_euclid(DAY as i64) + 4).rem_euclid(7), 0 | 6)
    }
}
