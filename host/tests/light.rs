//! The shipped components `light` and `seasonal`, called through the host as a batch calls them.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test says what it expects")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anomd::capability::kv::InMemory;
use anomd::config::{Grants, Limits};
use anomd::plugin::{Call, Catalogue, Detect, LogSink, Runtime, Scored, Use};
use anomd::series::{Grid, Matrix};

const STEP_MS: u32 = 60_000;
/// A Monday at midnight.
const START: i64 = 1_767_571_200_000;
const DAY: usize = 1_440;
const ROWS: usize = 8;

#[derive(Debug)]
struct Silent;

impl LogSink for Silent {
    fn line(&self, _level: tracing::Level, plugin: &str, line: &str) {
        eprintln!("{plugin}: {line}");
    }
}

fn call() -> Call {
    Call { now: START, subject: "default/light/score/0".into(), log: Arc::new(Silent) }
}

async fn detectors(name: &str) -> [Arc<dyn Detect>; 2] {
    let cache = tempfile::tempdir().unwrap();
    let runtime = Runtime::new(&Limits::default(), cache.path()).unwrap();
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist");
    let (catalogue, faults) = Catalogue::load(&runtime, Some(&dist)).await;
    assert!(faults.is_empty(), "{faults:?}");
    let plugin = catalogue.get(name).unwrap();
    let usage = |warm| Use {
        tenant: "default".into(),
        batch: "light".into(),
        grants: Grants::default(),
        secrets: BTreeMap::new(),
        timezone: chrono_tz::UTC,
        mail: None,
        kv: Arc::new(InMemory::default()),
        warm,
    };
    let both = [plugin.detector(usage(true)).unwrap(), plugin.detector(usage(false)).unwrap()];
    // Compiled while there is a folder to keep it in.
    for detector in &both {
        detector.plan(&call(), "{}", STEP_MS).await.unwrap();
    }
    both
}

/// A day, a weekend, noise; in each row another level.
fn value(row: usize, minute: usize) -> f64 {
    let mut mixed = (row * 100_000 + minute) as u64;
    let mut noise = 0.0;
    for _ in 0..4 {
        mixed = mixed.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^= mixed >> 29;
        noise += (mixed >> 11) as f64 / (1_u64 << 53) as f64 - 0.5;
    }
    let day = (minute as f64 / DAY as f64 * std::f64::consts::TAU).sin();
    let weekend = if minute / DAY % 7 >= 5 { 0.7 } else { 1.0 };
    10.0 * (row + 1) as f64 * weekend * (3.0 + day + 0.2 * noise)
}

/// Some rows, minutes of them, of which `odd` are as half as large.
fn matrix(rows: std::ops::Range<usize>, minutes: std::ops::Range<usize>, odd: &std::ops::Range<usize>) -> Matrix {
    let start = START + i64::from(STEP_MS) * minutes.start as i64;
    let grid = Grid { start, step_ms: STEP_MS, columns: minutes.len() };
    let at = |row: usize, minute: usize| value(row, minute) * if odd.contains(&minute) { 0.5 } else { 1.0 };
    let values = rows.clone().flat_map(|row| minutes.clone().map(move |minute| at(row, minute))).collect();
    Matrix { grid, rows: rows.len(), values }
}

/// A model of each row, from ten days.
async fn fit(detector: &Arc<dyn Detect>, config: &str) -> Vec<Arc<[u8]>> {
    let history = matrix(0..ROWS, 0..10 * DAY, &(0..0));
    let none: Vec<Arc<[u8]>> = vec![Arc::from([]); ROWS];
    let fitted = detector.fit(&call(), config, &history, &none).await.unwrap();
    assert!(fitted.skipped.is_empty(), "{:?}", fitted.skipped);
    fitted.to_score()
}

/// What a detector says of the eleventh day, in calls of so many rows and columns.
async fn scores(
    detector: &Arc<dyn Detect>,
    config: &str,
    models: &[Arc<[u8]>],
    (rows, columns): (usize, usize),
) -> Vec<Vec<u64>> {
    let needs = detector.plan(&call(), config, STEP_MS).await.unwrap();
    let odd = 10 * DAY + 600..10 * DAY + 640;
    let mut all = vec![Vec::new(); ROWS];
    for first in (0..ROWS).step_by(rows) {
        for from in (10 * DAY..10 * DAY + 720).step_by(columns) {
            let recent = matrix(first..first + rows, from - needs.context..from + columns, &odd);
            let models = &models[first..first + rows];
            let scored: Scored = detector.score(&call(), config, models, &recent, columns).await.unwrap();
            assert!(scored.skipped.is_empty(), "{:?}", scored.skipped);
            for (row, scores) in scored.scores.chunks_exact(columns).enumerate() {
                all[first + row].extend(scores.iter().map(|score| score.to_bits()));
            }
        }
    }
    all
}

async fn finds_an_outage_and_says_the_same_however_it_is_called(name: &str, config: &str, most_bytes: usize) {
    let [warm, fresh] = detectors(name).await;
    let models = fit(&warm, config).await;
    assert_eq!(fit(&fresh, config).await, models);
    let largest = models.iter().map(|model| model.len()).max().unwrap();
    assert!(largest <= most_bytes, "{name} {config} keeps {largest} bytes of a series");

    let whole = scores(&warm, config, &models, (ROWS, 720)).await;
    assert!(scores(&fresh, config, &models, (ROWS, 240)).await == whole, "{name} {config}");
    assert!(scores(&warm, config, &models, (2, 90)).await == whole, "{name} {config}");
    for (row, scores) in whole.iter().enumerate() {
        let odd: Vec<usize> = (0..720).filter(|minute| f64::from_bits(scores[*minute]) >= 0.7).collect();
        assert!(odd.first().is_some_and(|minute| (600..605).contains(minute)), "{name} {config} {row}: {odd:?}");
    }
}

#[tokio::test]
async fn light_keeps_a_kilobyte_and_finds_an_outage() {
    finds_an_outage_and_says_the_same_however_it_is_called("light", "{}", 1_024).await;
}

#[tokio::test]
async fn seasonal_finds_an_outage_by_either_algorithm() {
    finds_an_outage_and_says_the_same_however_it_is_called("seasonal", "{}", 60_000).await;
    let config = r#"{"algorithm": "holt-winters"}"#;
    finds_an_outage_and_says_the_same_however_it_is_called("seasonal", config, 6_200).await;
}
