//! A folder of batch files, read again and again while the node runs.
//!
//! Each `.yaml` and `.yml` file is a batch, except `defaults.yaml`, which lies under all
//! batches of its folder and the folders in it, mapping into mapping. Hidden files and
//! folders are passed over. A faulty file costs only itself: see [`Loaded`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use super::batch_file::{self, BatchFile};
use super::document::Document;
use super::environment::Environment;
pub use super::overrides::Change;
use super::problem::{Problem, Problems, unreadable};
use super::{Batch, Node, overrides};

/// The file that lies under its neighbours.
const DEFAULTS: &str = "defaults.yaml";

/// The folder that `ANOMSTACK_IGNORE_EXAMPLES` leaves out.
const EXAMPLES: &str = "examples";

/// Folders below the batches' folder that are looked into.
const DEPTH: usize = 8;

/// What a folder of batches holds. A file that is in neither map nor set is gone or disabled.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The sound batches, by file.
    pub batches: BTreeMap<PathBuf, Batch>,
    /// Files with errors; the folder itself, if it cannot be read.
    pub faulty: BTreeSet<PathBuf>,
    /// What could be read of faulty files: to look for further faults, never to be run.
    pub drafts: Vec<Batch>,
    /// All errors and warnings, by file and line.
    pub problems: Problems,
}

impl Loaded {
    /// Whether the batch that was read from this file before, if there was one, goes on:
    /// what is there now cannot be used.
    pub fn keeps(&self, path: &Path) -> bool {
        path.ancestors().any(|path| self.faulty.contains(path))
    }

    /// The batches, and all that was found.
    pub fn into_parts(self) -> (Vec<Batch>, Problems) {
        (self.batches.into_values().collect(), self.problems)
    }
}

/// Reads all batches of a folder. Two batches of one name are both refused.
pub fn load_batches(folder: &Path, node: &Node, environment: &Environment) -> Loaded {
    let mut loaded = Loaded::default();
    let files = match files(folder) {
        Ok(files) => files,
        Err(problem) => {
            loaded.faulty.insert(folder.to_owned());
            loaded.problems.push(problem);
            return loaded;
        }
    };
    let examples = folder.join(EXAMPLES);
    let passed_over = |path: &PathBuf| overrides::ignores_examples(environment) && path.starts_with(&examples);
    let (mut names, mut all_named) = (Vec::new(), true);
    for path in files.into_iter().filter(|path| !is_defaults(path) && !passed_over(path)) {
        let (file, problems) = match read_over_defaults(&path, folder, node) {
            Ok(document) => {
                names.extend(overrides::batch_name(&document, environment));
                batch_file::read(document, &path, environment)
            }
            Err(problems) => {
                all_named = false;
                (BatchFile::Faulty(None), problems)
            }
        };
        loaded.problems.extend(problems);
        match file {
            BatchFile::Batch(batch) => drop(loaded.batches.insert(path, *batch)),
            BatchFile::Faulty(draft) => {
                loaded.drafts.extend(draft.map(|draft| *draft));
                loaded.faulty.insert(path);
            }
            BatchFile::Disabled => {}
        }
    }
    refuse_twins(&mut loaded);
    if all_named {
        loaded.problems.extend(overrides::idle(environment, &names));
    }
    loaded
}

/// Reads one batch file as [`load_batches`] would a folder of it alone, disabled or not.
pub fn load_file(path: &Path, node: &Node, environment: &Environment) -> Loaded {
    let mut loaded = Loaded::default();
    let (file, problems) = match read_over_defaults(path, root_of(path, node), node) {
        Ok(document) => batch_file::read_anyway(document, path, environment),
        Err(problems) => (BatchFile::Faulty(None), problems),
    };
    loaded.problems = problems;
    match file {
        BatchFile::Batch(batch) => drop(loaded.batches.insert(path.to_owned(), *batch)),
        BatchFile::Faulty(draft) => loaded.drafts.extend(draft.map(|draft| *draft)),
        BatchFile::Disabled => {}
    }
    loaded
}

/// Reads one batch file, over the defaults beside it. Whoever names a file means it:
/// `disable_batch` keeps a batch out of [`load_batches`] alone.
pub fn load_batch(path: &Path, node: &Node, environment: &Environment) -> Result<Batch, Problems> {
    let document = read_over_defaults(path, root_of(path, node), node)?;
    batch_of(batch_file::read_anyway(document, path, environment))
}

/// Reads a batch file as [`load_batch`] does, with keys laid over it as the command line gives
/// them: `alert_threshold` and `0.7`, as a YAML value. What a place in a mapping is for has its
/// keys with points between them: `tholdalert_thresholds.load`.
pub fn load_changed(
    path: &Path,
    node: &Node,
    environment: &Environment,
    changes: &[Change],
) -> Result<Batch, Problems> {
    let document = read_over_defaults(path, root_of(path, node), node)?;
    batch_of(batch_file::read_changed(document, path, environment, changes))
}

/// The keys in which two batch files differ with what is laid over each, as they are written:
/// no `${NAME}` is replaced, and what may hold a secret is left out. A key that one does not
/// write is `None` there.
pub fn changed_keys(
    one: (&Path, &[Change]),
    other: (&Path, &[Change]),
    node: &Node,
    environment: &Environment,
) -> Result<Vec<ChangedKey>, Problems> {
    let written = |(path, changes): (&Path, &[Change])| -> Result<BTreeMap<String, String>, Problems> {
        let mut document = read_over_defaults(path, root_of(path, node), node)?;
        overrides::apply(&mut document, environment);
        overrides::lay(&mut document, changes);
        let mut leaves = BTreeMap::new();
        leaves_of("", &document.value, &mut leaves);
        Ok(leaves)
    };
    let (one, other) = (written(one)?, written(other)?);
    let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differs = keys.into_iter().filter(|key| one.get(*key) != other.get(*key));
    Ok(differs.map(|key| (key.clone(), one.get(key).cloned(), other.get(key).cloned())).collect())
}

/// A key and what two files say of it.
pub type ChangedKey = (String, Option<String>, Option<String>);

/// Keys that may hold a secret, or say nothing of what is an alert.
fn is_private(key: &str) -> bool {
    key == "secrets" || key == "metric_batch" || (key.ends_with("_params") && key != "preprocess_params")
}

fn leaves_of(at: &str, value: &Value, leaves: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter().filter(|(name, _)| !(at.is_empty() && is_private(name))) {
                leaves_of(&if at.is_empty() { name.clone() } else { format!("{at}.{name}") }, value, leaves);
            }
        }
        Value::String(text) => drop(leaves.insert(at.to_owned(), text.clone())),
        other => drop(leaves.insert(at.to_owned(), other.to_string())),
    }
}

/// Reads a batch from a text that is called `path`.
pub fn load_batch_text(path: &Path, text: &str, environment: &Environment) -> Result<Batch, Problems> {
    batch_of(batch_file::read_anyway(Document::parse(path, text)?, path, environment))
}

/// Reads a batch of a hosted tenant from a text, disabled or not; `environment` is the
/// tenant's own.
pub fn load_hosted_text(name: &str, text: &str, environment: &Environment) -> Result<Batch, Problems> {
    let path = PathBuf::from(format!("{}/{name}.yaml", environment.tenant()));
    load_batch_text(&path, text, environment)
}

/// The name that the text of a batch gives it, as far as it can be read.
pub fn named_in(text: &str) -> Option<String> {
    let document = Document::parse(Path::new("batch.yaml"), text).ok()?;
    Some(document.value.get("metric_batch")?.as_str()?.to_owned())
}

/// A digest of each YAML file of a folder: equal as long as nothing changes. Files that
/// cannot be read are left out; loading tells why.
pub fn fingerprint(folder: &Path) -> BTreeMap<PathBuf, String> {
    let files = files(folder).unwrap_or_default();
    let digest = |path: PathBuf| {
        let bytes = std::fs::read(&path).ok()?;
        Some((path, super::digest::hex(&Sha256::digest(bytes))))
    };
    files.into_iter().filter_map(digest).collect()
}

/// The folder up to which defaults are looked for.
fn root_of<'a>(path: &'a Path, node: &'a Node) -> &'a Path {
    let beside = path.parent().unwrap_or(Path::new(""));
    if beside.starts_with(&node.batches) { &node.batches } else { beside }
}

fn batch_of((file, problems): (BatchFile, Problems)) -> Result<Batch, Problems> {
    match file {
        BatchFile::Batch(batch) => Ok(*batch),
        BatchFile::Disabled | BatchFile::Faulty(_) => Err(problems),
    }
}

fn read_over_defaults(path: &Path, root: &Path, node: &Node) -> Result<Document, Problems> {
    let mut document = Document::read(path, node.limits.config_bytes)?;
    if document.value.is_null() {
        // Laid over defaults it would become a batch that nobody wrote.
        return Ok(document);
    }
    let folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(root));
    for defaults in folders.map(|folder| folder.join(DEFAULTS)).filter(|defaults| defaults.exists()) {
        document = document.over(Document::read(&defaults, node.limits.config_bytes)?);
    }
    Ok(document)
}

fn files(folder: &Path) -> Result<BTreeSet<PathBuf>, Problem> {
    std::fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    // The folders of a mounted Kubernetes ConfigMap begin with "..": hidden, and the files
    // beside them lead into them.
    let shown = |entry: &walkdir::DirEntry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.');
    let entries = WalkDir::new(folder).follow_links(true).max_depth(DEPTH).into_iter().filter_entry(shown);
    let files = entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
    let yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    Ok(files.map(walkdir::DirEntry::into_path).filter(yaml).collect())
}

fn is_defaults(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == DEFAULTS)
}

fn refuse_twins(loaded: &mut Loaded) {
    let mut files_of: BTreeMap<_, Vec<&Path>> = BTreeMap::new();
    for (path, batch) in &loaded.batches {
        files_of.entry(batch.key.clone()).or_default().push(path);
    }
    let mut twins = Vec::new();
    for (key, files) in files_of.iter().filter(|(_, files)| files.len() > 1) {
        for path in files {
            let others: Vec<_> =
                files.iter().filter(|other| *other != path).map(|other| other.display().to_string()).collect();
            twins.push((
                path.to_path_buf(),
                format!("\"{}\" is also the name of the batch in {}", key.batch, others.join(", ")),
            ));
        }
    }
    for (path, message) in twins {
        if let Some(batch) = loaded.batches.remove(&path) {
            let remedy = "give each batch its own name, or write disable_batch: true into one of them";
            loaded.problems.push(batch.error_at("/metric_batch", message, remedy));
        }
        loaded.faulty.insert(path);
    }
}
