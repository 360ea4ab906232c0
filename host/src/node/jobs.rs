//! Jobs and their schedules: when each job of each batch runs, and how it last went.

use std::sync::{MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::tick::has_cron;
use super::{BackfillView, Node};
use crate::config::{Batch, BatchKey, Job, Slot};
use crate::desk::{DeskError, Page, RunView};
use crate::schedule::Instants;
use crate::series::Millis;
use crate::store::StoreError;

/// Instants that are listed where nobody says how many, and at most.
const TICKS: usize = 5;
const MOST_TICKS: usize = 50;

/// Which jobs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JobQuery {
    /// Of this batch; left out: of all.
    pub batch: Option<String>,
    /// So many instants of its cron before and after now, 50 at most; left out: 5.
    pub ticks: Option<usize>,
    /// At most so many, by batch and job.
    pub limit: Option<usize>,
    /// The `next` of an earlier answer.
    pub cursor: Option<String>,
}

/// A job of a batch, and when it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// The batch.
    pub batch: String,
    /// The job.
    pub job: String,
    /// What starts it: `cron`; `chain`: the job before it; `hand`: nobody but people, since it is
    /// switched off.
    pub started_by: String,
    /// Its cron.
    pub cron: String,
    /// The time zone of its cron.
    pub timezone: String,
    /// When it runs, in words.
    pub words: String,
    /// Whether its batch is paused: then it does not run by itself.
    pub paused: bool,
    /// Its newest run that ended.
    pub last: Option<RunView>,
    /// The run that waits or is under way.
    pub open: Option<RunView>,
    /// Instants of its cron that have passed, the newest first.
    #[serde(with = "instants")]
    #[schema(value_type = Vec<String>)]
    pub last_ticks: Vec<Millis>,
    /// Instants of its cron to come; none while nothing starts it by its cron.
    #[serde(with = "instants")]
    #[schema(value_type = Vec<String>)]
    pub next_ticks: Vec<Millis>,
    /// The last backfill of its batch, with the job `ingest`.
    pub backfill: Option<BackfillView>,
}

impl Node {
    /// The jobs of a tenant's batches.
    pub fn jobs(&self, tenant: &str, asked: &JobQuery) -> Result<Page<JobView>, DeskError> {
        let mut batches = self.batches();
        batches.retain(|bound| {
            let key = &bound.batch.key;
            key.tenant == tenant && asked.batch.as_ref().is_none_or(|wanted| *wanted == key.batch)
        });
        if let Some(named) = asked.batch.as_ref().filter(|_| batches.is_empty()) {
            return Err(DeskError::Unknown(format!("the tenant {tenant} has no batch `{named}` taken up")));
        }
        let jobs = batches.iter().flat_map(|bound| bound.batch.schedules.keys().map(|job| (&bound.batch, *job)));
        let most = self.config.limits.api_page_items;
        let order = |(batch, job): &(&Batch, Job)| format!("{} {:02}", batch.key.batch, *job as usize);
        let page = Page::of(jobs, order, asked.cursor.as_deref(), asked.limit, most)?;
        let ticks = asked.ticks.unwrap_or(TICKS).min(MOST_TICKS);
        let open = self.open_runs(tenant);
        page.map(|(batch, job)| Ok(self.job_view(batch, job, ticks, &open)?))
    }

    fn job_view(&self, batch: &Batch, job: Job, ticks: usize, open: &[RunView]) -> Result<JobView, StoreError> {
        let Some(schedule) = batch.schedules.get(&job) else {
            return Err(StoreError::Invalid(format!("{} has no job {job}", batch.key)));
        };
        let key = if job.of_tenant() { BatchKey::of_tenant(&batch.key.tenant) } else { batch.key.clone() };
        let started_by = match schedule.enabled {
            false => "hand",
            true if has_cron(batch, job) || job == Job::Summary => "cron",
            true => "chain",
        };
        let paused = self.is_paused(&batch.key);
        let (now, instants) = (self.clock.now(), Instants::new(&schedule.cron, batch.timezone));
        let words = match started_by {
            "hand" => "Off: it runs by hand only.".to_owned(),
            "chain" => "As soon as the job before it is done.".to_owned(),
            _ => schedule.cron.words(),
        };
        let by_cron = started_by == "cron";
        Ok(JobView {
            batch: batch.key.batch.clone(),
            job: job.name().to_owned(),
            started_by: started_by.to_owned(),
            cron: schedule.cron.as_str().to_owned(),
            timezone: batch.timezone.name().to_owned(),
            words,
            paused,
            last: self.store.last_run(&key, job)?.map(|run| RunView::from(run).without_lines()),
            open: open.iter().find(|run| run.batch == key.batch && run.job == job.name()).cloned(),
            last_ticks: if by_cron { instants.before(now).take(ticks).collect() } else { Vec::new() },
            next_ticks: if by_cron && !paused { instants.after(now).take(ticks).collect() } else { Vec::new() },
            backfill: self.backfill_of(&batch.key).filter(|_| job == Job::Ingest),
        })
    }

    /// Pauses batches of a tenant, or lets them go on: those named, or all. Gives their names.
    pub fn pause_many(&self, tenant: &str, named: Option<&[String]>, paused: bool) -> Result<Vec<String>, DeskError> {
        let known = self.batch_names(tenant)?;
        if let Some(unknown) = named.into_iter().flatten().find(|name| !known.contains(*name)) {
            return Err(DeskError::Unknown(format!(
                "the tenant {tenant} has no batch `{unknown}`, so none was changed; `anomd query` lists its batches"
            )));
        }
        let chosen: Vec<String> = match named {
            Some(named) => named.to_vec(),
            None => known.into_iter().collect(),
        };
        for batch in &chosen {
            self.pause(&BatchKey { tenant: tenant.to_owned(), batch: batch.clone() }, paused)?;
        }
        Ok(chosen)
    }

    /// Runs that are due and wait for a place, or for a run of their batch to end.
    pub fn queued(&self) -> Vec<Slot> {
        self.waiting().clone()
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A list of instants as texts.
mod instants {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    use crate::desk::instant;
    use crate::series::Millis;

    pub fn serialize<S: Serializer>(times: &[Millis], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(times.iter().map(|time| instant::text(*time)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Millis>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| instant::parse(text).map_err(de::Error::custom)).collect()
    }
}
