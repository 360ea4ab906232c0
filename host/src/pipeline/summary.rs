//! Summary: what happened in the last day, told of all batches of a tenant.
//!
//! Batches that have their summaries at the same times and by the same notifiers share one
//! message. It counts samples, scores and alerts of each metric, and names what needs a
//! hand: runs that failed and series that stopped.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::DateTime;
use chrono_tz::Tz;

use super::Outcome;
use super::tenant::TenantContext;
use crate::alert::{ALERTMANAGER, batch_receiver, walk};
use crate::config::{Batch, BatchKey, Job};
use crate::fault::Fault;
use crate::message::{Alert, AlertState};
use crate::schedule::Instants;
use crate::series::{Labels, Millis};
use crate::store::{AlertFilter, Delivery, RunFilter, RunState, StoreError};

/// Series whose points are counted at once.
const SERIES_AT_ONCE: usize = 200;
/// Steps without a sample after which a series has stopped, and the shortest such time.
const STALE_STEPS: Millis = 10;
/// See [`STALE_STEPS`].
const STALE_MS: Millis = 3_600_000;
/// Failing jobs and stopped series that are named; the rest is counted.
const NAMED: usize = 20;

/// A row of the table.
struct Row {
    batch: String,
    metric: String,
    samples: usize,
    scores: usize,
    alerts: usize,
}

/// What is told of some batches.
#[derive(Default)]
struct Tally {
    rows: Vec<Row>,
    alerts: usize,
    failing: Vec<String>,
    stale: Vec<String>,
}

pub(super) fn run(context: &TenantContext<'_>, all: bool) -> Result<Outcome, Fault> {
    let mut shared: BTreeMap<String, Vec<&Batch>> = BTreeMap::new();
    for batch in context.bound.batches.iter().map(|bound| &bound.batch) {
        let Some(schedule) = batch.schedules.get(&Job::Summary).filter(|schedule| schedule.enabled) else { continue };
        let now = context.now();
        let fires = Instants::new(&schedule.cron, batch.timezone).between(now - 1, now).next().is_some();
        if all || fires {
            let told: Vec<_> = batch.alert.notifiers.iter().map(|n| (&n.plugin, n.config.to_string())).collect();
            let alike = format!("{}\n{}\n{told:?}\n{}", schedule.cron, batch.timezone, batch.alert.routed);
            shared.entry(alike).or_default().push(batch);
        }
    }
    if shared.is_empty() {
        return Ok(Outcome::skipped("no batch has its summary now"));
    }
    let mut outcome = Outcome::default();
    for batches in shared.values() {
        let (messages, tally) = tell(context, batches).map_err(|error| context.store_fault(&error))?;
        outcome.count("batches", batches.len());
        outcome.count("metrics", tally.rows.len());
        outcome.count("messages", messages.len());
        outcome.deliveries.extend(messages);
    }
    Ok(outcome)
}

/// One message for each notifier of the batches, and of the receivers that the tenant's tree
/// has for a summary.
fn tell(context: &TenantContext<'_>, batches: &[&Batch]) -> Result<(Vec<Delivery>, Tally), StoreError> {
    let mut tally = Tally::default();
    for batch in batches {
        count(context, batch, &mut tally)?;
    }
    tally.rows.sort_by(|a, b| b.alerts.cmp(&a.alerts).then_with(|| (&a.batch, &a.metric).cmp(&(&b.batch, &b.metric))));
    let Some(first) = batches.first() else { return Ok((Vec::new(), tally)) };
    let labels = labels(context, batches);
    let mut told: Vec<(String, String)> = Vec::new();
    for notifier in &first.alert.notifiers {
        told.push((batch_receiver(&first.key.batch), notifier.plugin.clone()));
    }
    let routing = &context.bound.routing;
    if let Some(root) = routing.route.as_ref().filter(|_| first.alert.routed) {
        for target in walk(routing, root, &labels) {
            told.extend(target.notifiers.iter().map(|method| (target.receiver.clone(), method.clone())));
        }
    }
    told.retain(|(_, method)| method != ALERTMANAGER);
    let (title, body) = words(context, batches, &tally, first.timezone);
    let delivery = |(receiver, method): (String, String)| {
        let id = format!("summary-{}-{receiver}-{method}", context.now());
        Delivery {
            alert: Alert {
                id: id.clone(),
                incident: id.clone(),
                state: AlertState::Firing,
                kind: "summary".to_owned(),
                labels: labels.clone(),
                title: title.clone(),
                body: body.clone(),
                link: None,
                actions: Vec::new(),
                chart: None,
                findings: Vec::new(),
                more: 0,
            },
            id,
            key: context.bound.key(),
            batches: batches.iter().map(|batch| batch.key.batch.clone()).collect(),
            subject: None,
            drawn: Vec::new(),
            receiver,
            method,
            queued: context.now(),
            due: context.now(),
            every_ms: None,
            attempts: Vec::new(),
            state: "queued".to_owned(),
        }
    };
    Ok((told.into_iter().map(delivery).collect(), tally))
}

fn labels(context: &TenantContext<'_>, batches: &[&Batch]) -> Labels {
    let mut pairs = BTreeMap::from([
        ("alertname".to_owned(), "Summary".to_owned()),
        ("kind".to_owned(), "summary".to_owned()),
        ("tenant".to_owned(), context.tenant().to_owned()),
    ]);
    if let [batch] = batches {
        pairs.insert("batch".to_owned(), batch.key.batch.clone());
    }
    Labels::new(pairs).unwrap_or_default()
}

fn count(context: &TenantContext<'_>, batch: &Batch, tally: &mut Tally) -> Result<(), StoreError> {
    let (store, key, now) = (context.store, &batch.key, context.now());
    let span = now - batch.summary_ms..now + 1;
    let began = AlertFilter { key: Some(key.clone()), started: Some(span.clone()), ..AlertFilter::default() };
    let mut alerts: BTreeMap<u32, usize> = BTreeMap::new();
    for alert in store.alerts(&began)?.into_iter().filter(|alert| alert.fired.is_some()) {
        *alerts.entry(alert.series.0).or_default() += 1;
        tally.alerts += 1;
    }
    let series = store.series(key);
    let stale_ms = (Millis::from(batch.step_ms) * STALE_STEPS).max(STALE_MS);
    for some in series.chunks(SERIES_AT_ONCE) {
        let ids: Vec<_> = some.iter().map(|series| series.id).collect();
        let values = store.values(key, &ids, span.clone())?;
        let scores = store.scores(key, &ids, span.clone())?;
        for ((series, values), scores) in some.iter().zip(values).zip(scores) {
            let alerts = alerts.get(&series.id.0).copied().unwrap_or(0);
            let row = Row {
                batch: key.batch.clone(),
                metric: series.name.clone(),
                samples: values.timestamps.len(),
                scores: scores.rows.len(),
                alerts,
            };
            // One that stopped before the span is old news.
            let last = series.span.map(|(_, last)| last).filter(|last| span.contains(last));
            if let Some(last) = last.filter(|last| now - last >= stale_ms) {
                tally.stale.push(format!(
                    "{} of {}: the last sample is of {}",
                    row.metric,
                    key.batch,
                    at(last, batch.timezone)
                ));
            }
            if row.samples > 0 || alerts > 0 {
                tally.rows.push(row);
            }
        }
    }
    failing(context, key, batch.timezone, span.start, tally)
}

fn failing(
    context: &TenantContext<'_>,
    key: &BatchKey,
    zone: Tz,
    since: Millis,
    tally: &mut Tally,
) -> Result<(), StoreError> {
    for job in Job::ALL.into_iter().filter(|job| !job.of_tenant()) {
        let filter = RunFilter { key: Some(key.clone()), job: Some(job), limit: None };
        let runs: Vec<_> = context.store.runs(&filter)?.into_iter().filter(|run| run.slot.scheduled >= since).collect();
        let mut failed = runs.iter().filter(|run| run.state == RunState::Failed);
        let Some(last) = failed.next() else { continue };
        let why = last.error.as_ref().map(|fault| fault.message.as_str()).unwrap_or_default();
        tally.failing.push(format!(
            "{job} of {}: {} of {} runs, the last at {}: {why}",
            key.batch,
            failed.count() + 1,
            runs.len(),
            at(last.slot.scheduled, zone)
        ));
    }
    Ok(())
}

fn at(time: Millis, zone: Tz) -> String {
    let time = DateTime::from_timestamp_millis(time).unwrap_or_default().with_timezone(&zone);
    time.format("%Y-%m-%d %H:%M %Z").to_string()
}

/// Title and body, in Markdown.
fn words(context: &TenantContext<'_>, batches: &[&Batch], tally: &Tally, zone: Tz) -> (String, String) {
    let span_ms = batches.iter().map(|batch| batch.summary_ms).max().unwrap_or_default();
    let number = |n: usize, one: &str| match n {
        0 => format!("no {one}s"),
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    };
    let names: Vec<&str> = batches.iter().map(|batch| batch.key.batch.as_str()).collect();
    let of = if let [name] = names[..] { name.to_owned() } else { format!("{} batches", names.len()) };
    let mut title = format!("Summary of {of}: {}", number(tally.alerts, "alert"));
    if !tally.failing.is_empty() {
        let _ = write!(title, ", {}", number(tally.failing.len(), "failing job"));
    }
    let mut body = format!("From {} to {}.\n\n", at(context.now() - span_ms, zone), at(context.now(), zone));
    body.push_str("| batch | metric | samples | scores | alerts |\n|---|---|--:|--:|--:|\n");
    for row in tally.rows.iter().take(context.limits.summary_rows) {
        let Row { batch, metric, samples, scores, alerts } = row;
        let _ = writeln!(body, "| {batch} | {} | {samples} | {scores} | {alerts} |", cell(metric));
    }
    let more = tally.rows.len().saturating_sub(context.limits.summary_rows);
    if more > 0 {
        let _ = write!(body, "\nAnd {}.\n", number(more, "further metric"));
    }
    let silent: Vec<&&str> = names.iter().filter(|name| !tally.rows.iter().any(|row| row.batch == ***name)).collect();
    if !silent.is_empty() {
        let names: Vec<&str> = silent.into_iter().copied().collect();
        let _ = write!(body, "\nNo samples at all: {}.\n", names.join(", "));
    }
    for (head, lines) in [("Jobs that failed", &tally.failing), ("Series that stopped", &tally.stale)] {
        if lines.is_empty() {
            continue;
        }
        let _ = write!(body, "\n{head}:\n\n");
        lines.iter().take(NAMED).for_each(|line| {
            let _ = writeln!(body, "- {}", line.replace('\n', " "));
        });
        if lines.len() > NAMED {
            let _ = writeln!(body, "- and {} more", lines.len() - NAMED);
        }
    }
    (title, body)
}

/// A text that does not end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
