//! What a batch's jobs are told to do: how much they look at, when they speak, to whom.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::metric_set::{MetricSet, selects};
use super::metric_tags::MetricTags;
use super::routing::Grouping;
use super::{DetectorUse, NotifierUse};
use crate::series::{Labels, Millis};

/// How models are fit.
#[derive(Clone, Debug)]
pub struct TrainPolicy {
    /// `train_max_n`: points at most; `None` takes what the detector asks for.
    pub max_n: Option<usize>,
    /// `train_min_n`: below so many points nothing is fit.
    pub min_n: usize,
    /// `train_metric_timestamp_max_days_ago`, in milliseconds.
    pub max_age_ms: Millis,
    /// `train_include_metrics`; empty: all.
    pub include: MetricSet,
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
    /// `score_include_metrics`; empty: all.
    pub include: MetricSet,
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
    /// `alert_include_metrics`; empty: all.
    pub include: MetricSet,
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
    /// Whether that is written, as the method `route`.
    pub route_named: bool,
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
    /// `metric_tags`: labels of the alerts of a metric.
    pub metric_tags: MetricTags,
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
            include: MetricSet::default(),
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
            route_named: false,
            grouping: Grouping { by: Some(vec!["batch".to_owned()]), wait_ms: 0, ..Grouping::default() },
            send_resolved: true,
            chart_n: 250,
            title: None,
            body: None,
            metric_tags: MetricTags::default(),
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
#[derive(Clone, Debug)]
pub struct ThresholdPolicy {
    /// Limits have been given, and `disable_tholdalert` is not true.
    pub enabled: bool,
    /// `tholdalert_thresholds`: by name, glob or selector of the metric, entries by name first.
    /// For those of one series see [`ThresholdPolicy::bounds`].
    pub limits: Vec<(MetricSet, Bounds)>,
    /// `tholdalert_include_metrics`; empty: all.
    pub include: MetricSet,
    /// `tholdalert_exclude_metrics`.
    pub exclude: MetricSet,
    /// `tholdalert_recent_n`: only the newest so many points of a run begin an alert;
    /// `None`: any.
    pub recent_n: Option<usize>,
    /// `tholdalert_snooze_n`.
    pub snooze_n: usize,
    /// `tholdalert_methods`, where they are not those of the other alerts.
    pub methods: Option<Methods>,
}

impl Default for ThresholdPolicy {
    fn default() -> Self {
        Self {
            enabled: false,
            limits: Vec::new(),
            include: MetricSet::default(),
            exclude: MetricSet::default(),
            recent_n: None,
            snooze_n: 3,
            methods: None,
        }
    }
}

/// Who is told of alerts of a kind.
#[derive(Clone, Debug)]
pub struct Methods {
    /// The notifiers that are named.
    pub notifiers: Vec<NotifierUse>,
    /// `route` is named, or nothing is: the tenant's routes.
    pub routed: bool,
    /// Whether that is written, as the method `route`.
    pub route_named: bool,
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
    /// `disable_change: false`, or another key of it is given.
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

/// `capacity_*`: limits that a trend must not be on its way to.
#[derive(Clone, Debug, Default)]
pub struct CapacityPolicy {
    /// Limits have been given, and `disable_capacity` is not true.
    pub enabled: bool,
    /// `capacity_limits`, entries by name first. For that of one series see
    /// [`CapacityPolicy::limit`].
    pub limits: Vec<CapacityUse>,
}

/// An entry of `capacity_limits`.
#[derive(Clone, Debug)]
pub struct CapacityUse {
    /// The metrics that it is for.
    pub metrics: MetricSet,
    /// `upper` or `lower`, one of the two.
    pub bounds: Bounds,
    /// `of`: the limit is so many times what the series with this metric name, and otherwise
    /// the same labels, is at the time.
    pub of: Option<String>,
    /// `horizon`, else `capacity_horizon`: how far ahead is looked, in milliseconds.
    pub horizon_ms: Millis,
    /// The resolution that is judged, in milliseconds: about a thousandth of the horizon, and
    /// a multiple of the batch's step.
    pub step_ms: u32,
    /// `capacity_fn` with `capacity_params`, the limit and the horizon.
    pub detector: DetectorUse,
}

impl CapacityPolicy {
    /// What models of capacity are kept under.
    pub const TAG: &str = "capacity_limits";

    /// The entry that is for a series, by its place: the first that it is in.
    pub fn limit(&self, metric_name: &str, labels: &Labels) -> Option<usize> {
        self.limits.iter().position(|limit| self.enabled && limit.metrics.contains(metric_name, labels))
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
    /// `llmalert_fn`: the component, `llm`.
    pub plugin: String,
    /// `llmalert_params` and what the other keys set in it, a JSON object.
    pub config: Value,
    /// The pointer of `config` in the file.
    pub pointer: String,
}

/// What a policy says of the metrics that it is for.
macro_rules! selects {
    ($($policy:ty),*) => { $(
        impl $policy {
            /// Whether it is for a series: `include` has it or is empty, and `exclude` has it not.
            /// `metric_name` is what the batch calls it.
            pub fn selects(&self, metric_name: &str, labels: &Labels) -> bool {
                selects(&self.include, &self.exclude, metric_name, labels)
            }
        }
    )* };
}

selects!(TrainPolicy, ScorePolicy, AlertPolicy, ThresholdPolicy, ChangePolicy, LlmPolicy);

impl ThresholdPolicy {
    /// The limits of a series: those of the first entry that it is in, entries by name first.
    pub fn bounds(&self, metric_name: &str, labels: &Labels) -> Option<Bounds> {
        let mut limits = self.limits.iter().filter(|(metrics, _)| metrics.contains(metric_name, labels));
        limits.next().filter(|_| self.selects(metric_name, labels)).map(|(_, bounds)| *bounds)
    }
}
