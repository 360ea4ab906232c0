//! The command line: one file a command. Commands print to standard output what was asked
//! for, and everything else to standard error.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where anomd speaks to a terminal")]

mod alert;
mod backtest;
mod bench;
mod check;
mod demo;
mod door;
mod error;
mod eval;
mod event;
mod export;
mod open;
mod output;
mod plot;
mod plugin;
mod query;
mod run;
mod runs;
mod serve;
mod silence;
mod tenant;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
pub use error::CliError;

use crate::config::Environment;

/// Anomaly detection for metrics.
///
/// You give anomd metric batches: YAML files that say what to fetch, how often, how to judge
/// it and whom to tell. It fetches, learns, scores and alerts. Every source, detector and
/// notifier is a sandboxed WebAssembly component.
///
/// Begin with `anomd demo`, then `anomd check` and `anomd run BATCH` on a batch of yours.
///
/// Exit codes: 0 done; 1 a run failed; 2 the command line is wrong; 3 the configuration is
/// wrong; 4 the store cannot be used; 5 anything else.
#[derive(Parser)]
#[command(name = "anomd", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args)]
pub(crate) struct Global {
    /// The node's file; `anomd.yaml` in this folder where there is one.
    #[arg(long, global = true, env = "ANOMD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of the store, instead of the one in the node's file.
    #[arg(long, global = true, env = "ANOMD_DATA", value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The folder of the batch files, instead of the one in the node's file.
    #[arg(long, global = true, env = "ANOMD_BATCHES", value_name = "FOLDER")]
    batches: Option<PathBuf>,
    /// The tenant whose batches, alerts and silences are meant.
    #[arg(long, global = true, env = "ANOMD_TENANT", value_name = "NAME", default_value = crate::config::DEFAULT_TENANT)]
    tenant: String,
    /// Prints JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    /// Says more on standard error; twice says all.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// How the log on standard error is written.
    #[arg(long, global = true, env = "ANOMD_LOG_FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// A JSON object a line; what `serve` says to people is then in the log too.
    Json,
}

impl LogFormat {
    /// Says something about the whole node: to people, or in the log.
    fn say(self, text: &str) {
        match self {
            Self::Text => eprintln!("{text}"),
            Self::Json => tracing::info!("{text}"),
        }
    }

    /// Says what is wrong with files: to people, or in the log.
    fn warn(self, text: &str) {
        match self {
            Self::Text => eprintln!("{text}"),
            Self::Json => tracing::warn!("{text}"),
        }
    }
}

#[derive(Subcommand)]
enum Command {
    /// Runs the schedules of all batches until it is interrupted.
    Serve(serve::ServeArgs),
    /// Runs a batch now, once: its whole chain or one job.
    Run(run::RunArgs),
    /// Lists runs: those that wait, those under way, those that ended.
    Runs(runs::RunsArgs),
    /// Cuts a run short that is under way.
    Cancel(runs::CancelArgs),
    /// Checks the node's file, the batches and their plugins' configuration. Touches nothing.
    Check(check::CheckArgs),
    /// Shows what is kept: series, values, scores, alerts, runs, deliveries.
    Query(query::QueryArgs),
    /// Says why a point of a series raised an alert, or why it did not.
    Why(why::WhyArgs),
    /// Lists alerts; acknowledges and snoozes them.
    Alert(alert::AlertArgs),
    /// Lists, adds and ends silences.
    Silence(silence::SilenceArgs),
    /// Lists, adds and ends events: deploys, maintenances.
    Event(event::EventArgs),
    /// Writes samples, scores and alerts as rows of six columns, or the runs.
    Export(export::ExportArgs),
    /// Copies everything that is kept into one new file, consistently.
    Backup(export::BackupArgs),
    /// Makes a store of a backup.
    Restore(export::RestoreArgs),
    /// Makes, lists and deletes tenants; sets what they may do; makes and revokes tokens.
    Tenant(tenant::TenantArgs),
    /// Draws a batch, as a PNG: values, what was expected, scores, alerts and events.
    Plot(plot::PlotArgs),
    /// Lists plugins, and shows what one is and may do.
    Plugin(plugin::PluginArgs),
    /// Shows anomd at work on a made-up system with seven incidents.
    Demo(demo::DemoArgs),
    /// Says what a batch would have told people, with its configuration and with another.
    Backtest(backtest::BacktestArgs),
    /// Says how good detectors are on labelled series.
    Eval(eval::EvalArgs),
    /// Measures the store and the sandbox on this machine.
    Bench(bench::BenchArgs),
}

/// Parses the arguments, runs the command, and says how it ended.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.global.verbose, cli.global.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return CliError::other(format!("no runtime: {error}")).report(),
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => serve::serve(&cli.global, args).await,
            Command::Run(args) => run::run(&cli.global, args).await,
            Command::Runs(args) => runs::runs(&cli.global, args).await,
            Command::Cancel(args) => runs::cancel(&cli.global, args).await,
            Command::Check(args) => check::check(&cli.global, args).await,
            Command::Query(args) => query::query(&cli.global, args).await,
            Command::Why(args) => why::why(&cli.global, args).await,
            Command::Alert(args) => alert::alert(&cli.global, args).await,
            Command::Silence(args) => silence::silence(&cli.global, args).await,
            Command::Event(args) => event::event(&cli.global, args).await,
            Command::Export(args) => export::export(&cli.global, args).await,
            Command::Backup(args) => export::backup(&cli.global, args).await,
            Command::Restore(args) => export::restore(&cli.global, args),
            Command::Tenant(args) => tenant::tenant(&cli.global, args).await,
            Command::Plot(args) => plot::plot(&cli.global, &args),
            Command::Plugin(args) => plugin::plugin(&cli.global, args).await,
            Command::Demo(args) => demo::demo(&cli.global, args).await,
            Command::Backtest(args) => backtest::backtest(&cli.global, args).await,
            Command::Eval(args) => eval::eval(&cli.global, args).await,
            Command::Bench(args) => bench::bench(&cli.global, args).await,
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

/// Who does something: who is named, or who is logged in.
fn author(named: Option<String>) -> String {
    let logged_in = || Environment::of_process().get("USER").filter(|user| !user.is_empty()).map(str::to_owned);
    named.or_else(logged_in).unwrap_or_else(|| "somebody".to_owned())
}

fn log_to_stderr(verbose: u8, format: LogFormat) {
    let default = match (verbose, format) {
        (0, LogFormat::Text) => "anomd=warn",
        (0, LogFormat::Json) | (1, _) => "anomd=info",
        _ => "anomd=debug",
    };
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_env_var("ANOMD_LOG")
        .try_from_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
    }
}
