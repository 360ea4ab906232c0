//! What docs/promises.md names is there: each test, file and promise.

#![expect(clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// The texts of all tests and sources.
fn sources(root: &Path) -> String {
    let mut folders: Vec<PathBuf> = ["host", "plugins", "tests"].map(|folder| root.join(folder)).into();
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target" && name != "dist") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    text
}

#[test]
fn every_promise_is_kept_where_it_is_said_to_be() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = fs::read_to_string(root.join("docs/promises.md")).unwrap();
    let sources = sources(&root);
    let mut promises = 0;
    for line in document.lines().filter(|line| line.starts_with("| S")) {
        promises += 1;
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells[0], format!("S{promises}"));
        let shown = cells[2];
        for name in shown.split('`').skip(1).step_by(2) {
            let is_test = name.contains('_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if name.contains('/') {
                assert!(root.join(name).exists(), "{}: there is no {name}", cells[0]);
            } else if is_test && !name.starts_with("demo_") {
                assert!(sources.contains(&format!("fn {name}(")), "{}: there is no test {name}", cells[0]);
            }
        }
        assert!(!shown.is_empty(), "{line}");
    }
    assert_eq!(promises, 68);

    for bug in 1..=23 {
        assert!(sources.contains(&format!("fn b{bug}_")), "bug B{bug} of Anomstack has no test");
    }
}
