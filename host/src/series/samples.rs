//! Irregular samples of many series, as columns.

use super::{LabelError, Labels, Millis};

/// What a series measures, as far as its source knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The source does not say.
    #[default]
    Unknown,
    /// Goes up and down.
    Gauge,
    /// Only goes up, but for resets.
    Counter,
}

/// Samples of many series. Series `i` owns `offsets[i]..offsets[i + 1]` of both columns.
///
/// A value of this type is sound: see [`Samples::new`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    keys: Vec<Labels>,
    kinds: Vec<Kind>,
    offsets: Vec<usize>,
    timestamps: Vec<Millis>,
    values: Vec<f64>,
}

/// What is wrong with columns that claim to be samples.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// The lengths of the columns do not fit together.
    #[error("{keys} series have {kinds} kinds, {offsets} offsets, {timestamps} timestamps and {values} values")]
    Lengths {
        /// Series.
        keys: usize,
        /// Kinds: none, or one a series.
        kinds: usize,
        /// Offsets: one more than series.
        offsets: usize,
        /// Timestamps.
        timestamps: usize,
        /// Values: as many as timestamps.
        values: usize,
    },
    /// Offsets do not ascend from 0 to the number of values.
    #[error("the offsets of series {0} are not in order")]
    Offsets(usize),
    /// Timestamps of a series do not ascend.
    #[error("the timestamps of series {0} do not ascend")]
    Order(String),
    /// Two series have the same labels.
    #[error("series {0} stands twice")]
    Twice(String),
    /// A label set is unsound.
    #[error(transparent)]
    Labels(#[from] LabelError),
}

impl Samples {
    /// Checks what the contract promises: lengths that fit, offsets in order, timestamps
    /// that strictly ascend within a series, no two equal label sets.
    ///
    /// A series whose key is `None` is checked like the others, and left out.
    pub fn new<K: Into<Option<Labels>>>(
        keys: Vec<K>,
        kinds: Vec<Kind>,
        offsets: Vec<usize>,
        timestamps: Vec<Millis>,
        values: Vec<f64>,
    ) -> Result<Self, SampleError> {
        let lengths = timestamps.len() == values.len()
            && offsets.len() == keys.len() + 1
            && (kinds.is_empty() || kinds.len() == keys.len());
        if !lengths {
            return Err(SampleError::Lengths {
                keys: keys.len(),
                kinds: kinds.len(),
                offsets: offsets.len(),
                timestamps: timestamps.len(),
                values: values.len(),
            });
        }
        if offsets.first() != Some(&0) || offsets.last() != Some(&values.len()) {
            return Err(SampleError::Offsets(0));
        }
        let keys: Vec<Option<Labels>> = keys.into_iter().map(Into::into).collect();
        let mut seen = std::collections::HashSet::new();
        for (index, (key, bounds)) in keys.iter().zip(offsets.windows(2)).enumerate() {
            let range = match bounds {
                [from, to] if from <= to => *from..*to,
                _ => return Err(SampleError::Offsets(index)),
            };
            let times = timestamps.get(range).ok_or(SampleError::Offsets(index))?;
            if !times.is_sorted_by(|a, b| a < b) {
                return Err(SampleError::Order(key.as_ref().map_or(format!("{index}"), ToString::to_string)));
            }
            if let Some(key) = key
                && !seen.insert(key)
            {
                return Err(SampleError::Twice(key.to_string()));
            }
        }
        if keys.iter().all(Option::is_some) {
            let keys = keys.into_iter().flatten().collect();
            return Ok(Self { keys, kinds, offsets, timestamps, values });
        }
        let mut kept = Self { offsets: vec![0], ..Self::default() };
        for (index, (key, bounds)) in keys.into_iter().zip(offsets.windows(2)).enumerate() {
            let (Some(key), [from, to]) = (key, bounds) else { continue };
            kept.keys.push(key);
            kept.kinds.extend(kinds.get(index));
            kept.timestamps.extend(timestamps.get(*from..*to).unwrap_or_default());
            kept.values.extend(values.get(*from..*to).unwrap_or_default());
            kept.offsets.push(kept.values.len());
        }
        Ok(kept)
    }

    /// How many series.
    pub fn series_count(&self) -> usize {
        self.keys.len()
    }

    /// How many samples, over all series.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Each series with its kind, timestamps and values.
    pub fn iter(&self) -> impl Iterator<Item = (&Labels, Kind, &[Millis], &[f64])> {
        self.keys.iter().zip(self.offsets.windows(2)).enumerate().map(|(index, (key, bounds))| {
            let kind = self.kinds.get(index).copied().unwrap_or_default();
            let range = match bounds {
                [from, to] => *from..*to,
                _ => 0..0,
            };
            let times = self.timestamps.get(range.clone()).unwrap_or_default();
            (key, kind, times, self.values.get(range).unwrap_or_default())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Labels {
        Labels::new([("__name__".to_owned(), name.to_owned())]).unwrap()
    }

    #[test]
    fn unsound_columns_are_refused() {
        let ok = Samples::new(vec![key("a"), key("b")], vec![], vec![0, 2, 2], vec![1, 2], vec![1.0, 2.0]).unwrap();
        assert_eq!(ok.iter().map(|s| s.2.len()).collect::<Vec<_>>(), [2, 0]);
        for (offsets, times, values) in [
            (vec![0, 2], vec![1, 2], vec![1.0, 2.0]),
            (vec![0, 2, 2], vec![1], vec![1.0, 2.0]),
            (vec![0, 3, 2], vec![1, 2], vec![1.0, 2.0]),
            (vec![0, 2, 2], vec![2, 2], vec![1.0, 2.0]),
            (vec![0, 2, 1_000_000_000], vec![1, 2], vec![1.0, 2.0]),
        ] {
            assert!(Samples::new(vec![key("a"), key("b")], vec![], offsets, times, values).is_err());
        }
        let twice = Samples::new(vec![key("a"), key("a")], vec![], vec![0, 0, 0], vec![], vec![]);
        assert_eq!(twice, Err(SampleError::Twice("a".into())));
    }
}
