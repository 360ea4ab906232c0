//! The regular time axis that detectors see, and how samples are laid on it.

use super::Millis;

/// What a column takes of the samples in its span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Aggregate {
    /// The last.
    #[default]
    Last,
    /// Their mean.
    Mean,
    /// Their sum; of none NaN, and not 0.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

/// A regular time axis: column `i` is the span from `start + i * step_ms`, `step_ms` long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// The instant of the first column, a multiple of the step.
    pub start: Millis,
    /// Milliseconds between columns; never 0.
    pub step_ms: u32,
    /// Number of columns.
    pub columns: usize,
}

impl Grid {
    /// The grid of the half-open span `from..to`, both rounded down to the step.
    pub fn spanning(from: Millis, to: Millis, step_ms: u32) -> Self {
        let step_ms = step_ms.max(1);
        let step = Millis::from(step_ms);
        let start = from.div_euclid(step) * step;
        let columns = (to.div_euclid(step) - start.div_euclid(step)).max(0);
        Self { start, step_ms, columns: usize::try_from(columns).unwrap_or(0) }
    }

    /// The instant after the last column.
    pub fn end(&self) -> Millis {
        self.time(self.columns)
    }

    /// The instant of a column.
    pub fn time(&self, column: usize) -> Millis {
        self.start + Millis::from(self.step_ms) * column as Millis
    }

    /// The instant after the column that a time lies in; the end for what lies behind it.
    pub fn after(&self, time: Millis) -> Millis {
        let step = Millis::from(self.step_ms);
        (time.div_euclid(step) * step).saturating_add(step).min(self.end())
    }

    /// Lays samples on the grid. A column takes the aggregate of the samples in its span; one
    /// without a sample is NaN. `timestamps` ascend.
    pub fn lay(&self, timestamps: &[Millis], values: &[f64], aggregate: Aggregate) -> Vec<f64> {
        let mut row = vec![f64::NAN; self.columns];
        let mut counts = vec![0_u32; if aggregate == Aggregate::Mean { self.columns } else { 0 }];
        for (&time, &value) in timestamps.iter().zip(values) {
            let column = (time - self.start).div_euclid(Millis::from(self.step_ms));
            let Ok(column) = usize::try_from(column) else { continue };
            let Some(cell) = row.get_mut(column).filter(|_| !value.is_nan()) else { continue };
            *cell = match aggregate {
                _ if cell.is_nan() => value,
                Aggregate::Last => value,
                Aggregate::Mean | Aggregate::Sum => *cell + value,
                Aggregate::Min => cell.min(value),
                Aggregate::Max => cell.max(value),
            };
            if let Some(count) = counts.get_mut(column) {
                *count += 1;
            }
        }
        for (cell, count) in row.iter_mut().zip(counts).filter(|(_, count)| *count > 1) {
            *cell /= f64::from(count);
        }
        row
    }
}

/// Rows of series on one grid, row-major. NaN stands for a missing value.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// The columns' time axis.
    pub grid: Grid,
    /// Number of rows.
    pub rows: usize,
    /// `rows * grid.columns` values.
    pub values: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_takes_the_last_sample_of_its_span_and_gaps_are_nan() {
        let grid = Grid::spanning(65_000, 240_000, 60_000);
        assert_eq!(grid, Grid { start: 60_000, step_ms: 60_000, columns: 3 });
        let (times, values) = ([0, 60_000, 119_999, 180_000, 999_999], [9.0, 1.0, 2.0, 3.0, 9.0]);
        let row = grid.lay(&times, &values, Aggregate::Last);
        assert_eq!(row[0], 2.0);
        assert!(row[1].is_nan());
        assert_eq!(row[2], 3.0);
        for (aggregate, first) in
            [(Aggregate::Mean, 1.5), (Aggregate::Sum, 3.0), (Aggregate::Min, 1.0), (Aggregate::Max, 2.0)]
        {
            let row = grid.lay(&times, &values, aggregate);
            assert_eq!((row[0], row[2]), (first, 3.0));
            assert!(row[1].is_nan(), "a gap is not a 0");
        }
    }
}
