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
    let config = open::node_config(global, &environment)?;
    let (catalogue, faults) = node::load_plugins(&config).await?;
    let path = args.path.unwrap_or_else(|| config.batches.clone());
    let (batches, mut problems) = if path.is_dir() {
        config::load_batches(&path, &config, &environment).into_parts()
    } else {
        match config::load_batch(&path, &config, &environment) {
            Ok(batch) => (vec![batch], Problems::default()),
            Err(problems) => (Vec::new(), problems),
        }
    };
    for batch in &batches {
        problems.extend(node::check(batch, &config, &catalogue).await);
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
        output::line(format!(
            "{} batches, {} plugins, {} problems",
            batches.len(),
            catalogue.iter().count(),
            problems.len()
        ));
    }
    if problems.has_errors() {
        return Err(CliError::Config(Problems::default()));
    }
    Ok(())
}
