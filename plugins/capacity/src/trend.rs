//! A robust line, and the level of a series without its jumps.

/// Medians that a line is drawn through.
const POINTS: usize = 24;
/// A step is a jump from so many times the usual step on.
const JUMP: f64 = 8.0;

/// The median of what is finite; reorders `values`.
pub fn median(values: &mut Vec<f64>) -> Option<f64> {
    values.retain(|v| v.is_finite());
    let half = values.len().checked_sub(1)? / 2;
    let (_, middle, above) = values.select_nth_unstable_by(half, f64::total_cmp);
    let middle = *middle;
    // Of an even number, the mean of the two in the middle.
    let next = above.iter().copied().fold(f64::INFINITY, f64::min);
    Some(if values.len().is_multiple_of(2) { f64::midpoint(middle, next) } else { middle })
}

/// The slope a column by Theil and Sen (P. K. Sen, "Estimates of the regression coefficient
/// based on Kendall's tau", 1968), over the medians of [`POINTS`] equal parts: what is odd in
/// less than half of a part, or in less than 29 % of the parts, moves it little. `None` where
/// more than a third of the parts are empty.
pub fn slope(values: &[f64]) -> Option<f64> {
    let parts = POINTS.min(values.len());
    let mut points: Vec<(f64, f64)> = Vec::with_capacity(parts);
    let mut part = Vec::new();
    for index in 0..parts {
        let (from, to) = (index * values.len() / parts, (index + 1) * values.len() / parts);
        part.clear();
        part.extend_from_slice(&values[from..to]);
        points.extend(median(&mut part).map(|level| ((from + to) as f64 / 2.0, level)));
    }
    if points.len() < 4 || 3 * points.len() < 2 * parts {
        return None;
    }
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (index, (at, level)) in points.iter().enumerate() {
        slopes.extend(points[index + 1..].iter().map(|(then, value)| (value - level) / (then - at)));
    }
    median(&mut slopes)
}

/// The series with its jumps taken out, so that a line sees the growth before and after a
/// cleaning, or a file that was copied: its level after a jump is that before it. A jump is a
/// step that is [`JUMP`] times as large as half of the `memory` steps before it were; of what
/// grows fast for longer, the steps are the usual ones after `memory / 2` columns, and a trend.
pub fn without_jumps(values: &[f64], memory: usize) -> Vec<f64> {
    let memory = memory.max(4);
    let mut sizes: Vec<f64> = Vec::with_capacity(values.len());
    let mut usual = Vec::with_capacity(memory);
    let (mut last, mut jumped) = (f64::NAN, 0.0);
    let mut level = Vec::with_capacity(values.len());
    for value in values {
        if value.is_finite() && last.is_finite() {
            let step = value - last;
            usual.clear();
            usual.extend_from_slice(&sizes[sizes.len().saturating_sub(memory)..]);
            let known = 2 * usual.len() >= memory;
            if known && median(&mut usual).is_some_and(|usual| step.abs() > JUMP * usual) {
                jumped += step;
            }
            sizes.push(step.abs());
        }
        if value.is_finite() {
            last = *value;
        }
        level.push(value - jumped);
    }
    level
}
