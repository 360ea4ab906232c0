//! Tables for people, JSON for programs.

use std::io::Write as _;

use chrono::DateTime;
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::CliError;
use crate::series::Millis;
use crate::store::RunRecord;

/// A table with these columns.
pub fn table<const N: usize>(columns: [&str; N]) -> Table {
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

/// An instant as people and programs read it.
pub fn instant(time: Millis) -> String {
    let time = DateTime::from_timestamp_millis(time).unwrap_or_default();
    if time.timestamp_subsec_millis() == 0 {
        time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    } else {
        time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }
}

/// Reads an instant of the command line: RFC 3339, or milliseconds since the Unix epoch.
pub fn parse_instant(text: &str) -> Result<Millis, String> {
    if let Ok(millis) = text.parse() {
        return Ok(millis);
    }
    let time = DateTime::parse_from_rfc3339(text);
    time.map(|t| t.timestamp_millis()).map_err(|_| format!("`{text}` is no instant: write 2026-01-31T12:00:00Z"))
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

/// What a run counted, without the edges of its window and what it did not meet.
pub fn counts(run: &RunRecord) -> String {
    let shown = run.counts.iter().filter(|(what, n)| **n > 0 && !matches!(what.as_str(), "from" | "to"));
    shown.map(|(what, n)| format!("{n} {what}")).collect::<Vec<_>>().join(", ")
}
