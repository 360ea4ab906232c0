//! A metric batch, as the pipeline reads it: every default filled in, every text parsed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono_tz::Tz;
use serde_json::Value;

use super::cron::Cron;
use super::document::Spans;
use super::policy::{AlertPolicy, CapacityPolicy, ChangePolicy, LlmPolicy, ScorePolicy, ThresholdPolicy, TrainPolicy};
use super::problem::{Problem, Problems};
use super::{BatchKey, Job, Secret};
use crate::series::{Aggregate, MetricName, Millis};

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
    /// `entity_labels`: series that agree in these labels are judged together, as the features of
    /// one entity; empty: each by itself.
    pub entity_labels: Vec<String>,
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
    /// Limits that a trend must not be on its way to.
    pub capacity: CapacityPolicy,
    /// What a language model is asked.
    pub llm: LlmPolicy,
    /// `summary_metric_timestamp_max_days_ago`: what the summary looks back on, in milliseconds.
    pub summary_ms: Millis,
    /// `delete_after_n_days`: what is older is deleted, in milliseconds.
    pub delete_after_ms: Millis,
    /// When each job runs that has a cron. `notify` and `deliver` have none: they run when
    /// something is due.
    pub schedules: BTreeMap<Job, JobSchedule>,
    /// `chain`: the jobs of [`Job::is_chained`] run as soon as the one before them is done,
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
    /// Makes it tell nobody, ask no language model, and run its jobs: what is left of it is what
    /// decides about alerts.
    pub fn quiet(&mut self) {
        self.llm = LlmPolicy::default();
        self.alert.notifiers.clear();
        self.threshold.methods = None;
        for job in [Job::Train, Job::Score, Job::Alert] {
            if let Some(schedule) = self.schedules.get_mut(&job) {
                schedule.enabled = true;
            }
        }
    }

    /// An error in a part of the batch that a layer above judges: a plugin's configuration,
    /// say. `pointer` is that of the use followed by that within the configuration.
    pub fn error_at(&self, pointer: &str, message: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem::error(self.spans.locate(pointer), pointer, message, remedy)
    }

    /// Something at a pointer of its file that does not do what one could think.
    pub fn warning_at(&self, pointer: &str, message: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem::warning(self.spans.locate(pointer), pointer, message, remedy)
    }

    /// Whether a job runs by itself: by its cron, in the chain, or when something is due.
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
    /// `model_params`, and for `pca`, `knn` and `tabular` the `preprocess_params` under `preprocess`.
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
    /// False with `disable_<job>: true` or `<job>_default_schedule_status: STOPPED`, and
    /// where nothing asks for a job that is not wanted by default: then the job runs by hand
    /// only, and the chain passes it over.
    pub enabled: bool,
}
