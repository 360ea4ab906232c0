//! VUS-PR: the volume under the surface of precision and recall over buffer lengths.
//!
//! J. Paparrizos et al., "Volume Under the Surface: A New Accuracy Evaluation Measure for
//! Time-Series Anomaly Detection", PVLDB 15(11), 2022, as TSB-AD computes it
//! (`RangeAUC_volume_opt` with 250 thresholds): a labelled range has a buffer on both sides in
//! which a hit counts for the root of its nearness; each buffer length gives an average
//! precision, and the measure is their mean.
//!
//! The published code visits each point for each threshold and length. This one sorts the
//! points into thresholds once, and for each length visits the ranges and their buffers.

use super::runs;

/// Ranks of the scores that are taken as thresholds.
const THRESHOLDS: usize = 250;

/// VUS-PR of scores, with buffers of 0 to `window` rows, half on each side. `None` where the
/// lengths differ, and where nothing or everything is labelled.
pub fn vus_pr(labels: &[bool], scores: &[f64], window: usize) -> Option<f64> {
    let ranges = runs(labels);
    let positives: usize = ranges.iter().map(|(first, last)| last - first + 1).sum();
    if labels.len() != scores.len() || positives == 0 || positives == labels.len() {
        return None;
    }
    let cuts = Cuts::of(scores);
    let mut labelled = vec![0.0; cuts.predicted.len()];
    for (first, last) in &ranges {
        for rank in cuts.ranks.get(*first..=*last)? {
            *labelled.get_mut(*rank)? += 1.0;
        }
    }
    let labelled = accumulated(labelled);
    let mut buffer = Buffer { weight: vec![0.0; labels.len()], touched: Vec::new() };
    let mut sum = 0.0;
    for length in 0..=window {
        sum += average_precision(&cuts, labels, &ranges, &labelled, positives as f64, length, &mut buffer)?;
    }
    Some(sum / (window + 1) as f64)
}

/// The thresholds, from the highest down.
struct Cuts {
    /// Of each point: the first threshold at which it is predicted.
    ranks: Vec<usize>,
    /// Points that are predicted at each threshold.
    predicted: Vec<f64>,
}

impl Cuts {
    fn of(scores: &[f64]) -> Self {
        let mut sorted = scores.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let last = sorted.len() - 1;
        let stride = last as f64 / (THRESHOLDS - 1) as f64;
        let place = |k: usize| if k + 1 == THRESHOLDS { last } else { (k as f64 * stride) as usize };
        let thresholds: Vec<f64> = (0..THRESHOLDS).filter_map(|k| sorted.get(place(k)).copied()).collect();
        let predicted = thresholds.iter().map(|t| sorted.partition_point(|score| score >= t) as f64).collect();
        let ranks = scores.iter().map(|score| thresholds.partition_point(|t| t > score)).collect();
        Self { ranks, predicted }
    }
}

/// The weights of one buffer length, kept between lengths for their memory.
struct Buffer {
    weight: Vec<f64>,
    touched: Vec<usize>,
}

impl Buffer {
    fn add(&mut self, row: usize, distance: usize, length: usize) {
        let Some(weight) = self.weight.get_mut(row) else { return };
        if *weight == 0.0 {
            self.touched.push(row);
        }
        *weight += (1.0 - distance as f64 / length as f64).sqrt();
    }
}

fn accumulated(mut counts: Vec<f64>) -> Vec<f64> {
    let mut sum = 0.0;
    for count in &mut counts {
        sum += *count;
        *count = sum;
    }
    counts
}

fn average_precision(
    cuts: &Cuts,
    labels: &[bool],
    ranges: &[(usize, usize)],
    labelled: &[f64],
    positives: f64,
    length: usize,
    buffer: &mut Buffer,
) -> Option<f64> {
    let (half, rows) = (length / 2, labels.len());
    for (first, last) in ranges {
        (last + 1..(last + half + 1).min(rows)).for_each(|row| buffer.add(row, row - last, length));
        (first.saturating_sub(half)..*first).for_each(|row| buffer.add(row, first - row, length));
    }
    let mut near = vec![0.0; labelled.len()];
    for row in std::mem::take(&mut buffer.touched) {
        let weight = std::mem::take(buffer.weight.get_mut(row)?);
        // A labelled point counts for 1 already.
        if !*labels.get(row)? {
            *near.get_mut(*cuts.ranks.get(row)?)? += weight.min(1.0);
        }
    }
    let near = accumulated(near);
    // Ranges whose buffers meet are one, and are found by any point of them.
    let mut found = vec![0.0; labelled.len()];
    let wide = widened(ranges, half, rows);
    for (first, last) in &wide {
        let rank = cuts.ranks.get(*first..=*last)?.iter().min()?;
        *found.get_mut(*rank)? += 1.0;
    }
    let found = accumulated(found);
    let (mut area, mut before) = (0.0, 0.0);
    for (((near, labelled), found), predicted) in near.iter().zip(labelled).zip(&found).zip(&cuts.predicted) {
        let hits = near + labelled;
        let wanted = (positives + near + positives) / 2.0;
        let recall = (hits / wanted).min(1.0) * found / wide.len() as f64;
        area += (recall - before) * hits / predicted;
        before = recall;
    }
    Some(area)
}

fn widened(ranges: &[(usize, usize)], half: usize, rows: usize) -> Vec<(usize, usize)> {
    let mut wide: Vec<(usize, usize)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        let (from, to) = (first.saturating_sub(half), (last + half).min(rows - 1));
        match wide.last_mut() {
            Some((_, end)) if *end >= from => *end = to,
            _ => wide.push((from, to)),
        }
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_buffer_it_is_the_average_precision_with_the_range_found() {
        // Thresholds fall on every rank: the one labelled point is third.
        let labels = [false, false, true, false, false];
        let vus = vus_pr(&labels, &[0.5, 0.4, 0.3, 0.2, 0.1], 0).unwrap();
        assert!((vus - 1.0 / 3.0).abs() < 1e-12, "{vus}");
        assert_eq!(vus_pr(&labels, &[0.1, 0.2, 0.9, 0.3, 0.0], 0), Some(1.0));
    }

    #[test]
    fn a_neighbour_counts_by_its_nearness() {
        // Length 2: one row on each side, weight sqrt(1 - 1/2). Only the neighbour is above the rest:
        // hits w of 1 predicted, recall w / ((1 + w + 1) / 2); then all five points, the labelled one too.
        let labels = [false, false, true, false, false];
        let scores = [0.0, 1.0, 0.0, 0.0, 0.0];
        let w = 0.5_f64.sqrt();
        let first = w / ((2.0 + w) / 2.0);
        let all = (1.0 + 2.0 * w) / ((2.0 + 2.0 * w) / 2.0);
        let length_2 = first * w + (all.min(1.0) - first) * (1.0 + 2.0 * w) / 5.0;
        // Length 0 and 1: no buffer; everything is predicted when the labelled point is.
        let expected = (0.2 + 0.2 + length_2) / 3.0;
        assert!((vus_pr(&labels, &scores, 2).unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn nothing_or_everything_labelled_has_no_measure() {
        assert_eq!(vus_pr(&[false; 3], &[0.0; 3], 1), None);
        assert_eq!(vus_pr(&[true; 3], &[0.0; 3], 1), None);
        assert_eq!(vus_pr(&[true, false], &[0.0; 3], 1), None);
        assert_eq!(vus_pr(&[], &[], 1), None);
    }
}
