//! The layers of the house: each module uses only those below it.

#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

use std::fs;
use std::path::{Path, PathBuf};

/// From the top to the bottom.
const LAYERS: [&str; 18] = [
    "main",
    "cli",
    "demo",
    "eval",
    "web",
    "node",
    "schedule",
    "pipeline",
    "desk",
    "alert",
    "plugin",
    "capability",
    "engine",
    "store",
    "config",
    "message",
    "fault",
    "series",
];

/// `schedule::Clock` and `schedule::Instants` are values that are passed down.
const PASSED_DOWN: [(&str, &str); 1] = [("pipeline", "schedule")];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_import_runs_up_the_house() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let rank = |layer: &str| LAYERS.iter().position(|l| *l == layer);
    let mut wrong = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&root).unwrap();
        let first = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        let Some(own) = rank(&first) else {
            assert_eq!(first, "lib", "{} is in no layer: add it to the list", relative.display());
            continue;
        };
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for used in code.split("crate::").skip(1) {
                let used: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let above = rank(&used).is_some_and(|used| used < own);
                if above && !PASSED_DOWN.contains(&(first.as_str(), used.as_str())) {
                    wrong.push(format!("{}:{}: {first} uses {used}", relative.display(), number + 1));
                }
            }
            let generated = code.contains("bindgen!") || code.contains("exports::anomd");
            if generated && !relative.starts_with("plugin/v0_1") {
                wrong.push(format!("{}:{}: bindings outside plugin/v0_1", relative.display(), number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where something leaves the process: requests and mail of plugins, and the command line's
/// questions to the node on this machine.
const WAYS_OUT: [&str; 3] = ["capability/http/connect.rs", "capability/http/resolve.rs", "cli/door.rs"];

#[test]
fn names_are_looked_up_and_connections_opened_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let ways =
        ["TcpStream::connect", "TcpSocket", "UdpSocket", "UnixStream::connect", "lookup_host", "to_socket_addrs"];
    let ways = ways.into_iter().chain(["reqwest::Client", "AsyncSmtpTransport", "SmtpTransport::", "legacy::Client"]);
    let mut wrong = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&file).unwrap();
        // Tests connect to their own servers.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let is_test = relative.contains("/tests/") || relative.ends_with("/fakes.rs");
        if is_test || WAYS_OUT.contains(&relative.as_str()) {
            continue;
        }
        wrong.extend(ways.clone().filter(|way| code.contains(way)).map(|way| format!("{relative}: {way}")));
    }
    assert!(wrong.is_empty(), "use `capability::http`, whose checks these pass by:\n{}", wrong.join("\n"));
}
