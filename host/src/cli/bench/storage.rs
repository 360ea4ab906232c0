//! The store beside a plain file: a tick at a time in, all of it out.

use std::path::Path;

use super::plain::{self, Plain};
use super::{Budget, CliError, Figure, Size, median};
use crate::store;
use crate::store::bench::{Figures, ModelFigures};

/// An instant and a value; these, a score and two edges.
const RAW: (f64, f64) = (16.0, 40.0);

/// One run: a store of values alone, one with scores, and the plain files beside them.
struct Run {
    values: (Figures, Plain),
    scored: (Figures, Plain),
    models: ModelFigures,
}

impl Run {
    fn make(folder: &Path, size: store::bench::Size) -> Result<Self, CliError> {
        let folder = tempfile::tempdir_in(folder)?;
        let (values, scored) = store::bench::run(folder.path(), size)?;
        Ok(Self {
            values: (values, plain::measure(&folder.path().join("plain-values"), size, &[2])?),
            scored: (scored, plain::measure(&folder.path().join("plain-scores"), size, &[2, 3])?),
            models: store::bench::models(folder.path(), size.series)?,
        })
    }
}

pub(super) fn measure(size: Size, folder: &Path) -> Result<Vec<Figure>, CliError> {
    let warm_up = store::bench::Size { ticks: size.store.ticks.div_ceil(10), ..size.store };
    Run::make(folder, warm_up)?;
    let runs = (0..size.runs).map(|_| Run::make(folder, size.store)).collect::<Result<Vec<_>, _>>()?;
    let of = |figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
    let rate = |name, what: &str, figure: fn(&Run) -> f64, baseline: fn(&Run) -> f64, against| {
        Figure::new(name, what, of(figure), "points/s").against(of(baseline), against)
    };
    let bytes = |name, what: &str, figure: fn(&Run) -> f64, raw, against, budget| {
        Figure::new(name, what, of(figure), "B/point").against(raw, against).at_most(Budget::Value(budget))
    };
    let (appended, read) = ("a plain file, synced as often", "the plain file, read whole");
    Ok(vec![
        rate("append_values", "append, durable: values", |r| r.values.0.append, |r| r.values.1.append, appended),
        rate(
            "append_scored",
            "append, durable: values, then scores and bands",
            |r| r.scored.0.append,
            |r| r.scored.1.append,
            appended,
        ),
        Figure::new("block_values", "in blocks: values", of(|r| r.values.0.payload), "B/point")
            .against(RAW.0, "16 B raw"),
        Figure::new("block_scored", "in blocks: values, scores, bands", of(|r| r.scored.0.payload), "B/point")
            .against(RAW.1, "40 B raw"),
        bytes("disk_values", "on disk: values", |r| r.values.0.disk_growth, RAW.0, "16 B raw", 4.5),
        bytes("disk_scored", "on disk: values, scores, bands", |r| r.scored.0.disk_growth, RAW.1, "40 B raw", 10.0),
        rate("scan_values", "scan: values", |r| r.values.0.scan, |r| r.values.1.scan, read),
        rate("scan_scored", "scan: values, scores, bands", |r| r.scored.0.scan, |r| r.scored.1.scan, read),
        Figure::new(
            "series_values",
            format!("read one series of {} values", size.store.ticks),
            of(|r| r.values.0.series_ms),
            "ms",
        ),
        Figure::new("model_metadata", "read what is known of a model", of(|r| r.models.metadata), "µs"),
        Figure::new("model_head", "read what scoring is passed of a model, 62 kB", of(|r| r.models.head), "µs")
            .against(of(|r| r.models.plain), "as much of a plain file"),
    ])
}
