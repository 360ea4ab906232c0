//! `anomd plot`: a picture of series as they are kept, without a running node.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{CliError, Global, open, output};
use crate::config::Environment;
use crate::pipeline::{newest_span, picture, worst_first, write_whole};
use crate::series::Millis;

#[derive(Args)]
pub(super) struct PlotArgs {
    /// The batch: its name, or its file.
    batch: String,
    /// Only series whose name holds this text.
    #[arg(long, value_name = "TEXT")]
    metric: Option<String>,
    /// From this instant on, instead of the newest `alert_max_n` points.
    #[arg(long, value_name = "INSTANT", value_parser = output::parse_instant)]
    from: Option<Millis>,
    /// To before this instant, instead of the newest sample.
    #[arg(long, value_name = "INSTANT", value_parser = output::parse_instant)]
    to: Option<Millis>,
    /// The PNG to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn plot(global: &Global, args: &PlotArgs) -> Result<(), CliError> {
    let environment = Environment::of_process();
    let config = open::node_config(global, &environment)?;
    let batch = open::batch(&args.batch, &config, &environment)?;
    let store = open::store_of(&config)?;
    let mut series = store.series(&batch.key);
    if let Some(text) = &args.metric {
        series.retain(|series| series.name.contains(text.as_str()));
    }
    let nothing = || {
        let which = args.metric.as_ref().map(|text| format!(" whose name holds `{text}`")).unwrap_or_default();
        let key = &batch.key;
        CliError::Usage(format!("the store has no samples of {key}{which}; `anomd query {key}` lists its series"))
    };
    let newest = newest_span(&batch, &series, args.to.unwrap_or(Millis::MAX / 2)).ok_or_else(nothing)?;
    let span = args.from.unwrap_or(newest.start)..args.to.unwrap_or(newest.end);
    if span.is_empty() {
        let (from, to) = (output::instant(span.start), output::instant(span.end));
        return Err(CliError::Usage(format!("there is no time from {from} to {to}: give --from an earlier instant")));
    }
    let worst = worst_first(&store, &batch, series, span.clone())?;
    let png = picture::of_series(&store, &batch, &worst, span.clone(), config.limits.plot_bytes)?.ok_or_else(|| {
        CliError::other("the picture would be larger than limits.plot_bytes; draw a shorter span, or fewer series")
    })?;
    write_whole(&args.out, &png)
        .map_err(|e| CliError::other(format!("{} cannot be written: {e}", args.out.display())))?;
    if global.json {
        let names: Vec<&str> = worst.iter().take(crate::alert::chart::SERIES).map(|s| s.name.as_str()).collect();
        return output::json(&json!({"file": args.out, "series": names, "from": span.start, "to": span.end}));
    }
    Ok(())
}
