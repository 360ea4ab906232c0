//! Alert: shows the event rule what it has not seen. Scores raise anomalies, samples are held
//! against limits, and a series that stopped is missed.
//!
//! Anomalies stand on the judged grid, and their value is what the detector judged. Limits are
//! held against each sample as it came.

use super::raise::{Policy, Raise};
use super::{JobContext, Outcome};
use crate::alert::{Point, PolicyRecord, judged};
use crate::config::Bounds;
use crate::fault::Fault;
use crate::message::AlertKind;
use crate::series::{Grid, Millis};
use crate::store::SeriesRecord;

pub(super) fn run(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    let job = AlertJob::new(context);
    let mut raise = Raise::new(context)?;
    for series in context.store.series(context.key()) {
        job.anomaly(&mut raise, &series)?;
        job.threshold(&mut raise, &series)?;
        job.no_data(&mut raise, &series)?;
        job.retired(&mut raise, &series)?;
    }
    raise.end_orphans()?;
    raise.finish("no new scores, and no new samples that a limit is for")
}

struct AlertJob<'a> {
    context: &'a JobContext<'a>,
    anomaly: Policy,
    /// How long a series may be missing.
    no_data: Option<(Millis, Policy)>,
}

impl<'a> AlertJob<'a> {
    fn new(context: &'a JobContext<'a>) -> Self {
        let batch = &context.bound.batch;
        let no_data = |after| (after, Policy::new(PolicyRecord::no_data(after, &batch.alert)));
        Self {
            context,
            anomaly: Policy::new(PolicyRecord::anomaly(&batch.alert)),
            no_data: batch.alert.no_data_ms.map(no_data),
        }
    }

    fn limit(&self, bounds: Bounds) -> Policy {
        let batch = &self.context.bound.batch;
        Policy::new(PolicyRecord::threshold(&batch.threshold, bounds, &batch.alert))
    }

    /// The scored points that are new, with the values that were judged.
    fn anomaly(&self, raise: &mut Raise<'_>, series: &SeriesRecord) -> Result<(), Fault> {
        let context = self.context;
        let policy = &context.bound.batch.alert;
        if !policy.selects(&series.name, &series.labels) {
            return raise.close(series, &self.anomaly, context.now());
        }
        let seen = raise.seen(series, AlertKind::Anomaly);
        let Some(scored) = series.scored.filter(|scored| seen.is_none_or(|seen| *scored > seen)) else {
            return raise.end_if_gone(series, &self.anomaly, context.step());
        };
        let oldest = context.now().saturating_sub(policy.max_age_ms);
        let span = seen.map_or(oldest, |seen| (seen + 1).max(oldest))..scored + 1;
        let scores = context.store.scores(context.key(), &[series.id], span.clone());
        let Some(scores) = scores.map_err(|e| context.store_fault(&e))?.pop() else { return Ok(()) };
        let Some((first, last)) = scores.rows.first().zip(scores.rows.last()) else { return Ok(()) };
        let grid = Grid::spanning(first.time, last.time + context.step(), context.bound.batch.judged.step_ms);
        let values = context.store.values(context.key(), &[series.id], grid.start..grid.end());
        let values = values.map_err(|e| context.store_fault(&e))?.pop().unwrap_or_default();
        raise.watch(series, &self.anomaly, &judged(scores.rows, &values, &context.bound.batch.judged))
    }

    /// The samples that are new, held against the limit that is for the series. The first time
    /// that is the newest sample alone: a limit is about what is, and not about what was.
    fn threshold(&self, raise: &mut Raise<'_>, series: &SeriesRecord) -> Result<(), Fault> {
        let context = self.context;
        let policy = &context.bound.batch.threshold;
        let bounds = policy.bounds(&series.name, &series.labels).filter(|_| policy.enabled);
        let Some(bounds) = bounds else {
            // What its limit was is no matter any more.
            return match raise.track(series, AlertKind::Threshold) {
                Some(_) => raise.close(series, &self.limit(Bounds::default()), context.now()),
                None => Ok(()),
            };
        };
        let limit = &self.limit(bounds);
        let Some((_, last)) = series.span else { return Ok(()) };
        let oldest = context.now().saturating_sub(context.bound.batch.alert.max_age_ms);
        let first = raise.seen(series, AlertKind::Threshold).map_or(last, |seen| seen + 1).max(oldest);
        if first > last {
            return raise.end_if_gone(series, limit, Millis::from(context.bound.batch.step_ms));
        }
        let values = context.store.values(context.key(), &[series.id], first..last + 1);
        let values = values.map_err(|e| context.store_fault(&e))?.pop().unwrap_or_default();
        let points = values.timestamps.into_iter().zip(values.values).map(|(time, value)| held(time, value, bounds));
        raise.watch(series, limit, &points.collect::<Vec<_>>())
    }

    /// How long the series has been missing when its source was last asked with success. A
    /// series that was gone before anybody looked is not missed.
    fn no_data(&self, raise: &mut Raise<'_>, series: &SeriesRecord) -> Result<(), Fault> {
        let context = self.context;
        let policy = &context.bound.batch.alert;
        let oldest = context.now().saturating_sub(policy.max_age_ms);
        let last = series.span.map(|(_, last)| last).filter(|last| *last >= oldest);
        let wanted = policy.selects(&series.name, &series.labels);
        let (Some((after, no_data)), Some(last), true) = (&self.no_data, last, wanted) else {
            return match raise.track(series, AlertKind::NoData) {
                Some(_) => raise.close(series, &Policy::new(PolicyRecord::no_data(0, policy)), context.now()),
                None => Ok(()),
            };
        };
        let Some(time) = raise.ingested() else { return Ok(()) };
        let score = time.saturating_sub(last).max(0) as f64 / (*after).max(1) as f64;
        if raise.track(series, AlertKind::NoData).is_none() && score >= 1.0 {
            return Ok(());
        }
        let nothing = f64::NAN;
        let point = Point { time, value: nothing, score, lower: nothing, upper: nothing, terms: Vec::new() };
        raise.watch(series, no_data, &[point])
    }

    /// Ends what a kind of alert raised that is switched off.
    fn retired(&self, raise: &mut Raise<'_>, series: &SeriesRecord) -> Result<(), Fault> {
        let batch = &self.context.bound.batch;
        let (change, capacity, llm) = (&batch.change, &batch.capacity, &batch.llm);
        if !change.enabled && raise.track(series, AlertKind::Change).is_some() {
            let policy = Policy::new(PolicyRecord::change(change, &batch.alert));
            raise.close(series, &policy, self.context.now())?;
        }
        if capacity.limit(&series.name, &series.labels).is_none() && raise.track(series, AlertKind::Capacity).is_some()
        {
            let policy = Policy::new(PolicyRecord::capacity_without_limit(&batch.alert));
            raise.close(series, &policy, self.context.now())?;
        }
        if !llm.detect && raise.track(series, AlertKind::Llm).is_some() {
            let policy = Policy::new(PolicyRecord::llm(llm, &batch.alert));
            raise.close(series, &policy, self.context.now())?;
        }
        Ok(())
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
