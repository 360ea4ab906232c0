//! The k smallest of many distances, in a binary heap with the largest on top.

/// Distances with the rows that they belong to.
pub struct Heap {
    items: Vec<(f64, usize)>,
}

impl Heap {
    /// Of `size` places, which are infinitely far away at first.
    pub fn new(size: usize) -> Self {
        Self { items: vec![(f64::INFINITY, 0); size] }
    }

    /// The largest distance that is kept.
    pub fn largest(&self) -> f64 {
        self.items.first().map_or(f64::NEG_INFINITY, |(distance, _)| *distance)
    }

    /// Keeps a distance in place of the largest, if it is smaller.
    pub fn push(&mut self, distance: f64, row: usize) {
        if distance >= self.largest() {
            return;
        }
        let mut place = 0;
        loop {
            // The larger of the two below moves up; of equal ones the left.
            let left = 2 * place + 1;
            let Some(below) = self.items.get(left) else { break };
            let child = match self.items.get(left + 1) {
                Some(right) if right.0 > below.0 => left + 1,
                _ => left,
            };
            if self.items[child].0 <= distance {
                break;
            }
            self.items[place] = self.items[child];
            place = child;
        }
        self.items[place] = (distance, row);
    }

    /// What was kept, ascending; of equals the first row first.
    pub fn sorted(mut self) -> Vec<(f64, usize)> {
        self.items.retain(|(distance, _)| distance.is_finite());
        self.items.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_are_kept_and_of_equals_the_first() {
        let mut heap = Heap::new(3);
        for (row, distance) in [4.0, 1.0, 2.0, 2.0, 5.0, 2.0].into_iter().enumerate() {
            heap.push(distance, row);
        }
        assert_eq!(heap.sorted(), [(1.0, 1), (2.0, 2), (2.0, 3)]);
        let mut few = Heap::new(3);
        few.push(7.0, 9);
        assert_eq!(few.sorted(), [(7.0, 9)]);
    }
}
