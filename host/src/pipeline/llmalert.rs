//! LLM alert: an analyst reads the series. It looks for anomalies by its own cron, and it
//! explains alerts that others raised, each once.
//!
//! What it says is stored with the alert and is told as text; it has no other effect. Each
//! series is a call of its own, so that the day's budget is kept between them, and a run
//! ends early when the budget is spent, the time is up or the remote side is busy: what it
//! did not come to, the next run takes first.

use std::time::{Duration, Instant};

use super::raise::{Policy, Raise};
use super::{BoundAnalyst, JobContext, Outcome, picture};
use crate::alert::{Budget, Point, PolicyRecord, Spent, used_by};
use crate::fault::{Fault, Retry};
use crate::message::{AlertKind, AlertPhase};
use crate::plugin::{Analysis, Insight, Subject};
use crate::schedule::Instants;
use crate::series::{Grid, Millis, Samples};
use crate::store::{AlertFilter, AlertRecord, DocumentKind, DocumentWrite, RunState, SeriesRecord};

/// Whether a batch has something for its analyst: alerts to explain, or a look that is due.
pub(super) fn is_due(context: &JobContext<'_>) -> Result<bool, Fault> {
    Ok(context.bound.analyst.is_some() && (detects(context)? || !unexplained(context)?.is_empty()))
}

pub(super) async fn run(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    let Some(analyst) = &context.bound.analyst else {
        return Ok(Outcome::skipped("the batch has no analyst (llmalert_explain, disable_llmalert: false)"));
    };
    let mut reading = Reading::new(context, analyst)?;
    let explained = reading.explain().await?;
    let detects = detects(context)?;
    let mut raise = Raise::new(context)?;
    if detects {
        reading.detect(&mut raise).await?;
    }
    let asked = reading.asked;
    let mut outcome = raise.finish("")?;
    outcome.state = None;
    // Detection never speaks of the alerts that were explained: those are not its kind.
    outcome.alerts.extend(explained);
    outcome.count("asked", asked);
    if asked == 0 && reading.partial.is_none() {
        outcome.state = Some(RunState::Skipped("nothing new to read".to_owned()));
    }
    if let Some(why) = &reading.partial {
        context.log.note(why.clone());
        outcome.state = Some(RunState::Partial);
    }
    outcome.documents.push(DocumentWrite::of(DocumentKind::Budget, budget_id(context), &reading.spent));
    if detects && reading.partial.is_none() {
        outcome.documents.push(DocumentWrite::of(DocumentKind::State, state_id(context), &context.now()));
    }
    Ok(outcome)
}

/// Where the day's use stands.
fn budget_id(context: &JobContext<'_>) -> String {
    format!("llmalert/{}", context.key().batch)
}

/// Where it stands up to when it has looked.
fn state_id(context: &JobContext<'_>) -> String {
    budget_id(context)
}

/// Whether its cron has come since it last looked; what never looked does not wait.
fn detects(context: &JobContext<'_>) -> Result<bool, Fault> {
    let batch = &context.bound.batch;
    if !batch.llm.detect {
        return Ok(false);
    }
    let last = context.store.document::<Millis>(&context.key().tenant, DocumentKind::State, &state_id(context));
    let Some(last) = last.map_err(|e| context.store_fault(&e))? else { return Ok(true) };
    let schedule = batch.schedules.get(&crate::config::Job::LlmAlert);
    Ok(schedule
        .is_some_and(|schedule| Instants::new(&schedule.cron, batch.timezone).due(last, context.now()).is_some()))
}

/// Alerts that fire and that nobody has explained.
fn unexplained(context: &JobContext<'_>) -> Result<Vec<AlertRecord>, Fault> {
    if !context.bound.batch.llm.explain {
        return Ok(Vec::new());
    }
    let filter = AlertFilter { key: Some(context.key().clone()), open: true, ..AlertFilter::default() };
    let mut open = context.store.alerts(&filter).map_err(|e| context.store_fault(&e))?;
    open.retain(|alert| {
        let wanted = context.bound.batch.llm.selects(&alert.name, &alert.labels);
        wanted && alert.phase == AlertPhase::Firing && alert.kind != AlertKind::Llm && alert.explanation.is_none()
    });
    Ok(open)
}

/// One run's use of the analyst.
struct Reading<'a> {
    context: &'a JobContext<'a>,
    analyst: &'a BoundAnalyst,
    series: Vec<SeriesRecord>,
    budget: Budget,
    spent: Spent,
    began: Instant,
    asked: usize,
    /// Why it ended early, or what was lost.
    partial: Option<String>,
    stopped: bool,
}

impl<'a> Reading<'a> {
    fn new(context: &'a JobContext<'a>, analyst: &'a BoundAnalyst) -> Result<Self, Fault> {
        let policy = &context.bound.batch.llm;
        let spent = context.store.document(&context.key().tenant, DocumentKind::Budget, &budget_id(context));
        Ok(Self {
            context,
            analyst,
            series: context.store.series(context.key()),
            budget: Budget { calls_per_day: u64::from(policy.calls_per_day), tokens_per_day: policy.tokens_per_day },
            spent: spent.map_err(|e| context.store_fault(&e))?.unwrap_or_default(),
            began: Instant::now(),
            asked: 0,
            partial: None,
            stopped: false,
        })
    }

    /// Explains what fires: the records with their explanations.
    async fn explain(&mut self) -> Result<Vec<AlertRecord>, Fault> {
        let mut explained = Vec::new();
        for mut alert in unexplained(self.context)? {
            let Some(series) = self.series.iter().find(|series| series.id == alert.series).cloned() else { continue };
            if !self.may_ask() {
                break;
            }
            let Some((analysis, _)) = self.ask(&series, Some(&alert)).await? else { continue };
            if let Some(insight) = analysis.insights.iter().max_by(|a, b| a.score.total_cmp(&b.score)) {
                alert.explanation = Some(signed(insight, &analysis));
                explained.push(alert);
            }
        }
        Ok(explained)
    }

    /// Looks for anomalies in the series that have new points, those first that were looked
    /// at longest ago.
    async fn detect(&mut self, raise: &mut Raise<'_>) -> Result<(), Fault> {
        let policy = Policy::new(PolicyRecord::llm(&self.context.bound.batch.llm, &self.context.bound.batch.alert));
        let selected = |series: &&SeriesRecord| self.context.bound.batch.llm.selects(&series.name, &series.labels);
        let mut waiting: Vec<(Option<Millis>, SeriesRecord)> =
            self.series.iter().filter(selected).map(|s| (raise.seen(s, AlertKind::Llm), s.clone())).collect();
        waiting.retain(|(seen, series)| series.span.is_some_and(|(_, last)| seen.is_none_or(|seen| last > seen)));
        waiting.sort_by_key(|(seen, series)| (*seen, series.id));
        for (_, series) in waiting {
            if !self.may_ask() {
                break;
            }
            let Some((analysis, points)) = self.ask(&series, None).await? else { continue };
            let found = |time: Millis| {
                analysis.insights.iter().find(|insight| (insight.span.0..=insight.span.1).contains(&time))
            };
            let points: Vec<Point> = points
                .into_iter()
                .map(|(time, value)| Point {
                    time,
                    value,
                    score: if found(time).is_some() { 1.0 } else { 0.0 },
                    lower: f64::NAN,
                    upper: f64::NAN,
                    terms: Vec::new(),
                })
                .collect();
            raise.watch(&series, &policy, &points)?;
            raise.explain(series.id, AlertKind::Llm, |started| found(started).map(|i| signed(i, &analysis)));
        }
        Ok(())
    }

    /// Whether another series may be read in this run.
    fn may_ask(&mut self) -> bool {
        let limits = self.context.limits;
        if self.stopped {
            return false;
        }
        // The budget is one of real days, also in a replay.
        if let Err(exhausted) = self.budget.allows(&self.spent, self.context.wall) {
            self.partial = Some(format!("{exhausted}; raise llmalert_budget_calls or llmalert_budget_tokens"));
        } else if self.began.elapsed() > Duration::from_millis(limits.analyst_run_ms) {
            self.partial = Some(format!(
                "not all was read within {} ms (limits.analyst_run_ms); the next run goes on",
                limits.analyst_run_ms
            ));
        } else {
            return true;
        }
        self.stopped = true;
        false
    }

    /// Asks about one series; `None` where there was no answer, which the run then says.
    async fn ask(
        &mut self,
        series: &SeriesRecord,
        alert: Option<&AlertRecord>,
    ) -> Result<Option<(Analysis, Vec<(Millis, f64)>)>, Fault> {
        let context = self.context;
        let points = self.points(series)?;
        if points.is_empty() {
            return Ok(None);
        }
        let (times, values): (Vec<Millis>, Vec<f64>) = points.iter().copied().unzip();
        let scores = self.scores(series, &times)?;
        let span = times.first().copied().unwrap_or_default()..times.last().map_or(0, |last| last + 1);
        let batch = &context.bound.batch;
        let picture = || match alert {
            Some(alert) => Ok(picture::of_alerts(context.store, &[(batch, alert)], context.now(), context.limits)),
            None => {
                picture::of_series(context.store, batch, std::slice::from_ref(series), span, context.limits.chart_bytes)
            }
        };
        let chart = if batch.llm.chart { picture().map_err(|e| context.store_fault(&e))? } else { None };
        let offsets = vec![0, values.len()];
        let Ok(recent) = Samples::new(vec![series.labels.clone()], vec![series.kind], offsets, times, values) else {
            return Ok(None);
        };
        let subject = Subject {
            labels: series.labels.clone(),
            name: series.name.clone(),
            alert: alert.map(|alert| alert.started),
            scores,
            chart: chart.map(Into::into),
        };
        self.asked += 1;
        let answer = self.analyst.analyse.analyse(&context.call(), &self.analyst.config, &recent, &[subject]).await;
        let analysis = match answer {
            Ok(analysis) => analysis,
            Err(fault) => {
                self.spent.add(used_by(&fault), context.wall);
                // Who is busy, refuses our key or was set up wrongly, does so for all series.
                self.stopped = fault.answer.is_some() || fault.retry() != Retry::Never;
                self.partial = Some(format!("{} was not read: {fault}", series.name));
                return Ok(None);
            }
        };
        self.spent.add(analysis.usage, context.wall);
        for lost in &analysis.lost {
            self.partial = Some(format!("{} was not read: {}", series.name, lost.error));
            self.stopped |= lost.error.retry() != Retry::Never;
        }
        Ok(Some((analysis, points)).filter(|(analysis, _)| analysis.lost.is_empty()))
    }

    /// The newest points on the judged grid, smoothed if that is asked for.
    fn points(&self, series: &SeriesRecord) -> Result<Vec<(Millis, f64)>, Fault> {
        let (context, policy) = (self.context, &self.context.bound.batch.llm);
        let Some((first, last)) = series.span else { return Ok(Vec::new()) };
        let step = context.step();
        let end = (last + step).min(context.grid_now().max(last));
        let wanted = Millis::try_from(policy.max_n + policy.smooth_n).unwrap_or(Millis::MAX);
        let start = first.max(context.now() - policy.max_age_ms).max(end.saturating_sub(wanted.saturating_mul(step)));
        let grid = Grid::spanning(start, end + step - 1, context.bound.batch.judged.step_ms);
        let values = context.store.values(context.key(), &[series.id], grid.start..grid.end());
        let values = values.map_err(|e| context.store_fault(&e))?.pop().unwrap_or_default();
        let row = grid.lay(&values.timestamps, &values.values, context.bound.batch.judged.aggregate);
        let width = policy.smooth_n.max(1);
        let points = row.iter().enumerate().filter(|(_, value)| value.is_finite()).map(|(column, value)| {
            let window = row.get((column + 1).saturating_sub(width)..=column).unwrap_or_default();
            let known: Vec<f64> = window.iter().copied().filter(|value| value.is_finite()).collect();
            let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
            (grid.time(column), if width > 1 { mean } else { *value })
        });
        let mut points: Vec<(Millis, f64)> = points.collect();
        points.drain(..points.len().saturating_sub(policy.max_n));
        Ok(points)
    }

    /// The detectors' scores at the given times; empty where there are none.
    fn scores(&self, series: &SeriesRecord, times: &[Millis]) -> Result<Vec<f64>, Fault> {
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(Vec::new()) };
        let scores = self.context.store.scores(self.context.key(), &[series.id], *first..last + 1);
        let rows = scores.map_err(|e| self.context.store_fault(&e))?.pop().unwrap_or_default().rows;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let at = |time: &Millis| rows.binary_search_by_key(time, |row| row.time).ok();
        Ok(times.iter().map(|time| at(time).and_then(|i| rows.get(i)).map_or(f64::NAN, |row| row.score)).collect())
    }
}

/// What is stored and told: the text, and whose it is.
fn signed(insight: &Insight, analysis: &Analysis) -> String {
    format!("{}\n\n({})", insight.text.trim(), analysis.author)
}
