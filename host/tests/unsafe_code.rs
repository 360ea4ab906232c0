//! Code that the compiler does not check stands in one place, which `SECURITY.md` names.

#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn it_stands_once_and_where_compiled_components_are_loaded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(root, &mut files);
    let used = Regex::new(concat!(r"\bun", r"safe\s*(\{|\(|fn\b|impl\b|trait\b|extern\b)")).unwrap();
    let mut found = Vec::new();
    for file in files {
        for line in fs::read_to_string(&file).unwrap().lines() {
            let code = line.split("//").next().unwrap_or_default();
            if used.is_match(code) {
                found.push(file.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    assert_eq!(found, ["src/engine/cache.rs"]);
}
