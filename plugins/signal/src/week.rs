//! Working days and weekends (UTC).

const DAY_MS: i64 = 86_400_000;

/// Kinds of days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// Monday to Friday.
    pub working: bool,
    /// Saturday and Sunday.
    pub weekend: bool,
}

impl Kinds {
    /// Those that matter not, where a season is no day.
    pub const ALL: Self = Self { working: true, weekend: true };

    /// Those of which so many columns hold a day at least, for a season of a day.
    pub fn of(start: i64, columns: usize, season: Option<usize>, step_ms: u32) -> Self {
        let Some(day) = season.filter(|&season| season as i64 * i64::from(step_ms) == DAY_MS) else { return Self::ALL };
        let (end, day_columns) = (start + columns as i64, day as i64);
        let midnights = (start.div_euclid(day_columns)..).map(|day| day * day_columns).take_while(|first| *first < end);
        let weekends: usize = midnights
            .filter(|first| weekend(*first, step_ms))
            .map(|first| ((first + day_columns).min(end) - first.max(start)) as usize)
            .sum();
        let enough = |count: usize| count >= day;
        Self { working: enough(columns - weekends), weekend: enough(weekends) }
    }

    /// Whether a column is of one of them.
    pub fn contain(self, column: i64, step_ms: u32) -> bool {
        if weekend(column, step_ms) { self.weekend } else { self.working }
    }
}

/// Whether a column lies on a Saturday or Sunday.
pub fn weekend(column: i64, step_ms: u32) -> bool {
    // 1970-01-01 was a Thursday.
    matches!(((column * i64::from(step_ms)).div_euclid(DAY_MS) + 4).rem_euclid(7), 0 | 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u32 = 3_600_000;
    /// Monday, 1970-01-05.
    const MONDAY: i64 = 96;

    #[test]
    fn a_weekend_is_known_once_a_day_of_one_was_seen() {
        let after = |hours: usize| Kinds::of(MONDAY, hours, Some(24), HOUR_MS);
        assert_eq!(after(5 * 24 + 23), Kinds { working: true, weekend: false });
        assert!(!after(5 * 24).contain(MONDAY + 5 * 24, HOUR_MS));
        assert_eq!(after(6 * 24), Kinds::ALL);
        assert_eq!(Kinds::of(MONDAY, 40, Some(12), HOUR_MS), Kinds::ALL);
    }
}
