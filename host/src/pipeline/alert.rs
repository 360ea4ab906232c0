//! Alert: shows the event rule the scores that it has not seen, keeps what becomes of the
//! alerts, and queues a delivery for each that begins or ends.

use std::collections::BTreeMap;

use super::{JobContext, Outcome};
use crate::alert::{Change, EventMemory as Memory, EventRule, Point, alert_id, compose, deliveries};
use crate::fault::Fault;
use crate::message::{AlertKind, AlertPhase};
use crate::series::Millis;
use crate::store::{AlertRecord, Column, Peak, RunState, ScoreColumn, SeriesRecord};

pub(super) fn run(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    let batch = &context.bound.batch;
    let rule = EventRule(&batch.alert);
    let mut outcome = Outcome::default();
    let mut series = context.store.series(context.key());
    series.retain(|s| !batch.alert.exclude.contains(&s.name, &s.labels));
    let mut memories = memories(context)?;
    for series in &series {
        let mut memory = memories.remove(&series.id).unwrap_or_default();
        let Some(points) = unseen(context, series, memory.seen)? else { continue };
        let changes = rule.watch(&mut memory, &points);
        outcome.count("points", points.len());
        outcome.watched.push((series.id, encode(&memory)));
        for change in changes {
            record(context, series, change, &mut outcome)?;
        }
    }
    if outcome.watched.is_empty() {
        outcome.state = Some(RunState::Skipped("no new scores".to_owned()));
    }
    Ok(outcome)
}

fn memories(context: &JobContext<'_>) -> Result<BTreeMap<crate::store::SeriesId, Memory>, Fault> {
    let watched = context.store.watched(context.key()).map_err(|e| context.store_fault(&e))?;
    Ok(watched
        .into_iter()
        .map(|(id, bytes)| {
            // A memory of another format begins anew: the worst is one alert told twice.
            (id, serde_json::from_slice(&bytes).unwrap_or_default())
        })
        .collect())
}

fn encode(memory: &Memory) -> Vec<u8> {
    serde_json::to_vec(memory).unwrap_or_default()
}

/// The scored points after `seen`, with their values; none where there is nothing new.
fn unseen(context: &JobContext<'_>, series: &SeriesRecord, seen: Option<Millis>) -> Result<Option<Vec<Point>>, Fault> {
    let Some(scored) = series.scored.filter(|scored| seen.is_none_or(|seen| *scored > seen)) else { return Ok(None) };
    let oldest = context.now() - context.bound.batch.alert.max_age_ms;
    let span = seen.map_or(oldest, |seen| (seen + 1).max(oldest))..scored + 1;
    let ids = [series.id];
    let scores = context.store.scores(context.key(), &ids, span.clone()).map_err(|e| context.store_fault(&e))?;
    let wide = span.start..span.end + context.step();
    let values = context.store.values(context.key(), &ids, wide).map_err(|e| context.store_fault(&e))?;
    let (Some(scores), Some(values)) = (scores.into_iter().next(), values.into_iter().next()) else {
        return Ok(None);
    };
    Ok(Some(join(scores, &values, context.step())))
}

/// Scores stand on the grid and values where their source put them: a point takes the last
/// value of its column.
fn join(scores: ScoreColumn, values: &Column, step: Millis) -> Vec<Point> {
    let mut index = 0;
    let mut points = Vec::with_capacity(scores.rows.len());
    for row in scores.rows {
        let mut value = f64::NAN;
        while let (Some(time), Some(v)) = (values.timestamps.get(index), values.values.get(index))
            && *time < row.time + step
        {
            if *time >= row.time {
                value = *v;
            }
            index += 1;
        }
        let value = if value.is_finite() { value } else { 0.0 };
        points.push(Point {
            time: row.time,
            value,
            score: row.score,
            lower: row.lower,
            upper: row.upper,
            terms: row.terms,
        });
    }
    points
}

fn record(context: &JobContext<'_>, series: &SeriesRecord, change: Change, outcome: &mut Outcome) -> Result<(), Fault> {
    let batch = &context.bound.batch;
    let (phase, started, ended, worst, tell) = match change {
        Change::Began { started, worst } => (AlertPhase::Firing, started, None, worst, true),
        Change::Worsened { started, worst } => (AlertPhase::Firing, started, None, worst, false),
        Change::Resolved { started, ended, worst } => (AlertPhase::Resolved, started, Some(ended), worst, true),
    };
    let record = AlertRecord {
        key: context.key().clone(),
        id: alert_id(context.key(), AlertKind::Anomaly, &series.labels, started),
        series: series.id,
        labels: series.labels.clone(),
        name: series.name.clone(),
        kind: AlertKind::Anomaly,
        phase,
        started,
        fired: Some(started),
        ended,
        worst: Peak {
            time: worst.time,
            value: worst.value,
            score: worst.score,
            lower: worst.lower,
            upper: worst.upper,
        },
        terms: worst.terms,
        threshold: batch.alert.threshold,
        models: models(context, series)?,
        policy: String::new(),
        events: Vec::new(),
        explanation: None,
    };
    if tell {
        outcome.count(if ended.is_some() { "resolved" } else { "alerts" }, 1);
        outcome.deliveries.extend(deliveries(batch, &compose(batch, &record), context.now()));
    }
    // A later state of the same alert replaces the earlier one.
    outcome.alerts.retain(|earlier| earlier.id != record.id);
    outcome.alerts.push(record);
    Ok(())
}

fn models(context: &JobContext<'_>, series: &SeriesRecord) -> Result<Vec<(String, String)>, Fault> {
    let mut models = Vec::new();
    for detector in &context.bound.detectors {
        let found = context.store.models(context.key(), &detector.entry.tag, &[series.id]);
        for model in found.map_err(|e| context.store_fault(&e))?.into_iter().flatten() {
            models.push((model.tag, model.digest));
        }
    }
    Ok(models)
}
