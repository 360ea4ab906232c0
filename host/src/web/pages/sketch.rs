//! A series as lines of SVG: what came within what was expected, the score below it, and the
//! time of an alert shaded. Nothing in it depends on script.

use std::fmt::Write as _;
use std::ops::Range;

use crate::alert::chart;
use crate::desk::AroundPoint;
use crate::message::Unit;
use crate::series::Millis;

pub(super) const WIDTH: f64 = 720.0;
pub(super) const HEIGHT: f64 = 270.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 712.0;
/// Top and bottom of the values, and of the scores.
const VALUES: (f64, f64) = (10.0, 180.0);
const SCORES: (f64, f64) = (198.0, 244.0);

/// A mark: where, and what is written there.
pub(super) struct Label {
    pub at: f64,
    pub text: String,
}

/// The parts of the picture.
pub(super) struct Sketch {
    /// Paths, as `d` has them.
    pub value: String,
    pub band: String,
    pub score: String,
    /// Left edge and width of the alert.
    pub alert: (f64, f64),
    /// The height of the threshold among the scores.
    pub threshold: Option<f64>,
    pub times: Vec<Label>,
    pub values: Vec<Label>,
}

impl Sketch {
    /// A picture of points in a span with an alert in it; `None` where there is nothing to draw.
    pub fn of(
        points: &[AroundPoint],
        span: &Range<Millis>,
        alert: &Range<Millis>,
        threshold: Option<f64>,
    ) -> Option<Self> {
        let wide = (span.end - span.start).max(1) as f64;
        let x = |time: Millis| LEFT + (RIGHT - LEFT) * ((time - span.start) as f64 / wide).clamp(0.0, 1.0);
        let numbers = || points.iter().flat_map(|point| [Some(point.value), point.lower, point.upper]).flatten();
        let (low, high) = (numbers().reduce(f64::min)?, numbers().reduce(f64::max)?);
        let (low, high) = if high > low { (low, high) } else { (low - 1.0, high + 1.0) };
        let y = |value: f64| VALUES.1 - (VALUES.1 - VALUES.0) * ((value - low) / (high - low)).clamp(0.0, 1.0);
        let z = |score: f64| SCORES.1 - (SCORES.1 - SCORES.0) * score.clamp(0.0, 1.0);
        let (left, right) = (x(alert.start), x(alert.end));
        let gap = gap(points);
        let line = |height: &dyn Fn(&AroundPoint) -> Option<f64>| {
            let (mut path, mut last) = (String::new(), None);
            for point in points {
                let Some(at) = height(point) else { continue };
                let goes_on = last.is_some_and(|last| point.time - last <= gap);
                let _ = write!(path, "{}{:.1} {at:.1}", if goes_on { "L" } else { "M" }, x(point.time));
                last = Some(point.time);
            }
            path
        };
        let mut band = String::new();
        for run in points.chunk_by(|a, b| edges(a).is_some() == edges(b).is_some() && b.time - a.time <= gap) {
            let upper = run.iter().filter_map(|point| Some((x(point.time), y(edges(point)?.1))));
            let lower = run.iter().rev().filter_map(|point| Some((x(point.time), y(edges(point)?.0))));
            for (index, (x, y)) in upper.chain(lower).enumerate() {
                let _ = write!(band, "{}{x:.1} {y:.1}", if index == 0 { "M" } else { "L" });
            }
            if run.first().is_some_and(|point| edges(point).is_some()) {
                band.push('Z');
            }
        }
        let times = chart::times(span, chrono_tz::Tz::UTC, 6).into_iter();
        let values = chart::values(low, high, Unit::default(), 5).into_iter();
        Some(Self {
            value: line(&|point| Some(y(point.value))),
            score: line(&|point| point.score.map(z)),
            band,
            alert: (left, (right - left).max(2.0)),
            threshold: threshold.filter(|t| (0.0..=1.0).contains(t)).map(z),
            times: times.map(|mark| Label { at: x(mark.at), text: mark.label }).collect(),
            values: values.map(|mark| Label { at: y(mark.at), text: mark.label }).collect(),
        })
    }
}

fn edges(point: &AroundPoint) -> Option<(f64, f64)> {
    Some((point.lower?, point.upper?))
}

/// The longest time between two points that a line still bridges: some times what is usual.
fn gap(points: &[AroundPoint]) -> Millis {
    let mut steps: Vec<Millis> =
        points.windows(2).filter_map(|pair| Some(pair.last()?.time - pair.first()?.time)).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).copied().unwrap_or(60_000).saturating_mul(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(time: Millis, value: f64) -> AroundPoint {
        AroundPoint { time, value, score: Some(0.5), lower: Some(0.0), upper: Some(10.0) }
    }

    #[test]
    fn a_gap_in_the_samples_is_a_gap_in_the_line() {
        let mut points: Vec<_> = (0..10).map(|n| point(n * 60_000, 5.0)).collect();
        points.extend((30..40).map(|n| point(n * 60_000, 5.0)));
        let sketch = Sketch::of(&points, &(0..2_400_000), &(600_000..1_200_000), Some(0.8)).unwrap();
        assert_eq!((sketch.value.matches('M').count(), sketch.band.matches('Z').count()), (2, 2));
        assert!(sketch.alert.0 > LEFT && sketch.alert.1 > 2.0);
        assert!(!sketch.times.is_empty() && !sketch.values.is_empty());
    }

    #[test]
    fn nothing_is_no_picture_and_one_value_is_one() {
        assert!(Sketch::of(&[], &(0..1), &(0..1), None).is_none());
        let flat = Sketch::of(&[point(0, 5.0)], &(0..60_000), &(0..60_000), None).unwrap();
        assert!(flat.value.starts_with('M') && !flat.value.contains("NaN"));
    }
}
