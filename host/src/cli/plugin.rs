//! `anomd plugin`: what is installed, and what a component is and may do.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{CliError, Global, open, output};
use crate::config::Environment;
use crate::node;
use crate::plugin::{self, Inspection};

#[derive(Args)]
pub(super) struct PluginArgs {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Subcommand)]
enum PluginCommand {
    /// Lists the plugins: those of this binary and those of the plugin folder.
    List,
    /// Shows role, contract version, imports, digest and sizes of a component, without
    /// running it.
    Inspect {
        /// A `.wasm` file, or the name of a plugin.
        component: PathBuf,
    },
}

pub(super) async fn plugin(global: &Global, args: PluginArgs) -> Result<(), CliError> {
    let config = open::node_config(global, &Environment::of_process())?;
    match args.command {
        PluginCommand::List => list(global, &config).await,
        PluginCommand::Inspect { component } => inspect(global, &config, &component),
    }
}

async fn list(global: &Global, config: &crate::config::Node) -> Result<(), CliError> {
    let (catalogue, faults) = node::load_plugins(config).await?;
    for fault in &faults {
        eprintln!("{fault}");
    }
    if global.json {
        let plugins: Vec<_> = catalogue
            .iter()
            .map(|p| {
                json!({
                    "name": p.name(), "version": p.version(), "role": p.role().to_string(),
                    "summary": p.summary(), "digest": p.digest(), "origins": p.origins(),
                })
            })
            .collect();
        return output::json(&plugins);
    }
    let mut table = output::table(["name", "version", "role", "what it does", "digest"]);
    for p in catalogue.iter() {
        let digest: String = p.digest().chars().take(12).collect();
        table.add_row([p.name(), p.version(), &p.role().to_string(), p.summary(), &digest]);
    }
    output::line(table);
    Ok(())
}

fn inspect(global: &Global, config: &crate::config::Node, component: &Path) -> Result<(), CliError> {
    let bytes = if component.is_file() {
        let size = std::fs::metadata(component)?.len();
        if size > config.limits.component_bytes as u64 {
            return Err(CliError::Usage(format!(
                "{} has {size} bytes; the limit is {} (limits.component_bytes in anomd.yaml)",
                component.display(),
                config.limits.component_bytes
            )));
        }
        std::fs::read(component)?
    } else {
        let name = component.to_string_lossy();
        let file = config.plugins.as_ref().map(|folder| folder.join(format!("{name}.wasm"))).filter(|f| f.is_file());
        match file {
            Some(file) => return inspect(global, config, &file),
            None => plugin::bundled(&name).map(<[u8]>::to_vec).ok_or_else(|| {
                CliError::Usage(format!("`{name}` is neither a file nor a plugin; see `anomd plugin list`"))
            })?,
        }
    };
    let inspection = plugin::inspect(&bytes)?;
    if global.json {
        return output::json(&inspection);
    }
    print(&inspection);
    Ok(())
}

/// An inspection as people read it: an import that its role may not have is crossed.
fn print(found: &Inspection) {
    let mut table = output::table(["what", "is"]);
    let sizes = format!("{} bytes, of which core modules {}", found.component_bytes, found.core_bytes);
    table.add_row(["name in the file", found.name.as_deref().unwrap_or("none")]);
    table.add_row(["role", &found.role.to_string()]);
    table.add_row(["contract", &found.contract]);
    table.add_row(["digest", &found.digest]);
    table.add_row(["size", &sizes]);
    if let Some(compiled) = found.compiled_bytes {
        table.add_row(["compiled", &format!("{compiled} bytes")]);
    }
    for import in &found.imports {
        let mark = if import.roles.contains(&found.role) { '✓' } else { '✗' };
        table.add_row(["import", &format!("{mark} {} {}", import.name(), import.functions.join(" "))]);
    }
    for export in &found.exports {
        table.add_row(["export", export]);
    }
    output::line(table);
    match &found.refusal {
        Some(why) => output::line(format!("this host does not load it: {why}")),
        None => output::line("this host loads it"),
    }
}
