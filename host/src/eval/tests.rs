//! An evaluation end to end: files, a component in the sandbox, figures.

use std::sync::Mutex;

use super::*;
use crate::config::Limits;
use crate::plugin::{Catalogue, Runtime};

/// A day of minutes with a wave, and a spike of ten minutes that is labelled.
fn series() -> String {
    let row = |minute: usize| {
        let wave = (minute as f64 / 20.0).sin() + (minute * 7919 % 97) as f64 / 500.0;
        let label = u8::from((1000..1010).contains(&minute));
        format!("{},{label}\n", wave + 9.0 * f64::from(label))
    };
    std::iter::once("value,label\n".to_owned()).chain((0..1440).map(row)).collect()
}

async fn catalogue(folder: &std::path::Path) -> Catalogue {
    let runtime = Runtime::new(&Limits::default(), folder).unwrap();
    Catalogue::load(&runtime, None).await.0
}

fn options(folder: Option<std::path::PathBuf>) -> Options {
    Options { track: Track::Causal, step_ms: 60_000, refit: 60, jobs: 1, thresholds: vec![0.7], folder }
}

/// The outcome of `spec` on the one series of a folder, and whether it had been kept.
async fn outcome(folder: &std::path::Path, catalogue: &Catalogue, spec: &str, options: &Options) -> (Outcome, bool) {
    let sources = find(&folder.join("set")).unwrap();
    let contender = Contender::bind(&spec.parse().unwrap(), catalogue).await.unwrap();
    let kept = Mutex::new(Vec::new());
    let note = |_: &Outcome, was_kept: bool| kept.lock().unwrap().push(was_kept);
    let outcomes = evaluate(&sources, &[contender], options, &note).await.unwrap();
    let kept = kept.into_inner().unwrap();
    assert_eq!((outcomes.len(), kept.len()), (1, 1));
    (outcomes.into_iter().next().unwrap(), kept[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spike_is_found_and_what_was_done_is_not_done_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("set")).unwrap();
    let file = folder.path().join("set/spike.csv");
    std::fs::write(&file, series()).unwrap();
    let catalogue = catalogue(&folder.path().join("cache")).await;
    let options = options(Some(folder.path().join("out")));

    let (first, kept) = outcome(folder.path(), &catalogue, "pca", &options).await;
    assert!(!kept);
    let figures = &first.figures;
    assert!(figures.auc_roc.unwrap() > 0.95, "{figures:?}");
    assert_eq!((figures.events, figures.found), (1, 1));
    assert!(first.cost.fits >= 20 && first.cost.model_bytes > 0 && first.cost.failure.is_none());
    // The first hour is learned from: nobody could have scored it.
    assert_eq!(first.scores.iter().position(Option::is_some), Some(60));

    let (second, kept) = outcome(folder.path(), &catalogue, "pca", &options).await;
    assert!(kept);
    assert_eq!(second, first);
    let (other, kept) = outcome(folder.path(), &catalogue, r#"pca={"preprocess": {"lags_n": 3}}"#, &options).await;
    assert!(!kept, "another configuration is another outcome");
    assert_ne!(other.scores, first.scores);
    std::fs::write(&file, series().replacen("0.0", "0.5", 1)).unwrap();
    assert!(!outcome(folder.path(), &catalogue, "pca", &options).await.1, "another file is another outcome");
}

#[tokio::test(flavor = "multi_thread")]
async fn causal_scores_do_not_know_what_comes_and_batch_scores_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("set")).unwrap();
    let file = folder.path().join("set/spike.csv");
    let catalogue = catalogue(&folder.path().join("cache")).await;
    let mut scores = Vec::new();
    let whole = series();
    let half: String = whole.lines().take(721).map(|line| format!("{line}\n")).collect();
    for text in [&whole, &half] {
        std::fs::write(&file, text).unwrap();
        for track in [Track::Causal, Track::Batch] {
            let options = Options { track, ..options(None) };
            scores.push(outcome(folder.path(), &catalogue, "pca", &options).await.0.scores);
        }
    }
    assert_eq!(scores[0][..720], scores[2][..], "what comes later changes nothing");
    assert_ne!(scores[1][..720], scores[3][..]);
    assert!(scores[1][20].is_some(), "the whole is scored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_names_plugin_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = catalogue(folder.path()).await;
    let error = Contender::bind(&r#"robust={"seasons": 1}"#.parse().unwrap(), &catalogue).await.err().unwrap();
    assert!(error.to_string().starts_with("robust refuses "), "{error}");
    let error = Contender::bind(&"robot".parse().unwrap(), &catalogue).await.err().unwrap();
    assert!(error.to_string().contains("did you mean \"robust\""), "{error}");
}
