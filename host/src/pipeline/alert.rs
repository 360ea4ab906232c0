//! Alert: shows the event rule what it has not seen. Scores raise anomalies, samples are held
//! against limits, and a series that stopped is missed.
//!
//! Anomalies stand on the judged grid, and their value is what the detector judged. Limits are
//! held against each sample as it came.

use super::raise::{Policy, Raise};
use super::{JobContext, Outcome, ingest};
use crate::alert::{Point, PolicyRecord};
use crate::config::{Bounds, MetricSet};
use crate::fault::Fault;
use crate::message::AlertKind;
use crate::series::{Grid, Millis};
use crate::store::{RunState, SeriesRecord};

/// An alert of a series that gives nothing any more is over after this time at least, in
/// milliseconds: some series give a sample in an hour.
const GONE_MS: Millis = 3_600_000;

pub(super) fn run(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    let job = AlertJob::new(context)?;
    let mut raise = Raise::new(context)?;
    for series in context.store.series(context.key()) {
        job.anomaly(&mut raise, &series)?;
        job.threshold(&mut raise, &series)?;
        job.no_data(&mut raise, &series)?;
    }
    raise.finish("no new scores, and no new samples that a limit is for")
}

struct AlertJob<'a> {
    context: &'a JobContext<'a>,
    anomaly: Policy,
    /// What a limit is for, what it is, and its policy.
    limits: Vec<(&'a MetricSet, Bounds, Policy)>,
    /// How long a series may be missing.
    no_data: Option<(Millis, Policy)>,
    /// The instant up to which the source has given all that it had, if its last run did.
    ingested: Option<Millis>,
}

impl<'a> AlertJob<'a> {
    fn new(context: &'a JobContext<'a>) -> Result<Self, Fault> {
        let batch = &context.bound.batch;
        let limit = |(set, bounds): &'a (MetricSet, Bounds)| {
            (set, *bounds, Policy::new(PolicyRecord::threshold(&batch.threshold, *bounds, &batch.alert)))
        };
        let no_data = |after| (after, Policy::new(PolicyRecord::no_data(after, &batch.alert)));
        Ok(Self {
            context,
            anomaly: Policy::new(PolicyRecord::anomaly(&batch.alert)),
            limits: batch.threshold.limits.iter().map(limit).collect(),
            no_data: batch.alert.no_data_ms.map(no_data),
            ingested: ingested(context)?,
        })
    }

    /// The scored points that are new, with the values that were judged.
    fn anomaly(&self, raise: &mut Raise<'_>, series: &SeriesRecord) -> Result<(), Fault> {
        let context = self.context;
        let policy = &context.bound.batch.alert;
        if policy.exclude.contains(&series.name, &series.labels) {
            return raise.close(series, &self.anomaly, context.now());
        }
        let seen = raise.seen(series, AlertKind::Anomaly);
        let Some(scored) = series.scored.filter(|scored| seen.is_none_or(|seen| *scored > seen)) else {
            return self.end_if_gone(raise, series, &self.anomaly, context.step());
        };
        let oldest = context.now().saturating_sub(policy.max_age_ms);
        let span = seen.map_or(oldest, |seen| (seen + 1).max(oldest))..scored + 1;
        let scores = context.store.scores(context.key(), &[series.id], span.clone());
        let Some(scores) = scores.map_err(|e| context.store_fault(&e))?.pop() else { return Ok(()) };
        let Some((first, last)) = scores.rows.first().zip(scores.rows.last()) else { return Ok(()) };
        let grid = Grid::spanning(first.time, last.time + context.step(), context.bound.batch.judged.step_ms);
        let values = context.store.values(context.key(), &[series.id], grid.start..grid.end());
        let values = values.map_err(|e| context.store_fault(&e))?.pop().unwrap_or_default();
        let values = grid.lay(&values.timestamps, &values.values, context.bound.batch.judged.aggregate);
        let point = |row: crate::store::ScoreRow| {
            let column = usize::try_from((row.time - grid.start).div_euclid(context.step())).ok();
            let value = column.and_then(|column| values.get(column)).copied().unwrap_or(f64::NAN);
            Point { time: row.time, value, score: row.score, lower: row.lower, upper: row.upper, terms: row.terms }
        };
        let points: Vec<Point> = scores.rows.into_iter().map(point).collect();
        raise.watch(series, &self.anomaly, &points)
    }

    /// The samples that are new, held against the limit that is for the series. The first time
    /// that is the newest sample alone: a limit is about what is, and not about what was.
    fn threshold(&self, raise: &mut Raise<'_>, series: &SeriesRecord) -> Result<(), Fault> {
        let context = self.context;
        let policy = &context.bound.batch.threshold;
        let is_for = |set: &MetricSet| set.contains(&series.name, &series.labels);
        let limit = self.limits.iter().find(|(set, ..)| is_for(set));
        let Some((_, bounds, limit)) = limit.filter(|_| policy.enabled && !is_for(&policy.exclude)) else {
            // What its limit was is no matter any more.
            let gone = PolicyRecord::threshold(policy, Bounds::default(), &context.bound.batch.alert);
            return match raise.track(series, AlertKind::Threshold) {
                Some(_) => raise.close(series, &Policy::new(gone), context.now()),
                None => Ok(()),
            };
        };
        let Some((_, last)) = series.span else { return Ok(()) };
        let oldest = context.now().saturating_sub(context.bound.batch.alert.max_age_ms);
        let first = raise.seen(series, AlertKind::Threshold).map_or(last, |seen| seen + 1).max(oldest);
        if first > last {
            return self.end_if_gone(raise, series, limit, Millis::from(context.bound.batch.step_ms));
        }
        let values = context.store.values(context.key(), &[series.id], first..last + 1);
        let values = values.map_err(|e| context.store_fault(&e))?.pop().unwrap_or_default();
        let points = values.timestamps.into_iter().zip(values.values).map(|(time, value)| held(time, value, *bounds));
        raise.watch(series, limit, &points.collect::<Vec<_>>())
    }

    /// How long the series has been missing when its source was last asked with success. A
    /// series that was gone before anybody looked is not missed.
    fn no_data(&self, raise: &mut Raise<'_>, series: &SeriesRecord) -> Result<(), Fault> {
        let context = self.context;
        let policy = &context.bound.batch.alert;
        let oldest = context.now().saturating_sub(policy.max_age_ms);
        let last = series.span.map(|(_, last)| last).filter(|last| *last >= oldest);
        let wanted = !policy.exclude.contains(&series.name, &series.labels);
        let (Some((after, no_data)), Some(last), true) = (&self.no_data, last, wanted) else {
            return match raise.track(series, AlertKind::NoData) {
                Some(_) => raise.close(series, &Policy::new(PolicyRecord::no_data(0, policy)), context.now()),
                None => Ok(()),
            };
        };
        let Some(time) = self.ingested else { return Ok(()) };
        let score = time.saturating_sub(last).max(0) as f64 / (*after).max(1) as f64;
        if raise.track(series, AlertKind::NoData).is_none() && score >= 1.0 {
            return Ok(());
        }
        let nothing = f64::NAN;
        let point = Point { time, value: nothing, score, lower: nothing, upper: nothing, terms: Vec::new() };
        raise.watch(series, no_data, &[point])
    }

    /// Ends the alert of a series that has given nothing for as many points as would end it if
    /// they were quiet: a host that was taken down must not be told of for ever.
    fn end_if_gone(
        &self,
        raise: &mut Raise<'_>,
        series: &SeriesRecord,
        policy: &Policy,
        step: Millis,
    ) -> Result<(), Fault> {
        let Some(track) = raise.track(series, policy.record.kind) else { return Ok(()) };
        let (Some(episode), Some((_, last)), Some(ingested)) = (track.episode(), series.span, self.ingested) else {
            return Ok(());
        };
        let points = Millis::try_from(episode.quiet_points(&policy.record)).unwrap_or(Millis::MAX);
        let wait = points.saturating_mul(step).max(GONE_MS);
        if ingested.saturating_sub(last) < wait {
            return Ok(());
        }
        raise.close(series, policy, last + step)
    }
}

/// A sample held against its limit: strictly outside of it, it scores 1 and by how much more
/// it is over, in parts of the limit; else 0.
fn held(time: Millis, value: f64, bounds: Bounds) -> Point {
    let over = |edge: Option<f64>, distance: fn(f64, f64) -> f64| {
        let edge = edge?;
        let distance = distance(value, edge);
        let scale = if edge == 0.0 { 1.0 } else { edge.abs() };
        (distance > 0.0).then_some(1.0 + distance / scale)
    };
    let above = over(bounds.upper, |value, edge| value - edge);
    let score = above.or_else(|| over(bounds.lower, |value, edge| edge - value)).unwrap_or(0.0);
    let edge = |edge: Option<f64>| edge.unwrap_or(f64::NAN);
    Point { time, value, score, lower: edge(bounds.lower), upper: edge(bounds.upper), terms: Vec::new() }
}

/// Up to which instant the source has given all that it had: when it was last asked, if it
/// then answered in full. One that failed, or lost a part, says nothing of what is missing.
fn ingested(context: &JobContext<'_>) -> Result<Option<Millis>, Fault> {
    let last = ingest::last_that(context, |run| !matches!(run.state, RunState::Skipped(_)))?;
    let delay = context.bound.batch.ingest.delay_ms;
    Ok(last.filter(|run| run.state == RunState::Done).map(|run| run.slot.scheduled.saturating_sub(delay)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_crossed_strictly_and_the_further_the_worse() {
        let bounds = Bounds { lower: Some(0.0), upper: Some(10.0) };
        let scores = [10.0, 15.0, 0.0, -2.0, 5.0].map(|value| held(0, value, bounds).score);
        assert_eq!(scores, [0.0, 1.5, 0.0, 3.0, 0.0]);
        let upper = Bounds { lower: None, upper: Some(-4.0) };
        assert_eq!(held(0, -2.0, upper).score, 1.5);
        assert!(held(0, -2.0, upper).lower.is_nan());
    }
}
