//! `anomd export`, `backup` and `restore`: the data is the user's.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CliError, Global, open, output};
use crate::config::Environment;
use crate::series::Millis;
use crate::store::{Database, Export, ExportFilter, ExportFormat};

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
    /// Only this batch.
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

pub(super) fn export(global: &Global, args: ExportArgs) -> Result<(), CliError> {
    let store = open::store(global)?;
    let key = args.batch.as_deref().map(|named| open::stored_batch(&store, named)).transpose()?;
    let mut sink: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(BufWriter::new(File::create(path)?)),
        None => Box::new(BufWriter::new(std::io::stdout().lock())),
    };
    let times = Some(args.from.unwrap_or(Millis::MIN)..args.to.unwrap_or(Millis::MAX));
    let filter = ExportFilter { key, types: None, times };
    let what = match args.what {
        What::Metrics => Export::Metrics,
        What::Runs => Export::Runs,
    };
    let format = match args.format {
        FormatName::Csv => ExportFormat::Csv,
        FormatName::Jsonl => ExportFormat::JsonLines,
    };
    store.export(what, &filter, &mut sink, format)?;
    sink.flush()?;
    Ok(())
}

pub(super) fn backup(global: &Global, args: BackupArgs) -> Result<(), CliError> {
    open::store(global)?.backup(&args.to)?;
    eprintln!("backed up into {}; `anomd restore {}` makes a store of it", args.to.display(), args.to.display());
    Ok(())
}

pub(super) fn restore(global: &Global, args: RestoreArgs) -> Result<(), CliError> {
    let config = open::node_config(global, &Environment::of_process())?;
    Database::restore(&args.from, &config.data)?;
    eprintln!("restored into {}", config.data.display());
    Ok(())
}
