//! What `SECURITY.md` says of the code.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test says what it expects")]

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

/// A link whose text is code names a test in the file that it leads to.
#[test]
fn each_line_of_defence_names_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let link = Regex::new(r"\[(`?)([^`\]]+)`?\]\(([^)]+)\)").unwrap();
    let mut tests = 0;
    for found in link.captures_iter(&page) {
        let (text, target) = (&found[2], root.join(&found[3]));
        assert!(target.exists(), "{text} leads to {}, which is not there", &found[3]);
        if !found[1].is_empty() && target.is_file() {
            let source = fs::read_to_string(&target).unwrap();
            assert!(source.contains(&format!("fn {text}(")), "there is no test {text} in {}", &found[3]);
            tests += 1;
        }
    }
    assert!(tests >= 20, "only {tests} tests are named");
}

#[test]
fn code_that_the_compiler_does_not_check_stands_where_compiled_components_are_loaded() {
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
