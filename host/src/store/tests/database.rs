//! Commits and reads.

use super::*;

/// A store with something of everything.
fn filled(db: &Database) -> BatchKey {
    let app = key("app");
    let minutes: Vec<_> = (0..5).map(|i| (T0 + i * MINUTE, i as f64)).collect();
    let committed = db.commit(ingest(&app, T0, &[("cpu", &minutes), ("mem", &minutes[..2])])).unwrap();
    assert_eq!(committed.series, [SeriesId(0), SeriesId(1)]);
    let scores =
        ScoreColumn { rows: vec![score_row(T0, 0.123_44, &[]), score_row(T0 + MINUTE, 0.9, &[("drift", 0.9)])] };
    db.commit(Commit {
        scores: vec![(SeriesId(0), scores)],
        watched: vec![(SeriesId(0), vec![7, 8])],
        ..Commit::of(run(&app, Job::Score, T0))
    })
    .unwrap();
    db.commit(Commit {
        models: vec![model(0, vec![1; 100]), model(1, vec![2; 10_000])],
        ..Commit::of(run(&app, Job::Train, T0))
    })
    .unwrap();
    db.commit(Commit {
        alerts: vec![alert(&app, "x", AlertPhase::Firing, T0), alert(&app, "y", AlertPhase::Resolved, T0 + MINUTE)],
        deliveries: vec![delivery(&app, "d1", "queued"), delivery(&app, "d2", "sent")],
        ..Commit::of(run(&app, Job::Alert, T0))
    })
    .unwrap();
    db.kv_put("default", "prometheus", "cursor", b"v".to_vec(), 1 << 20).unwrap();
    app
}

#[test]
fn what_was_committed_is_read_and_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let before = {
        let db = Database::open(dir.path(), &small_limits()).unwrap();
        let app = filled(&db);
        let all = [SeriesId(0), SeriesId(1)];
        let columns = db.values(&app, &all, T0 + MINUTE..T0 + 3 * MINUTE).unwrap();
        assert_eq!(columns[0].timestamps, [T0 + MINUTE, T0 + 2 * MINUTE]);
        assert_eq!(columns[1].values, [1.0]);
        assert_eq!(db.last_values(&app, &all), [Some((T0 + 4 * MINUTE, 4.0)), Some((T0 + MINUTE, 1.0))]);
        let scores = db.scores(&app, &all, T0..T0 + MINUTE * 9).unwrap();
        assert_eq!(scores[0].rows, [score_row(T0, 0.1234, &[]), score_row(T0 + MINUTE, 0.9, &[("drift", 0.9)])]);
        assert_eq!(scores[1].rows, []);
        let series = db.series(&app);
        assert_eq!(series[0].span, Some((T0, T0 + 4 * MINUTE)));
        assert_eq!(series[0].scored, Some(T0 + MINUTE));
        let models = db.models(&app, "m", &[SeriesId(1), SeriesId(0), SeriesId(9)]).unwrap();
        assert_eq!(models[0].as_ref().unwrap().bytes.len(), 10_000);
        assert_eq!(models[1].as_ref().unwrap().bytes[..], [1; 100]);
        assert!(models[2].is_none());
        assert_eq!(db.watched(&app).unwrap(), BTreeMap::from([(SeriesId(0), vec![7, 8])]));
        dump(&db)
    };
    let db = Database::open(dir.path(), &small_limits()).unwrap();
    assert_eq!(dump(&db), before);
}

#[test]
fn the_head_of_a_model_is_read_without_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path(), &small_limits()).unwrap();
    let app = key("app");
    // One in the log, and one in a blob.
    let bytes = |length: usize| (0..length).map(|at| at as u8).collect::<Vec<_>>();
    let models = [(0, 100), (1, 10_000)].map(|(series, length)| ModelWrite { head: 9, ..model(series, bytes(length)) });
    db.commit(Commit { models: models.into(), ..Commit::of(run(&app, Job::Train, T0)) }).unwrap();
    let ids = [SeriesId(0), SeriesId(1)];
    let lengths = |found: Vec<Option<ModelRecord>>| -> Vec<Option<usize>> {
        let length = |read: std::sync::Arc<[u8]>| (*read == *bytes(read.len())).then_some(read.len());
        found.into_iter().map(|model| length(model?.bytes)).collect()
    };
    assert_eq!(lengths(db.models(&app, "m", &ids).unwrap()), [Some(100), Some(10_000)]);
    assert_eq!(lengths(db.heads(&app, "m", &ids).unwrap()), [Some(9), Some(9)]);

    let blob = std::fs::read_dir(dir.path().join("models")).unwrap().next().unwrap().unwrap().path();
    let mut damaged = std::fs::read(&blob).unwrap();
    damaged[9] ^= 1;
    std::fs::write(&blob, &damaged).unwrap();
    assert_eq!(lengths(db.models(&app, "m", &ids).unwrap()), [Some(100), None]);
    assert_eq!(lengths(db.heads(&app, "m", &ids).unwrap()), [Some(9), Some(9)], "what is wrong is behind it");
    damaged[8] ^= 1;
    std::fs::write(&blob, &damaged).unwrap();
    assert_eq!(lengths(db.heads(&app, "m", &ids).unwrap()), [Some(9), None]);
}

#[test]
fn a_second_outcome_of_a_run_is_refused_whole() {
    let db = Database::in_memory(&small_limits()).unwrap();
    let app = key("app");
    db.commit(ingest(&app, T0, &[("cpu", &[(T0, 1.0)])])).unwrap();
    let before = dump(&db);
    let error = db.commit(ingest(&app, T0, &[("cpu", &[(T0, 2.0)]), ("new", &[(T0, 2.0)])])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the run default/app/ingest/2026-01-01T00:00:00Z is already finished, so this second outcome was not kept. \
         Nothing has to be done."
    );
    assert_eq!(dump(&db), before);
}

#[test]
fn the_same_sample_score_or_alert_twice_is_once_and_the_last_stands() {
    let db = Database::in_memory(&small_limits()).unwrap();
    let app = key("app");
    db.commit(ingest(&app, T0, &[("cpu", &[(T0, 1.0), (T0 + 1, 1.0)])])).unwrap();
    let again = ingest(&app, T0 + 1, &[("cpu", &[(T0 - 5, 0.0), (T0, 5.0), (T0, 6.0), (T0 + 2, f64::NAN)])]);
    assert_eq!(db.commit(again).unwrap().series, [SeriesId(0)]);
    let column = db.values(&app, &[SeriesId(0)], 0..Millis::MAX).unwrap().remove(0);
    assert_eq!(column, Column { timestamps: vec![T0 - 5, T0, T0 + 1], values: vec![0.0, 6.0, 1.0] });
    assert_eq!(db.last_values(&app, &[SeriesId(0)]), [Some((T0 + 1, 1.0))]);

    let rows =
        |score, terms: &[(&str, f64)]| vec![(SeriesId(0), ScoreColumn { rows: vec![score_row(T0, score, terms)] })];
    db.commit(Commit { scores: rows(0.9, &[("drift", 0.9)]), ..Commit::of(run(&app, Job::Score, T0)) }).unwrap();
    db.commit(Commit { scores: rows(0.1, &[]), ..Commit::of(run(&app, Job::Score, T0 + 1)) }).unwrap();
    assert_eq!(db.scores(&app, &[SeriesId(0)], 0..Millis::MAX).unwrap()[0].rows, [score_row(T0, 0.1, &[])]);

    let alerts = |state| vec![alert(&app, "x", state, T0)];
    let open = AlertFilter { open: true, ..AlertFilter::default() };
    db.commit(Commit { alerts: alerts(AlertPhase::Firing), ..Commit::of(run(&app, Job::Alert, T0)) }).unwrap();
    assert_eq!(db.alerts(&open).unwrap().len(), 1);
    db.commit(Commit { alerts: alerts(AlertPhase::Resolved), ..Commit::of(run(&app, Job::Alert, T0 + 1)) }).unwrap();
    assert_eq!(db.alerts(&open).unwrap().len(), 0);
    assert_eq!(db.alerts(&AlertFilter::default()).unwrap().len(), 1);
}

#[test]
fn runs_come_newest_first_and_only_so_many_are_kept() {
    let db = Database::in_memory(&Limits { runs_kept: 3, ..small_limits() }).unwrap();
    let (app, other) = (key("app"), key("other"));
    for minute in 0..5 {
        db.commit(Commit::of(run(&app, Job::Ingest, T0 + minute * MINUTE))).unwrap();
    }
    db.commit(Commit::of(run(&other, Job::Train, T0 + 2 * MINUTE))).unwrap();
    let scheduled = |filter| {
        let runs = db.runs(&filter).unwrap().into_iter();
        runs.map(|run| ((run.slot.scheduled - T0) / MINUTE, run.slot.job)).collect::<Vec<_>>()
    };
    let all = [(4, Job::Ingest), (3, Job::Ingest), (2, Job::Train), (2, Job::Ingest)];
    assert_eq!(scheduled(RunFilter::default()), all);
    assert_eq!(scheduled(RunFilter { limit: Some(1), ..RunFilter::default() }), all[..1]);
    assert_eq!(scheduled(RunFilter { key: Some(other.clone()), ..RunFilter::default() }), all[2..3]);
    assert_eq!(db.last_run(&app, Job::Ingest).unwrap().unwrap().slot.scheduled, T0 + 4 * MINUTE);
    assert_eq!(db.last_run(&app, Job::Score).unwrap(), None);
}

#[test]
fn a_plugin_keeps_no_more_than_its_quota_and_sees_only_its_own() {
    let db = Database::in_memory(&small_limits()).unwrap();
    db.kv_put("a", "p", "k1", vec![0; 8], 20).unwrap();
    db.kv_put("a", "p", "k2", vec![0; 8], 20).unwrap();
    let error = db.kv_put("a", "p", "k3", vec![], 20).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tenant a: plugin p would keep 22 bytes (limits.kv_bytes): the limit is 20. Keep less, or raise the limit in anomd.yaml."
    );
    db.kv_put("a", "p", "k2", vec![1; 2], 20).unwrap();
    db.kv_put("a", "p", "k3", vec![], 20).unwrap();
    db.kv_put("a", "q", "k1", vec![9], 20).unwrap();
    assert_eq!(db.kv_keys("a", "p", "k", Some("k1"), 9).unwrap(), ["k2", "k3"]);
    assert_eq!(db.kv_keys("b", "p", "", None, 9).unwrap(), [""; 0]);
    assert!(!db.kv_swap("a", "p", "k2", None, Some(vec![3]), 20).unwrap());
    assert!(db.kv_swap("a", "p", "k2", Some(&[1, 1]), None, 20).unwrap());
    assert_eq!(db.kv_get("a", "p", "k2").unwrap(), None);
    assert_eq!(db.kv_get("a", "q", "k1").unwrap(), Some(vec![9]));
}

#[test]
fn a_restored_backup_answers_as_the_store_did() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(&dir.path().join("data"), &small_limits()).unwrap();
    filled(&db);
    let backup = dir.path().join("backup");
    db.backup(&Beside::default(), &backup).unwrap();
    assert!(
        db.backup(&Beside::default(), &backup)
            .unwrap_err()
            .to_string()
            .contains("it exists, and a backup never replaces anything")
    );
    let into = dir.path().join("restored");
    Database::restore(&backup, &into).unwrap();
    let restored = Database::open(&into, &small_limits()).unwrap();
    assert_eq!(dump(&restored), dump(&db));
    let error = Database::restore(&backup, &into).unwrap_err();
    assert!(matches!(error, StoreError::NotEmpty { .. }), "{error}");
}

#[test]
fn retention_deletes_what_is_old_and_what_is_left_is_exact() {
    let db = Database::in_memory(&small_limits()).unwrap();
    let app = filled(&db);
    db.delete_before(&app, T0 + MINUTE).unwrap();
    let series = db.series(&app);
    assert_eq!(series[0].span, Some((T0 + MINUTE, T0 + 4 * MINUTE)));
    assert_eq!(series[0].scored, Some(T0 + MINUTE));
    let columns = db.values(&app, &[SeriesId(0)], 0..Millis::MAX).unwrap();
    assert_eq!(columns[0].timestamps.len(), 4);
    db.delete_batch(&app).unwrap();
    assert_eq!(db.batches(), []);
    assert_eq!(db.runs(&RunFilter::default()).unwrap(), []);
    db.commit(ingest(&app, T0, &[("cpu", &[(T0, 1.0)])])).unwrap();
    assert_eq!(db.series(&app).len(), 1);
}
