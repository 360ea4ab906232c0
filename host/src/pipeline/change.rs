//! Change: finds points that lie far from those before them, and levels that have shifted.
//!
//! It needs no model and judges the values on the judged grid, the newest column that is
//! whole included. The first time it looks at a series it judges the newest point alone: what
//! changed before anybody asked is no news.

use super::raise::{Policy, Raise};
use super::{JobContext, Outcome};
use crate::alert::{PolicyRecord, change};
use crate::fault::Fault;
use crate::message::AlertKind;
use crate::series::{Grid, Millis};
use crate::store::SeriesRecord;

pub(super) fn run(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    let batch = &context.bound.batch;
    if !batch.change.enabled {
        return Ok(Outcome::skipped("change detection is off: set `disable_change: false`"));
    }
    let policy = Policy::new(PolicyRecord::change(&batch.change, &batch.alert));
    let mut raise = Raise::new(context)?;
    for series in context.store.series(context.key()) {
        if !batch.change.selects(&series.name, &series.labels) {
            raise.close(&series, &policy, context.now())?;
            continue;
        }
        watch(context, &mut raise, &series, &policy)?;
    }
    raise.finish("no new samples")
}

fn watch(context: &JobContext<'_>, raise: &mut Raise<'_>, series: &SeriesRecord, policy: &Policy) -> Result<(), Fault> {
    let change = &context.bound.batch.change;
    let step = context.step();
    let Some((_, last)) = series.span else { return Ok(()) };
    let end = (last.div_euclid(step) * step + step).min(context.grid_now());
    let seen = raise.seen(series, AlertKind::Change);
    let oldest = context.now().saturating_sub(change.max_age_ms);
    let first = seen.map_or(end - step, |seen| seen + step).max(oldest);
    if first >= end {
        return raise.end_if_gone(series, policy, step);
    }
    let columns = Millis::try_from(change::context(change)).unwrap_or(Millis::MAX);
    let start = first.saturating_sub(columns.saturating_mul(step)).max(oldest);
    let grid = Grid::spanning(start, end, context.bound.batch.judged.step_ms);
    let values = context.store.values(context.key(), &[series.id], grid.start..grid.end());
    let values = values.map_err(|e| context.store_fault(&e))?.pop().unwrap_or_default();
    let row = grid.lay(&values.timestamps, &values.values, context.bound.batch.judged.aggregate);
    let points = row.into_iter().enumerate().map(|(column, value)| (grid.time(column), value));
    let points: Vec<(Millis, f64)> = points.filter(|(_, value)| value.is_finite()).collect();
    raise.watch(series, policy, &change::judge(change, &points, seen))
}
