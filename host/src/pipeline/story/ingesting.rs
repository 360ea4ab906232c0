//! What is fetched, when, and how its losses are seen.

use super::*;

/// Users want one time everywhere; Anomstack mixed local and universal time.
#[tokio::test]
async fn b22_nothing_is_lost_or_doubled_in_the_nights_in_which_clocks_change() {
    // 2026-03-29 and 2026-10-25 in Berlin, at 01:00 UTC.
    for night in [83 * 1_440, 293 * 1_440] {
        let keys = "timezone: Europe/Berlin\nalert_resolve_n: 1\n";
        let odd = move |minute: Millis| Some(if (night + 58..night + 63).contains(&minute) { 40.0 } else { 10.0 });
        let stage = Stage::new(keys, Script::default().with("load", odd));
        stage.live(night..=night + 150).await;
        let minutes: Vec<Millis> = stage.values("load").into_keys().collect();
        assert_eq!(minutes, (night - 60..night + 150).collect::<Vec<_>>());
        let scored: Vec<Millis> = stage.scores("load").into_iter().map(|(minute, _)| minute).collect();
        assert!(scored.windows(2).all(|pair| pair[1] == pair[0] + 1), "{scored:?}");
        assert_eq!(stage.spans(AlertKind::Anomaly), [(night + 58, Some(night + 63))]);
    }
}

/// Users want an ingest that can be run again; Anomstack's wrote everything once more.
#[tokio::test]
async fn b23_an_ingest_that_is_run_again_is_ingested_once() {
    let stage = Stage::new("", Script::default().with("load", |m| Some(m as f64)));
    let first = stage.run(Job::Ingest, minute(10)).await;
    let asked = stage.source.asked.lock().unwrap().len();
    assert_eq!(stage.run(Job::Ingest, minute(10)).await, first);
    assert_eq!(stage.source.asked.lock().unwrap().len(), asked, "the slot is finished");
    assert!(matches!(stage.run(Job::Ingest, minute(10) + 1).await.state, RunState::Skipped(_)));
    stage.run(Job::Ingest, minute(12)).await;
    assert_eq!(stage.values("load"), (-50..12).map(|m| (m, m as f64)).collect());
}

/// Users want to see that a query failed, and to have its samples when it works again.
#[tokio::test]
async fn b23_a_part_that_failed_is_seen_and_asked_for_again() {
    let stage = Stage::new("", Script::default().with("a", |_| Some(1.0)).with("b", |_| Some(2.0)));
    stage.live(0..=10).await;
    stage.source.lose(&["b"]);
    stage.live(11..=15).await;
    let run = stage.store.last_run(stage.key(), Job::Ingest).unwrap().unwrap();
    assert_eq!((run.state.clone(), run.counts["lost"]), (RunState::Partial, 1));
    assert!(run.log[0].contains("lost b: the remote side cannot be used: 503"), "{:?}", run.log);
    assert_eq!((stage.values("a").len(), stage.values("b").len()), (75, 70));

    stage.source.lose(&[]);
    stage.live(16..=16).await;
    assert_eq!((stage.values("a").len(), stage.values("b").len()), (76, 76));
    assert_eq!(stage.scores("b").len(), 16, "late samples are scored");
}

/// Users have sources whose newest samples come late.
#[tokio::test]
async fn b23_late_samples_are_waited_for_as_long_as_was_asked() {
    let stage = Stage::new("", Script::default().with("load", |_| Some(1.0)));
    let mut stage = stage;
    stage.bound.batch.ingest.delay_ms = 3 * MINUTE;
    stage.live(0..=10).await;
    assert_eq!(stage.values("load").keys().last(), Some(&6));
}

/// A coarser judged grid does not hold back the samples.
#[tokio::test]
async fn samples_are_fetched_at_their_own_step() {
    let keys = "preprocess_params: {freq: 1h}\ntholdalert_thresholds: {load: {upper: 20}}\n";
    let stage = Stage::new(keys, Script::default().with("load", odd_in(&[(10, 11)])));
    stage.live(0..=12).await;
    assert_eq!(stage.values("load").keys().last(), Some(&11));
    assert_eq!(stage.spans(AlertKind::Threshold), [(10, None)], "a limit is held against each sample");
}
