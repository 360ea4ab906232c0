//! What every storage engine has to fulfil. An engine is tested by adding it to `engines`.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::{Changes, Digest, MemoryStore, SledStore, Store, StoreError};

/// An engine under test; to open it again is to restart it.
trait Engine {
    fn open(&mut self) -> Arc<dyn Store>;
}

struct Memory(Arc<MemoryStore>);

impl Engine for Memory {
    fn open(&mut self) -> Arc<dyn Store> {
        self.0.clone()
    }
}

struct Sled(tempfile::TempDir);

impl Engine for Sled {
    fn open(&mut self) -> Arc<dyn Store> {
        Arc::new(SledStore::open(self.0.path(), 2 << 20).unwrap())
    }
}

fn engines() -> Vec<Box<dyn Engine>> {
    vec![Box::new(Memory(Arc::default())), Box::new(Sled(tempfile::tempdir().unwrap()))]
}

fn changes(writes: &[(&[u8], Option<&[u8]>)]) -> Changes {
    let writes = writes.iter().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
    Changes { writes, expect: Vec::new() }
}

fn keys(store: &dyn Store, prefix: &[u8], from: &[u8], limit: usize) -> Vec<Vec<u8>> {
    store.scan(prefix, from, limit).unwrap().into_iter().map(|(key, _)| key).collect()
}

#[test]
fn keys_are_scanned_in_order_within_prefix_start_and_limit() {
    for mut engine in engines() {
        let store = engine.open();
        let all: [&[u8]; 6] = [b"", b"a", b"a\0", b"ab", b"b", b"\xff\xff"];
        store.commit(&changes(&all.map(|key| (key, Some(key))))).unwrap();
        assert_eq!(keys(&*store, b"", b"", 9), all);
        assert_eq!(keys(&*store, b"a", b"", 9), all[1..4]);
        assert_eq!(keys(&*store, b"a", b"a\0", 9), all[2..4]);
        assert_eq!(keys(&*store, b"a", b"", 2), all[1..3]);
        assert_eq!(keys(&*store, b"a", b"b", 9), [b""; 0]);
        assert_eq!(keys(&*store, b"\xff", b"", 9), all[5..]);
        let many = store.multi_get(&[b"b".to_vec(), b"none".to_vec(), b"".to_vec()]).unwrap();
        assert_eq!(many, [Some(b"b".to_vec()), None, Some(Vec::new())]);
    }
}

#[test]
fn a_commit_whose_expectation_fails_changes_nothing() {
    for mut engine in engines() {
        let store = engine.open();
        store.commit(&changes(&[(b"a", Some(b"1"))])).unwrap();
        for expect in [(b"a".to_vec(), None), (b"a".to_vec(), Some(b"2".to_vec())), (b"b".to_vec(), Some(Vec::new()))] {
            let refused = Changes { expect: vec![expect], ..changes(&[(b"a", None), (b"c", Some(b"3"))]) };
            assert_eq!(store.commit(&refused), Err(StoreError::Changed));
        }
        assert_eq!(store.scan(b"", b"", 9).unwrap(), [(b"a".to_vec(), b"1".to_vec())]);
        let met = vec![(b"a".to_vec(), Some(b"1".to_vec())), (b"b".to_vec(), None)];
        store.commit(&Changes { expect: met, ..changes(&[(b"a", None), (b"a", Some(b"2"))]) }).unwrap();
        assert_eq!(store.get(b"a").unwrap(), Some(b"2".to_vec()));
    }
}

#[test]
fn values_of_any_length_come_back_and_go_whole() {
    for mut engine in engines() {
        for length in [0, 1, 6_999, 7_000, 7_001, 50_000, 300_000, 20_000, 5, 14_000] {
            let value: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
            let store = engine.open();
            store.commit(&changes(&[(b"k", Some(&value)), (b"k\0\0\0\0", Some(b"near"))])).unwrap();
            store.sync_values().unwrap();
            drop(store);
            let store = engine.open();
            assert_eq!(store.get(b"k").unwrap().as_ref(), Some(&value));
            assert_eq!(store.scan(b"k", b"", 9).unwrap().len(), 2);
            assert_eq!(store.scan(b"", b"", 9).unwrap()[0].1, value);
        }
        let store = engine.open();
        store.commit(&changes(&[(b"k", None)])).unwrap();
        assert_eq!(store.scan(b"", b"", 9).unwrap().len(), 1);
    }
}

#[test]
fn the_log_goes_on_where_it_was_and_never_gives_a_number_twice() {
    for mut engine in engines() {
        let store = engine.open();
        let heard = store.subscribe();
        let long = vec![7; 100_000];
        for (sequence, record) in [(1, b"one".as_slice()), (2, b""), (3, &long)] {
            assert_eq!(store.append(record).unwrap(), sequence);
        }
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(store.tail(0, 2).unwrap(), [(1, b"one".to_vec()), (2, Vec::new())]);
        assert_eq!(store.tail(2, 9).unwrap(), [(3, long.clone())]);
        store.trim(2).unwrap();
        assert_eq!(store.tail(0, 9).unwrap(), [(3, long)]);
        store.trim(3).unwrap();
        store.trim(1).unwrap();
        store.sync_log().unwrap();
        drop(store);
        let store = engine.open();
        assert_eq!(store.tail(0, 9).unwrap(), []);
        assert_eq!(store.append(b"four").unwrap(), 4);
        assert_eq!(store.tail(0, 9).unwrap(), [(4, b"four".to_vec())]);
    }
}

#[test]
fn blobs_are_found_by_their_hash_whole_or_in_part() {
    for mut engine in engines() {
        let store = engine.open();
        let bytes: Vec<u8> = (0..200_000).map(|i| (i % 251) as u8).collect();
        let digest = store.put_blob(&bytes, false).unwrap();
        assert_eq!(store.put_blob(&bytes, true).unwrap(), digest);
        assert_eq!(digest, Digest::of(&bytes));
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        drop(store);
        let store = engine.open();
        assert_eq!(store.get_blob(&digest, 10..20).unwrap().as_deref(), Some(&bytes[10..20]));
        assert_eq!(store.get_blob(&digest, 199_990..200_001).unwrap(), None);
        assert_eq!(store.read_blob(&digest).unwrap(), Some(bytes));
        assert_eq!(store.blobs().unwrap(), [digest]);
        store.delete_blob(&digest).unwrap();
        store.delete_blob(&digest).unwrap();
        assert_eq!(store.read_blob(&digest).unwrap(), None);
        assert_eq!(store.blobs().unwrap(), []);
    }
}

/// What is done to an engine.
#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    Append(Vec<u8>),
    Trim(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let key = proptest::collection::vec(0_u8..3, 0..4);
    let bytes = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => (7_000_usize..30_000, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ];
    prop_oneof![
        4 => proptest::collection::vec((key, proptest::option::weighted(0.7, bytes.clone())), 0..8).prop_map(Step::Commit),
        3 => bytes.prop_map(Step::Append),
        1 => (0_u64..30).prop_map(Step::Trim),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn engines_do_as_the_one_in_memory_does(steps in proptest::collection::vec(step(), 1..40)) {
        for mut engine in engines() {
            let (model, mut store) = (MemoryStore::default(), engine.open());
            for step in &steps {
                match step {
                    Step::Commit(writes) => {
                        let changes = Changes { writes: writes.clone(), expect: Vec::new() };
                        model.commit(&changes).unwrap();
                        store.commit(&changes).unwrap();
                    }
                    Step::Append(record) => prop_assert_eq!(store.append(record).unwrap(), model.append(record).unwrap()),
                    Step::Trim(upto) => {
                        model.trim(*upto).unwrap();
                        store.trim(*upto).unwrap();
                    }
                    Step::Restart => {
                        store.sync_values().unwrap();
                        store.sync_log().unwrap();
                        drop(store);
                        store = engine.open();
                    }
                }
                let all = |store: &dyn Store| {
                    let values: BTreeMap<_, _> = store.scan(b"", b"", usize::MAX).unwrap().into_iter().collect();
                    (values, store.tail(0, usize::MAX).unwrap())
                };
                prop_assert_eq!(all(&*store), all(&model));
            }
        }
    }
}
