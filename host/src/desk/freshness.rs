//! Whether a batch's samples come as its schedule says.

use chrono::DateTime;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::config::{Batch, Job};
use crate::series::Millis;

/// Whether samples come as they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Freshness {
    /// The newest is as new as it can be, or nearly.
    Fresh,
    /// A newer one should have come by now.
    Late,
    /// The batch does not fetch by itself.
    Stopped,
    /// None has ever come.
    Empty,
    /// The batch is not configured any more, so that nobody knows.
    Unknown,
}

impl Freshness {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Late => "late",
            Self::Stopped => "stopped",
            Self::Empty => "empty",
            Self::Unknown => "unknown",
        }
    }

    /// That of a batch whose newest sample is from `newest`.
    pub(super) fn of(batch: Option<&Batch>, newest: Option<Millis>, now: Millis) -> Self {
        let Some(batch) = batch else { return Self::Unknown };
        match (batch.runs(Job::Ingest), newest) {
            (false, _) => Self::Stopped,
            (true, None) => Self::Empty,
            (true, Some(newest)) if due(batch, newest).is_some_and(|due| due < now) => Self::Late,
            (true, Some(_)) => Self::Fresh,
        }
    }
}

/// When a newer sample than this one should be there, if the source has it: the tick after the
/// one that first finds the next sample whole. One tick of grace, so that a run that takes a
/// while is not called late.
pub(super) fn due(batch: &Batch, newest: Millis) -> Option<Millis> {
    let schedule = batch.schedules.get(&Job::Ingest)?;
    let next = |time: Millis| {
        let time = DateTime::from_timestamp_millis(time)?.with_timezone(&batch.timezone);
        schedule.cron.pattern().find_next_occurrence(&time, false).ok().map(|next| next.timestamp_millis())
    };
    let whole =
        newest.saturating_add(Millis::from(batch.step_ms).saturating_mul(2)).saturating_add(batch.ingest.delay_ms);
    next(next(whole)?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Environment, load_batch_text};

    const T0: Millis = 1_767_225_600_000;
    const MINUTE: Millis = 60_000;

    fn batch(keys: &str) -> Batch {
        let text = format!("metric_batch: b\ningest_fn: prometheus\nstep: 60s\ningest_delay: 30s\n{keys}");
        load_batch_text(Path::new("b.yaml"), &text, &Environment::default()).unwrap()
    }

    #[test]
    fn a_batch_is_late_by_its_own_schedule() {
        let hourly = batch("ingest_cron_schedule: '0 * * * *'");
        let at = |minutes: Millis| Freshness::of(Some(&hourly), Some(T0), T0 + minutes * MINUTE);
        assert_eq!((at(61), at(119), at(121)), (Freshness::Fresh, Freshness::Fresh, Freshness::Late));
        let quick = batch("ingest_cron_schedule: '* * * * *'");
        assert_eq!(Freshness::of(Some(&quick), Some(T0), T0 + 10 * MINUTE), Freshness::Late);
        assert_eq!(Freshness::of(Some(&quick), Some(T0), T0 + 2 * MINUTE), Freshness::Fresh);
    }

    #[test]
    fn what_does_not_fetch_is_not_late() {
        let stopped = batch("disable_ingest: true");
        assert_eq!(Freshness::of(Some(&stopped), Some(T0), T0 + 90 * MINUTE), Freshness::Stopped);
        assert_eq!(Freshness::of(None, Some(T0), T0), Freshness::Unknown);
        assert_eq!(Freshness::of(Some(&batch("")), None, T0), Freshness::Empty);
    }
}
