//! Figures of the store, for `make bench`: how fast it appends, how many bytes a point takes
//! on disk, how fast it is read.
//!
//! The series are synthetic and of eight kinds, from a counter to full-precision noise, since
//! a store of zeros would flatter. Points are committed a tick at a time, as the pipeline does.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::Instant;

use rand::{Rng as _, SeedableRng as _};

use super::{Column, Commit, Database, ModelWrite, RunRecord, RunState, ScoreColumn, ScoreRow, SeriesId, StoreError};
use crate::config::{BatchKey, Job, Limits, Slot};
use crate::series::{Kind, Labels, Millis};

const START: Millis = 1_767_225_600_000;
const STEP: Millis = 60_000;
/// Bytes of a model of the default detector, and how many of them scoring reads.
const MODEL: (usize, usize) = (98_000, 62_000);
/// Models that are measured at most: all of them are in memory at once.
const MOST_MODELS: usize = 2_000;

/// How much is written.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Series of the batch.
    pub series: usize,
    /// Ticks, each a minute and a point a series.
    pub ticks: usize,
}

impl Default for Size {
    /// Three days of 2 000 series: enough that what an engine takes at the start hardly shows.
    fn default() -> Self {
        Self { series: 2_000, ticks: 4_320 }
    }
}

/// What was measured of one store.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Points that were written.
    pub points: u64,
    /// Points a second, committed durably, sealing included.
    pub append: f64,
    /// The 50th and the 99th of 100 commits, in milliseconds.
    pub commit_ms: (f64, f64),
    /// Bytes of blocks a point, as they were written.
    pub payload: f64,
    /// Bytes on disk a point, when all is sealed, without the log.
    pub disk: f64,
    /// The same, of the second half of the points alone: what a further point takes, without
    /// what an engine takes at the start.
    pub disk_growth: f64,
    /// Bytes of the log's files. They grow with what is sealed at once, not with the points.
    pub log_bytes: u64,
    /// Points a second, of all series, all of the time, when the store was just opened.
    pub scan: f64,
    /// The time to read all points of one series, in milliseconds.
    pub series_ms: f64,
}

/// Figures of a store with values alone, and of one with a score and a band for each.
pub fn run(dir: &Path, size: Size) -> Result<(Figures, Figures), StoreError> {
    Ok((measure(&dir.join("values"), size, false)?, measure(&dir.join("scores"), size, true)?))
}

fn measure(dir: &Path, size: Size, scored: bool) -> Result<Figures, StoreError> {
    let limits = Limits::default();
    let key = BatchKey { tenant: "default".to_owned(), batch: "bench".to_owned() };
    let db = Database::open(dir, &limits)?;
    let mut source = Source::new(size.series);
    let mut commits = Vec::with_capacity(size.ticks);
    let bytes = |part| bytes_of(&dir.join(part)).map_err(|e| StoreError::io("measuring", dir, &e));
    let (mut spent, mut disk_before) = (0.0, 0);
    for (tick, time) in (0..size.ticks).zip((START..).step_by(STEP as usize)) {
        let (ingest, score) = source.tick(&key, tick, time, scored);
        let begun = Instant::now();
        db.commit(ingest)?;
        if let Some(score) = score {
            db.commit(score)?;
        }
        let took = begun.elapsed().as_secs_f64();
        commits.push(took * 1e3);
        spent += took;
        if tick == size.ticks / 2 {
            db.seal()?;
            disk_before = bytes("store")?;
        }
    }
    let begun = Instant::now();
    db.seal()?;
    spent += begun.elapsed().as_secs_f64();
    let payload = db.inner.block_bytes()?;
    drop(db);

    let points = size.series as f64 * size.ticks as f64;
    let (disk, log_bytes) = (bytes("store")?, bytes("wal")?);
    let db = Database::open(dir, &limits)?;
    let all: Vec<_> = db.series(&key).iter().map(|series| series.id).collect();
    let read = |ids: &[SeriesId]| -> Result<f64, StoreError> {
        let begun = Instant::now();
        let span = START..START + STEP * size.ticks as Millis;
        let mut found: usize = db.values(&key, ids, span.clone())?.iter().map(|column| column.values.len()).sum();
        if scored {
            found = db.scores(&key, ids, span)?.iter().map(|column| column.rows.len()).sum::<usize>().min(found);
        }
        if found != ids.len() * size.ticks {
            return Err(StoreError::damaged("the bench", format!("{found} points were read")));
        }
        Ok(begun.elapsed().as_secs_f64())
    };
    let scan = points / read(&all)?;
    let series_ms = read(all.get(..1).unwrap_or_default())? * 1e3;
    commits.sort_by(f64::total_cmp);
    let centile = |part: usize| commits.get(commits.len() * part / 100).copied().unwrap_or_default();
    Ok(Figures {
        points: points as u64,
        append: points / spent,
        commit_ms: (centile(50), centile(99)),
        payload: payload as f64 / points,
        disk: disk as f64 / points,
        disk_growth: disk.saturating_sub(disk_before) as f64 / points * 2.0,
        log_bytes,
        scan,
        series_ms,
    })
}

/// What was measured of models, in microseconds a series.
#[derive(Clone, Copy, Debug)]
pub struct ModelFigures {
    /// Reading what is known of them.
    pub metadata: f64,
    /// Reading what scoring is passed, all series at once.
    pub head: f64,
    /// Reading as much from one plain file, a series at a time.
    pub plain: f64,
}

/// Figures of a store with a model a series, as large as those of the default detector, when it was
/// just opened. More than 2 000 series are measured as 2 000.
pub fn models(dir: &Path, series: usize) -> Result<ModelFigures, StoreError> {
    let key = BatchKey { tenant: "default".to_owned(), batch: "bench".to_owned() };
    let series = series.min(MOST_MODELS);
    let (tag, (whole, part)) = ("robust", MODEL);
    let mut source = Source::new(series);
    let (ingest, _) = source.tick(&key, 0, START, false);
    let model = |id: u32| ModelWrite {
        series: SeriesId(id),
        tag: tag.to_owned(),
        plugin: tag.to_owned(),
        plugin_digest: "0".repeat(64),
        config_digest: "0".repeat(64),
        slot: START,
        data: (START, START),
        left_out: 0,
        facts: Vec::new(),
        head: part,
        bytes: (0..whole).map(|at| (at as u32 ^ id) as u8).collect(),
    };
    let ids: Vec<_> = (0..series).zip(0..).map(|(_, id)| SeriesId(id)).collect();
    let plain = dir.join("plain");
    {
        let db = Database::open(&dir.join("models"), &Limits::default())?;
        let models: Vec<_> = ids.iter().map(|id| model(id.0)).collect();
        fs::write(&plain, models.iter().map(|model| model.bytes.as_slice()).collect::<Vec<_>>().concat())
            .map_err(|e| StoreError::io("writing", &plain, &e))?;
        db.commit(ingest)?;
        db.commit(Commit { models, ..Commit::of(run_of(&key, Job::Train, START)) })?;
        db.seal()?;
    }
    let db = Database::open(&dir.join("models"), &Limits::default())?;
    let a_series = |begun: Instant| begun.elapsed().as_secs_f64() * 1e6 / series as f64;
    let begun = Instant::now();
    let known = db.model_metadata(&key, tag, &ids)?;
    let metadata = a_series(begun);
    let begun = Instant::now();
    let found = db.heads(&key, tag, &ids)?;
    let head = a_series(begun);
    if known.iter().flatten().count() != series || found.iter().flatten().count() != series {
        return Err(StoreError::damaged("the bench", "models are missing"));
    }
    drop(found);

    let failed = |e| StoreError::io("reading", &plain, &e);
    let file = fs::File::open(&plain).map_err(failed)?;
    let begun = Instant::now();
    let mut parts = Vec::with_capacity(series);
    for place in (0..).step_by(whole).take(series) {
        let mut bytes = vec![0; part];
        file.read_exact_at(&mut bytes, place).map_err(failed)?;
        parts.push(bytes);
    }
    Ok(ModelFigures { metadata, head, plain: a_series(begun) })
}

/// What files take on disk, which for one with holes is less than its length.
fn bytes_of(path: &Path) -> std::io::Result<u64> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.blocks() * 512);
    }
    fs::read_dir(path)?.map(|entry| bytes_of(&entry?.path())).sum()
}

fn run_of(key: &BatchKey, job: Job, time: Millis) -> RunRecord {
    RunRecord {
        slot: Slot { key: key.clone(), job, scheduled: time },
        state: RunState::Done,
        attempts: 1,
        reason: "bench".to_owned(),
        started: time,
        duration_ms: 1,
        counts: std::collections::BTreeMap::new(),
        log: Vec::new(),
        error: None,
    }
}

/// Series that go on from tick to tick.
struct Source {
    random: rand::rngs::StdRng,
    /// A level, a forecast of it and of its spread, a series each.
    series: Vec<(Labels, f64, f64, f64)>,
}

impl Source {
    fn new(count: usize) -> Self {
        let labels = |index: usize| {
            let pairs = [("__name__", format!("kind_{}", index % 8)), ("instance", format!("host-{index}:9100"))];
            Labels::new(pairs.map(|(name, value)| (name.to_owned(), value))).unwrap_or_default()
        };
        let series = (0..count).map(|index| (labels(index), 100.0, 100.0, 1.0)).collect();
        Self { random: rand::rngs::StdRng::seed_from_u64(7), series }
    }

    /// The ingest of a tick, and the scoring of the same points.
    fn tick(&mut self, key: &BatchKey, tick: usize, time: Millis, scored: bool) -> (Commit, Option<Commit>) {
        let run = |job| Commit::of(run_of(key, job, time));
        let (mut ingest, mut score) = (run(Job::Ingest), run(Job::Score));
        for (index, id) in (0..self.series.len()).zip(0..) {
            let normal = (0..4).map(|_| self.random.random::<f64>() - 0.5).sum::<f64>() * 1.7;
            let Some((labels, level, forecast, spread)) = self.series.get_mut(index) else { break };
            let value = match index % 8 {
                // A counter of requests.
                0 => {
                    *level += (50.0 + 10.0 * normal).max(0.0).round();
                    *level
                }
                // A walk with two decimals.
                1 => {
                    *level += normal;
                    (*level * 100.0).round() / 100.0
                }
                // Noise with all its digits.
                2 => 100.0 + normal,
                // A gauge of whole numbers.
                3 => (100.0 + normal).round(),
                // Nearly constant.
                4 => {
                    if self.random.random_bool(0.01) {
                        *level += 1.0;
                    }
                    *level
                }
                // A counter of seconds.
                5 => {
                    *level += 0.5 + 0.1 * normal;
                    (*level * 1e3).round() / 1e3
                }
                // A latency.
                6 => (normal.exp() * 1e4).round() / 1e7,
                // A day.
                _ => ((tick as f64 / 1440.0 * std::f64::consts::TAU).sin() * 5e3 + 50.0 * normal).round() / 100.0,
            };
            // As a smoothing detector has them: a forecast, and four times the spread about it.
            let error = value - *forecast;
            *forecast += 0.1 * error;
            *spread += 0.02 * (error.abs() - *spread);
            let surprise = (error.abs() / (spread.abs() * 8.0 + 1e-9) - 0.2).clamp(0.0, 1.0);
            let column = Column { timestamps: vec![time], values: vec![value] };
            ingest.samples.push((labels.clone(), labels.to_string(), Kind::Gauge, column));
            let row = ScoreRow {
                time,
                score: surprise,
                lower: *forecast - 4.0 * *spread,
                upper: *forecast + 4.0 * *spread,
                terms: if surprise > 0.4 { vec![("residual".to_owned(), surprise)] } else { Vec::new() },
            };
            score.scores.push((SeriesId(id), ScoreColumn { rows: vec![row] }));
        }
        (ingest, scored.then_some(score))
    }
}
