//! A person at a browser: Playwright drives Debian's Chromium through a journey.
//!
//! A journey is a file `tests/browser/NAME.spec.js`. Pictures of the pages that it looks at are
//! kept in `target/browser`, or where `ANOMD_ARTEFACTS` says.

use std::path::Path;
use std::process::Command;

use crate::{program, tools};

/// Takes a journey against the node at `url`; the file sees `facts` as variables. Fails with
/// what Playwright prints; `Err` says which tool is missing.
#[track_caller]
pub fn journey(name: &str, url: &str, facts: &[(&str, &str)]) -> Result<(), String> {
    let playwright = tools().join("browser/node_modules/.bin/playwright");
    if !playwright.exists() {
        return Err("Playwright is missing".to_owned());
    }
    let chromium = program("chromium").ok_or("chromium is missing")?;
    let run = Command::new(playwright)
        .args(["test", &format!("{name}.spec.js")])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("browser"))
        .env("ANOMD_URL", url)
        .env("ANOMD_CHROMIUM", chromium)
        .envs(facts.iter().copied())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "the journey {name} failed:\n{out}\n{err}");
    Ok(())
}
