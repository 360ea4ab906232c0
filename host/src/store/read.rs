//! Reading. Each call sees whole commits; two calls may see different ones.
//!
//! Memory is copied first and the engine read afterwards, so that what a sealing moves from
//! the one to the other in between is seen, perhaps twice, and never missed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::apply::{QUEUED, fit_key};
use super::blocks::Blocks;
use super::chunk::Decoded;
use super::database::{Database, Inner, State, run_key};
use super::entry::{decode, widened};
use super::keys::{Key, Space, after, last_number};
use super::layer::{Kept, Layer};
use super::points::{Points, Score, Terms};
use super::record::{
    AlertRecord, Column, Decision, Delivery, FitRecord, RunRecord, ScoreColumn, SeriesId, SeriesRecord,
};
use super::{Pair, SCAN_KEYS, StoreError, read};
use crate::config::{BatchKey, Job, Slot};
use crate::message::{AlertKind, AlertPhase};
use crate::series::{Labels, Millis};

/// Which runs.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Of this batch; `None`: of all.
    pub key: Option<BatchKey>,
    /// Of this job; `None`: of all.
    pub job: Option<Job>,
    /// At most so many; `None`: all that are kept.
    pub limit: Option<usize>,
}

/// Which alerts.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    /// Of this batch; `None`: of all.
    pub key: Option<BatchKey>,
    /// Only those that are not resolved.
    pub open: bool,
    /// Only those that started in this half-open span.
    pub started: Option<Range<Millis>>,
    /// At most so many; `None`: all.
    pub limit: Option<usize>,
}

/// Which deliveries.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// Of this tenant, or about this batch; `None`: of all tenants.
    pub key: Option<BatchKey>,
    /// In this state: `queued`, `sent`, `dead`; `None`: in any. Those that wait are found
    /// without reading those that do not.
    pub state: Option<String>,
}

impl DeliveryFilter {
    /// What of a batch waits to be sent.
    pub fn queued(key: &BatchKey) -> Self {
        Self { key: Some(key.clone()), state: Some(QUEUED.to_owned()) }
    }
}

impl Database {
    /// All batches that have ever had a commit, by tenant and name.
    pub fn batches(&self) -> Vec<BatchKey> {
        read(&self.inner.state).catalogue.names.keys().filter(|key| !key.is_tenant()).cloned().collect()
    }

    /// The series of a batch, by number; none of an unknown batch.
    pub fn series(&self, key: &BatchKey) -> Vec<SeriesRecord> {
        read(&self.inner.state).catalogue.find(key).map(|(_, batch)| batch.records()).unwrap_or_default()
    }

    /// The series of a batch of whose name and labels this is true, by number.
    pub fn series_where(&self, key: &BatchKey, test: impl Fn(&str, &Labels) -> bool) -> Vec<SeriesRecord> {
        let state = read(&self.inner.state);
        state.catalogue.find(key).map(|(_, batch)| batch.records_where(test)).unwrap_or_default()
    }

    /// The newest point of a batch, sample or score.
    pub fn newest(&self, key: &BatchKey) -> Option<Millis> {
        let state = read(&self.inner.state);
        let (_, batch) = state.catalogue.find(key)?;
        let ends = batch.series.iter().flat_map(|series| [series.tail.span, series.tail.scored]);
        ends.flatten().map(|(_, last)| last).max()
    }

    /// The newest value of each series, without reading any; `None` where there is none.
    pub fn last_values(&self, key: &BatchKey, series: &[SeriesId]) -> Vec<Option<(Millis, f64)>> {
        let state = read(&self.inner.state);
        let batch = state.catalogue.find(key).map(|(_, batch)| batch);
        let last = |id: &SeriesId| {
            let tail = &batch?.series(id.0)?.tail;
            tail.span.map(|(_, time)| (time, tail.last))
        };
        series.iter().map(last).collect()
    }

    /// The values of series within a half-open span, a column each, in the order asked for.
    pub fn values(&self, key: &BatchKey, series: &[SeriesId], range: Range<Millis>) -> Result<Vec<Column>, StoreError> {
        let column = |points: Points<f64>| {
            let (timestamps, values) = points.into_columns();
            Column { timestamps, values }
        };
        Ok(self.inner.points(key, series, &range)?.into_iter().map(column).collect())
    }

    /// The scores of series within a half-open span, a column each, in the order asked for.
    pub fn scores(
        &self,
        key: &BatchKey,
        series: &[SeriesId],
        range: Range<Millis>,
    ) -> Result<Vec<ScoreColumn>, StoreError> {
        let scores: Vec<Points<Score>> = self.inner.points(key, series, &range)?;
        let terms: Vec<Points<Terms>> = self.inner.points(key, series, &range)?;
        let column = |(scores, terms): (Points<Score>, Points<Terms>)| {
            let mut rows: Vec<_> = scores.iter().map(|(time, score)| score.row(time)).collect();
            for (time, terms) in terms.iter() {
                if let Ok(index) = rows.binary_search_by_key(&time, |row| row.time)
                    && let Some(row) = rows.get_mut(index)
                {
                    row.terms = terms.clone();
                }
            }
            ScoreColumn { rows }
        };
        Ok(scores.into_iter().zip(terms).map(column).collect())
    }

    /// The scores of series within a half-open span, with neither bands nor terms: instants and 0
    /// to 1, a column each, in the order asked for.
    pub fn levels(
        &self,
        key: &BatchKey,
        series: &[SeriesId],
        range: Range<Millis>,
    ) -> Result<Vec<Vec<(Millis, f64)>>, StoreError> {
        let scores: Vec<Points<Score>> = self.inner.points(key, series, &range)?;
        let level = |column: Points<Score>| column.iter().map(|(time, score)| (time, score.level())).collect();
        Ok(scores.into_iter().map(level).collect())
    }

    /// The event rule's memory, by series.
    pub fn watched(&self, key: &BatchKey) -> Result<BTreeMap<SeriesId, Vec<u8>>, StoreError> {
        let Some(batch) = self.inner.batch_id(key) else { return Ok(BTreeMap::new()) };
        let pairs = self.inner.scan(&Space::Watched.batch(batch), None)?;
        Ok(pairs.into_iter().filter_map(|(key, memory)| Some((SeriesId(last_number(&key)?), memory))).collect())
    }

    /// A finished run.
    pub fn run(&self, slot: &Slot) -> Result<Option<RunRecord>, StoreError> {
        let Some(batch) = self.inner.batch_id(&slot.key) else { return Ok(None) };
        let value = self.inner.get(&run_key(batch, slot))?;
        value.map(|value| decode("a run", &value)).transpose()
    }

    /// The newest finished run of a job, by scheduled time.
    pub fn last_run(&self, key: &BatchKey, job: Job) -> Result<Option<RunRecord>, StoreError> {
        let filter = RunFilter { key: Some(key.clone()), job: Some(job), limit: Some(1) };
        Ok(self.runs(&filter)?.pop())
    }

    /// Finished runs, the newest scheduled first. Of each job of a batch, `runs_kept` are kept.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        let limit = filter.limit.unwrap_or(usize::MAX).min(self.inner.limits.runs_kept);
        let mut runs: Vec<RunRecord> = Vec::new();
        for (batch, _) in self.inner.chosen(filter.key.as_ref()) {
            for job in Job::ALL.into_iter().filter(|job| filter.job.is_none_or(|wanted| wanted == *job)) {
                for (_, value) in self.inner.scan(&Space::Run.batch(batch).job(job), Some(limit))? {
                    runs.push(decode("a run", &value)?);
                }
            }
        }
        // Of runs for one instant, the later job of the chain first; then by batch.
        runs.sort_by(|a, b| {
            let newest = |run: &RunRecord| (run.slot.scheduled, run.slot.job);
            newest(b).cmp(&newest(a)).then_with(|| a.slot.key.cmp(&b.slot.key))
        });
        runs.truncate(filter.limit.unwrap_or(usize::MAX));
        Ok(runs)
    }

    /// Finished runs of a batch that were planned for an instant of a half-open span and are
    /// wanted, the newest of each job first: at most so many of each.
    pub fn runs_between(
        &self,
        key: &BatchKey,
        job: Option<Job>,
        span: Range<Millis>,
        most: usize,
        wanted: impl Fn(&RunRecord) -> bool,
    ) -> Result<Vec<RunRecord>, StoreError> {
        let mut runs: Vec<RunRecord> = Vec::new();
        let Some(batch) = self.inner.batch_id(key).filter(|_| most > 0) else { return Ok(runs) };
        for job in Job::ALL.into_iter().filter(|own| job.is_none_or(|wanted| wanted == *own)) {
            let prefix = Space::Run.batch(batch).job(job);
            let from = prefix.clone().newest_first(span.end.saturating_sub(1)).done();
            let (mut seen, mut found) = (0, 0);
            self.inner.visit_paged(&prefix, &from, most.min(SCAN_KEYS), |_, value| {
                let run: RunRecord = decode("a run", value)?;
                seen += 1;
                if run.slot.scheduled < span.start || seen > self.inner.limits.runs_kept {
                    return Ok(false);
                }
                if wanted(&run) {
                    found += 1;
                    runs.push(run);
                }
                Ok(found < most)
            })?;
        }
        Ok(runs)
    }

    /// Alerts, the last started first.
    pub fn alerts(&self, filter: &AlertFilter) -> Result<Vec<AlertRecord>, StoreError> {
        let span = filter.started.clone().unwrap_or(Millis::MIN..Millis::MAX);
        let spaces: &[Space] = if filter.open { &[Space::OpenAlert] } else { &[Space::OpenAlert, Space::ClosedAlert] };
        let mut alerts: Vec<AlertRecord> = Vec::new();
        for (batch, _) in self.inner.chosen(filter.key.as_ref()) {
            for space in spaces {
                let (prefix, newest) = (space.batch(batch), span.end.saturating_sub(1));
                let from = prefix.clone().newest_first(newest).done();
                self.inner.visit(&prefix, &from, |_, value| {
                    let alert: AlertRecord = decode("an alert", value)?;
                    let goes_on = alert.started >= span.start;
                    if goes_on {
                        alerts.push(alert);
                    }
                    Ok(goes_on)
                })?;
            }
        }
        alerts.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| (&a.key, &a.id).cmp(&(&b.key, &b.id))));
        alerts.truncate(filter.limit.unwrap_or(usize::MAX));
        debug_assert!(!filter.open || alerts.iter().all(|alert| alert.phase != AlertPhase::Resolved));
        Ok(alerts)
    }

    /// The alerts of a batch with these identities, in no order; those that are not there are
    /// left out. The newer they are, the sooner they are found.
    pub fn alerts_named(&self, key: &BatchKey, ids: &BTreeSet<String>) -> Result<Vec<AlertRecord>, StoreError> {
        let mut alerts: Vec<AlertRecord> = Vec::new();
        let Some(batch) = self.inner.batch_id(key).filter(|_| !ids.is_empty()) else { return Ok(alerts) };
        for space in [Space::OpenAlert, Space::ClosedAlert] {
            let prefix = space.batch(batch);
            let before_id = prefix.clone().newest_first(0).done().len();
            self.inner.visit(&prefix, &[], |place, value| {
                let id = place.get(before_id..).and_then(|id| std::str::from_utf8(id).ok());
                if id.is_some_and(|id| ids.contains(id)) {
                    let alert: AlertRecord = decode("an alert", value)?;
                    // What moves from open to closed meanwhile is found twice.
                    alerts.retain(|known| known.id != alert.id);
                    alerts.push(alert);
                }
                Ok(alerts.len() < ids.len())
            })?;
        }
        Ok(alerts)
    }

    /// What the event rule made of a series in a half-open span, the newest first: the spans
    /// that are over. The one that goes on stands in the rule's memory.
    pub fn decisions(
        &self,
        key: &BatchKey,
        series: SeriesId,
        kind: AlertKind,
        span: Range<Millis>,
    ) -> Result<Vec<Decision>, StoreError> {
        let Some(batch) = self.inner.batch_id(key) else { return Ok(Vec::new()) };
        let prefix = Space::Decision.batch(batch).number(series.0).byte(kind as u8);
        let from = prefix.clone().newest_first(span.end.saturating_sub(1)).done();
        let mut decisions: Vec<Decision> = Vec::new();
        self.inner.visit(&prefix, &from, |_, value| {
            let decision: Decision = decode("a decision", value)?;
            let reaches = decision.to >= span.start;
            if reaches {
                decisions.push(decision);
            }
            Ok(reaches)
        })?;
        Ok(decisions)
    }

    /// The fit of a series that stood at an instant, under a tag of `model_configs`.
    pub fn fit_at(
        &self,
        key: &BatchKey,
        series: SeriesId,
        tag: &str,
        time: Millis,
    ) -> Result<Option<FitRecord>, StoreError> {
        let Some(batch) = self.inner.batch_id(key) else { return Ok(None) };
        let prefix = Space::Fit.batch(batch).number(series.0).text(tag);
        let mut found = None;
        self.inner.visit(&prefix, &fit_key(batch, series.0, tag, time), |_, value| {
            found = Some(decode("a fit", value)?);
            Ok(false)
        })?;
        Ok(found)
    }

    /// The fits of a series that are kept, under all tags, the newest first.
    pub fn fits(&self, key: &BatchKey, series: SeriesId) -> Result<Vec<FitRecord>, StoreError> {
        let Some(batch) = self.inner.batch_id(key) else { return Ok(Vec::new()) };
        let pairs = self.inner.scan(&Space::Fit.batch(batch).number(series.0), None)?;
        let mut fits: Vec<FitRecord> =
            pairs.iter().map(|(_, value)| decode("a fit", value)).collect::<Result<_, _>>()?;
        fits.sort_by(|a, b| b.scheduled.cmp(&a.scheduled).then_with(|| a.tag.cmp(&b.tag)));
        Ok(fits)
    }

    /// Deliveries, in the order in which they were queued.
    pub fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        let spaces: &[Space] = match filter.state.as_deref() {
            Some(QUEUED) => &[Space::Queued],
            Some(_) => &[Space::Settled],
            None => &[Space::Queued, Space::Settled],
        };
        let mut deliveries: Vec<Delivery> = Vec::new();
        // They are the tenant's, since one may be about several batches.
        let about = filter.key.as_ref().filter(|key| !key.is_tenant());
        let chosen = about.map(|key| BatchKey::of_tenant(&key.tenant));
        let chosen = self.inner.chosen(chosen.as_ref().or(filter.key.as_ref())).into_iter();
        let own = about.map(|key| self.inner.chosen(Some(key))).unwrap_or_default();
        for (batch, _) in chosen.chain(own) {
            for space in spaces {
                for (_, value) in self.inner.scan(&space.batch(batch), None)? {
                    deliveries.push(decode("a delivery", &value)?);
                }
            }
        }
        let is_about =
            |delivery: &Delivery| about.is_none_or(|key| delivery.key == *key || delivery.batches.contains(&key.batch));
        deliveries.retain(|delivery| {
            filter.state.as_ref().is_none_or(|state| *state == delivery.state) && is_about(delivery)
        });
        deliveries.sort_by(|a, b| (a.queued, &a.key, &a.id).cmp(&(b.queued, &b.key, &b.id)));
        Ok(deliveries)
    }
}

impl State {
    /// What memory has under a prefix, from a key on; `None` hides what the engine has.
    fn overlay_from(&self, prefix: &[u8], from: &[u8]) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        let layers = self.frozen.as_deref().into_iter().chain([&self.active]);
        let records = layers.flat_map(|layer| layer.with_prefix(prefix));
        records.filter(|(key, _)| key.as_slice() >= from).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl Inner {
    pub fn batch_id(&self, key: &BatchKey) -> Option<u32> {
        read(&self.state).catalogue.names.get(key).copied()
    }

    /// The one batch, or all; by number and name, in the order of their names.
    pub fn chosen(&self, key: Option<&BatchKey>) -> Vec<(u32, BatchKey)> {
        let state = read(&self.state);
        let names = state.catalogue.names.iter().filter(|(name, _)| key.is_none_or(|key| key == *name));
        names.map(|(name, id)| (*id, name.clone())).collect()
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(value) = read(&self.state).overlay(key) {
            return Ok(value.cloned());
        }
        self.store.get(key)
    }

    /// Keys under a prefix, in order; at most so many.
    pub fn scan(&self, prefix: &Key, limit: Option<usize>) -> Result<Vec<Pair>, StoreError> {
        let mut pairs = Vec::new();
        let limit = limit.unwrap_or(usize::MAX);
        if limit > 0 {
            self.visit_paged(prefix, &[], limit.min(SCAN_KEYS), |key, value| {
                pairs.push((key.to_vec(), value.to_vec()));
                Ok(pairs.len() < limit)
            })?;
        }
        Ok(pairs)
    }

    /// Calls with each key under a prefix from a key on, in order, until told to stop.
    pub fn visit(
        &self,
        prefix: &Key,
        from: &[u8],
        call: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.visit_paged(prefix, from, SCAN_KEYS, call)
    }

    /// The same, with so many keys read at once.
    fn visit_paged(
        &self,
        prefix: &Key,
        from: &[u8],
        page: usize,
        mut call: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let prefix = prefix.clone().done();
        let mut from = from.max(prefix.as_slice()).to_vec();
        let mut overlay = read(&self.state).overlay_from(&prefix, &from).into_iter().peekable();
        loop {
            let below = self.store.scan(&prefix, &from, page)?;
            let more = below.len() == page;
            for (key, value) in below {
                while let Some((before, value)) = overlay.next_if(|(above, _)| *above < key) {
                    if let Some(value) = value
                        && !call(&before, &value)?
                    {
                        return Ok(());
                    }
                }
                let value = match overlay.next_if(|(above, _)| *above == key) {
                    Some((_, above)) => above,
                    None => Some(value),
                };
                if let Some(value) = value
                    && !call(&key, &value)?
                {
                    return Ok(());
                }
                from = after(&key);
            }
            if !more {
                break;
            }
        }
        for (key, value) in overlay {
            if let Some(value) = value
                && !call(&key, &value)?
            {
                break;
            }
        }
        Ok(())
    }

    /// The points of series within a span, in the order asked for.
    pub fn points<T: Kept + Decoded>(
        &self,
        key: &BatchKey,
        series: &[SeriesId],
        range: &Range<Millis>,
    ) -> Result<Vec<Points<T>>, StoreError> {
        self.points_as::<T, T>(key, series, range)
    }

    /// The same, as less than is kept of them.
    pub fn points_as<T: Kept, U: Decoded + From<T>>(
        &self,
        key: &BatchKey,
        series: &[SeriesId],
        range: &Range<Millis>,
    ) -> Result<Vec<Points<U>>, StoreError> {
        let state = read(&self.state);
        let Some((batch, known)) = state.catalogue.find(key) else {
            return Ok(vec![Points::default(); series.len()]);
        };
        let mut cleared = Millis::MIN;
        let layers: Vec<&Layer> = state.frozen.as_deref().into_iter().chain([&state.active]).collect();
        for layer in &layers {
            cleared = cleared.max(layer.cleared(batch).unwrap_or(Millis::MIN));
        }
        let column = |id: &SeriesId| {
            let mut points: Points<T> = Points::default();
            for layer in &layers {
                if let Some(cleared) = layer.cleared(batch) {
                    points.clear_before(cleared);
                }
                points.merge(layer.points::<T>(batch, id.0, range));
            }
            points.map(U::from)
        };
        let newer: Vec<Points<U>> = series.iter().map(column).collect();
        // Windows are looked up one by one, so that the span must not be longer than it need be.
        let spans = series.iter().filter_map(|id| T::span(&known.series(id.0)?.tail));
        let span = spans
            .fold(None, widened)
            .map(|(first, last)| range.start.max(first).max(cleared)..range.end.min(last.saturating_add(1)));
        let (windows, count) = (known.windows.clone(), known.series.len());
        drop(layers);
        drop(state);

        let Some(span) = span.filter(|span| !span.is_empty()) else { return Ok(newer) };
        let blocks = Blocks { store: &*self.store, key, batch, windows: &windows, series: count };
        let wanted = series.iter().map(|id| id.0).collect();
        let mut sealed = blocks.read::<U>(&wanted, &span)?;
        let twice = wanted.len() < series.len();
        let column = |(id, newer): (&SeriesId, Points<U>)| {
            let below = if twice { sealed.get(&id.0).cloned() } else { sealed.remove(&id.0) };
            let mut points = below.unwrap_or_default();
            points.merge(newer);
            points
        };
        Ok(series.iter().zip(newer).map(column).collect())
    }
}
