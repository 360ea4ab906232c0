//! `<job>_cron_schedule`, `<job>_default_schedule_status` and `disable_<job>` of a batch.

use std::collections::BTreeMap;

use super::section::Section;
use super::{Cron, Job, JobSchedule};

/// A job's keys: cron, status, switch; and the cron that it has if the file gives none.
/// Those of `notify` and `deliver` are not there: they run when something is due.
const SCHEDULES: [(Job, &str, &str, &str, &str); 10] = [
    (Job::Ingest, "ingest_cron_schedule", "ingest_default_schedule_status", "disable_ingest", "*/3 * * * *"),
    (Job::Train, "train_cron_schedule", "train_default_schedule_status", "disable_train", "*/5 * * * *"),
    (Job::Score, "score_cron_schedule", "score_default_schedule_status", "disable_score", "*/4 * * * *"),
    (Job::Change, "change_cron_schedule", "change_default_schedule_status", "disable_change", "*/5 * * * *"),
    (Job::Capacity, "capacity_cron_schedule", "capacity_default_schedule_status", "disable_capacity", "*/10 * * * *"),
    (Job::Alert, "alert_cron_schedule", "alert_default_schedule_status", "disable_alert", "*/5 * * * *"),
    (Job::LlmAlert, "llmalert_cron_schedule", "llmalert_default_schedule_status", "disable_llmalert", "*/5 * * * *"),
    (Job::Plot, "plot_cron_schedule", "plot_default_schedule_status", "disable_plot", "*/5 * * * *"),
    (Job::Summary, "summary_cron_schedule", "summary_default_schedule_status", "disable_summary", "0 9 * * *"),
    (Job::Delete, "delete_cron_schedule", "delete_default_schedule_status", "disable_delete", "0 6 * * *"),
];

/// The schedules of all jobs that have one. `asked` says of the jobs in it whether the batch
/// asks for them.
pub(super) fn schedules(batch: &Section<'_>, chain: bool, asked: &[(Job, bool)]) -> BTreeMap<Job, JobSchedule> {
    let mut schedules = BTreeMap::new();
    for (job, cron_key, status_key, disable_key, default) in SCHEDULES {
        let written =
            batch.parsed(cron_key, |text| text.parse::<Cron>().map_err(|fault| (fault.message, fault.remedy)));
        if let Some((oddity, remedy)) = written.as_ref().and_then(Cron::oddity) {
            batch.warn_at(&batch.pointer(cron_key), oddity, remedy);
        }
        if chain && batch.has(cron_key) && job.is_chained() && job != Job::Train {
            let text = format!("has no effect: in the chain {job} runs as soon as the job before it is done");
            batch.warn_at(&batch.pointer(cron_key), text, "write chain: false to run each job by its own cron");
        }
        let runs = batch.choice(status_key, &[("RUNNING", true), ("STOPPED", false)]).unwrap_or(true);
        let disabled = batch.flag(disable_key);
        let wanted = match job {
            Job::Plot => disabled == Some(false) || batch.has(cron_key) || batch.has(status_key),
            job => asked.iter().all(|(other, wanted)| *other != job || *wanted),
        };
        if let Some(cron) = written.or_else(|| default.parse().ok()) {
            schedules.insert(job, JobSchedule { cron, enabled: wanted && runs && disabled != Some(true) });
        }
    }
    schedules
}
