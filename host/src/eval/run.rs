//! An evaluation: every series with every contender, each done once.
//!
//! What was done is kept in a folder as one file a series and contender, named by a digest of
//! the components, their configurations, the options and the file. Whoever starts again, after
//! an interruption or with another contender, does only what is not there. A file is written
//! whole or not at all.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::contender::Contender;
use super::cpu::cpu_seconds;
use super::dataset::{Labelled, Source};
use super::metric::event::{Tally, top_is_right};
use super::metric::{curve, period, vus};
use super::replay::{Band, Replayed, Track, replay};
use super::{EvalError, alerting};
use crate::config::config_digest;

/// Counted up where a figure is computed otherwise than before: what was kept is done again.
const EDITION: u32 = 3;

/// How an evaluation is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// What a score may have seen.
    pub track: Track,
    /// Milliseconds between rows that have no time of their own.
    pub step_ms: u32,
    /// Columns between the fits of a detector that leaves them to the batch.
    pub refit: usize,
    /// Series that are replayed at once.
    pub jobs: usize,
    /// Thresholds of the alerts that are counted beside those of the default.
    pub thresholds: Vec<f64>,
    /// Where what was done is kept.
    pub folder: Option<PathBuf>,
}

/// One series with one contender.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The set.
    pub set: String,
    /// The series.
    pub file: String,
    /// The contender.
    pub detector: String,
    /// What the scores had seen.
    pub track: Track,
    /// What it is worth.
    pub figures: Figures,
    /// What it cost.
    pub cost: Cost,
    /// One a row; missing where there is none.
    pub scores: Vec<Option<f64>>,
    /// The band of each row; missing where there is none.
    pub bands: Vec<Option<Band>>,
}

/// What the scores of a series are worth. A row without a score counts as 0, the most ordinary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Rows.
    pub rows: usize,
    /// Rows with a score.
    pub scored: usize,
    /// The days that the rows span.
    pub days: f64,
    /// Buffer of VUS-PR, in rows.
    pub window: usize,
    /// VUS-PR.
    pub vus_pr: Option<f64>,
    /// Average precision.
    pub auc_pr: Option<f64>,
    /// AUC-ROC.
    pub auc_roc: Option<f64>,
    /// Whether the highest score is at the one event.
    pub top: Option<bool>,
    /// Labelled events.
    pub events: usize,
    /// Those that were found at the default threshold.
    pub found: usize,
    /// Alerts at the default threshold.
    pub alerts: usize,
    /// Those that met an event.
    pub right: usize,
    /// Rows from the beginning of an event to its alert.
    pub delays: Vec<usize>,
    /// The season that the newest model knew, as the plugin tells: in seconds, or `none`.
    #[serde(default)]
    pub season: Option<String>,
    /// Alerts at the thresholds that were asked for. They follow from the scores, and are counted
    /// anew where those were kept.
    #[serde(default)]
    pub at: Vec<At>,
}

/// Alerts at one threshold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct At {
    /// The threshold.
    pub threshold: f64,
    /// Labelled events that were found.
    pub found: usize,
    /// Alerts.
    pub alerts: usize,
    /// Those that met an event.
    pub right: usize,
}

/// What a replay cost. Time differs from run to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Models that were fit.
    pub fits: usize,
    /// The largest model, in bytes.
    pub model_bytes: usize,
    /// Seconds of CPU of the whole process; missing where several series ran at once.
    pub cpu_s: Option<f64>,
    /// Seconds that passed.
    pub wall_s: f64,
    /// Calls that failed.
    pub failed: usize,
    /// Why, the first time.
    pub failure: Option<String>,
}

impl Figures {
    fn of(series: &Labelled, replayed: &Replayed) -> Self {
        let scores = without_gaps(&replayed.scores);
        // The window is that of the values as they are in the file, so a gap is as its predecessor.
        let mut last = 0.0;
        let values: Vec<f64> = (series.values.iter())
            .map(|value| {
                last = if value.is_finite() { *value } else { last };
                last
            })
            .collect();
        let window = period::vus_window(&values);
        let alerts = alerting::alerts(series, &scores, &replayed.bands, alerting::default_threshold());
        let Tally { events, found, alerts, right, delays } = Tally::of(&series.labels, &alerts);
        let span = series.timestamps.last().zip(series.timestamps.first()).map_or(0, |(last, first)| last - first);
        Self {
            rows: scores.len(),
            scored: replayed.scores.iter().filter(|score| score.is_finite()).count(),
            days: (span + i64::from(series.step_ms)) as f64 / 86_400_000.0,
            window,
            vus_pr: vus::vus_pr(&series.labels, &scores, window),
            auc_pr: curve::auc_pr(&series.labels, &scores),
            auc_roc: curve::auc_roc(&series.labels, &scores),
            top: top_is_right(&series.labels, &scores),
            events,
            found,
            alerts,
            right,
            delays,
            season: replayed.season.clone(),
            at: Vec::new(),
        }
    }

    /// The counts, to be added to others.
    pub fn tally(&self) -> Tally {
        let Self { events, found, alerts, right, delays, .. } = self.clone();
        Tally { events, found, alerts, right, delays }
    }
}

impl At {
    fn of(series: &Labelled, scores: &[f64], bands: &[Option<Band>], threshold: f64) -> Self {
        let alerts = alerting::alerts(series, scores, bands, threshold);
        let Tally { found, alerts, right, .. } = Tally::of(&series.labels, &alerts);
        Self { threshold, found, alerts, right }
    }
}

impl Outcome {
    /// With the alerts at the thresholds that were asked for.
    fn at(mut self, series: &Labelled, thresholds: &[f64]) -> Self {
        let scores = self.filled();
        let bands = &self.bands;
        self.figures.at = thresholds.iter().map(|threshold| At::of(series, &scores, bands, *threshold)).collect();
        self
    }

    /// One a row; 0 where there is none.
    pub fn filled(&self) -> Vec<f64> {
        self.scores.iter().map(|score| score.unwrap_or(0.0)).collect()
    }
}

fn without_gaps(scores: &[f64]) -> Vec<f64> {
    scores.iter().map(|score| if score.is_finite() { *score } else { 0.0 }).collect()
}

/// All outcomes, by series and then contender. `done` hears of each; its second argument says
/// whether it had been kept.
pub async fn evaluate(
    sources: &[Source],
    contenders: &[Contender],
    options: &Options,
    done: &(dyn Fn(&Outcome, bool) + Sync),
) -> Result<Vec<Outcome>, EvalError> {
    if let Some(folder) = &options.folder {
        fs::create_dir_all(folder).map_err(|e| EvalError::unreadable(folder, e))?;
    }
    let pairs = sources.iter().flat_map(|source| contenders.iter().map(move |contender| (source, contender)));
    let work: Vec<_> = pairs.map(|(source, contender)| one(source, contender, options, done)).collect();
    let mut results = stream::iter(work).buffered(options.jobs.max(1));
    let mut outcomes = Vec::new();
    while let Some(outcome) = results.next().await {
        outcomes.push(outcome?);
    }
    Ok(outcomes)
}

async fn one(
    source: &Source,
    contender: &Contender,
    options: &Options,
    done: &(dyn Fn(&Outcome, bool) + Sync),
) -> Result<Outcome, EvalError> {
    let series = source.read(options.step_ms)?;
    let kept = options.folder.as_ref().map(|folder| folder.join(format!("{}.json", key(&series, contender, options))));
    if let Some(outcome) = kept.as_ref().and_then(|path| read(path)).filter(|o| o.scores.len() == series.values.len()) {
        // The same series may be in another set, and the same contender be spelled otherwise.
        let (set, file, detector) = (source.set.clone(), source.file.clone(), contender.name.clone());
        let outcome = Outcome { set, file, detector, ..outcome }.at(&series, &options.thresholds);
        done(&outcome, true);
        return Ok(outcome);
    }
    let (cpu, begun) = (cpu_seconds(), Instant::now());
    let replayed = replay(contender, &series, options.track, options.refit).await?;
    let cost = Cost {
        fits: replayed.fits,
        model_bytes: replayed.model_bytes,
        cpu_s: (options.jobs <= 1).then(|| cpu_seconds() - cpu),
        wall_s: begun.elapsed().as_secs_f64(),
        failed: replayed.failed,
        failure: replayed.failure.clone(),
    };
    let outcome = Outcome {
        set: source.set.clone(),
        file: source.file.clone(),
        detector: contender.name.clone(),
        track: options.track,
        figures: Figures::of(&series, &replayed),
        cost,
        scores: replayed.scores.iter().map(|score| score.is_finite().then_some(*score)).collect(),
        bands: replayed.bands,
    };
    if let Some(path) = &kept {
        write(path, &outcome)?;
    }
    let outcome = outcome.at(&series, &options.thresholds);
    done(&outcome, false);
    Ok(outcome)
}

fn key(series: &Labelled, contender: &Contender, options: &Options) -> String {
    let parts = serde_json::json!({
        "edition": EDITION, "detectors": contender.digest(), "series": series.digest,
        "track": options.track, "refit": options.refit,
    });
    config_digest(&parts)
}

fn read(path: &Path) -> Option<Outcome> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn write(path: &Path, outcome: &Outcome) -> Result<(), EvalError> {
    let text = serde_json::to_vec(outcome).unwrap_or_default();
    let beside = path.with_extension("part");
    fs::write(&beside, text).and_then(|()| fs::rename(&beside, path)).map_err(|e| EvalError::unreadable(path, e))
}
