//! IForest: how few random cuts it takes to part a row from the others.
//!
//! F. T. Liu, K. M. Ting, Z.-H. Zhou: Isolation forest, 2008; with scikit-learn's details: each
//! tree sees at most 256 rows, drawn without replacement, and is at most log2 of that deep; a
//! cut is drawn evenly between the least and the largest value of a feature that is drawn among
//! those which still differ; features are single precision. The score is 2^(-depth / c), with
//! the mean depth over the trees, a leaf of m rows counting c(m) more, and c(m) the mean depth
//! of a search that fails in a binary tree of m.
//!
//! PyOD takes off a quantile of the training scores; it moves all scores alike and is left out.
//! The numbers are of another generator than numpy's, so a forest is never PyOD's own; `seed`
//! makes it the same each time.

use anomd_detector::Cause;
use anomd_detector::model::{Reader, Writer};

use crate::Scorer;
use crate::random::Random;
use crate::table::Table;

/// Features that differ by less do not differ: scikit-learn's FEATURE_THRESHOLD.
const LEAST_RANGE: f32 = 1e-7;
const EULER: f64 = 0.577_215_664_901_532_9;
/// Stands for a feature in a leaf.
const LEAF: u32 = u32::MAX;

/// Its parameters, with PyOD's defaults.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// Trees.
    pub trees: usize,
    /// Rows a tree, where there are so many.
    pub samples: usize,
    /// Of the random numbers.
    pub seed: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self { trees: 100, samples: 256, seed: 0 }
    }
}

/// What was learnt.
pub struct IForest {
    /// Rows a tree.
    samples: usize,
    trees: Vec<Vec<Node>>,
}

/// In the order of a walk from the root, left before right: the left child is the next node.
#[derive(Clone, Copy)]
struct Node {
    /// Which feature is compared; [`LEAF`]: none.
    feature: u32,
    /// Left where the feature is at most this; in a leaf the depth that it counts.
    cut: f32,
    /// The right child.
    right: u32,
}

impl IForest {
    /// The model, and the scores of the training rows. Fewer than two rows are warming.
    pub fn fit(table: Table<'_>, params: Params) -> Result<(Self, Vec<f64>), Cause> {
        if table.len() < 2 {
            return Err(Cause::Warming);
        }
        let samples = params.samples.clamp(2, table.len());
        let mut random = Random::new(params.seed);
        let mut order: Vec<usize> = (0..table.len()).collect();
        let mut trees = Vec::with_capacity(params.trees);
        for _ in 0..params.trees {
            for place in 0..samples {
                let other = place + random.below(order.len() - place);
                order.swap(place, other);
            }
            let mut rows = order[..samples].to_vec();
            let mut growth = Growth {
                table,
                random: &mut random,
                deepest: (samples as f64).log2().ceil() as u32,
                nodes: Vec::new(),
                open: Vec::new(),
            };
            growth.grow(&mut rows, 0);
            trees.push(growth.nodes);
        }
        let learnt = Self { samples, trees };
        let scores = table.rows().map(|row| learnt.score(row)).collect();
        Ok((learnt, scores))
    }

    /// Reads it from a model.
    pub fn read(model: &mut Reader<'_>, features: usize) -> Result<Self, Cause> {
        let damaged = || Cause::Failed("the stored model is damaged; train the batch again".into());
        let (samples, count) = (model.u32()? as usize, model.u32()?);
        let mut trees = Vec::new();
        for _ in 0..count {
            let mut nodes: Vec<Node> = Vec::new();
            // Inner nodes whose right child is still to come.
            let mut open: Vec<usize> = Vec::new();
            loop {
                let (feature, cut) = (model.u32()?, f32::from_bits(model.u32()?));
                nodes.push(Node { feature, cut, right: 0 });
                if feature != LEAF {
                    if feature as usize >= features {
                        return Err(damaged());
                    }
                    open.push(nodes.len() - 1);
                    continue;
                }
                match open.pop() {
                    Some(parent) => nodes[parent].right = nodes.len() as u32,
                    None => break,
                }
            }
            trees.push(nodes);
        }
        Ok(Self { samples, trees })
    }
}

impl Scorer for IForest {
    fn score(&self, row: &[f64]) -> f64 {
        let depth = |nodes: &[Node]| {
            let mut node = nodes[0];
            let mut at = 0;
            while node.feature != LEAF {
                let left = row[node.feature as usize] as f32 <= node.cut;
                at = if left { at + 1 } else { node.right as usize };
                node = nodes[at];
            }
            f64::from(node.cut)
        };
        let mean = self.trees.iter().map(|nodes| depth(nodes)).sum::<f64>() / self.trees.len() as f64;
        (-mean / failed_search(self.samples)).exp2()
    }

    fn write(&self, model: Writer) -> Writer {
        let model = model.u32(self.samples as u32).u32(self.trees.len() as u32);
        let nodes = self.trees.iter().flatten();
        nodes.fold(model, |model, node| model.u32(node.feature).u32(node.cut.to_bits()))
    }
}

struct Growth<'a> {
    table: Table<'a>,
    random: &'a mut Random,
    deepest: u32,
    nodes: Vec<Node>,
    /// The features among which one is drawn.
    open: Vec<u32>,
}

impl Growth<'_> {
    fn grow(&mut self, rows: &mut [usize], depth: u32) {
        let cut = if rows.len() < 2 || depth >= self.deepest { None } else { self.cut(rows) };
        let Some((feature, cut)) = cut else {
            let counted = f64::from(depth) + failed_search(rows.len());
            self.nodes.push(Node { feature: LEAF, cut: counted as f32, right: 0 });
            return;
        };
        let node = self.nodes.len();
        self.nodes.push(Node { feature, cut, right: 0 });
        let mut left = 0;
        for at in 0..rows.len() {
            if self.value(rows[at], feature) <= cut {
                rows.swap(left, at);
                left += 1;
            }
        }
        let (lower, upper) = rows.split_at_mut(left);
        self.grow(lower, depth + 1);
        self.nodes[node].right = self.nodes.len() as u32;
        self.grow(upper, depth + 1);
    }

    /// A random feature that differs among the rows, and a random cut through it.
    fn cut(&mut self, rows: &[usize]) -> Option<(u32, f32)> {
        self.open.clear();
        self.open.extend(0..self.table.features() as u32);
        while !self.open.is_empty() {
            let drawn = self.random.below(self.open.len());
            let feature = self.open.swap_remove(drawn);
            let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
            for row in rows {
                let x = self.value(*row, feature);
                (low, high) = (low.min(x), high.max(x));
            }
            if high <= low + LEAST_RANGE {
                continue;
            }
            let cut = (f64::from(low) + self.random.unit() * (f64::from(high) - f64::from(low))) as f32;
            return Some((feature, if cut >= high { low } else { cut }));
        }
        None
    }

    fn value(&self, row: usize, feature: u32) -> f32 {
        self.table.row(row)[feature as usize] as f32
    }
}

/// The mean depth of a search that fails in a binary search tree of `count` keys.
fn failed_search(count: usize) -> f64 {
    match count {
        0 | 1 => 0.0,
        2 => 1.0,
        count => 2.0 * (((count - 1) as f64).ln() + EULER) - 2.0 * (count - 1) as f64 / count as f64,
    }
}
