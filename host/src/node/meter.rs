//! What runs of a node did since it began, counted as they end: the part of its metrics that
//! cannot be read off its state.
//!
//! Labels are jobs, states and outcomes, of which there are a few: no name of a tenant, a
//! batch or a series is in them. The label is not `job`, which a Prometheus gives to what it scrapes.

use std::fmt;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::config::Job;
use crate::store::{RunRecord, RunState};

/// Upper bounds of lateness, in seconds: a tick is prompt, a queue takes seconds, a stop longer.
const LATENESS: [f64; 11] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3_600.0];
/// Upper bounds of what a run takes, in seconds.
const DURATIONS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRun {
    job_name: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfJob {
    job_name: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfDelivery {
    outcome: &'static str,
}

type Histograms = Family<OfJob, Histogram, fn() -> Histogram>;

/// The counters of a node.
#[derive(Debug)]
pub(super) struct Meters {
    registry: Registry,
    runs: Family<OfRun, Counter>,
    lateness: Histograms,
    durations: Histograms,
    samples: Counter,
    scores: Counter,
    deliveries: Family<OfDelivery, Counter>,
}

impl Meters {
    pub fn new() -> Self {
        let runs = Family::default();
        let lateness = Histograms::new_with_constructor(|| Histogram::new(LATENESS));
        let durations = Histograms::new_with_constructor(|| Histogram::new(DURATIONS));
        let (samples, scores, deliveries) = (Counter::default(), Counter::default(), Family::default());
        let mut registry = Registry::with_prefix("anomd");
        registry.register("runs", "Runs that ended, by job and by how they ended", runs.clone());
        let text = "How long after its instant a run began that its cron started";
        registry.register_with_unit("run_lateness", text, Unit::Seconds, lateness.clone());
        registry.register_with_unit("run_duration", "How long runs took", Unit::Seconds, durations.clone());
        registry.register("samples", "Samples that were taken in", samples.clone());
        registry.register("scores", "Points that were scored", scores.clone());
        registry.register("deliveries", "Tries to send a message, by what came of them", deliveries.clone());
        // What has not happened yet is 0 and not missing, so that a rate sees the first of them.
        for outcome in ["sent", "failed", "dead"] {
            drop(deliveries.get_or_create(&OfDelivery { outcome }));
        }
        for job in Job::ALL {
            for state in [RunState::Done, RunState::Failed] {
                drop(runs.get_or_create(&OfRun { job_name: job.name(), state: state.name() }));
            }
        }
        Self { registry, runs, lateness, durations, samples, scores, deliveries }
    }

    /// Counts a run that has ended.
    pub fn count(&self, run: &RunRecord) {
        let job_name = run.slot.job.name();
        self.runs.get_or_create(&OfRun { job_name, state: run.state.name() }).inc();
        self.durations.get_or_create(&OfJob { job_name }).observe(run.duration_ms as f64 / 1e3);
        if run.reason == "cron" {
            let late = run.started.saturating_sub(run.slot.scheduled).max(0);
            self.lateness.get_or_create(&OfJob { job_name }).observe(late as f64 / 1e3);
        }
        let counted = |what: &str| run.counts.get(what).copied().unwrap_or(0);
        match run.slot.job {
            Job::Ingest => {
                self.samples.inc_by(counted("samples"));
            }
            Job::Score => {
                self.scores.inc_by(counted("scores"));
            }
            Job::Deliver => {
                for outcome in ["sent", "failed", "dead"] {
                    self.deliveries.get_or_create(&OfDelivery { outcome }).inc_by(counted(outcome));
                }
            }
            _ => {}
        }
    }

    /// Writes all of it in the text format of OpenMetrics, without the end.
    pub fn encode(&self, out: &mut String) -> fmt::Result {
        encode_registry(out, &self.registry)
    }
}
