//! What the operator wrote, checked and typed: the node's file and the batches.
//!
//! Reading finds all faults of a file at once; each names file, line, key and remedy.
//! What a plugin's own schema says is not known here: the layers above judge the `config`
//! of each use and ask [`Batch::error_at`] for the place.

mod alert_file;
mod alerting_file;
mod analysis_file;
mod anomstack;
mod batch;
mod batch_file;
mod capacity_file;
mod cron;
mod detector_file;
mod digest;
mod document;
mod duration;
mod environment;
mod folder;
mod grant;
mod key;
mod llm_environment;
mod mail_environment;
mod metric_set;
mod metric_tags;
mod name;
mod node;
mod node_file;
mod notifier_file;
mod overrides;
mod pointer;
mod policy;
mod problem;
mod prometheus;
mod quota;
mod routing;
mod schedule_file;
mod section;
mod tenant_policy;
#[cfg(test)]
mod tests;
mod time_interval;
mod time_interval_file;

pub use batch::{Batch, BatchSecrets, Combination, DetectorUse, IngestUse, JobSchedule, JudgedGrid, NotifierUse};
pub use cron::{Cron, CronFault};
pub(crate) use detector_file::component_with;
pub use digest::config_digest;
pub use document::Spans;
pub use environment::Environment;
pub use folder::{
    Change, ChangedKey, Loaded, changed_keys, fingerprint, load_batch, load_batch_text, load_batches, load_changed,
    load_file, load_hosted_text, named_in,
};
pub use grant::{DEFAULT_TENANT, SlotSecrets, Wishes, named_origins, parse_origin};
pub use key::{BatchKey, Job, Slot};
pub use metric_set::{MetricSet, MetricSetFault};
pub use metric_tags::MetricTags;
pub use name::{component as component_name, name as checked_name};
pub use node::{Grants, Limits, Mail, MailSecurity, Node, Secret, Tenant};
pub use node_file::{NODE_FILE, load_node};
pub use policy::{
    AlertPolicy, AnalystUse, Bounds, CapacityPolicy, CapacityUse, ChangePolicy, Deviation, Direction, LlmPolicy,
    Methods, ScorePolicy, ThresholdPolicy, TrainPolicy,
};
pub use problem::{Place, Problem, Problems, Severity};
pub use quota::Quotas;
pub use routing::{Grouping, InhibitRule, Receiver, Route, Routing};
pub use tenant_policy::TenantPolicy;
pub use time_interval::TimeInterval;
