//! The training scores are PyOD's: on the generated tables all of them, on ADBench's sets a few,
//! their sum and their range. That the component says the same of new rows, and that what has a
//! seed finds as much as PyOD does, is seen through the host: `host/tests/tabular.rs`.

#[path = "../../../tests/parity/adbench.rs"]
#[allow(dead_code, reason = "the host's test uses the rest")]
mod adbench;

use adbench::{Said, TOLERANCE, cases, new_rows, seen, sets, worst};
use tabular::table::Table;
use tabular::{Algorithm, Config, fit};

/// The largest distance to a score of PyOD's.
fn distance(detector: &str, rows: &[Vec<f64>], said: &Said) -> f64 {
    let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == detector).unwrap();
    let rows = seen(detector, rows);
    let values = rows.concat();
    let (learnt, scores) = fit(&Config::of(algorithm), Table::new(&values, rows[0].len())).unwrap();
    let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
    let trained = worst(said.index.iter().map(|index| scores[*index]), &some(&said.score));
    let new = worst(new_rows(&rows).iter().map(|row| learnt.score(row)), &said.new);
    let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = worst([least, largest], &some(said.range.as_ref().map_or(&[], |range| range)));
    let sum = worst([scores.iter().sum()], &[said.sum]);
    trained.max(new).max(range).max(sum)
}

#[test]
fn every_score_of_a_generated_table_is_pyods() {
    let mut tables = 0;
    for case in cases() {
        let Some(values) = &case.values else { continue };
        tables += 1;
        for (detector, said) in &case.detectors {
            let distance = distance(detector, values, said);
            assert!(distance <= TOLERANCE, "{detector} of {}: {distance:e}", case.name);
        }
    }
    assert_eq!(tables, 2);
}

#[test]
fn scores_of_adbench_are_pyods() {
    let mut wrong = Vec::new();
    for (case, data) in sets("scores_of_adbench_are_pyods") {
        for (detector, said) in case.detectors.iter().filter(|(_, said)| !said.new.is_empty()) {
            let distance = distance(detector, &data.rows, said);
            if distance > TOLERANCE {
                wrong.push(format!("{detector} of {}: {distance:e}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
