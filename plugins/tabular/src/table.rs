//! Rows of features, as one slice.

/// A row-major table whose values are finite; at least one column.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    values: &'a [f64],
    features: usize,
}

impl<'a> Table<'a> {
    /// Of rows of `features` values; what is left over after the last whole row is dropped.
    pub fn new(values: &'a [f64], features: usize) -> Self {
        Self { values, features: features.max(1) }
    }

    /// The number of columns.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.features
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All values, row by row.
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// A row.
    pub fn row(&self, index: usize) -> &'a [f64] {
        &self.values[index * self.features..][..self.features]
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &'a [f64]> + Clone + use<'a> {
        self.values.chunks_exact(self.features)
    }

    /// A column.
    pub fn column(&self, index: usize) -> impl Iterator<Item = f64> + Clone + use<'a> {
        self.rows().map(move |row| row[index])
    }
}

/// The squared Euclidean distance between two rows.
pub fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// The product of two rows.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}
