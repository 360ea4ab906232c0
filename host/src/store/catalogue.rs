//! Which batches and series there are: all of it in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::backend::Store;
use super::entry::{BatchEntry, SeriesEntry, TailEntry, decode};
use super::keys::{Space, after, last_number};
use super::record::{SeriesId, SeriesRecord};
use super::window::Windows;
use super::{SCAN_KEYS, StoreError};
use crate::config::BatchKey;
use crate::series::Labels;

/// Series that share a block of points, and a record of their tails.
pub(super) const STRIPE: u32 = 16;

/// All batches with their series.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    pub names: BTreeMap<BatchKey, u32>,
    pub batches: HashMap<u32, BatchState>,
    /// The number of the next batch; numbers are never used again.
    pub next: u32,
}

/// A batch with its series.
#[derive(Debug)]
pub(super) struct BatchState {
    pub key: BatchKey,
    pub windows: Windows,
    /// By number, without gaps.
    pub series: Vec<SeriesState>,
    pub index: HashMap<Arc<Labels>, u32>,
}

/// A series.
#[derive(Debug)]
pub(super) struct SeriesState {
    pub labels: Arc<Labels>,
    pub name: String,
    pub kind: crate::series::Kind,
    pub tail: TailEntry,
}

impl Catalogue {
    /// Reads what an engine has. Of batches with one name, the last has it; that there are two
    /// tells of a sealing that was cut short, and the replay of the log ends the first.
    pub fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut catalogue = Self::default();
        for_each(store, &Space::Batch.key().done(), |_, value| {
            let entry: BatchEntry = decode("the list of batches", value)?;
            catalogue.add(entry.id, &entry.key).windows = entry.windows;
            Ok(())
        })?;
        for (id, batch) in &mut catalogue.batches {
            let place = format!("the list of series of {}", batch.key);
            for_each(store, &Space::Series.batch(*id).done(), |_, value| batch.set(decode(&place, value)?, &place))?;
            for_each(store, &Space::Tail.batch(*id).done(), |key, value| {
                let first = last_number(key).unwrap_or_default().saturating_mul(STRIPE);
                for (series, tail) in (first..).zip(decode::<Vec<TailEntry>>(&place, value)?) {
                    if let Some(state) = batch.series_mut(series) {
                        state.tail = tail;
                    }
                }
                Ok(())
            })?;
        }
        Ok(catalogue)
    }

    /// Enters a batch, unless it is there, and gives it its name.
    pub fn add(&mut self, id: u32, key: &BatchKey) -> &mut BatchState {
        self.next = self.next.max(id.saturating_add(1));
        self.names.insert(key.clone(), id);
        self.batches.entry(id).or_insert_with(|| BatchState {
            key: key.clone(),
            windows: Windows::default(),
            series: Vec::new(),
            index: HashMap::new(),
        })
    }

    /// Forgets a batch, and its name if no later one has it.
    pub fn remove(&mut self, id: u32, key: &BatchKey) {
        self.batches.remove(&id);
        if self.names.get(key) == Some(&id) {
            self.names.remove(key);
        }
    }

    /// A batch by its name, with its number.
    pub fn find(&self, key: &BatchKey) -> Option<(u32, &BatchState)> {
        let id = *self.names.get(key)?;
        Some((id, self.batches.get(&id)?))
    }

    /// The batches of a tenant with their numbers, by name; what is the tenant's own is among
    /// them.
    pub fn of_tenant<'a>(&'a self, tenant: &'a str) -> impl Iterator<Item = (&'a BatchKey, u32)> + 'a {
        let from = BatchKey { tenant: tenant.to_owned(), batch: String::new() };
        self.names.range(from..).take_while(move |(key, _)| key.tenant == tenant).map(|(key, id)| (key, *id))
    }

    /// How many series the batches of a tenant have.
    pub fn series_of_tenant(&self, tenant: &str) -> usize {
        self.of_tenant(tenant).filter_map(|(_, id)| self.batches.get(&id)).map(|batch| batch.series.len()).sum()
    }
}

impl BatchState {
    /// Enters a series, or changes its name and kind. Series come in the order of their numbers.
    pub fn set(&mut self, entry: SeriesEntry, place: &str) -> Result<(), StoreError> {
        let next = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        if entry.id > next {
            return Err(StoreError::damaged(place, format!("series {next} is missing")));
        }
        if let Some(state) = self.series_mut(entry.id) {
            state.name = entry.name;
            state.kind = entry.kind;
            return Ok(());
        }
        let labels = Arc::new(entry.labels);
        self.index.insert(labels.clone(), entry.id);
        self.series.push(SeriesState { labels, name: entry.name, kind: entry.kind, tail: TailEntry::default() });
        Ok(())
    }

    pub fn series(&self, id: u32) -> Option<&SeriesState> {
        self.series.get(usize::try_from(id).ok()?)
    }

    pub fn series_mut(&mut self, id: u32) -> Option<&mut SeriesState> {
        self.series.get_mut(usize::try_from(id).ok()?)
    }

    /// All series, by number.
    pub fn records(&self) -> Vec<SeriesRecord> {
        self.records_where(|_, _| true)
    }

    /// The series of whose name and labels this is true, by number.
    pub fn records_where(&self, test: impl Fn(&str, &Labels) -> bool) -> Vec<SeriesRecord> {
        let record = |(id, state): (u32, &SeriesState)| SeriesRecord {
            id: SeriesId(id),
            labels: Labels::clone(&state.labels),
            name: state.name.clone(),
            kind: state.kind,
            span: state.tail.span,
            scored: state.tail.scored.map(|(_, last)| last),
        };
        let wanted = |(_, state): &(u32, &SeriesState)| test(&state.name, &state.labels);
        (0..).zip(&self.series).filter(wanted).map(record).collect()
    }

    /// The tails of a stripe, for its record.
    pub fn tails(&self, stripe: u32) -> Vec<TailEntry> {
        let first = stripe.saturating_mul(STRIPE);
        (first..first.saturating_add(STRIPE)).map_while(|id| Some(self.series(id)?.tail.clone())).collect()
    }
}

/// Calls with each key under a prefix, in order.
pub(super) fn for_each(
    store: &dyn Store,
    prefix: &[u8],
    mut call: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut from = prefix.to_vec();
    loop {
        let pairs = store.scan(prefix, &from, SCAN_KEYS)?;
        let Some((last, _)) = pairs.last() else { return Ok(()) };
        from = after(last);
        let more = pairs.len() == SCAN_KEYS;
        for (key, value) in &pairs {
            call(key, value)?;
        }
        if !more {
            return Ok(());
        }
    }
}
