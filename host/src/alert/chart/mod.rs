//! The picture of an alert: what came within what was expected, and below it the score, as
//! in Anomstack; or several series below each other on one axis of time, so that the order
//! in which they broke is seen.
//!
//! Pure and deterministic: equal input gives equal bytes. No input is too odd to be drawn:
//! what is NaN is a gap, what is too many points is thinned to the highest and lowest of each
//! pixel, and of nothing there is an empty frame. Colours are those of Okabe and Ito ("Color
//! Universal Design", 2008), which colour-blind people tell apart; and no meaning hangs on
//! colour alone.

mod axis;
mod canvas;
mod frame;
mod panel;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use axis::{Mark, times, values};
use chrono_tz::Tz;

use crate::message::Unit;
use crate::series::{Grid, Millis};

/// Series in one picture.
pub const SERIES: usize = 6;

/// What is drawn.
#[derive(Clone, Debug)]
pub struct ChartInput {
    /// One line.
    pub title: String,
    /// The axis of time of all series.
    pub grid: Grid,
    /// The zone in which time is told.
    pub zone: Tz,
    /// One has a panel of scores below it; of several, the first [`SERIES`] are drawn.
    pub series: Vec<ChartSeries>,
    /// What happened meanwhile: deploys, say.
    pub markers: Vec<ChartMarker>,
}

/// A series of a picture. Rows have a value for each column of the grid; NaN, or a row that
/// is too short, is a gap.
#[derive(Clone, Debug, Default)]
pub struct ChartSeries {
    /// What stands above it where there are several.
    pub name: String,
    /// What it counts.
    pub unit: Unit,
    /// What came.
    pub values: Vec<f64>,
    /// The lower edge of what was expected.
    pub lower: Vec<f64>,
    /// The upper edge.
    pub upper: Vec<f64>,
    /// 0 to 1.
    pub scores: Vec<f64>,
    /// From which score on people are told.
    pub threshold: Option<f64>,
    /// How it goes on, as it is foreseen.
    pub forecast: Vec<f64>,
    /// Limits that must not be crossed, drawn as lines.
    pub limits: Vec<f64>,
    /// The level before a change, drawn as a line.
    pub before: Option<f64>,
    /// While there was an alert.
    pub alerts: Vec<Range<Millis>>,
}

/// Something that happened at an instant or in a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartMarker {
    /// When it began.
    pub start: Millis,
    /// When it was over.
    pub end: Option<Millis>,
    /// What it was, in a word or two.
    pub name: String,
}

/// The picture as a PNG of at most so many bytes; `None` where it cannot be made so small.
pub fn draw(input: &ChartInput, bytes: usize) -> Option<Vec<u8>> {
    frame::draw(input)?.png(bytes)
}
