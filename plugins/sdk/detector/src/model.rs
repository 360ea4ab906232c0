//! Models as bytes: a tag, then numbers and arrays, all little-endian.
//!
//! The tag names plugin and layout. A model of another layout is an error for that row and
//! never read as something else; a new layout needs a new tag.

use crate::Cause;

/// Writes a model.
#[derive(Clone, Debug)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// An empty model of a layout.
    pub fn new(tag: [u8; 4]) -> Self {
        Self(tag.to_vec())
    }

    /// Adds a count.
    pub fn u32(mut self, value: u32) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds a number.
    pub fn f64(self, value: f64) -> Self {
        self.f64s(&[value])
    }

    /// Adds an array, whose length the reader has to know.
    pub fn f64s(mut self, values: &[f64]) -> Self {
        self.0.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        self
    }

    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a model in the order in which it was written.
#[derive(Clone, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Opens a model of a layout. No model yet is [`Cause::Warming`].
    pub fn open(model: &'a [u8], tag: [u8; 4]) -> Result<Self, Cause> {
        match model.strip_prefix(&tag) {
            Some(rest) => Ok(Self(rest)),
            None if model.is_empty() => Err(Cause::Warming),
            None => Err(Cause::Failed("the stored model has another layout; train the batch again".into())),
        }
    }

    /// The next count.
    pub fn u32(&mut self) -> Result<u32, Cause> {
        self.take().map(u32::from_le_bytes)
    }

    /// The next number.
    pub fn f64(&mut self) -> Result<f64, Cause> {
        self.take().map(f64::from_le_bytes)
    }

    /// The next array.
    pub fn f64s(&mut self, count: usize) -> Result<Vec<f64>, Cause> {
        let (values, rest) = count.checked_mul(8).and_then(|n| self.0.split_at_checked(n)).ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(values.as_chunks().0.iter().copied().map(f64::from_le_bytes).collect())
    }

    /// How many numbers are left.
    pub fn remaining(&self) -> usize {
        self.0.len() / 8
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Cause> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(*bytes)
    }
}

fn cut_short() -> Cause {
    Cause::Failed("the stored model is cut short; train the batch again".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_read_as_it_was_written_and_nothing_else_is() {
        let bytes = Writer::new(*b"TST1").u32(2).f64(0.5).f64s(&[1.0, f64::NAN]).finish();
        let mut reader = Reader::open(&bytes, *b"TST1").unwrap();
        assert_eq!((reader.u32().unwrap(), reader.f64().unwrap(), reader.remaining()), (2, 0.5, 2));
        let values = reader.f64s(2).unwrap();
        assert!(values[0] == 1.0 && values[1].is_nan());
        assert!(matches!(reader.f64(), Err(Cause::Failed(_))));
        assert!(matches!(reader.f64s(usize::MAX), Err(Cause::Failed(_))));
        assert!(matches!(Reader::open(&bytes, *b"TST2"), Err(Cause::Failed(_))));
        assert!(matches!(Reader::open(&[], *b"TST1"), Err(Cause::Warming)));
    }
}
