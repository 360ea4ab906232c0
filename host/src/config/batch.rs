//! A metric batch, as the pipeline reads it: every default filled in, every text parsed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono_tz::Tz;
use serde_json::Value;

use super::cron::Cron;
use super::document::Spans;
use super::problem::{Problem, Problems};
use super::{BatchKey, Job, Secret};
use crate::series::{Labels, MetricName, Millis};

/// A metric batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Tenant and `metric_batch`.
    pub key: BatchKey,
    /// The file that it was read from.
    pub source: PathBuf,
    /// `step`: the resolution that is kept and judged, in milliseconds.
    pub step_ms: u32,
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
    /// When each job runs: all five are in here.
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
    /// `alert_methods`, with `alert_params` for each.
    pub notifiers: Vec<NotifierUse>,
    /// `metric_tags`: shown with an alert of the metric.
    pub metric_tags: BTreeMap<String, BTreeMap<String, String>>,
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
