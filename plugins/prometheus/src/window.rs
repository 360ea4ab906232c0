//! The instants of a window.

use anomd_ingester::Window;

/// The multiples of the step in the half-open window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instants {
    /// The first.
    pub start: i64,
    /// After the last.
    pub end: i64,
    /// Milliseconds between two.
    pub step: i64,
}

impl Instants {
    /// None if there is no multiple of the step in the window.
    pub fn of(window: &Window) -> Option<Self> {
        let step = i64::from(window.step.max(1));
        let (start, end) = (round_up(window.start, step)?, round_up(window.end, step)?);
        (start < end).then_some(Self { start, end, step })
    }

    /// The newest alone.
    pub fn newest(self) -> Self {
        Self { start: self.end - self.step, ..self }
    }

    /// At most `points` of them, from `from` on.
    pub fn part(self, from: i64, points: u32) -> Self {
        let end = from.saturating_add(i64::from(points.max(1)).saturating_mul(self.step));
        Self { start: from, end: end.min(self.end), step: self.step }
    }

    pub fn count(self) -> i64 {
        (self.end - self.start) / self.step
    }

    /// The last instant.
    pub fn last(self) -> i64 {
        self.end - self.step
    }
}

/// The smallest multiple of the step that is not before `time`.
fn round_up(time: i64, step: i64) -> Option<i64> {
    match time.rem_euclid(step) {
        0 => Some(time),
        rest => time.checked_add(step - rest),
    }
}

/// An instant or a length as the API's parameters have it: seconds.
pub fn seconds(millis: i64) -> String {
    // Exact: a double holds milliseconds for 285 000 years, and prints the shortest digits.
    format!("{}", millis as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_the_multiples_of_its_step_and_not_its_end() {
        let of = |start, end, step| Instants::of(&Window { start, end, step }).map(|i| (i.start, i.end, i.count()));
        assert_eq!(of(60_000, 180_000, 60_000), Some((60_000, 180_000, 2)));
        assert_eq!(of(60_001, 180_001, 60_000), Some((120_000, 240_000, 2)));
        assert_eq!(of(60_001, 119_999, 60_000), None);
        assert_eq!(of(180_000, 60_000, 60_000), None);
        assert_eq!(of(-90_000, 0, 60_000), Some((-60_000, 0, 1)));
        assert_eq!(of(i64::MAX - 1, i64::MAX, 60_000), None);
        assert_eq!(of(0, 5, 0), Some((0, 5, 5)));
    }

    #[test]
    fn parts_cover_the_window_once() {
        let all = Instants { start: 0, end: 25, step: 1 };
        let (mut from, mut parts) = (all.start, Vec::new());
        while from < all.end {
            let part = all.part(from, 10);
            parts.push((part.start, part.last()));
            from = part.end;
        }
        assert_eq!(parts, [(0, 9), (10, 19), (20, 24)]);
    }

    #[test]
    fn seconds_are_exact() {
        assert_eq!(seconds(1_700_000_000_123), "1700000000.123");
        assert_eq!(seconds(1_700_000_000_000), "1700000000");
        assert_eq!(seconds(-1500), "-1.5");
    }
}
