//! What most commands begin with: the node's file, the store, the batches.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{CliError, Global};
use crate::config::{self, Batch, Environment, Node as NodeConfig};
use crate::node::Node;
use crate::schedule::Clock;
use crate::store::Database;

/// The node's file with what the command line says instead.
pub fn node_config(global: &Global, environment: &Environment) -> Result<NodeConfig, CliError> {
    let mut config = config::load_node(global.config.as_deref(), environment)?;
    if let Some(data) = &global.data {
        config.data.clone_from(data);
    }
    if let Some(batches) = &global.batches {
        config.batches.clone_from(batches);
    }
    Ok(config)
}

/// The store of a command that makes none.
pub fn store_of(config: &NodeConfig) -> Result<Database, CliError> {
    if !config.data.is_dir() {
        return Err(CliError::Usage(format!(
            "there is no store in {}: run `anomd serve` or `anomd run` first, or name its folder with --data",
            config.data.display()
        )));
    }
    Ok(Database::open(&config.data, &config.limits)?)
}

/// A whole node. Plugins that do not load are told, and cost only the batches that use them.
pub async fn node(config: NodeConfig, clock: Arc<dyn Clock>) -> Result<Arc<Node>, CliError> {
    let store = Database::open(&config.data, &config.limits)?;
    let (node, faults) = Node::open(config, store, clock).await?;
    for fault in faults {
        eprintln!("{fault}");
    }
    if !node.problems.is_empty() {
        eprintln!("{}", node.problems);
    }
    Ok(node)
}

/// The batch that a command names: a file, or the name of one in the batch folder.
pub fn batch(named: &str, config: &NodeConfig, environment: &Environment) -> Result<Batch, CliError> {
    let path = Path::new(named);
    if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
        return Ok(config::load_batch(path, config, environment)?);
    }
    for extension in ["yaml", "yml"] {
        let path: PathBuf = config.batches.join(format!("{named}.{extension}"));
        if path.is_file() {
            let batch = config::load_batch(&path, config, environment)?;
            if batch.key.batch == named {
                return Ok(batch);
            }
        }
    }
    let (batches, problems) = config::load_batches(&config.batches, config, environment).into_parts();
    if let Some(batch) = batches.iter().find(|b| b.key.batch == named) {
        return Ok(batch.clone());
    }
    if problems.has_errors() {
        return Err(problems.into());
    }
    let names: Vec<&str> = batches.iter().map(|b| b.key.batch.as_str()).collect();
    Err(CliError::Usage(format!(
        "there is no batch `{named}` in {}; there are: {}",
        config.batches.display(),
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    )))
}
