//! The binary, as a user runs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Server, tools, until};

/// What a command has of the environment of the tests; the last are how `tests/hours` sets its clock.
const KEPT: [&str; 7] = ["PATH", "HOME", "TMPDIR", "LD_PRELOAD", "FAKETIME", "DONT_FAKE_MONOTONIC", "NO_FAKE_STAT"];

/// A node: a folder with `anomd.yaml`, `batches/`, `plugins/` and `data/`, and the environment
/// that its commands see.
#[derive(Debug)]
pub struct Anomd {
    home: TempDir,
    environment: BTreeMap<String, String>,
}

/// What a command did.
#[derive(Debug)]
pub struct Output {
    /// The exit code; `None` if it was killed.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in the output of {self:#?}"))
    }

    /// Fails the test unless the command did what was asked.
    #[track_caller]
    pub fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }
}

impl Anomd {
    /// An empty node, whose failed calls are tried again at once.
    pub fn new() -> Self {
        let home = TempDir::new().unwrap();
        for folder in ["batches", "plugins", "data"] {
            std::fs::create_dir(home.path().join(folder)).unwrap();
        }
        // Compiling a component takes seconds; what one node compiled serves the next.
        let cache = tools().join("cache");
        std::fs::create_dir_all(&cache).unwrap();
        std::os::unix::fs::symlink(&cache, home.path().join("data/cache")).unwrap();
        let node = Self { home, environment: BTreeMap::new() };
        node.config("");
        node
    }

    /// The node's folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Writes the node's file, with short waits between tries added to it.
    pub fn config(&self, yaml: &str) {
        let limits = "limits:\n  retry_first_ms: 20\n  retry_longest_ms: 200\n";
        std::fs::write(self.home().join("anomd.yaml"), format!("plugins: plugins\n{limits}{yaml}")).unwrap();
    }

    /// Writes a batch file; returns the batch's name.
    pub fn batch<'a>(&self, name: &'a str, yaml: &str) -> &'a str {
        let file = self.home().join(format!("batches/{name}.yaml"));
        std::fs::write(file, format!("metric_batch: {name}\n{yaml}")).unwrap();
        name
    }

    /// Drops a component into the plugin folder.
    pub fn plugin(&self, component: &Path) {
        let name = component.file_name().unwrap();
        std::fs::copy(component, self.home().join("plugins").join(name)).unwrap();
    }

    /// Sets a variable for the commands to come.
    pub fn variable(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// A command of the binary, which sees little of the environment of the tests.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.home()).stdin(Stdio::null()).env_clear();
        command.envs(std::env::vars_os().filter(|(name, _)| KEPT.iter().any(|kept| name == kept)));
        command.envs(&self.environment);
        command
    }

    /// Runs a command.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Output { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Runs a command that must do what it is asked, and reads the JSON that it prints.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        self.run(&arguments).done().json()
    }

    /// Starts `anomd serve` and waits until it listens: the server and its address.
    pub fn serve(&self) -> (Server, String) {
        std::fs::remove_file(self.log()).ok();
        let mut server = Server::start(&mut self.command(&["serve", "--listen", "127.0.0.1:0"]), &self.log());
        let url = until("anomd listens", || {
            if let Some(log) = server.ended() {
                panic!("anomd has ended: {log}");
            }
            let printed = server.printed();
            let (_, after) = printed.rsplit_once(" on http://")?;
            Some(format!("http://{}", after.split_once('\n')?.0))
        });
        (server, url)
    }

    /// The token of the node that serves, which its operator can read.
    pub fn operator(&self) -> String {
        let text = std::fs::read_to_string(self.home().join("data/node.json")).unwrap();
        let node: Value = serde_json::from_str(&text).unwrap();
        node["token"].as_str().unwrap().to_owned()
    }

    /// What the last `anomd serve` printed.
    pub fn log(&self) -> PathBuf {
        self.home().join("serve.log")
    }

    /// The rows of `anomd query BATCH --what WHAT`, all of them.
    #[track_caller]
    pub fn query(&self, batch: &str, what: &str) -> Vec<Value> {
        let rows = self.json(&["query", batch, "--what", what, "--last", "1000000"]);
        rows.as_array().unwrap_or_else(|| panic!("no list: {rows}")).clone()
    }
}

impl Default for Anomd {
    fn default() -> Self {
        Self::new()
    }
}

/// The binary that was built beside this test.
fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(Path::parent).unwrap().join("anomd");
    assert!(binary.is_file(), "{} is not there: run `cargo build -p anomd`, or `make test`", binary.display());
    binary
}
