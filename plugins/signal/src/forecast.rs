//! What a seasonal series should be now: the median of what it was at this phase.
//!
//! For a daily season two answers are given, from the last days of the same kind
//! (weekend or not) and from a week ago, and the caller takes the nearer: a shop that
//! closes on Fridays is as ordinary as one that closes on Sundays.

use wide::f32x8;

use crate::history::{History, Reach};

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

    /// The same for [`TOGETHER`] columns that are `APART` from each other, from this one on, where that
    /// can be said of all of them together: they are of one day, and nothing is missing.
    pub fn expect_all<const APART: usize>(&self, column: i64, reach: Reach) -> Option<(f32x8, f32x8)> {
        let unknown = f32x8::splat(f32::NAN);
        let last = column + ((TOGETHER - 1) * APART) as i64;
        let daily = self.daily();
        if self.season() == 0 || (daily && self.weekday(column) != self.weekday(last)) {
            return None;
        }
        let mut recent = self.median_of::<APART, 1>(column, self.lags(column, reach, daily), reach)?;
        if recent.is_none() && daily {
            recent = self.median_of::<APART, 1>(column, self.lags(column, reach, false), reach)?;
        }
        let weekly = if daily { self.median_of::<APART, 2>(column, weeks(reach), reach)? } else { None };
        Some((recent.unwrap_or(unknown), weekly.unwrap_or(unknown)))
    }

    /// The medians at columns that are `APART` from each other, from this one on, over the first
    /// [`SEASONS`] lags at which there is something, with `BESIDE` columns on either side.
    /// `Some(None)`: there is nothing; `None`: it is not the same for all.
    fn median_of<const APART: usize, const BESIDE: usize>(
        &self,
        column: i64,
        lags: &[i64],
        reach: Reach,
    ) -> Option<Option<f32x8>> {
        let mut values = [f32x8::splat(0.0); 3 * SEASONS];
        let (mut count, mut taken) = (0, 0);
        let mut gap = f32x8::splat(0.0);
        for &lag in lags {
            if taken == SEASONS {
                break;
            }
            let (first, length) =
                (column - lag * self.season() - BESIDE as i64, (TOGETHER - 1) * APART + 1 + 2 * BESIDE);
            let span = self.history.span(first, length, reach)?;
            if span.len() != length {
                continue;
            }
            for place in 0..=2 * BESIDE {
                let lanes = f32x8::new(std::array::from_fn(|lane| span[lane * APART + place]));
                gap += lanes;
                *values.get_mut(count)? = lanes;
                count += 1;
            }
            taken += 1;
        }
        let complete = !gap.is_nan().any();
        complete.then(|| values.get_mut(..count).and_then(median))
    }

    /// How many seasons back the values are that count for a column, in the order in which they are
    /// looked at; less than none is ahead.
    fn lags(&self, column: i64, reach: Reach, same_kind: bool) -> &'static [i64] {
        let day = if same_kind { usize::try_from(self.weekday(column)).unwrap_or(ANY_DAY) } else { ANY_DAY };
        let lags = if matches!(reach, Reach::Around(_)) { &BEHIND_AND_AHEAD } else { &BEHIND };
        lags.get(day).map_or(&[], Lags::all)
    }

    fn last_seasons(&self, column: i64, reach: Reach, same_kind: bool) -> f32 {
        let mut values = Few::default();
        let mut seasons = 0;
        for &lag in self.lags(column, reach, same_kind) {
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
#[derive(Clone, Copy)]
struct Lags {
    list: [i64; 2 * FURTHEST as usize],
    count: usize,
}

/// In place of a weekday: days of any kind count.
const ANY_DAY: usize = 7;
/// For each weekday, and for [`ANY_DAY`].
static BEHIND: [Lags; ANY_DAY + 1] = Lags::by_day(false);
static BEHIND_AND_AHEAD: [Lags; ANY_DAY + 1] = Lags::by_day(true);

impl Lags {
    const fn by_day(ahead: bool) -> [Self; ANY_DAY + 1] {
        let mut all = [Self { list: [0; 2 * FURTHEST as usize], count: 0 }; ANY_DAY + 1];
        let mut today = 0;
        while today <= ANY_DAY {
            let mut lag = 1;
            while lag <= FURTHEST {
                if same_kind(today, -lag) {
                    all[today].push(lag);
                }
                if ahead && same_kind(today, lag) {
                    all[today].push(-lag);
                }
                lag += 1;
            }
            today += 1;
        }
        all
    }

    const fn push(&mut self, lag: i64) {
        self.list[self.count] = lag;
        self.count += 1;
    }

    fn all(&self) -> &[i64] {
        self.list.get(..self.count).unwrap_or_default()
    }
}

/// Whether a day so many later is a weekend if this one is, or neither.
const fn same_kind(today: usize, later: i64) -> bool {
    const fn weekend(day: i64) -> bool {
        day == 0 || day == 6
    }
    today == ANY_DAY || weekend(today as i64) == weekend((today as i64 + later).rem_euclid(7))
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
                for (stride, expected) in
                    [(1, forecast.expect_all::<1>(column, reach)), (8, forecast.expect_all::<8>(column, reach))]
                {
                    let Some((recent, weekly)) = expected.map(|(a, b)| (a.to_array(), b.to_array())) else {
                        apart += 1;
                        continue;
                    };
                    together += 1;
                    for lane in 0..TOGETHER {
                        let alone = forecast.expect(column + stride * lane as i64, reach);
                        let same = |a: f32, b: f32| a == b || (a.is_nan() && b.is_nan());
                        assert!(
                            same(recent[lane], alone.0) && same(weekly[lane], alone.1),
                            "{column} {lane} {reach:?}"
                        );
                    }
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
