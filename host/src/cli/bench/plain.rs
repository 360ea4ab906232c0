//! The least that could keep points: a file to which each tick's are appended, then synced.
//! No checksum, no index, no compression, no series: a floor, not an alternative.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use crate::store::bench::Size;

/// What was measured, in points a second.
pub(super) struct Plain {
    /// Appended and synced, a tick at a time.
    pub append: f64,
    /// Read as a whole into columns of numbers.
    pub scan: f64,
}

/// Writes as many points as a store gets, `numbers` of 8 bytes each, with a sync after each
/// of these parts of a point: `[2]` is an instant and a value, `[2, 3]` a score and its band
/// in a second write, as the store gets them.
pub(super) fn measure(file: &Path, size: Size, parts: &[usize]) -> io::Result<Plain> {
    let points = (size.series * size.ticks) as f64;
    let mut out = File::create(file)?;
    let mut spent = 0.0;
    let mut buffer = Vec::new();
    for tick in 0..size.ticks {
        for numbers in parts {
            buffer.clear();
            for cell in 0..size.series * numbers {
                // Digits that no file system can squeeze.
                buffer.extend(((tick * 7_919 + cell) as f64).sqrt().to_le_bytes());
            }
            let begun = Instant::now();
            out.write_all(&buffer)?;
            out.sync_data()?;
            spent += begun.elapsed().as_secs_f64();
        }
    }
    drop(out);

    let begun = Instant::now();
    let bytes = std::fs::read(file)?;
    let numbers: Vec<f64> = bytes.as_chunks::<8>().0.iter().map(|number| f64::from_le_bytes(*number)).collect();
    let sum: f64 = numbers.iter().sum();
    std::hint::black_box(sum);
    Ok(Plain { append: points / spent, scan: points / begun.elapsed().as_secs_f64() })
}
