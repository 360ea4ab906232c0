//! Series as shapes of an SVG: a page stretches them to its width, so texts are no part of them.
//!
//! Shapes lie in a box of [`WIDTH`] × [`HEIGHT`]; places of texts are in per cent of it. A plot
//! has [`BUCKETS`] columns at most, however long its span: the highest and lowest of each are
//! drawn. All that is here are numbers, but for the names of marks.

use std::fmt::Write as _;
use std::ops::Range;

use chrono_tz::Tz;
use serde::Serialize;

use super::trial::{Fired, Row};
use crate::alert::chart;
use crate::message::Unit;
use crate::series::Millis;

/// The box of a shape.
const WIDTH: f64 = 1_000.0;
/// See [`WIDTH`].
const HEIGHT: f64 = 100.0;
/// Columns of a plot.
const BUCKETS: usize = 480;
/// Columns of a strip.
const CELLS: usize = 192;
/// The narrowest shape that a phone shows.
const NARROWEST: f64 = 4.0;

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mark {
    /// In per cent, from the left or the top.
    pub at: f64,
    /// What is written there.
    pub label: String,
}

/// A part of an axis of time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bar {
    /// Its left edge.
    pub x: f64,
    /// Its width.
    pub width: f64,
}

/// A series in pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plot {
    /// What came.
    pub line: String,
    /// What was expected.
    pub band: String,
    /// The scores of each configuration.
    pub scores: Vec<String>,
    /// The axis of values.
    pub values: Vec<Mark>,
}

/// The marks of a span.
pub fn times(span: &Range<Millis>, zone: Tz) -> Vec<Mark> {
    let length = (span.end - span.start).max(1) as f64;
    let mark =
        |mark: chart::Mark<Millis>| Mark { at: percent((mark.at - span.start) as f64 / length), label: mark.label };
    // A mark at an edge would be cut off.
    chart::times(span, zone, 8).into_iter().map(mark).filter(|mark| (3.0..=97.0).contains(&mark.at)).collect()
}

fn percent(part: f64) -> f64 {
    tenth(part * 100.0)
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The spans of alerts.
pub fn bars<'a>(fired: impl IntoIterator<Item = &'a Fired>, span: &Range<Millis>) -> Vec<Bar> {
    let length = (span.end - span.start).max(1) as f64;
    let bar = |fired: &Fired| {
        let own = fired.span(span);
        let x = ((own.start - span.start) as f64 / length * WIDTH).clamp(0.0, WIDTH - NARROWEST);
        let width = (own.end.min(span.end) - own.start) as f64 / length * WIDTH;
        Bar { x: tenth(x), width: tenth(width.max(NARROWEST)) }
    };
    fired.into_iter().map(bar).collect()
}

/// The lowest and highest of each bucket of a row; `None` where a bucket has nothing.
fn buckets(row: &[f64], most: usize) -> Vec<Option<(f64, f64)>> {
    let count = row.len().min(most).max(1);
    let edge = |bucket: usize| bucket * row.len() / count;
    let bucket = |index: usize| {
        let cells = row.get(edge(index)..edge(index + 1)).unwrap_or_default();
        let finite = cells.iter().copied().filter(|value| value.is_finite());
        finite.fold(None, |range: Option<(f64, f64)>, value| {
            let (low, high) = range.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        })
    };
    (0..count).map(bucket).collect()
}

/// The values between which a plot lies.
#[derive(Clone, Copy, Debug)]
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// All values, and of what was expected as much as leaves the values to be seen.
    fn of(row: &Row) -> Self {
        let range = |rows: &[&[f64]]| {
            let finite = rows.iter().flat_map(|row| row.iter()).copied().filter(|value| value.is_finite());
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
        };
        let (low, high) = range(&[&row.values]);
        if low > high {
            return Self { low: 0.0, high: 1.0 };
        }
        let room = if high > low { (high - low) * 0.5 } else { (low.abs() * 0.1).max(1.0) };
        let (lowest, highest) = range(&[&row.lower, &row.upper]);
        let low_edge = low.min(lowest).max(low - room);
        let high_edge = high.max(highest).min(high + room);
        let pad = if high_edge > low_edge { (high_edge - low_edge) * 0.05 } else { room };
        Self { low: low_edge - pad, high: high_edge + pad }
    }

    fn y(&self, value: f64) -> f64 {
        let part = (self.high - value) / (self.high - self.low);
        tenth((if part.is_finite() { part } else { 0.5 }).clamp(-1.0, 2.0) * HEIGHT)
    }
}

fn x(bucket: usize, count: usize) -> f64 {
    tenth((bucket as f64 + 0.5) / count.max(1) as f64 * WIDTH)
}

/// A line through a row; a gap is a gap.
fn line(row: &[f64], scale: Scale) -> String {
    let buckets = buckets(row, BUCKETS);
    let mut path = String::new();
    let mut open = false;
    for (index, bucket) in buckets.iter().enumerate() {
        let Some((low, high)) = bucket else {
            open = false;
            continue;
        };
        let (x, low, high) = (x(index, buckets.len()), scale.y(*low), scale.y(*high));
        // A point alone is a line of no length, with a round end.
        let _ = write!(path, "{}{x} {high}", if open { 'L' } else { 'M' });
        let _ = write!(path, "V{low}");
        open = true;
    }
    path
}

/// The area between two rows.
fn area(lower: &[f64], upper: &[f64], scale: Scale) -> String {
    let (lower, upper) = (buckets(lower, BUCKETS), buckets(upper, BUCKETS));
    let count = lower.len();
    let edges: Vec<Option<(f64, f64)>> = lower
        .iter()
        .zip(&upper)
        .map(|(low, high)| Some((scale.y(low.as_ref()?.0), scale.y(high.as_ref()?.1))))
        .collect();
    let mut path = String::new();
    let mut from = 0;
    for run in edges.split(Option::is_none) {
        let points = || run.iter().flatten().enumerate().map(|(at, edges)| (x(from + at, count), *edges));
        for (at, (x, (_, high))) in points().enumerate() {
            let _ = write!(path, "{}{x} {high}", if at == 0 { 'M' } else { 'L' });
        }
        for (x, (low, _)) in points().collect::<Vec<_>>().into_iter().rev() {
            let _ = write!(path, "L{x} {low}");
        }
        if !run.is_empty() {
            path.push('Z');
        }
        from += run.len() + 1;
    }
    path
}

impl Plot {
    /// A series, as the first configuration saw it, with the scores of all.
    pub fn of(rows: &[Option<Row>], unit: Unit) -> Option<Self> {
        let first = rows.iter().flatten().next()?;
        let scale = Scale::of(first);
        let marks = chart::values(scale.low, scale.high, unit, 4);
        let mark = |mark: chart::Mark<f64>| Mark { at: scale.y(mark.at), label: mark.label };
        let score = |row: &Option<Row>| {
            row.as_ref().map(|row| line(&row.scores, Scale { low: -0.03, high: 1.03 })).unwrap_or_default()
        };
        Some(Self {
            line: line(&first.values, scale),
            band: area(&first.lower, &first.upper, scale),
            scores: rows.iter().map(score).collect(),
            values: marks.into_iter().map(mark).filter(|mark| (4.0..=96.0).contains(&mark.at)).collect(),
        })
    }
}

/// Where a threshold lies in the panel of scores, in per cent from the top.
pub fn threshold(value: f64) -> f64 {
    Scale { low: -0.03, high: 1.03 }.y(value)
}

/// The highest score of each cell as a part of the threshold: shapes of four depths, from a
/// quarter of it to all of it.
pub fn strip(scores: &[f64], threshold: f64) -> Vec<String> {
    let buckets = buckets(scores, CELLS);
    let depth = |bucket: &Option<(f64, f64)>| {
        bucket.map_or(0, |(_, high)| (high / threshold.max(f64::MIN_POSITIVE) * 4.0).floor().clamp(0.0, 4.0) as usize)
    };
    let depths: Vec<usize> = buckets.iter().map(depth).collect();
    let mut paths = vec![String::new(); 4];
    let edge = |cell: usize| tenth(cell as f64 / depths.len().max(1) as f64 * WIDTH);
    let mut from = 0;
    for run in depths.chunk_by(|a, b| a == b) {
        let to = from + run.len();
        let path = run.first().and_then(|depth| paths.get_mut(depth.checked_sub(1)?));
        if let Some(path) = path {
            let _ = write!(path, "M{} 0H{}V{HEIGHT}H{}Z", edge(from), edge(to), edge(from));
        }
        from = to;
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_gaps_and_however_many_points_a_bounded_length() {
        let scale = Scale { low: 0.0, high: 10.0 };
        assert_eq!(line(&[0.0, 10.0, f64::NAN, 5.0], scale), "M125 100V100L375 0V0M875 50V50");
        let long: Vec<f64> = (0..100_000).map(|n| f64::from(n % 10)).collect();
        assert!(line(&long, scale).len() < BUCKETS * 24);
        assert_eq!(line(&[], scale), "");
    }

    #[test]
    fn an_area_is_closed_at_gaps() {
        let scale = Scale { low: 0.0, high: 10.0 };
        let nan = f64::NAN;
        assert_eq!(area(&[0.0, nan, 0.0], &[10.0, nan, 5.0], scale), "M166.7 0L166.7 100ZM833.3 50L833.3 100Z");
    }

    #[test]
    fn a_strip_is_deepest_where_the_threshold_is_reached() {
        let strip = strip(&[0.0, 0.8, 0.8, 0.4], 0.8);
        assert_eq!(strip, ["", "M750 0H1000V100H750Z", "", "M250 0H750V100H250Z"]);
    }

    #[test]
    fn a_series_without_any_value_has_a_plot() {
        let row = Row { values: vec![f64::NAN; 4], ..Row::default() };
        let plot = Plot::of(&[Some(row)], Unit::None).unwrap();
        assert_eq!((plot.line.as_str(), plot.band.as_str()), ("", ""));
    }
}
