//! Series as disks and memory make them, judged each ten minutes with a horizon of a week.

use super::*;
use crate::forecast::{REACHED, ahead, context};
use crate::trend::{slope, without_jumps};

const STEP: u32 = 600_000;
const DAY: usize = 144;
const WEEK: usize = 7 * DAY;
/// A Monday at midnight UTC, as a column.
const MONDAY: i64 = 1_767_571_200_000 / STEP as i64;

/// Numbers between -1 and 1 that look like chance.
fn noise(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

fn upper(value: f64) -> Limit {
    Limit { value, side: Side::Above }
}

/// What is seen at the ends that are asked for; models are learned from all before a day's begin.
fn watch(values: &[f64], ends: impl Iterator<Item = usize>, limit: Limit) -> Vec<(usize, Ahead)> {
    let mut learned: Option<(usize, Option<Model>)> = None;
    let mut seen = Vec::new();
    for end in ends {
        let day = end / DAY * DAY;
        if learned.as_ref().is_none_or(|(at, _)| *at != day) {
            let from = day.saturating_sub(28 * DAY);
            learned = Some((day, Model::fit(&values[from..day], MONDAY + from as i64, STEP, WEEK)));
        }
        let Some((_, Some(model))) = &learned else { continue };
        let begin = (end + 1).saturating_sub(context(WEEK) + 1);
        seen.extend(ahead(model, &values[begin..=end], MONDAY + begin as i64, limit).map(|ahead| (end, ahead)));
    }
    seen
}

fn loudest(values: &[f64], from: usize, limit: f64) -> f64 {
    let seen = watch(values, (from..values.len()).step_by(3), upper(limit));
    assert!(seen.len() > (values.len() - from) / 6, "only {} points were judged", seen.len());
    seen.iter().map(|(_, ahead)| ahead.score).fold(0.0, f64::max)
}

#[test]
fn a_disk_that_fills_is_told_days_ahead_with_the_time_within_its_bounds() {
    let mut dice = noise(1);
    // 50 GB, a day of logs that are cleaned at night, and from day 14 on 10 GB a day more.
    let disk = |column: usize, dice: &mut dyn FnMut() -> f64| {
        let logs = 2.0 * (column % DAY) as f64 / DAY as f64;
        50.0 + logs + 10.0 * (column as f64 / DAY as f64 - 14.0).max(0.0) + 0.2 * dice()
    };
    let values: Vec<f64> = (0..19 * DAY).map(|column| disk(column, &mut dice)).collect();
    let crossed = values.iter().position(|value| *value >= 90.0).unwrap();
    let seen = watch(&values, 14 * DAY..crossed, upper(90.0));
    let (told, first) = seen.iter().find(|(_, ahead)| ahead.score >= 0.8).unwrap();
    let days = (crossed - told) as f64 / DAY as f64;
    assert!(days > 2.5, "told {days:.1} days ahead");
    assert!(first.earliest <= first.expected && first.expected <= first.latest);
    let mut within = 0;
    let told: Vec<_> = seen.iter().filter(|(_, ahead)| ahead.score >= 0.8).collect();
    for (end, ahead) in &told {
        let left = (crossed - end) as f64;
        within += usize::from(ahead.earliest <= left + 6.0 && left <= ahead.latest + 6.0);
    }
    assert!(10 * within >= 9 * told.len(), "{within} of {} times were within their bounds", told.len());
    // What was told goes on, and the nearer the limit the larger is the score.
    assert!(seen.iter().skip_while(|(_, a)| a.score < 0.8).all(|(_, a)| a.score >= 0.4));
    assert!(seen.last().unwrap().1.score > 0.95);
}

#[test]
fn what_falls_towards_a_lower_limit_is_the_same_upside_down() {
    let mut dice = noise(2);
    let values: Vec<f64> =
        (0..16 * DAY).map(|c| 0.5 - 0.05 * (c as f64 / DAY as f64 - 10.0).max(0.0) + 0.002 * dice()).collect();
    let upside_down: Vec<f64> = values.iter().map(|v| -v).collect();
    let lower = Limit { value: 0.1, side: Side::Below };
    let a = watch(&values, (10 * DAY..16 * DAY).step_by(5), lower);
    let b = watch(&upside_down, (10 * DAY..16 * DAY).step_by(5), upper(-0.1));
    assert!(a.iter().any(|(_, ahead)| ahead.score >= 0.8));
    for ((_, a), (_, b)) in a.iter().zip(&b) {
        assert!((a.score - b.score).abs() < 1e-9 && a.expected.to_bits() == b.expected.to_bits());
    }
}

#[test]
fn noise_swings_and_wandering_below_a_near_limit_are_quiet() {
    for seed in 1..=5 {
        let mut dice = noise(seed);
        let flat: Vec<f64> = (0..21 * DAY).map(|_| 80.0 + 3.0 * dice()).collect();
        assert!(loudest(&flat, 7 * DAY, 90.0) < 0.8, "noise {seed}");
        let swing: Vec<f64> = (0..21 * DAY)
            .map(|c| 60.0 + 25.0 * (c as f64 / DAY as f64 * std::f64::consts::TAU).sin() + 2.0 * dice())
            .collect();
        assert!(loudest(&swing, 7 * DAY, 90.0) < 0.8, "swing {seed}");
        let mut at = 0.0;
        let wander: Vec<f64> = (0..21 * DAY)
            .map(|_| {
                at = 0.99 * at + dice();
                70.0 + at
            })
            .collect();
        assert!(loudest(&wander, 7 * DAY, 90.0) < 0.8, "wandering {seed}");
    }
}

#[test]
fn what_is_always_cleaned_before_it_is_full_is_quiet() {
    let mut dice = noise(3);
    let mut level = 40.0;
    // It fills in two or three days, and is cleaned at 80: at no fixed hour.
    let values: Vec<f64> = (0..28 * DAY)
        .map(|_| {
            level += 0.11 + 0.05 * dice();
            if level > 80.0 + 3.0 * dice() {
                level = 40.0;
            }
            level
        })
        .collect();
    assert!(loudest(&values, 12 * DAY, 90.0) < 0.8);
}

#[test]
fn a_file_that_is_copied_is_a_jump_and_no_trend() {
    let mut dice = noise(4);
    let values: Vec<f64> = (0..16 * DAY)
        // Within an hour, 20 GB more.
        .map(|c| 50.0 + 20.0 * ((c as f64 - 12.0 * DAY as f64) / 6.0).clamp(0.0, 1.0) + 0.3 * dice())
        .collect();
    assert!(loudest(&values, 10 * DAY, 90.0) < 0.8);
}

#[test]
fn a_cleaning_does_not_hide_the_growth_that_goes_on() {
    let mut dice = noise(5);
    let values: Vec<f64> = (0..24 * DAY)
        .map(|c| {
            let cleaned = if c > 17 * DAY { 15.0 } else { 0.0 };
            40.0 + 2.0 * c as f64 / DAY as f64 - cleaned + 0.2 * dice()
        })
        .collect();
    // 2 a day, at 73 - 15 on day 17: 70 is reached six days later.
    let crossed = 17 * DAY + values[17 * DAY + 1..].iter().position(|value| *value >= 70.0).unwrap();
    let seen = watch(&values, 17 * DAY + 1..crossed, upper(70.0));
    let told = seen.iter().find(|(_, ahead)| ahead.score >= 0.8).unwrap();
    assert!(crossed - told.0 > 3 * DAY, "{} columns ahead", crossed - told.0);
}

#[test]
fn it_is_over_soon_after_the_growth_has_ended() {
    let mut dice = noise(6);
    let values: Vec<f64> =
        (0..22 * DAY).map(|c| 50.0 + 8.0 * (c as f64 / DAY as f64 - 14.0).clamp(0.0, 3.0) + 0.2 * dice()).collect();
    let seen = watch(&values, 14 * DAY..22 * DAY, upper(90.0));
    assert!(seen.iter().any(|(end, ahead)| *end < 17 * DAY && ahead.score >= 0.8));
    let last = seen.iter().filter(|(_, ahead)| ahead.score >= 0.4).map(|(end, _)| *end).max().unwrap();
    assert!(last < 18 * DAY, "loud until {:.1} days after", (last as f64 / DAY as f64) - 17.0);
}

#[test]
fn what_lies_over_the_limit_begins_no_alert_and_ends_none() {
    let mut dice = noise(7);
    let values: Vec<f64> = (0..10 * DAY).map(|c| if c > 9 * DAY { 95.0 } else { 80.0 } + dice()).collect();
    let seen = watch(&values, 9 * DAY + 10..10 * DAY, upper(90.0));
    assert!(seen.iter().all(|(_, ahead)| ahead.score == REACHED));
}

#[test]
fn what_is_missing_is_not_judged_and_gaps_change_little() {
    let mut dice = noise(8);
    let mut values: Vec<f64> = (0..14 * DAY).map(|c| 40.0 + 3.0 * c as f64 / DAY as f64 + 0.2 * dice()).collect();
    let end = 12 * DAY;
    let [(_, whole)] = &watch(&values, std::iter::once(end), upper(90.0))[..] else { panic!("not judged") };
    for column in (0..end).step_by(3) {
        values[column] = f64::NAN;
    }
    let [(_, holed)] = &watch(&values, std::iter::once(end + 1), upper(90.0))[..] else { panic!("not judged") };
    assert!((whole.expected - holed.expected).abs() < 0.1 * whole.expected);
    assert!(watch(&values, std::iter::once(12 * DAY - 144 + 144), upper(90.0)).len() <= 1);
    values[end] = f64::NAN;
    assert!(watch(&values, std::iter::once(end), upper(90.0)).is_empty());
}

#[test]
fn two_days_are_too_short_to_know_how_well_it_can_be_foreseen() {
    let values: Vec<f64> = (0..DAY / 4).map(|c| c as f64).collect();
    assert_eq!(Model::fit(&values, MONDAY, STEP, WEEK), None);
}

#[test]
fn a_model_is_read_as_it_was_written() {
    let mut dice = noise(9);
    let values: Vec<f64> = (0..10 * DAY).map(|c| (c % DAY) as f64 + dice()).collect();
    let model = Model::fit(&values, MONDAY, STEP, WEEK).unwrap();
    assert_eq!(model.season.profile.len(), DAY);
    let bytes = model.encode(STEP);
    let (step, read) = Model::decode(&bytes).unwrap();
    // The windows that are not known hold NaN, which is not equal to itself.
    assert_eq!((step, read.encode(STEP)), (STEP, bytes));
    assert!(Model::decode(&[1, 2, 3]).is_err());
}

#[test]
fn a_slope_takes_no_notice_of_a_quarter_that_is_wild() {
    let mut values: Vec<f64> = (0..200).map(|i| 0.5 * i as f64).collect();
    values[150..].iter_mut().for_each(|v| *v += 1e6);
    values[10] = f64::NAN;
    assert!((slope(&values[..150]).unwrap() - 0.5).abs() < 0.01);
    let calm = without_jumps(&values, 20);
    assert!((slope(&calm).unwrap() - 0.5).abs() < 0.02);
}

#[test]
fn a_configuration_has_one_limit() {
    let check = |text: &str| Capacity::check(&serde_json::from_str(text).unwrap()).len();
    assert_eq!(check(r#"{"upper": 1}"#), 0);
    assert_eq!(check(r#"{"lower": 1, "horizon": 3600}"#), 0);
    assert_eq!((check("{}"), check(r#"{"upper": 1, "lower": 0}"#)), (1, 1));
    let config: Config = serde_json::from_str(r#"{"upper": 1, "horizon": 3600}"#).unwrap();
    assert!(Capacity::plan(&config, 3_600_000).is_err());
    assert_eq!(Capacity::plan(&config, 60_000).unwrap().refit, 1440);
}
