//! Plot: draws the worst series of a batch, in `plots/<tenant>/<batch>.png` below the folder
//! of the store.
//!
//! The file is replaced as a whole, so whoever reads it sees one picture or the other. It is
//! not part of the commit: a plot that is cut off is drawn again at the next tick.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{JobContext, Outcome, picture};
use crate::config::{Batch, BatchKey};
use crate::fault::Fault;
use crate::series::Millis;
use crate::store::{AlertFilter, Database, SeriesId, SeriesRecord, StoreError};

/// Series whose scores are read at once.
const SERIES_AT_ONCE: usize = 1_000;

pub(super) fn run(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    let failed = |error: StoreError| context.store_fault(&error);
    let batch = &context.bound.batch;
    let Some(folder) = context.store.folder() else {
        return Ok(Outcome::skipped("the store has no folder to draw into"));
    };
    let series = context.store.series(context.key());
    let Some(span) = newest_span(batch, &series, context.now()) else {
        return Ok(Outcome::skipped("there is nothing to draw yet"));
    };
    let worst = worst_first(context.store, batch, series, span.clone()).map_err(failed)?;
    let drawn = picture::of_series(context.store, batch, &worst, span, context.limits.plot_bytes).map_err(failed)?;
    let Some(png) = drawn else {
        return Ok(Outcome::skipped("the picture would be larger than limits.plot_bytes"));
    };
    let path = plot_path(folder, context.key());
    write_whole(&path, &png).map_err(|e| failed(StoreError::io("writing", &path, &e)))?;
    let mut outcome = Outcome::default();
    outcome.count("series", worst.len());
    outcome.count("bytes", png.len());
    Ok(outcome)
}

/// Where the plot of a batch is, below the folder of the store.
pub fn plot_path(folder: &Path, key: &BatchKey) -> PathBuf {
    // Names are letters, digits, `_`, `-` and `.`, and begin with none of these.
    folder.join("plots").join(&key.tenant).join(format!("{}.png", key.batch))
}

/// The newest `alert_max_n` columns that have samples; `None` where no series has any.
pub fn newest_span(batch: &Batch, series: &[SeriesRecord], now: Millis) -> Option<Range<Millis>> {
    let step = Millis::from(batch.judged.step_ms);
    let last = series.iter().filter_map(|series| Some(series.span?.1)).max()?.min(now);
    let end = last.div_euclid(step).saturating_add(1).saturating_mul(step);
    let columns = Millis::try_from(batch.alert.chart_n.max(10)).unwrap_or(Millis::MAX / step);
    Some(end.saturating_sub(columns.saturating_mul(step))..end)
}

/// The series in the order in which they are worth a look: those with an alert, then by the
/// largest score in the span, then by name.
pub fn worst_first(
    store: &Database,
    batch: &Batch,
    mut series: Vec<SeriesRecord>,
    span: Range<Millis>,
) -> Result<Vec<SeriesRecord>, StoreError> {
    let ids: Vec<SeriesId> = series.iter().map(|series| series.id).collect();
    let mut worst: BTreeMap<SeriesId, f64> = BTreeMap::new();
    for some in ids.chunks(SERIES_AT_ONCE) {
        for (id, column) in some.iter().zip(store.scores(&batch.key, some, span.clone())?) {
            worst.insert(*id, column.rows.iter().map(|row| row.score).fold(0.0, f64::max));
        }
    }
    for alert in store.alerts(&AlertFilter { key: Some(batch.key.clone()), open: true, ..AlertFilter::default() })? {
        // No score is larger.
        *worst.entry(alert.series).or_default() += 1.0;
    }
    let score = |series: &SeriesRecord| worst.get(&series.id).copied().unwrap_or_default();
    series.sort_by(|a, b| score(b).total_cmp(&score(a)).then_with(|| a.name.cmp(&b.name)));
    Ok(series)
}

/// Writes a file so that it is there whole or as it was before.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().permissions(readable()).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// What other programs serve must be theirs to read.
fn readable() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::Permissions::from_mode(0o644)
}
