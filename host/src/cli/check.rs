//! `anomd check`: everything that can be known before something runs.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, Global, open, output};
use crate::config::{self, Environment, Problems};
use crate::node;

#[derive(Args)]
pub(super) struct CheckArgs {
    /// A batch file, or a folder of them, instead of the node's own.
    path: Option<PathBuf>,
}

pub(super) async fn check(global: &Global, args: CheckArgs) -> Result<(), CliError> {
    let environment = Environment::of_process();
    let mut config = open::node_config(global, &environment)?;
    // Compiled plugins are kept beside the store; where there is none yet, none is begun.
    let folder = tempfile::tempdir()?;
    if !config.data.is_dir() {
        config.data = folder.path().to_owned();
    }
    let (catalogue, faults) = node::load_plugins(&config).await?;
    let path = args.path.unwrap_or_else(|| config.batches.clone());
    let loaded = if path.is_dir() {
        config::load_batches(&path, &config, &environment)
    } else {
        config::load_file(&path, &config, &environment)
    };
    let mut problems = loaded.problems;
    problems.extend(node::check_receivers(&config, &catalogue).await);
    for batch in loaded.batches.values().chain(&loaded.drafts) {
        let found = node::check(batch, &problems, &config, &catalogue).await;
        problems.extend(found);
    }
    if global.json {
        output::json(&problems)?;
    } else {
        for fault in &faults {
            eprintln!("{fault}");
        }
        if !problems.is_empty() {
            eprintln!("{problems}");
        }
        let (batches, plugins) = (loaded.batches.len() + loaded.drafts.len(), catalogue.iter().count());
        output::line(format!("{batches} batches, {plugins} plugins, {} problems", problems.len()));
    }
    if problems.has_errors() {
        return Err(CliError::Config(Problems::default()));
    }
    Ok(())
}
