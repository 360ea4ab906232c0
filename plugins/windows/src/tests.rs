//! What a user of the detectors could say of them.

use std::ops::Range;

use super::*;

/// -1 to 1, the same for the same `i`.
pub fn noise(i: usize) -> f64 {
    let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// A wave with some noise, which is nothing but noise in a span.
pub fn history(columns: usize, broken: Range<usize>) -> Vec<f64> {
    let wave = |i: usize| 10.0 + 3.0 * (i as f64 / 8.0).sin() + 0.2 * noise(i);
    let lost = |i: usize| 10.0 + 3.0 * noise(i);
    (0..columns).map(|i| if broken.contains(&i) { lost(i) } else { wave(i) }).collect()
}

fn row(values: &[f64]) -> Row<'_> {
    Row { values, start: 6_000_000, step: 60_000 }
}

fn of(algorithm: Algorithm) -> Config {
    Config { algorithm, ..Config::default() }
}

fn scores(config: &Config, values: &[f64]) -> Vec<f64> {
    let model = Windows::fit(config, row(values), &[]).unwrap();
    Windows::score(config, &model, row(values), values.len()).unwrap().scores
}

fn top(scores: &[f64]) -> usize {
    (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
}

#[test]
fn a_broken_shape_scores_highest_and_passes_the_default_threshold() {
    for (algorithm, broken) in Algorithm::ALL.into_iter().flat_map(|a| [(a, 1_500..1_510), (a, 2_700..2_850)]) {
        let found = scores(&of(algorithm), &history(6_000, broken.clone()));
        let top = top(&found);
        assert!(broken.contains(&top), "{algorithm:?}: {top} and not {broken:?}");
        let far = (0..6_000).filter(|i| *i + 300 < broken.start || *i > broken.end + 300);
        let other = far.max_by(|a, b| found[*a].total_cmp(&found[*b])).unwrap();
        let (best, ordinary) = (found[top], found[other]);
        assert!(best > 0.8 && ordinary < 0.8, "{algorithm:?}: {best} at {top} and {ordinary} at {other}");
    }
}

#[test]
fn units_and_level_of_a_metric_change_nothing() {
    let values = history(2_000, 900..930);
    let scaled: Vec<f64> = values.iter().map(|v| v * 1_024.0 - 7_000.0).collect();
    let upside_down: Vec<f64> = values.iter().map(|v| -v).collect();
    for algorithm in Algorithm::ALL {
        let found = scores(&of(algorithm), &values);
        for other in [&scaled, &upside_down] {
            let other = scores(&of(algorithm), other);
            let worst = found.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 0.02, "{algorithm:?}: {worst}");
        }
    }
}

#[test]
fn when_it_happens_changes_little() {
    let shifted: Vec<f64> = history(2_400, 1_300..1_330)[400..].to_vec();
    for algorithm in Algorithm::ALL {
        let found = scores(&of(algorithm), &shifted);
        assert!((900..930).contains(&top(&found)), "{algorithm:?}");
    }
}

#[test]
fn a_column_of_the_history_has_the_score_that_the_fit_gave_whatever_is_passed() {
    let values = history(1_000, 400..420);
    for algorithm in Algorithm::ALL {
        let config = of(algorithm);
        let model = Windows::fit(&config, row(&values), &[]).unwrap();
        assert_eq!(model, Windows::fit(&config, row(&values), &[]).unwrap(), "{algorithm:?}: the same, bit for bit");
        let whole = Windows::score(&config, &model, row(&values), 1_000).unwrap().scores;
        let part = Row { values: &[0.0; 30], start: 6_000_000 + 395 * 60_000, step: 60_000 };
        let part = Windows::score(&config, &model, part, 20).unwrap().scores;
        assert_eq!(part, whole[405..425]);
    }
}

#[test]
fn columns_after_the_history_are_judged_from_their_context_alone() {
    let values = history(2_600, 2_300..2_330);
    for algorithm in Algorithm::ALL {
        let config = of(algorithm);
        let model = Windows::fit(&config, row(&values[..2_000]), &[]).unwrap();
        let after = |from: usize, to: usize, tail| {
            let recent = Row { values: &values[from..to], start: 6_000_000 + from as i64 * 60_000, step: 60_000 };
            Windows::score(&config, &model, recent, tail).unwrap().scores
        };
        let whole = after(1_872, 2_600, 600);
        assert!((2_300..2_340).contains(&(2_000 + top(&whole))), "{algorithm:?}: {}", top(&whole));
        for column in [2_000, 2_127, 2_310, 2_599] {
            let one = after(column - 128, column + 1, 1);
            assert_eq!(one[0].to_bits(), whole[column - 2_000].to_bits(), "{algorithm:?} {column}");
        }
        let high = whole[..290].iter().filter(|score| **score >= 0.8).count();
        assert!(high <= 3, "{algorithm:?}: {high} ordinary columns score high");
    }
}

#[test]
fn gaps_have_no_score_and_do_not_score_their_neighbours_high() {
    let mut values = history(2_000, 0..0);
    values[..50].fill(f64::NAN);
    values[500..620].fill(f64::NAN);
    values.iter_mut().skip(1_000).step_by(9).for_each(|v| *v = f64::NAN);
    for algorithm in Algorithm::ALL {
        let found = scores(&of(algorithm), &values);
        for (column, (score, value)) in found.iter().zip(&values).enumerate() {
            assert_eq!(score.is_nan(), value.is_nan(), "{algorithm:?} {column}");
        }
    }
}

#[test]
fn any_series_gets_scores_between_0_and_1() {
    let shapes: [fn(f64) -> f64; 8] = [
        |i| i * 0.1,
        |_| 7.5,
        |i| if i == 200.0 { 1e300 } else { 0.0 },
        |i| i * 1e-300,
        |i| f64::from(i as u32 % 2),
        |i| if i > 250.0 { f64::MAX } else { f64::MIN },
        |i| if i == 300.0 { 1.0 } else { 0.0 },
        |i| noise(i as usize),
    ];
    for (algorithm, shape) in Algorithm::ALL.into_iter().flat_map(|a| shapes.map(|shape| (a, shape))) {
        let values: Vec<f64> = (0..500).map(|i| shape(f64::from(i))).collect();
        let config = of(algorithm);
        let model = Windows::fit(&config, row(&values[..400]), &[]).unwrap();
        let found = Windows::score(&config, &model, row(&values), 500).unwrap().scores;
        assert!(found.iter().all(|score| (0.0..=1.0).contains(score)), "{algorithm:?}: {found:?}");
    }
}

#[test]
fn a_short_series_is_warming_and_a_model_of_another_step_is_not_read() {
    let values = history(500, 0..0);
    let config = Config::default();
    for columns in [0, 1, 63] {
        assert!(matches!(Windows::fit(&config, row(&values[..columns]), &[]), Err(Cause::Warming)), "{columns}");
    }
    assert!(matches!(Windows::fit(&config, row(&[f64::NAN; 500]), &[]), Err(Cause::Warming)));
    assert!(matches!(Windows::score(&config, &[], row(&values), 1), Err(Cause::Warming)));
    let model = Windows::fit(&config, row(&values), &[]).unwrap();
    let other = Row { step: 1_000, ..row(&values) };
    assert!(matches!(Windows::score(&config, &model, other, 1), Err(Cause::Failed(_))));
}

#[test]
fn the_largest_models_fit_into_what_the_host_takes() {
    let values: Vec<f64> = (0..HISTORY as usize).map(noise).collect();
    for algorithm in [Algorithm::PcaWin, Algorithm::KmeansWin] {
        let config = Config { windows: vec![256, 255], variance: Some(0.99), clusters: Some(100), ..of(algorithm) };
        // As long as a history gets, and of noise: nothing can be left out of the subspace.
        let (_, live) = judge(&config, &values[..20_000]).unwrap();
        let bytes = model::encode(Span { start: 0, step: 1 }, &values, &live).len();
        assert!(bytes <= 1 << 20, "{algorithm:?}: {bytes}");
    }
}
