//! What a user may rely on, on series whose noise is a fixed sequence.

#[path = "../examples/light-native/generated.rs"]
mod generated;

use generated::{DAY, INCIDENTS, KINDS, MONDAY};

use signal::odds::Direction;
use signal::period::Period;

use crate::columns::{CONTEXT, Columns};
use crate::judge::{Judgement, judge};
use crate::model::{BYTES, Model};
use crate::{HISTORY, LEAST, Series, fit, refit};

const MINUTE: u32 = 60_000;
const THRESHOLD: f64 = 0.7;
/// Rows after an alarm in which there is no other.
const SNOOZE: usize = 80;

fn series(values: &[f64], from: usize) -> Series<'_> {
    Series { values, start: MONDAY + from as i64, step_ms: MINUTE }
}

/// Fits at the slots of the grid and scores each minute with the newest model, as a host would.
fn replay(values: &[f64], direction: Direction) -> Vec<Judgement> {
    let slot = refit(MINUTE) as usize;
    let (mut bytes, mut judged, mut columns) = (Vec::new(), Vec::new(), Columns::default());
    for at in (slot..values.len()).step_by(slot) {
        let from = at.saturating_sub(HISTORY as usize);
        bytes = fit::fit(Period::Auto, series(&values[from..at], from), Model::decode(&bytes)).unwrap().encode();
        assert!(bytes.len() <= 1_024, "a model takes {} bytes", bytes.len());
        let (model, from) = (Model::decode(&bytes).unwrap(), at - CONTEXT + 1);
        let end = (at + slot).min(values.len());
        judged.extend(judge(&model, direction, series(&values[from..end], from), end - at, &mut columns));
    }
    judged
}

/// The minutes at which an alarm begins.
fn alarms(values: &[f64]) -> Vec<usize> {
    let mut begun: Vec<usize> = Vec::new();
    for (minute, judged) in (refit(MINUTE) as usize..).zip(replay(values, Direction::Both)) {
        if judged.score >= THRESHOLD && begun.last().is_none_or(|last| minute - last >= SNOOZE) {
            begun.push(minute);
        }
    }
    begun
}

/// Busy by day, and half as busy on Saturdays and Sundays.
fn office(days: usize) -> Vec<f64> {
    let mut random = generated::Random(7);
    let value = |minute: usize| {
        let day = (minute as f64 / DAY as f64 * std::f64::consts::TAU - 2.0).sin();
        let weekend = if minute / DAY % 7 >= 5 { 0.5 } else { 1.0 };
        weekend * (60.0 + 40.0 * day)
    };
    (0..days * DAY).map(|minute| value(minute) + 2.0 * random.normal()).collect()
}

#[test]
fn nothing_is_found_in_two_weeks_in_which_nothing_happens() {
    let mut begun = 0;
    for (kind, name) in KINDS.iter().enumerate() {
        for seed in [11, 12] {
            let alarms = alarms(&generated::series(kind, seed, 0..0));
            assert!(alarms.len() <= 1, "{name} {seed}: {alarms:?}");
            begun += alarms.len();
        }
    }
    // 12 series of 14 days, and 0.05 alarms a day.
    assert!(begun <= 8, "{begun}");
}

#[test]
fn plain_incidents_are_found() {
    let (mut laid, mut missed) = (0, Vec::new());
    for (kind, name) in KINDS.iter().enumerate() {
        for (which, incident) in INCIDENTS.iter().enumerate() {
            let Some((values, span)) = generated::incident(kind, 11, which) else { continue };
            laid += 1;
            if !alarms(&values).iter().any(|minute| (span.start..span.end + 5).contains(minute)) {
                missed.push(format!("{incident} in {name}"));
            }
        }
    }
    assert!(missed.len() * 5 <= laid, "{missed:?} of {laid}");
}

#[test]
fn the_same_points_give_equal_bits_however_the_calls_are_cut() {
    let mut values = office(6);
    values[5 * DAY + 100..5 * DAY + 130].fill(f64::NAN);
    values[5 * DAY + 200] = f64::NAN;
    values[5 * DAY + 300] = 500.0;
    for period in [Period::Auto, Period::None] {
        let model = fit::fit(period, series(&values[..5 * DAY], 0), None).unwrap();
        let model = Model::decode(&model.encode()).unwrap();
        let cut = |lengths: &[usize]| {
            let (mut next, mut bits, mut columns) = (5 * DAY, Vec::new(), Columns::default());
            for length in lengths.iter().cycle() {
                if next == 5 * DAY + 360 {
                    break;
                }
                let (end, from) = ((next + length).min(5 * DAY + 360), next - CONTEXT + 1);
                for judged in judge(&model, Direction::Both, series(&values[from..end], from), end - next, &mut columns)
                {
                    let votes = judged.votes.map(f64::from);
                    bits.extend([judged.score, judged.expected, judged.lower, judged.upper].map(f64::to_bits));
                    bits.extend(votes.map(f64::to_bits));
                }
                next = end;
            }
            bits
        };
        let whole = cut(&[360]);
        assert_eq!(cut(&[1]), whole);
        assert_eq!(cut(&[7, 100, 64, 1]), whole);
    }
}

#[test]
fn a_row_without_its_context_is_judged_by_what_it_has() {
    let values = office(6);
    let model = fit::fit(Period::Auto, series(&values[..4 * DAY], 0), None).unwrap();
    let mut columns = Columns::default();
    for length in [1, 3, 8, 30] {
        let row = series(&values[4 * DAY..4 * DAY + length], 4 * DAY);
        let judged: Vec<_> = judge(&model, Direction::Both, row, length, &mut columns).collect();
        assert_eq!(judged.len(), length);
        let [value, _, _, drift, _, shape] = judged[length - 1].votes;
        assert!(value.is_finite() && drift.is_nan() && shape.is_nan(), "{:?}", judged[length - 1]);
    }
}

#[test]
fn a_model_is_what_later_calls_will_read() {
    let values = office(8);
    let model = fit::fit(Period::Auto, series(&values, 0), None).unwrap();
    assert_eq!(model.encode().len(), BYTES);
    assert_eq!(Model::decode(&model.encode()).unwrap(), model);
}

#[test]
fn a_level_that_is_ordinary_at_another_time_is_found_at_this_one() {
    let mut values = office(10);
    let noon = 9 * DAY + 720;
    // As by night: an outage of one of two.
    values[noon..noon + 40].iter_mut().for_each(|value| *value *= 0.5);
    let found = alarms(&values);
    assert!(found.iter().all(|minute| (noon..noon + 90).contains(minute)), "{found:?}");
    assert!(found.first().is_some_and(|minute| *minute < noon + 10), "{found:?}");
}

#[test]
fn the_edges_of_a_daily_job_are_ordinary_and_a_spike_elsewhere_is_not() {
    let mut random = generated::Random(3);
    let job = |minute: usize| if (360..380).contains(&(minute % DAY)) { 300.0 } else { 0.0 };
    let mut values: Vec<f64> = (0..10 * DAY).map(|minute| 50.0 + job(minute) + 3.0 * random.normal()).collect();
    let before = alarms(&values);
    assert!(before.iter().all(|minute| *minute < 5 * DAY), "{before:?}");
    values[9 * DAY + 900..9 * DAY + 904].fill(200.0);
    let found = alarms(&values);
    assert!(found.iter().any(|minute| (9 * DAY + 900..9 * DAY + 903).contains(minute)), "{found:?}");
}

#[test]
fn a_flat_series_alarms_when_it_moves_and_not_before() {
    let mut values = vec![4.0; 4 * DAY];
    values[3 * DAY + 50..].fill(3.0);
    assert_eq!(alarms(&values).first(), Some(&(3 * DAY + 50)));
}

#[test]
fn gaps_have_no_score_and_their_ends_no_alarm() {
    let mut values = office(10);
    values[3 * DAY..3 * DAY + 400].fill(f64::NAN);
    values[8 * DAY..8 * DAY + 90].fill(f64::NAN);
    (7 * DAY..9 * DAY).step_by(37).for_each(|minute| values[minute] = f64::NAN);
    let judged = replay(&values, Direction::Both);
    for (value, judged) in values[refit(MINUTE) as usize..].iter().zip(&judged) {
        assert_eq!(value.is_nan(), judged.score.is_nan());
    }
    assert_eq!(alarms(&values), [0; 0]);
}

#[test]
fn the_band_holds_the_ordinary_and_follows_the_day() {
    let values = office(10);
    let judged = replay(&values, Direction::Both).split_off(9 * DAY - refit(MINUTE) as usize);
    let inside = judged.iter().zip(&values[9 * DAY..]).filter(|(j, v)| (j.lower..=j.upper).contains(*v)).count();
    assert!(inside as f64 > 0.99 * judged.len() as f64);
    assert!(judged[60].upper < judged[860].lower, "{:?} {:?}", judged[60], judged[860]);
}

#[test]
fn a_direction_silences_the_other() {
    let mut values = office(10);
    let at = 9 * DAY + 700;
    values[at..at + 40].iter_mut().for_each(|value| *value *= 0.5);
    let most = |direction| {
        let judged = replay(&values[..at + 40], direction);
        judged[at - refit(MINUTE) as usize..].iter().map(|judged| judged.score).fold(0.0, f64::max)
    };
    assert!(most(Direction::Below) >= THRESHOLD);
    assert!(most(Direction::Above) < THRESHOLD);
}

#[test]
fn too_little_is_not_learned() {
    assert!(fit::fit(Period::Auto, series(&vec![1.0; LEAST - 1], 0), None).is_none());
}
