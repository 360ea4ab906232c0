//! What a user may rely on, on series whose noise is a fixed sequence.

use signal::odds::Direction;
use signal::period::Period;

use crate::model::Model;
use crate::{Algorithm, Config, Judgement, Series, context, fit, judge, refit};

const MINUTE: u32 = 60_000;
const HOUR: u32 = 3_600_000;
const DAY: usize = 1_440;
/// A Monday at midnight, in minutes since the Unix epoch.
const MONDAY: i64 = 29_459_520;
const THRESHOLD: f64 = 0.7;
const ALGORITHMS: [Algorithm; 2] = [Algorithm::Median, Algorithm::HoltWinters];

/// SplitMix64, for numbers that look random and are always the same.
fn uniform(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

fn normal(seed: usize) -> f64 {
    (0..12).map(|k| uniform(seed as u64 * 12 + k)).sum::<f64>() - 6.0
}

/// Busy by day, and on weekends as busy as `weekend` says.
fn office(days: usize, weekend: f64) -> Vec<f64> {
    let value = |minute: usize| {
        let day = (minute as f64 / DAY as f64 * std::f64::consts::TAU - 2.0).sin();
        (if minute / DAY % 7 >= 5 { weekend } else { 1.0 }) * (60.0 + 40.0 * day)
    };
    (0..days * DAY).map(|minute| value(minute) + 2.0 * normal(minute)).collect()
}

fn config(algorithm: Algorithm) -> Config {
    Config { algorithm, ..Config::default() }
}

fn series(values: &[f64], from: usize) -> Series<'_> {
    Series { values, start: MONDAY + from as i64, step_ms: MINUTE }
}

/// Fits at the slots of the grid and scores from `first` on, as a host would.
fn replay(config: &Config, values: &[f64], first: usize) -> Vec<Judgement> {
    let slot = refit(MINUTE) as usize;
    let (mut model, mut judged) = (None, Vec::new());
    for at in (first..values.len()).step_by(slot) {
        model = fit::fit(config, series(&values[..at], 0), model);
        let (end, from) = ((at + slot).min(values.len()), at - context(config.algorithm, MINUTE) as usize);
        judged.extend(judge(config, model.as_ref().unwrap(), series(&values[from..end], from), end - at));
    }
    judged
}

fn alarms(config: &Config, values: &[f64], first: usize) -> Vec<usize> {
    let judged = replay(config, values, first);
    (first..).zip(judged).filter(|(_, judged)| judged.score >= THRESHOLD).map(|(minute, _)| minute).collect()
}

#[test]
fn days_are_ordinary_and_so_are_weekends_to_the_median() {
    assert_eq!(alarms(&config(Algorithm::Median), &office(14, 0.5), 3 * DAY), [0; 0]);
    assert_eq!(alarms(&config(Algorithm::HoltWinters), &office(14, 1.0), 3 * DAY), [0; 0]);
}

#[test]
fn a_value_at_the_wrong_time_is_found() {
    for algorithm in ALGORITHMS {
        let mut values = office(10, 1.0);
        let noon = 9 * DAY + 720;
        values[noon..noon + 10].iter_mut().for_each(|value| *value *= 0.4);
        let found = alarms(&config(algorithm), &values, 7 * DAY);
        assert_eq!(found.first(), Some(&noon), "{algorithm:?}: {found:?}");
    }
}

#[test]
fn the_same_points_give_equal_bits_however_the_calls_are_cut_and_however_old_the_model_is() {
    let mut values = office(7, 1.0);
    values[5 * DAY + 100..5 * DAY + 130].fill(f64::NAN);
    values[5 * DAY + 300] = 500.0;
    for (algorithm, season) in
        [(ALGORITHMS[0], Period::Auto), (ALGORITHMS[0], Period::None), (ALGORITHMS[1], Period::Auto)]
    {
        let config = Config { season, ..config(algorithm) };
        let model = fit::fit(&config, series(&values[..5 * DAY], 0), None).unwrap();
        let model = Model::decode(&model.encode()).unwrap();
        let end = values.len();
        let cut = |lengths: &[usize]| {
            let (mut next, mut bits) = (5 * DAY, Vec::new());
            for length in lengths.iter().cycle() {
                if next == end {
                    break;
                }
                let (to, from) = ((next + length).min(end), next - context(algorithm, MINUTE) as usize);
                for judged in judge(&config, &model, series(&values[from..to], from), to - next) {
                    bits.extend([judged.score, judged.expected, judged.lower, judged.upper].map(f64::to_bits));
                }
                next = to;
            }
            bits
        };
        assert!(cut(&[1_440]) == cut(&[331, 997, 64]), "{algorithm:?}");
    }
}

#[test]
fn hours_of_weeks_have_their_week() {
    let hour = |hour: usize| {
        let busy = (9..17).contains(&(hour % 24)) && hour / 24 % 7 != 4;
        (if busy { 100.0 } else { 10.0 }) + normal(hour)
    };
    let mut values: Vec<f64> = (0..5 * 168).map(hour).collect();
    // A busy Friday, as others are quiet.
    values.extend(
        (5 * 168..6 * 168).map(|at| if at / 24 % 7 == 4 && (9..17).contains(&(at % 24)) { 100.0 } else { hour(at) }),
    );
    let at = |range: std::ops::Range<usize>| Series {
        values: &values[range.clone()],
        start: MONDAY / 60 + range.start as i64,
        step_ms: HOUR,
    };
    let config = Config { season: Period::Seconds(604_800), ..Config::default() };
    let model = fit::fit(&config, at(0..5 * 168), None).unwrap();
    let judged = judge(&config, &model, at(5 * 168 - 64..6 * 168), 168);
    let odd: Vec<usize> = (0..168).filter(|&hour| judged[hour].score >= THRESHOLD).collect();
    assert_eq!(odd, (4 * 24 + 9..4 * 24 + 17).collect::<Vec<_>>());
}

#[test]
fn without_a_season_a_jump_is_found_and_a_gap_has_no_score() {
    let mut values: Vec<f64> = (0..3 * DAY).map(|minute| 50.0 + 3.0 * normal(minute)).collect();
    values[2 * DAY + 100] = 110.0;
    values[2 * DAY + 200..2 * DAY + 230].fill(f64::NAN);
    for algorithm in ALGORITHMS {
        let judged = replay(&config(algorithm), &values, 2 * DAY);
        assert!(judged[100].score >= THRESHOLD, "{algorithm:?} {:?}", judged[100]);
        assert_eq!(judged.iter().filter(|judged| judged.score.is_nan()).count(), 30);
        assert_eq!(judged.iter().filter(|judged| judged.score >= THRESHOLD).count(), 1, "{algorithm:?}");
    }
}

#[test]
fn the_band_holds_the_ordinary_and_follows_the_day() {
    for algorithm in ALGORITHMS {
        let values = office(10, 1.0);
        let judged = replay(&config(algorithm), &values, 9 * DAY);
        let inside = judged.iter().zip(&values[9 * DAY..]).filter(|(j, v)| (j.lower..=j.upper).contains(*v)).count();
        assert!(inside as f64 > 0.99 * judged.len() as f64, "{algorithm:?}");
        assert!(judged[60].upper < judged[860].lower, "{algorithm:?} {:?} {:?}", judged[60], judged[860]);
        assert!(judged[860].upper - judged[860].lower < 40.0, "{algorithm:?} {:?}", judged[860]);
    }
}

#[test]
fn a_direction_silences_the_other() {
    let mut values = office(10, 1.0);
    values[9 * DAY + 700] = 400.0;
    let score = |direction| replay(&Config { direction, ..Config::default() }, &values, 9 * DAY)[700].score;
    assert!(score(Direction::Above) >= THRESHOLD);
    assert_eq!(score(Direction::Below), 0.0);
}

#[test]
fn holt_winters_keeps_a_season_and_no_more() {
    let bytes = |algorithm| fit::fit(&config(algorithm), series(&office(10, 1.0), 0), None).unwrap().encode().len();
    assert!(bytes(Algorithm::HoltWinters) < 6_200, "{}", bytes(Algorithm::HoltWinters));
    assert!(bytes(Algorithm::Median) < 60_000, "{}", bytes(Algorithm::Median));
}
