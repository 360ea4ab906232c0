//! What a seasonal series should be now: the median of what it was at this phase.
//!
//! For a daily season two answers are given, from the last days of the same kind
//! (weekend or not) and from a week ago, and the caller takes the nearer: a shop that
//! closes on Fridays is as ordinary as one that closes on Sundays.

use wide::f32x8;

use crate::window::{History, Reach};

const DAY_MS: i64 = 86_400_000;
/// Seasons whose values the median is taken of.
const SEASONS: usize = 5;
/// The furthest season that is looked at.
const FURTHEST: i64 = 15;

/// Columns that are expected together.
pub const TOGETHER: usize = 8;

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

    /// The same for as many columns as a vector has lanes, from this one on, where that can be said
    /// of all of them together: they are of one day, and nothing is missing.
    pub fn expect_all(&self, column: i64, reach: Reach) -> Option<([f32; TOGETHER], [f32; TOGETHER])> {
        let unknown = f32x8::splat(f32::NAN);
        let last = column + TOGETHER as i64 - 1;
        let daily = self.daily();
        if self.season() == 0 || (daily && self.weekday(column) != self.weekday(last)) {
            return None;
        }
        let mut recent = self.median_of(column, self.lags(column, reach, daily).all(), SEASONS, 1, reach)?;
        if recent.is_none() && daily {
            recent = self.median_of(column, self.lags(column, reach, false).all(), SEASONS, 1, reach)?;
        }
        let weekly = if daily { self.median_of(column, weeks(reach), 2, 2, reach)? } else { None };
        Some((recent.unwrap_or(unknown).to_array(), weekly.unwrap_or(unknown).to_array()))
    }

    /// The medians at columns from this one on over the first `seasons` lags at which there is
    /// something, with so many columns beside. `Some(None)`: there is nothing; `None`: it is not
    /// the same for all.
    fn median_of(&self, column: i64, lags: &[i64], seasons: usize, beside: i64, reach: Reach) -> Option<Option<f32x8>> {
        let mut values = [f32x8::splat(0.0); 3 * SEASONS];
        let (mut count, mut taken) = (0, 0);
        let mut gap = f32x8::splat(0.0);
        for &lag in lags {
            if taken == seasons {
                break;
            }
            let first = column - lag * self.season() - beside;
            let span = self.history.span(first, TOGETHER + 2 * beside as usize, reach)?;
            for from in span.windows(TOGETHER) {
                let lanes = f32x8::new(*from.first_chunk()?);
                gap += lanes;
                *values.get_mut(count)? = lanes;
                count += 1;
            }
            taken += usize::from(!span.is_empty());
        }
        let complete = !gap.is_nan().any();
        complete.then(|| values.get_mut(..count).and_then(median))
    }

    /// How many seasons back the values are that count for a column, in the order in which they are
    /// looked at; less than none is ahead.
    fn lags(&self, column: i64, reach: Reach, same_kind: bool) -> Lags {
        let weekend = |day: i64| day == 0 || day == 6;
        let next = |day: i64| if day == 6 { 0 } else { day + 1 };
        let previous = |day: i64| if day == 0 { 6 } else { day - 1 };
        let today = if same_kind { self.weekday(column) } else { 0 };
        let mut lags = Lags::default();
        let (mut behind, mut ahead) = (today, today);
        for back in 1..=FURTHEST {
            (behind, ahead) = (previous(behind), next(ahead));
            if !same_kind || weekend(behind) == weekend(today) {
                lags.push(back);
            }
            if matches!(reach, Reach::Around(_)) && (!same_kind || weekend(ahead) == weekend(today)) {
                lags.push(-back);
            }
        }
        lags
    }

    fn last_seasons(&self, column: i64, reach: Reach, same_kind: bool) -> f32 {
        let mut values = Few::default();
        let mut seasons = 0;
        for &lag in self.lags(column, reach, same_kind).all() {
            if seasons == SEASONS {
                break;
            }
            let before = values.count;
            values.extend(self.history.near(column - lag * self.season(), 1, reach));
            seasons += usize::from(values.count > before);
        }
        values.median()
    }

    fn week_ago(&self, column: i64, reach: Reach) -> f32 {
        let mut values = Few::default();
        for &lag in weeks(reach) {
            values.extend(self.history.near(column - lag * self.season(), 2, reach));
        }
        values.median()
    }
}

/// Days back that are a week away.
fn weeks(reach: Reach) -> &'static [i64] {
    match reach {
        Reach::Before(_) => &[7],
        Reach::Around(_) => &[7, -7],
    }
}

/// Lags of up to [`FURTHEST`] seasons, back and ahead.
#[derive(Default)]
struct Lags {
    list: [i64; 2 * FURTHEST as usize],
    count: usize,
}

impl Lags {
    fn push(&mut self, lag: i64) {
        if let Some(place) = self.list.get_mut(self.count) {
            *place = lag;
            self.count += 1;
        }
    }

    fn all(&self) -> &[i64] {
        self.list.get(..self.count).unwrap_or_default()
    }
}

/// The median in each lane of values that are no NaN, which are put in order; `None` of none.
fn median(values: &mut [f32x8]) -> Option<f32x8> {
    // Neighbours are exchanged, those at even places and those at odd ones in turns: so many rounds
    // sort whatever the order was, in all lanes alike.
    for round in 0..values.len() {
        for pair in values.get_mut(round % 2..)?.chunks_exact_mut(2) {
            if let [a, b] = pair {
                (*a, *b) = (a.fast_min(*b), a.fast_max(*b));
            }
        }
    }
    values.get(values.len() / 2).copied()
}

/// Up to 15 values, in order.
#[derive(Default)]
struct Few {
    values: [f32; 3 * SEASONS],
    count: usize,
}

impl Few {
    /// Takes those that are not NaN.
    fn extend(&mut self, values: &[f32]) {
        for &value in values {
            if value.is_nan() || self.count == self.values.len() {
                continue;
            }
            let mut place = self.count;
            while place > 0 && self.values[place - 1] > value {
                self.values[place] = self.values[place - 1];
                place -= 1;
            }
            self.values[place] = value;
            self.count += 1;
        }
    }

    /// NaN if there are none.
    fn median(&self) -> f32 {
        if self.count == 0 { f32::NAN } else { self.values[self.count / 2] }
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
    fn columns_together_are_expected_as_each_by_itself() {
        // Minutes of 17 days, with a gap in one of them.
        let mut values: Vec<f32> =
            (0..17 * 1440).map(|i| ((i * i) as f32 * 0.37).sin() + (i as f32 / 229.0).cos()).collect();
        values[9_000..9_010].fill(f32::NAN);
        let start = 4 * 1440;
        let forecast = Forecast { history: History { values: &values, start, season: Some(1440) }, step_ms: 60_000 };
        let end = start + values.len() as i64;
        let (mut together, mut apart) = (0, 0);
        for column in (start..end + 1440).step_by(97) {
            for reach in [Reach::Before(end), Reach::Around(60)] {
                let Some((recent, weekly)) = forecast.expect_all(column, reach) else {
                    apart += 1;
                    continue;
                };
                together += 1;
                for lane in 0..TOGETHER {
                    let alone = forecast.expect(column + lane as i64, reach);
                    let same = |a: f32, b: f32| a == b || (a.is_nan() && b.is_nan());
                    assert!(same(recent[lane], alone.0) && same(weekly[lane], alone.1), "{column} {lane} {reach:?}");
                }
            }
        }
        assert!(together > 5 * apart && apart > 0, "{together} {apart}");
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
