//! k-means of windows.
//!
//! S. Lloyd: Least squares quantization in PCM, 1982. The centres begin as windows evenly spread
//! over the history, so that the same history gives the same centres; a window here and there is
//! an anomaly, and is soon outvoted. linfa's k-means is not used: it draws its start from a
//! generator, and works on `f64` rows that would be four copies of the history.

use crate::prototype::Prototypes;

/// Rounds at most.
const ROUNDS: usize = 15;

/// `count` centres of the windows, fewer where there are fewer windows. A centre that no window
/// is nearest to stays where it was.
pub fn centres(length: usize, windows: &Prototypes, count: usize) -> Prototypes {
    let count = count.clamp(1, windows.len().max(1));
    let first = (0..count).map(|i| (2 * i + 1) * windows.len() / (2 * count));
    let rows = first.flat_map(|i| windows.row(i)).copied().collect();
    let mut centres = Prototypes::new(length, rows);
    let mut belongs = vec![usize::MAX; windows.len()];
    for _ in 0..ROUNDS {
        let mut moved = false;
        for (index, centre) in belongs.iter_mut().enumerate() {
            let hint = if *centre == usize::MAX { 0 } else { *centre };
            if let Some((nearest, _)) = centres.nearest(windows.row(index), hint, |_| true) {
                moved |= *centre != nearest;
                *centre = nearest;
            }
        }
        if !moved {
            break;
        }
        centres = means(length, windows, &belongs, &centres);
    }
    centres
}

fn means(length: usize, windows: &Prototypes, belongs: &[usize], before: &Prototypes) -> Prototypes {
    let mut rows = before.rows().to_vec();
    let width = rows.len() / before.len();
    for (centre, row) in rows.chunks_exact_mut(width).enumerate() {
        let mut sums = vec![0.0f64; width];
        let mut size = 0u32;
        for (index, _) in belongs.iter().enumerate().filter(|(_, belongs)| **belongs == centre) {
            sums.iter_mut().zip(windows.row(index)).for_each(|(sum, v)| *sum += f64::from(*v));
            size += 1;
        }
        if size > 0 {
            row.iter_mut().zip(&sums).for_each(|(v, sum)| *v = (sum / f64::from(size)) as f32);
        }
    }
    Prototypes::new(length, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prototype::padded;
    use crate::tests::noise;

    #[test]
    fn two_shapes_have_a_centre_each_which_is_their_mean() {
        let window = |i: usize| {
            let level = if i.is_multiple_of(3) { 5.0 } else { -2.0 };
            let mut row: Vec<f32> = (0..8).map(|j| level + 0.1 * noise(8 * i + j) as f32).collect();
            row.resize(padded(8), 0.0);
            row
        };
        let windows = Prototypes::new(8, (0..90).flat_map(window).collect());
        let found = centres(8, &windows, 2);
        let mut firsts: Vec<f32> = (0..2).map(|c| found.row(c)[0]).collect();
        firsts.sort_by(f32::total_cmp);
        let mean = |wanted: bool| {
            let chosen = (0..90).filter(|i| (i % 3 == 0) == wanted);
            chosen.clone().map(|i| windows.row(i)[0]).sum::<f32>() / chosen.count() as f32
        };
        assert!((firsts[0] - mean(false)).abs() < 1e-5 && (firsts[1] - mean(true)).abs() < 1e-5, "{firsts:?}");
        assert_eq!(centres(8, &windows, 500).len(), 90);
    }
}
