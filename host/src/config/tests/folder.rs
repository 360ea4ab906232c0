//! Folders of batches: what lies under what, and what a fault costs.

use super::*;

#[test]
fn defaults_lie_under_the_batches_of_their_folder_and_below() {
    let folder = Folder::new(&[
        (
            "defaults.yaml",
            "alert_threshold: 0.9\ningest_params: {url: 'http://a', headers: {X: '1'}}\nalert_methods: [slack]\n",
        ),
        ("one.yaml", "metric_batch: one\ningest_fn: prometheus\ningest_params: {headers: {Y: '2'}}\n"),
        ("team/defaults.yaml", "ingest_params: {url: 'http://b'}\n"),
        ("team/two.yml", "metric_batch: two\ningest_fn: prometheus\nalert_threshold: 0.5\nalert_methods: []\n"),
        ("team/.hidden/three.yaml", "metric_batch: one\ningest_fn: prometheus\n"),
        ("notes.txt", "not a batch"),
    ]);
    let loaded = folder.load(&Environment::default());
    assert_eq!(folder.problems(&loaded.problems), "");
    let one = &loaded.batches[&folder.path("one.yaml")];
    assert_eq!(one.ingest.config, json!({"url": "http://a", "headers": {"X": "1", "Y": "2"}}));
    assert_eq!((one.alert.threshold, one.alert.notifiers.len()), (0.9, 1));
    assert_eq!(one.spans.locate("/ingest_params/url").file, folder.path("defaults.yaml"));
    assert_eq!(one.spans.locate("/ingest_params/headers/Y").file, folder.path("one.yaml"));
    let two = &loaded.batches[&folder.path("team/two.yml")];
    assert_eq!(two.ingest.config, json!({"url": "http://b", "headers": {"X": "1"}}));
    assert_eq!((two.alert.threshold, two.alert.notifiers.len()), (0.5, 0));
    assert_eq!(loaded.batches.len(), 2);
}

/// Kubernetes mounts a ConfigMap as links into a hidden folder, which it replaces as a whole.
#[cfg(unix)]
#[test]
fn a_mounted_config_map_is_read_once() {
    let folder = Folder::new(&[("..2026_01_01/small.yaml", SMALL)]);
    std::os::unix::fs::symlink("..2026_01_01", folder.path("..data")).unwrap();
    std::os::unix::fs::symlink("..data/small.yaml", folder.path("small.yaml")).unwrap();
    let loaded = folder.load(&Environment::default());
    assert_eq!(loaded.batches.keys().collect::<Vec<_>>(), [&folder.path("small.yaml")]);
    assert_eq!(fingerprint(folder.dir.path()).len(), 1);
}

#[test]
fn a_fault_in_the_defaults_is_told_once_and_where_it_is() {
    let folder = Folder::new(&[
        ("defaults.yaml", "\nalert_threshold: 8\n"),
        ("one.yaml", "metric_batch: one\ningest_fn: prometheus\n"),
        ("two.yaml", "metric_batch: two\ningest_fn: prometheus\n"),
        ("three.yaml", "metric_batch: three\ningest_fn: prometheus\nalert_threshold: 0.8\n"),
    ]);
    let loaded = folder.load(&Environment::default());
    assert_eq!(
        folder.problems(&loaded.problems),
        "defaults.yaml:2:1: alert_threshold (/alert_threshold): 8 is out of range; write a number from 0 to 1"
    );
    assert_eq!(loaded.batches.keys().collect::<Vec<_>>(), [&folder.path("three.yaml")]);
}

#[test]
fn a_faulty_file_costs_only_itself_and_what_was_there_goes_on() {
    let folder = Folder::new(&[
        ("good.yaml", SMALL),
        ("bad.yaml", "metric_batch: bad\n"),
        ("off.yaml", "disable_batch: true\nx: ${UNSET}\n"),
    ]);
    let loaded = folder.load(&Environment::default());
    assert_eq!(loaded.batches.keys().collect::<Vec<_>>(), [&folder.path("good.yaml")]);
    assert!(loaded.keeps(&folder.path("bad.yaml")));
    assert!(
        !loaded.keeps(&folder.path("good.yaml"))
            && !loaded.keeps(&folder.path("off.yaml"))
            && !loaded.keeps(&folder.path("gone.yaml"))
    );

    let nowhere = load_batches(&folder.path("nowhere"), &folder.node, &Environment::default());
    assert!(nowhere.keeps(&folder.path("nowhere/any.yaml")));
    assert!(nowhere.problems.to_string().contains("cannot be read"));
}

#[test]
fn a_fingerprint_changes_with_what_a_file_says_and_with_nothing_else() {
    let folder = Folder::new(&[("a.yaml", SMALL), ("sub/defaults.yaml", ""), ("notes.txt", "")]);
    let before = fingerprint(folder.dir.path());
    assert_eq!(before.keys().collect::<Vec<_>>(), [&folder.path("a.yaml"), &folder.path("sub/defaults.yaml")]);
    folder.write("a.yaml", SMALL);
    folder.write("notes.txt", "more");
    assert_eq!(fingerprint(folder.dir.path()), before);
    folder.write("a.yaml", "metric_batch: other\n");
    let after = fingerprint(folder.dir.path());
    assert_ne!(after[&folder.path("a.yaml")], before[&folder.path("a.yaml")]);
    assert_eq!(after[&folder.path("sub/defaults.yaml")], before[&folder.path("sub/defaults.yaml")]);
}

#[test]
fn a_batch_that_is_disabled_is_read_when_it_is_named() {
    let folder = Folder::new(&[("off.yaml", "metric_batch: off\ningest_fn: prometheus\ndisable_batch: true\n")]);
    assert!(folder.load(&Environment::default()).batches.is_empty());
    let batch = load_batch(&folder.path("off.yaml"), &folder.node, &Environment::default()).unwrap();
    assert_eq!(batch.key.batch, "off");
}

#[test]
fn a_file_that_is_too_large_or_no_file_is_refused() {
    let folder = Folder::new(&[("big.yaml", &format!("{SMALL}# {}", "x".repeat(1 << 20)))]);
    let fault = load_batch(&folder.path("big.yaml"), &folder.node, &Environment::default()).unwrap_err();
    assert!(fault.to_string().contains("raise limits.config_bytes in anomd.yaml"), "{fault}");
    let fault = load_batch(folder.dir.path(), &folder.node, &Environment::default()).unwrap_err();
    assert!(fault.to_string().contains("is not a file"), "{fault}");
}
