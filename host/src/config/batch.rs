//! A metric batch, as the pipeline reads it: every default filled in, every text parsed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono_tz::Tz;
use serde_json::Value;

use super::{BatchKey, Job, Secret};
use crate::series::{MetricName, Millis};

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
    /// The schedule of each job.
    pub schedules: BTreeMap<Job, JobSchedule>,
    /// `chain`: train, score, alert and deliver run as soon as the job before them is done.
    pub chain: bool,
    /// `secrets`: slot to secret, for this batch's plugins. They may be sent to the
    /// origins that the batch itself names, and no other.
    pub secrets: BTreeMap<String, Secret>,
}

/// `ingest_fn` and what belongs to it.
#[derive(Clone, Debug)]
pub struct IngestUse {
    /// The component's name: `prometheus` for `prometheus.py`.
    pub plugin: String,
    /// `ingest_params`: the component's configuration, a JSON object.
    pub config: Value,
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
    /// `model_params`, and for the detectors that have it `preprocess_params`.
    pub config: Value,
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
}

/// When a job runs by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobSchedule {
    /// `<job>_cron_schedule`: five fields.
    pub cron: String,
    /// False with `disable_<job>: true` or `<job>_default_schedule_status: STOPPED`.
    pub enabled: bool,
}
