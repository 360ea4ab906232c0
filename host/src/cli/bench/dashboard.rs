//! What the dashboard's answers take of a large batch: values, scores and bands of every minute,
//! synthesised into a store.
//!
//! It is the time in the server, with the JSON of the answer and without network and browser.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use rand::{Rng as _, SeedableRng as _};

use super::{Budget, CliError, Figure, median};
use crate::config::{BatchKey, Environment, Job, Limits, Node, Slot, load_node};
use crate::desk::{Ask, ChartQuery, ChartsQuery, Desk, SeriesOrder, WhatIfQuery};
use crate::series::{Kind, Labels, Millis};
use crate::store::{
    Column, Commit, Database, Durability, RunRecord, RunState, ScoreColumn, ScoreRow, SeriesId, StoreError,
};

const MINUTE: Millis = 60_000;
const DAY: Millis = 1_440 * MINUTE;
/// Points of each series that one commit has: a window of the store.
const COLUMNS: Millis = 360;
/// Small multiples of a batch page, and rows of each.
const MULTIPLES: (usize, usize) = (24, 200);
const MONTH: Millis = 31;
/// Series of the batch with a month.
const MONTH_SERIES: u32 = 160;

/// How much is synthesised.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Series of the large batch.
    pub series: u32,
    /// Its days, a point a minute.
    pub days: Millis,
    /// Answers whose median is taken.
    pub answers: usize,
}

/// What is synthesised goes into `folder`, as a node's data, and ends before `now`.
pub(super) fn measure(size: Size, folder: &Path, now: Millis) -> Result<Vec<Figure>, CliError> {
    let end = now - now.rem_euclid(COLUMNS * MINUTE);
    let store = Database::open(folder, &Limits::default())?;
    store.set_durability(Durability::Relaxed)?;
    let (fleet, month) = (key("fleet"), key("month"));
    synthesise(&store, &fleet, size.series, end - size.days * DAY..end)?;
    synthesise(&store, &month, MONTH_SERIES.min(size.series), end - MONTH * DAY..end)?;
    store.set_durability(Durability::Durable)?;
    drop(store);

    let store = Database::open(folder, &Limits::default())?;
    let config = load_node(None, &Environment::default()).map_err(|e| CliError::other(e.to_string()))?;
    let asking = Asking { store: &store, config: &config, now };
    // The first answer after a start, when nothing is in memory.
    let first = asking.batch_page(end - size.days * DAY, end)?;
    let page = |days: Millis| asking.median(size.answers, || asking.batch_page(end - days * DAY, end));
    let chart = |points| ChartQuery {
        id: month.batch.clone(),
        metric: name(7),
        from: Some(end - MONTH * DAY),
        to: Some(end),
        points: Some(points),
        ..ChartQuery::default()
    };
    let what_if = WhatIfQuery {
        id: month.batch.clone(),
        metric: name(7),
        from: Some(end - MONTH * DAY),
        to: Some(end),
        threshold: Some(0.7),
        ..WhatIfQuery::default()
    };
    let of_batch = format!("of {} series, {} days, a minute", size.series, size.days);
    let figure = |name, what: String, value: f64| Figure::new(name, what, value, "ms");
    Ok(vec![
        figure("batch_page_first", format!("batch page {of_batch}: the first after a start"), first)
            .at_most(Budget::Value(1_000.0)),
        figure("batch_page", "batch page: all days".to_owned(), page(size.days)?).at_most(Budget::Value(1_000.0)),
        figure("batch_page_day", "batch page: the last day".to_owned(), page(1)?).at_most(Budget::Value(1_000.0)),
        figure(
            "month_chart",
            "chart of a month, 1 000 rows".to_owned(),
            asking.median(size.answers, || asking.time(&chart(1_000)))?,
        )
        .at_most(Budget::Value(20.0)),
        figure(
            "month_points",
            "chart of a month, every point".to_owned(),
            asking.median(size.answers, || asking.time(&chart(50_000)))?,
        ),
        figure(
            "month_threshold",
            "another threshold for a month".to_owned(),
            asking.median(size.answers, || asking.time(&what_if))?,
        ),
    ])
}

fn key(batch: &str) -> BatchKey {
    BatchKey { tenant: "default".to_owned(), batch: batch.to_owned() }
}

fn name(series: u32) -> String {
    format!("latency_{:02}_host-{series:05}", series % 40)
}

/// A desk, and what it takes to ask it.
struct Asking<'a> {
    store: &'a Database,
    config: &'a Node,
    now: Millis,
}

impl Asking<'_> {
    /// Milliseconds of an answer with its JSON.
    fn time<A: Ask>(&self, question: &A) -> Result<f64, CliError> {
        let begun = Instant::now();
        self.ask(question)?;
        Ok(begun.elapsed().as_secs_f64() * 1e3)
    }

    fn ask<A: Ask>(&self, question: &A) -> Result<A::Reply, CliError> {
        let batches = BTreeMap::new();
        let Self { store, config, now } = *self;
        let reply = question.ask(&Desk { store, batches: &batches, config, tenant: "default", now })?;
        std::hint::black_box(serde_json::to_vec(&reply).map_err(|e| CliError::other(e.to_string()))?);
        Ok(reply)
    }

    /// Milliseconds of what a batch page asks: its series, the oddest first, and a small chart of each.
    fn batch_page(&self, from: Millis, to: Millis) -> Result<f64, CliError> {
        let begun = Instant::now();
        let (multiples, points) = MULTIPLES;
        let id = key("fleet").batch;
        let (from, to, points) = (Some(from), Some(to), Some(points));
        let (order, limit) = (SeriesOrder::Anomaly, Some(multiples));
        self.ask(&ChartsQuery { id, order, from, to, points, limit, ..ChartsQuery::default() })?;
        Ok(begun.elapsed().as_secs_f64() * 1e3)
    }

    fn median(&self, answers: usize, time: impl Fn() -> Result<f64, CliError>) -> Result<f64, CliError> {
        Ok(median((0..answers.max(1)).map(|_| time()).collect::<Result<_, _>>()?))
    }
}

/// Latencies that follow the day, with a score and a band at each point, and now and then an
/// incident: in one series of forty at a time.
fn synthesise(store: &Database, key: &BatchKey, series: u32, span: Range<Millis>) -> Result<(), StoreError> {
    let mut random = rand::rngs::StdRng::seed_from_u64(11);
    for (window, start) in (0..).zip(span.step_by((COLUMNS * MINUTE) as usize)) {
        let (mut ingest, mut score) = (commit(key, Job::Ingest, start), commit(key, Job::Score, start));
        for id in 0..series {
            let (column, rows) = points(&mut random, start, id, window);
            let pairs = [("__name__", format!("latency_{:02}", id % 40)), ("instance", format!("host-{id:05}"))];
            let labels = Labels::new(pairs.map(|(name, value)| (name.to_owned(), value)));
            ingest.samples.push((labels.unwrap_or_default(), name(id), Kind::Gauge, column));
            score.scores.push((SeriesId(id), ScoreColumn { rows }));
        }
        store.commit(ingest)?;
        store.commit(score)?;
    }
    store.seal()
}

fn points(random: &mut rand::rngs::StdRng, start: Millis, id: u32, window: Millis) -> (Column, Vec<ScoreRow>) {
    let mut column = Column::default();
    let mut rows = Vec::new();
    let incident = (Millis::from(id) + window * 7).rem_euclid(40) == 0;
    for minute in 0..COLUMNS {
        let time = start + minute * MINUTE;
        let day = time.rem_euclid(DAY) as f64 / DAY as f64;
        let middle = 100.0 + 20.0 * (day * std::f64::consts::TAU).sin() + f64::from(id % 16);
        let noise = random.random::<f64>() + random.random::<f64>() - 1.0;
        let odd = if incident && (100..130).contains(&minute) { 1.0 } else { 0.0 };
        let value = ((middle + 3.0 * noise + 25.0 * odd) * 100.0).round() / 100.0;
        let surprise = (noise.abs() * 0.3 + 0.6 * odd).clamp(0.0, 1.0);
        column.timestamps.push(time);
        column.values.push(value);
        let terms = if surprise > 0.4 { vec![("residual".to_owned(), surprise)] } else { Vec::new() };
        rows.push(ScoreRow { time, score: surprise, lower: middle - 6.0, upper: middle + 6.0, terms });
    }
    (column, rows)
}

fn commit(key: &BatchKey, job: Job, scheduled: Millis) -> Commit {
    Commit::of(RunRecord {
        slot: Slot { key: key.clone(), job, scheduled },
        state: RunState::Done,
        attempts: 1,
        reason: "bench".to_owned(),
        started: scheduled,
        duration_ms: 1,
        counts: BTreeMap::new(),
        log: Vec::new(),
        error: None,
    })
}
