//! What surrounds the panels: title, legend, the axis of time, markers.

use super::axis::{self, Mark};
use super::canvas::{Anchor, Canvas, Stroke, fitted, text_width};
use super::panel::{self, ALERT, Area, BAND, LIMIT, MARKER, TEXT, VALUE, Values};
use super::{ChartInput, ChartSeries, SERIES};
use crate::message::text::one_line;
use crate::series::Millis;

/// Sizes in pixels: what is readable in a mail that is 800 wide, and on a phone that shows
/// it half as large.
const WIDTH: f32 = 800.0;
const LEFT: f32 = 92.0;
const RIGHT: f32 = 16.0;
const TOP: f32 = 66.0;
/// The names of markers, above the panels.
const MARKERS: f32 = 18.0;
const TIME_AXIS: f32 = 52.0;
const VALUES: f32 = 228.0;
const SCORES: f32 = 84.0;
const BETWEEN: f32 = 20.0;
const STRIP: f32 = 92.0;
const STRIP_TITLE: f32 = 24.0;
const TITLE: f32 = 19.0;
pub(super) const SMALL: f32 = 15.0;
/// Room of a mark of time.
const MARK: f32 = 84.0;

/// Draws the picture.
pub(super) fn draw(input: &ChartInput) -> Option<Canvas> {
    let series = input.series.get(..SERIES).unwrap_or(&input.series);
    let empty = ChartSeries::default();
    let scored = |series: &ChartSeries| series.threshold.is_some() && series.scores.iter().any(|s| s.is_finite());
    let (single, scores) = match series {
        [] => (Some(&empty), false),
        [only] => (Some(only), scored(only)),
        _ => (None, false),
    };
    let panels = match single {
        Some(_) => VALUES + if scores { BETWEEN + SCORES } else { 0.0 },
        None => series.len() as f32 * (STRIP_TITLE + STRIP),
    };
    let upper = TOP + if input.markers.is_empty() { 0.0 } else { MARKERS };
    let height = upper + panels + TIME_AXIS;
    let mut canvas = Canvas::new(WIDTH as u32, height as u32)?;
    let room = WIDTH - LEFT - RIGHT;
    let title = fitted(TITLE, &one_line(&input.title, 200), WIDTH - 2.0 * RIGHT);
    canvas.text(RIGHT, 28.0, TITLE, Anchor::Start, TEXT, &title);
    legend(&mut canvas, series, scores, !input.markers.is_empty());

    let span = input.grid.start..input.grid.end();
    let marks = axis::times(&span, input.zone, (room / MARK) as usize);
    let area = |top: f32, height: f32| Area {
        left: LEFT,
        top,
        right: WIDTH - RIGHT,
        bottom: top + height,
        span: span.clone(),
    };
    let mut areas = Vec::new();
    match single {
        Some(only) => {
            let values = area(upper, VALUES);
            panel::values(&mut canvas, &values, &marks, input, only, Values { marks: 5, line: 2.2 });
            areas.push(values);
            if scores {
                let below = area(upper + VALUES + BETWEEN, SCORES);
                panel::scores(&mut canvas, &below, &marks, input, only);
                areas.push(below);
            }
        }
        None => {
            for (index, one) in series.iter().enumerate() {
                let top = upper + index as f32 * (STRIP_TITLE + STRIP);
                let name = fitted(SMALL, &one_line(&one.name, 200), room);
                canvas.text(LEFT, top + STRIP_TITLE - 7.0, SMALL, Anchor::Start, TEXT, &name);
                let strip = area(top + STRIP_TITLE, STRIP - 6.0);
                panel::values(&mut canvas, &strip, &marks, input, one, Values { marks: 3, line: 1.8 });
                areas.push(strip);
            }
        }
    }
    markers(&mut canvas, input, &areas);
    let bottom = areas.last().map_or(TOP, |area| area.bottom);
    times(&mut canvas, &area(bottom, 0.0), &marks);
    canvas.text(WIDTH - RIGHT, height - 9.0, SMALL, Anchor::End, TEXT, &axis::caption(&span, input.zone));
    Some(canvas)
}

fn times(canvas: &mut Canvas, area: &Area, marks: &[Mark<Millis>]) {
    let mut free = 0.0;
    for mark in marks {
        let x = area.x(mark.at);
        let half = text_width(SMALL, &mark.label) / 2.0;
        let at = x.clamp(half + 2.0, WIDTH - half - 2.0);
        if at - half < free {
            continue;
        }
        canvas.rectangle(x - 0.5, area.bottom, x + 0.5, area.bottom + 5.0, TEXT);
        canvas.text(at, area.bottom + 20.0, SMALL, Anchor::Middle, TEXT, &mark.label);
        free = at + half + 8.0;
    }
}

/// Markers cross all panels; their names stand at the top, as far as there is room.
fn markers(canvas: &mut Canvas, input: &ChartInput, areas: &[Area]) {
    let mut free = 0.0;
    for marker in &input.markers {
        for (index, area) in areas.iter().enumerate().filter(|(_, area)| area.span.contains(&marker.start)) {
            let x = area.x(marker.start);
            // The first line reaches up to its name.
            let top = if index == 0 { TOP + 4.0 } else { area.top };
            let stroke = Stroke { ink: MARKER, width: 2.0, dash: Some((2.0, 4.0)) };
            canvas.line(&[(x, top), (x, area.bottom)], stroke);
            if let Some(end) = marker.end {
                canvas.rectangle(
                    x,
                    area.bottom - 4.0,
                    area.x(end.min(area.span.end)).max(x + 1.0),
                    area.bottom,
                    MARKER,
                );
            }
        }
        let Some(area) = areas.first().filter(|area| area.span.contains(&marker.start)) else { continue };
        let name = fitted(SMALL, &one_line(&marker.name, 40), 180.0);
        let width = text_width(SMALL, &name);
        let x = (area.x(marker.start) + 5.0).min(area.right - width);
        if x >= free {
            canvas.text(x, TOP + MARKERS - 6.0, SMALL, Anchor::Start, MARKER, &name);
            free = x + width + 8.0;
        }
    }
}

fn legend(canvas: &mut Canvas, series: &[ChartSeries], scores: bool, markers: bool) {
    let any = |has: fn(&ChartSeries) -> bool| series.iter().any(has);
    let line = |ink, dash| {
        move |canvas: &mut Canvas, x: f32, y: f32| {
            canvas.line(&[(x, y), (x + 24.0, y)], Stroke { ink, width: 2.4, dash });
        }
    };
    let area = |ink| {
        move |canvas: &mut Canvas, x: f32, y: f32| {
            canvas.rectangle(x, y - 7.0, x + 24.0, y + 7.0, ink);
        }
    };
    type Sample = Box<dyn Fn(&mut Canvas, f32, f32)>;
    let mut entries: Vec<(Sample, &str)> = Vec::new();
    let mut entry = |shown: bool, sample: Sample, name| {
        if shown {
            entries.push((sample, name));
        }
    };
    let finite = |row: &[f64]| row.iter().any(|x| x.is_finite());
    let banded = any(|s| s.lower.iter().chain(&s.upper).any(|x| x.is_finite()));
    entry(series.iter().any(|s| finite(&s.values)), Box::new(line(VALUE, None)), "came");
    let foreseen = series.iter().any(|s| finite(&s.forecast));
    entry(foreseen, Box::new(line(VALUE, Some((4.0, 4.0)))), "foreseen");
    entry(banded, Box::new(area(BAND)), if foreseen { "likely" } else { "expected" });
    entry(any(|s| !s.limits.is_empty()), Box::new(line(LIMIT, Some((9.0, 5.0)))), "limit");
    entry(any(|s| s.before.is_some()), Box::new(line(MARKER, Some((9.0, 5.0)))), "level before");
    entry(any(|s| !s.alerts.is_empty()), Box::new(area(ALERT)), "alert");
    entry(markers, Box::new(line(MARKER, Some((2.0, 4.0)))), "event");
    let threshold = !any(|s| !s.limits.is_empty());
    entry(scores && threshold, Box::new(line(LIMIT, Some((9.0, 5.0)))), "threshold");
    let mut x = RIGHT;
    for (sample, name) in entries {
        sample(canvas, x, 47.0);
        canvas.text(x + 30.0, 52.0, SMALL, Anchor::Start, TEXT, name);
        x += 30.0 + text_width(SMALL, name) + 22.0;
    }
}
