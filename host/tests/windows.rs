//! The shipped component `windows` on whole series, through the host and in the sandbox.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test says what it expects")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anomd::config::Limits;
use anomd::eval::{Contender, Options, Outcome, Source, Track, evaluate, find};
use anomd::plugin::{Catalogue, Runtime};

const ALGORITHMS: [&str; 3] = ["winknn-batch", "kmeans-win", "pca-win"];

/// -1 to 1, the same for the same `i`.
fn noise(i: usize) -> f64 {
    let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// A file of a wave that is lost in noise in the labelled rows.
fn wave(folder: &Path, rows: usize, lost: std::ops::Range<usize>) -> Vec<Source> {
    let mut text = String::from("value,label\n");
    for i in 0..rows {
        let label = u8::from(lost.contains(&i));
        let value = if label == 1 { 3.0 * noise(i) } else { 3.0 * (i as f64 / 8.0).sin() + 0.2 * noise(i) };
        writeln!(text, "{value},{label}").unwrap();
    }
    fs::write(folder.join("wave.csv"), text).unwrap();
    find(folder).unwrap()
}

/// What became of each source with each detector, with the limits of a node that says nothing.
async fn outcomes(sources: &[Source], detectors: &[&str], track: Track) -> Vec<Outcome> {
    let cache = tempfile::tempdir().unwrap();
    let runtime = Runtime::new(&Limits::default(), cache.path()).unwrap();
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist");
    let (catalogue, faults) = Catalogue::load(&runtime, Some(&dist)).await;
    assert!(faults.is_empty(), "{faults:?}");
    let mut contenders = Vec::new();
    for detector in detectors {
        contenders.push(Contender::bind(&detector.parse().unwrap(), &catalogue).await.unwrap());
    }
    let options = Options { track, step_ms: 60_000, refit: 1_440, jobs: 1, folder: None, thresholds: Vec::new() };
    let outcomes = evaluate(sources, &contenders, &options, &|_, _| {}).await.unwrap();
    for outcome in &outcomes {
        assert_eq!(outcome.cost.failure, None, "{} {}", outcome.detector, outcome.file);
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_whole_in_view_each_row_has_a_score_and_what_is_broken_the_highest() {
    let folder = tempfile::tempdir().unwrap();
    let sources = wave(folder.path(), 6_000, 3_000..3_040);
    for outcome in outcomes(&sources, &ALGORITHMS, Track::Batch).await {
        let (name, figures) = (&outcome.detector, &outcome.figures);
        assert_eq!((figures.scored, figures.top, figures.found), (6_000, Some(true), 1), "{name}: {figures:?}");
        assert_eq!(figures.alerts, figures.right, "{name}: {figures:?}");
        assert!(figures.vus_pr.unwrap() > 0.8, "{name}: {figures:?}");
        assert_eq!(outcome.cost.fits, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_way_rows_after_a_fit_are_judged_by_what_came_before_them() {
    let folder = tempfile::tempdir().unwrap();
    let sources = wave(folder.path(), 4_000, 3_000..3_040);
    for outcome in outcomes(&sources, &ALGORITHMS, Track::Causal).await {
        let (name, figures) = (&outcome.detector, &outcome.figures);
        assert_eq!((figures.scored, figures.top), (4_000 - 1_440, Some(true)), "{name}: {figures:?}");
        let early = outcome.scores[..3_000].iter().flatten().filter(|score| **score >= 0.8).count();
        assert!(early <= 15, "{name}: {early} of 1 560 ordinary rows score 0.8");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_of_200_000_rows_of_noise_is_fit_within_the_limits() {
    let folder = tempfile::tempdir().unwrap();
    let text = (0..200_000).fold(String::from("value,label\n"), |mut text, i| {
        writeln!(text, "{:.4},0", noise(i)).unwrap();
        text
    });
    fs::write(folder.path().join("noise.csv"), text).unwrap();
    for outcome in outcomes(&find(folder.path()).unwrap(), &ALGORITHMS, Track::Batch).await {
        assert_eq!((outcome.figures.scored, outcome.figures.alerts), (200_000, 0), "{}", outcome.detector);
        assert!(outcome.cost.model_bytes <= Limits::default().model_bytes);
    }
}

/// The folder `DATA`, or `../shared/data` beside the repository.
fn data() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("DATA").map_or_else(beside, PathBuf::from);
    let there = folder.join("tsb_ad_u").exists() && folder.join("anchors").exists();
    if !there {
        println!("skipped: there is no {}", folder.join("tsb_ad_u").display());
    }
    there.then_some(folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_every_fifth_short_file_of_tsb_ad_u_it_is_ahead_of_the_first_of_the_leaderboard() {
    let Some(data) = data() else { return };
    let text = fs::read_to_string(data.join("anchors/tremor_u_subset.json")).unwrap();
    let tremor: BTreeMap<String, f64> = serde_json::from_str(&text).unwrap();
    let length = |source: &Source| fs::metadata(data.join("tsb_ad_u").join(&source.file)).unwrap().len();
    let sources = find(&data.join("tsb_ad_u")).unwrap();
    let short: Vec<Source> = sources.into_iter().filter(|source| length(source) < 100_000).step_by(5).collect();
    assert!(short.len() >= 5);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let number = |source: &Source| source.file.split('_').next().unwrap().trim_start_matches('0').to_owned();
    let anchor = mean(&short.iter().map(|source| tremor[&number(source)]).collect::<Vec<_>>());
    let outcomes = outcomes(&short, &["winknn-batch"], Track::Batch).await;
    let found = mean(&outcomes.iter().map(|outcome| outcome.figures.vus_pr.unwrap()).collect::<Vec<_>>());
    println!("winknn-batch on {} files: {found:.3}, Tremor {anchor:.3}", short.len());
    assert!(found > anchor, "{found} is not above {anchor}");
}
