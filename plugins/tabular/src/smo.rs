//! Sequential minimal optimisation of a one-class support vector machine, step by step as
//! libsvm 3 takes it.
//!
//! R.-E. Fan, P.-H. Chen, C.-J. Lin: Working set selection using second order information for
//! training support vector machines, 2005; C.-C. Chang, C.-J. Lin: LIBSVM, 2011 (shrinking). The
//! weights a of l rows minimise a'Qa/2 with 0 <= a <= 1 and a sum of nu l. Each step moves two of
//! them: that whose gradient is smallest of those that may grow, and that which promises most of
//! those that may shrink. It ends where the gradients of these two are less than 1e-3 apart.
//!
//! Where it ends hangs on the way, by more than rounding. So the way is libsvm's: its start,
//! its kernel in single precision, the last of equals, and rows at a bound that look settled
//! are set aside and looked at again towards the end.

use std::rc::Rc;

use crate::table::{Table, dot};

/// The largest difference of gradients that is none.
const TOLERANCE: f64 = 1e-3;
/// In place of a curvature that rounding made negative.
const LEAST_CURVATURE: f64 = 1e-12;
/// Steps between two looks at what can be set aside.
const ROUND: usize = 1_000;
/// Steps at most, should rounding keep it from ending.
const MOST_STEPS: usize = 10_000_000;
/// Numbers of the kernel's matrix that are kept.
const MOST_KEPT: usize = 8 << 20;

/// What was found.
pub struct Solved {
    /// The weight of each row; most are 0 or 1.
    pub weights: Vec<f64>,
    /// The offset of the boundary.
    pub rho: f64,
}

/// Solves it for the rows of a table; `nu` is a share.
pub fn solve(table: Table<'_>, gamma: f64, nu: f64) -> Solved {
    let mut solver = Solver::new(table, gamma, nu);
    solver.run();
    Solved { rho: solver.offset(), weights: solver.weights }
}

/// The matrix of kernels, a row of it at a time.
struct Kernel<'a> {
    table: Table<'a>,
    gamma: f64,
    squares: Vec<f64>,
    rows: Vec<Option<Rc<[f32]>>>,
    kept: usize,
}

impl<'a> Kernel<'a> {
    fn new(table: Table<'a>, gamma: f64) -> Self {
        let squares = table.rows().map(|row| dot(row, row)).collect();
        Self { table, gamma, squares, rows: vec![None; table.len()], kept: 0 }
    }

    fn of(&self, a: usize, b: usize) -> f64 {
        let product = dot(self.table.row(a), self.table.row(b));
        (-self.gamma * (self.squares[a] + self.squares[b] - 2.0 * product)).exp()
    }

    fn row(&mut self, index: usize) -> Rc<[f32]> {
        if let Some(row) = &self.rows[index] {
            return row.clone();
        }
        let count = self.table.len();
        if (self.kept + 1) * count > MOST_KEPT {
            self.rows.fill(None);
            self.kept = 0;
        }
        let row: Rc<[f32]> = (0..count).map(|other| self.of(index, other) as f32).collect();
        self.rows[index] = Some(row.clone());
        self.kept += 1;
        row
    }
}

struct Solver<'a> {
    kernel: Kernel<'a>,
    /// The kernel of each row with itself.
    own: Vec<f64>,
    weights: Vec<f64>,
    gradient: Vec<f64>,
    /// The part of the gradient that comes from weights of 1.
    settled: Vec<f64>,
    /// The rows, those that are looked at first.
    order: Vec<usize>,
    /// How many are looked at.
    active: usize,
    /// Whether all were looked at again near the end.
    looked_again: bool,
}

impl<'a> Solver<'a> {
    fn new(table: Table<'a>, gamma: f64, nu: f64) -> Self {
        let count = table.len();
        let mut left = nu * count as f64;
        let weights: Vec<f64> = (0..count)
            .map(|_| {
                let weight = left.clamp(0.0, 1.0);
                left -= weight;
                weight
            })
            .collect();
        let mut kernel = Kernel::new(table, gamma);
        let (mut gradient, mut settled) = (vec![0.0; count], vec![0.0; count]);
        for (row, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            let kernels = kernel.row(row);
            add(&mut gradient, *weight, &kernels);
            if *weight >= 1.0 {
                add(&mut settled, 1.0, &kernels);
            }
        }
        let own = (0..count).map(|row| kernel.of(row, row)).collect();
        let order = (0..count).collect();
        Self { kernel, own, weights, gradient, settled, order, active: count, looked_again: false }
    }

    fn may_grow(&self, row: usize) -> bool {
        self.weights[row] < 1.0
    }

    fn may_shrink(&self, row: usize) -> bool {
        self.weights[row] > 0.0
    }

    fn is_free(&self, row: usize) -> bool {
        self.may_grow(row) && self.may_shrink(row)
    }

    fn run(&mut self) {
        let round = self.order.len().min(ROUND);
        let mut until_look = round + 1;
        for _ in 0..MOST_STEPS {
            until_look -= 1;
            if until_look == 0 {
                until_look = round;
                self.set_aside();
            }
            let pair = match self.pair() {
                Some(pair) => pair,
                None => {
                    self.look_at_all();
                    let Some(pair) = self.pair() else { break };
                    until_look = 1;
                    pair
                }
            };
            self.step(pair);
        }
    }

    /// The two weights to move: what grows, and what shrinks.
    fn pair(&mut self) -> Option<(usize, usize)> {
        let mut steepest = (f64::NEG_INFINITY, None);
        for &row in &self.order[..self.active] {
            if self.may_grow(row) && -self.gradient[row] >= steepest.0 {
                steepest = (-self.gradient[row], Some(row));
            }
        }
        let (most, grows) = (steepest.0, steepest.1?);
        let kernels = self.kernel.row(grows);
        let (mut least, mut best) = (f64::NEG_INFINITY, (f64::INFINITY, None));
        for &row in &self.order[..self.active] {
            if !self.may_shrink(row) {
                continue;
            }
            let gradient = self.gradient[row];
            least = least.max(gradient);
            let apart = most + gradient;
            if apart > 0.0 {
                let curvature = self.own[grows] + self.own[row] - 2.0 * f64::from(kernels[row]);
                let gain = -(apart * apart) / if curvature > 0.0 { curvature } else { LEAST_CURVATURE };
                if gain <= best.0 {
                    best = (gain, Some(row));
                }
            }
        }
        if most + least < TOLERANCE {
            return None;
        }
        Some((grows, best.1?))
    }

    fn step(&mut self, (grows, shrinks): (usize, usize)) {
        let (a, b) = (self.kernel.row(grows), self.kernel.row(shrinks));
        let before = (self.weights[grows], self.weights[shrinks]);
        let curvature = self.own[grows] + self.own[shrinks] - 2.0 * f64::from(a[shrinks]);
        let curvature = if curvature <= 0.0 { LEAST_CURVATURE } else { curvature };
        let step = (self.gradient[grows] - self.gradient[shrinks]) / curvature;
        let sum = before.0 + before.1;
        let (mut first, mut second) = (before.0 - step, before.1 + step);
        if sum > 1.0 {
            if first > 1.0 {
                (first, second) = (1.0, sum - 1.0);
            }
            if second > 1.0 {
                (first, second) = (sum - 1.0, 1.0);
            }
        } else {
            if second < 0.0 {
                (first, second) = (sum, 0.0);
            }
            if first < 0.0 {
                (first, second) = (0.0, sum);
            }
        }
        (self.weights[grows], self.weights[shrinks]) = (first, second);
        let moved = (first - before.0, second - before.1);
        for &row in &self.order[..self.active] {
            self.gradient[row] += f64::from(a[row]) * moved.0 + f64::from(b[row]) * moved.1;
        }
        for (kernels, before, now) in [(&a, before.0, first), (&b, before.1, second)] {
            match (before >= 1.0, now >= 1.0) {
                (false, true) => add(&mut self.settled, 1.0, kernels),
                (true, false) => add(&mut self.settled, -1.0, kernels),
                _ => {}
            }
        }
    }

    /// The gradient of what was set aside, from the weights.
    fn look_at_all(&mut self) {
        let (looked_at, aside) = self.order.split_at(self.active);
        for &row in aside {
            self.gradient[row] = self.settled[row];
        }
        for &row in looked_at.iter().filter(|row| !aside.is_empty() && self.weights[**row] > 0.0) {
            let weight = self.weights[row];
            if weight < 1.0 {
                let kernels = self.kernel.row(row);
                aside.iter().for_each(|&other| self.gradient[other] += weight * f64::from(kernels[other]));
            }
        }
        self.active = self.order.len();
    }

    /// Sets rows aside whose weight is at a bound and would not leave it.
    fn set_aside(&mut self) {
        let largest = |rows: &mut dyn Iterator<Item = f64>| rows.fold(f64::NEG_INFINITY, f64::max);
        let looked_at = &self.order[..self.active];
        let grow = largest(&mut looked_at.iter().filter(|row| self.may_grow(**row)).map(|row| -self.gradient[*row]));
        let shrink = largest(&mut looked_at.iter().filter(|row| self.may_shrink(**row)).map(|row| self.gradient[*row]));
        if !self.looked_again && grow + shrink <= TOLERANCE * 10.0 {
            self.looked_again = true;
            self.look_at_all();
        }
        let settled = |solver: &Self, place: usize| {
            let row = solver.order[place];
            let gradient = solver.gradient[row];
            (!solver.may_grow(row) && -gradient > grow) || (!solver.may_shrink(row) && gradient > shrink)
        };
        let mut place = 0;
        while place < self.active {
            if settled(self, place) {
                self.active -= 1;
                // The last that stays takes its place.
                while self.active > place {
                    if !settled(self, self.active) {
                        self.order.swap(place, self.active);
                        break;
                    }
                    self.active -= 1;
                }
            }
            place += 1;
        }
    }

    /// The mean gradient of weights within their bounds; if there are none, the middle of what
    /// those at a bound allow.
    fn offset(&self) -> f64 {
        let free: Vec<f64> =
            self.order.iter().filter(|row| self.is_free(**row)).map(|row| self.gradient[*row]).collect();
        if !free.is_empty() {
            return free.iter().sum::<f64>() / free.len() as f64;
        }
        let rows = || self.order.iter().map(|row| (*row, self.gradient[*row]));
        let above = rows().filter(|(row, _)| self.may_grow(*row)).fold(f64::INFINITY, |least, (_, g)| least.min(g));
        let below = rows().filter(|(row, _)| !self.may_grow(*row)).fold(f64::NEG_INFINITY, |most, (_, g)| most.max(g));
        (above + below) / 2.0
    }
}

fn add(sums: &mut [f64], weight: f64, kernels: &[f32]) {
    for (sum, kernel) in sums.iter_mut().zip(kernels) {
        *sum += weight * f64::from(*kernel);
    }
}
