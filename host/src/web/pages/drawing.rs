//! A chart as lines of an SVG and as a sentence: what stands in a page before its scripts do, and
//! instead of them.

use super::moment::number;
use super::range::words;
use crate::desk::Chart;
use crate::series::Millis;

/// How much of the band may lie outside of the values before it is cut: so many times their extent.
const BAND_EXTENT: f64 = 1.0;
/// The part of the height that the scores have, at the bottom.
const SCORES: f64 = 0.22;
/// The least width of a mark.
const LEAST_MARK: f64 = 3.0;

/// The lines of a chart, in a box of `width` and `height`.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    pub width: f64,
    pub height: f64,
    pub value: String,
    pub expected: String,
    pub band: String,
    pub score: String,
    /// Where the threshold lies.
    pub threshold: f64,
    /// Left edges and widths of alerts.
    pub alerts: Vec<(f64, f64)>,
    /// Where events are.
    pub events: Vec<f64>,
}

/// A linear scale.
struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    fn at(&self, value: f64) -> f64 {
        let extent = self.to - self.from;
        let part = if extent > 0.0 { (value - self.from) / extent } else { 0.5 };
        self.start + part.clamp(-0.05, 1.05) * (self.end - self.start)
    }
}

impl Drawing {
    pub fn of(chart: &Chart, width: f64, height: f64) -> Self {
        let times = Scale { from: chart.from as f64, to: chart.to as f64, start: 0.0, end: width };
        let x = |time: Millis| times.at(time as f64);
        let foot = height * (1.0 - SCORES);
        let (from, to) = extent(chart);
        let values = Scale { from, to, start: foot - 4.0, end: 4.0 };
        let scores = Scale { from: 0.0, to: 1.0, start: height - 2.0, end: foot + 4.0 };
        let at = |column: &[Option<f64>], scale: &Scale| -> Vec<Option<(f64, f64)>> {
            let point = |(time, value): (&Millis, &Option<f64>)| value.map(|value| (x(*time), scale.at(value)));
            chart.t.iter().zip(column).map(point).collect()
        };
        let (least, most) = (at(&chart.value_min, &values), at(&chart.value_max, &values));
        let (lower, upper) = (at(&chart.lower, &values), at(&chart.upper, &values));
        let mark = |from: Millis, to: Option<Millis>| {
            let (from, to) = (x(from).max(0.0), x(to.unwrap_or(chart.to)).min(width));
            (from, (to - from).max(LEAST_MARK))
        };
        Self {
            width,
            height,
            value: span_line(&least, &most),
            expected: line(&at(&chart.expected, &values)),
            band: area(&lower, &upper),
            score: line(&at(&chart.score, &scores)),
            threshold: scores.at(chart.threshold),
            alerts: chart.alerts.iter().map(|alert| mark(alert.started, alert.ended)).collect(),
            events: chart.events.iter().map(|event| x(event.start).max(0.0)).collect(),
        }
    }
}

/// The smallest and the largest number that is shown: of the values, and of the band as far as it
/// is near them.
fn extent(chart: &Chart) -> (f64, f64) {
    let fold = |columns: [&[Option<f64>]; 2]| {
        let all = || columns.iter().flat_map(|column| column.iter()).flatten().copied();
        (all().fold(f64::NAN, f64::min), all().fold(f64::NAN, f64::max))
    };
    let (least, most) = fold([&chart.value_min, &chart.value_max]);
    let (lower, upper) = fold([&chart.lower, &chart.upper]);
    if least.is_nan() {
        return (lower, upper);
    }
    let room = (most - least).max(f64::EPSILON) * BAND_EXTENT;
    (least.min(lower.max(least - room)), most.max(upper.min(most + room)))
}

/// Coordinates to a tenth: finer than anybody sees.
fn point(text: &mut String, command: char, (x, y): (f64, f64)) {
    text.push_str(&format!("{command}{x:.1} {y:.1}"));
}

fn line(points: &[Option<(f64, f64)>]) -> String {
    let mut text = String::new();
    let mut open = false;
    for place in points {
        if let Some(place) = place {
            point(&mut text, if open { 'L' } else { 'M' }, *place);
        }
        open = place.is_some();
    }
    text
}

/// A line through the smallest and the largest of each row.
fn span_line(least: &[Option<(f64, f64)>], most: &[Option<(f64, f64)>]) -> String {
    let both: Vec<_> = least
        .iter()
        .zip(most)
        .flat_map(|(least, most)| if least == most { vec![*least] } else { vec![*least, *most] })
        .collect();
    line(&both)
}

/// A point of the lower line and the one above it.
type Pair = ((f64, f64), (f64, f64));

/// What lies between two lines, a piece where both are.
fn area(lower: &[Option<(f64, f64)>], upper: &[Option<(f64, f64)>]) -> String {
    let mut text = String::new();
    let mut pairs: Vec<Pair> = Vec::new();
    let mut close = |pairs: &mut Vec<Pair>| {
        for (index, (_, upper)) in pairs.iter().enumerate() {
            point(&mut text, if index == 0 { 'M' } else { 'L' }, *upper);
        }
        for (lower, _) in pairs.iter().rev() {
            point(&mut text, 'L', *lower);
        }
        if !pairs.is_empty() {
            text.push('Z');
        }
        pairs.clear();
    };
    for (lower, upper) in lower.iter().zip(upper) {
        match (lower, upper) {
            (Some(lower), Some(upper)) => pairs.push((*lower, *upper)),
            _ => close(&mut pairs),
        }
    }
    close(&mut pairs);
    text
}

/// The chart in a sentence or three.
pub(super) fn sentence(chart: &Chart) -> String {
    let fold = |column: &[Option<f64>], with: fn(f64, f64) -> f64| column.iter().flatten().copied().reduce(with);
    let (from, to) = (words(chart.from), words(chart.to));
    let (Some(least), Some(most)) = (fold(&chart.value_min, f64::min), fold(&chart.value_max, f64::max)) else {
        return format!("No samples from {from} to {to} UTC.");
    };
    let last = chart.value_max.iter().rev().flatten().next().copied().unwrap_or(most);
    let mut text = format!(
        "{} points from {from} to {to} UTC: values from {} to {}, the last {}.",
        chart.points,
        number(least),
        number(most),
        number(last)
    );
    if let Some(score) = fold(&chart.score, f64::max) {
        text.push_str(&format!(" The highest score is {score:.2}; alerts begin at {:.2}.", chart.threshold));
    }
    match chart.alerts.len() {
        0 => text.push_str(" No alerts."),
        1 => text.push_str(" One alert."),
        count => text.push_str(&format!(" {count} alerts.")),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_breaks_the_line_and_the_band() {
        let at = |x: f64| Some((x, 1.0));
        assert_eq!(line(&[at(0.0), at(1.0), None, at(3.0)]), "M0.0 1.0L1.0 1.0M3.0 1.0");
        assert_eq!(area(&[at(0.0), None, at(2.0)], &[at(0.0), at(1.0), at(2.0)]).matches('Z').count(), 2);
        assert_eq!(span_line(&[at(0.0), Some((1.0, 2.0))], &[at(0.0), at(1.0)]), "M0.0 1.0L1.0 2.0L1.0 1.0");
    }
}
