//! One panel: its axis of values, and the lines, bands and spans in it.

use std::ops::Range;

use super::axis::{self, Mark};
use super::canvas::{Anchor, Canvas, Ink, Stroke, fitted};
use super::frame::SMALL;
use super::{ChartInput, ChartSeries};
use crate::message::Unit;
use crate::series::{Grid, Millis};

pub(super) const TEXT: Ink = Ink(51, 51, 51, 255);
pub(super) const GRID: Ink = Ink(226, 226, 226, 255);
/// Blue.
pub(super) const VALUE: Ink = Ink(0, 114, 178, 255);
/// Sky blue.
pub(super) const BAND: Ink = Ink(86, 180, 233, 90);
/// Orange.
pub(super) const ALERT: Ink = Ink(230, 159, 0, 70);
/// Vermilion.
pub(super) const LIMIT: Ink = Ink(213, 94, 0, 255);
/// Green.
pub(super) const MARKER: Ink = Ink(0, 130, 95, 255);
const SCORE: Ink = Ink(70, 70, 70, 255);
const FRAME: Ink = Ink(150, 150, 150, 255);
/// What is larger is drawn at the edge.
const LARGEST: f64 = 1e300;

/// Where a panel is, and which span of time it shows.
#[derive(Clone, Debug)]
pub(super) struct Area {
    pub left: f32,
    pub top: f32,
    pub right: f32,
    pub bottom: f32,
    pub span: Range<Millis>,
}

impl Area {
    pub fn x(&self, time: Millis) -> f32 {
        let length = self.span.end.saturating_sub(self.span.start).max(1) as f64;
        let part = time.saturating_sub(self.span.start) as f64 / length;
        self.left + (self.right - self.left) * part.clamp(0.0, 1.0) as f32
    }
}

/// How a panel of values is drawn.
#[derive(Clone, Copy)]
pub(super) struct Values {
    /// Marks on the axis.
    pub marks: usize,
    /// Pixels of the line.
    pub line: f32,
}

/// A panel with its range of values.
struct Plot<'a> {
    area: &'a Area,
    grid: &'a Grid,
    low: f64,
    high: f64,
}

impl Plot<'_> {
    fn y(&self, value: f64) -> f32 {
        let part = (value.clamp(-LARGEST, LARGEST) / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        self.area.bottom - (self.area.bottom - self.area.top) * part.clamp(0.0, 1.0) as f32
    }

    fn columns(&self) -> usize {
        self.grid.columns
    }

    fn x(&self, column: usize) -> f32 {
        self.area.x(self.grid.time(column))
    }

    /// Columns that share a pixel, if there are more of them than pixels.
    fn stride(&self) -> usize {
        let pixels = ((self.area.right - self.area.left) as usize).max(1);
        self.columns().div_ceil(pixels).max(1)
    }

    /// The points of a row, as stretches between gaps; of a pixel with several, its first
    /// lowest and highest in the order in which they came.
    fn stretches(&self, row: &[f64], shown: impl Fn(usize) -> bool) -> Vec<Vec<(f32, f32)>> {
        let stride = self.stride();
        let mut stretches = vec![Vec::new()];
        for from in (0..self.columns()).step_by(stride) {
            let cells = (from..from + stride)
                .filter(|column| shown(*column))
                .filter_map(|column| Some((column, *row.get(column).filter(|value| value.is_finite())?)));
            let low = cells.clone().min_by(|a, b| a.1.total_cmp(&b.1));
            let high = cells.max_by(|a, b| a.1.total_cmp(&b.1));
            let (Some(low), Some(high)) = (low, high) else {
                if stretches.last().is_some_and(|stretch| !stretch.is_empty()) {
                    stretches.push(Vec::new());
                }
                continue;
            };
            let Some(stretch) = stretches.last_mut() else { continue };
            let (first, second) = if low.0 <= high.0 { (low, high) } else { (high, low) };
            stretch.push((self.x(first.0), self.y(first.1)));
            if first.0 != second.0 {
                stretch.push((self.x(second.0), self.y(second.1)));
            }
        }
        stretches.retain(|stretch| !stretch.is_empty());
        stretches
    }

    fn line(&self, canvas: &mut Canvas, row: &[f64], ink: Ink, width: f32, shown: impl Fn(usize) -> bool) {
        for stretch in self.stretches(row, shown) {
            match stretch.as_slice() {
                [(x, y)] => canvas.disc(*x, *y, width.max(2.0), ink),
                points => canvas.line(points, Stroke { ink, width, dash: None }),
            }
        }
    }

    /// A row as a dashed line.
    fn dashed(&self, canvas: &mut Canvas, row: &[f64], ink: Ink, width: f32) {
        for stretch in self.stretches(row, |_| true) {
            canvas.line(&stretch, Stroke { ink, width, dash: Some((4.0, 4.0)) });
        }
    }

    /// The area between two rows, in stretches where both are known.
    fn band(&self, canvas: &mut Canvas, lower: &[f64], upper: &[f64]) {
        let stride = self.stride();
        let (mut highs, mut lows) = (Vec::new(), Vec::new());
        for from in (0..=self.columns()).step_by(stride) {
            let cells = (from..from + stride).filter_map(|column| {
                let edges = (*lower.get(column)?, *upper.get(column)?);
                (column < self.columns() && edges.0.is_finite() && edges.1.is_finite()).then_some(edges)
            });
            let widest = cells.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
            if let Some((low, high)) = widest {
                // A band without width is seen, too.
                let (high, low) = (self.y(high), self.y(low));
                let slack = ((5.0 - (low - high)) / 2.0).max(0.0);
                highs.push((self.x(from), high - slack));
                lows.push((self.x(from), low + slack));
            }
            if widest.is_none() || from + stride > self.columns() {
                if let ([(x, high)], [(_, low)]) = (highs.as_slice(), lows.as_slice()) {
                    canvas.rectangle(x - 3.0, *high, x + 3.0, *low, BAND);
                } else if !highs.is_empty() {
                    canvas.area(&highs, &lows, BAND);
                }
                (highs, lows) = (Vec::new(), Vec::new());
            }
        }
    }

    fn across(&self, canvas: &mut Canvas, value: f64, ink: Ink) {
        let y = self.y(value);
        let stroke = Stroke { ink, width: 1.8, dash: Some((9.0, 5.0)) };
        canvas.line(&[(self.area.left, y), (self.area.right, y)], stroke);
    }
}

/// The panel of what came.
pub(super) fn values(
    canvas: &mut Canvas,
    area: &Area,
    times: &[Mark<Millis>],
    input: &ChartInput,
    series: &ChartSeries,
    style: Values,
) {
    shade(canvas, area, series, &input.grid);
    let Some((low, high)) = range(series) else {
        lattice(canvas, area, times, &[], |_| 0.0);
        let middle = (area.top + area.bottom) / 2.0 + 5.0;
        canvas.text((area.left + area.right) / 2.0, middle, SMALL, Anchor::Middle, TEXT, "no data in this span");
        return;
    };
    let plot = Plot { area, grid: &input.grid, low, high };
    lattice(canvas, area, times, &axis::values(low, high, series.unit, style.marks), |value| plot.y(value));
    plot.band(canvas, &series.lower, &series.upper);
    for limit in series.limits.iter().filter(|limit| (low..=high).contains(*limit)) {
        plot.across(canvas, *limit, LIMIT);
    }
    plot.line(canvas, &series.values, VALUE, style.line, |_| true);
    plot.dashed(canvas, &series.forecast, VALUE, style.line);
    // Above the values: before the change it lies among them.
    if let Some(before) = series.before.filter(|before| (low..=high).contains(before)) {
        plot.across(canvas, before, MARKER);
    }
    let alerted = |column: usize| {
        let time = input.grid.time(column);
        series.alerts.iter().any(|alert| alert.contains(&time))
    };
    plot.line(canvas, &series.values, LIMIT, style.line + 1.0, alerted);
}

/// The panel of scores.
pub(super) fn scores(
    canvas: &mut Canvas,
    area: &Area,
    times: &[Mark<Millis>],
    input: &ChartInput,
    series: &ChartSeries,
) {
    shade(canvas, area, series, &input.grid);
    let plot = Plot { area, grid: &input.grid, low: 0.0, high: 1.04 };
    lattice(canvas, area, times, &axis::values(0.0, 1.0, Unit::None, 2), |value| plot.y(value));
    canvas.text(area.left + 6.0, area.top + 16.0, SMALL, Anchor::Start, TEXT, "score");
    if let Some(threshold) = series.threshold {
        plot.across(canvas, threshold, LIMIT);
    }
    plot.line(canvas, &series.scores, SCORE, 1.8, |_| true);
}

/// While there was an alert; at least some pixels of it.
fn shade(canvas: &mut Canvas, area: &Area, series: &ChartSeries, grid: &Grid) {
    for alert in &series.alerts {
        if alert.end < area.span.start || alert.start >= area.span.end {
            continue;
        }
        let until = alert.end.max(alert.start.saturating_add(Millis::from(grid.step_ms)));
        let (left, right) = (area.x(alert.start), area.x(until));
        let slack = ((6.0 - (right - left)) / 2.0).max(0.0);
        let (left, right) = ((left - slack).max(area.left), (right + slack).min(area.right));
        canvas.rectangle(left, area.top, right, area.bottom, ALERT);
    }
}

/// The frame, its marks of value with their names, and the marks of time.
fn lattice(canvas: &mut Canvas, area: &Area, times: &[Mark<Millis>], values: &[Mark<f64>], y: impl Fn(f64) -> f32) {
    for mark in values {
        let y = y(mark.at).round();
        canvas.rectangle(area.left, y, area.right, y + 1.0, GRID);
        let label = fitted(SMALL, &mark.label, area.left - 10.0);
        canvas.text(area.left - 8.0, y + 5.5, SMALL, Anchor::End, TEXT, &label);
    }
    for mark in times {
        let x = area.x(mark.at).round();
        canvas.rectangle(x, area.top, x + 1.0, area.bottom, GRID);
    }
    canvas.rectangle(area.left, area.top, area.left + 1.0, area.bottom, FRAME);
    canvas.rectangle(area.left, area.bottom - 1.0, area.right, area.bottom, FRAME);
}

/// The range of values that is shown: all that came, limits that are not far from it, and of
/// the band no more than as much again on either side.
fn range(series: &ChartSeries) -> Option<(f64, f64)> {
    let ends = |row: &[f64]| {
        let known = row.iter().filter(|x| x.is_finite()).map(|x| x.clamp(-LARGEST, LARGEST));
        known.fold(None, |ends: Option<(f64, f64)>, x| {
            Some(ends.map_or((x, x), |(low, high)| (low.min(x), high.max(x))))
        })
    };
    let came = match (ends(&series.values), ends(&series.forecast)) {
        (Some(came), Some(ahead)) => Some((came.0.min(ahead.0), came.1.max(ahead.1))),
        (came, ahead) => came.or(ahead),
    };
    let band = ends(&series.lower).zip(ends(&series.upper)).map(|(lower, upper)| (lower.0, upper.1));
    let (low, high) = came.or(band)?;
    let size = low.abs().max(high.abs());
    let least = if size > 0.0 { size * 0.02 } else { 1.0 };
    let room = (high - low).max(least);
    let (mut shown_low, mut shown_high) = (low, high);
    if let Some((lower, upper)) = band {
        shown_low = shown_low.min(lower.max(low - 1.5 * room));
        shown_high = shown_high.max(upper.min(high + 1.5 * room));
    }
    let lines = series.limits.iter().chain(&series.before);
    for limit in lines.filter(|limit| (low - 4.0 * room..=high + 4.0 * room).contains(*limit)) {
        shown_low = shown_low.min(*limit);
        shown_high = shown_high.max(*limit);
    }
    let pad = ((shown_high - shown_low) * 0.07).max(least * 0.6);
    let positive = low >= 0.0;
    let (mut bottom, top) = (shown_low - pad, shown_high + pad);
    // From 0 on, where that is near and nothing came below it.
    if positive && (bottom < 0.0 || low < 0.35 * shown_high) {
        bottom = 0.0;
    }
    Some((bottom, top))
}
