//! The time-aligned windows into which a batch's points are cut.
//!
//! A window holds 200 to 500 points of a series at the batch's step. Since windows are
//! aligned, the window of an instant is computed and never looked up, and a late point is
//! a rewrite of one block. When a batch changes its step, windows of another length begin
//! after the last one that has points.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::series::Millis;

const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;

/// The lengths that a window may have.
const LENGTHS: [Millis; 6] = [HOUR, 6 * HOUR, DAY, 7 * DAY, 28 * DAY, 365 * DAY];
/// How many points a window is meant to hold.
const POINTS: f64 = 320.0;
/// How far from that the points of a window may be before another length is taken.
const TOLERANCE: f64 = 4.0;

/// The windows of a batch: which length from which instant on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Windows(Vec<(Millis, Millis)>);

impl Windows {
    /// Chooses the length for points that are `step` apart. `upto` is the newest point that
    /// there is: its window stays as it is.
    pub fn fit(&mut self, step: Millis, upto: Millis) {
        let wanted = nearest(step);
        let Some((_, length)) = self.0.last() else {
            self.0.push((Millis::MIN, wanted));
            return;
        };
        let points = *length as f64 / step.max(1) as f64;
        let fits = (POINTS / TOLERANCE..=POINTS * TOLERANCE).contains(&points);
        if !fits && *length != wanted {
            self.0.push((self.at(upto).end, wanted));
        }
    }

    /// The window of an instant.
    pub fn at(&self, time: Millis) -> Range<Millis> {
        let index = self.0.partition_point(|(from, _)| *from <= time).saturating_sub(1);
        let (from, length) = self.0.get(index).copied().unwrap_or((Millis::MIN, DAY));
        let until = self.0.get(index + 1).map_or(Millis::MAX, |(until, _)| *until);
        let start = time.div_euclid(length).saturating_mul(length);
        start.max(from)..start.saturating_add(length).min(until)
    }
}

/// The length that comes nearest to the wanted number of points, by ratio.
fn nearest(step: Millis) -> Millis {
    let wanted = step.max(1) as f64 * POINTS;
    let distance = |length: &Millis| (*length as f64 / wanted).ln().abs();
    LENGTHS.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_about_300_points_at_the_usual_steps() {
        for (step, length) in [
            (10_000, HOUR),
            (60_000, 6 * HOUR),
            (300_000, DAY),
            (HOUR, 7 * DAY),
            (6 * HOUR, 28 * DAY),
            (DAY, 365 * DAY),
        ] {
            let mut windows = Windows::default();
            windows.fit(step, 0);
            let window = windows.at(1_700_000_000_000);
            assert_eq!(window.end - window.start, length, "step {step}");
            assert_eq!(window.start % length, 0);
        }
    }

    #[test]
    fn another_step_begins_other_windows_after_the_last_points() {
        let mut windows = Windows::default();
        windows.fit(60_000, 0);
        let before = windows.clone();
        windows.fit(50_000, DAY);
        assert_eq!(windows, before, "near enough");
        windows.fit(DAY, DAY + 1);
        assert_eq!(windows.at(DAY), DAY..DAY + 6 * HOUR);
        // The first long window begins where the last short one ends.
        assert_eq!(windows.at(DAY + 6 * HOUR), DAY + 6 * HOUR..365 * DAY);
        assert_eq!(windows.at(365 * DAY).end, 2 * 365 * DAY);
    }

    #[test]
    fn windows_tile_the_line_up_to_its_ends() {
        let mut windows = Windows::default();
        windows.fit(60_000, 0);
        windows.fit(DAY, 5 * DAY);
        windows.fit(10_000, 800 * DAY);
        let mut time = -2 * DAY;
        while time < 900 * DAY {
            let window = windows.at(time);
            assert!(window.contains(&time));
            assert_eq!(windows.at(window.end - 1), window);
            assert_eq!(windows.at(window.end).start, window.end);
            time = window.end;
        }
        assert!(windows.at(Millis::MIN).contains(&Millis::MIN));
        assert_eq!(windows.at(Millis::MAX).end, Millis::MAX);
    }
}
