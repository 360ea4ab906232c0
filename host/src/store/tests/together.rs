//! Many at once: commits that share a write, two outcomes of one run, a backup meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;

#[test]
fn commits_of_many_threads_are_all_kept_in_one_order() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { store_log_points: 50, ..small_limits() };
    let db = Database::open(dir.path(), &limits).unwrap();
    let mut sequences: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|n| {
                let db = &db;
                scope.spawn(move || {
                    let batch = key(&format!("batch-{}", n % 3));
                    let commit = |i: Millis| {
                        let at = T0 + 100 * n + i;
                        db.commit(ingest(&batch, at, &[(&format!("s{n}"), &[(at, i as f64)])])).unwrap().sequence
                    };
                    (0..40).map(commit).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=240).collect::<Vec<_>>());
    let before = dump(&db);
    for key in db.batches() {
        let ids: Vec<_> = db.series(&key).iter().map(|series| series.id).collect();
        assert_eq!(ids, [SeriesId(0), SeriesId(1)]);
        assert!(db.values(&key, &ids, 0..Millis::MAX).unwrap().iter().all(|column| column.values.len() == 40));
    }
    drop(db);
    assert_eq!(dump(&Database::open(dir.path(), &limits).unwrap()), before);
}

#[test]
fn of_two_runners_that_finish_a_run_at_once_one_is_refused() {
    let db = Database::in_memory(&small_limits()).unwrap();
    for i in 0..20 {
        let answers: Vec<_> = thread::scope(|scope| {
            let commit = |value: f64| db.commit(ingest(&key("app"), T0 + i, &[("cpu", &[(T0 + i, value)])]));
            let threads: Vec<_> = [1.0, 2.0].map(|value| (value, scope.spawn(move || commit(value)))).into();
            threads.into_iter().map(|(value, thread)| (value, thread.join().unwrap())).collect()
        });
        let kept: Vec<_> = answers.iter().filter(|(_, answer)| answer.is_ok()).map(|(value, _)| *value).collect();
        assert_eq!(kept.len(), 1);
        assert!(answers.iter().any(|(_, answer)| matches!(answer, Err(StoreError::Conflict(_)))));
        assert_eq!(db.values(&key("app"), &[SeriesId(0)], T0 + i..T0 + i + 1).unwrap()[0].values, kept);
    }
}

#[test]
fn a_backup_of_a_running_store_is_the_state_after_some_commit() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { store_log_points: 30, ..small_limits() };
    let db = Database::in_memory(&limits).unwrap();
    let (app, done) = (key("app"), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            // Every commit moves two series, an alert and a model together.
            for i in 0.. {
                let commit = Commit {
                    models: vec![model(0, vec![i as u8; 4_000])],
                    alerts: vec![alert(&app, &format!("{i}"), AlertPhase::Resolved, i)],
                    ..ingest(&app, i, &[("a", &[(i, 1.0)]), ("b", &[(i, 2.0)])])
                };
                db.commit(commit).unwrap();
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        for round in 0..5 {
            let (backup, into) = (dir.path().join(format!("b{round}")), dir.path().join(format!("d{round}")));
            db.backup(&Beside::default(), &backup).unwrap();
            Database::restore(&backup, &into).unwrap();
            let restored = Database::open(&into, &limits).unwrap();
            let runs = restored.runs(&RunFilter::default()).unwrap();
            let Some(last) = runs.first().map(|run| run.slot.scheduled) else { continue };
            let columns = restored.values(&app, &[SeriesId(0), SeriesId(1)], 0..Millis::MAX).unwrap();
            assert_eq!(columns[0].timestamps, (0..=last).collect::<Vec<_>>());
            assert_eq!(columns[1].timestamps, columns[0].timestamps);
            assert_eq!(restored.alerts(&AlertFilter::default()).unwrap().len(), columns[0].timestamps.len());
            let model = restored.models(&app, "m", &[SeriesId(0)]).unwrap().remove(0).unwrap();
            assert_eq!(model.bytes[..], [last as u8; 4_000]);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn listeners_hear_of_each_finished_run() {
    let db = Database::in_memory(&small_limits()).unwrap();
    let mut finished = db.subscribe();
    db.commit(ingest(&key("app"), T0, &[])).unwrap();
    db.commit(ingest(&key("app"), T0, &[])).unwrap_err();
    assert_eq!(finished.try_recv().unwrap(), run(&key("app"), Job::Ingest, T0).slot);
    assert!(finished.try_recv().is_err());
}

#[test]
fn a_second_database_on_one_engine_does_not_seal_over_the_first() {
    let kept = std::sync::Arc::new(MemoryStore::default());
    let first = Database::over(kept.clone(), &small_limits()).unwrap();
    let second = Database::over(kept.clone(), &small_limits()).unwrap();
    first.commit(ingest(&key("app"), T0, &[("cpu", &[(T0, 1.0)])])).unwrap();
    second.commit(ingest(&key("app"), T0 + 1, &[("cpu", &[(T0 + 1, 1.0)])])).unwrap();
    first.seal().unwrap();
    assert_eq!(second.seal(), Err(StoreError::Changed));
}
