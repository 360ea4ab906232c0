//! Push: samples that somebody sends for a batch are kept as those that it fetches.
//!
//! They are one run of the ingest job, with the limits and quotas of one, and none of them is kept
//! where one is not sound. What comes next in the batch's chain judges what is newer than the points
//! that it has judged; older points are kept, and judged by a backfill alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Node, tick};
use crate::config::{BatchKey, Job, Slot};
use crate::desk::{DeskError, instant};
use crate::pipeline::{PUSH, Redo};
use crate::plugin;
use crate::series::{Kind, Labels, Millis, Samples};
use crate::store::RunState;

/// How long it waits for the ticker to look whether the batch's own runs are over.
const TURN: Duration = Duration::from_secs(1);
/// How often it does so.
const TURNS: usize = 30;

/// A sample that somebody sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushedSample {
    /// The labels of its series, `__name__` among them.
    pub labels: BTreeMap<String, String>,
    /// Its instant.
    #[serde(with = "instant")]
    #[schema(value_type = String)]
    pub at: Millis,
    /// What was measured.
    pub value: f64,
    /// What the series measures: `gauge`, `counter` or `unknown`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub kind: Kind,
}

/// What became of samples that were sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Pushed {
    /// The run that kept them.
    pub run: String,
    /// Samples that are kept.
    pub samples: u64,
    /// Their series.
    pub series: u64,
}

/// The samples of each series by their instants.
type Sent = BTreeMap<Labels, (Kind, BTreeMap<Millis, f64>)>;

impl Node {
    /// Keeps samples of a batch. Of two of one series and instant the later one stands.
    pub async fn push(self: &Arc<Self>, key: &BatchKey, sent: Vec<PushedSample>) -> Result<Pushed, DeskError> {
        let Some(bound) = self.batch(key) else {
            return Err(DeskError::Unknown(format!("the tenant {} has no batch `{}` taken up", key.tenant, key.batch)));
        };
        let samples = samples(self.sound(sent)?)?;
        let mut waits = 0;
        let _guard = loop {
            let ticked = self.ticked.notified();
            if let Some(guard) = self.claim(key) {
                break guard;
            }
            waits += 1;
            if waits > TURNS {
                return Err(DeskError::Conflict(format!(
                    "a run of {key} is under way and does not end; nothing was kept: send the samples again"
                )));
            }
            let _ = tokio::time::timeout(TURN, ticked).await;
        };
        if let Some(why) = self.over_bytes(&key.tenant).await {
            return Err(DeskError::Conflict(format!("nothing was kept: {why}")));
        }
        let mut slot = Slot { key: key.clone(), job: Job::Ingest, scheduled: self.clock.now() };
        while self.store.run(&slot)?.is_some() {
            slot.scheduled += 1;
        }
        let redo = Redo { pushed: Some(Arc::new(samples)), ..Redo::default() };
        let run = self.runner().execute_again(&bound, slot, PUSH, redo).await;
        let run = run.map_err(|fault| DeskError::Conflict(format!("nothing was kept: {fault}")))?;
        if let Some(fault) = run.error {
            return Err(DeskError::Conflict(format!("nothing was kept: {fault}")));
        }
        if !matches!(run.state, RunState::Done | RunState::Partial) {
            return Err(DeskError::Conflict(format!("nothing was kept: the run was {}", run.state.name())));
        }
        // What came may be what the last fit lacked; the next slot of fits may be hours away.
        let fit = self.store.last_run(key, Job::Train)?;
        if let Some(fit) = fit.filter(|fit| matches!(fit.state, RunState::Skipped(_))) {
            let again = self.runner().execute_again(&bound, fit.slot, PUSH, Redo::default()).await;
            tick::told(&key.to_string(), again.map(|run| vec![run]));
        }
        let count = |what: &str| run.counts.get(what).copied().unwrap_or(0);
        Ok(Pushed { samples: count("samples"), series: count("series"), run: run.slot.id() })
    }

    /// The samples by series, or what is wrong with the first that cannot be kept.
    fn sound(&self, sent: Vec<PushedSample>) -> Result<Sent, DeskError> {
        let limits = &self.config.limits;
        let now = self.clock.now();
        let past = now - Millis::try_from(limits.backfill_ms).unwrap_or(Millis::MAX);
        let mut all = Sent::new();
        for (index, PushedSample { labels, at, value, kind }) in sent.into_iter().enumerate() {
            let wrong = |field: &str, what: String| {
                Err(DeskError::Invalid(format!("/samples/{index}/{field}: {what}; nothing was kept")))
            };
            if !(past..=now).contains(&at) {
                let (past, now, at) = (instant::text(past), instant::text(now), instant::text(at));
                let what = format!("{at} is not between {past} (limits.backfill_ms) and now, which is {now} here");
                return wrong("at", what);
            }
            if !value.is_finite() {
                return wrong("value", "is no finite number; leave out what is missing".to_owned());
            }
            let labels = match plugin::labels(labels.into_iter().collect()) {
                Ok(labels) if labels.iter().next().is_none() => {
                    return wrong("labels", "are none: name the series, `__name__` at least".to_owned());
                }
                Ok(labels) => labels,
                Err(why) => return wrong("labels", why),
            };
            let (_, points) = all.entry(labels).or_insert_with(|| (kind, BTreeMap::new()));
            points.insert(at, value);
            if all.len() > limits.series_per_batch {
                let most = limits.series_per_batch;
                return wrong("labels", format!("are of more than {most} series (limits.series_per_batch)"));
            }
        }
        if all.is_empty() {
            return Err(DeskError::Invalid("/samples: is empty; send at least one sample".to_owned()));
        }
        Ok(all)
    }
}

fn samples(sent: Sent) -> Result<Samples, DeskError> {
    let (mut keys, mut kinds, mut offsets) = (Vec::new(), Vec::new(), vec![0]);
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    for (labels, (kind, points)) in sent {
        keys.push(labels);
        kinds.push(kind);
        timestamps.extend(points.keys());
        values.extend(points.values());
        offsets.push(values.len());
    }
    Samples::new(keys, kinds, offsets, timestamps, values).map_err(|why| DeskError::Invalid(why.to_string()))
}
