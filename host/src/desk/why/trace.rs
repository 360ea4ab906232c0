//! What a trace consists of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::{AlertView, instant};
use crate::alert::{self, PolicyRecord};
use crate::config::Job;
use crate::message::{AlertKind, Verdict};
use crate::series::Millis;
use crate::store::RunRecord;

/// The chain of reasons behind one point of one series, from its samples to the answers of
/// those who were told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The tenant.
    pub tenant: String,
    /// The batch.
    pub batch: String,
    /// The series' `metric_name`.
    pub metric: String,
    /// The series' labels.
    pub labels: BTreeMap<String, String>,
    /// The point: the start of its column of the judged grid.
    #[serde(with = "instant")]
    pub at: Millis,
    /// How long a column is, in milliseconds.
    pub step_ms: Millis,
    /// All of it in one sentence.
    pub answer: Answer,
    /// What came.
    pub samples: SampleStep,
    /// What it was judged by, an entry of `model_configs` each.
    pub models: Vec<ModelStep>,
    /// How it was judged; `None`: it was not.
    pub score: Option<ScoreStep>,
    /// What the event rules made of it, a kind of alert each.
    pub rules: Vec<RuleStep>,
    /// Alerts that are on at this point.
    pub alerts: Vec<AlertView>,
    /// What was decided about telling them, oldest first.
    pub notices: Vec<NoticeStep>,
    /// Messages about them, oldest first.
    pub deliveries: Vec<DeliveryStep>,
}

/// The reason in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The condition that failed first, or how far it came.
    pub reason: Reason,
    /// The sentence.
    pub text: String,
}

/// The condition that failed first, in the order in which they are looked at; or how far it
/// came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// There is no sample in the column.
    NoSample,
    /// A list of the batch leaves the metric out of a job.
    Excluded,
    /// The batch does not run a job by itself, and nobody ran it.
    SwitchedOff,
    /// No model stood.
    NoModel,
    /// It has no score.
    NotScored,
    /// The event rule has not looked at it.
    NotJudged,
    /// The score is below the threshold.
    Threshold,
    /// It is on the side that was not asked for.
    Direction,
    /// It is too near to what was expected.
    Deviation,
    /// It was not among the newest points of its run.
    NotRecent,
    /// Too few points after the last alert.
    TooSoon,
    /// An event keeps alerts from beginning.
    Event,
    /// Not for long enough yet.
    Pending,
    /// Nobody is named who could be told.
    NoMethod,
    /// The notify job has not looked at the alert.
    NotRouted,
    /// A silence covers the alert.
    Silenced,
    /// Another alert inhibits it.
    Inhibited,
    /// Its route is muted, or not active, at this time.
    Muted,
    /// Somebody snoozed it.
    Snoozed,
    /// Somebody has acknowledged it.
    Acknowledged,
    /// Its group waits.
    Waiting,
    /// It was over before anybody could be told, or its end is not wanted.
    Over,
    /// A message is in the outbox.
    Queued,
    /// A message could not be delivered and was given up.
    Undelivered,
    /// Somebody was told.
    Told,
}

/// Samples round a point.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SampleStep {
    /// Those in its column.
    pub samples: Vec<SampleView>,
    /// The last before.
    pub before: Option<SampleView>,
    /// The first after.
    pub after: Option<SampleView>,
    /// The run that fetched them, while its record is kept.
    pub ingested: Option<RunView>,
    /// What the column took of them.
    pub value: Option<f64>,
}

/// A sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleView {
    /// When.
    #[serde(with = "instant")]
    pub time: Millis,
    /// What.
    pub value: f64,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunView {
    /// Of which job.
    pub job: Job,
    /// Its logical now.
    #[serde(with = "instant")]
    pub scheduled: Millis,
    /// `done`, `partial`, `failed`, `skipped`.
    pub state: String,
    /// Why it was skipped or failed.
    pub why: Option<String>,
}

impl RunView {
    pub(super) fn of(run: &RunRecord) -> Self {
        let error = run.error.as_ref().map(ToString::to_string);
        let (state, why) = (run.state.name().to_owned(), error.or(run.state.why()));
        Self { job: run.slot.job, scheduled: run.slot.scheduled, state, why }
    }
}

/// The model of one entry of `model_configs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelStep {
    /// `model_tag`.
    pub tag: String,
    /// The fit that stood; `None`: there was none.
    pub fit: Option<FitView>,
}

/// A fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FitView {
    /// The plugin's name.
    pub plugin: String,
    /// Sha-256 of the component.
    pub plugin_digest: String,
    /// Sha-256 of the configuration.
    pub config_digest: String,
    /// Sha-256 of the model.
    pub model_digest: String,
    /// The logical now of the run that fit it.
    #[serde(with = "instant")]
    pub fitted: Millis,
    /// The history that it saw, half-open.
    #[serde(with = "instant::pair")]
    pub data: (Millis, Millis),
    /// Points of it that the fit was not shown, because a person said that they were anomalies.
    pub left_out: usize,
    /// What it knew, as the plugin tells people: names with values. `season` is in seconds.
    pub facts: Vec<(String, String)>,
}

/// How a point was judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreStep {
    /// 0 to 1.
    pub score: f64,
    /// The edges of the ordinary.
    pub expected: (Option<f64>, Option<f64>),
    /// Its parts, largest first, where they were kept.
    pub terms: Vec<(String, f64)>,
    /// The mean of the newest so many scores, which is what the rule compares.
    pub smooth_n: usize,
    /// That mean.
    pub smoothed: f64,
    /// The run that scored it, while its record is kept.
    pub run: Option<RunView>,
}

/// What the rule of one kind of alert made of a point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleStep {
    /// The kind.
    pub kind: AlertKind,
    /// What it came to.
    pub verdict: Verdict,
    /// The points of which it made the same, both ends included.
    #[serde(with = "instant::pair")]
    pub span: (Millis, Millis),
    /// The alert that they are part of.
    pub alert: Option<String>,
    /// The policy that was in force, where it is known.
    pub policy: Option<PolicyRecord>,
    /// Its conditions in the order in which they are looked at.
    pub conditions: Vec<Condition>,
}

/// A condition of the rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// In a word.
    pub name: String,
    /// How it came out.
    pub outcome: Outcome,
    /// The numbers.
    pub text: String,
}

/// How a condition came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It holds.
    Held,
    /// It does not.
    Failed,
    /// It was not looked at, since one before it failed.
    NotReached,
}

/// What was decided at one look at the group of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeStep {
    /// The alert.
    pub alert: String,
    /// When.
    #[serde(with = "instant")]
    pub at: Millis,
    /// The route by which it came.
    pub route: String,
    /// Who is told, or would be.
    pub receiver: String,
    /// The group.
    pub group: String,
    /// Alerts that the message names, this one perhaps among them.
    pub told: usize,
    /// The message says nothing new.
    pub repeat: bool,
    /// Why this one was not told; `None`: it was.
    pub held: Option<alert::Why>,
    /// That in words.
    pub text: String,
    /// The messages.
    pub deliveries: Vec<String>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryStep {
    /// Its identity.
    pub id: String,
    /// To whom: `batch/<name>`, or one of the tenant's receivers.
    pub receiver: String,
    /// By which notifier.
    pub method: String,
    /// Its title.
    pub title: String,
    /// `queued`, `sent`, `dead`.
    pub state: String,
    /// When it was queued.
    #[serde(with = "instant")]
    pub queued: Millis,
    /// It is not tried before this.
    #[serde(with = "instant")]
    pub due: Millis,
    /// What was tried.
    pub tries: Vec<TryView>,
}

/// A try to deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TryView {
    /// When.
    #[serde(with = "instant")]
    pub at: Millis,
    /// Whether it was taken.
    pub sent: bool,
    /// What the other side answered, or what went wrong.
    pub answer: String,
}
