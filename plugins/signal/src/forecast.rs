//! What a seasonal series should be now: the median of what it was at this phase.
//!
//! For a daily season two answers are given, from the last days of the same kind
//! (weekend or not) and from a week ago, and the caller takes the nearer: a shop that
//! closes on Fridays is as ordinary as one that closes on Sundays.

use crate::calibration::quantile;
use crate::window::{History, Reach};

const DAY_MS: i64 = 86_400_000;
/// Seasons whose values the median is taken of.
const SEASONS: usize = 5;
/// The furthest season that is looked at.
const FURTHEST: i64 = 15;

/// A forecast at any column from the history.
#[derive(Clone, Copy)]
pub struct Forecast<'a> {
    /// The past.
    pub history: History<'a>,
    /// Milliseconds between columns.
    pub step_ms: u32,
}

impl Forecast<'_> {
    fn season(&self) -> i64 {
        self.history.season.unwrap_or(0) as i64
    }

    fn daily(&self) -> bool {
        self.season() * i64::from(self.step_ms) == DAY_MS
    }

    /// Of Sunday to Saturday in UTC, as 0 to 6.
    fn weekday(&self, column: i64) -> i64 {
        // 1970-01-01 was a Thursday.
        ((column * i64::from(self.step_ms)).div_euclid(DAY_MS) + 4).rem_euclid(7)
    }

    /// The forecasts for a column: from the last seasons, and from a week ago. NaN where
    /// the history does not say.
    pub fn expect(&self, column: i64, reach: Reach) -> (f32, f32) {
        let season = self.season();
        if season == 0 {
            return (f32::NAN, f32::NAN);
        }
        let daily = self.daily();
        let recent = self.last_seasons(column, reach, daily);
        let recent = if recent.is_nan() && daily { self.last_seasons(column, reach, false) } else { recent };
        let weekly = if daily { self.week_ago(column, reach) } else { f32::NAN };
        (recent, weekly)
    }

    fn last_seasons(&self, column: i64, reach: Reach, same_kind: bool) -> f32 {
        let season = self.season();
        let today = self.weekday(column);
        let weekend = |day: i64| day == 0 || day == 6;
        let mut values = Few::default();
        let mut seasons = 0;
        for back in 1..=FURTHEST {
            if seasons == SEASONS {
                break;
            }
            for lag in [back, -back] {
                let otherwise = same_kind && weekend((today - lag).rem_euclid(7)) != weekend(today);
                if otherwise || seasons == SEASONS || (lag < 0 && matches!(reach, Reach::Before(_))) {
                    continue;
                }
                let before = values.count;
                (-1..=1).for_each(|beside| values.push(self.history.at(column - lag * season + beside, reach)));
                seasons += usize::from(values.count > before);
            }
        }
        values.median()
    }

    fn week_ago(&self, column: i64, reach: Reach) -> f32 {
        let mut values = Few::default();
        for lag in [7, -7] {
            if lag > 0 || matches!(reach, Reach::Around(_)) {
                (-2..=2).for_each(|beside| values.push(self.history.at(column - lag * self.season() + beside, reach)));
            }
        }
        values.median()
    }
}

/// Up to 15 values.
#[derive(Default)]
struct Few {
    values: [f32; 3 * SEASONS],
    count: usize,
}

impl Few {
    fn push(&mut self, value: f32) {
        if !value.is_nan() && self.count < self.values.len() {
            self.values[self.count] = value;
            self.count += 1;
        }
    }

    fn median(&mut self) -> f32 {
        quantile(&mut self.values[..self.count], 0.5).unwrap_or(f32::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hours; 0 on weekends, else the hour of the day. Column 96 is Monday, 1970-01-05.
    fn office(columns: std::ops::Range<i64>) -> Vec<f32> {
        columns.map(|c| if matches!((c / 24 + 4) % 7, 0 | 6) { 0.0 } else { (c % 24) as f32 }).collect()
    }

    fn forecast(values: &[f32], season: usize) -> Forecast<'_> {
        Forecast { history: History { values, start: 96, season: Some(season) }, step_ms: 3_600_000 }
    }

    #[test]
    fn the_second_weekend_is_expected_after_one() {
        let values = office(96..96 + 7 * 24);
        let forecast = forecast(&values, 24);
        let end = Reach::Before(96 + 7 * 24);
        for hour in 1..7 * 24 - 1 {
            let column = 96 + 7 * 24 + hour;
            let truth = office(column..column + 1)[0];
            let (recent, weekly) = forecast.expect(column, end);
            let near = (recent - truth).abs().min((weekly - truth).abs());
            assert!(near <= 1.0, "hour {hour}: {recent} and {weekly} for {truth}");
        }
    }

    #[test]
    fn a_history_judges_itself_from_both_sides() {
        let values = office(96..96 + 7 * 24);
        let saturday_noon = 96 + 5 * 24 + 12;
        assert_eq!(forecast(&values, 24).expect(saturday_noon, Reach::Around(24)).0, 0.0);
    }

    #[test]
    fn without_a_past_there_is_no_forecast() {
        let (recent, weekly) = forecast(&[], 24).expect(500, Reach::Before(400));
        assert!(recent.is_nan() && weekly.is_nan());
    }
}
