//! Change detection: how far the newest points lie from those before them.
//!
//! Three statistics, each in robust standard deviations:
//!
//! * *point*: the modified z-score of Iglewicz and Hoaglin (How to Detect and Handle Outliers,
//!   1993), 0.6745·|x − median| / MAD, of the points before the newest
//!   `change_detect_last_n`. It finds what is large at once.
//! * *shift*: the difference between the medians of two windows side by side, the newest
//!   points and those before them, seen among the same differences of the past. It finds what
//!   is smaller and lasts, and neither a slope nor a season, whose differences are always
//!   there.
//! * *level*: as the point, of the median of the newest window. It keeps an alert on while the
//!   series is away from where it was, and begins none.
//!
//! While a change lasts it slowly becomes what came before, so that its one alert ends by
//! itself when about half of `change_max_n` points are new. What comes back before that ends
//! the alert and is no second one; what comes back later is a change again.
//!
//! The point statistic knows no season: a smooth series that leaves a plateau comes near the
//! default threshold of 3.5 without anything being wrong. Scores are for such series.

use super::policy::Point;
use crate::config::ChangePolicy;
use crate::series::Millis;

/// The MAD of a normal distribution, in standard deviations.
const NORMAL_MAD: f64 = 0.6745;
/// Points that must have come before, or nothing is said.
const LEAST_BEFORE: usize = 10;
/// The smallest deviation that counts, as a part of the value. A flat series has no deviation
/// of its own to measure by, and rounding alone would be infinitely odd: what leaves its level
/// is judged by its size instead, and needs about half a percent at the default threshold.
const LEAST_PART: f64 = 0.001;
/// The same for values around 0, of which every part is 0.
const LEAST_DEVIATION: f64 = 1e-9;
/// In a series that is flat but for rare points, the furthest of them counts as so many
/// standard deviations: such a point is nothing new.
const FURTHEST_DEVIATIONS: f64 = 2.0;
/// A shift needs half of the size that a lone point needs: however steady a series is,
/// what is small beside its own ups and downs is no change.
const SIZE_GAIN: f64 = 2.0;
/// Up to which part of the threshold the level counts: short of beginning an alert.
const LEVEL_PART: f64 = 0.99;

/// What came before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reference {
    /// The median.
    pub median: f64,
    /// The median of the absolute deviations from it.
    pub mad: f64,
    /// The largest of these deviations.
    pub furthest: f64,
}

impl Reference {
    /// The reference that some finite values are; `None` without any.
    pub fn of(values: &[f64]) -> Option<Self> {
        let center = median(values.to_vec())?;
        let deviations: Vec<f64> = values.iter().map(|value| (value - center).abs()).collect();
        let furthest = deviations.iter().copied().fold(0.0, f64::max);
        Some(Self { median: center, mad: median(deviations)?, furthest })
    }

    /// The distance of a point in robust standard deviations; finite, whatever came before.
    pub fn distance(&self, value: f64) -> f64 {
        self.distance_over(value, floor(self.median, value))
    }

    /// The same, with the smallest deviation that counts.
    fn distance_over(&self, value: f64, floor: f64) -> f64 {
        NORMAL_MAD * (value - self.median).abs() / self.scale(floor)
    }

    fn scale(&self, floor: f64) -> f64 {
        if self.mad > floor { self.mad } else { floor.max(self.furthest * NORMAL_MAD / FURTHEST_DEVIATIONS) }
    }

    /// Between which values a point is no change.
    fn band(&self, threshold: f64) -> (f64, f64) {
        let reach = threshold * self.scale(floor(self.median, self.median)) / NORMAL_MAD;
        (self.median - reach, self.median + reach)
    }
}

/// The smallest deviation that counts between two values.
fn floor(a: f64, b: f64) -> f64 {
    (a.abs().max(b.abs()) * LEAST_PART).max(LEAST_DEVIATION)
}

/// The middle value, or the mean of the two middle ones.
fn median(mut values: Vec<f64>) -> Option<f64> {
    let half = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    if values.is_empty() {
        return None;
    }
    let (below, middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let middle = *middle;
    let before = below.iter().copied().max_by(f64::total_cmp).filter(|_| even);
    Some(before.map_or(middle, |before| f64::midpoint(before, middle)))
}

/// So many points before the first that is judged are all that its judgement takes.
pub fn context(policy: &ChangePolicy) -> usize {
    policy.max_n.max(LEAST_BEFORE).saturating_add(policy.smooth_n)
}

/// Judges the points of a series after an instant, or the newest alone; the values are finite
/// and in order of time. A point's score is the largest of its statistics over
/// `change_threshold`, so that 1 is at the limit; the statistics are its terms. Each is judged
/// by the `change_max_n` points up to it, however many are given.
pub fn judge(policy: &ChangePolicy, points: &[(Millis, f64)], after: Option<Millis>) -> Vec<Point> {
    let values = smooth(points, policy.smooth_n.max(1));
    let window = (policy.max_n / 20).clamp(5, 30).max(policy.last_n);
    let judge = Judge { policy, window, steps: steps(&values, window), values };
    let first = match after {
        Some(after) => points.partition_point(|(time, _)| *time <= after),
        None => points.len().saturating_sub(1),
    };
    points.iter().enumerate().skip(first).filter_map(|(index, (time, _))| judge.one(index, *time)).collect()
}

struct Judge<'a> {
    policy: &'a ChangePolicy,
    /// Points of each of the two windows.
    window: usize,
    values: Vec<f64>,
    /// The difference between the medians of the two windows that end at each point.
    steps: Vec<f64>,
}

impl Judge<'_> {
    fn one(&self, index: usize, time: Millis) -> Option<Point> {
        let policy = self.policy;
        let value = *self.values.get(index)?;
        let start = (index + 1).saturating_sub(policy.max_n.max(LEAST_BEFORE));
        let reference = self.before(start, (index + 1).checked_sub(policy.last_n.max(1))?)?;
        let point = reference.distance(value);
        let (shift, level) = self.lasting(index, start).unwrap_or((0.0, 0.0));
        let (lower, upper) = reference.band(policy.threshold);
        let threshold = policy.threshold.max(f64::MIN_POSITIVE);
        Some(Point {
            time,
            value,
            score: point.max(shift).max(level.min(threshold * LEVEL_PART)) / threshold,
            lower,
            upper,
            terms: [("point", point), ("shift", shift), ("level", level)].map(|(n, v)| (n.to_owned(), v)).to_vec(),
        })
    }

    /// The points from `start` to before `end`, if they are enough.
    fn before(&self, start: usize, end: usize) -> Option<Reference> {
        let before = self.values.get(start..end)?;
        Reference::of(before).filter(|_| before.len() >= LEAST_BEFORE)
    }

    /// Shift and level; `None` where too little came before.
    fn lasting(&self, index: usize, start: usize) -> Option<(f64, f64)> {
        let newest = (index + 1).checked_sub(self.window)?;
        let after = median(self.values.get(newest..=index)?.to_vec())?;
        let before = self.before(start, newest)?;
        // Differences that share no point with the two windows, and are whole.
        let past = self.steps.get(start + 2 * self.window - 1..newest.checked_sub(self.window)?)?;
        let past = Reference::of(past).filter(|_| past.len() >= LEAST_BEFORE)?;
        let step = *self.steps.get(index)?;
        let least = floor(after, after - step);
        let size = NORMAL_MAD * step.abs() / before.scale(least);
        Some((past.distance_over(step, least).min(size * SIZE_GAIN), before.distance(after)))
    }
}

/// The difference between the medians of the two windows that end at each point; 0 where
/// there are not enough points for them.
fn steps(values: &[f64], window: usize) -> Vec<f64> {
    let level = |end: usize| median(values.get(end.checked_sub(window)?..end)?.to_vec());
    let levels: Vec<Option<f64>> = (1..=values.len()).map(level).collect();
    let before = std::iter::repeat_n(&None, window).chain(&levels);
    levels.iter().zip(before).map(|(after, before)| after.zip(*before).map_or(0.0, |(a, b)| a - b)).collect()
}

/// The mean of each point and those before it, so many in all.
fn smooth(points: &[(Millis, f64)], count: usize) -> Vec<f64> {
    let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    let mean = |end: usize| {
        let part = values.get(end.saturating_sub(count)..end).unwrap_or_default();
        part.iter().sum::<f64>() / part.len().max(1) as f64
    };
    (1..=values.len()).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{EventRule, Look, Memory, News, PolicyRecord};
    use crate::config::AlertPolicy;
    use crate::message::AlertKind;

    fn at(values: &[f64]) -> Vec<(Millis, f64)> {
        values.iter().enumerate().map(|(index, value)| (index as Millis, *value)).collect()
    }

    /// 50 and a little noise between 0 and 2, the same each time.
    fn noise(index: usize) -> f64 {
        let mut bits = (index as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        50.0 + ((bits ^ (bits >> 27)) >> 40) as f64 / f64::from(1 << 23)
    }

    /// When alerts begin and end, each point judged as it comes.
    fn alerts(values: &[f64], policy: &ChangePolicy) -> Vec<(News, Millis)> {
        let record = PolicyRecord::change(policy, &AlertPolicy::default());
        let identify = |started: Millis| started.to_string();
        let rule = EventRule { policy: &record, policy_id: "", markers: Vec::new(), identify: &identify };
        let mut memory = Memory::default();
        let points = judge(policy, &at(values), Some(19));
        let Look { changes, .. } = rule.watch(memory.track_mut(AlertKind::Change), &points);
        let time = |news: News, started: Millis, ended: Option<Millis>| match news {
            News::Resolved => ended.unwrap(),
            _ => started,
        };
        let told = changes.iter().filter(|change| change.is_told());
        told.map(|c| (c.news, time(c.news, c.episode.started, c.episode.ended))).collect()
    }

    #[test]
    fn the_point_statistic_is_the_modified_z_score() {
        let value = |i: usize| 10.0 + 3.0 * (i as f64 / 5.0).sin() + ((37 * i) % 11) as f64 / 10.0;
        let mut values: Vec<f64> = (0..58).map(value).collect();
        values[57] = 25.0;
        let reference = Reference::of(&values[..57]).unwrap();
        assert!((reference.median - 10.934_624).abs() < 1e-6, "{reference:?}");
        assert!((reference.mad - 1.929_173).abs() < 1e-6, "{reference:?}");
        assert!((reference.distance(25.0) - 4.917_702).abs() < 1e-6);
        let judged = judge(&ChangePolicy::default(), &at(&values), None);
        assert_eq!(judged.len(), 1);
        assert!((judged[0].terms[0].1 - 4.917_702).abs() < 1e-6);
        assert!((judged[0].score - 4.917_702 / 3.5).abs() < 1e-6);
    }

    /// Users want to be told of a change at the point where it is; Anomstack's change job
    /// could not raise an alert at all.
    #[test]
    fn b1_change_detection_fires_at_a_spike_and_once() {
        let mut values: Vec<f64> = (0..120).map(noise).collect();
        values[80] *= 100.0;
        assert_eq!(alerts(&values, &ChangePolicy::default()), [(News::Began, 80), (News::Resolved, 81)]);
    }

    #[test]
    fn a_lasting_change_is_one_alert_and_what_comes_back_is_none() {
        let lasting = |until: usize| -> Vec<f64> {
            (0..700).map(|i| noise(i) + if (300..until).contains(&i) { 20.0 } else { 0.0 }).collect()
        };
        let ended = |values: &[f64]| match alerts(values, &ChangePolicy::default()).as_slice() {
            [(News::Began, 300), (News::Resolved, ended)] => *ended,
            other => panic!("{other:?}"),
        };
        let by_itself = ended(&lasting(700));
        assert!((400..440).contains(&by_itself), "{by_itself}");
        let back = ended(&lasting(360));
        assert!((360..385).contains(&back), "{back}");
    }

    #[test]
    fn a_shift_that_no_single_point_shows_is_found_by_its_lasting() {
        // The MAD is 0.5, so that 2 is 2.7 standard deviations.
        let values: Vec<f64> = (0..340).map(|i| if i < 300 { noise(i) } else { 53.0 }).collect();
        let points = judge(&ChangePolicy::default(), &at(&values), Some(299));
        assert!(points.iter().all(|point| point.terms[0].1 < 3.5), "{:?}", points[0].terms);
        let found = alerts(&values, &ChangePolicy::default());
        assert!(matches!(found.as_slice(), [(News::Began, 304..=315)]), "{found:?}");
    }

    #[test]
    fn a_slope_is_no_change_and_a_season_is_no_shift() {
        let angle = |minute: i32| f64::from(minute) * std::f64::consts::TAU / 1_440.0;
        let day: Vec<f64> = (0..4_320).map(|minute| 100.0 - 50.0 * angle(minute).cos()).collect();
        let judged = judge(&ChangePolicy::default(), &at(&day), Some(250));
        assert!(judged.iter().all(|point| point.terms[1].1 < 3.5));
        let slope: Vec<f64> = (0..600).map(f64::from).collect();
        assert_eq!(alerts(&slope, &ChangePolicy::default()), []);
    }

    /// U18: a flat line is not for ever anomalous, and leaving it is no infinite anomaly.
    #[test]
    fn a_flat_series_is_judged_by_the_size_of_what_leaves_it() {
        for (level, left, fires) in
            [(100.0, 100.0, false), (100.0, 100.4, false), (100.0, 102.0, true), (0.0, 5.0, true), (0.0, 1e-12, false)]
        {
            let mut values = vec![level; 100];
            values[90] = left;
            let score = judge(&ChangePolicy::default(), &at(&values), Some(89))[0].score;
            assert!(score.is_finite() && score < 1_000.0, "{score}");
            assert_eq!(score >= 1.0, fires, "{level} {left} {score}");
            assert_eq!(!alerts(&values, &ChangePolicy::default()).is_empty(), fires);
        }
    }

    #[test]
    fn a_rare_count_is_nothing_new_the_second_time() {
        let mut values = vec![0.0; 400];
        for index in [150, 200, 250, 300, 350] {
            values[index] = 3.0;
        }
        values[390] = 30.0;
        let begun: Vec<Millis> =
            alerts(&values, &ChangePolicy::default()).iter().filter(|a| a.0 == News::Began).map(|a| a.1).collect();
        assert_eq!(begun, [150, 390]);
    }

    #[test]
    fn each_point_is_judged_from_the_same_points_however_they_are_cut() {
        let policy = ChangePolicy { max_n: 50, smooth_n: 3, last_n: 2, ..ChangePolicy::default() };
        let values: Vec<f64> = (0..200).map(|i| noise(i * i)).collect();
        let all = at(&values);
        let whole = judge(&policy, &all, Some(100));
        for (index, point) in whole.iter().enumerate() {
            let end = 101 + index;
            let cut = judge(&policy, &all[end - context(&policy)..=end], None);
            assert_eq!(cut.len(), 1);
            assert!((cut[0].score - point.score).abs() < 1e-12);
        }
        assert_eq!(judge(&policy, &all[..5], None), [], "too few points say nothing");
    }
}
