//! The history as its windows are cut from it: robustly scaled, gaps bridged and remembered.

/// Deviations beyond so many scales are cut: their squares have to fit into an `f32`.
const FARTHEST: f64 = 1e4;

/// Where the values of a series lie and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaling {
    /// The median.
    pub middle: f64,
    /// The 90 % quantile of the distance to it; a tenth of the largest where that is 0.
    pub spread: f64,
}

impl Scaling {
    /// That of the finite values; `None` if there is none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        if sorted.is_empty() {
            return None;
        }
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted[sorted.len() / 2];
        sorted.iter_mut().for_each(|v| *v = (*v - middle).abs());
        sorted.sort_unstable_by(f64::total_cmp);
        let (wide, widest) = (sorted[(sorted.len() as f64 * 0.9) as usize], sorted[sorted.len() - 1]);
        let spread = [wide, widest / 10.0, 1.0].into_iter().find(|s| *s > 0.0 && s.is_finite()).unwrap_or(1.0);
        Some(Self { middle, spread })
    }

    fn scale(self, value: f64) -> f32 {
        ((value - self.middle) / self.spread).clamp(-FARTHEST, FARTHEST) as f32
    }
}

/// Scaled values, one a column.
#[derive(Clone, Debug)]
pub struct Series {
    values: Vec<f32>,
    present: Vec<bool>,
    /// How many columns before each are present.
    before: Vec<u32>,
}

impl Series {
    /// Scales values. Across a gap the line between its neighbours is taken.
    pub fn new(values: &[f64], scaling: Scaling) -> Self {
        let present: Vec<bool> = values.iter().map(|v| v.is_finite()).collect();
        let mut scaled: Vec<f32> = values.iter().map(|v| if v.is_finite() { scaling.scale(*v) } else { 0.0 }).collect();
        let mut at = 0;
        while let Some(gap) = present[at..].iter().position(|p| !p).map(|offset| at + offset) {
            let end = present[gap..].iter().position(|p| *p).map_or(present.len(), |offset| gap + offset);
            let right = scaled.get(end).copied();
            let left = gap.checked_sub(1).map(|i| scaled[i]).or(right).unwrap_or(0.0);
            let (right, width) = (right.unwrap_or(left), (end - gap + 1) as f32);
            for (step, value) in scaled[gap..end].iter_mut().enumerate() {
                *value = left + (right - left) * (step + 1) as f32 / width;
            }
            at = end;
        }
        let mut before = Vec::with_capacity(present.len() + 1);
        before.push(0);
        present.iter().fold(0, |count, p| {
            before.push(count + u32::from(*p));
            count + u32::from(*p)
        });
        Self { values: scaled, present, before }
    }

    /// Columns.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no column.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether a column has a value of its own.
    pub fn is_present(&self, column: usize) -> bool {
        self.present[column]
    }

    /// Columns of `length` that may begin a window.
    pub fn starts(&self, length: usize) -> usize {
        (self.len() + 1).saturating_sub(length)
    }

    /// Whether at least half of a window has values of its own.
    pub fn is_whole(&self, start: usize, length: usize) -> bool {
        2 * (self.before[start + length] - self.before[start]) as usize >= length
    }

    /// Copies a window, without its mean if it is `centred`. What `out` has beyond it is 0.
    pub fn window(&self, start: usize, length: usize, centred: bool, out: &mut [f32]) {
        let (window, rest) = out.split_at_mut(length);
        window.copy_from_slice(&self.values[start..start + length]);
        rest.fill(0.0);
        if centred {
            let mean = (window.iter().map(|v| f64::from(*v)).sum::<f64>() / length as f64) as f32;
            window.iter_mut().for_each(|v| *v -= mean);
        }
    }

    /// Starts of at most `count` windows that are whole, evenly spread.
    pub fn spread(&self, length: usize, count: usize) -> Vec<usize> {
        let starts = self.starts(length);
        let count = count.min(starts);
        let place = |i: usize| if count > 1 { i * (starts - 1) / (count - 1) } else { 0 };
        (0..count).map(place).filter(|start| self.is_whole(*start, length)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_bridged_and_known() {
        let values = [f64::NAN, 1.0, f64::NAN, f64::NAN, 4.0, f64::NAN];
        let series = Series::new(&values, Scaling { middle: 0.0, spread: 1.0 });
        let mut window = [9.0; 8];
        series.window(0, 6, false, &mut window);
        assert_eq!(window, [1.0, 1.0, 2.0, 3.0, 4.0, 4.0, 0.0, 0.0]);
        assert!(!series.is_present(2) && series.is_present(4));
        assert!(series.is_whole(1, 4) && !series.is_whole(0, 6));
    }

    #[test]
    fn the_scale_of_a_nearly_flat_series_is_its_largest_step() {
        let mut values = vec![5.0; 100];
        values[40] = 25.0;
        assert_eq!(Scaling::of(&values), Some(Scaling { middle: 5.0, spread: 2.0 }));
        assert_eq!(Scaling::of(&[5.0; 3]), Some(Scaling { middle: 5.0, spread: 1.0 }));
        assert_eq!(Scaling::of(&[f64::NAN]), None);
    }
}
