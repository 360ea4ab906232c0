//! What a user may rely on, on series whose noise is a fixed sequence.

use crate::ensemble::{Ensemble, Judgement, Series, refit};
use crate::member::CONTEXT;
use crate::model::Model;
use signal::odds::Direction;

const MINUTE: u32 = 60_000;
const DAY: usize = 1440;
/// A Monday at midnight, in minutes since the Unix epoch.
const MONDAY: i64 = 29_459_520;
const THRESHOLD: f64 = 0.8;

/// SplitMix64, for numbers that look random and are always the same.
fn uniform(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

fn normal(seed: u64) -> f64 {
    (0..12).map(|k| uniform(seed * 12 + k)).sum::<f64>() - 6.0
}

fn minutes(count: usize, value: impl Fn(usize) -> f64) -> Vec<f64> {
    (0..count).map(value).collect()
}

/// Busy by day, noisy, and half as busy on Saturdays and Sundays.
fn office(minute: usize) -> f64 {
    let day = (minute as f64 / DAY as f64 * std::f64::consts::TAU - 2.0).sin();
    let weekend = if minute / DAY % 7 >= 5 { 0.5 } else { 1.0 };
    weekend * (60.0 + 40.0 * day) + 2.0 * normal(minute as u64)
}

fn series(values: &[f64], start: usize) -> Series<'_> {
    Series { values, start: MONDAY + start as i64, step_ms: MINUTE }
}

/// Fits at the slots of the grid and scores from `first` on, as a host would.
fn replay(ensemble: &Ensemble, values: &[f64], first: usize) -> Vec<Judgement> {
    let slot = refit(MINUTE) as usize;
    let (mut model, mut judged, mut next) = (None::<Model>, Vec::new(), first);
    while next < values.len() {
        let learned = next / slot * slot;
        model = ensemble.fit(series(&values[..learned], 0), model);
        let end = (learned + slot).min(values.len());
        let from = next.saturating_sub(CONTEXT as usize);
        judged.extend(ensemble.score(model.as_ref().unwrap(), series(&values[from..end], from), end - next));
        next = end;
    }
    judged
}

/// Minutes from `first` on that score as much as the default threshold.
fn alarms(values: &[f64], first: usize) -> Vec<usize> {
    let judged = replay(&Ensemble::default(), values, first);
    (first..).zip(judged).filter(|(_, j)| j.score >= THRESHOLD).map(|(minute, _)| minute).collect()
}

#[test]
fn the_same_points_give_equal_bits_however_the_calls_are_cut() {
    let mut values = minutes(5 * DAY, office);
    values[4 * DAY + 100..4 * DAY + 130].fill(f64::NAN);
    values[4 * DAY + 200] = f64::NAN;
    values[4 * DAY + 300] = 500.0;
    for season_ms in [None, Some(None)] {
        let ensemble = Ensemble { season_ms, ..Ensemble::default() };
        let model = ensemble.fit(series(&values[..4 * DAY], 0), None).unwrap();
        let bytes = model.encode();
        let model = Model::decode(&bytes[..Model::head_bytes(&bytes)]).unwrap();
        let bits = |judged: Vec<Judgement>| -> Vec<u64> {
            let numbers = |j: Judgement| {
                let votes = j.votes.map(f64::from).into_iter();
                [j.score, j.expected, j.lower, j.upper].into_iter().chain(votes).collect::<Vec<_>>()
            };
            judged.into_iter().flat_map(numbers).map(f64::to_bits).collect()
        };
        let cut = |lengths: &[usize]| {
            let (mut next, mut all) = (4 * DAY, Vec::new());
            for length in lengths.iter().cycle() {
                if next == 4 * DAY + 360 {
                    return bits(all);
                }
                let end = (next + length).min(4 * DAY + 360);
                let from = next - CONTEXT as usize;
                all.extend(ensemble.score(&model, series(&values[from..end], from), end - next));
                next = end;
            }
            unreachable!("the lengths repeat")
        };
        let whole = cut(&[360]);
        assert_eq!(cut(&[1]), whole);
        assert_eq!(cut(&[7, 100, 64, 1]), whole);
    }
}

#[test]
fn too_little_is_not_judged_and_a_young_series_never_alarms() {
    assert!(Ensemble::default().fit(series(&minutes(59, office), 0), None).is_none());
    let values = minutes(DAY, office);
    assert_eq!(alarms(&values, 360), [0; 0]);
}

#[test]
fn days_and_a_second_weekend_are_ordinary() {
    let values = minutes(14 * DAY, office);
    assert_eq!(alarms(&values, 7 * DAY), [0; 0]);
}

#[test]
fn the_sharp_edges_of_every_day_are_ordinary() {
    let job = |minute: usize| if (360..380).contains(&(minute % DAY)) { 300.0 } else { 0.0 };
    let values = minutes(10 * DAY, |m| 50.0 + job(m) + 3.0 * normal(m as u64));
    assert_eq!(alarms(&values, 7 * DAY), [0; 0]);
}

#[test]
fn a_level_that_is_ordinary_at_another_time_is_found_at_this_one() {
    let mut values = minutes(10 * DAY, office);
    let noon = 9 * DAY + 720;
    // As by night: an outage of one of two.
    values[noon..noon + 40].iter_mut().for_each(|v| *v *= 0.5);
    let found = alarms(&values, 7 * DAY);
    assert!((noon..noon + 10).contains(&found[0]), "{found:?}");
}

#[test]
fn spikes_and_stops_are_found_at_once() {
    for (change, extreme) in [(0, 400.0), (1, 0.0)] {
        let mut values = minutes(10 * DAY, office);
        let at = 9 * DAY + 700;
        values[at..at + 3].fill(extreme);
        let found = alarms(&values, 7 * DAY);
        assert!((at..at + 2).contains(&found[0]), "{change}: {found:?}");
    }
}

#[test]
fn a_flat_series_alarms_when_it_moves_and_not_before() {
    let mut values = vec![4.0; 4 * DAY];
    values[3 * DAY + 50..].fill(3.0);
    let found = alarms(&values, 2 * DAY);
    assert_eq!(found[0], 3 * DAY + 50);
}

#[test]
fn counts_that_are_mostly_nothing_are_ordinary() {
    let counts = |seed: u64| minutes(10 * DAY, |m| if uniform(seed + m as u64) < 0.01 { 1.0 } else { 0.0 });
    // Several at once happen by chance: less than 0.03 times in a series' day.
    let series = 25;
    let found: usize = (0..series).map(|n| alarms(&counts(n * 1_000_000), 7 * DAY).len()).sum();
    assert!((found as f64) < 0.03 * 3.0 * series as f64, "{found}");
    let mut burst = counts(0);
    burst[9 * DAY..9 * DAY + 20].fill(5.0);
    assert!((9 * DAY..9 * DAY + 20).contains(&alarms(&burst, 7 * DAY)[0]));
}

#[test]
fn heavy_tails_are_ordinary_where_they_are_usual() {
    let values = minutes(10 * DAY, |m| {
        let spike = if uniform(900_000 + m as u64) < 0.005 { 3.0 } else { 1.0 };
        20.0 * spike * (0.4 * normal(m as u64)).exp()
    });
    assert!(alarms(&values, 7 * DAY).len() <= 1);
}

#[test]
fn gaps_have_no_score_and_their_ends_no_alarm() {
    let mut values = minutes(10 * DAY, office);
    values[3 * DAY..3 * DAY + 400].fill(f64::NAN);
    values[8 * DAY..8 * DAY + 90].fill(f64::NAN);
    (7 * DAY..9 * DAY).step_by(37).for_each(|m| values[m] = f64::NAN);
    let judged = replay(&Ensemble::default(), &values, 7 * DAY);
    for (value, judgement) in values[7 * DAY..].iter().zip(&judged) {
        assert_eq!(value.is_nan(), judgement.score.is_nan());
    }
    assert_eq!(alarms(&values, 7 * DAY), [0; 0]);
}

#[test]
fn a_long_outage_on_a_coarse_grid_is_not_followed_by_an_alarm() {
    const STEP: u32 = 5 * MINUTE;
    const DAY: usize = 288;
    // It wanders, so that after three days it is elsewhere than the days before say.
    let level = |i: usize| {
        60.0 + 12.0 * (i as f64 / 1_700.0).sin() + 30.0 * (i as f64 / DAY as f64 * std::f64::consts::TAU).sin()
    };
    let mut values = minutes(16 * DAY, |i| level(i) + 2.0 * normal(i as u64));
    values[10 * DAY..13 * DAY].fill(f64::NAN);
    let of = |range: std::ops::Range<usize>| Series {
        start: MONDAY / 5 + range.start as i64,
        values: &values[range],
        step_ms: STEP,
    };
    let (slot, mut model, mut next) = (refit(STEP) as usize, None, 8 * DAY);
    while next < values.len() {
        model = Ensemble::default().fit(of(0..next), model);
        let end = (next + slot).min(values.len());
        let context = next.saturating_sub(CONTEXT as usize);
        for (at, judged) in
            (next..).zip(Ensemble::default().score(model.as_ref().unwrap(), of(context..end), end - next))
        {
            assert!(judged.score.is_nan() || judged.score < THRESHOLD, "{} at {at}: {:?}", judged.score, judged.votes);
        }
        next = end;
    }
}

#[test]
fn a_season_is_given_up_after_three_other_answers_however_far_the_values_go() {
    let ensemble = Ensemble::default();
    let mut model = ensemble.fit(series(&minutes(5 * DAY, office), 0), None);
    let mut seasons = Vec::new();
    for day in 1..4 {
        // Ten times as far as anything before.
        let values = minutes(5 * DAY, |m| 1_000.0 * normal((day * DAY + m) as u64));
        model = ensemble.fit(series(&values, day * DAY), model);
        seasons.push(model.as_ref().unwrap().head.season);
    }
    assert_eq!(seasons, [Some(DAY), Some(DAY), None]);
}

#[test]
fn the_band_holds_the_ordinary_and_follows_the_day() {
    let values = minutes(10 * DAY, office);
    let judged = replay(&Ensemble::default(), &values, 9 * DAY);
    let inside = judged.iter().zip(&values[9 * DAY..]).filter(|(j, v)| (j.lower..=j.upper).contains(*v)).count();
    assert!(inside as f64 > 0.99 * judged.len() as f64);
    let (night, noon) = (&judged[60], &judged[860]);
    assert!(night.upper < noon.lower, "{night:?} {noon:?}");
}

#[test]
fn a_direction_silences_the_other() {
    let mut values = minutes(10 * DAY, office);
    let at = 9 * DAY + 700;
    values[at..at + 40].iter_mut().for_each(|v| *v *= 0.5);
    let most = |direction| {
        let ensemble = Ensemble { direction, ..Ensemble::default() };
        replay(&ensemble, &values[..at + 40], 9 * DAY)[700..].iter().map(|j| j.score).fold(0.0, f64::max)
    };
    assert!(most(Direction::Below) >= THRESHOLD);
    assert!(most(Direction::Above) < THRESHOLD);
}

#[test]
fn a_model_stays_below_a_hundred_kilobytes() {
    let values = minutes(28 * DAY, office);
    let ensemble = Ensemble::default();
    let mut model = None;
    for days in 20..28 {
        model = ensemble.fit(series(&values[..days * DAY], 0), model);
    }
    assert!(model.unwrap().encode().len() <= 100_000);
}

#[test]
fn what_came_back_on_one_bad_day_is_told_when_it_comes_again() {
    // Three incidents of one day, nine hours apart, none like the other; another one five days later.
    let mut values = minutes(12 * DAY, office);
    let mut befall = |at: usize, seed: u64| {
        values[at..at + 30].iter_mut().enumerate().for_each(|(i, v)| *v += 40.0 * normal(seed + i as u64));
    };
    [0, 540, 1080].into_iter().for_each(|minute| befall(6 * DAY + 60 + minute, 1_000 * minute as u64 + 7));
    let again = 11 * DAY + 300;
    befall(again, 9_000_007);
    let found = alarms(&values, 10 * DAY);
    assert!(found.first().is_some_and(|at| (again..again + 30).contains(at)), "{found:?}");
}
