//! Programs and files that `tests/setup` gets.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The folder that `tests/setup` fills.
pub fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/tools")
}

/// A program of this machine.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Says that a test cannot run here, and why. The test harness swallows what passing tests
/// print, so the line goes into the file that `tests/run` names, too; there it is shown, and
/// counts as a failure in CI.
pub fn skipped(test: &str, why: &str) {
    let line = format!("skipped: {test}: {why}; `tests/setup` gets what is missing\n");
    eprint!("{line}");
    if let Some(file) = std::env::var_os("ANOMD_TEST_SKIPPED") {
        let mut file = OpenOptions::new().create(true).append(true).open(file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}

/// The value of a `Result<T, String>`; where it is missing, the test that this stands in says
/// that it was skipped, and ends.
#[macro_export]
macro_rules! or_skip {
    ($found:expr) => {
        match $found {
            Ok(found) => found,
            Err(why) => {
                let test = std::thread::current().name().unwrap_or("a test").to_owned();
                $crate::skipped(&test, &why);
                return;
            }
        }
    };
}
