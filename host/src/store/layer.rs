//! What has been committed since the last sealing, in memory.
//!
//! A layer lies over the engine's values and hides what it replaces. There are two at most:
//! the active one takes commits, the frozen one is being sealed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{Bound, Range};

use super::entry::TailEntry;
use super::points::{Points, Score, Terms};
use crate::series::Millis;

/// What has been committed since a sealing.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// Records by key; `None` hides one that lies below.
    pub records: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Points by batch.
    pub points: HashMap<u32, BatchPoints>,
    /// Batches that have ended: all of theirs that lies below is hidden.
    pub dropped: BTreeSet<u32>,
    /// How many rows the points have.
    pub rows: usize,
    /// How many bytes the commits had in the log.
    pub bytes: usize,
}

/// The points of a batch.
#[derive(Debug, Default)]
pub(super) struct BatchPoints {
    /// Hides what lies below from before this instant.
    pub cleared: Option<Millis>,
    pub values: BTreeMap<u32, Points<f64>>,
    pub scores: BTreeMap<u32, Points<Score>>,
    pub terms: BTreeMap<u32, Points<Terms>>,
    /// Series whose tail changed without a point.
    pub tails: BTreeSet<u32>,
}

impl BatchPoints {
    /// How many points there are, of all kinds.
    pub fn rows(&self) -> usize {
        fn of<T: Clone>(columns: &BTreeMap<u32, Points<T>>) -> usize {
            columns.values().map(Points::len).sum()
        }
        of(&self.values) + of(&self.scores) + of(&self.terms)
    }
}

/// Points of a kind: where they lie in a layer, and how they are told apart in keys.
pub(super) trait Kept: Sized + Clone {
    fn of(points: &BatchPoints) -> &BTreeMap<u32, Points<Self>>;
    /// In which span a series has such points.
    fn span(tail: &TailEntry) -> Option<(Millis, Millis)>;
}

impl Kept for f64 {
    fn of(points: &BatchPoints) -> &BTreeMap<u32, Points<Self>> {
        &points.values
    }

    fn span(tail: &TailEntry) -> Option<(Millis, Millis)> {
        tail.span
    }
}

impl Kept for Score {
    fn of(points: &BatchPoints) -> &BTreeMap<u32, Points<Self>> {
        &points.scores
    }

    fn span(tail: &TailEntry) -> Option<(Millis, Millis)> {
        tail.scored
    }
}

impl Kept for Terms {
    fn of(points: &BatchPoints) -> &BTreeMap<u32, Points<Self>> {
        &points.terms
    }

    fn span(tail: &TailEntry) -> Option<(Millis, Millis)> {
        tail.scored
    }
}

impl Layer {
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.records.insert(key, Some(value));
    }

    pub fn delete(&mut self, key: Vec<u8>) {
        self.records.insert(key, None);
    }

    /// Lays points over what there is.
    pub fn add(
        &mut self,
        batch: u32,
        values: Vec<(u32, Points<f64>)>,
        scores: Vec<(u32, Points<Score>)>,
        terms: Vec<(u32, Points<Terms>)>,
    ) {
        let points = self.points.entry(batch).or_default();
        self.rows += merge(&mut points.values, values);
        self.rows += merge(&mut points.scores, scores);
        self.rows += merge(&mut points.terms, terms);
    }

    /// Hides everything of a batch from before an instant.
    pub fn clear(&mut self, batch: u32, before: Millis) {
        let points = self.points.entry(batch).or_default();
        points.cleared = points.cleared.max(Some(before));
        clear_before(&mut points.values, before);
        clear_before(&mut points.scores, before);
        clear_before(&mut points.terms, before);
    }

    /// The records whose keys begin with `prefix`.
    pub fn with_prefix<'a>(
        &'a self,
        prefix: &'a [u8],
    ) -> impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)> + 'a {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        self.records.range::<[u8], _>(from).take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// From which instant on the points that lie below show; `None` if they all do.
    pub fn cleared(&self, batch: u32) -> Option<Millis> {
        self.points.get(&batch)?.cleared
    }

    /// The points of a series within a span.
    pub fn points<T: Kept>(&self, batch: u32, series: u32, range: &Range<Millis>) -> Points<T> {
        let points = self.points.get(&batch).and_then(|points| T::of(points).get(&series));
        points.map(|points| points.within(range)).unwrap_or_default()
    }
}

fn merge<T: Clone>(into: &mut BTreeMap<u32, Points<T>>, newer: Vec<(u32, Points<T>)>) -> usize {
    let mut rows = 0;
    for (series, points) in newer {
        rows += points.len();
        into.entry(series).or_default().merge(points);
    }
    rows
}

fn clear_before<T: Clone>(columns: &mut BTreeMap<u32, Points<T>>, before: Millis) {
    for points in columns.values_mut() {
        points.clear_before(before);
    }
    columns.retain(|_, points| !points.is_empty());
}
