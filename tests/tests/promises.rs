//! What docs/promises.md names is there: each test, file and promise; and each test of a bug in
//! docs/anomstack.md.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
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
}

/// The numbers and names of tests of bugs in a text: `b7_` and what follows it.
fn tests_of_bugs<'a>(text: &'a str, before: &str) -> BTreeSet<(u32, &'a str)> {
    let named = text.split(before).skip(1).filter_map(|after| {
        let name = after.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
        let (number, _) = name.strip_prefix('b')?.split_once('_')?;
        Some((number.parse().ok()?, name))
    });
    named.collect()
}

#[test]
fn each_of_the_23_bugs_has_a_test_and_the_documentation_names_them_all() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (document, sources) = (fs::read_to_string(root.join("docs/anomstack.md")).unwrap(), sources(&root));
    let written = tests_of_bugs(&sources, "fn ");
    assert_eq!(tests_of_bugs(&document, "`"), written);
    assert!(written.iter().map(|(bug, _)| *bug).collect::<BTreeSet<_>>().into_iter().eq(1..=23));
}
