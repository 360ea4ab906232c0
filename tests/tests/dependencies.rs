//! What we are built of: licences, crates that we do without, and where crates come from.
//! What is known to be vulnerable `make audit` tells, since it changes without us.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anomd_tests::{or_skip, program, tools};
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What cargo-deny says of a workspace by our rules.
fn deny(manifest: &Path) -> Result<Output, String> {
    let program = tools().join("rust/bin/cargo-deny");
    if !program.is_file() {
        return Err("there is no cargo-deny".to_owned());
    }
    let mut command = Command::new(program);
    command.args(["--locked", "--color", "never", "--config"]).arg(root().join("deny.toml"));
    command.arg("--manifest-path").arg(manifest).args(["check", "licenses", "bans", "sources"]);
    Ok(command.output().unwrap())
}

#[track_caller]
fn clean(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let verdict = String::from_utf8_lossy(&output.stdout);
    for check in ["licenses ok", "bans ok", "sources ok"] {
        assert!(verdict.contains(check), "{verdict}{said}");
    }
}

#[test]
fn the_host_is_built_of_crates_that_our_rules_allow() {
    clean(&or_skip!(deny(&root().join("Cargo.toml"))));
}

#[test]
fn the_plugins_are_built_of_crates_that_our_rules_allow() {
    clean(&or_skip!(deny(&root().join("plugins/Cargo.toml"))));
}

#[test]
fn a_licence_that_is_not_listed_is_refused() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let crate_of = |name: &str, licence: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2024\"\nlicense = \"{licence}\"\n")
    };
    fs::create_dir_all(folder.path().join("src")).unwrap();
    fs::create_dir_all(folder.path().join("copyleft/src")).unwrap();
    write("src/lib.rs", "");
    write("copyleft/src/lib.rs", "");
    write("copyleft/Cargo.toml", &crate_of("copyleft", "GPL-3.0-only"));
    write("Cargo.toml", &format!("{}[dependencies]\ncopyleft = {{ path = \"copyleft\" }}\n", crate_of("ours", "MIT")));
    let locked = Command::new("cargo").args(["generate-lockfile", "--offline"]).current_dir(folder.path()).output();
    assert!(locked.unwrap().status.success());

    let output = or_skip!(deny(&folder.path().join("Cargo.toml")));
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("GPL-3.0") && said.contains("copyleft"), "{said}");
}

#[test]
fn what_pages_load_of_others_is_what_npm_has_published() {
    or_skip!(program("npm").ok_or("there is no npm".to_owned()));
    let checked = Command::new(root().join("tests/vendor")).arg("--check").output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
