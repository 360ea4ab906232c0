//! The codec gives back what it was given, and finds damage.

use proptest::prelude::*;

use super::super::ScoreRow;
use super::super::chunk::{BLOCK_BYTES, Coded, Decoded as _, decode, encode};
use super::super::points::{Points, Score};

fn decoded<T: Coded>(blocks: &[Vec<u8>]) -> Vec<(u32, Points<T>)> {
    let mut columns: Vec<(u32, Points<T>)> = Vec::new();
    for (series, points) in blocks.iter().flat_map(|block| decode(block, |_| true).unwrap()) {
        match columns.last_mut() {
            Some((known, all)) if *known == series => all.merge(points),
            _ => columns.push((series, points)),
        }
    }
    columns
}

fn rounds<T: Coded + PartialEq + std::fmt::Debug>(columns: &[(u32, Points<T>)]) -> usize {
    let blocks = encode(&columns.iter().map(|(series, points)| (*series, points)).collect::<Vec<_>>()).unwrap();
    assert!(blocks.iter().all(|block| block.len() <= BLOCK_BYTES));
    assert_eq!(decoded::<T>(&blocks), columns);
    blocks.iter().map(Vec::len).sum()
}

#[test]
fn series_with_common_instants_share_them_and_gaps_cost_a_bit() {
    let noise = |i: i64| f64::from(crc32fast::hash(&i.to_le_bytes()) % 1000);
    let column = |skip: i64| Points::new((0..360).filter(|i| i % 100 != skip).map(|i| (i * 60_000, noise(i))));
    let whole: Vec<_> = (0..16).map(|series| (series, column(200))).collect();
    let gaps: Vec<_> = (0..16).map(|series| (series, column(i64::from(series)))).collect();
    let (whole, gaps) = (rounds(&whole), rounds(&gaps));
    assert!(gaps < whole + 16 * (360 / 8 + 2) + 300, "{gaps} bytes with gaps, {whole} without");
}

#[test]
fn long_series_are_cut_between_series_and_in_time() {
    let noise = |seed: u64| {
        let bits = (1..5_000_u64).map(move |i| (i * seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Points::new((0..).zip(bits.map(|bits| (bits >> 11) as f64)))
    };
    let columns: Vec<_> = (1..=3).map(|series| (series, noise(u64::from(series)))).collect();
    rounds(&columns);
}

#[test]
fn a_changed_byte_is_found() {
    let points = Points::new((0..50).map(|i| (i, i as f64)));
    let block = encode(&[(0, &points)]).unwrap().remove(0);
    for at in 0..block.len() {
        let mut changed = block.clone();
        changed[at] ^= 0x10;
        assert!(decode::<f64>(&changed, |_| true).is_err(), "byte {at}");
    }
    assert!(decode::<f64>(&block[..3], |_| true).is_err());
}

fn edge() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1e6..1e6_f64,
        1 => Just(f64::NAN),
        1 => Just(0.0),
        1 => Just(f64::INFINITY),
        1 => -1e300..1e300_f64,
        1 => -1e-300..1e-300_f64,
        1 => -1e-40..1e-40_f64,
    ]
}

proptest! {
    #[test]
    fn any_scores_come_back_as_they_are_kept(
        rows in proptest::collection::vec((0.0..1.0_f64, edge(), edge()), 1..200),
    ) {
        let row = |(score, lower, upper)| {
            Score::of(&ScoreRow { time: 0, score, lower, upper, terms: Vec::new() })
        };
        let kept: Vec<Score> = rows.into_iter().map(row).collect();
        let back = Score::decode(&Score::encode(&kept).unwrap(), kept.len()).unwrap();
        let bits = |rows: &[Score]| {
            rows.iter().map(|row| (row.score, row.lower.to_bits(), row.upper.to_bits())).collect::<Vec<_>>()
        };
        prop_assert_eq!(bits(&back), bits(&kept));
    }

    #[test]
    fn any_values_come_back_bit_for_bit(
        columns in proptest::collection::vec(proptest::collection::vec((any::<i64>(), any::<f64>()), 1..60), 1..17),
    ) {
        let columns: Vec<_> = (0..).zip(columns.into_iter().map(Points::new)).collect();
        let blocks = encode(&columns.iter().map(|(id, points)| (*id, points)).collect::<Vec<_>>()).unwrap();
        let bits = |columns: &[(u32, Points<f64>)]| {
            let rows = columns.iter().flat_map(|(id, points)| points.iter().map(|(t, v)| (*id, t, v.to_bits())));
            rows.collect::<Vec<_>>()
        };
        prop_assert_eq!(bits(&decoded(&blocks)), bits(&columns));
    }
}
