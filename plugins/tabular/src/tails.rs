//! Empirical distribution functions of columns: what ECOD and COPOD are made of.
//!
//! With n training rows, a row is judged as one more: n + 1 rows, of which a share has a value
//! at most, or at least, as large as its own. The negative logarithms of these shares are the
//! left and the right tail of a column, and the sign of the column's skewness picks one.
//!
//! PyOD joins *all* rows of a call to the training rows, so there the score of a row depends
//! on its company; here each is joined alone, which is what PyOD says of a call with one row.

use anomd_detector::Cause;
use anomd_detector::model::{Reader, Writer};

use crate::table::Table;

/// How odd a value is within its column.
#[derive(Clone, Copy, Debug)]
pub struct Tail {
    /// `-ln` of the share of values that are not larger.
    pub left: f64,
    /// `-ln` of the share of values that are not smaller.
    pub right: f64,
    /// That of the two to which the column leans; both together where it does not lean.
    pub skewed: f64,
}

/// The columns of the training rows, each ascending, with its moments.
#[derive(Clone, Debug, PartialEq)]
pub struct Tails {
    sorted: Vec<Vec<f64>>,
    moments: Vec<Moments>,
}

impl Tails {
    /// Of at least one row.
    pub fn of(table: Table<'_>) -> Self {
        let column = |index| {
            let mut column: Vec<f64> = table.column(index).collect();
            column.sort_unstable_by(f64::total_cmp);
            column
        };
        let sorted: Vec<Vec<f64>> = (0..table.features()).map(column).collect();
        let moments = (0..table.features()).map(|index| Moments::of(table.column(index), table.len())).collect();
        Self { sorted, moments }
    }

    /// The tails of a training row's values.
    pub fn within<'a>(&'a self, row: &'a [f64]) -> impl Iterator<Item = Tail> + 'a {
        self.tails(row, false)
    }

    /// The tails of a new row's values, as if it were one of the training rows.
    pub fn joined<'a>(&'a self, row: &'a [f64]) -> impl Iterator<Item = Tail> + 'a {
        self.tails(row, true)
    }

    fn tails<'a>(&'a self, row: &'a [f64], joins: bool) -> impl Iterator<Item = Tail> + 'a {
        row.iter().zip(self.sorted.iter().zip(&self.moments)).map(move |(&x, (column, moments))| {
            let more = usize::from(joins);
            let count = (column.len() + more) as f64;
            let not_larger = column.partition_point(|other| *other <= x) + more;
            let not_smaller = column.len() - column.partition_point(|other| *other < x) + more;
            let left = -(not_larger as f64 / count).ln();
            let right = -(not_smaller as f64 / count).ln();
            let skewness = if joins { moments.with(x).skewness() } else { moments.skewness() };
            let skewed = if skewness > 0.0 {
                right
            } else if skewness < 0.0 {
                left
            } else {
                left + right
            };
            Tail { left, right, skewed }
        })
    }

    /// Adds them to a model.
    pub fn write(&self, model: Writer) -> Writer {
        let model = model.u32(self.sorted.first().map_or(0, Vec::len) as u32);
        self.sorted.iter().zip(&self.moments).fold(model, |model, (column, moments)| {
            let Moments { count, mean, second, third } = *moments;
            model.f64s(&[count, mean, second, third]).f64s(column)
        })
    }

    /// Reads them from a model.
    pub fn read(model: &mut Reader<'_>, features: usize) -> Result<Self, Cause> {
        let rows = model.u32()? as usize;
        let (mut sorted, mut moments) = (Vec::new(), Vec::new());
        for _ in 0..features {
            moments.push(Moments {
                count: model.f64()?,
                mean: model.f64()?,
                second: model.f64()?,
                third: model.f64()?,
            });
            sorted.push(model.f64s(rows)?);
        }
        Ok(Self { sorted, moments })
    }
}

/// Sums of powers of the distances to the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moments {
    count: f64,
    mean: f64,
    second: f64,
    third: f64,
}

impl Moments {
    fn of(values: impl Iterator<Item = f64> + Clone, count: usize) -> Self {
        let count = count as f64;
        let mean = values.clone().sum::<f64>() / count;
        let (second, third) = values.fold((0.0, 0.0), |(second, third), x| {
            let away = x - mean;
            (second + away * away, third + away * away * away)
        });
        Self { count, mean, second, third }
    }

    /// With one value more (Pébay: Formulas for robust, one-pass parallel computation of
    /// covariances and arbitrary-order statistical moments, 2008).
    fn with(self, x: f64) -> Self {
        let Self { count: n, mean, second, third } = self;
        let count = n + 1.0;
        let (away, step) = (x - mean, (x - mean) / count);
        Self {
            count,
            mean: mean + step,
            second: second + away * step * n,
            third: third + away * step * step * n * (n - 1.0) - 3.0 * step * second,
        }
    }

    /// The biased skewness, 0 where the values differ by rounding alone: scipy's `skew`, whose
    /// NaN PyOD makes 0.
    fn skewness(self) -> f64 {
        let (second, third) = (self.second / self.count, self.third / self.count);
        if second <= (f64::EPSILON * self.mean).powi(2) { 0.0 } else { third / second.powf(1.5) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_more_gives_the_moments_of_all() {
        let values = [3.0, -1.0, 4.0, 1.5, 9.0];
        let joined = Moments::of(values[..4].iter().copied(), 4).with(values[4]);
        let whole = Moments::of(values.iter().copied(), 5);
        for (a, b) in [(joined.mean, whole.mean), (joined.second, whole.second), (joined.third, whole.third)] {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }
}
