//! One configuration over a history.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{BacktestError, History};
use crate::config::{Batch, Job, Limits, Slot};
use crate::pipeline::{BoundBatch, Runner};
use crate::schedule::{Clock, Instants};
use crate::series::{Grid, Kind, Labels, Millis};
use crate::store::{
    AlertFilter, AlertRecord, Column, Commit, Database, DocumentWrite, RunRecord, RunState, ScoreColumn, SeriesId,
    SeriesRecord,
};

const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;
/// Chains of one trial at most; where a cron has more instants they are an hour apart.
const CHAINS: usize = 100_000;

/// The instants at which the chain of a trial runs.
pub type Pace = Vec<Millis>;

/// An alert that would have been told.
#[derive(Clone, Debug, PartialEq)]
pub struct Fired {
    /// The alert as a node would keep it; without an end it is on at the end of the span.
    pub alert: AlertRecord,
    /// Whether the other configuration has one of the same kind and series at the same time.
    pub met: bool,
}

impl Fired {
    /// From its first point over the threshold to its end, or that of the span.
    pub fn span(&self, within: &Range<Millis>) -> Range<Millis> {
        self.alert.started..self.alert.ended.unwrap_or(within.end).max(self.alert.started)
    }

    /// How long it lasted, in milliseconds.
    pub fn lasted(&self, within: &Range<Millis>) -> Millis {
        let span = self.span(within);
        span.end - span.start
    }
}

/// What became of a series.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The series in the trial's store.
    pub record: SeriesRecord,
    /// Columns of the span with a value.
    pub points: usize,
    /// Columns of the span with a score.
    pub scored: usize,
    /// The highest score of the span; 0 where there is none.
    pub peak: f64,
}

/// A configuration, and what it would have done.
pub struct Trial {
    /// `A` or `B`.
    pub name: &'static str,
    /// The configuration.
    pub batch: Batch,
    /// The span that is told of, half-open.
    pub span: Range<Millis>,
    /// The alerts that began in the span and fired, in order of time.
    pub fired: Vec<Fired>,
    /// The series, by name.
    pub series: Vec<Judged>,
    /// Models that were fit.
    pub fits: u64,
    /// Runs that failed, or lost a part.
    pub failed: usize,
    /// Why, the first time.
    pub failure: Option<String>,
    store: Database,
}

/// How long a trial runs before the span that is told of, in milliseconds: a day, and two fits.
pub fn run_in(bound: &BoundBatch) -> Millis {
    let step = Millis::from(bound.batch.judged.step_ms.max(1));
    let refit = bound.detectors.iter().map(|detector| detector.needs.refit).max().unwrap_or(0);
    let longest = step.saturating_mul(Millis::try_from(refit.saturating_mul(2)).unwrap_or(Millis::MAX)).max(DAY);
    longest.saturating_add(step - 1).div_euclid(step) * step
}

/// How much before its first chain a trial learns from and looks back on, in milliseconds.
pub fn lead(bound: &BoundBatch) -> Millis {
    let batch = &bound.batch;
    let most = batch.train.max_n.unwrap_or(usize::MAX);
    let columns = bound.detectors.iter().map(|d| d.needs.history.min(most) + d.needs.refit + d.needs.context).max();
    let columns = columns.unwrap_or(0).max(batch.change.max_n).saturating_add(1);
    let learned = Millis::from(batch.judged.step_ms).saturating_mul(Millis::try_from(columns).unwrap_or(Millis::MAX));
    learned.min(batch.train.max_age_ms.max(DAY))
}

/// When the chains of the trials run. Models, scores and most alerts do not depend on it, and
/// an hour between two chains is cheap. Where a batch has a key that counts in runs, or that
/// asks how long ago a sample came, the chain runs as often as the batch's ingest.
pub fn pace(batches: &[&Batch], span: &Range<Millis>, every: Option<Millis>) -> Pace {
    let Some(first) = batches.first() else { return Pace::new() };
    let counts = |batch: &&Batch| {
        let (alert, threshold) = (&batch.alert, &batch.threshold);
        let recent = alert.recent_n.is_some() || (threshold.enabled && threshold.recent_n.is_some());
        recent || alert.no_data_ms.is_some() || batch.score.max_n.is_some()
    };
    let delay = first.ingest.delay_ms;
    let (begin, end) = (span.start + delay, span.end + delay);
    let mut instants = vec![begin];
    let cron = first.schedules.get(&Job::Ingest).filter(|_| every.is_none() && batches.iter().any(counts));
    if let Some(schedule) = cron {
        instants.extend(Instants::new(&schedule.cron, first.timezone).between(begin, end - 1).take(CHAINS));
    }
    if instants.len() == 1 || instants.len() > CHAINS {
        let step = Millis::from(batches.iter().map(|batch| batch.judged.step_ms).max().unwrap_or(1));
        let every = every.unwrap_or(HOUR).max(step).max((end - begin) / CHAINS as Millis);
        let next = |now: &Millis| now.checked_add(every).filter(|now| *now < end);
        instants = std::iter::successors(Some(begin), next).collect();
    }
    instants.push(end);
    instants.dedup();
    instants
}

/// What the trials of a backtest have in common.
pub struct Setting<'a> {
    /// The samples.
    pub history: &'a History,
    /// The span that is told of, half-open.
    pub span: Range<Millis>,
    /// When the chain runs; it begins before the span.
    pub pace: &'a [Millis],
    /// The node's limits.
    pub limits: &'a Limits,
    /// The clock on the wall.
    pub clock: &'a dyn Clock,
    /// Called after each instant of the pace.
    pub note: &'a (dyn Fn() + Sync),
}

/// Runs a configuration over a history. `scored` is a trial whose scores are this one's too if
/// both score alike: a threshold that is changed needs no detector.
pub async fn run(
    name: &'static str,
    bound: BoundBatch,
    setting: &Setting<'_>,
    scored: Option<&Trial>,
) -> Result<Trial, BacktestError> {
    let Setting { history, pace, limits, clock, .. } = *setting;
    let span = setting.span.clone();
    // What fails fails again: its cause is in the history.
    let limits = Limits { run_attempts: 1, ..limits.clone() };
    let store = Database::in_memory(&limits)?;
    let documents: Vec<DocumentWrite> = history
        .markers
        .iter()
        .map(|marker| DocumentWrite::of(crate::store::DocumentKind::Event, marker.id.clone(), marker))
        .collect();
    store.write_documents(&bound.batch.key.tenant, documents)?;
    let scored = scored.filter(|other| same_scores(&other.batch, &bound.batch));
    let mut feed = Feed { bound: &bound, store: &store, history, taken: vec![0; history.series.len()], clock };
    feed.past(pace.first().copied().unwrap_or(span.end))?;
    let runner = Runner { store: &store, limits: &limits, clock, watch: None };
    let (mut failed, mut failure, mut fits) = (0, None, 0);
    let mut copied = Millis::MIN;
    for now in pace {
        feed.ingest(*now)?;
        let runs = match scored {
            Some(other) => {
                let end = feed.end(*now);
                feed.copy(other, copied..end, *now)?;
                copied = end;
                judge(&runner, &bound, *now).await?
            }
            None => runner.run_chain(&bound, *now, "backtest").await?,
        };
        for run in runs {
            fits += run.counts.get("models").copied().unwrap_or(0);
            if matches!(run.state, RunState::Failed | RunState::Partial) {
                failed += 1;
                let said = run.error.map(|fault| fault.to_string()).or_else(|| run.log.into_iter().next());
                failure = failure.or(said);
            }
        }
        (setting.note)();
    }
    let series = judged(&store, &bound.batch, &span)?;
    let filter =
        AlertFilter { key: Some(bound.batch.key.clone()), started: Some(span.clone()), ..AlertFilter::default() };
    let alerts = store.alerts(&filter)?.into_iter().rev().filter(|alert| alert.fired.is_some());
    let fired = alerts.map(|alert| Fired { alert, met: false }).collect();
    Ok(Trial { name, batch: bound.batch, span, fired, series, fits, failed, failure, store })
}

/// Change and alert, where the scores are there.
async fn judge(runner: &Runner<'_>, bound: &BoundBatch, now: Millis) -> Result<Vec<RunRecord>, BacktestError> {
    let mut runs = Vec::new();
    for job in [Job::Change, Job::Alert] {
        if job == Job::Alert || (bound.batch.change.enabled && bound.batch.runs(job)) {
            let slot = Slot { key: bound.batch.key.clone(), job, scheduled: now };
            runs.push(runner.execute(bound, slot, "backtest").await?);
        }
    }
    Ok(runs)
}

/// Whether two configurations score alike: they differ at most in when people are told.
fn same_scores(one: &Batch, other: &Batch) -> bool {
    let scoring = |batch: &Batch| {
        let detectors: Vec<_> = batch.detectors.iter().map(|d| (&d.plugin, &d.tag, &d.config)).collect();
        let Batch { judged, combination, train, score, timezone, .. } = batch;
        let cron = batch.schedules.get(&Job::Train).map(|schedule| &schedule.cron);
        format!("{detectors:?} {judged:?} {combination:?} {train:?} {score:?} {timezone:?} {cron:?}")
    };
    scoring(one) == scoring(other)
}

/// Gives the store what comes, as ingests that are done: the chain then passes over its own.
struct Feed<'a> {
    bound: &'a BoundBatch,
    store: &'a Database,
    history: &'a History,
    /// Samples that were given, a series each.
    taken: Vec<usize>,
    clock: &'a dyn Clock,
}

impl Feed<'_> {
    /// The end of the newest whole step.
    fn end(&self, now: Millis) -> Millis {
        let step = Millis::from(self.bound.batch.step_ms);
        (now - self.bound.batch.ingest.delay_ms).div_euclid(step) * step
    }

    /// What came before the first chain, a day at a time, so that no commit is large.
    fn past(&mut self, before: Millis) -> Result<(), BacktestError> {
        let Some((first, _)) = self.history.span() else { return Ok(()) };
        let mut now = first.div_euclid(DAY).saturating_add(1).saturating_mul(DAY);
        while now < before {
            self.ingest(now)?;
            now += DAY;
        }
        Ok(())
    }

    fn record(&self, job: Job, now: Millis) -> RunRecord {
        RunRecord {
            slot: Slot { key: self.bound.batch.key.clone(), job, scheduled: now },
            state: RunState::Done,
            attempts: 1,
            reason: "backtest".to_owned(),
            started: self.clock.now(),
            duration_ms: 0,
            counts: BTreeMap::new(),
            log: Vec::new(),
            error: None,
        }
    }

    fn ingest(&mut self, now: Millis) -> Result<(), BacktestError> {
        let end = self.end(now);
        let mut run = self.record(Job::Ingest, now);
        run.counts.insert("to".to_owned(), u64::try_from(end).unwrap_or(0));
        let mut samples: Vec<(Labels, String, Kind, Column)> = Vec::new();
        for (series, taken) in self.history.series.iter().zip(&mut self.taken) {
            let Column { timestamps, values } = &series.column;
            let upto = timestamps.partition_point(|time| *time < end).max(*taken);
            let part = *taken..std::mem::replace(taken, upto).max(upto);
            let column = Column {
                timestamps: timestamps.get(part.clone()).unwrap_or_default().to_vec(),
                values: values.get(part).unwrap_or_default().to_vec(),
            };
            if !column.values.is_empty() {
                samples.push((series.labels.clone(), series.name.clone(), series.kind, column));
            }
        }
        self.store.commit(Commit { samples, ..Commit::of(run) })?;
        Ok(())
    }

    /// Takes the scores of another trial.
    fn copy(&self, other: &Trial, span: Range<Millis>, now: Millis) -> Result<(), BacktestError> {
        let key = &self.bound.batch.key;
        let theirs: BTreeMap<&Labels, SeriesId> =
            other.series.iter().map(|series| (&series.record.labels, series.record.id)).collect();
        let mut scores: Vec<(SeriesId, ScoreColumn)> = Vec::new();
        for series in self.store.series(key) {
            let Some(id) = theirs.get(&series.labels) else { continue };
            let column = other.store.scores(&other.batch.key, &[*id], span.clone())?.pop().unwrap_or_default();
            if !column.rows.is_empty() {
                scores.push((series.id, column));
            }
        }
        let run = self.record(Job::Score, now);
        self.store.commit(Commit { scores, ..Commit::of(run) })?;
        Ok(())
    }
}

fn judged(store: &Database, batch: &Batch, span: &Range<Millis>) -> Result<Vec<Judged>, BacktestError> {
    let grid = Grid::spanning(span.start, span.end, batch.judged.step_ms);
    let mut series = Vec::new();
    for record in store.series(&batch.key) {
        let scores = store.scores(&batch.key, &[record.id], span.clone())?.pop().unwrap_or_default();
        let values = store.values(&batch.key, &[record.id], span.clone())?.pop().unwrap_or_default();
        let row = grid.lay(&values.timestamps, &values.values, batch.judged.aggregate);
        series.push(Judged {
            record,
            points: row.iter().filter(|value| value.is_finite()).count(),
            scored: scores.rows.len(),
            peak: scores.rows.iter().map(|row| row.score).fold(0.0, f64::max),
        });
    }
    series.sort_by(|a, b| a.record.name.cmp(&b.record.name));
    Ok(series)
}

/// A series of a trial on the judged grid of the span: a row each for values, scores and the
/// edges of what was expected.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// What came; NaN where nothing did, as in the others.
    pub values: Vec<f64>,
    /// 0 to 1.
    pub scores: Vec<f64>,
    /// The lower edge of what was expected.
    pub lower: Vec<f64>,
    /// The upper edge.
    pub upper: Vec<f64>,
}

impl Trial {
    /// The grid of the span.
    pub fn grid(&self) -> Grid {
        Grid::spanning(self.span.start, self.span.end, self.batch.judged.step_ms)
    }

    /// A series on the grid; `None` where the trial does not have it.
    pub fn row(&self, labels: &Labels) -> Result<Option<Row>, BacktestError> {
        let Some(series) = self.series.iter().find(|series| series.record.labels == *labels) else { return Ok(None) };
        let (grid, key, ids) = (self.grid(), &self.batch.key, [series.record.id]);
        let values = self.store.values(key, &ids, self.span.clone())?.pop().unwrap_or_default();
        let empty = || vec![f64::NAN; grid.columns];
        let mut row = Row {
            values: grid.lay(&values.timestamps, &values.values, self.batch.judged.aggregate),
            scores: empty(),
            lower: empty(),
            upper: empty(),
        };
        for scored in self.store.scores(key, &ids, self.span.clone())?.into_iter().flat_map(|column| column.rows) {
            let column = (scored.time - grid.start).div_euclid(Millis::from(grid.step_ms));
            let Ok(column) = usize::try_from(column) else { continue };
            let cells =
                [(&mut row.scores, scored.score), (&mut row.lower, scored.lower), (&mut row.upper, scored.upper)];
            for (cells, value) in cells {
                if let Some(cell) = cells.get_mut(column) {
                    *cell = value;
                }
            }
        }
        Ok(Some(row))
    }
}

/// Marks the alerts that both trials have: of the same kind and series, on at the same time.
pub fn pair(one: &mut Trial, other: &mut Trial) {
    mark(one, other);
    mark(other, one);
}

fn mark(trial: &mut Trial, other: &Trial) {
    let mut spans: BTreeMap<(&Labels, &str), Vec<Range<Millis>>> = BTreeMap::new();
    for fired in &other.fired {
        let key = (&fired.alert.labels, fired.alert.kind.name());
        spans.entry(key).or_default().push(fired.span(&other.span));
    }
    let within = trial.span.clone();
    for fired in &mut trial.fired {
        let own = fired.span(&within);
        let others = spans.get(&(&fired.alert.labels, fired.alert.kind.name()));
        fired.met = others.is_some_and(|spans| spans.iter().any(|span| span.start <= own.end && own.start <= span.end));
    }
}
