//! `anomd export`, `backup` and `restore`: the data is the user's.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::door::{Client, Door};
use super::{CliError, Global, open, output};
use crate::config::Environment;
use crate::node::installed_files;
use crate::series::Millis;
use crate::store::Database;
use crate::web::{BackupRequest, ExportRequest};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Samples, scores and alerts in Anomstack's six columns.
    Metrics,
    /// Finished runs, without what the wall clock said.
    Runs,
}

#[derive(Args)]
pub(super) struct ExportArgs {
    /// Only this batch of the tenant.
    batch: Option<String>,
    /// What to write.
    #[arg(long, short, value_enum, default_value = "metrics")]
    what: What,
    /// How to write it.
    #[arg(long, value_enum, default_value = "csv")]
    format: FormatName,
    /// From this instant on.
    #[arg(long, value_name = "INSTANT", value_parser = output::parse_instant)]
    from: Option<Millis>,
    /// To before this instant.
    #[arg(long, value_name = "INSTANT", value_parser = output::parse_instant)]
    to: Option<Millis>,
    /// Into this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct BackupArgs {
    /// A file that does not exist yet.
    to: PathBuf,
}

#[derive(Args)]
pub(super) struct RestoreArgs {
    /// A backup. The store that it becomes must not exist yet.
    from: PathBuf,
}

pub(super) async fn export(global: &Global, args: ExportArgs) -> Result<(), CliError> {
    let ExportArgs { batch, what, format, from, to, output } = args;
    let request =
        ExportRequest { batch, runs: what == What::Runs, samples: false, jsonl: format == FormatName::Jsonl, from, to };
    let door = Door::open(global)?;
    let sink = || -> Result<Box<dyn Write>, CliError> {
        Ok(match &output {
            Some(path) => Box::new(BufWriter::new(File::create(path)?)),
            None => Box::new(BufWriter::new(std::io::stdout().lock())),
        })
    };
    match &door {
        Door::Store { store, .. } => {
            let filter = request.filter(store, &global.tenant)?;
            let mut sink = sink()?;
            request.write(store, &filter, &mut sink)?;
            sink.flush()?;
        }
        Door::Node(client) => {
            let path = format!("tenants/{}/export", global.tenant);
            client.stream(&path, &request, &mut sink()?).await?;
        }
    }
    Ok(())
}

pub(super) async fn backup(global: &Global, args: BackupArgs) -> Result<(), CliError> {
    match Door::open(global)? {
        Door::Store { store, config, .. } => store.backup(&installed_files(&config.data)?, &args.to)?,
        Door::Node(client) => fetched(&client, &args.to).await?,
    }
    eprintln!("backed up into {}; `anomd restore {}` makes a store of it", args.to.display(), args.to.display());
    Ok(())
}

/// Takes a backup from a running node. The file gets its name when it is whole and on disk.
async fn fetched(client: &Client, to: &Path) -> Result<(), CliError> {
    if to.exists() {
        let text = format!("{} exists, and a backup never replaces anything. Name a new file.", to.display());
        return Err(CliError::Usage(text));
    }
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = to.with_file_name(name);
    let mut file = File::create(&partial)?;
    let taken = match client.stream("backup", &BackupRequest {}, &mut file).await {
        Ok(()) => file.sync_all().and_then(|()| std::fs::rename(&partial, to)).map_err(CliError::from),
        Err(error) => Err(error),
    };
    if taken.is_err() {
        // The first failure is the one to tell.
        let _ = std::fs::remove_file(&partial);
    }
    taken
}

pub(super) fn restore(global: &Global, args: RestoreArgs) -> Result<(), CliError> {
    let config = open::node_config(global, &Environment::of_process())?;
    Database::restore(&args.from, &config.data)?;
    eprintln!("restored into {}", config.data.display());
    Ok(())
}
