//! What came: the samples round a point, and the run that fetched them.

use super::{DeskError, RunView, SampleStep, SampleView, Subject};
use crate::config::Job;
use crate::series::{Aggregate, Grid, Millis};
use crate::store::RunState;

/// How far before and after a point its neighbours are looked for, in columns.
const NEAR_COLUMNS: Millis = 1_440;

impl Subject<'_> {
    pub(super) fn samples(&self) -> Result<SampleStep, DeskError> {
        let (begin, end) = (self.at, self.end());
        let near = self.step.saturating_mul(NEAR_COLUMNS);
        let wide = begin.saturating_sub(near)..end.saturating_add(near);
        let column = self.desk.store.values(&self.key, &[self.series.id], wide)?.pop().unwrap_or_default();
        let samples: Vec<SampleView> = (column.timestamps.iter().zip(&column.values))
            .map(|(time, value)| SampleView { time: *time, value: *value })
            .collect();
        let inside: Vec<_> = samples.iter().filter(|s| (begin..end).contains(&s.time)).copied().collect();
        let aggregate = self.batch.map_or(Aggregate::Last, |batch| batch.judged.aggregate);
        let grid = Grid { start: begin, step_ms: u32::try_from(self.step).unwrap_or(u32::MAX), columns: 1 };
        let cell = grid.lay(&column.timestamps, &column.values, aggregate).pop();
        Ok(SampleStep {
            ingested: inside.last().map(|last| self.ingest_run(last.time)).transpose()?.flatten(),
            before: samples.iter().rfind(|s| s.time < begin).copied(),
            after: samples.iter().find(|s| s.time >= end).copied(),
            value: cell.filter(|value| value.is_finite()),
            samples: inside,
        })
    }

    /// The first run whose window holds a sample's instant and that brought any.
    fn ingest_run(&self, time: Millis) -> Result<Option<RunView>, DeskError> {
        let runs = self.runs(Job::Ingest)?;
        let time = u64::try_from(time).unwrap_or(0);
        let brought = runs.iter().rev().find(|run| {
            let count = |name: &str| run.counts.get(name).copied();
            matches!(run.state, RunState::Done | RunState::Partial)
                && count("samples").is_some_and(|n| n > 0)
                && count("from").is_some_and(|from| from <= time)
                && count("to").is_some_and(|to| time < to)
        });
        Ok(brought.map(RunView::of))
    }
}
