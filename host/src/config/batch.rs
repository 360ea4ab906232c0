//! A metric batch, as the pipeline reads it: every default filled in, every text parsed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cron::Cron;
use super::document::Spans;
use super::problem::{Problem, Problems};
use super::routing::Grouping;
use super::{BatchKey, Job, Secret};
use crate::series::{Aggregate, Labels, MetricName, Millis};

/// A metric batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Tenant and `metric_batch`.
    pub key: BatchKey,
    /// The file that it was read from.
    pub source: PathBuf,
    /// `step`: the resolution that is asked for and kept, in milliseconds.
    pub step_ms: u32,
    /// The resolution that is judged.
    pub judged: JudgedGrid,
    /// `timezone`: the zone of its crons, and told to its plugins.
    pub timezone: Tz,
    /// `metric_name`.
    pub metric_name: MetricName,
    /// Where the samples come from.
    pub ingest: IngestUse,
    /// `model_configs`.
    pub detectors: Vec<DetectorUse>,
    /// `model_combination_method`.
    pub combination: Combination,
    /// How models are fit.
    pub train: TrainPolicy,
    /// What is scored.
    pub score: ScorePolicy,
    /// When people are told, and how.
    pub alert: AlertPolicy,
    /// Limits that a value must not cross.
    pub threshold: ThresholdPolicy,
    /// What counts as a lasting change.
    pub change: ChangePolicy,
    /// What a language model is asked.
    pub llm: LlmPolicy,
    /// `summary_metric_timestamp_max_days_ago`: what the summary looks back on, in milliseconds.
    pub summary_ms: Millis,
    /// `delete_after_n_days`: what is older is deleted, in milliseconds.
    pub delete_after_ms: Millis,
    /// When each job of a batch runs: all of them are in here.
    pub schedules: BTreeMap<Job, JobSchedule>,
    /// `chain`: train, score, alert and deliver run as soon as the job before them is done,
    /// and not by their crons. That of train says when the models are fit anew whose
    /// detector does not say it itself.
    pub chain: bool,
    /// `secrets`: for this batch's plugins. They may be sent to the origins that the batch
    /// itself names, and no other: see [`Batch::grants_for`].
    pub secrets: BatchSecrets,
    /// Where its parts were written.
    pub spans: Spans,
    /// What in the file does not do what one could think.
    pub warnings: Problems,
}

impl Batch {
    /// An error in a part of the batch that a layer above judges: a plugin's configuration,
    /// say. `pointer` is that of the use followed by that within the configuration.
    pub fn error_at(&self, pointer: &str, message: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem::error(self.spans.locate(pointer), pointer, message, remedy)
    }

    /// Whether a job runs by itself, by its cron or in the chain.
    pub fn runs(&self, job: Job) -> bool {
        self.schedules.get(&job).is_none_or(|schedule| schedule.enabled)
    }
}

/// The secrets that a batch's file names.
#[derive(Clone, Debug, Default)]
pub struct BatchSecrets {
    /// `secrets.<slot>`: for every plugin of the batch that has such a slot.
    pub shared: BTreeMap<String, Secret>,
    /// `secrets.<plugin>.<slot>`: for this plugin alone; goes before a shared one.
    pub by_plugin: BTreeMap<String, BTreeMap<String, Secret>>,
}

impl BatchSecrets {
    /// The secret for a slot of a plugin.
    pub fn get(&self, plugin: &str, slot: &str) -> Option<&Secret> {
        self.by_plugin.get(plugin).and_then(|slots| slots.get(slot)).or_else(|| self.shared.get(slot))
    }
}

/// The grid on which series are fit, scored and judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JudgedGrid {
    /// `preprocess_params.freq`, else `step`, in milliseconds; a multiple of the step.
    pub step_ms: u32,
    /// `preprocess_params.freq_agg`: what a column takes of the samples in its span.
    pub aggregate: Aggregate,
}

/// `<job>_exclude_metrics`: metrics that a job leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricSet(pub BTreeSet<String>);

impl MetricSet {
    /// Whether a series is in it: by its `metric_name`, or with all others of its `__name__`.
    pub fn contains(&self, metric_name: &str, labels: &Labels) -> bool {
        self.0.contains(metric_name) || labels.get(Labels::NAME).is_some_and(|name| self.0.contains(name))
    }
}

/// `ingest_fn` and what belongs to it.
#[derive(Clone, Debug)]
pub struct IngestUse {
    /// The component's name: `prometheus` for `prometheus.py`.
    pub plugin: String,
    /// `ingest_params`: the component's configuration, a JSON object.
    pub config: Value,
    /// The pointer of `config` in the file.
    pub pointer: String,
    /// `ingest_history`: how much is fetched the first time, in milliseconds.
    pub history_ms: Millis,
    /// `ingest_delay`: how far behind now the newest sample is asked for, in milliseconds.
    pub delay_ms: Millis,
    /// `ingest_metric_rounding`: decimals that are kept; `None` keeps all.
    pub rounding: Option<u8>,
}

/// An entry of `model_configs`.
#[derive(Clone, Debug)]
pub struct DetectorUse {
    /// `model_name`, in lower case: the component.
    pub plugin: String,
    /// `model_tag`: what models and terms are kept under, unique within the batch.
    pub tag: String,
    /// `model_params`, and for `pca` and `knn` the `preprocess_params` under `preprocess`.
    pub config: Value,
    /// The pointer of `config` in the file.
    pub pointer: String,
}

/// `model_combination_method`: how the scores of several detectors become one. NaN is skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Combination {
    /// Their mean.
    #[default]
    Mean,
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

/// How models are fit.
#[derive(Clone, Debug)]
pub struct TrainPolicy {
    /// `train_max_n`: points at most; `None` takes what the detector asks for.
    pub max_n: Option<usize>,
    /// `train_min_n`: below so many points nothing is fit.
    pub min_n: usize,
    /// `train_metric_timestamp_max_days_ago`, in milliseconds.
    pub max_age_ms: Millis,
    /// `train_exclude_metrics`.
    pub exclude: MetricSet,
}

/// What is scored.
#[derive(Clone, Debug)]
pub struct ScorePolicy {
    /// `score_max_n`: points at most in one run; `None`: all that have no score yet.
    pub max_n: Option<usize>,
    /// `score_metric_timestamp_max_days_ago`, in milliseconds.
    pub max_age_ms: Millis,
    /// `score_metric_rounding`: decimals.
    pub rounding: u8,
    /// `score_exclude_metrics`.
    pub exclude: MetricSet,
}

/// When people are told, and how.
#[derive(Clone, Debug)]
pub struct AlertPolicy {
    /// `alert_threshold`, 0 to 1.
    pub threshold: f64,
    /// `alert_smooth_n`: the score is the mean of the newest so many; 0 and 1 do not smooth.
    pub smooth_n: usize,
    /// `alert_snooze_n`: after an alert began, none begins for so many points.
    pub snooze_n: usize,
    /// `alert_recent_n`: an alert begins only at one of the newest so many points of a
    /// run; `None`: at any point that has not been looked at.
    pub recent_n: Option<usize>,
    /// `alert_always`: every point is an alert.
    pub always: bool,
    /// `alert_metric_timestamp_max_days_ago`, in milliseconds.
    pub max_age_ms: Millis,
    /// `alert_exclude_metrics`.
    pub exclude: MetricSet,
    /// `alert_direction`: on which side of what was expected a point must be.
    pub direction: Direction,
    /// `alert_min_deviation`: how far from what was expected a point must be.
    pub min_deviation: Option<Deviation>,
    /// `alert_for`: how long the condition must hold before the alert fires, in milliseconds.
    pub for_ms: Millis,
    /// `alert_resolve_n`: points in a row below half the threshold that end an alert.
    pub resolve_n: usize,
    /// `alert_flap_n`: from so many alerts within `flap_window_ms` on, an alert needs twice
    /// the quiet points to end for each further one; `None`: never.
    pub flap_n: Option<usize>,
    /// `alert_flap_window`, in milliseconds.
    pub flap_window_ms: Millis,
    /// `alert_no_data_after`: a series without samples for so long is an alert, in
    /// milliseconds; `None`: it is not.
    pub no_data_ms: Option<Millis>,
    /// `alert_methods`, with `alert_params` for each.
    pub notifiers: Vec<NotifierUse>,
    /// `alert_methods` names `route`: its alerts go through the tenant's routes, too. So they
    /// do where a batch names no method and the tenant has routes.
    pub routed: bool,
    /// `alert_group_by`, `alert_group_wait`, `alert_group_interval`, `alert_repeat_interval`:
    /// for `notifiers`.
    pub grouping: Grouping,
    /// `alert_send_resolved`.
    pub send_resolved: bool,
    /// `alert_max_n`: points in the chart of an alert.
    pub chart_n: usize,
    /// `alert_title` and `alert_body`: templates that replace the built-in ones.
    pub title: Option<String>,
    /// See `title`.
    pub body: Option<String>,
    /// `metric_tags`: labels of the alerts of a metric, by name or glob of the metric.
    pub metric_tags: BTreeMap<String, BTreeMap<String, String>>,
}

impl Default for AlertPolicy {
    /// What a batch has that says nothing.
    fn default() -> Self {
        Self {
            threshold: 0.8,
            smooth_n: 1,
            snooze_n: 3,
            recent_n: None,
            always: false,
            max_age_ms: 45 * 86_400_000,
            exclude: MetricSet::default(),
            direction: Direction::Both,
            min_deviation: None,
            for_ms: 0,
            resolve_n: 10,
            flap_n: Some(4),
            flap_window_ms: 6 * 3_600_000,
            no_data_ms: None,
            notifiers: Vec::new(),
            routed: false,
            grouping: Grouping { by: Some(vec!["batch".to_owned()]), wait_ms: 0, ..Grouping::default() },
            send_resolved: true,
            chart_n: 250,
            title: None,
            body: None,
            metric_tags: BTreeMap::new(),
        }
    }
}

/// On which side of what was expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Either.
    #[default]
    Both,
    /// Above alone.
    Above,
    /// Below alone.
    Below,
}

/// How far from what was expected: from the nearer edge of the band.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deviation {
    /// In the unit of the series.
    Absolute(f64),
    /// As a part of that edge: 0.1 is a tenth.
    Relative(f64),
}

/// `tholdalert_*`: limits that a value must not cross.
#[derive(Clone, Debug, Default)]
pub struct ThresholdPolicy {
    /// Limits have been given, and `disable_tholdalert` is not true.
    pub enabled: bool,
    /// `tholdalert_thresholds`: by name, glob or selector of the metric.
    pub limits: Vec<(MetricSet, Bounds)>,
    /// `tholdalert_exclude_metrics`.
    pub exclude: MetricSet,
    /// `tholdalert_recent_n`: only the newest so many points of a run begin an alert;
    /// `None`: any.
    pub recent_n: Option<usize>,
    /// `tholdalert_snooze_n`.
    pub snooze_n: usize,
}

/// A value strictly outside of these is over its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// `lower`.
    pub lower: Option<f64>,
    /// `upper`.
    pub upper: Option<f64>,
}

/// `change_*`: what counts as a lasting change.
#[derive(Clone, Debug)]
pub struct ChangePolicy {
    /// `disable_change: false`, or any other key of it is given.
    pub enabled: bool,
    /// `change_threshold`: distances from the median, in robust standard deviations.
    pub threshold: f64,
    /// `change_detect_last_n`: the newest points that are judged by those before.
    pub last_n: usize,
    /// `change_max_n`: points that are looked at.
    pub max_n: usize,
    /// `change_smooth_n`: the mean of so many points is judged.
    pub smooth_n: usize,
    /// `change_snooze_n`.
    pub snooze_n: usize,
    /// `change_metric_timestamp_max_days_ago`, in milliseconds.
    pub max_age_ms: Millis,
    /// `change_include_metrics`; empty: all.
    pub include: MetricSet,
    /// `change_exclude_metrics`.
    pub exclude: MetricSet,
}

impl Default for ChangePolicy {
    fn default() -> Self {
        Self {
            enabled: false,
            threshold: 3.5,
            last_n: 1,
            max_n: 250,
            smooth_n: 1,
            snooze_n: 3,
            max_age_ms: 45 * 86_400_000,
            include: MetricSet::default(),
            exclude: MetricSet::default(),
        }
    }
}

/// `llmalert_*`: what a language model is asked.
#[derive(Clone, Debug)]
pub struct LlmPolicy {
    /// `disable_llmalert: false`: it looks for anomalies by its own cron.
    pub detect: bool,
    /// `llmalert_explain`: it explains alerts that others raised.
    pub explain: bool,
    /// The component and its configuration; `None`: neither of the two.
    pub analyst: Option<AnalystUse>,
    /// `llmalert_recent_n`: only what it finds in the newest so many points is an alert.
    pub recent_n: usize,
    /// `llmalert_smooth_n`: it sees means of so many points; 0 and 1: the points.
    pub smooth_n: usize,
    /// `llmalert_prompt_max_n`: points in a prompt.
    pub max_n: usize,
    /// `llmalert_metric_timestamp_max_days_ago`, in milliseconds.
    pub max_age_ms: Millis,
    /// `llmalert_include_plot`: it is given the chart as well.
    pub chart: bool,
    /// `llmalert_budget_calls`: calls a day, the batch's own.
    pub calls_per_day: u32,
    /// `llmalert_budget_tokens`: tokens a day.
    pub tokens_per_day: u64,
    /// `llmalert_include_metrics`; empty: all.
    pub include: MetricSet,
    /// `llmalert_exclude_metrics`.
    pub exclude: MetricSet,
}

impl Default for LlmPolicy {
    fn default() -> Self {
        Self {
            detect: false,
            explain: false,
            analyst: None,
            recent_n: 5,
            smooth_n: 0,
            max_n: 1_000,
            max_age_ms: 30 * 86_400_000,
            chart: true,
            calls_per_day: 100,
            tokens_per_day: 1_000_000,
            include: MetricSet::default(),
            exclude: MetricSet::default(),
        }
    }
}

/// The analyst of a batch.
#[derive(Clone, Debug)]
pub struct AnalystUse {
    /// The component's name: `llm`.
    pub plugin: String,
    /// `llmalert_params` and what the other keys set in it, a JSON object.
    pub config: Value,
    /// The pointer of `config` in the file.
    pub pointer: String,
}

/// A notifier of a batch.
#[derive(Clone, Debug)]
pub struct NotifierUse {
    /// The component's name, and the entry's: `slack`.
    pub plugin: String,
    /// Its configuration, a JSON object.
    pub config: Value,
    /// The pointer of `config` in the file.
    pub pointer: String,
}

/// When a job runs by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSchedule {
    /// `<job>_cron_schedule`.
    pub cron: Cron,
    /// False with `disable_<job>: true` or `<job>_default_schedule_status: STOPPED`: then
    /// the job runs by hand only, and the chain passes it over.
    pub enabled: bool,
}
