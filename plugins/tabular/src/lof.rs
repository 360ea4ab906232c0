//! LOF: how much thinner it is round a row than round its neighbours.
//!
//! M. Breunig, H.-P. Kriegel, R. Ng, J. Sander: LOF: Identifying density-based local outliers,
//! 2000. The reach from a row to a neighbour is their distance, and at least the neighbour's
//! own distance to its k-th neighbour. The density of a row is one over the mean reach to its
//! k neighbours, plus 1e-10 as scikit-learn has it; its score the mean of the neighbours'
//! densities over its own: 1 is ordinary.
//!
//! Exactly k neighbours count. Where more rows are equally far than there are places, those count
//! that scikit-learn takes: up to 15 features by the order of its k-d tree, beyond by that of the
//! rows, and by distances as they come out of products. Its products are rounded in another order,
//! so that of two rows whose distances differ by rounding alone another one may count.

use std::cell::OnceCell;

use anomd_detector::Cause;
use anomd_detector::model::{Reader, Writer};

use crate::Scorer;
use crate::heap::Heap;
use crate::table::{Table, dot, squared_distance};
use crate::tree::Tree;

/// More features are searched without a tree.
const TREE_FEATURES: usize = 15;

/// What was learnt: the rows, and of each the distance to its k-th neighbour and the density.
pub struct Lof {
    k: usize,
    features: usize,
    values: Vec<f64>,
    kth: Vec<f64>,
    density: Vec<f64>,
    /// Grown where the order of equally far rows matters.
    tree: OnceCell<Tree>,
    /// Of the rows' lengths, where there is no tree.
    squares: OnceCell<Vec<f64>>,
}

impl Lof {
    /// The model, and the scores of the training rows. With fewer rows than `k` all others are
    /// neighbours, as in scikit-learn; fewer than two rows are warming.
    pub fn fit(table: Table<'_>, k: usize) -> Result<(Self, Vec<f64>), Cause> {
        if table.len() < 2 {
            return Err(Cause::Warming);
        }
        let k = k.clamp(1, table.len() - 1);
        let mut learnt = Self {
            k,
            features: table.features(),
            values: table.values().to_vec(),
            kth: vec![0.0; table.len()],
            density: Vec::new(),
            tree: OnceCell::new(),
            squares: OnceCell::new(),
        };
        let neighbors: Vec<Vec<(f64, usize)>> = (0..table.len()).map(|index| learnt.others(index)).collect();
        for (kth, near) in learnt.kth.iter_mut().zip(&neighbors) {
            *kth = near.last().map_or(0.0, |(distance, _)| *distance);
        }
        learnt.density = neighbors.iter().map(|near| learnt.density_of(near)).collect();
        let scores = neighbors.iter().map(|near| learnt.factor(near)).collect();
        Ok((learnt, scores))
    }

    /// Reads it from a model.
    pub fn read(model: &mut Reader<'_>, features: usize) -> Result<Self, Cause> {
        let (k, rows) = (model.u32()? as usize, model.u32()? as usize);
        Ok(Self {
            k,
            features,
            values: model.f64s(rows.saturating_mul(features))?,
            kth: model.f64s(rows)?,
            density: model.f64s(rows)?,
            tree: OnceCell::new(),
            squares: OnceCell::new(),
        })
    }

    fn table(&self) -> Table<'_> {
        Table::new(&self.values, self.features)
    }

    /// The nearest rows and their distances, ascending.
    fn nearest(&self, row: &[f64], count: usize, hurried: bool) -> Vec<(f64, usize)> {
        let table = self.table();
        let by_tree = self.features <= TREE_FEATURES && self.k < table.len() / 2;
        let all = |count, squared: &dyn Fn(usize, &[f64]) -> f64| {
            let mut heap = Heap::new(count);
            table.rows().enumerate().for_each(|(index, other)| heap.push(squared(index, other), index));
            heap.sorted()
        };
        let exactly = |_, other: &[f64]| squared_distance(row, other);
        let near = if by_tree && hurried {
            // A tree costs more than to look at all rows once, and is not needed without a tie.
            let mut near = all(count + 1, &exactly);
            let last = near.pop();
            let tied = near.last().zip(last).is_some_and(|(kth, next)| kth.0 >= next.0);
            if tied { self.tree.get_or_init(|| Tree::of(table)).nearest(table, row, count) } else { near }
        } else if by_tree {
            self.tree.get_or_init(|| Tree::of(table)).nearest(table, row, count)
        } else {
            let squares = self.squares.get_or_init(|| table.rows().map(|row| dot(row, row)).collect());
            let own = dot(row, row);
            all(count, &|index, other| (-2.0 * dot(row, other) + own + squares[index]).max(0.0))
        };
        near.into_iter().map(|(_, index)| (squared_distance(row, table.row(index)).sqrt(), index)).collect()
    }

    /// The k nearest of the other training rows: of one more than k all but the row itself, or but
    /// the first where so many rows equal it that it is not among them.
    fn others(&self, index: usize) -> Vec<(f64, usize)> {
        let mut near = self.nearest(self.table().row(index), self.k + 1, false);
        near.remove(near.iter().position(|(_, other)| *other == index).unwrap_or(0));
        near
    }

    fn density_of(&self, neighbors: &[(f64, usize)]) -> f64 {
        let reach = neighbors.iter().map(|(distance, index)| distance.max(self.kth[*index]));
        1.0 / (reach.sum::<f64>() / neighbors.len() as f64 + 1e-10)
    }

    fn factor(&self, neighbors: &[(f64, usize)]) -> f64 {
        let own = self.density_of(neighbors);
        neighbors.iter().map(|(_, index)| self.density[*index] / own).sum::<f64>() / neighbors.len() as f64
    }
}

impl Scorer for Lof {
    fn score(&self, row: &[f64]) -> f64 {
        self.factor(&self.nearest(row, self.k, true))
    }

    fn write(&self, model: Writer) -> Writer {
        let model = model.u32(self.k as u32).u32(self.kth.len() as u32);
        model.f64s(&self.values).f64s(&self.kth).f64s(&self.density)
    }
}
