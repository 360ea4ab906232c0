//! Tables for people, JSON for programs.

use std::io::Write as _;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{ContentArrangement, Row, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::CliError;
use crate::schedule::{Clock as _, SystemClock};
use crate::series::Millis;

/// A table with these columns.
pub fn table(columns: impl Into<Row>) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Dynamic).set_header(columns);
    table
}

/// Prints a value as JSON.
pub fn json(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|e| CliError::other(e.to_string()))?;
    line(text);
    Ok(())
}

/// Prints a line of what was asked for. Whoever stops reading, `head` say, has had enough:
/// then there is nothing left to do.
pub fn line(text: impl std::fmt::Display) {
    if let Err(error) = writeln!(std::io::stdout(), "{text}") {
        let enough = error.kind() == std::io::ErrorKind::BrokenPipe;
        if !enough {
            eprintln!("cannot print: {error}");
        }
        std::process::exit(if enough { 0 } else { 5 });
    }
}

pub use crate::desk::instant::{parse as parse_instant, text as instant};

/// The time.
pub fn now() -> Millis {
    SystemClock.now()
}

/// An instant of the command line, perhaps told from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// This instant.
    At(Millis),
    /// So long before now.
    Ago(Millis),
    /// So long after now.
    In(Millis),
}

impl When {
    /// The instant.
    pub fn at(self, now: Millis) -> Millis {
        match self {
            Self::At(time) => time,
            Self::Ago(span) => now.saturating_sub(span),
            Self::In(span) => now.saturating_add(span),
        }
    }
}

/// Reads an instant: RFC 3339, `10m ago`, `in 2h`, `now`, or `10m`, which is ten minutes ago.
pub fn parse_when(text: &str) -> Result<When, String> {
    let text = text.trim();
    if text == "now" {
        return Ok(When::Ago(0));
    }
    if let Some(span) = text.strip_prefix("in ") {
        return parse_span(span.trim()).map(When::In);
    }
    let span = parse_span(text.strip_suffix("ago").unwrap_or(text).trim()).map(When::Ago);
    span.or_else(|_| parse_instant(text).map(When::At)).map_err(|e| format!("{e}, or `10m ago`"))
}

/// Reads a span of the command line: `90s`, `1h`, `7d`.
pub fn parse_span(text: &str) -> Result<Millis, String> {
    let span = humantime::parse_duration(text).map_err(|_| format!("`{text}` is no span: write 90s, 1h or 7d"))?;
    Millis::try_from(span.as_millis()).map_err(|_| format!("`{text}` is too long"))
}

/// A progress bar on standard error; invisible where that is no terminal.
pub fn bar(steps: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent:>3} % {eta:>4}");
    ProgressBar::new(steps).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())).with_message(what)
}

pub use crate::desk::counts;
