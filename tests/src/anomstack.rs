//! Anomstack's example files: their keys and values, written anew in `tests/anomstack`.

use std::path::Path;

/// An example, as Anomstack has it: its source is Python or SQL.
#[derive(Clone, Debug)]
pub struct Example {
    /// The file's name without its end.
    pub name: String,
    /// What is in it.
    pub text: String,
}

impl Example {
    /// The file after the one edit that it needs: `lines`, an `ingest_fn` with its
    /// `ingest_params` say, in place of the source, which stands last.
    pub fn with_source(&self, lines: &str) -> String {
        let is_source = |line: &&str| line.starts_with("ingest_fn:") || line.starts_with("ingest_sql:");
        let kept = self.text.lines().take_while(|line| !is_source(line));
        kept.chain(lines.lines()).flat_map(|line| [line, "\n"]).collect()
    }
}

/// All of them, by name.
pub fn examples() -> Vec<Example> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/anomstack");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut examples: Vec<Example> = files
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .map(|path| Example {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            text: std::fs::read_to_string(&path).unwrap(),
        })
        .collect();
    examples.sort_by(|a, b| a.name.cmp(&b.name));
    examples
}
