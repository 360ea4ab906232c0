//! A run while it is under way: what others may see of it, and how they end it.
//!
//! Nothing of this is kept, since a crash would make it false: what is kept is the record, at
//! the end. Whoever watches is called from the run itself, and must not block.

use std::ops::Range;
use std::sync::Arc;

use tokio::sync::watch;

use super::RunLog;
use crate::config::Slot;
use crate::series::Millis;
use crate::store::{AlertRecord, Commit, RunRecord};

/// Who is told of runs as they go on.
pub trait Watch: Send + Sync {
    /// A run has begun.
    fn begun(&self, run: &Arc<UnderWay>);

    /// A run has said something; its lines are counted from 0.
    fn said(&self, slot: &Slot, number: usize, line: &str);

    /// A run is not under way any more, whether it is kept or was cut off.
    fn gone(&self, run: &UnderWay);

    /// A run has ended, and is kept with what it wrote.
    fn kept(&self, run: &RunRecord, written: &Written);
}

/// A run that is under way.
#[derive(Debug)]
pub struct UnderWay {
    /// Which run.
    pub slot: Slot,
    /// Why it was started.
    pub reason: String,
    /// When it began, by the wall clock.
    pub started: Millis,
    /// What it has said.
    pub log: Arc<RunLog>,
    /// Who wants it to end.
    cancelled: watch::Sender<Option<String>>,
}

impl UnderWay {
    pub(super) fn new(slot: Slot, reason: &str, started: Millis, log: Arc<RunLog>) -> Arc<Self> {
        Arc::new(Self { slot, reason: reason.to_owned(), started, log, cancelled: watch::Sender::new(None) })
    }

    /// Ends the run: what it waits for is dropped, calls of plugins too, and nothing of what it
    /// did is kept. One that is being kept at this moment is kept.
    pub fn cancel(&self, by: &str) {
        self.cancelled.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert_with(|| by.to_owned());
            first
        });
    }

    /// Done when somebody cancels it: who.
    pub(super) async fn cancelled(&self) -> String {
        let mut asked = self.cancelled.subscribe();
        // The sender lives as long as this.
        let by = asked.wait_for(Option::is_some).await.ok().and_then(|by| by.clone());
        by.unwrap_or_default()
    }
}

/// What a run wrote, in short.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// From the first to behind the last sample.
    pub samples: Option<Range<Millis>>,
    /// From the first to behind the last score.
    pub scores: Option<Range<Millis>>,
    /// Alerts that began, changed or ended.
    pub alerts: Vec<AlertRecord>,
}

impl Written {
    /// What a commit will write.
    pub(super) fn of(commit: &Commit) -> Self {
        let samples = commit
            .samples
            .iter()
            .filter_map(|(.., column)| Some((*column.timestamps.iter().min()?, *column.timestamps.iter().max()?)));
        let scores = commit.scores.iter().filter_map(|(_, column)| {
            let times = || column.rows.iter().map(|row| row.time);
            Some((times().min()?, times().max()?))
        });
        Self { samples: span(samples), scores: span(scores), alerts: commit.alerts.clone() }
    }
}

fn span(parts: impl Iterator<Item = (Millis, Millis)>) -> Option<Range<Millis>> {
    let both = parts.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    both.map(|(first, last)| first..last.saturating_add(1))
}

/// Tells that a run is gone, however it ends.
pub(super) struct Watched<'a> {
    watch: Option<&'a Arc<dyn Watch>>,
    pub run: Arc<UnderWay>,
}

impl<'a> Watched<'a> {
    pub fn begin(watch: Option<&'a Arc<dyn Watch>>, run: Arc<UnderWay>) -> Self {
        if let Some(watch) = watch {
            watch.begun(&run);
        }
        Self { watch, run }
    }

    /// What is to be told of a commit; nothing where nobody watches.
    pub fn written(&self, commit: &Commit) -> Option<Written> {
        self.watch.map(|_| Written::of(commit))
    }

    /// The end of a run that is kept.
    pub fn kept(self, record: &RunRecord, written: &Written) {
        let watch = self.watch;
        drop(self);
        if let Some(watch) = watch {
            watch.kept(record, written);
        }
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if let Some(watch) = self.watch {
            watch.gone(&self.run);
        }
    }
}
