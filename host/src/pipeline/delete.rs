//! Delete: what is older than `delete_after_n_days` goes, of every kind: samples, scores,
//! alerts that are over, what was decided and what was delivered.
//!
//! The deletion stands in the log before the run's record. A crash between the two deletes the
//! same once more, which is nothing.

use super::{JobContext, Outcome};
use crate::fault::Fault;

pub(super) fn run(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    let before = context.now().saturating_sub(context.bound.batch.delete_after_ms);
    let deleted = context.store.delete_before(context.key(), before).map_err(|e| context.store_fault(&e))?;
    let mut outcome = Outcome::default();
    for (what, count) in [("series", deleted.series), ("records", deleted.records)] {
        outcome.count(what, count);
    }
    if deleted.series + deleted.records == 0 {
        return Ok(Outcome::skipped("nothing is older than `delete_after_n_days`"));
    }
    Ok(outcome)
}
