//! The shipped component `tabular`, called with tables through the host, against what PyOD said
//! (`tests/parity/make_tabular.py`).

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test says what it expects")]

#[path = "../../tests/parity/adbench.rs"]
#[allow(dead_code, clippy::arithmetic_side_effects, reason = "the plugin's test uses the rest")]
mod adbench;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use adbench::{TOLERANCE, cases, new_rows, seen, sets, worst};
use anomd::capability::kv::InMemory;
use anomd::config::{Grants, Limits};
use anomd::plugin::{Call, Catalogue, Judge, Judged, LogSink, Plugin, Runtime, Table, Use};
use serde_json::{Value, json};

#[derive(Debug)]
struct Silent;

impl LogSink for Silent {
    fn line(&self, _level: tracing::Level, plugin: &str, line: &str) {
        eprintln!("{plugin}: {line}");
    }
}

fn call() -> Call {
    Call { now: 0, subject: "default/parity/score/0".into(), log: Arc::new(Silent) }
}

fn usage() -> Use {
    Use {
        tenant: "default".into(),
        batch: "parity".into(),
        grants: Grants::default(),
        secrets: BTreeMap::new(),
        timezone: chrono_tz::UTC,
        mail: None,
        kv: Arc::new(InMemory::default()),
        warm: true,
    }
}

async fn component(name: &str) -> Arc<Plugin> {
    let cache = tempfile::tempdir().unwrap();
    // The sets are wider than lag features.
    let limits = Limits { detector_call_bytes: 32 << 20, model_bytes: 32 << 20, ..Limits::default() };
    let runtime = Runtime::new(&limits, cache.path()).unwrap();
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist");
    let (catalogue, faults) = Catalogue::load(&runtime, Some(&dist)).await;
    assert!(faults.is_empty(), "{faults:?}");
    let plugin = catalogue.get(name).unwrap();
    // Compiled while there is a folder to keep it in.
    assert_eq!(plugin.check_config(&json!({"algorithm": "ecod"})).await.len(), usize::from(name != "tabular"));
    plugin
}

async fn judge() -> Arc<dyn Judge> {
    component("tabular").await.vectors(usage()).unwrap().unwrap()
}

fn table(rows: &[Vec<f64>]) -> Table {
    let features = (0..rows[0].len()).map(|column| format!("x{column}")).collect();
    Table { features, rows: rows.len(), values: rows.concat() }
}

async fn judged(judge: &Arc<dyn Judge>, config: &Value, trained: &[Vec<f64>], recent: &[Vec<f64>]) -> Judged {
    let config = config.to_string();
    let model: Arc<[u8]> = judge.fit(&call(), &config, &table(trained)).await.unwrap().into();
    judge.score(&call(), &config, &model, &table(recent)).await.unwrap()
}

/// The decision scores: terms are their parts, or the one that there is.
fn decisions(judged: &Judged) -> Vec<f64> {
    let parts = |row: usize| judged.terms.iter().map(move |term| term.values[row]).sum();
    (0..judged.scores.len()).map(parts).collect()
}

/// How far the decision scores of new rows and their probabilities are from PyOD's at most, a
/// detector each.
async fn distances(judge: &Arc<dyn Judge>, case: &adbench::Case, rows: &[Vec<f64>]) -> BTreeMap<String, f64> {
    let mut distances = BTreeMap::new();
    for (detector, said) in case.detectors.iter().filter(|(_, said)| !said.new.is_empty()) {
        let rows = seen(detector, rows);
        let judged = judged(judge, &json!({"algorithm": detector}), &rows, &new_rows(&rows)).await;
        let decision = worst(decisions(&judged), &said.new);
        let probability = worst(judged.scores, &said.probability);
        distances.insert(detector.clone(), worst([decision, probability], &[Some(0.0), Some(0.0)]));
    }
    distances
}

#[tokio::test]
async fn new_rows_of_generated_tables_score_as_in_pyod() {
    let judge = judge().await;
    for case in cases() {
        let Some(values) = &case.values else { continue };
        for (detector, distance) in distances(&judge, &case, values).await {
            assert!(distance <= TOLERANCE, "{detector} of {}: {distance:e}", case.name);
        }
    }
}

#[tokio::test]
async fn new_rows_of_adbench_score_as_in_pyod() {
    let sets = sets("new_rows_of_adbench_score_as_in_pyod");
    let judge = judge().await;
    let (mut wrong, mut found) = (Vec::new(), BTreeMap::<String, Vec<f64>>::new());
    for (case, data) in &sets {
        for (detector, distance) in distances(&judge, case, &data.rows).await {
            // A NaN is wrong, too.
            if !matches!(distance.partial_cmp(&TOLERANCE), Some(Ordering::Less | Ordering::Equal)) {
                wrong.push(format!("{detector} of {}: {distance:e}", case.name));
            }
            found.entry(detector).or_default().push(distance);
        }
    }
    for (detector, distances) in found {
        let most = distances.iter().copied().fold(0.0, f64::max);
        println!("{detector}: new rows of {} sets, at most {most:.1e} from PyOD", distances.len());
    }
    assert_eq!(wrong, [""; 0]);
}

#[tokio::test]
async fn what_has_a_seed_finds_as_much_as_in_pyod() {
    let sets = sets("what_has_a_seed_finds_as_much_as_in_pyod");
    if sets.is_empty() {
        return;
    }
    let judge = judge().await;
    for detector in ["iforest", "cblof"] {
        let (mut own, mut pyods, mut outside, mut widest) = (Vec::new(), Vec::new(), Vec::new(), 0.0_f64);
        for (case, data) in &sets {
            // PyOD's CBLOF finds no large clusters in some sets.
            let Some(expected) = case.detectors[detector].roc.as_deref() else { continue };
            let mut found = Vec::new();
            for seed in 0..10 {
                let config = json!({"algorithm": detector, "random_state": seed});
                found.push(roc(&judged(&judge, &config, &data.rows, &data.rows).await, &data.labels));
            }
            let deviation = mean(&found) - mean(expected);
            if deviation.abs() > widest.abs() {
                widest = deviation;
            }
            let low = expected.iter().copied().fold(f64::INFINITY, f64::min) - 0.01;
            let high = expected.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 0.01;
            let found = mean(&found);
            if !(low..=high).contains(&found) {
                outside.push(format!("{}: {found:.4} is not {low:.4} to {high:.4}", case.name));
            }
            own.push(found);
            pyods.push(mean(expected));
        }
        println!(
            "{detector}: mean ROC of {} sets over ten seeds {:.4}, PyOD {:.4}; {} sets outside of PyOD's seeds by more \
             than .01; the widest difference of a set's means {widest:+.4}",
            own.len(),
            mean(&own),
            mean(&pyods),
            outside.len(),
        );
        assert!((mean(&own) - mean(&pyods)).abs() <= 0.005, "{detector}: {} is not {}", mean(&own), mean(&pyods));
        assert_eq!(outside, [""; 0]);
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The chance that an anomaly scores higher than an ordinary row; a tie is half of one.
fn roc(judged: &Judged, labels: &[bool]) -> f64 {
    let scores = decisions(judged);
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

#[tokio::test]
async fn a_row_that_lacks_a_value_has_no_score_and_the_others_do() {
    let judge = judge().await;
    let rows: Vec<Vec<f64>> = (0..40).map(|i| vec![f64::from(i * i % 17), f64::from(i % 5)]).collect();
    let mut gaps = rows.clone();
    gaps[3][1] = f64::NAN;
    let whole = judged(&judge, &json!({"algorithm": "iforest"}), &gaps, &rows).await;
    let holed = judged(&judge, &json!({"algorithm": "iforest"}), &gaps, &gaps).await;
    assert!(holed.scores[3].is_nan() && !whole.scores[3].is_nan());
    // Each row by itself: its company does not matter.
    let without =
        |judged: &Judged| judged.scores.iter().enumerate().filter(|(i, _)| *i != 3).map(|(_, s)| *s).collect();
    let (whole, holed): (Vec<f64>, Vec<f64>) = (without(&whole), without(&holed));
    assert_eq!(whole, holed);
}

#[tokio::test]
async fn a_table_of_other_features_is_refused_and_so_is_a_detector_without_tables() {
    let judge = judge().await;
    let rows: Vec<Vec<f64>> = (0..40).map(|i| vec![f64::from(i * i % 17), f64::from(i % 5)]).collect();
    let config = json!({"algorithm": "hbos"}).to_string();
    let model: Arc<[u8]> = judge.fit(&call(), &config, &table(&rows)).await.unwrap().into();
    let fault = judge.score(&call(), &config, &model, &table(&[vec![1.0]])).await.unwrap_err().to_string();
    assert!(fault.contains("a table of 1 features, where the model was fit with 2"), "{fault}");
    let fault = judge.fit(&call(), &config, &Table { rows: 3, ..table(&rows) }).await.unwrap_err().to_string();
    assert!(fault.contains("3 rows of 2 features with 80 values"), "{fault}");
    assert!(component("robust").await.vectors(usage()).unwrap().is_none());
}

#[tokio::test]
async fn a_parameter_of_another_algorithm_is_a_fault_of_the_configuration() {
    let plugin = component("tabular").await;
    assert_eq!(plugin.check_config(&json!({"algorithm": "lof", "n_neighbors": 10})).await, []);
    let problems = plugin.check_config(&json!({"algorithm": "iforest", "n_neighbors": 10})).await;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].pointer, "/n_neighbors");
    assert!(problems[0].message.starts_with("is no parameter of iforest, which has n_estimators"));
    assert_eq!(plugin.check_config(&json!({})).await.len(), 1);
}
