//! Ingest: fetches what is new since the last run, page by page, or keeps what somebody sent.
//!
//! The first run asks for the batch's history. A later one begins where the last ended, or
//! where that one began if a part of the source could not be reached, so that it is asked
//! for again for as long as [`RECOVERED_MS`]. Asking twice is harmless: the same sample
//! twice is once. A part that is lost for good, a query that is wrong say, holds nothing up.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{BACKFILL, JobContext, Outcome, PUSH};
use crate::config::Job;
use crate::fault::{Blame, Fault, Retry};
use crate::plugin::Window;
use crate::series::{Kind, Labels, Millis, Samples};
use crate::store::{Column, RunFilter, RunRecord, RunState};

/// The count of parts that were lost and may be there the next time.
const AWAITED: &str = "awaited";
/// How far back they are asked for again.
const RECOVERED_MS: Millis = 24 * 3_600_000;

pub(super) async fn run(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    if let Some(pushed) = context.redo.as_ref().and_then(|redo| redo.pushed.clone()) {
        return Ok(push(context, &pushed));
    }
    let ingest = &context.bound.batch.ingest;
    let span = match context.redo.as_ref().and_then(|redo| redo.span.clone()) {
        Some(span) => span.start..span.end.min(end(context)),
        None => begin(context)?..end(context),
    };
    if span.is_empty() {
        return Ok(Outcome::skipped("no whole step has passed since the last run"));
    }
    let window = Window { span, step_ms: context.bound.batch.step_ms };
    let config = ingest.config.to_string();
    let mut series = Kept::default();
    let mut outcome = Outcome::default();
    let mut cursor = None;
    for page_number in 1.. {
        let call = context.call();
        let page = context.bound.ingester.fetch(&call, &config, &window, cursor.take()).await?;
        for loss in &page.lost {
            context.log.lost(loss);
        }
        outcome.count("lost", page.lost.len());
        outcome.count(AWAITED, page.lost.iter().filter(|loss| loss.error.retry() != Retry::Never).count());
        outcome.count("pages", 1);
        keep(&mut series, &page.samples, &window.span, ingest.rounding, &mut outcome);
        if series.len() > context.limits.series_per_batch {
            return Err(too_many(context, "series", context.limits.series_per_batch, "series_per_batch"));
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
        if page_number >= context.limits.ingest_pages {
            return Err(too_many(context, "pages", context.limits.ingest_pages, "ingest_pages"));
        }
    }
    outcome.count("series", series.len());
    for (what, time) in [("from", window.span.start), ("to", window.span.end)] {
        outcome.counts.insert(what.to_owned(), u64::try_from(time).unwrap_or(0));
    }
    if outcome.counts.get("lost").is_some_and(|lost| *lost > 0) {
        outcome.state = Some(RunState::Partial);
    }
    name(context, series, &mut outcome);
    Ok(outcome)
}

/// Columns by series.
type Kept = BTreeMap<Labels, (Kind, Column)>;

/// What somebody sent, in place of what is fetched.
fn push(context: &JobContext<'_>, pushed: &Samples) -> Outcome {
    let (mut series, mut outcome) = (Kept::default(), Outcome::default());
    keep(&mut series, pushed, &(0..Millis::MAX), context.bound.batch.ingest.rounding, &mut outcome);
    outcome.count("series", series.len());
    name(context, series, &mut outcome);
    outcome
}

/// Takes the samples of a page that lie in a span, are numbers, and follow those before.
fn keep(series: &mut Kept, samples: &Samples, span: &Range<Millis>, rounding: Option<u8>, outcome: &mut Outcome) {
    for (labels, kind, times, values) in samples.iter() {
        let (_, column) = series.entry(labels.clone()).or_insert((kind, Column::default()));
        let kept = times.iter().zip(values).filter(|(time, value)| {
            span.contains(time) && value.is_finite() && column.timestamps.last().is_none_or(|last| *time > last)
        });
        let kept: Vec<_> = kept.map(|(time, value)| (*time, round(*value, rounding))).collect();
        outcome.count("samples", kept.len());
        outcome.count("dropped", values.len() - kept.len());
        for (time, value) in kept {
            column.timestamps.push(time);
            column.values.push(value);
        }
    }
}

/// Gives each series its name, and them to the outcome.
fn name(context: &JobContext<'_>, series: Kept, outcome: &mut Outcome) {
    let name = |labels: &Labels| context.bound.batch.metric_name.render(labels);
    outcome.samples =
        series.into_iter().map(|(labels, (kind, column))| (labels.clone(), name(&labels), kind, column)).collect();
    outcome.samples.retain(|(.., column)| !column.timestamps.is_empty());
}

/// The resolution that is fetched; what is judged may be coarser.
fn step(context: &JobContext<'_>) -> Millis {
    Millis::from(context.bound.batch.step_ms)
}

/// Where the window ends: behind the newest whole step.
fn end(context: &JobContext<'_>) -> Millis {
    (context.now() - context.bound.batch.ingest.delay_ms).div_euclid(step(context)) * step(context)
}

/// Where the window begins.
fn begin(context: &JobContext<'_>) -> Result<Millis, Fault> {
    let now = end(context);
    let series = context.store.series(context.key());
    let last = series.iter().filter_map(|s| s.span).map(|(_, last)| last).max();
    let Some(last) = last else {
        return Ok(now - context.bound.batch.ingest.history_ms);
    };
    let after = last.div_euclid(step(context)) * step(context) + step(context);
    let lost_from = last_fetch(context)?
        .filter(|run| run.counts.get(AWAITED).is_some_and(|n| *n > 0))
        .and_then(|run| run.counts.get("from").copied())
        .and_then(|from| Millis::try_from(from).ok());
    Ok(lost_from.map_or(after, |from| after.min(from.max(now - RECOVERED_MS))))
}

/// The newest run that fetched anything. One that failed or had nothing to do in between says
/// nothing of what is awaited.
fn last_fetch(context: &JobContext<'_>) -> Result<Option<RunRecord>, Fault> {
    last_that(context, |run| matches!(run.state, RunState::Done | RunState::Partial))
}

/// The newest ingest run of a sort; one that filled a span of the past or kept what was sent is none.
pub(super) fn last_that(
    context: &JobContext<'_>,
    wanted: impl Fn(&RunRecord) -> bool,
) -> Result<Option<RunRecord>, Fault> {
    let last = context.store.last_run(context.key(), Job::Ingest).map_err(|e| context.store_fault(&e))?;
    let wanted = |run: &RunRecord| run.reason != BACKFILL && run.reason != PUSH && wanted(run);
    if last.as_ref().is_none_or(wanted) {
        return Ok(last);
    }
    let all = RunFilter { key: Some(context.key().clone()), job: Some(Job::Ingest), limit: None };
    let runs = context.store.runs(&all).map_err(|e| context.store_fault(&e))?;
    Ok(runs.into_iter().find(wanted))
}

fn round(value: f64, decimals: Option<u8>) -> f64 {
    decimals.map_or(value, |n| {
        let scale = 10f64.powi(i32::from(n));
        let rounded = (value * scale).round() / scale;
        if rounded.is_finite() { rounded } else { value }
    })
}

fn too_many(context: &JobContext<'_>, what: &str, most: usize, limit: &str) -> Fault {
    Fault {
        blame: Blame::Limit,
        tenant: context.key().tenant.clone(),
        plugin: context.bound.batch.ingest.plugin.clone(),
        version: String::new(),
        export: "fetch".to_owned(),
        message: format!("batch {} gave more than {most} {what}", context.key().batch),
        remedy: format!("ask for less in `ingest_params`, or raise `limits.{limit}` in anomd.yaml"),
        log_tail: Vec::new(),
        answer: None,
        until: None,
    }
}
