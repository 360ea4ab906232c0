//! Rows of one series in time, as the store holds them in memory and packs them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::record::ScoreRow;
use crate::series::Millis;

/// Rows of one series, strictly ascending in time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Points<T> {
    times: Vec<Millis>,
    rows: Vec<T>,
}

impl<T> Default for Points<T> {
    fn default() -> Self {
        Self { times: Vec::new(), rows: Vec::new() }
    }
}

impl<T: Clone> Points<T> {
    /// Puts rows in order; of two at one instant the later in the list stands.
    pub fn new(rows: impl IntoIterator<Item = (Millis, T)>) -> Self {
        let mut rows: Vec<_> = rows.into_iter().collect();
        if !rows.is_sorted_by(|a, b| a.0 < b.0) {
            // Stable, so that the last of equals is the last that was given.
            rows.sort_by_key(|row| row.0);
            rows.reverse();
            rows.dedup_by_key(|row| row.0);
            rows.reverse();
        }
        let (times, rows) = rows.into_iter().unzip();
        Self { times, rows }
    }

    /// Columns that are known to ascend and to be of one length.
    pub fn from_columns(times: Vec<Millis>, rows: Vec<T>) -> Option<Self> {
        (times.len() == rows.len() && times.is_sorted_by(|a, b| a < b)).then_some(Self { times, rows })
    }

    pub fn len(&self) -> usize {
        self.times.len()
    }

    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    pub fn times(&self) -> &[Millis] {
        &self.times
    }

    pub fn rows(&self) -> &[T] {
        &self.rows
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Millis, &T)> {
        self.times.iter().copied().zip(&self.rows)
    }

    pub fn into_columns(self) -> (Vec<Millis>, Vec<T>) {
        (self.times, self.rows)
    }

    /// First and last instant.
    pub fn span(&self) -> Option<(Millis, Millis)> {
        Some((*self.times.first()?, *self.times.last()?))
    }

    pub fn last(&self) -> Option<(Millis, &T)> {
        Some((*self.times.last()?, self.rows.last()?))
    }

    fn positions(&self, range: &Range<Millis>) -> Range<usize> {
        let from = self.times.partition_point(|time| *time < range.start);
        let to = self.times.partition_point(|time| *time < range.end);
        from..to.max(from)
    }

    /// The rows of a half-open span.
    pub fn within(&self, range: &Range<Millis>) -> Self {
        let at = self.positions(range);
        Self {
            times: self.times.get(at.clone()).unwrap_or_default().to_vec(),
            rows: self.rows.get(at).unwrap_or_default().to_vec(),
        }
    }

    /// Each row as another.
    pub fn map<U>(self, make: impl FnMut(T) -> U) -> Points<U> {
        Points { times: self.times, rows: self.rows.into_iter().map(make).collect() }
    }

    /// Forgets what is before an instant.
    pub fn clear_before(&mut self, before: Millis) {
        let upto = self.times.partition_point(|time| *time < before);
        self.times.drain(..upto);
        self.rows.drain(..upto);
    }

    /// The earlier and the later half.
    pub fn halves(&self) -> (Self, Self) {
        let half = |range: Range<usize>| Self {
            times: self.times.get(range.clone()).unwrap_or_default().to_vec(),
            rows: self.rows.get(range).unwrap_or_default().to_vec(),
        };
        let middle = self.len() / 2;
        (half(0..middle), half(middle..self.len()))
    }

    /// Keeps rows of which this is true.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let kept: Vec<_> = std::mem::take(&mut self.times)
            .into_iter()
            .zip(std::mem::take(&mut self.rows))
            .filter(|(_, row)| keep(row))
            .collect();
        (self.times, self.rows) = kept.into_iter().unzip();
    }

    /// Lays newer rows over these: at the same instant the newer one stands.
    pub fn merge(&mut self, newer: Self) {
        let Some(first) = newer.times.first() else { return };
        if self.is_empty() {
            *self = newer;
            return;
        }
        if self.times.last().is_some_and(|last| last < first) {
            self.times.extend(newer.times);
            self.rows.extend(newer.rows);
            return;
        }
        let untouched = self.times.partition_point(|time| time < first);
        let mut times = self.times.split_off(untouched).into_iter().peekable();
        let mut rows = self.rows.split_off(untouched).into_iter();
        for (time, row) in newer.times.into_iter().zip(newer.rows) {
            while let Some(older) = times.next_if(|older| *older <= time)
                && let Some(row) = rows.next()
            {
                if older < time {
                    self.times.push(older);
                    self.rows.push(row);
                }
            }
            self.times.push(time);
            self.rows.push(row);
        }
        self.times.extend(times);
        self.rows.extend(rows);
    }
}

impl Points<f64> {
    /// Columns of samples, without those that are NaN.
    pub fn of_values(times: Vec<Millis>, values: Vec<f64>) -> Self {
        if times.is_sorted_by(|a, b| a < b) && !values.iter().any(|value| value.is_nan()) {
            return Self { times, rows: values };
        }
        Self::new(times.into_iter().zip(values).filter(|(_, value)| !value.is_nan()))
    }
}

/// A score as it is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Score {
    /// In steps of 1/10 000, from 0 to 10 000.
    pub score: u16,
    pub lower: f32,
    pub upper: f32,
}

/// The parts of a score. No terms stand for a score that was replaced by one without.
pub(super) type Terms = Vec<(String, f64)>;

impl Score {
    const STEPS: f64 = 10_000.0;
    /// Steps into which the width of a band is divided, at least.
    const BAND_STEPS: f64 = 256.0;

    /// What is kept of a row that has a score.
    ///
    /// The edges are rounded to the largest power of two that is at most 1/256 of the band's
    /// width: nobody sees the difference in a chart, and it halves what they take on disk.
    pub fn of(row: &ScoreRow) -> Self {
        let score = (row.score.clamp(0.0, 1.0) * Self::STEPS).round() as u16;
        let width = row.upper - row.lower;
        let step = (width / Self::BAND_STEPS).log2().floor().exp2();
        let edge = |edge: f64| {
            let rounded = (edge / step).round() * step;
            let edge = (if step.is_normal() && rounded.is_finite() { rounded } else { edge }) as f32;
            // One zero and one NaN, so that a row reads the same from memory and from disk.
            if edge.is_nan() { f32::NAN } else { edge + 0.0 }
        };
        Self { score, lower: edge(row.lower), upper: edge(row.upper) }
    }

    /// From 0 to 1.
    pub fn level(&self) -> f64 {
        f64::from(self.score) / Self::STEPS
    }

    /// The row, without its terms.
    pub fn row(&self, time: Millis) -> ScoreRow {
        ScoreRow {
            time,
            score: self.level(),
            lower: f64::from(self.lower),
            upper: f64::from(self.upper),
            terms: Vec::new(),
        }
    }
}

/// Points of many series as one value of the log. Equal time columns are kept once.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Packed {
    times: Vec<serde_bytes::ByteBuf>,
    columns: Vec<(u32, u32, serde_bytes::ByteBuf)>,
}

/// What a point may hold.
pub(super) trait Row: Clone {
    /// Appends rows to bytes.
    fn pack(rows: &[Self], to: &mut Vec<u8>);
    /// Reads what `pack` wrote; `None` if that is not what it is.
    fn unpack(bytes: &[u8]) -> Option<Vec<Self>>;
}

impl Row for f64 {
    fn pack(rows: &[Self], to: &mut Vec<u8>) {
        rows.iter().for_each(|row| to.extend_from_slice(&row.to_le_bytes()));
    }

    fn unpack(bytes: &[u8]) -> Option<Vec<Self>> {
        let (rows, []) = bytes.as_chunks() else { return None };
        Some(rows.iter().copied().map(Self::from_le_bytes).collect())
    }
}

impl Row for Score {
    fn pack(rows: &[Self], to: &mut Vec<u8>) {
        for row in rows {
            to.extend_from_slice(&row.score.to_le_bytes());
            to.extend_from_slice(&row.lower.to_le_bytes());
            to.extend_from_slice(&row.upper.to_le_bytes());
        }
    }

    fn unpack(bytes: &[u8]) -> Option<Vec<Self>> {
        let (rows, []) = bytes.as_chunks() else { return None };
        let row = |[a, b, l0, l1, l2, l3, u0, u1, u2, u3]: [u8; 10]| Self {
            score: u16::from_le_bytes([a, b]),
            lower: f32::from_le_bytes([l0, l1, l2, l3]),
            upper: f32::from_le_bytes([u0, u1, u2, u3]),
        };
        Some(rows.iter().copied().map(row).collect())
    }
}

impl Row for Terms {
    fn pack(rows: &[Self], to: &mut Vec<u8>) {
        // Writing to memory does not fail.
        let _ = rmp_serde::encode::write(to, rows);
    }

    fn unpack(bytes: &[u8]) -> Option<Vec<Self>> {
        rmp_serde::from_slice(bytes).ok()
    }
}

impl Packed {
    pub fn pack<'a, T: Row + 'a>(columns: impl IntoIterator<Item = (u32, &'a Points<T>)>) -> Self {
        let mut packed = Self::default();
        let mut known: std::collections::HashMap<&[Millis], u32> = std::collections::HashMap::new();
        for (series, points) in columns {
            let times = match known.get(points.times()) {
                Some(index) => *index,
                None => {
                    let bytes: Vec<u8> = points.times().iter().flat_map(|time| time.to_le_bytes()).collect();
                    let index = u32::try_from(packed.times.len()).unwrap_or(u32::MAX);
                    packed.times.push(bytes.into());
                    known.insert(points.times(), index);
                    index
                }
            };
            let mut rows = Vec::new();
            T::pack(points.rows(), &mut rows);
            packed.columns.push((series, times, rows.into()));
        }
        packed
    }

    pub fn unpack<T: Row>(&self) -> Option<Vec<(u32, Points<T>)>> {
        let times = |bytes: &serde_bytes::ByteBuf| -> Option<Vec<Millis>> {
            let (times, []) = bytes.as_chunks() else { return None };
            Some(times.iter().copied().map(Millis::from_le_bytes).collect())
        };
        let times: Vec<_> = self.times.iter().map(times).collect::<Option<_>>()?;
        let column = |(series, index, rows): &(u32, u32, serde_bytes::ByteBuf)| {
            let times = times.get(usize::try_from(*index).ok()?)?.clone();
            Some((*series, Points::from_columns(times, T::unpack(rows)?)?))
        };
        self.columns.iter().map(column).collect()
    }
}
