//! CBLOF: the distance to the centre of the nearest large cluster.
//!
//! Z. He, X. Xu, S. Deng: Discovering cluster-based local outliers, 2003. The clusters are
//! k-means'. In order of size, the large ones are the first that hold a share `alpha` of the
//! rows and are `beta` times as large as the next; if no cut is both, the first that is the
//! former, then the latter. A row of a large cluster scores the distance to its centre, one of
//! a small cluster that to the nearest centre of a large one; not weighted by size, as PyOD.

use anomd_detector::Cause;
use anomd_detector::model::{Reader, Writer};

use crate::Scorer;
use crate::kmeans;
use crate::random::Random;
use crate::table::{Table, squared_distance};

/// Its parameters, with PyOD's defaults.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// Clusters.
    pub clusters: usize,
    /// The share of rows in large clusters.
    pub alpha: f64,
    /// How many times as large as the next.
    pub beta: f64,
    /// Of the random numbers.
    pub seed: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { clusters: 8, alpha: 0.9, beta: 5.0, seed: 0 }
    }
}

/// What was learnt: the centres, those of large clusters first.
pub struct Cblof {
    features: usize,
    large: usize,
    centers: Vec<f64>,
}

impl Cblof {
    /// The model, and the scores of the training rows. Fewer rows than clusters are warming.
    pub fn fit(table: Table<'_>, params: Params) -> Result<(Self, Vec<f64>), Cause> {
        if table.len() < params.clusters.max(2) {
            return Err(Cause::Warming);
        }
        let found = kmeans::cluster(table, params.clusters, &mut Random::new(params.seed));
        let mut order: Vec<usize> = (0..found.sizes.len()).filter(|index| found.sizes[*index] > 0).collect();
        order.sort_by_key(|index| std::cmp::Reverse(found.sizes[*index]));
        let sizes: Vec<f64> = order.iter().map(|index| found.sizes[*index] as f64).collect();
        let held = |cut: &usize| sizes[..*cut].iter().sum::<f64>() >= table.len() as f64 * params.alpha;
        let falls = |cut: &usize| sizes[*cut - 1] / sizes[*cut] >= params.beta;
        let cuts = || 1..sizes.len();
        let large = cuts()
            .find(|cut| held(cut) && falls(cut))
            .or_else(|| cuts().find(held))
            .or_else(|| cuts().find(falls))
            .ok_or_else(|| Cause::Failed("its clusters do not part into large and small; change n_clusters".into()))?;
        let centers = Table::new(&found.centers, table.features());
        let centers = order.iter().flat_map(|index| centers.row(*index)).copied().collect();
        let learnt = Self { features: table.features(), large, centers };
        let scores = table.rows().map(|row| learnt.score(row)).collect();
        Ok((learnt, scores))
    }

    /// Reads it from a model.
    pub fn read(model: &mut Reader<'_>, features: usize) -> Result<Self, Cause> {
        let large = model.u32()? as usize;
        Ok(Self { features, large, centers: model.f64s(model.remaining())? })
    }
}

impl Scorer for Cblof {
    fn score(&self, row: &[f64]) -> f64 {
        // Its own centre is the nearest of all; if that is a large cluster's, then of those too.
        let large = Table::new(&self.centers, self.features).rows().take(self.large);
        large.map(|center| squared_distance(row, center)).fold(f64::INFINITY, f64::min).sqrt()
    }

    fn write(&self, model: Writer) -> Writer {
        model.u32(self.large as u32).f64s(&self.centers)
    }
}
