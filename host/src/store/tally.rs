//! How odd the points of a series were in a span, without reading them.
//!
//! A tally counts scores. One stands beside the blocks of each window and stripe, written with
//! them and from them, so that it is never ahead of what it counts nor behind. What a span
//! cuts, and windows of which memory has newer points, are counted from the points themselves:
//! a tally is always exact.

use std::collections::BTreeSet;
use std::ops::Range;

use super::chunk::{Bare, ChunkError, put_length, put_number, take, take_length, take_number};
use super::database::Database;
use super::entry::widened;
use super::keys::{Key, Space, after};
use super::layer::Layer;
use super::points::{Points, Score};
use super::record::SeriesId;
use super::window::Windows;
use super::{SCAN_KEYS, StoreError, read};
use crate::config::BatchKey;
use crate::series::Millis;

/// Steps of a score in 1.
const STEPS: u16 = 10_000;
/// From this score on bins are `FINE` wide; below it `COARSE`.
const FINE_FROM: u16 = 5_000;
const COARSE: u16 = 1_000;
const FINE: u16 = 100;
/// How many bins there are: the last one is of scores of 1.
const BINS: usize = (FINE_FROM / COARSE + (STEPS - FINE_FROM) / FINE + 1) as usize;
const VERSION: u8 = 1;

/// The scores of a series in a span, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Scored points.
    points: u64,
    /// Their scores together, in steps.
    sum: u64,
    /// The highest, in steps.
    max: u16,
    bins: [u32; BINS],
}

impl Default for Tally {
    fn default() -> Self {
        Self { points: 0, sum: 0, max: 0, bins: [0; BINS] }
    }
}

/// The bin of a score in steps.
fn bin(steps: u16) -> usize {
    let steps = steps.min(STEPS);
    usize::from(if steps < FINE_FROM { steps / COARSE } else { FINE_FROM / COARSE + (steps - FINE_FROM) / FINE })
}

impl Tally {
    /// Counts one more score, in steps.
    pub(super) fn count(&mut self, steps: u16) {
        self.points += 1;
        self.sum += u64::from(steps);
        self.max = self.max.max(steps);
        if let Some(bin) = self.bins.get_mut(bin(steps)) {
            *bin = bin.saturating_add(1);
        }
    }

    pub(super) fn of(scores: impl Iterator<Item = u16>) -> Self {
        let mut tally = Self::default();
        scores.for_each(|steps| tally.count(steps));
        tally
    }

    /// Adds what another span has.
    pub fn add(&mut self, other: &Self) {
        self.points += other.points;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            *bin = bin.saturating_add(*more);
        }
    }

    /// Scored points.
    pub fn points(&self) -> u64 {
        self.points
    }

    /// Points whose score is at least `threshold`, which is taken in steps of 0.01 from 0.5 on
    /// and of 0.1 below: one in between counts as the next step.
    pub fn over(&self, threshold: f64) -> u64 {
        // A part of a step is what a float has lost.
        let steps = (threshold.clamp(0.0, 1.0) * f64::from(STEPS) - 1e-6).ceil() as u16;
        let width = if steps < FINE_FROM { COARSE } else { FINE };
        let from = bin(steps.next_multiple_of(width));
        self.bins.iter().skip(from).map(|count| u64::from(*count)).sum()
    }

    /// The mean of the scores; 0 where there is none.
    pub fn mean(&self) -> f64 {
        self.sum as f64 / self.points.max(1) as f64 / f64::from(STEPS)
    }

    /// The highest score; 0 where there is none.
    pub fn max(&self) -> f64 {
        f64::from(self.max) / f64::from(STEPS)
    }
}

/// The tallies of a stripe in a window, as they are kept: each with its series.
pub(super) fn encode(tallies: &[(u32, Tally)]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    put_length(&mut bytes, tallies.len());
    for (series, Tally { points, sum, max, bins }) in tallies {
        let counted = || bins.iter().enumerate().filter(|(_, count)| **count > 0);
        let header = [u64::from(*series), *points, *sum, u64::from(*max)];
        header.into_iter().for_each(|number| put_number(&mut bytes, number));
        put_length(&mut bytes, counted().count());
        for (bin, count) in counted() {
            put_length(&mut bytes, bin);
            put_number(&mut bytes, u64::from(*count));
        }
    }
    bytes
}

/// Calls with each series of what [`encode`] made.
fn decode(bytes: &[u8], mut each: impl FnMut(u32, &Tally)) -> Result<(), ChunkError> {
    let mut rest = bytes;
    let damaged = |_| ChunkError::Contents("tallies");
    match take(&mut rest, 1)? {
        [VERSION] => {}
        other => return Err(ChunkError::Version(other.first().copied().unwrap_or_default())),
    }
    for _ in 0..take_length(&mut rest)? {
        let series = u32::try_from(take_number(&mut rest)?).map_err(damaged)?;
        let (points, sum) = (take_number(&mut rest)?, take_number(&mut rest)?);
        let max = u16::try_from(take_number(&mut rest)?).map_err(damaged)?;
        let mut tally = Tally { points, sum, max, ..Tally::default() };
        for _ in 0..take_length(&mut rest)? {
            let bin = take_length(&mut rest)?;
            let count = u32::try_from(take_number(&mut rest)?).map_err(damaged)?;
            *tally.bins.get_mut(bin).ok_or(ChunkError::Contents("tallies"))? = count;
        }
        each(series, &tally);
    }
    Ok(())
}

/// The key of the tallies of a stripe in a window.
pub(super) fn tally_key(batch: u32, window: Millis, stripe: u32) -> Vec<u8> {
    in_window(batch, window).number(stripe).done()
}

fn in_window(batch: u32, window: Millis) -> Key {
    Space::Tally.batch(batch).time(window)
}

/// What memory knows of a batch.
struct Fresh {
    batch: u32,
    windows: Windows,
    series: Vec<SeriesId>,
    span: Range<Millis>,
    /// Before this instant nothing shows of what is sealed.
    cleared: Millis,
    /// Windows that have points in memory, by their beginnings.
    touched: BTreeSet<Millis>,
}

impl Database {
    /// Calls with the tally of each series in each window of a half-open span, the oldest
    /// window first; those without a score are left out. A window is cut by the span.
    pub fn tallies(
        &self,
        key: &BatchKey,
        span: &Range<Millis>,
        mut each: impl FnMut(&Range<Millis>, SeriesId, &Tally),
    ) -> Result<(), StoreError> {
        let Some(fresh) = self.fresh(key, span) else { return Ok(()) };
        let mut time = fresh.span.start;
        while time < fresh.span.end {
            let window = fresh.windows.at(time);
            let part = window.start.max(fresh.span.start)..window.end.min(fresh.span.end);
            // What is before the first score of all, or after the last, cuts nothing.
            let whole = span.start <= window.start && window.end <= span.end && fresh.cleared <= window.start;
            if whole && !fresh.touched.contains(&window.start) {
                self.kept_tallies(key, fresh.batch, &window, &mut |series, tally| each(&part, series, tally))?;
            } else {
                let columns = self.inner.points_as::<Score, Bare>(key, &fresh.series, &part)?;
                for (series, points) in fresh.series.iter().zip(&columns).filter(|(_, points)| !points.is_empty()) {
                    each(&part, *series, &Tally::of(points.rows().iter().map(|score| score.0)));
                }
            }
            time = window.end;
        }
        Ok(())
    }

    fn fresh(&self, key: &BatchKey, span: &Range<Millis>) -> Option<Fresh> {
        let state = read(&self.inner.state);
        let (batch, known) = state.catalogue.find(key)?;
        let scored = known.series.iter().filter_map(|series| series.tail.scored).fold(None, widened);
        let (first, last) = scored?;
        let layers: Vec<&Layer> = state.frozen.as_deref().into_iter().chain([&state.active]).collect();
        let cleared = layers.iter().filter_map(|layer| layer.cleared(batch)).max().unwrap_or(Millis::MIN);
        let mut touched = BTreeSet::new();
        for points in layers.iter().filter_map(|layer| layer.points.get(&batch)).flat_map(|own| own.scores.values()) {
            let mut next = points.times().first().copied();
            while let Some(time) = next {
                let window = known.windows.at(time);
                touched.insert(window.start);
                next = points.times().get(points.times().partition_point(|time| *time < window.end)).copied();
            }
        }
        let span = span.start.max(first)..span.end.min(last.saturating_add(1));
        let series = (0..).zip(&known.series).map(|(id, _)| SeriesId(id)).collect();
        Some(Fresh { batch, windows: known.windows.clone(), series, span, cleared, touched })
    }

    fn kept_tallies(
        &self,
        key: &BatchKey,
        batch: u32,
        window: &Range<Millis>,
        each: &mut dyn FnMut(SeriesId, &Tally),
    ) -> Result<(), StoreError> {
        let prefix = in_window(batch, window.start).done();
        let mut from = prefix.clone();
        loop {
            let page = self.inner.store.scan(&prefix, &from, SCAN_KEYS)?;
            for (_, bytes) in &page {
                decode(bytes, |series, tally| each(SeriesId(series), tally))
                    .map_err(|e| StoreError::damaged(format!("the tallies of {key}"), e))?;
            }
            match page.last() {
                Some((last, _)) if page.len() == SCAN_KEYS => from = after(last),
                _ => return Ok(()),
            }
        }
    }
}

/// The tallies of a stripe's points in a window.
pub(super) fn of_columns(columns: &[(u32, &Points<Score>)]) -> Option<Vec<u8>> {
    let tally = |points: &Points<Score>| Tally::of(points.rows().iter().map(|row| row.score));
    let tallies: Vec<_> = columns.iter().map(|(series, points)| (*series, tally(points))).collect();
    (!tallies.is_empty()).then(|| encode(&tallies))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(scores: &[f64]) -> Tally {
        let mut tally = Tally::default();
        scores.iter().for_each(|score| tally.count((score * 1e4).round() as u16));
        tally
    }

    #[test]
    fn points_over_a_threshold_are_counted_exactly_at_its_steps() {
        let tally = tally(&[0.0, 0.099, 0.1, 0.5, 0.69, 0.7, 0.7999, 0.8, 0.81, 1.0]);
        let over = |threshold| tally.over(threshold);
        assert_eq!([0.0, 0.1, 0.5, 0.7, 0.8, 0.81, 1.0].map(over), [10, 8, 7, 5, 3, 2, 1]);
        assert_eq!((over(0.805), over(0.05)), (2, 8), "between two steps the next one counts");
        assert_eq!((tally.points(), tally.max()), (10, 1.0));
        assert!((tally.mean() - 0.549_89).abs() < 1e-9);
    }

    #[test]
    fn what_is_kept_is_read_again_and_damage_is_told() {
        let kept = [(7, tally(&[0.2, 0.93])), (9, tally(&[1.0; 300]))];
        let bytes = encode(&kept);
        let mut found = Vec::new();
        decode(&bytes, |series, tally| found.push((series, tally.clone()))).unwrap();
        assert_eq!(found, kept);
        for cut in 0..bytes.len() {
            assert!(decode(&bytes[..cut], |_, _| ()).is_err(), "cut at {cut}");
        }
    }
}
