//! The codec of blocks: the points of up to 16 series in one window.
//!
//! A block is a version, a head, one time column if the series share their instants (with
//! a bitmap for each that lacks some) or else one a series, the rows of each series, and
//! the CRC-32 of all that. Numbers go through `pco`, which finds steps, decimals and slow
//! change by itself. A block that would be longer than an engine likes is cut, between
//! series or else in time, into blocks that stand for themselves.
//!
//! What comes out is bit-equal to what went in, but for the sign of a zero and the payload
//! of a NaN in the edge of a band. Damage is found by the checksum; what passes it is still
//! read with care, and nothing here panics.

use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress};
use serde::{Deserialize, Serialize};

use super::points::{Points, Score, Terms};
use super::tally;
use crate::series::Millis;

/// The longest block, unless a single row is longer.
pub(super) const BLOCK_BYTES: usize = 6_900;
const VERSION: u8 = 1;
/// Half the time of the default level, for 1 % more bytes.
const LEVEL: usize = 4;
/// Series that differ in their instants share a time column still, if it is not longer than
/// the longest of theirs by more than this part.
const SHARED_SLACK: f64 = 0.25;

/// What is wrong with a block, or with what should become one.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChunkError {
    #[error("it is {0} bytes long, too short for a block")]
    Short(usize),
    #[error("its checksum is not that of its contents")]
    Checksum,
    #[error("its version {0} is not known")]
    Version(u8),
    #[error("its {0} cannot be read")]
    Contents(&'static str),
    #[error(transparent)]
    Pco(#[from] pco::errors::PcoError),
}

/// What can be read from the rows of a block.
pub(super) trait Decoded: Sized + Clone {
    /// How blocks of these are told apart in keys.
    const KIND: u8;
    fn decode(bytes: &[u8], count: usize) -> Result<Vec<Self>, ChunkError>;
}

/// Rows that can stand in a block.
pub(super) trait Coded: Decoded {
    fn encode(rows: &[Self]) -> Result<Vec<u8>, ChunkError>;
    /// Whether the row says something, and does not only hide one below it.
    fn counts(&self) -> bool {
        true
    }
    /// Whether rows of this kind are counted in tallies beside their blocks.
    const TALLIED: bool = false;
    /// What is kept of the columns of a stripe in a window, beside their blocks.
    fn tally(_columns: &[(u32, &Points<Self>)]) -> Option<Vec<u8>> {
        None
    }
}

/// A series on its way into a block.
struct Coding<'a, T> {
    series: u32,
    points: &'a Points<T>,
    rows: Vec<u8>,
    /// Its own instants, or which of the shared ones it has.
    times: Vec<u8>,
}

/// Packs series into as few blocks as their length allows.
pub(super) fn encode<T: Coded>(columns: &[(u32, &Points<T>)]) -> Result<Vec<Vec<u8>>, ChunkError> {
    let shared = shared_times(columns);
    let shared_bytes = shared.as_deref().map(compress).transpose()?;
    let mut blocks = Vec::new();
    let mut open: Vec<Coding<'_, T>> = Vec::new();
    let mut length = 0;
    for (series, points) in columns {
        let rows = T::encode(points.rows())?;
        let times = match &shared {
            Some(shared) => bitmap(shared, points.times()),
            None => compress(points.times())?,
        };
        let own = rows.len() + times.len() + 20;
        let common = shared_bytes.as_ref().map_or(0, Vec::len) + 20;
        if common + own > BLOCK_BYTES && points.len() > 1 {
            // Too long by itself: cut in time, and each half stands alone.
            let (early, late) = points.halves();
            blocks.extend(encode(&[(*series, &early)])?);
            blocks.extend(encode(&[(*series, &late)])?);
            continue;
        }
        if common + length + own > BLOCK_BYTES && !open.is_empty() {
            blocks.push(assemble(shared.as_deref(), shared_bytes.as_deref(), &open));
            open.clear();
            length = 0;
        }
        length += own;
        open.push(Coding { series: *series, points, rows, times });
    }
    if !open.is_empty() {
        blocks.push(assemble(shared.as_deref(), shared_bytes.as_deref(), &open));
    }
    Ok(blocks)
}

/// All instants of the series, if they have most of them in common.
fn shared_times<T: Clone>(columns: &[(u32, &Points<T>)]) -> Option<Vec<Millis>> {
    let longest = columns.iter().map(|(_, points)| points.times()).max_by_key(|times| times.len())?;
    if columns.iter().all(|(_, points)| points.times() == longest) {
        return Some(longest.to_vec());
    }
    let mut all: Vec<_> = columns.iter().flat_map(|(_, points)| points.times()).copied().collect();
    all.sort_unstable();
    all.dedup();
    (all.len() as f64 <= longest.len() as f64 * (1.0 + SHARED_SLACK)).then_some(all)
}

/// A bit for each shared instant; nothing if the series has them all.
fn bitmap(shared: &[Millis], times: &[Millis]) -> Vec<u8> {
    if shared.len() == times.len() {
        return Vec::new();
    }
    let mut times = times.iter().peekable();
    let mut has = shared.iter().map(|time| times.next_if(|own| *own == time).is_some());
    let mut bits = Vec::with_capacity(shared.len().div_ceil(8));
    while let Some(first) = has.next() {
        let rest = (1..8).zip(&mut has).fold(0, |byte, (bit, has)| byte | u8::from(has) << bit);
        bits.push(u8::from(first) | rest);
    }
    bits
}

fn assemble<T: Clone>(shared: Option<&[Millis]>, shared_bytes: Option<&[u8]>, columns: &[Coding<'_, T>]) -> Vec<u8> {
    let mut block = vec![VERSION, u8::from(shared.is_some())];
    if let (Some(times), Some(bytes)) = (shared, shared_bytes) {
        put_length(&mut block, times.len());
        put_bytes(&mut block, bytes);
    }
    put_length(&mut block, columns.len());
    for Coding { series, points, rows, times } in columns {
        put_number(&mut block, u64::from(*series));
        put_length(&mut block, points.len());
        put_bytes(&mut block, times);
        put_bytes(&mut block, rows);
    }
    let sum = crc32fast::hash(&block);
    block.extend_from_slice(&sum.to_le_bytes());
    block
}

/// The series of a block that are wanted.
pub(super) fn decode<T: Decoded>(
    block: &[u8],
    wanted: impl Fn(u32) -> bool,
) -> Result<Vec<(u32, Points<T>)>, ChunkError> {
    let (contents, sum) = block.split_last_chunk().ok_or(ChunkError::Short(block.len()))?;
    if crc32fast::hash(contents) != u32::from_le_bytes(*sum) {
        return Err(ChunkError::Checksum);
    }
    let mut rest = contents;
    match take(&mut rest, 1)? {
        [VERSION] => {}
        other => return Err(ChunkError::Version(other.first().copied().unwrap_or_default())),
    }
    let shared = match take(&mut rest, 1)? {
        [0] => None,
        _ => {
            let count = take_length(&mut rest)?;
            Some((take_bytes(&mut rest)?, count))
        }
    };
    // Most blocks of a stripe have nothing of the one series that is wanted.
    let mut read: Option<Vec<Millis>> = None;
    let mut columns = Vec::new();
    for _ in 0..take_length(&mut rest)? {
        let series = u32::try_from(take_number(&mut rest)?).map_err(|_| ChunkError::Contents("series number"))?;
        let count = take_length(&mut rest)?;
        let (times, rows) = (take_bytes(&mut rest)?, take_bytes(&mut rest)?);
        if !wanted(series) {
            continue;
        }
        let times = match shared {
            None => decompress(times, count, "time column")?,
            Some((bytes, length)) => {
                let all = match read.take() {
                    Some(all) => all,
                    None => decompress(bytes, length, "time column")?,
                };
                let own = if times.is_empty() { all.clone() } else { among(&all, times) };
                read = Some(all);
                own
            }
        };
        let points = Points::from_columns(times, T::decode(rows, count)?);
        columns.push((series, points.ok_or(ChunkError::Contents("columns"))?));
    }
    Ok(columns)
}

/// The instants that a bitmap has.
fn among(all: &[Millis], bitmap: &[u8]) -> Vec<Millis> {
    let bit = |index: usize| bitmap.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1);
    all.iter().enumerate().filter(|(index, _)| bit(*index)).map(|(_, time)| *time).collect()
}

fn compress<N: pco::data_types::Number>(numbers: &[N]) -> Result<Vec<u8>, ChunkError> {
    Ok(simple_compress(numbers, &ChunkConfig::default().with_compression_level(LEVEL))?)
}

fn decompress<N: pco::data_types::Number>(
    bytes: &[u8],
    count: usize,
    what: &'static str,
) -> Result<Vec<N>, ChunkError> {
    let numbers = simple_decompress(bytes)?;
    if numbers.len() == count { Ok(numbers) } else { Err(ChunkError::Contents(what)) }
}

impl Coded for f64 {
    fn encode(rows: &[Self]) -> Result<Vec<u8>, ChunkError> {
        compress(rows)
    }
}

impl Decoded for f64 {
    const KIND: u8 = 0;

    fn decode(bytes: &[u8], count: usize) -> Result<Vec<Self>, ChunkError> {
        decompress(bytes, count, "values")
    }
}

// How the bands of a series lie in a block.
/// No row has one.
const BAND_NONE: u8 = 0;
/// An exponent, and as whole multiples of that power of two the lower edges and the widths:
/// the edges were rounded so, and these change less than the edges do.
const BAND_STEPS: u8 = 1;
/// As they are.
const BAND_PLAIN: u8 = 2;

impl Coded for Score {
    const TALLIED: bool = true;

    fn tally(columns: &[(u32, &Points<Self>)]) -> Option<Vec<u8>> {
        tally::of_columns(columns)
    }

    fn encode(rows: &[Self]) -> Result<Vec<u8>, ChunkError> {
        let scores: Vec<u16> = rows.iter().map(|row| row.score).collect();
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, &compress(&scores)?);
        if rows.iter().all(|row| row.lower.is_nan() && row.upper.is_nan()) {
            bytes.push(BAND_NONE);
        } else if let Some((exponent, lower, width)) = in_steps(rows) {
            bytes.push(BAND_STEPS);
            bytes.extend_from_slice(&exponent.to_le_bytes());
            put_bytes(&mut bytes, &compress(&lower)?);
            put_bytes(&mut bytes, &compress(&width)?);
        } else {
            bytes.push(BAND_PLAIN);
            for edge in [|row: &Self| row.lower, |row: &Self| row.upper] {
                put_bytes(&mut bytes, &compress(&rows.iter().map(edge).collect::<Vec<f32>>())?);
            }
        }
        Ok(bytes)
    }
}

impl Decoded for Score {
    const KIND: u8 = 1;

    fn decode(bytes: &[u8], count: usize) -> Result<Vec<Self>, ChunkError> {
        let mut rest = bytes;
        let scores: Vec<u16> = decompress(take_bytes(&mut rest)?, count, "scores")?;
        let (lower, upper): (Vec<f32>, Vec<f32>) = match take(&mut rest, 1)? {
            [BAND_NONE] => (vec![f32::NAN; count], vec![f32::NAN; count]),
            [BAND_STEPS] => {
                let exponent = take(&mut rest, 2)?.first_chunk().copied().map(i16::from_le_bytes).unwrap_or_default();
                let lower: Vec<i64> = decompress(take_bytes(&mut rest)?, count, "bands")?;
                let width: Vec<i64> = decompress(take_bytes(&mut rest)?, count, "bands")?;
                let step = f64::from(exponent).exp2();
                let edge = |steps: i64| (steps as f64 * step) as f32;
                let upper = lower.iter().zip(&width).map(|(lower, width)| edge(lower.wrapping_add(*width))).collect();
                (lower.into_iter().map(edge).collect(), upper)
            }
            [BAND_PLAIN] => {
                let lower = decompress(take_bytes(&mut rest)?, count, "bands")?;
                (lower, decompress(take_bytes(&mut rest)?, count, "bands")?)
            }
            _ => return Err(ChunkError::Contents("bands")),
        };
        let edges = lower.into_iter().zip(upper);
        Ok(scores.into_iter().zip(edges).map(|(score, (lower, upper))| Self { score, lower, upper }).collect())
    }
}

/// A score without its band: it takes a third of the time to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bare(pub u16);

impl From<Score> for Bare {
    fn from(score: Score) -> Self {
        Self(score.score)
    }
}

impl Decoded for Bare {
    const KIND: u8 = Score::KIND;

    fn decode(bytes: &[u8], count: usize) -> Result<Vec<Self>, ChunkError> {
        let mut rest = bytes;
        let scores: Vec<u16> = decompress(take_bytes(&mut rest)?, count, "scores")?;
        Ok(scores.into_iter().map(Self).collect())
    }
}

/// The largest power of two of which all edges are whole multiples, and these; `None` if an
/// edge is not finite or the multiples would not be exact.
fn in_steps(rows: &[Score]) -> Option<(i16, Vec<i64>, Vec<i64>)> {
    const EXACT: f64 = (1_u64 << 53) as f64;
    let edges = || rows.iter().flat_map(|row| [row.lower, row.upper]);
    if !edges().all(f32::is_finite) {
        return None;
    }
    let exponent = edges().filter_map(lowest_bit).min().unwrap_or(0);
    let scale = f64::from(-exponent).exp2();
    if !scale.is_normal() || edges().any(|edge| (f64::from(edge) * scale).abs() >= EXACT) {
        return None;
    }
    let steps = |edge: f32| (f64::from(edge) * scale) as i64;
    let lower: Vec<_> = rows.iter().map(|row| steps(row.lower)).collect();
    let width = rows.iter().zip(&lower).map(|(row, lower)| steps(row.upper) - lower).collect();
    Some((exponent, lower, width))
}

/// The exponent of the lowest bit that is set in a number; none in zero.
fn lowest_bit(number: f32) -> Option<i16> {
    let bits = number.to_bits();
    let exponent = (bits >> 23 & 0xff) as i16;
    let mantissa = bits & 0x7f_ffff | if exponent > 0 { 0x80_0000 } else { 0 };
    (mantissa != 0).then(|| exponent.max(1) - 127 - 23 + mantissa.trailing_zeros() as i16)
}

/// Terms with each name once.
#[derive(Serialize, Deserialize)]
struct TermTable {
    names: Vec<String>,
    rows: Vec<Vec<(u32, f64)>>,
}

impl Coded for Terms {
    fn encode(rows: &[Self]) -> Result<Vec<u8>, ChunkError> {
        let mut table = TermTable { names: Vec::new(), rows: Vec::new() };
        for row in rows {
            let mut coded = Vec::with_capacity(row.len());
            for (name, value) in row {
                let index = table.names.iter().position(|known| known == name).unwrap_or_else(|| {
                    table.names.push(name.clone());
                    table.names.len() - 1
                });
                coded.push((u32::try_from(index).unwrap_or(u32::MAX), *value));
            }
            table.rows.push(coded);
        }
        rmp_serde::to_vec(&table).map_err(|_| ChunkError::Contents("terms"))
    }

    fn counts(&self) -> bool {
        !self.is_empty()
    }
}

impl Decoded for Terms {
    const KIND: u8 = 2;

    fn decode(bytes: &[u8], _count: usize) -> Result<Vec<Self>, ChunkError> {
        let damaged = || ChunkError::Contents("terms");
        let table: TermTable = rmp_serde::from_slice(bytes).map_err(|_| damaged())?;
        let name = |index: u32| table.names.get(usize::try_from(index).ok()?).cloned();
        let terms = |row: Vec<(u32, f64)>| row.into_iter().map(|(index, value)| Some((name(index)?, value))).collect();
        table.rows.into_iter().map(terms).collect::<Option<_>>().ok_or_else(damaged)
    }
}

// Lengths and numbers take seven bits a byte, the lowest first.

pub(super) fn put_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

pub(super) fn put_length(to: &mut Vec<u8>, length: usize) {
    put_number(to, length as u64);
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put_length(to, bytes.len());
    to.extend_from_slice(bytes);
}

pub(super) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], ChunkError> {
    let (taken, left) = rest.split_at_checked(length).ok_or(ChunkError::Contents("length"))?;
    *rest = left;
    Ok(taken)
}

pub(super) fn take_number(rest: &mut &[u8]) -> Result<u64, ChunkError> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?.first().copied().unwrap_or_default();
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(ChunkError::Contents("length"))
}

pub(super) fn take_length(rest: &mut &[u8]) -> Result<usize, ChunkError> {
    usize::try_from(take_number(rest)?).map_err(|_| ChunkError::Contents("length"))
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], ChunkError> {
    let length = take_length(rest)?;
    take(rest, length)
}
