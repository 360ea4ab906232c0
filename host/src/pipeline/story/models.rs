//! Which series are fit and scored, and which points.

use super::*;
use crate::message::{Feedback, Rating};
use crate::store::{DocumentWrite, MemoryStore, Store as _};

fn young(from: Millis) -> impl Fn(Millis) -> Option<f64> + Send + Sync {
    move |minute| (minute >= from).then_some(10.0)
}

fn models(stage: &Stage) -> Vec<(String, Millis)> {
    let series = stage.store.series(stage.key());
    let ids: Vec<_> = series.iter().map(|series| series.id).collect();
    let models = stage.store.model_metadata(stage.key(), &stage.bound.detectors[0].entry.tag, &ids).unwrap();
    let end = |model: crate::store::ModelMetadata| (model.data.1 - BEGIN) / MINUTE;
    series.into_iter().zip(models).filter_map(|(series, model)| Some((series.name, end(model?)))).collect()
}

/// Users want a new series to wait for its model until it has enough points; Anomstack took
/// the newest thirteen points away instead.
#[tokio::test]
async fn b6_train_min_n_is_a_minimum_and_takes_nothing_away() {
    let source = Script::default().with("old", |_| Some(10.0)).with("young", young(-20));
    let stage = Stage::new("train_min_n: 30\n", source);
    stage.live(0..=0).await;
    assert_eq!(models(&stage), [("old".to_owned(), 0)], "its newest points are in it");
    stage.live(1..=30).await;
    assert_eq!(models(&stage), [("old".to_owned(), 30), ("young".to_owned(), 30)]);
}

/// Users want a new metric to cost nobody else anything; Anomstack's nearest neighbours failed
/// the training of a whole batch for as long as one series had 22 to 26 points.
#[tokio::test]
async fn b7_a_series_with_too_few_points_fails_alone() {
    for points in 22..=26 {
        let source = Script::default().with("old", |_| Some(10.0)).with("young", young(-points));
        let stage = Stage::judged_by("", source, Arc::new(Mean { least: 27 }));
        stage.chain(minute(0)).await;
        assert_eq!(models(&stage), [("old".to_owned(), 0)]);
        let train = stage.store.last_run(stage.key(), Job::Train).unwrap().unwrap();
        assert_eq!(train.state, RunState::Partial);
        assert!(train.log[0].contains("young was not fit"), "{:?}", train.log);
        stage.live(1..=30).await;
        assert_eq!(models(&stage).len(), 2);
    }
}

/// Authors want what only the next fit reads to cost nothing when a point is scored: [`Mean`] falls
/// over a score that is passed more than the head, and over a fit that is passed less than the whole.
#[tokio::test]
async fn scoring_is_passed_the_heads_of_models_and_the_next_fit_all_of_them() {
    let stage = Stage::new("", Script::default().with("load", |_| Some(10.0)));
    stage.live(0..=60).await;
    assert_eq!(stage.scores("load").len(), 60);
    let (series, tag) = (stage.series("load").id, &stage.bound.detectors[0].entry.tag);
    let whole = stage.store.models(stage.key(), tag, &[series]).unwrap().remove(0).unwrap();
    let head = stage.store.heads(stage.key(), tag, &[series]).unwrap().remove(0).unwrap();
    assert_eq!((whole.metadata.slot, whole.bytes.len()), (minute(60), Mean::BYTES), "it was fit twice more");
    assert_eq!(head.bytes[..], whole.bytes[..Mean::HEAD]);
    assert_eq!(head.metadata.digest, whole.metadata.digest, "the trace of an alert names the whole");
}

/// Users want a series whose model the disk has lost to be fit again by the next train job, though
/// the slot of its next fit is far, and no point of it to stay without a score.
#[tokio::test]
async fn a_lost_model_is_fit_again_and_its_series_waits_meanwhile() {
    let mut stage = Stage::new("", Script::default().with("load", |_| Some(10.0)));
    let kept = Arc::new(MemoryStore::default());
    stage.store = Database::over(kept.clone(), &stage.limits).unwrap();
    stage.live(0..=10).await;
    for blob in kept.blobs().unwrap() {
        kept.delete_blob(&blob).unwrap();
    }
    stage.run(Job::Ingest, minute(11)).await;
    let score = stage.run(Job::Score, minute(11)).await;
    assert_eq!((score.state, score.counts["warming"]), (RunState::Done, 1));
    assert_eq!(stage.scores("load").len(), 10);
    let train = stage.run(Job::Train, minute(11)).await;
    assert_eq!(train.counts["models"], 1);
    stage.live(12..=12).await;
    assert_eq!(stage.scores("load").len(), 12);
}

/// Users want a batch of any size to be learned and judged whole, though not all of it is in
/// memory at once.
#[tokio::test]
async fn of_more_series_than_are_read_together_each_has_a_model_and_its_scores() {
    let named = |number: usize| format!("load{number:03}");
    let each = |script: Script, number: usize| script.with(&named(number), move |_| Some(number as f64));
    let stage = Stage::new("", (0..600).fold(Script::default(), each));
    stage.live(0..=2).await;
    assert_eq!(models(&stage).len(), 600);
    for number in [0, 127, 128, 511, 512, 599] {
        // By its own mean, and not by that of another.
        assert_eq!(stage.scores(&named(number)), [(0, 0.1), (1, 0.1)], "{number}");
    }
}

/// Users want the others to be scored while one series waits for its model.
#[tokio::test]
async fn b8_a_series_without_a_model_does_not_hold_up_the_others() {
    let source = Script::default().with("old", |_| Some(10.0)).with("young", young(5));
    let stage = Stage::new("", source);
    stage.live(0..=20).await;
    assert_eq!(stage.scores("old").len(), 20);
    assert_eq!(stage.scores("young"), []);
    assert_eq!(stage.store.last_run(stage.key(), Job::Score).unwrap().unwrap().state, RunState::Done);
}

/// Users want each point scored once, and those of an outage too; Anomstack wrote the newest
/// points again in every run, and forgot those before them.
#[tokio::test]
async fn b9_each_point_is_scored_once_and_a_backlog_is_caught_up_with() {
    let stage = Stage::new("", Script::default().with("load", odd_in(&[(100, 102)])));
    stage.live(0..=10).await;
    assert!(matches!(stage.run(Job::Score, minute(10) + 1).await.state, RunState::Skipped(_)));
    stage.chain(minute(200)).await;
    let minutes: Vec<Millis> = stage.scores("load").into_iter().map(|(minute, _)| minute).collect();
    assert_eq!(minutes, (0..200).collect::<Vec<_>>());
    assert_eq!(stage.spans(AlertKind::Anomaly), [(100, Some(102))]);

    let live = Stage::new("", Script::default().with("load", odd_in(&[(100, 102)])));
    live.live(0..=200).await;
    assert_eq!(live.scores("load"), stage.scores("load"), "as it would have been without the outage");
}

/// Users want what comes after the fit to be judged by it, also where it is older than the
/// slot of the fit: samples that are sent, say, an hour of them at a time.
#[tokio::test]
async fn what_comes_late_to_a_series_that_was_never_scored_is_judged() {
    let sent = Arc::new(Mutex::new(20));
    let until = sent.clone();
    let value = move |minute| (minute < *until.lock().unwrap()).then_some(10.0);
    let source = Script::default().with("load", value).with("other", |_| Some(10.0));
    // A part of the source that is lost for now: what was asked for is asked for again.
    source.lose(&["other"]);
    let stage = Stage::new("", source);
    stage.chain(minute(30)).await;
    assert_eq!(stage.scores("load"), []);
    *sent.lock().unwrap() = 31;
    stage.chain(minute(31)).await;
    let minutes: Vec<Millis> = stage.scores("load").into_iter().map(|(minute, _)| minute).collect();
    assert_eq!(minutes, (20..31).collect::<Vec<_>>());
}

/// Users want one bad day in the history not to hide the next; Anomstack's scores were parts
/// of the largest deviation that was ever learnt.
#[tokio::test]
async fn b11_an_outlier_in_the_history_does_not_hide_the_next() {
    let cache = tempfile::tempdir().unwrap();
    let runtime = crate::plugin::Runtime::new(&Limits::default(), cache.path()).unwrap();
    let (catalogue, _) = crate::plugin::Catalogue::load(&runtime, None).await;
    let usage = crate::plugin::Use {
        tenant: "default".into(),
        batch: "story".into(),
        grants: crate::config::Grants::default(),
        secrets: BTreeMap::new(),
        timezone: chrono_tz::UTC,
        mail: None,
        kv: Arc::new(crate::capability::kv::InMemory::default()),
        warm: true,
    };
    let robust = catalogue.get("robust").unwrap().detector(usage).unwrap();
    let call = Call { now: BEGIN, subject: "plan".into(), log: RunLog::new(0) };
    let needs = robust.plan(&call, "{}", 60_000).await.unwrap();
    let value = |minute: Millis| {
        let mut bits = (minute as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let noise = ((bits ^ (bits >> 27)) >> 40) as f64 / f64::from(1 << 23);
        // A hundred times the noise in the history, and thirty times now.
        let spike = match minute {
            -700 => 100.0,
            20..25 => 30.0,
            _ => 0.0,
        };
        Some(10.0 + noise + spike)
    };
    let source = Script::default().with("load", value);
    let stage = Stage::with("ingest_history: 2d\n", source, robust, needs);
    stage.live(0..=0).await;
    stage.live(30..=30).await;
    let spans = stage.spans(AlertKind::Anomaly);
    assert!(matches!(spans.as_slice(), [(20..=24, _)]), "{spans:?} {:?}", stage.scores("load"));
}

fn rate(stage: &Stage, rating: Rating) {
    let alert = &stage.alerts(AlertKind::Anomaly)[0];
    let feedback = Feedback { rating, by: "ana".into(), at: minute(59) };
    let place = Feedback::place(&stage.key().batch, &alert.id);
    let write = DocumentWrite::of(DocumentKind::Feedback, place, &feedback);
    stage.store.write_documents(&stage.key().tenant, vec![write]).unwrap();
}

/// What the newest fit took for the mean, and how many points it was not shown.
fn learnt(stage: &Stage) -> (f64, usize) {
    let (series, tag) = (stage.series("load").id, &stage.bound.detectors[0].entry.tag);
    let model = stage.store.models(stage.key(), tag, &[series]).unwrap().pop().unwrap().unwrap();
    let fit = stage.store.fit_at(stage.key(), series, tag, Millis::MAX).unwrap().unwrap();
    (f64::from_le_bytes(model.bytes[..Mean::HEAD].try_into().unwrap()), fit.left_out)
}

/// Users want the next incident to be judged by how the series is, and not by the last incident;
/// and a false alarm to be a part of how it is.
#[tokio::test]
async fn what_somebody_said_was_an_anomaly_is_left_out_of_the_next_fit() {
    for (rating, mean, left_out) in [(Rating::Up, 10.0, 20), (Rating::Down, 14.0, 0)] {
        let stage = Stage::new("", Script::default().with("load", odd_in(&[(35, 55)])));
        stage.live(0..=89).await;
        assert_eq!(stage.spans(AlertKind::Anomaly), [(35, Some(55))]);
        rate(&stage, rating);
        stage.live(90..=90).await;
        assert_eq!(learnt(&stage), (mean, left_out));
        let train = stage.store.last_run(stage.key(), Job::Train).unwrap().unwrap();
        assert_eq!(train.counts.get("left_out").copied().unwrap_or_default(), left_out as u64);
    }
}
