//! The way of a commit into the log.
//!
//! Commits that wait are written together with one sync, by whoever of them comes first.
//! What a commit decides (numbers of new series, whether its run is already finished) is
//! decided under the writer's lock from what is applied, and stands in its record.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use serde_bytes::ByteBuf;

use super::account::{Accounts, SAMPLES};
use super::backend::{Digest, Sequence};
use super::catalogue::BatchState;
use super::database::{Database, Inner, Outcome, Writer, run_key};
use super::document::document_prefix;
use super::entry::{Body, CommitEntry, Entry, ModelEntry, SeriesEntry, encode};
use super::points::{Packed, Points, Score, Terms};
use super::record::{Column, Commit, DocumentKind, DocumentWrite, ModelWrite, ScoreColumn, ScoreRow, SeriesId};
use super::{StoreError, lock, read, write};
use crate::config::{BatchKey, Slot};
use crate::series::{Kind, Labels};

/// Models up to this size stand in the log; longer ones in a file.
const INLINE_MODEL_BYTES: usize = 2 << 10;

/// What a commit gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The number of each series of the commit's samples, in their order.
    pub series: Vec<SeriesId>,
    /// Its place in the log.
    pub sequence: Sequence,
}

/// A commit that waits, and where its answer is put.
pub(super) struct Ticket {
    key: BatchKey,
    staged: Mutex<Option<Staged>>,
    answer: Mutex<Option<Result<Committed, StoreError>>>,
}

/// A commit whose blobs are written.
struct Staged {
    commit: Commit,
    /// Whether it may take the place of a run that is finished.
    again: bool,
    models: Vec<ModelEntry>,
}

/// A commit about which everything is decided.
struct Prepared {
    entry: Entry,
    outcome: Outcome,
    slot: Slot,
    series: Vec<SeriesId>,
}

impl Database {
    /// Keeps the outcome of a run: all of it or, on an error, nothing.
    ///
    /// [`StoreError::Conflict`] if the run is already finished; [`StoreError::Quota`] if the
    /// batch or its tenant would have too many series, or the tenant too many samples today; [`StoreError::Low`] while the disk is nearly full. After
    /// any other error the store accepts no writes until it is opened again, and whether this
    /// commit is then there is open.
    pub fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        self.keep(commit, false)
    }

    /// The same for a run that is done once more: its record takes the place of that of the run
    /// which finished before it, and what that one wrote stays but where this one writes.
    pub fn commit_again(&self, commit: Commit) -> Result<Committed, StoreError> {
        self.keep(commit, true)
    }

    fn keep(&self, mut commit: Commit, again: bool) -> Result<Committed, StoreError> {
        let inner = &self.inner;
        inner.check_writable()?;
        let models = std::mem::take(&mut commit.models);
        let (models, blob) = inner.stage_models(models)?;
        let key = commit.run.slot.key.clone();
        let staged = Mutex::new(Some(Staged { commit, again, models }));
        let ticket = Arc::new(Ticket { key, staged, answer: Mutex::default() });
        lock(&inner.queue).push(ticket.clone());
        // Whoever gets the lock first writes for all that wait.
        let mut writer = lock(&inner.writer);
        let answer = loop {
            if let Some(answer) = lock(&ticket.answer).take() {
                break answer;
            }
            inner.write_group(&mut writer);
        };
        drop(writer);
        if let Some(blob) = blob {
            inner.release_blob(&blob);
        }
        inner.seal_if_grown();
        answer
    }
}

impl Inner {
    /// Writes the commits that wait, one a batch: what a commit decides depends on those
    /// before it of its batch, and these must have been applied.
    fn write_group(&self, writer: &mut Writer) {
        let mut seen = HashSet::new();
        let (group, later): (Vec<_>, Vec<_>) =
            lock(&self.queue).drain(..).partition(|ticket| seen.insert(ticket.key.clone()));
        lock(&self.queue).splice(0..0, later);

        let mut written = Vec::new();
        let mut next_batch = read(&self.state).catalogue.next;
        for ticket in group {
            let Some(staged) = lock(&ticket.staged).take() else { continue };
            let appended = self.check_running().and_then(|()| {
                let prepared = self.prepare(staged, &mut next_batch, &mut writer.accounts)?;
                let record = encode(&prepared.entry)?;
                let sequence = self.store.append(&record).inspect_err(|e| self.stop(e))?;
                Ok((prepared, sequence, record.len()))
            });
            match appended {
                Ok(appended) => written.push((ticket, appended)),
                Err(error) => *lock(&ticket.answer) = Some(Err(error)),
            }
        }
        let synced = if self.durable() && !written.is_empty() { self.sync_log(writer) } else { self.check_running() };
        for (ticket, (prepared, sequence, bytes)) in written {
            let Prepared { entry, outcome, slot, series } = prepared;
            let applied = synced.clone().and_then(|()| write(&self.state).apply(entry, outcome, sequence, bytes));
            if applied.is_ok() {
                // Nobody needs to listen.
                let _ = self.finished.send(slot);
            }
            *lock(&ticket.answer) = Some(applied.map(|()| Committed { series, sequence }));
        }
    }

    /// Decides everything about a commit, and writes nothing.
    fn prepare(&self, staged: Staged, next_batch: &mut u32, accounts: &mut Accounts) -> Result<Prepared, StoreError> {
        let Staged { commit, again, models } = staged;
        let Commit { run, samples, scores, models: _, alerts, watched, decisions, deliveries, mut documents } = commit;
        let (key, slot) = (run.slot.key.clone(), run.slot.clone());
        accounts.check_open(&key.tenant)?;
        let state = read(&self.state);
        let (batch, known) = match state.catalogue.find(&key) {
            Some((batch, known)) => {
                let run_key = run_key(batch, &slot);
                let finished = match state.overlay(&run_key) {
                    Some(value) => value.is_some(),
                    None => self.store.get(&run_key)?.is_some(),
                };
                if finished && !again {
                    return Err(StoreError::Conflict(slot));
                }
                (batch, Some(known))
            }
            None => {
                *next_batch += 1;
                (*next_batch - 1, None)
            }
        };
        let mut numbers = Numbers::new(&key, known, self.limits.series_per_batch);
        let (values, ids) = take_samples(samples, &mut numbers)?;
        let (scores, terms) = take_scores(scores, &numbers)?;
        if numbers.added() > 0 {
            let all = state.catalogue.series_of_tenant(&key.tenant).saturating_add(numbers.added());
            accounts.check_series(&key.tenant, all)?;
        }
        let series = numbers.entries;
        drop(state);
        let taken: usize = values.iter().map(|(_, points)| points.len()).sum();
        if taken > 0 && accounts.quotas(&key.tenant).samples_per_day.is_some() {
            let place = document_prefix(&key.tenant, DocumentKind::Usage).last(SAMPLES).done();
            let kept = match self.get(&place)? {
                Some(value) => rmp_serde::from_slice(&value).ok(),
                None => None,
            };
            let samples = accounts.take_samples(&key.tenant, run.started, taken as u64, kept)?;
            // The whole count, and not what comes to it: a replay does the same once more.
            documents.push(DocumentWrite::of(DocumentKind::Usage, SAMPLES, &samples));
        }

        let outcome = Outcome { values, scores, terms };
        let entry = CommitEntry {
            batch,
            run,
            series,
            values: Packed::pack(outcome.values.iter().map(|(id, points)| (*id, points))),
            scores: Packed::pack(outcome.scores.iter().map(|(id, points)| (*id, points))),
            terms: Packed::pack(outcome.terms.iter().map(|(id, points)| (*id, points))),
            models,
            alerts,
            watched: watched.into_iter().map(|(id, bytes)| (id.0, ByteBuf::from(bytes))).collect(),
            deliveries,
            decisions: decisions.into_iter().map(|(id, decision)| (id.0, decision)).collect(),
            documents,
        };
        Ok(Prepared { entry: Entry::Commit(Box::new(entry)), outcome, slot, series: ids })
    }

    /// Writes the longer models of a run into one blob, before anything refers to it. The
    /// blob is to be released when the commit is applied or refused.
    fn stage_models(&self, models: Vec<ModelWrite>) -> Result<(Vec<ModelEntry>, Option<Digest>), StoreError> {
        let mut pack = Vec::new();
        let mut places = Vec::new();
        for model in models.iter().filter(|model| model.bytes.len() > INLINE_MODEL_BYTES) {
            places.push(pack.len() as u64);
            pack.extend_from_slice(&model.bytes);
        }
        let blob = (!pack.is_empty()).then(|| Digest::of(&pack));
        if let Some(digest) = blob {
            // Entered before it is written, so that no sweep takes it for garbage.
            *lock(&self.fresh_blobs).entry(digest).or_default() += 1;
            if let Err(error) = self.store.put_blob(&pack, self.durable()) {
                self.release_blob(&digest);
                return Err(error);
            }
        }
        let mut places = places.into_iter();
        let entry = |model: ModelWrite| {
            let digest = Digest::of(&model.bytes);
            let length = model.bytes.len() as u64;
            let head = model.bytes.get(..model.head).unwrap_or(&model.bytes);
            let (head, head_crc32) = (head.len() as u64, crc32fast::hash(head));
            let body = match blob.filter(|_| model.bytes.len() > INLINE_MODEL_BYTES) {
                Some(blob) => Body::Blob { blob, start: places.next().unwrap_or(0), length },
                None => Body::Inline(ByteBuf::from(model.bytes)),
            };
            ModelEntry {
                series: model.series.0,
                tag: model.tag,
                plugin: model.plugin,
                plugin_digest: model.plugin_digest,
                config_digest: model.config_digest,
                slot: model.slot,
                data: model.data,
                left_out: model.left_out,
                facts: model.facts,
                digest,
                head,
                head_crc32,
                body,
            }
        };
        Ok((models.into_iter().map(entry).collect(), blob))
    }

    fn release_blob(&self, digest: &Digest) {
        let mut fresh = lock(&self.fresh_blobs);
        if let Some(count) = fresh.get_mut(digest) {
            *count -= 1;
            if *count == 0 {
                fresh.remove(digest);
            }
        }
    }
}

/// Gives series their numbers, and notes which are new or changed.
struct Numbers<'a> {
    key: &'a BatchKey,
    known: Option<&'a BatchState>,
    limit: usize,
    fresh: HashMap<Labels, u32>,
    /// The number of the next new series.
    next: usize,
    entries: Vec<SeriesEntry>,
}

impl<'a> Numbers<'a> {
    fn new(key: &'a BatchKey, known: Option<&'a BatchState>, limit: usize) -> Self {
        let next = known.map_or(0, |batch| batch.series.len());
        Self { key, known, limit, fresh: HashMap::new(), next, entries: Vec::new() }
    }

    fn give(&mut self, labels: Labels, name: String, kind: Kind) -> Result<u32, StoreError> {
        if let Some((id, batch)) = self.known.and_then(|batch| Some((*batch.index.get(&labels)?, batch))) {
            if batch.series(id).is_some_and(|series| series.name != name || series.kind != kind) {
                self.entries.push(SeriesEntry { id, labels, name, kind });
            }
            return Ok(id);
        }
        if let Some(id) = self.fresh.get(&labels) {
            return Ok(*id);
        }
        let id = u32::try_from(self.next).ok().filter(|_| self.next < self.limit).ok_or_else(|| StoreError::Quota {
            what: format!("too many series in {} (`series_per_batch`)", self.key),
            limit: self.limit,
        })?;
        self.next += 1;
        self.fresh.insert(labels.clone(), id);
        self.entries.push(SeriesEntry { id, labels, name, kind });
        Ok(id)
    }

    /// How many series are new.
    fn added(&self) -> usize {
        self.fresh.len()
    }

    fn has(&self, id: SeriesId) -> bool {
        usize::try_from(id.0).is_ok_and(|id| id < self.next)
    }
}

type Columns<T> = Vec<(u32, Points<T>)>;

/// The samples by series, and the number of each series in the order given.
fn take_samples(
    samples: Vec<(Labels, String, Kind, Column)>,
    numbers: &mut Numbers<'_>,
) -> Result<(Columns<f64>, Vec<SeriesId>), StoreError> {
    let mut ids = Vec::with_capacity(samples.len());
    let mut values: BTreeMap<u32, Points<f64>> = BTreeMap::new();
    for (labels, name, kind, Column { timestamps, values: column }) in samples {
        if timestamps.len() != column.len() {
            return Err(StoreError::Invalid(format!("samples of {labels} in columns of different lengths")));
        }
        let id = numbers.give(labels, name, kind)?;
        ids.push(SeriesId(id));
        values.entry(id).or_default().merge(Points::of_values(timestamps, column));
    }
    values.retain(|_, points| !points.is_empty());
    Ok((values.into_iter().collect(), ids))
}

/// The scores by series, and their terms.
fn take_scores(
    columns: Vec<(SeriesId, ScoreColumn)>,
    numbers: &Numbers<'_>,
) -> Result<(Columns<Score>, Columns<Terms>), StoreError> {
    let mut rows: BTreeMap<u32, Points<ScoreRow>> = BTreeMap::new();
    for (id, column) in columns {
        if !numbers.has(id) {
            let text = format!("scores of series {} of {}, which does not exist", id.0, numbers.key);
            return Err(StoreError::Invalid(text));
        }
        let scored = column.rows.into_iter().filter(|row| !row.score.is_nan());
        rows.entry(id.0).or_default().merge(Points::new(scored.map(|row| (row.time, row))));
    }
    let (mut scores, mut terms) = (Columns::new(), Columns::new());
    for (id, rows) in rows {
        let scored = numbers.known.and_then(|batch| Some(batch.series(id)?.tail.scored?.1));
        let (times, rows) = rows.into_columns();
        scores.push((id, Points::new(times.into_iter().zip(rows.iter().map(Score::of)))));
        // A row that may replace one with terms, and has none itself, takes them away.
        let with_terms = rows.into_iter().filter_map(|row| {
            let terms: Terms = row.terms.into_iter().filter(|(_, value)| !value.is_nan()).collect();
            (!terms.is_empty() || Some(row.time) <= scored).then_some((row.time, terms))
        });
        terms.push((id, Points::new(with_terms)));
    }
    scores.retain(|(_, points)| !points.is_empty());
    terms.retain(|(_, points)| !points.is_empty());
    Ok((scores, terms))
}
