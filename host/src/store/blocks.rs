//! Points in an engine: which keys their blocks have, and how these are read and written.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::backend::Store;
use super::catalogue::STRIPE;
use super::chunk::{self, Decoded};
use super::keys::{Key, Space, after};
use super::points::Points;
use super::window::Windows;
use super::{SCAN_KEYS, StoreError};
use crate::config::BatchKey;
use crate::series::Millis;

/// Where stripes are read one by one instead of a window as a whole: below this part of them.
const FEW: usize = 4;

/// The blocks of a batch.
pub(super) struct Blocks<'a> {
    pub store: &'a dyn Store,
    pub key: &'a BatchKey,
    pub batch: u32,
    pub windows: &'a Windows,
    /// How many series the batch has.
    pub series: usize,
}

impl Blocks<'_> {
    pub fn prefix<T: Decoded>(&self) -> Key {
        Space::Block.batch(self.batch).byte(T::KIND)
    }

    /// The key of a block; `part` counts the blocks of a stripe in a window.
    pub fn part_key<T: Decoded>(&self, window: Millis, stripe: u32, part: usize) -> Vec<u8> {
        self.stripe::<T>(window, stripe).number(u32::try_from(part).unwrap_or(u32::MAX)).done()
    }

    fn stripe<T: Decoded>(&self, window: Millis, stripe: u32) -> Key {
        self.prefix::<T>().time(window).number(stripe)
    }

    /// The beginning of a window, out of the key of a block.
    pub fn window_of<T: Decoded>(&self, key: &[u8]) -> Option<Millis> {
        let time = key.strip_prefix(self.prefix::<T>().done().as_slice())?.first_chunk()?;
        Some((u64::from_be_bytes(*time) ^ (1 << 63)).cast_signed())
    }

    /// The number of a stripe, out of the key of a block.
    pub fn stripe_of<T: Decoded>(&self, key: &[u8]) -> Option<u32> {
        let (_, rest) = key.strip_prefix(self.prefix::<T>().done().as_slice())?.split_first_chunk::<8>()?;
        rest.first_chunk().copied().map(u32::from_be_bytes)
    }

    fn decode<T: Decoded>(
        &self,
        window: &Range<Millis>,
        key: &[u8],
        block: &[u8],
        wanted: impl Fn(u32) -> bool,
    ) -> Result<Vec<(u32, Points<T>)>, StoreError> {
        chunk::decode(block, wanted).map_err(|e| {
            let time = |time| chrono::DateTime::from_timestamp_millis(time).unwrap_or_default().to_rfc3339();
            let place = format!(
                "a block of the batch {} in the window {} to {} (key {})",
                self.key,
                time(window.start),
                time(window.end),
                key.escape_ascii()
            );
            StoreError::damaged(place, e)
        })
    }

    /// All points of a stripe in a window, and how many blocks that were.
    pub fn read_stripe<T: Decoded>(
        &self,
        window: &Range<Millis>,
        stripe: u32,
    ) -> Result<(BTreeMap<u32, Points<T>>, usize), StoreError> {
        let (mut columns, mut parts) = (BTreeMap::new(), 0);
        let prefix = self.stripe::<T>(window.start, stripe);
        self.visit(window, prefix, |_| true, |series, points| merge(&mut columns, series, points), &mut parts)?;
        Ok((columns, parts))
    }

    /// The points of series within a span. It must be bounded: each window in it is looked up.
    pub fn read<T: Decoded>(
        &self,
        wanted: &BTreeSet<u32>,
        range: &Range<Millis>,
    ) -> Result<BTreeMap<u32, Points<T>>, StoreError> {
        let mut columns = BTreeMap::new();
        let stripes: BTreeSet<u32> = wanted.iter().map(|series| series / STRIPE).collect();
        let few = stripes.len().saturating_mul(FEW) < self.series / STRIPE as usize;
        let mut window = self.windows.at(range.start);
        while window.start < range.end {
            let inside = range.start <= window.start && window.end <= range.end;
            let mut take = |series: u32, points: Points<T>| {
                let points = if inside { points } else { points.within(range) };
                merge(&mut columns, series, points);
            };
            let mut visit =
                |prefix| self.visit::<T>(&window, prefix, |series| wanted.contains(&series), &mut take, &mut 0);
            if few {
                stripes.iter().try_for_each(|stripe| visit(self.stripe::<T>(window.start, *stripe)))?;
            } else {
                visit(self.prefix::<T>().time(window.start))?;
            }
            if window.end == Millis::MAX {
                break;
            }
            window = self.windows.at(window.end);
        }
        Ok(columns)
    }

    fn visit<T: Decoded>(
        &self,
        window: &Range<Millis>,
        prefix: Key,
        wanted: impl Fn(u32) -> bool,
        mut take: impl FnMut(u32, Points<T>),
        parts: &mut usize,
    ) -> Result<(), StoreError> {
        let prefix = prefix.done();
        let mut from = prefix.clone();
        loop {
            let mut page = self.store.scan(&prefix, &from, SCAN_KEYS)?;
            let more = page.len() == SCAN_KEYS;
            if more && let Some(last) = page.last().map(|(key, _)| stripe_of(key).to_vec()) {
                // A sealing between two pages may cut a stripe otherwise: none is read across them.
                let whole = page.partition_point(|(key, _)| stripe_of(key) < last.as_slice());
                if whole > 0 {
                    page.truncate(whole);
                }
                from = if whole > 0 { last } else { page.last().map(|(key, _)| after(key)).unwrap_or_default() };
            }
            for (key, block) in &page {
                *parts += 1;
                for (series, points) in self.decode(window, key, block, &wanted)? {
                    take(series, points);
                }
            }
            if !more {
                return Ok(());
            }
        }
    }
}

/// The key of a block without its part.
fn stripe_of(key: &[u8]) -> &[u8] {
    key.get(..key.len().saturating_sub(4)).unwrap_or_default()
}

fn merge<T: Clone>(columns: &mut BTreeMap<u32, Points<T>>, series: u32, points: Points<T>) {
    if !points.is_empty() {
        columns.entry(series).or_default().merge(points);
    }
}
