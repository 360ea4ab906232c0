//! The shipped components `knn` and `pca`, called through the host, against what PyOD said
//! (`tests/parity/make_fixture.py`): whoever moves a batch over keeps the scores.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test says what it expects")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anomd::capability::kv::InMemory;
use anomd::config::{Grants, Limits};
use anomd::plugin::{Call, Catalogue, Detect, LogSink, Runtime, Use};
use anomd::series::{Grid, Matrix};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Case {
    name: String,
    preprocess: Value,
    n_neighbors: usize,
    values: Vec<Option<f64>>,
    train_until: usize,
    score_from: usize,
    index: Vec<usize>,
    knn: Expected,
    pca: Option<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    probability: Vec<f64>,
}

#[derive(Debug)]
struct Silent;

impl LogSink for Silent {
    fn line(&self, _level: tracing::Level, plugin: &str, line: &str) {
        eprintln!("{plugin}: {line}");
    }
}

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/parity/fixture.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn row(values: &[Option<f64>]) -> Matrix {
    let grid = Grid { start: 0, step_ms: 60_000, columns: values.len() };
    Matrix { grid, rows: 1, values: values.iter().map(|value| value.unwrap_or(f64::NAN)).collect() }
}

/// The scores of the case's `index`.
async fn scores(detector: &dyn Detect, case: &Case, config: &Value) -> Vec<f64> {
    let call = Call { now: 0, subject: "default/parity/score/0".into(), log: Arc::new(Silent) };
    let (config, train, recent) =
        (config.to_string(), row(&case.values[..case.train_until]), row(&case.values[case.score_from..]));
    let fitted = detector.fit(&call, &config, &train, &[Arc::from([])]).await.unwrap();
    assert!(fitted.skipped.is_empty(), "{}: {:?}", case.name, fitted.skipped);
    let scored = detector.score(&call, &config, &fitted.to_score(), &recent, recent.grid.columns).await.unwrap();
    assert!(scored.skipped.is_empty(), "{}: {:?}", case.name, scored.skipped);
    case.index.iter().map(|index| scored.scores[index - case.score_from]).collect()
}

fn assert_close(got: &[f64], expected: &[f64], what: &str) {
    assert_eq!(got.len(), expected.len());
    for (place, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() < 1e-6, "{what}, score {place}: {got} is not {expected}");
    }
}

#[tokio::test]
async fn the_shipped_components_score_as_anomstack_does() {
    let cache = tempfile::tempdir().unwrap();
    let runtime = Runtime::new(&Limits::default(), cache.path()).unwrap();
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist");
    let (catalogue, faults) = Catalogue::load(&runtime, Some(&dist)).await;
    assert!(faults.is_empty(), "{faults:?}");
    let bound = |name: &str| {
        let usage = Use {
            tenant: "default".into(),
            batch: "parity".into(),
            grants: Grants::default(),
            secrets: BTreeMap::new(),
            timezone: chrono_tz::UTC,
            mail: None,
            kv: Arc::new(InMemory::default()),
            warm: true,
        };
        let plugin = catalogue.get(name).unwrap();
        (Arc::clone(&plugin), plugin.detector(usage).unwrap())
    };
    let ((knn_plugin, knn), (pca_plugin, pca)) = (bound("knn"), bound("pca"));

    for case in cases() {
        let config = json!({"preprocess": case.preprocess, "n_neighbors": case.n_neighbors, "contamination": 0.01});
        assert_eq!(knn_plugin.check_config(&config).await, []);
        let by_knn = scores(knn.as_ref(), &case, &config).await;
        assert_close(&by_knn, &case.knn.probability, &format!("knn, {}", case.name));

        let config = json!({"preprocess": case.preprocess, "contamination": 0.01});
        assert_eq!(pca_plugin.check_config(&config).await, []);
        let by_pca = scores(pca.as_ref(), &case, &config).await;
        if let Some(expected) = &case.pca {
            assert_close(&by_pca, &expected.probability, &format!("pca, {}", case.name));
        }

        // The mean to three digits, as a run of Anomstack stored it.
        if case.name == "waves" {
            let mean = |index: usize| {
                let place = case.index.iter().position(|i| *i == index).unwrap();
                (by_knn[place] + by_pca[place]) / 2.0
            };
            let stored = [43, 51, 55, 57].map(|index| (mean(index) * 1000.0).round() / 1000.0);
            assert_eq!(stored, [0.118, 0.402, 0.389, 1.0]);
        }
    }
}
