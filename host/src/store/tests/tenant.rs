//! Tenants: each has a space of its own, which is bounded and ends as a whole.

use std::sync::Arc;

use super::*;
use crate::config::Quotas;

/// What the record of a tenant says here.
const RECORD: u32 = 7;

fn of(tenant: &str, batch: &str) -> BatchKey {
    BatchKey { tenant: tenant.to_owned(), batch: batch.to_owned() }
}

/// A tenant with something of every kind.
fn fill(db: &Database, tenant: &str) {
    let key = of(tenant, "orders");
    db.write_tenant(tenant, &RECORD).unwrap();
    db.commit(ingest(&key, T0, &[("cpu", &[(T0, 1.0), (T0 + MINUTE, 2.0)])])).unwrap();
    // Longer than what stands in the log, and other bytes in each tenant: so a blob of its own.
    let bytes = tenant.as_bytes().repeat(2_000);
    let commit = Commit {
        models: vec![model(0, bytes)],
        scores: vec![(SeriesId(0), ScoreColumn { rows: vec![score_row(T0, 0.9, &[("drift", 0.5)])] })],
        alerts: vec![alert(&key, "open", AlertPhase::Firing, T0), alert(&key, "over", AlertPhase::Resolved, T0)],
        watched: vec![(SeriesId(0), vec![1, 2])],
        documents: vec![DocumentWrite::of(DocumentKind::Silence, "s", &1)],
        ..Commit::of(run(&key, Job::Train, T0))
    };
    db.commit(commit).unwrap();
    let told = BatchKey::of_tenant(tenant);
    let deliveries = vec![delivery(&told, "d1", "queued"), delivery(&told, "d2", "sent")];
    db.commit(Commit { deliveries, ..Commit::of(run(&told, Job::Notify, T0)) }).unwrap();
    db.kv_put(tenant, "prometheus", "cursor", vec![1], 100).unwrap();
    db.write_documents(tenant, vec![DocumentWrite::of(DocumentKind::Batch, "orders", &"metric_batch: orders")])
        .unwrap();
}

/// Everything that an engine holds, as text.
fn contents(store: &dyn Store) -> Vec<String> {
    let pairs = store.scan(&[], &[], usize::MAX).unwrap();
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let log = store.tail(0, usize::MAX).unwrap().into_iter().map(|(_, record)| text(&record));
    pairs.iter().map(|(key, value)| format!("{} {}", text(key), text(value))).chain(log).collect()
}

#[test]
fn one_deletion_leaves_no_key_no_blob_and_no_record_of_a_tenant() {
    for sealed in [false, true] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let db = Database::over(store.clone(), &small_limits()).unwrap();
        fill(&db, "shop");
        fill(&db, "warehouse");
        if sealed {
            db.seal().unwrap();
        }
        let kept = dump(&db).lines().filter(|line| line.contains("warehouse")).count();
        assert_eq!(store.blobs().unwrap().len(), 2);

        db.delete_tenant("shop").unwrap();
        let left: Vec<_> = contents(&*store).into_iter().filter(|line| line.contains("shop")).collect();
        assert_eq!(left, [""; 0], "sealed before: {sealed}");
        assert_eq!(store.blobs().unwrap(), [Digest::of(&"warehouse".as_bytes().repeat(2_000))]);
        assert_eq!(db.batches(), [of("warehouse", "orders")]);
        assert_eq!(db.tenants::<u32>().unwrap(), [("warehouse".to_owned(), RECORD)]);
        assert_eq!(db.kv_get("warehouse", "prometheus", "cursor").unwrap(), Some(vec![1]));
        assert_eq!(dump(&db).lines().filter(|line| line.contains("warehouse")).count(), kept);
        let before = dump(&db);
        drop(db);
        assert_eq!(dump(&Database::over(store, &small_limits()).unwrap()), before);
    }
}

#[test]
fn what_comes_late_for_a_deleted_tenant_is_refused_until_it_is_made_again() {
    let db = Database::in_memory(&small_limits()).unwrap();
    fill(&db, "shop");
    db.delete_tenant("shop").unwrap();
    assert!(db.commit(ingest(&of("shop", "orders"), T0, &[("cpu", &[(T0, 1.0)])])).is_err());
    assert!(db.kv_put("shop", "prometheus", "cursor", vec![1], 100).is_err());
    assert!(db.write_documents("shop", vec![DocumentWrite::of(DocumentKind::Silence, "s", &1)]).is_err());
    assert_eq!((db.batches(), db.tenants::<u32>().unwrap().len()), (Vec::new(), 0));
    db.set_quotas("shop", Quotas::default());
    fill(&db, "shop");
    assert_eq!(db.batches_of("shop"), [of("shop", "orders")]);
}

#[test]
fn a_tenant_is_held_to_its_series_its_samples_and_what_its_plugins_keep() {
    let db = Database::in_memory(&small_limits()).unwrap();
    let quotas = Quotas { series: Some(2), samples_per_day: Some(3), kv_bytes: Some(10), ..Quotas::default() };
    db.set_quotas("shop", quotas);
    let (one, two) = (of("shop", "one"), of("shop", "two"));
    db.commit(ingest(&one, T0, &[("a", &[(T0, 1.0)])])).unwrap();
    db.commit(ingest(&two, T0, &[("a", &[(T0, 1.0)])])).unwrap();
    let refused = |commit| db.commit(commit).unwrap_err().to_string();
    let third = refused(ingest(&two, T0 + MINUTE, &[("b", &[(T0, 1.0)])]));
    assert!(third.starts_with("tenant shop: it would have 3 series (its quota series): the limit is 2."), "{third}");
    let many = refused(ingest(&two, T0 + MINUTE, &[("a", &[(T0 + MINUTE, 1.0), (T0 + 2 * MINUTE, 1.0)])]));
    assert!(many.contains("its samples of this day would be 4 (its quota samples_per_day)"), "{many}");
    assert_eq!(db.samples_on_day("shop", T0).unwrap(), 2);
    let next_day = T0 + 24 * 60 * MINUTE;
    db.commit(ingest(&two, next_day, &[("a", &[(T0 + MINUTE, 1.0), (T0 + 2 * MINUTE, 1.0)])])).unwrap();

    db.kv_put("shop", "p", "k", vec![0; 5], 100).unwrap();
    let kept = db.kv_put("shop", "q", "k", vec![0; 5], 100).unwrap_err().to_string();
    assert!(kept.contains("its plugins would keep 12 bytes (its quota kv_bytes): the limit is 10"), "{kept}");
    assert!(db.bytes_of("shop").unwrap() > 0);
    // Another tenant is held to nothing of it.
    let other = of("other", "one");
    db.commit(ingest(&other, T0, &[("a", &[(T0, 1.0)]), ("b", &[(T0, 1.0)]), ("c", &[(T0, 1.0)])])).unwrap();
}

#[test]
fn the_samples_of_a_day_are_counted_over_a_restart() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let quotas = Quotas { samples_per_day: Some(2), ..Quotas::default() };
    let key = of("shop", "one");
    for restart in 0..2 {
        let db = Database::over(store.clone(), &small_limits()).unwrap();
        db.set_quotas("shop", quotas);
        let at = T0 + restart * MINUTE;
        db.commit(ingest(&key, at, &[("a", &[(at, 1.0)])])).unwrap();
    }
    let db = Database::over(store, &small_limits()).unwrap();
    db.set_quotas("shop", quotas);
    let at = T0 + 2 * MINUTE;
    assert!(matches!(db.commit(ingest(&key, at, &[("a", &[(at, 1.0)])])), Err(StoreError::Quota { .. })));
}
