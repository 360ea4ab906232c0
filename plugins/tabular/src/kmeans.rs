//! k-means, as scikit-learn's `KMeans` does it by default.
//!
//! S. Lloyd: Least squares quantization in PCM, 1982, from the greedy k-means++ start of
//! D. Arthur, S. Vassilvitskii: k-means++: The advantages of careful seeding, 2007: each next
//! centre is the best of 2 + ln k rows, drawn by their squared distance to the nearest centre
//! so far. It ends where no row changes its cluster, where the centres move by less than 1e-4
//! of the mean variance, or after 300 rounds. A cluster that is left empty takes the row that is
//! farthest from its centre.

use crate::random::Random;
use crate::table::{Table, squared_distance};

const ROUNDS: usize = 300;
const TOLERANCE: f64 = 1e-4;

/// Clusters of rows.
pub struct Clusters {
    /// One row a cluster.
    pub centers: Vec<f64>,
    /// Rows of each cluster.
    pub sizes: Vec<usize>,
}

/// `count` clusters of at least so many rows; an empty one only where fewer rows differ.
pub fn cluster(table: Table<'_>, count: usize, random: &mut Random) -> Clusters {
    let features = table.features();
    let mut centers = start(table, count, random);
    let (labels, mut nearest) = assign(table, &centers);
    let mut labels = labels;
    let least_move = TOLERANCE * mean_variance(table);
    for _ in 0..ROUNDS {
        let next = means(table, &labels, &mut nearest, count);
        let moved: f64 = squared_distance(&next, &centers);
        centers = next;
        let (again, distances) = assign(table, &centers);
        nearest = distances;
        let same = again == labels;
        labels = again;
        if same || moved <= least_move {
            break;
        }
    }
    let mut sizes = vec![0; centers.len() / features];
    labels.iter().for_each(|label| sizes[*label] += 1);
    Clusters { centers, sizes }
}

fn start(table: Table<'_>, count: usize, random: &mut Random) -> Vec<f64> {
    let trials = 2 + (count as f64).ln() as usize;
    let mut centers = table.row(random.below(table.len())).to_vec();
    let mut nearest: Vec<f64> = table.rows().map(|row| squared_distance(row, &centers)).collect();
    for _ in 1..count {
        let total: f64 = nearest.iter().sum();
        let mut best: Option<(f64, Vec<f64>, usize)> = None;
        for _ in 0..trials {
            let mut left = random.unit() * total;
            let drawn = nearest.iter().position(|distance| {
                left -= distance;
                left < 0.0
            });
            let drawn = drawn.unwrap_or(table.len() - 1);
            let closer = |(row, known): (&[f64], &f64)| squared_distance(row, table.row(drawn)).min(*known);
            let distances: Vec<f64> = table.rows().zip(&nearest).map(closer).collect();
            let sum = distances.iter().sum();
            if best.as_ref().is_none_or(|(least, ..)| sum < *least) {
                best = Some((sum, distances, drawn));
            }
        }
        if let Some((_, distances, drawn)) = best {
            nearest = distances;
            centers.extend_from_slice(table.row(drawn));
        }
    }
    centers
}

/// The nearest centre of each row, and the squared distance to it.
fn assign(table: Table<'_>, centers: &[f64]) -> (Vec<usize>, Vec<f64>) {
    let centers = Table::new(centers, table.features());
    let nearest = |row: &[f64]| {
        let distances = centers.rows().map(|center| squared_distance(row, center)).enumerate();
        distances.fold(
            (0, f64::INFINITY),
            |best, (index, distance)| if distance < best.1 { (index, distance) } else { best },
        )
    };
    table.rows().map(nearest).unzip()
}

fn means(table: Table<'_>, labels: &[usize], nearest: &mut [f64], count: usize) -> Vec<f64> {
    let features = table.features();
    let (mut sums, mut sizes) = (vec![0.0; count * features], vec![0_usize; count]);
    let add = |sums: &mut [f64], label: usize, row: &[f64], sign: f64| {
        sums[label * features..][..features].iter_mut().zip(row).for_each(|(sum, x)| *sum += sign * x);
    };
    for (row, label) in table.rows().zip(labels) {
        add(&mut sums, *label, row, 1.0);
        sizes[*label] += 1;
    }
    for empty in 0..count {
        if sizes[empty] > 0 {
            continue;
        }
        let Some(far) = (0..nearest.len()).max_by(|a, b| nearest[*a].total_cmp(&nearest[*b])) else { continue };
        if nearest[far] <= 0.0 || sizes[labels[far]] < 2 {
            // Copies of the centres alone: there is nothing to part. It keeps out of the way.
            sums[empty * features..][..features].copy_from_slice(table.row(far));
            sizes[empty] = 1;
            continue;
        }
        add(&mut sums, labels[far], table.row(far), -1.0);
        add(&mut sums, empty, table.row(far), 1.0);
        sizes[labels[far]] -= 1;
        sizes[empty] = 1;
        nearest[far] = 0.0;
    }
    for (sum, size) in sums.chunks_exact_mut(features).zip(&sizes) {
        sum.iter_mut().for_each(|sum| *sum /= *size as f64);
    }
    sums
}

fn mean_variance(table: Table<'_>) -> f64 {
    let count = table.len() as f64;
    let variance = |index| {
        let mean = table.column(index).sum::<f64>() / count;
        table.column(index).map(|x| (x - mean) * (x - mean)).sum::<f64>() / count
    };
    (0..table.features()).map(variance).sum::<f64>() / table.features() as f64
}
