//! The tables of `tabular.json` and what PyOD said of them, for the tests of the plugin and of
//! the host: both include this file.
//!
//! ADBench's sets are not in the repository. `DATA` names the folder that has
//! `adbench_classical`; without it a line says that the test was skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use flate2::read::DeflateDecoder;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// How far a score may be from PyOD's: in its own unit, or where it is beyond 1 in shares of it.
pub const TOLERANCE: f64 = 1e-6;

/// A table.
#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    /// A generated one, whole.
    pub values: Option<Vec<Vec<f64>>>,
    /// Or the digest of the file of a set.
    pub sha256: Option<String>,
    pub detectors: BTreeMap<String, Said>,
}

/// What PyOD said of a table.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Said {
    /// Rows of the table.
    pub index: Vec<usize>,
    /// Their scores.
    pub score: Vec<f64>,
    /// The least and the largest score of all rows.
    pub range: Option<[f64; 2]>,
    /// The sum of the scores of all rows.
    pub sum: Option<f64>,
    /// Scores of new rows; `make_tabular.py` says which.
    pub new: Vec<Option<f64>>,
    /// The linear probabilities of new rows.
    pub probability: Vec<Option<f64>>,
    /// The area under the ROC curve with seeds 0 to 9.
    pub roc: Option<Vec<f64>>,
}

/// A set of ADBench.
pub struct Data {
    pub rows: Vec<Vec<f64>>,
    /// Whether a row is an anomaly.
    pub labels: Vec<bool>,
}

pub fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../", "tests/parity/tabular.json");
    let nested = concat!(env!("CARGO_MANIFEST_DIR"), "/../../", "tests/parity/tabular.json");
    let text = std::fs::read_to_string(path).or_else(|_| std::fs::read_to_string(nested)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The sets; none where there is no data.
pub fn sets(test: &str) -> Vec<(Case, Data)> {
    let folder = std::env::var_os("DATA").map(PathBuf::from).or_else(|| {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("../shared/data"));
        beside.into_iter().find(|folder| folder.is_dir())
    });
    let folder = folder.unwrap_or_else(|| "../shared/data".into()).join("adbench_classical");
    if !folder.is_dir() {
        let line = format!("skipped: {test}: no data in {}; DATA names the folder", folder.display());
        eprintln!("{line}");
        if let Some(file) = std::env::var_os("ANOMD_TEST_SKIPPED") {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
            writeln!(file, "{line}").unwrap();
        }
        return Vec::new();
    }
    let set = |case: Case| {
        let digest = case.sha256.clone()?;
        let path = folder.join(format!("{}.npz", case.name));
        let bytes = std::fs::read(&path).unwrap();
        let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, digest, "{} is not the file that PyOD saw", path.display());
        Some((case, thinned(&bytes)))
    };
    let sets: Vec<(Case, Data)> = cases().into_iter().filter_map(set).collect();
    assert_eq!(sets.len(), 35);
    sets
}

/// At most 2500 rows, evenly spread: as `make_tabular.py` has them.
fn thinned(bytes: &[u8]) -> Data {
    let (values, columns, by_column) = array(&member(bytes, "X.npy"));
    let (labels, ..) = array(&member(bytes, "y.npy"));
    let count = labels.len();
    let at = |row: usize, column: usize| if by_column { column * count + row } else { row * columns + column };
    let kept = count.min(2500);
    let keep = || (0..kept).map(|i| i * count / kept);
    Data {
        rows: keep().map(|row| (0..columns).map(|column| values[at(row, column)]).collect()).collect(),
        labels: keep().map(|row| labels[row] != 0.0).collect(),
    }
}

/// A file of a zip archive, which is what numpy's `npz` is. It is found in the directory at the
/// archive's end.
fn member(archive: &[u8], name: &str) -> Vec<u8> {
    let end = archive.windows(4).rposition(|window| window == b"PK\x05\x06").unwrap();
    let mut entry = whole(archive, end + 16, 4);
    for _ in 0..whole(archive, end + 10, 2) {
        let [packed, name_bytes, extra, comment] =
            [(20, 4), (28, 2), (30, 2), (32, 2)].map(|(at, n)| whole(archive, entry + at, n));
        if &archive[entry + 46..][..name_bytes] == name.as_bytes() {
            let local = whole(archive, entry + 42, 4);
            let begin = local + 30 + whole(archive, local + 26, 2) + whole(archive, local + 28, 2);
            let packed = &archive[begin..][..packed];
            if whole(archive, entry + 10, 2) == 0 {
                return packed.to_vec();
            }
            let mut unpacked = Vec::new();
            DeflateDecoder::new(packed).read_to_end(&mut unpacked).unwrap();
            return unpacked;
        }
        entry += 46 + name_bytes + extra + comment;
    }
    panic!("there is no {name}");
}

fn whole(bytes: &[u8], at: usize, count: usize) -> usize {
    bytes[at..][..count].iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// The numbers of a `npy` file, how many columns they are, and whether they lie column by column.
fn array(file: &[u8]) -> (Vec<f64>, usize, bool) {
    let (header, numbers) = file[10..].split_at(whole(file, 8, 2));
    let header = std::str::from_utf8(header).unwrap();
    let after = |key: &str| header.split_once(key).unwrap().1;
    let kind = after("'descr': '").split('\'').next().unwrap();
    let shape = after("'shape': (").split(')').next().unwrap();
    let columns = shape.split(',').nth(1).and_then(|columns| columns.trim().parse().ok()).unwrap_or(1);
    let size: usize = kind[2..].parse().unwrap();
    let number = |bytes: &[u8]| match kind {
        "|u1" => f64::from(bytes[0]),
        "<i2" => f64::from(i16::from_le_bytes(bytes.try_into().unwrap())),
        "<i4" => f64::from(i32::from_le_bytes(bytes.try_into().unwrap())),
        "<i8" => i64::from_le_bytes(bytes.try_into().unwrap()) as f64,
        "<f8" => f64::from_le_bytes(bytes.try_into().unwrap()),
        _ => panic!("{kind} is not read here"),
    };
    (numbers.chunks_exact(size).map(number).collect(), columns, after("'fortran_order': ").starts_with("True"))
}

/// MAD takes one feature, so PyOD was given the first.
pub fn seen(detector: &str, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let width = if detector == "mad" { 1 } else { usize::MAX };
    rows.iter().map(|row| row[..width.min(row.len())].to_vec()).collect()
}

/// Rows that are not in the table, made of it.
pub fn new_rows(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let picks: BTreeSet<usize> = (0..6).map(|turn| turn * (rows.len() - 1) / 6).collect();
    let between = |(turn, at): (usize, usize)| {
        let pairs = rows[at].iter().zip(&rows[at + 1]);
        pairs.map(|(a, b)| if turn % 2 == 0 { (a + b) / 2.0 } else { 2.0 * a - b }).collect()
    };
    picks.into_iter().enumerate().map(between).collect()
}

/// How far a score is from PyOD's, as [`TOLERANCE`] counts it.
pub fn apart(got: f64, expected: f64) -> f64 {
    (got - expected).abs() / expected.abs().max(1.0)
}

/// The largest of these distances, where PyOD's answer does not hang on the order of its search.
pub fn worst(got: impl IntoIterator<Item = f64>, expected: &[Option<f64>]) -> f64 {
    let known = got.into_iter().zip(expected).filter_map(|(got, expected)| Some(apart(got, (*expected)?)));
    // Not `max`, which would hide a NaN.
    known.fold(0.0, |worst, next| if next <= worst { worst } else { next })
}
