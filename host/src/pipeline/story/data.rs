//! The grid that is judged, and how long things are kept.

use super::*;

/// Users want one query at several resolutions, each alerting on its own grid; with `freq`
/// Anomstack's scores stood where no sample was, and no alert was possible.
#[tokio::test]
async fn b10_one_query_at_three_resolutions_alerts_on_each_ones_grid() {
    for (freq, columns) in [("1m", 1), ("5m", 5), ("1h", 60)] {
        let keys =
            format!("ingest_history: 4d\nalert_resolve_n: 2\npreprocess_params: {{freq: {freq}, freq_agg: mean}}\n");
        let stage = Stage::new(&keys, Script::default().with("load", odd_in(&[(120, 180)])));
        assert_eq!(Millis::from(stage.bound.batch.judged.step_ms), columns * MINUTE);
        stage.live(0..=0).await;
        for at in (5..=360).step_by(5) {
            stage.chain(minute(at)).await;
        }
        assert_eq!(stage.spans(AlertKind::Anomaly), [(120, Some(180))], "{freq}");
        assert!(stage.scores("load").iter().all(|(minute, _)| minute % columns == 0));
        assert_eq!(stage.values("load").len() as Millis, 4 * 24 * 60 + 360, "the samples stay as they came");
    }
}

#[tokio::test]
async fn an_alert_on_a_coarser_grid_says_the_value_that_was_judged() {
    let keys = "preprocess_params: {freq: 5m, freq_agg: mean}\ningest_history: 4h\n";
    let stage = Stage::new(keys, Script::default().with("load", odd_in(&[(22, 23)])));
    stage.live(0..=40).await;
    let [alert] = stage.alerts(AlertKind::Anomaly).try_into().unwrap();
    assert_eq!((alert.started, alert.worst.value), (minute(20), 16.0));
}

/// Users want a batch's own retention to be what is kept; Anomstack deleted everything after
/// 90 days whatever was configured.
#[tokio::test]
async fn b20_deletion_follows_delete_after_n_days() {
    let keys = "delete_after_n_days: 2\ningest_history: 3d\nalert_resolve_n: 1\n";
    let stage = Stage::new(keys, Script::default().with("load", odd_in(&[(10, 12), (60, 9_999)])));
    stage.live(0..=70).await;
    let day = 24 * 60;
    let run = stage.run(Job::Delete, minute(70) - 1).await;
    assert_eq!((run.state.clone(), run.counts["series"]), (RunState::Done, 1));
    assert_eq!(stage.values("load").keys().next(), Some(&(70 - 2 * day)), "what is younger stays");
    assert!(matches!(stage.run(Job::Delete, minute(70)).await.state, RunState::Skipped(_)));

    assert_eq!(stage.alerts(AlertKind::Anomaly).len(), 2);
    let run = stage.run(Job::Delete, minute(65 + 2 * day)).await;
    assert!(run.counts["records"] >= 1, "{run:?}");
    let left = stage.alerts(AlertKind::Anomaly);
    assert_eq!(phases(&left), [AlertPhase::Firing], "what is on is not old");
    assert_eq!(stage.values("load").keys().next(), Some(&65));
    assert_eq!(stage.scores("load").first().map(|row| row.0), Some(65));
}
