//! What the jobs that raise alerts have in common: the event rule is shown points of a
//! series, and what it makes of them becomes records.
//!
//! Nothing is told here. An alert that begins to fire, or ends after it has fired, leaves a
//! [`Signal`] for the router, in the same commit.

use std::collections::{BTreeMap, BTreeSet};

use super::{JobContext, Outcome, ingest};
use crate::alert::{
    Change, Episode, EventRule, Look, Marker, Memory, News, Point, PolicyRecord, Signal, Track, alert_id, series_labels,
};
use crate::config::CapacityPolicy;
use crate::fault::Fault;
use crate::message::{AlertKind, AlertPhase};
use crate::series::Millis;
use crate::store::{AlertFilter, AlertRecord, Decision, DocumentKind, Peak, RunState, SeriesId, SeriesRecord};

/// An alert of a series that gives nothing any more is over after this time at least, in
/// milliseconds: some series give a sample in an hour.
const GONE_MS: Millis = 3_600_000;

/// A policy with its identity, which takes a digest to find out.
pub(super) struct Policy {
    pub record: PolicyRecord,
    id: String,
}

impl Policy {
    pub(super) fn new(record: PolicyRecord) -> Self {
        Self { id: record.id(), record }
    }
}

/// What one run raises.
pub(super) struct Raise<'a> {
    context: &'a JobContext<'a>,
    memories: BTreeMap<SeriesId, Memory>,
    /// Series whose memory has changed.
    touched: BTreeSet<SeriesId>,
    markers: Vec<Marker>,
    /// The instant up to which the source has given all that it had, if its last run did.
    ingested: Option<Millis>,
    /// The policies that were in force, by identity.
    policies: BTreeMap<String, PolicyRecord>,
    /// The newest state of each alert.
    alerts: BTreeMap<String, AlertRecord>,
    signals: BTreeSet<Signal>,
    decisions: Vec<(SeriesId, Decision)>,
    /// The alerts that were not over before this run, read when first needed.
    open: Option<BTreeMap<String, AlertRecord>>,
    counts: Outcome,
}

impl<'a> Raise<'a> {
    pub(super) fn new(context: &'a JobContext<'a>) -> Result<Self, Fault> {
        let watched = context.store.watched(context.key()).map_err(|e| context.store_fault(&e))?;
        let markers = context.store.documents(&context.key().tenant, DocumentKind::Event, "");
        let markers = markers.map_err(|e| context.store_fault(&e))?;
        Ok(Self {
            context,
            memories: watched.into_iter().map(|(id, bytes)| (id, Memory::decode(&bytes))).collect(),
            touched: BTreeSet::new(),
            markers: markers.into_iter().map(|(_, marker)| marker).collect(),
            ingested: ingested(context)?,
            policies: BTreeMap::new(),
            alerts: BTreeMap::new(),
            signals: BTreeSet::new(),
            decisions: Vec::new(),
            open: None,
            counts: Outcome::default(),
        })
    }

    /// The instant up to which the source has given all that it had; `None` if its last run did
    /// not succeed, and so says nothing of what is missing.
    pub(super) fn ingested(&self) -> Option<Millis> {
        self.ingested
    }

    /// What is remembered of a series for a kind of alert; `None` if it has never been looked at.
    pub(super) fn track(&self, series: &SeriesRecord, kind: AlertKind) -> Option<&Track> {
        self.memories.get(&series.id)?.track(kind)
    }

    /// The last point of a series that was looked at for a kind of alert.
    pub(super) fn seen(&self, series: &SeriesRecord, kind: AlertKind) -> Option<Millis> {
        self.track(series, kind)?.seen()
    }

    /// Shows the rule points of a series, in order of time.
    pub(super) fn watch(&mut self, series: &SeriesRecord, policy: &Policy, points: &[Point]) -> Result<(), Fault> {
        let seen = self.seen(series, policy.record.kind);
        let fresh = points.iter().filter(|point| seen.is_none_or(|seen| point.time > seen)).count();
        if fresh == 0 {
            return Ok(());
        }
        self.counts.count("points", fresh);
        self.apply(series, policy, |rule, track| rule.watch(track, points))
    }

    /// Writes into alerts of a series that this run raised or changed, and that nobody has
    /// explained, why they are; `why` is given when the alert began.
    pub(super) fn explain(&mut self, series: SeriesId, kind: AlertKind, why: impl Fn(Millis) -> Option<String>) {
        for alert in self.alerts.values_mut().filter(|alert| alert.series == series && alert.kind == kind) {
            alert.explanation = alert.explanation.take().or_else(|| why(alert.started));
        }
    }

    /// Writes the newest point into the alert of a series that is on, in place of the worst:
    /// what was foreseen is told as it is foreseen now.
    pub(super) fn renew(&mut self, series: &SeriesRecord, kind: AlertKind, point: &Point) -> Result<(), Fault> {
        let Some(id) = self.track(series, kind).and_then(Track::episode).map(|episode| episode.id.clone()) else {
            return Ok(());
        };
        let Some(mut record) = self.before(&id)? else { return Ok(()) };
        let Point { time, value, score, lower, upper, ref terms } = *point;
        record.worst = Peak { time, value, score, lower, upper };
        record.terms.clone_from(terms);
        self.alerts.insert(id, record);
        Ok(())
    }

    /// Ends what is on of a series that is not looked at any more for this kind of alert.
    pub(super) fn close(&mut self, series: &SeriesRecord, policy: &Policy, at: Millis) -> Result<(), Fault> {
        let track = self.track(series, policy.record.kind);
        if track.is_none_or(|track| track.episode().is_none() && track.decision().is_none()) {
            return Ok(());
        }
        self.apply(series, policy, |rule, track| rule.close(track, at))
    }

    /// Ends the alert of a series that has given nothing for as many points as would end it if
    /// they were quiet: a host that was taken down must not be told of for ever. `step` is how
    /// far apart points are.
    pub(super) fn end_if_gone(&mut self, series: &SeriesRecord, policy: &Policy, step: Millis) -> Result<(), Fault> {
        let Some(episode) = self.track(series, policy.record.kind).and_then(Track::episode) else { return Ok(()) };
        let (Some((_, last)), Some(ingested)) = (series.span, self.ingested) else { return Ok(()) };
        let points = Millis::try_from(episode.quiet_points(&policy.record)).unwrap_or(Millis::MAX);
        if ingested.saturating_sub(last) < points.saturating_mul(step).max(GONE_MS) {
            return Ok(());
        }
        self.close(series, policy, last.saturating_add(step))
    }

    fn apply(
        &mut self,
        series: &SeriesRecord,
        policy: &Policy,
        look: impl FnOnce(&EventRule<'_>, &mut Track) -> Look,
    ) -> Result<(), Fault> {
        let (batch, kind) = (&self.context.bound.batch, policy.record.kind);
        let identify = |started: Millis| alert_id(&batch.key, kind, &series.labels, started);
        let markers = if self.markers.is_empty() {
            Vec::new()
        } else {
            let labels = series_labels(batch, kind, &series.labels, &series.name);
            self.markers.iter().filter(|marker| marker.is_about(&labels)).collect()
        };
        let rule = EventRule { policy: &policy.record, policy_id: &policy.id, markers, identify: &identify };
        let Look { changes, decisions } = look(&rule, self.memories.entry(series.id).or_default().track_mut(kind));
        self.touched.insert(series.id);
        if !self.policies.contains_key(&policy.id) {
            self.policies.insert(policy.id.clone(), policy.record.clone());
        }
        self.decisions.extend(decisions.into_iter().map(|decision| (series.id, decision)));
        for change in changes {
            self.record(series, policy, change)?;
        }
        Ok(())
    }

    fn record(&mut self, series: &SeriesRecord, policy: &Policy, change: Change) -> Result<(), Fault> {
        let told = change.is_told();
        let phase = change.phase();
        let Change { news, episode } = change;
        let Episode { id, started, fired, ended, worst, events, .. } = episode;
        let counted = match news {
            News::Began => Some("alerts"),
            News::Resolved => Some("resolved"),
            News::Pending => Some("pending"),
            News::Withdrawn => Some("withdrawn"),
            News::Updated => None,
        };
        if let Some(what) = counted {
            self.counts.count(what, 1);
        }
        let before = if news == News::Pending { None } else { self.before(&id)? };
        let Point { time, value, score, lower, upper, terms } = worst;
        let models = self.models(series, policy.record.kind, time)?;
        let key = self.context.key().clone();
        if told {
            self.signals.insert(Signal { key: key.clone(), id: id.clone(), at: self.context.now() });
        }
        let record = AlertRecord {
            key,
            id: id.clone(),
            kind: policy.record.kind,
            series: series.id,
            labels: series.labels.clone(),
            name: series.name.clone(),
            phase,
            started,
            fired,
            ended,
            worst: Peak { time, value, score, lower, upper },
            terms,
            // An alert keeps what it began under, and what another job wrote into it.
            threshold: before.as_ref().map_or_else(|| crossed(&policy.record, value), |before| before.threshold),
            models,
            policy: before.as_ref().map_or_else(|| policy.id.clone(), |before| before.policy.clone()),
            events,
            explanation: before.and_then(|before| before.explanation),
        };
        // A later state of the same alert replaces the earlier one.
        self.alerts.insert(id, record);
        Ok(())
    }

    /// Ends alerts that no memory holds any more, so that none is on for ever: a memory may be
    /// of a format that cannot be read.
    pub(super) fn end_orphans(&mut self) -> Result<(), Fault> {
        let open = self.open_before()?.clone();
        let held = |alert: &AlertRecord| {
            let track = self.memories.get(&alert.series).and_then(|memory| memory.track(alert.kind));
            self.alerts.contains_key(&alert.id)
                || track.and_then(Track::episode).is_some_and(|episode| episode.id == alert.id)
        };
        let orphans: Vec<AlertRecord> = open.into_values().filter(|alert| !held(alert)).collect();
        for mut alert in orphans {
            alert.phase = AlertPhase::Resolved;
            alert.ended = Some(self.context.now());
            if alert.fired.is_some() {
                self.counts.count("resolved", 1);
                self.signals.insert(Signal { key: alert.key.clone(), id: alert.id.clone(), at: self.context.now() });
            }
            self.alerts.insert(alert.id.clone(), alert);
        }
        Ok(())
    }

    /// An alert as it was last written.
    fn before(&mut self, id: &str) -> Result<Option<AlertRecord>, Fault> {
        if let Some(record) = self.alerts.get(id) {
            return Ok(Some(record.clone()));
        }
        Ok(self.open_before()?.get(id).cloned())
    }

    /// The alerts that were not over before this run.
    fn open_before(&mut self) -> Result<&BTreeMap<String, AlertRecord>, Fault> {
        if self.open.is_none() {
            let open = AlertFilter { key: Some(self.context.key().clone()), open: true, ..AlertFilter::default() };
            let open = self.context.store.alerts(&open).map_err(|e| self.context.store_fault(&e))?;
            self.open = Some(open.into_iter().map(|alert| (alert.id.clone(), alert)).collect());
        }
        Ok(self.open.get_or_insert_default())
    }

    /// Digests of the models that scored a point, a tag each. In a chain that is the newest fit
    /// from before the run in which the point was whole; else the newest of all, the closest
    /// that is known.
    fn models(&self, series: &SeriesRecord, kind: AlertKind, time: Millis) -> Result<Vec<(String, String)>, Fault> {
        let context = self.context;
        let batch = &context.bound.batch;
        let scored = time.saturating_add(context.step()).saturating_add(batch.ingest.delay_ms);
        let at = if batch.chain { scored.saturating_sub(1) } else { context.now() };
        let mut models = Vec::new();
        let tags: Vec<&str> = match kind {
            AlertKind::Anomaly => batch.detectors.iter().map(|detector| detector.tag.as_str()).collect(),
            AlertKind::Capacity => vec![CapacityPolicy::TAG],
            _ => Vec::new(),
        };
        for tag in tags {
            let fit = context.store.fit_at(context.key(), series.id, tag, at);
            models.extend(fit.map_err(|e| context.store_fault(&e))?.map(|fit| (fit.tag, fit.digest)));
        }
        Ok(models)
    }

    /// What is to be kept. Without anything the run did nothing, which is `idle`.
    pub(super) fn finish(self, idle: &str) -> Result<Outcome, Fault> {
        if self.touched.is_empty() && self.alerts.is_empty() {
            return Ok(Outcome::skipped(idle));
        }
        let tenant = &self.context.key().tenant;
        let mut documents = Vec::new();
        for (id, policy) in &self.policies {
            let known = self.context.store.document::<serde::de::IgnoredAny>(tenant, DocumentKind::Policy, id);
            if known.map_err(|e| self.context.store_fault(&e))?.is_none() {
                documents.push(policy.document());
            }
        }
        documents.extend(self.signals.iter().map(Signal::document));
        let memory = |id: SeriesId| Some((id, self.memories.get(&id)?.encode()));
        Ok(Outcome {
            watched: self.touched.iter().copied().filter_map(memory).collect(),
            alerts: self.alerts.into_values().collect(),
            decisions: self.decisions,
            documents,
            ..self.counts
        })
    }
}

/// The threshold that a value crossed: of a limit the edge, of a change its distance in robust
/// standard deviations, of missing data how long they may be missing, in milliseconds.
fn crossed(policy: &PolicyRecord, value: f64) -> f64 {
    let input = |name: &str| policy.inputs.get(name).copied();
    let named = match policy.kind {
        AlertKind::Threshold => input("upper").filter(|upper| value > *upper).or_else(|| input("lower")),
        AlertKind::Change => input("change_threshold"),
        AlertKind::NoData => input("after_ms"),
        AlertKind::Anomaly | AlertKind::Llm | AlertKind::Capacity => None,
    };
    named.unwrap_or(policy.threshold)
}

/// Up to which instant the source has given all that it had: when it was last asked, if it
/// then answered in full. One that failed, or lost a part, says nothing of what is missing.
fn ingested(context: &JobContext<'_>) -> Result<Option<Millis>, Fault> {
    let last = ingest::last_that(context, |run| !matches!(run.state, RunState::Skipped(_)))?;
    let delay = context.bound.batch.ingest.delay_ms;
    Ok(last.filter(|run| run.state == RunState::Done).map(|run| run.slot.scheduled.saturating_sub(delay)))
}
