//! Why a point raised an alert and who was told, or the first condition that kept it from
//! that.
//!
//! A [`Trace`] is made of typed records alone (samples, runs, fits, scores, decisions,
//! policies, alerts, notices, deliveries) and of how the batch is configured, never of log
//! lines: so it is the same after a restart and after a restore.

mod answer;
mod model;
mod rule;
mod sample;
mod score;
mod tell;
mod text;
mod trace;

#[cfg(test)]
pub(super) mod tests;

pub use answer::expected;
pub use rule::number;
use serde::{Deserialize, Serialize};
pub use text::alert_text;
pub use trace::{
    Answer, Condition, DeliveryStep, FitView, ModelStep, NoticeStep, Outcome, Reason, RuleStep, RunView, SampleStep,
    SampleView, ScoreStep, Trace, TryView,
};

use utoipa::openapi::{ObjectBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{Ask, Desk, DeskError, instant, selector};
use crate::config::{Batch, BatchKey, Job};
use crate::message::AlertKind;
use crate::series::Millis;
use crate::store::{AlertFilter, AlertRecord, RunFilter, RunRecord, SeriesRecord};

/// The step of a batch of which nothing tells it.
const STEP_MS: Millis = 60_000;

/// Asks for the reasons behind a point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// The batch: `orders`, or `tenant/orders`.
    pub batch: String,
    /// The series: its `metric_name`, a glob or a part of it, or a selector.
    pub metric: String,
    /// The instant; `None`: the newest scored point.
    #[serde(default, with = "instant::option")]
    #[schema(value_type = Option<String>)]
    pub at: Option<Millis>,
}

/// One point of one series, and all that is at hand about it.
struct Subject<'a> {
    desk: &'a Desk<'a>,
    key: BatchKey,
    batch: Option<&'a Batch>,
    series: SeriesRecord,
    /// The start of the column of the judged grid.
    at: Millis,
    step: Millis,
    /// The alerts of the series that are on at this point.
    alerts: Vec<AlertRecord>,
}

impl PartialSchema for Trace {
    fn schema() -> RefOr<Schema> {
        let text = "The chain of reasons behind a point: `answer` says it in a sentence, then what each step had.";
        RefOr::T(Schema::Object(ObjectBuilder::new().description(Some(text)).build()))
    }
}

impl ToSchema for Trace {}

impl Ask for Why {
    type Reply = Trace;

    fn ask(&self, desk: &Desk<'_>) -> Result<Trace, DeskError> {
        Subject::of(desk, self)?.trace()
    }
}

/// The chain of reasons behind the worst point of an alert, and what was told of it; `None` where
/// its series is no longer kept.
pub(super) fn of_alert(desk: &Desk<'_>, alert: &AlertRecord) -> Result<Option<Trace>, DeskError> {
    let series = desk.store.series(&alert.key).into_iter().find(|series| series.id == alert.series);
    let Some(series) = series else { return Ok(None) };
    let (key, batch) = (alert.key.clone(), desk.batches.get(&alert.key).copied());
    let step = step(desk, &key, batch, &series)?;
    let at = alert.worst.time.div_euclid(step) * step;
    Subject { desk, key, batch, series, at, step, alerts: vec![alert.clone()] }.trace().map(Some)
}

impl Subject<'_> {
    fn trace(&self) -> Result<Trace, DeskError> {
        let (subject, desk) = (self, self.desk);
        let samples = subject.samples()?;
        let score_run = subject.score_run()?;
        let models = subject.models(score_run.as_ref())?;
        let score = subject.score(score_run.as_ref())?;
        let rules = subject.rules(&samples, score.as_ref())?;
        let (notices, deliveries) = subject.telling()?;
        let alerts = subject.alerts.iter().map(|alert| desk.view(alert.clone())).collect::<Result<_, _>>()?;
        let mut trace = Trace {
            tenant: subject.key.tenant.clone(),
            batch: subject.key.batch.clone(),
            metric: subject.series.name.clone(),
            labels: subject.series.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            at: subject.at,
            step_ms: subject.step,
            answer: Answer { reason: Reason::NotJudged, text: String::new() },
            samples,
            models,
            score,
            rules,
            alerts,
            notices,
            deliveries,
        };
        trace.answer = subject.answer(&trace)?;
        Ok(trace)
    }
}

impl<'a> Subject<'a> {
    fn of(desk: &'a Desk<'a>, asked: &Why) -> Result<Self, DeskError> {
        let key = desk.batch(&asked.batch)?;
        let series = selector::one(desk.store, &key, &asked.metric)?;
        let batch = desk.batches.get(&key).copied();
        let newest = series.scored.or(series.span.map(|(_, last)| last));
        let Some(at) = asked.at.or(newest) else {
            return Err(DeskError::unknown(format!(
                "{} of {key} has no samples left, so there is no point to explain; name one with --at",
                series.name
            )));
        };
        let step = step(desk, &key, batch, &series)?;
        let at = at.div_euclid(step) * step;
        let filter = AlertFilter {
            key: Some(key.clone()),
            started: Some(Millis::MIN..at.saturating_add(step)),
            ..AlertFilter::default()
        };
        let mut alerts = desk.alerts(&filter)?;
        alerts.retain(|alert| alert.series == series.id && alert.ended.is_none_or(|ended| ended > at));
        Ok(Self { desk, key, batch, series, at, step, alerts })
    }

    /// The first instant after the column.
    fn end(&self) -> Millis {
        self.at.saturating_add(self.step)
    }

    fn runs(&self, job: Job) -> Result<Vec<RunRecord>, DeskError> {
        Ok(self.desk.store.runs(&RunFilter { key: Some(self.key.clone()), job: Some(job), limit: None })?)
    }

    fn last_run(&self, job: Job) -> Result<Option<RunView>, DeskError> {
        Ok(self.desk.store.last_run(&self.key, job)?.as_ref().map(RunView::of))
    }

    fn alert_of(&self, kind: AlertKind) -> Option<&AlertRecord> {
        self.alerts.iter().find(|alert| alert.kind == kind)
    }
}

/// The step of the grid on which a series is judged.
fn step(desk: &Desk<'_>, key: &BatchKey, batch: Option<&Batch>, series: &SeriesRecord) -> Result<Millis, DeskError> {
    Ok(match batch {
        Some(batch) => Millis::from(batch.judged.step_ms.max(1)),
        None => scored_step(desk, key, series)?.unwrap_or(STEP_MS),
    })
}

/// The step of the grid on which a series was scored last; `None` where it is not known.
fn scored_step(desk: &Desk<'_>, key: &BatchKey, series: &SeriesRecord) -> Result<Option<Millis>, DeskError> {
    let Some(last) = series.scored else { return Ok(None) };
    let span = last.saturating_sub(2 * 86_400_000)..last.saturating_add(1);
    let scores = desk.store.scores(key, &[series.id], span)?;
    let times: Vec<Millis> = scores.iter().flat_map(|column| &column.rows).map(|row| row.time).collect();
    Ok(times.windows(2).filter_map(|pair| Some(pair.last()? - pair.first()?)).min())
}
