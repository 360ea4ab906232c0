//! What anomd keeps: series and their points, models, runs, alerts and deliveries.
//!
//! One [`Commit`] is the whole outcome of one run and is atomic: after a crash all of it
//! is there or none. Everything in it is idempotent, so that a run that is done twice is
//! done once. Calls block; they are short.

mod record;

pub use record::{
    AlertRecord, Attempt, Column, Commit, Delivery, ModelRecord, ModelWrite, RunRecord, RunState, ScoreColumn,
    ScoreRow, SeriesId, SeriesRecord,
};
