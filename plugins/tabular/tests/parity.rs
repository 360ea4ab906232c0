//! Scores are PyOD's: of the tables in `tests/parity/tabular.json`, which PyOD wrote. Of
//! ADBench's sets it has digests and a few scores; the sets themselves are in the folder that
//! `DATA` names, and where they are not, a line says that they were skipped.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use ndarray::{Array, Array1, Array2, Dimension, OwnedRepr};
use ndarray_npy::{NpzReader, ReadableElement};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tabular::table::Table;
use tabular::{Algorithm, Config, fit};

/// How far a score may be from PyOD's: absolute, and relative where it is large.
const TOLERANCE: f64 = 1e-6;

#[derive(Deserialize)]
struct Case {
    name: String,
    /// A generated table, whole.
    values: Option<Vec<Vec<f64>>>,
    /// Or the digest of the file of a set.
    sha256: Option<String>,
    detectors: BTreeMap<String, Said>,
}

/// What PyOD said of a table.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    /// Rows of the table.
    index: Vec<usize>,
    /// Their scores.
    score: Vec<f64>,
    /// The least and the largest score of all rows, and their sum.
    range: Option<[f64; 2]>,
    sum: Option<f64>,
    /// Of new rows; see `make_tabular.py` for what they are.
    new: Vec<Option<f64>>,
    /// The area under the ROC curve with seeds 0 to 9.
    roc: Option<Vec<f64>>,
}

struct Data {
    rows: Vec<Vec<f64>>,
    labels: Vec<bool>,
}

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/parity/tabular.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The sets; `None` where there is no data.
fn sets() -> Option<Vec<(Case, Data)>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("DATA").map_or(beside, PathBuf::from).join("adbench_classical");
    if !folder.is_dir() {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        eprintln!("skipped: {test}: no data in {}; DATA names the folder", folder.display());
        return None;
    }
    let sets = cases().into_iter().filter_map(|case| {
        let digest = case.sha256.clone()?;
        let path = folder.join(format!("{}.npz", case.name));
        let bytes = std::fs::read(&path).unwrap();
        let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, digest, "{} is not the file that PyOD saw", path.display());
        let data = thinned(&bytes);
        Some((case, data))
    });
    Some(sets.collect())
}

/// An array of whatever type its numbers are.
fn numbers<D: Dimension>(file: &mut NpzReader<Cursor<&[u8]>>, name: &str) -> Array<f64, D> {
    fn read<T: ReadableElement + Copy + Into<f64>, D: Dimension>(
        file: &mut NpzReader<Cursor<&[u8]>>,
        name: &str,
    ) -> Option<Array<f64, D>> {
        file.by_name::<OwnedRepr<T>, D>(name).ok().map(|array| array.mapv(Into::into))
    }
    let small = read::<u8, D>(file, name).or_else(|| read::<i16, D>(file, name)).or_else(|| read::<i32, D>(file, name));
    let found = small.or_else(|| read::<f64, D>(file, name));
    let wide = |file: &mut NpzReader<Cursor<&[u8]>>| file.by_name::<OwnedRepr<i64>, D>(name).unwrap().mapv(|x| x as f64);
    found.unwrap_or_else(|| wide(file))
}

/// At most 2500 rows, evenly spread: as `make_tabular.py` has them.
fn thinned(bytes: &[u8]) -> Data {
    let mut file = NpzReader::new(Cursor::new(bytes)).unwrap();
    let values: Array2<f64> = numbers(&mut file, "X");
    let labels: Array1<f64> = numbers(&mut file, "y");
    let labels: Vec<bool> = labels.iter().map(|y| *y != 0.0).collect();
    let count = values.nrows();
    let keep: Vec<usize> = if count > 2500 { (0..2500).map(|i| i * count / 2500).collect() } else { (0..count).collect() };
    Data {
        rows: keep.iter().map(|row| values.row(*row).to_vec()).collect(),
        labels: keep.iter().map(|row| labels[*row]).collect(),
    }
}

fn new_rows(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let picks: std::collections::BTreeSet<usize> = (0..6).map(|turn| turn * (rows.len() - 1) / 6).collect();
    let between = |(turn, at): (usize, usize)| {
        let pairs = rows[at].iter().zip(&rows[at + 1]);
        pairs.map(|(a, b)| if turn % 2 == 0 { (a + b) / 2.0 } else { 2.0 * a - b }).collect()
    };
    picks.into_iter().enumerate().map(between).collect()
}

fn apart(got: f64, expected: f64) -> f64 {
    (got - expected).abs() / expected.abs().max(1.0)
}

/// The largest distance to a score of PyOD's, in the unit of the tolerance.
fn worst(algorithm: Algorithm, rows: &[Vec<f64>], said: &Said) -> f64 {
    let width = if algorithm == Algorithm::Mad { 1 } else { rows[0].len() };
    let rows: Vec<Vec<f64>> = rows.iter().map(|row| row[..width].to_vec()).collect();
    let values = rows.concat();
    let (learnt, scores) = fit(&Config::of(algorithm), Table::new(&values, width)).unwrap();
    let mut worst = 0.0_f64;
    for (index, expected) in said.index.iter().zip(&said.score) {
        worst = worst.max(apart(scores[*index], *expected));
    }
    for (row, expected) in new_rows(&rows).iter().zip(&said.new) {
        worst = expected.map_or(worst, |expected| worst.max(apart(learnt.score(row), expected)));
    }
    if let (Some([least, largest]), Some(sum)) = (said.range, said.sum) {
        worst = worst.max(apart(scores.iter().copied().fold(f64::INFINITY, f64::min), least));
        worst = worst.max(apart(scores.iter().copied().fold(f64::NEG_INFINITY, f64::max), largest));
        worst = worst.max(apart(scores.iter().sum::<f64>(), sum));
    }
    worst
}

fn named(name: &str) -> Algorithm {
    Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name).unwrap()
}

#[test]
fn every_score_of_a_generated_table_is_pyods() {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.values.is_some()).collect();
    assert_eq!(cases.len(), 2);
    for case in cases {
        for (name, said) in &case.detectors {
            let worst = worst(named(name), case.values.as_ref().unwrap(), said);
            assert!(worst <= TOLERANCE, "{name} of {}: {worst}", case.name);
        }
    }
}

#[test]
fn scores_of_adbench_are_pyods() {
    let Some(sets) = sets() else { return };
    assert_eq!(sets.len(), 35);
    let mut wrong = Vec::new();
    for (case, data) in &sets {
        for (name, said) in case.detectors.iter().filter(|(_, said)| said.roc.is_none() && !said.score.is_empty()) {
            let worst = worst(named(name), &data.rows, said);
            if worst > TOLERANCE {
                wrong.push(format!("{name} of {}: {worst:e}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn seeded_detectors_find_as_much_as_pyods() {
    let Some(sets) = sets() else { return };
    for name in ["iforest", "cblof"] {
        let (mut own, mut pyods, mut outside) = (Vec::new(), Vec::new(), Vec::new());
        for (case, data) in &sets {
            let Some(expected) = case.detectors[name].roc.as_deref() else { continue };
            let values = data.rows.concat();
            let table = Table::new(&values, data.rows[0].len());
            let roc = |seed| {
                let config = Config { random_state: Some(seed), ..Config::of(named(name)) };
                roc(&fit(&config, table).unwrap().1, &data.labels)
            };
            let found: Vec<f64> = (0..10).map(roc).collect();
            let (found_mean, expected_mean) = (mean(&found), mean(expected));
            let (low, high) = (least(expected), -least(&expected.iter().map(|x| -x).collect::<Vec<_>>()));
            if found_mean < low - 0.01 || found_mean > high + 0.01 {
                outside.push(format!("{}: {found_mean:.4}, PyOD {low:.4} to {high:.4}", case.name));
            }
            own.push(found_mean);
            pyods.push(expected_mean);
        }
        println!("{name}: mean ROC {:.4}, PyOD {:.4}, {} sets", mean(&own), mean(&pyods), own.len());
        assert!((mean(&own) - mean(&pyods)).abs() <= 0.005, "{name}: {} is not {}", mean(&own), mean(&pyods));
        assert!(outside.is_empty(), "{name} outside of PyOD's own range:\n{}", outside.join("\n"));
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// The chance that an anomaly scores higher than an ordinary row; a tie is half of one.
fn roc(scores: &[f64], labels: &[bool]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let (mut wins, mut below) = (0.0, 0.0);
    for tied in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let anomalies = tied.iter().filter(|row| labels[**row]).count() as f64;
        let ordinary = tied.len() as f64 - anomalies;
        wins += anomalies * (below + ordinary / 2.0);
        below += ordinary;
    }
    wins / below / (scores.len() as f64 - below)
}
