//! Sealing changes nothing that can be read, whenever it happens and wherever it is cut short.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use proptest::prelude::*;

use super::super::{Changes, Digest, MemoryStore, Pair, Sequence, Store};
use super::*;

/// An engine in memory of which writes fail from a certain one on.
#[derive(Debug, Default)]
pub(super) struct Failing {
    pub kept: Arc<MemoryStore>,
    pub left: AtomicUsize,
}

impl Failing {
    pub fn after(kept: Arc<MemoryStore>, writes: usize) -> Arc<Self> {
        Arc::new(Self { kept, left: AtomicUsize::new(writes) })
    }

    fn spend(&self) -> Result<(), StoreError> {
        let spent = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        spent.map(drop).map_err(|_| StoreError::Full { dir: "/data".into(), doing: "writing".to_owned() })
    }
}

impl Store for Failing {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.kept.get(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Pair>, StoreError> {
        self.kept.scan(prefix, from, limit)
    }

    fn commit(&self, changes: &Changes) -> Result<(), StoreError> {
        self.spend()?;
        self.kept.commit(changes)
    }

    fn sync_values(&self) -> Result<(), StoreError> {
        self.spend()
    }

    fn check_room(&self, reserve: u64) -> Result<(), StoreError> {
        self.kept.check_room(reserve)
    }

    fn append(&self, record: &[u8]) -> Result<Sequence, StoreError> {
        self.spend()?;
        self.kept.append(record)
    }

    fn tail(&self, after: Sequence, limit: usize) -> Result<Vec<(Sequence, Vec<u8>)>, StoreError> {
        self.kept.tail(after, limit)
    }

    fn trim(&self, upto: Sequence) -> Result<(), StoreError> {
        self.spend()?;
        self.kept.trim(upto)
    }

    fn sync_log(&self) -> Result<(), StoreError> {
        self.spend()
    }

    fn put_blob(&self, bytes: &[u8], durable: bool) -> Result<Digest, StoreError> {
        self.spend()?;
        self.kept.put_blob(bytes, durable)
    }

    fn get_blob(&self, digest: &Digest, part: Range<u64>) -> Result<Option<Vec<u8>>, StoreError> {
        self.kept.get_blob(digest, part)
    }

    fn read_blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.kept.read_blob(digest)
    }

    fn delete_blob(&self, digest: &Digest) -> Result<(), StoreError> {
        self.spend()?;
        self.kept.delete_blob(digest)
    }

    fn blobs(&self) -> Result<Vec<Digest>, StoreError> {
        self.kept.blobs()
    }

    fn subscribe(&self) -> mpsc::Receiver<Sequence> {
        self.kept.subscribe()
    }
}

/// What is done to a store. Numbers are drawn small, so that they meet.
#[derive(Clone, Debug)]
enum Step {
    Ingest {
        batch: u8,
        series: Vec<(u8, Vec<(u16, i8)>)>,
    },
    Score {
        batch: u8,
        series: u8,
        rows: Vec<(u16, u8, bool)>,
    },
    Train {
        batch: u8,
        series: u8,
        length: usize,
    },
    Alert {
        batch: u8,
        alert: u8,
        open: bool,
    },
    Watch {
        batch: u8,
        series: u8,
        memory: u8,
    },
    Kv {
        key: u8,
        value: Option<u8>,
    },
    DeleteBefore {
        batch: u8,
        time: u16,
    },
    DeleteBatch {
        batch: u8,
    },
    Seal,
    /// A sealing that fails at this write, and the restart after it.
    FailedSeal {
        writes: usize,
    },
    Restart,
}

/// Minutes that spread over some windows and are dense in places.
fn minute() -> impl Strategy<Value = u16> {
    prop_oneof![0_u16..40, 350_u16..370, 0_u16..3000]
}

fn a_step() -> impl Strategy<Value = Step> {
    let points = || proptest::collection::vec((minute(), any::<i8>()), 0..30);
    prop_oneof![
        6 => (0_u8..2, proptest::collection::vec((0_u8..20, points()), 1..5))
            .prop_map(|(batch, series)| Step::Ingest { batch, series }),
        4 => (0_u8..2, 0_u8..5, proptest::collection::vec((minute(), any::<u8>(), any::<bool>()), 1..20))
            .prop_map(|(batch, series, rows)| Step::Score { batch, series, rows }),
        1 => (0_u8..2, 0_u8..3, prop_oneof![Just(10), Just(5_000)])
            .prop_map(|(batch, series, length)| Step::Train { batch, series, length }),
        2 => (0_u8..2, 0_u8..3, any::<bool>()).prop_map(|(batch, alert, open)| Step::Alert { batch, alert, open }),
        1 => (0_u8..2, 0_u8..3, any::<u8>()).prop_map(|(batch, series, memory)| Step::Watch { batch, series, memory }),
        1 => (0_u8..3, proptest::option::of(any::<u8>())).prop_map(|(key, value)| Step::Kv { key, value }),
        1 => (0_u8..2, minute()).prop_map(|(batch, time)| Step::DeleteBefore { batch, time }),
        1 => (0_u8..2).prop_map(|batch| Step::DeleteBatch { batch }),
        3 => Just(Step::Seal),
        2 => (0_usize..12).prop_map(|writes| Step::FailedSeal { writes }),
        2 => Just(Step::Restart),
    ]
}

/// Does a step; `now` is its own instant.
fn take_step(db: &Database, step: &Step, now: Millis) -> Result<(), StoreError> {
    let at = |minute: u16| T0 + Millis::from(minute) * MINUTE;
    let batch = |batch: u8| key(&format!("batch-{batch}"));
    let known = |key: &BatchKey, series: u8| SeriesId(u32::from(series)).0 < db.series(key).len() as u32;
    match step.clone() {
        Step::Ingest { batch: b, series } => {
            let names: Vec<_> = series.iter().map(|(series, _)| format!("s{series}")).collect();
            let columns: Vec<Vec<_>> = series
                .iter()
                .map(|(_, points)| points.iter().map(|(minute, value)| (at(*minute), f64::from(*value))).collect())
                .collect();
            let columns: Vec<_> = names.iter().map(String::as_str).zip(columns.iter().map(Vec::as_slice)).collect();
            db.commit(ingest(&batch(b), now, &columns)).map(drop)
        }
        Step::Score { batch: b, series, rows } if known(&batch(b), series) => {
            let row = |(minute, score, terms): &(u16, u8, bool)| {
                let terms: &[_] = if *terms { &[("drift", 0.5), ("jump", f64::NAN)] } else { &[] };
                score_row(at(*minute), f64::from(*score) / 255.0, terms)
            };
            let column = ScoreColumn { rows: rows.iter().map(row).collect() };
            let scores = vec![(SeriesId(series.into()), column)];
            db.commit(Commit { scores, ..Commit::of(run(&batch(b), Job::Score, now)) }).map(drop)
        }
        Step::Train { batch: b, series, length } => {
            let models = vec![model(series.into(), vec![now as u8; length])];
            db.commit(Commit { models, ..Commit::of(run(&batch(b), Job::Train, now)) }).map(drop)
        }
        Step::Alert { batch: b, alert: id, open } => {
            let (key, started) = (batch(b), at(u16::from(id) * 300));
            let alerts = vec![alert(
                &key,
                &format!("a{id}"),
                if open { AlertPhase::Firing } else { AlertPhase::Resolved },
                started,
            )];
            let deliveries = vec![delivery(&key, &format!("d{id}"), if open { "queued" } else { "sent" })];
            db.commit(Commit { alerts, deliveries, ..Commit::of(run(&key, Job::Alert, now)) }).map(drop)
        }
        Step::Watch { batch: b, series, memory } => {
            let watched = vec![(SeriesId(series.into()), vec![memory; 3])];
            db.commit(Commit { watched, ..Commit::of(run(&batch(b), Job::Alert, now)) }).map(drop)
        }
        Step::Kv { key, value: Some(value) } => db.kv_put("default", "p", &format!("k{key}"), vec![value], 1 << 20),
        Step::Kv { key, value: None } => db.kv_delete("default", "p", &format!("k{key}")),
        Step::DeleteBefore { batch: b, time } => db.delete_before(&batch(b), at(time)).map(drop),
        Step::DeleteBatch { batch: b } => db.delete_batch(&batch(b)),
        Step::Score { .. } | Step::Seal | Step::FailedSeal { .. } | Step::Restart => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn sealing_restarts_and_cut_sealings_change_nothing_that_is_read(
        steps in proptest::collection::vec(a_step(), 1..40),
    ) {
        let limits = Limits { runs_kept: 3, ..small_limits() };
        let model = Database::in_memory(&limits).unwrap();
        let kept = Arc::new(MemoryStore::default());
        let mut db = Some(Database::over(kept.clone(), &limits).unwrap());
        for (now, step) in (T0..).zip(&steps) {
            let open = db.as_ref().unwrap();
            take_step(&model, step, now).unwrap();
            take_step(open, step, now).unwrap();
            match step {
                Step::Seal => open.seal().unwrap(),
                Step::Restart => {
                    drop(db.take());
                    db = Some(Database::over(kept.clone(), &limits).unwrap());
                }
                Step::FailedSeal { writes } => {
                    drop(db.take());
                    let cut = Database::over(Failing::after(kept.clone(), *writes), &limits).unwrap();
                    let before = dump(&cut);
                    if cut.seal().is_err() {
                        prop_assert_eq!(dump(&cut), before, "reads go on after a failed sealing");
                    }
                    drop(cut);
                    db = Some(Database::over(kept.clone(), &limits).unwrap());
                }
                _ => {}
            }
            prop_assert_eq!(dump(db.as_ref().unwrap()), dump(&model), "after {:?}", step);
        }
        let db = db.unwrap();
        db.seal().unwrap();
        prop_assert_eq!(dump(&db), dump(&model));
        for batch in [key("batch-0"), key("batch-1")] {
            let span = T0 + 7 * MINUTE..T0 + 1_100 * MINUTE;
            let mut counted: BTreeMap<SeriesId, (u64, u64)> = BTreeMap::new();
            db.tallies(&batch, &span, |_, series, tally| {
                let (points, over) = counted.entry(series).or_default();
                (*points, *over) = (*points + tally.points(), *over + tally.over(0.6));
            })
            .unwrap();
            for series in db.series(&batch) {
                let rows = db.scores(&batch, &[series.id], span.clone()).unwrap().remove(0).rows;
                let over = rows.iter().filter(|row| row.score >= 0.6).count() as u64;
                let counted = counted.get(&series.id).copied().unwrap_or_default();
                prop_assert_eq!(counted, (rows.len() as u64, over), "a tally counts what is there");
            }
        }
        prop_assert!(kept.tail(0, 1).unwrap().is_empty(), "the log is trimmed");
    }
}

#[test]
fn a_sealed_store_keeps_points_in_blocks_and_nothing_in_the_log() {
    let kept = Arc::new(MemoryStore::default());
    let db = Database::over(kept.clone(), &small_limits()).unwrap();
    let app = key("app");
    let day: Vec<_> = (0..1440).map(|i| (T0 + i * MINUTE, (i % 7) as f64)).collect();
    let names: Vec<_> = (0..20).map(|i| format!("s{i}")).collect();
    let columns: Vec<_> = names.iter().map(|name| (name.as_str(), day.as_slice())).collect();
    db.commit(ingest(&app, T0, &columns)).unwrap();
    db.seal().unwrap();
    assert_eq!(kept.tail(0, 9).unwrap(), []);
    // Four windows of six hours, two stripes.
    assert_eq!(kept.scan(b"b", b"", 99).unwrap().len(), 8);
    let some = [SeriesId(17), SeriesId(3), SeriesId(17)];
    let columns = db.values(&app, &some, T0 + 5 * MINUTE..T0 + 400 * MINUTE).unwrap();
    for column in columns {
        assert_eq!(column.timestamps, day[5..400].iter().map(|(time, _)| *time).collect::<Vec<_>>());
        assert_eq!(column.values, day[5..400].iter().map(|(_, value)| *value).collect::<Vec<_>>());
    }
    // A late point, an overwritten one and a new one meet what is sealed.
    let late = [(T0 + 30, 100.0), (T0 + MINUTE, 200.0), (T0 + 1440 * MINUTE, 300.0)];
    db.commit(ingest(&app, T0 + 1, &[("s3", &late)])).unwrap();
    for _ in 0..2 {
        let column = db.values(&app, &[SeriesId(3)], T0..Millis::MAX).unwrap().remove(0);
        assert_eq!(column.values.len(), 1442);
        assert_eq!(column.values[..4], [0.0, 100.0, 200.0, 2.0]);
        assert_eq!(column.values.last(), Some(&300.0));
        db.seal().unwrap();
    }
}

#[test]
fn replaced_models_leave_no_files_behind() {
    let kept = Arc::new(MemoryStore::default());
    let db = Database::over(kept.clone(), &small_limits()).unwrap();
    let app = key("app");
    for round in 0..3 {
        let models = (0..4).map(|series| model(series, vec![round; 5_000])).collect();
        db.commit(Commit { models, ..Commit::of(run(&app, Job::Train, T0 + Millis::from(round))) }).unwrap();
        db.seal().unwrap();
        assert_eq!(kept.blobs().unwrap().len(), 1);
    }
    let found = db.models(&app, "m", &[SeriesId(3)]).unwrap();
    assert_eq!(found[0].as_ref().unwrap().bytes[..], [2; 5_000]);
    db.delete_batch(&app).unwrap();
    db.seal().unwrap();
    assert_eq!(kept.blobs().unwrap(), []);
}

#[test]
fn a_deleted_batch_leaves_nothing_behind() {
    let kept = Arc::new(MemoryStore::default());
    let db = Database::over(kept.clone(), &small_limits()).unwrap();
    let app = key("app");
    for sealed in [false, true] {
        db.commit(ingest(&app, T0, &[("cpu", &[(T0, 1.0)])])).unwrap();
        db.commit(Commit {
            alerts: vec![alert(&app, "x", AlertPhase::Firing, T0)],
            ..Commit::of(run(&app, Job::Alert, T0))
        })
        .unwrap();
        if sealed {
            db.seal().unwrap();
        }
        db.delete_batch(&app).unwrap();
        db.seal().unwrap();
        let left = kept.scan(b"", b"", 99).unwrap();
        assert!(left.iter().all(|(key, _)| key.starts_with(b"m")), "{left:?}");
    }
}

#[test]
fn a_log_that_has_grown_is_sealed_by_itself() {
    let kept = Arc::new(MemoryStore::default());
    let limits = Limits { store_log_points: 100, ..small_limits() };
    let db = Database::over(kept.clone(), &limits).unwrap();
    let app = key("app");
    for minute in 0..1_000 {
        let at = T0 + minute * MINUTE;
        db.commit(ingest(&app, at, &[("cpu", &[(at, 1.0)])])).unwrap();
    }
    // Dropping waits for the sealing that goes on.
    drop(db);
    assert!(kept.tail(0, 9999).unwrap().len() < 400);
    let db = Database::over(kept, &limits).unwrap();
    assert_eq!(db.values(&app, &[SeriesId(0)], 0..Millis::MAX).unwrap()[0].values.len(), 1_000);
}
