//! What became of a batch that was tried: its runs, its series as lines, the alerts that it
//! would have raised.

use std::fmt::Write as _;
use std::ops::Range;

use super::moment::number;
use crate::desk::{AlertView, PointView, RunView, instant};
use crate::series::Millis;
use crate::web::api::{BatchProblem, Problem, TrialSeries, TrialView};

/// The size of a line's drawing, in its own units.
const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 80.0;

/// A trial as it is shown.
pub(super) struct Tried {
    /// Why there was none.
    pub refused: Option<String>,
    /// What is wrong with the batch.
    pub problems: Vec<BatchProblem>,
    /// The span that was judged; `None`: nothing was fetched.
    pub span: Option<(String, String)>,
    pub runs: Vec<RunRow>,
    pub series_count: usize,
    pub series: Vec<Line>,
    pub alerts: Vec<AlertRow>,
}

pub(super) struct RunRow {
    pub job: String,
    pub state: String,
    /// The class of its badge.
    pub badge: &'static str,
    pub took: String,
    pub counts: String,
    pub words: Vec<String>,
}

/// A series as it is drawn; the paths are in units of its box.
pub(super) struct Line {
    pub metric: String,
    pub peak: Option<String>,
    /// What a reader hears instead of the drawing.
    pub words: String,
    pub value: String,
    pub band: String,
    /// Alerts: where each begins, and how wide it is.
    pub alerts: Vec<(f64, f64)>,
}

pub(super) struct AlertRow {
    pub metric: String,
    pub kind: &'static str,
    pub from: String,
    pub to: Option<String>,
    pub value: String,
    pub score: String,
}

impl Tried {
    /// What the API would answer.
    pub fn of(tried: Result<TrialView, Problem>) -> Self {
        let empty = Self {
            refused: None,
            problems: Vec::new(),
            span: None,
            runs: Vec::new(),
            series_count: 0,
            series: Vec::new(),
            alerts: Vec::new(),
        };
        match tried {
            Ok(view) => {
                let span = view.from..view.to;
                let lines = view.series.iter().map(|series| Line::of(series, &span, &view.alerts));
                Self {
                    span: (!span.is_empty()).then(|| (instant::text(span.start), instant::text(span.end))),
                    series: lines.collect(),
                    series_count: view.series_count,
                    runs: view.runs.into_iter().map(RunRow::from).collect(),
                    alerts: view.alerts.iter().map(AlertRow::from).collect(),
                    ..empty
                }
            }
            Err(problem) if problem.problems.is_empty() => Self { refused: Some(problem.detail), ..empty },
            Err(problem) => {
                let refused = Some("The batch has errors, so nothing was fetched.".to_owned());
                Self { refused, problems: problem.problems, ..empty }
            }
        }
    }
}

impl From<RunView> for RunRow {
    fn from(run: RunView) -> Self {
        let said = |name: &str, count: u64| count > 0 && !matches!(name, "from" | "to");
        let counts = run.counts.iter().filter(|(name, count)| said(name, **count));
        Self {
            badge: match run.state.as_str() {
                "done" => "good",
                "failed" => "bad",
                "partial" => "warn",
                _ => "",
            },
            took: format!("{} ms", run.duration_ms),
            counts: counts.map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", "),
            words: run.why.into_iter().chain(run.log).collect(),
            job: run.job,
            state: run.state,
        }
    }
}

impl From<&AlertView> for AlertRow {
    fn from(alert: &AlertView) -> Self {
        Self {
            metric: alert.metric.clone(),
            kind: alert.kind.name(),
            from: instant::text(alert.started),
            to: alert.ended.map(instant::text),
            value: alert.value.map_or_else(|| "nothing".to_owned(), number),
            score: alert.score.map(|score| format!("{score:.2}")).unwrap_or_default(),
        }
    }
}

impl Line {
    fn of(series: &TrialSeries, span: &Range<Millis>, alerts: &[AlertView]) -> Self {
        let edges = series.points.iter().flat_map(|point| [point.value, point.lower, point.upper]).flatten();
        let (low, high) =
            edges.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let x = |time: Millis| {
            let part = (time - span.start) as f64 / (span.end - span.start).max(1) as f64;
            (part * WIDTH).clamp(0.0, WIDTH)
        };
        let tall = if high > low { high - low } else { 1.0 };
        let y = |value: f64| (HEIGHT - 2.0) - (value - low) / tall * (HEIGHT - 4.0);
        let values = series.points.iter().filter_map(|point| Some((x(point.time), y(point.value?))));
        let upper = series.points.iter().filter_map(|point| Some((x(point.time), y(point.upper?))));
        let lower = series.points.iter().rev().filter_map(|point| Some((x(point.time), y(point.lower?))));
        let band = path(upper.chain(lower));
        let own = alerts.iter().filter(|alert| alert.metric == series.metric && alert.labels == series.labels);
        let own: Vec<(f64, f64)> = own
            .map(|alert| {
                let (from, to) = (x(alert.started), x(alert.ended.unwrap_or(span.end)));
                (from, (to - from).max(2.0))
            })
            .collect();
        Self {
            words: words(series, low, high, own.len()),
            metric: series.metric.clone(),
            peak: series.peak.map(|peak| format!("{peak:.2}")),
            value: path(values),
            band: if band.is_empty() { band } else { format!("{band}Z") },
            alerts: own,
        }
    }
}

fn words(series: &TrialSeries, low: f64, high: f64, alerts: usize) -> String {
    let newest = |of: fn(&PointView) -> Option<f64>| series.points.iter().rev().find_map(of);
    let Some(value) = newest(|point| point.value) else { return "no points in this span".to_owned() };
    let mut words = format!("newest {}, from {} to {}", number(value), number(low), number(high));
    if let Some(score) = newest(|point| point.score) {
        let _ = write!(words, ", newest score {score:.2}");
    }
    let _ = write!(words, ", {alerts} {}", if alerts == 1 { "alert" } else { "alerts" });
    words
}

/// A line through points, for `d`.
fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (x, y) in points {
        let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { "M" } else { "L" });
    }
    path
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_series_is_drawn_within_its_box_and_said_in_words() {
        let point = |time, value, score| PointView { time, value, score, lower: Some(1.0), upper: Some(3.0) };
        let points = vec![point(0, Some(2.0), Some(0.1)), point(50, None, None), point(100, Some(5.0), Some(0.9))];
        let series = TrialSeries { metric: "load".to_owned(), labels: BTreeMap::new(), peak: Some(0.9), points };
        let line = Line::of(&series, &(0..100), &[]);
        assert_eq!(line.value, "M0.0 59.0L600.0 2.0");
        assert!(line.band.starts_with("M0.0 40.0L300.0 40.0") && line.band.ends_with('Z'), "{}", line.band);
        assert_eq!(line.words, "newest 5, from 1 to 5, newest score 0.90, 0 alerts");
        let flat =
            TrialSeries { points: vec![PointView { lower: None, upper: None, ..point(0, Some(7.0), None) }], ..series };
        assert_eq!(Line::of(&flat, &(0..100), &[]).value, "M0.0 78.0");
    }
}
