//! The report as one HTML file that needs nothing else: no script, no font, no address.
//!
//! Every text goes through the escaping of the template, and nothing of a batch is ever written
//! otherwise: labels are of whoever makes the series. Its policy forbids scripts and requests
//! besides. However large the batch, the file is bounded: [`CHARTS`], [`STRIPS`] and [`ROWS`].

use std::collections::BTreeMap;
use std::ops::Range;

use chrono::DateTime;
use chrono_tz::Tz;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, context};
use serde::Serialize;

use super::plot::{self, Bar, Mark, Plot};
use super::trial::{Fired, Trial};
use super::{BacktestError, Figures, Names};
use crate::config::{Batch, Combination, Direction};
use crate::message::Unit;
use crate::message::text::{beside, duration, number, one_line};
use crate::series::{Labels, Millis};

/// Series with charts.
const CHARTS: usize = 12;
/// Series with a strip.
const STRIPS: usize = 40;
/// Rows of the table of alerts.
const ROWS: usize = 200;
/// Series with charts where fewer have alerts: those that came nearest.
const NEAREST: usize = 3;
/// Characters of a name.
const NAME: usize = 200;

const TEMPLATE: &str = include_str!("../../../assets/backtest.html");

/// What a report tells.
pub struct Report<'a> {
    /// The configurations: one or two.
    pub trials: &'a [Trial],
    /// Their figures.
    pub figures: &'a [Figures],
    /// How the configurations are called: what is written, or what is changed.
    pub titles: &'a [String],
    /// The keys in which they differ: what the first and the second write.
    pub changes: &'a [(String, Option<String>, Option<String>)],
    /// The command that makes it again.
    pub command: &'a str,
    /// What stands in the way of trusting it: parts that failed.
    pub notes: &'a [String],
}

#[derive(Serialize)]
struct Configuration {
    name: &'static str,
    title: String,
    lines: Vec<(&'static str, String)>,
}

#[derive(Serialize)]
struct Line {
    name: &'static str,
    cells: Vec<String>,
}

#[derive(Serialize)]
struct Lane {
    name: &'static str,
    depths: Vec<String>,
    bars: Vec<Bar>,
}

#[derive(Serialize)]
struct Strip {
    name: String,
    full: String,
    counts: Vec<usize>,
    lanes: Vec<Lane>,
}

#[derive(Serialize)]
struct Chart {
    name: String,
    full: String,
    counts: Vec<(&'static str, usize)>,
    plot: Plot,
    lanes: Vec<Lane>,
    alerts: Vec<Row>,
    more: usize,
}

#[derive(Clone, Serialize)]
struct Row {
    who: String,
    started: String,
    lasted: String,
    metric: String,
    kind: &'static str,
    score: String,
    value: String,
    expected: String,
    terms: String,
}

/// Makes the report.
pub fn report(report: &Report<'_>) -> Result<String, BacktestError> {
    let Some(first) = report.trials.first() else { return Err(BacktestError::Nothing("nothing was tried".to_owned())) };
    let (span, zone) = (&first.span, first.batch.timezone);
    let ranked = ranked(report.trials);
    let names = Names::of(report.trials);
    let with_alerts = ranked.iter().filter(|(_, _, alerts)| *alerts > 0).count();
    let charted = with_alerts.clamp(NEAREST, CHARTS);
    let (mut charts, mut strips) = (Vec::new(), Vec::new());
    for (index, (labels, name, _)) in ranked.iter().take(STRIPS.max(CHARTS)).enumerate() {
        let rows = report.trials.iter().map(|trial| trial.row(labels)).collect::<Result<Vec<_>, _>>()?;
        let of = |trial: &'_ Trial| -> Vec<Fired> {
            trial.fired.iter().filter(|fired| fired.alert.labels == **labels).cloned().collect()
        };
        let own: Vec<Vec<Fired>> = report.trials.iter().map(of).collect();
        let lanes = |deep: bool| {
            let lane = |((trial, fired), row): ((&Trial, &Vec<Fired>), &Option<super::trial::Row>)| Lane {
                name: trial.name,
                depths: row
                    .as_ref()
                    .filter(|_| deep)
                    .map(|row| plot::strip(&row.scores, trial.batch.alert.threshold))
                    .unwrap_or_default(),
                bars: plot::bars(fired, span),
            };
            report.trials.iter().zip(&own).zip(&rows).map(lane).collect::<Vec<_>>()
        };
        if index < STRIPS {
            let counts = own.iter().map(Vec::len).collect();
            strips.push(Strip {
                name: names.short(labels),
                full: one_line(name, NAME * 2),
                counts,
                lanes: lanes(true),
            });
        }
        let unit = labels.get("__name__").map_or(Unit::None, Unit::of);
        if let Some(plot) = Plot::of(&rows, unit).filter(|_| index < charted) {
            let mut alerts = table(report.trials, &names, zone, |fired| fired.alert.labels == **labels);
            let more = alerts.len().saturating_sub(NEAREST * 2);
            alerts.truncate(NEAREST * 2);
            charts.push(Chart {
                name: names.short(labels),
                full: one_line(name, NAME * 2),
                counts: report.trials.iter().zip(&own).map(|(trial, own)| (trial.name, own.len())).collect(),
                plot,
                lanes: lanes(false),
                alerts,
                more,
            });
        }
    }
    let mut rows = table(report.trials, &names, zone, |_| true);
    let all_rows = rows.len();
    rows.truncate(ROWS);
    let configurations: Vec<Configuration> = report
        .trials
        .iter()
        .zip(report.titles)
        .map(|(trial, title)| Configuration { name: trial.name, title: title.clone(), lines: essentials(&trial.batch) })
        .collect();
    let thresholds: Vec<(&str, f64)> =
        report.trials.iter().map(|trial| (trial.name, plot::threshold(trial.batch.alert.threshold))).collect();
    let times: Vec<Mark> = plot::times(span, zone);
    let mut pages = Environment::new();
    pages.set_undefined_behavior(UndefinedBehavior::Strict);
    pages.add_template("backtest.html", TEMPLATE)?;
    Ok(pages.get_template("backtest.html")?.render(context! {
        batch => first.batch.key.to_string(),
        from => instant(span.start, zone),
        to => instant(span.end, zone),
        zone => zone.name(),
        length => duration(span.end - span.start),
        series => ranked.len(),
        step => duration(Millis::from(first.batch.judged.step_ms)),
        verdict => verdict(report.figures, report.trials),
        notes => Serde(report.notes),
        configurations => Serde(configurations),
        changes => Serde(report.changes),
        lines => Serde(lines(report, &names, zone)),
        strips => Serde(strips),
        strips_left => ranked.len().saturating_sub(STRIPS),
        charts => Serde(charts),
        charts_left => ranked.len().saturating_sub(charted),
        charts_quiet => with_alerts < charted,
        with_alerts,
        thresholds => Serde(thresholds),
        times => Serde(times),
        rows => Serde(rows),
        rows_left => all_rows.saturating_sub(ROWS),
        command => report.command,
        version => env!("CARGO_PKG_VERSION"),
    })?)
}

/// The series: those with most alerts first, then those that came nearest to one.
fn ranked(trials: &[Trial]) -> Vec<(&Labels, &str, usize)> {
    let mut all: BTreeMap<&Labels, (&str, usize, f64)> = BTreeMap::new();
    for trial in trials {
        for series in &trial.series {
            let known = all.entry(&series.record.labels).or_insert((&series.record.name, 0, 0.0));
            known.2 = known.2.max(series.peak / trial.batch.alert.threshold.max(f64::MIN_POSITIVE));
        }
        for fired in &trial.fired {
            if let Some(known) = all.get_mut(&fired.alert.labels) {
                known.1 += 1;
            }
        }
    }
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by(|(_, a), (_, b)| b.1.cmp(&a.1).then(b.2.total_cmp(&a.2)).then(a.0.cmp(b.0)));
    all.into_iter().map(|(labels, (name, alerts, _))| (labels, name, alerts)).collect()
}

fn instant(time: Millis, zone: Tz) -> String {
    let time = DateTime::from_timestamp_millis(time).unwrap_or_default().with_timezone(&zone);
    time.format("%Y-%m-%d %H:%M").to_string()
}

/// What somebody wants to know before all else.
fn verdict(figures: &[Figures], trials: &[Trial]) -> String {
    let often = |figures: &Figures| {
        let alerts = if figures.alerts == 1 { "alert" } else { "alerts" };
        format!("{} {alerts}, {:.2} a day", figures.alerts, figures.alerts_a_day)
    };
    match (figures, trials) {
        ([one], _) => format!("It would have fired {}.", often(one)),
        ([a, b], [of_a, _]) => {
            let both = of_a.fired.iter().filter(|fired| fired.met).count();
            let (only_a, only_b) = (a.alone.unwrap_or(0), b.alone.unwrap_or(0));
            format!(
                "A would have fired {}; B {}. In both: {both}. Only in A: {only_a}. Only in B: {only_b}.",
                often(a),
                often(b)
            )
        }
        _ => String::new(),
    }
}

/// What decides about alerts, in words.
fn essentials(batch: &Batch) -> Vec<(&'static str, String)> {
    let detectors: Vec<&str> = batch.detectors.iter().map(|detector| detector.tag.as_str()).collect();
    let combination = match batch.combination {
        Combination::Mean => "the mean of ",
        Combination::Min => "the lowest of ",
        Combination::Max => "the highest of ",
    };
    let combination = if detectors.len() > 1 { combination } else { "" };
    let mut lines = vec![
        ("detector", format!("{combination}{}", detectors.join(", "))),
        ("alert_threshold", number(batch.alert.threshold, Unit::None)),
    ];
    if batch.alert.smooth_n > 1 {
        lines.push(("alert_smooth_n", batch.alert.smooth_n.to_string()));
    }
    if batch.alert.for_ms > 0 {
        lines.push(("alert_for", duration(batch.alert.for_ms)));
    }
    match batch.alert.direction {
        Direction::Both => {}
        Direction::Above => lines.push(("alert_direction", "above".to_owned())),
        Direction::Below => lines.push(("alert_direction", "below".to_owned())),
    }
    lines.push((
        "limits",
        if batch.threshold.enabled { batch.threshold.limits.len().to_string() } else { "none".to_owned() },
    ));
    lines.push(("change detection", if batch.change.enabled { "on" } else { "off" }.to_owned()));
    lines
}

/// The summary: a line a figure, a cell a configuration.
fn lines(report: &Report<'_>, names: &Names<'_>, zone: Tz) -> Vec<Line> {
    let line = |name: &'static str, cell: &dyn Fn(&Figures) -> String| Line {
        name,
        cells: report.figures.iter().map(cell).collect(),
    };
    let percent = |part: f64| format!("{} %", number((part * 1_000.0).round() / 10.0, Unit::None));
    let mut lines = vec![
        line("Alerts", &|f| f.alerts.to_string()),
        line("Alerts a day", &|f| number((f.alerts_a_day * 100.0).round() / 100.0, Unit::None)),
        line("By kind", &|f| {
            let kinds: Vec<String> = f.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            if kinds.is_empty() { "–".to_owned() } else { kinds.join(", ") }
        }),
        line("Series with alerts", &|f| f.series.len().to_string()),
        line("Longest", &|f| {
            f.longest.as_ref().map_or_else(
                || "–".to_owned(),
                |l| format!("{}, {} of {}", duration(l.ms), instant(l.started, zone), names.short(&l.labels)),
            )
        }),
        line("Time with an alert on", &|f| percent(f.share_of_time)),
        line("Points with a score", &|f| percent(if f.points > 0 { f.scored as f64 / f.points as f64 } else { 0.0 })),
    ];
    if report.figures.iter().any(|f| f.alone.is_some()) {
        lines.insert(2, line("Only here", &|f| f.alone.unwrap_or(0).to_string()));
    }
    let cell = |f: &Figures, text: &dyn Fn(super::Judgement) -> String| f.judgement.map_or_else(String::new, text);
    if report.figures.iter().any(|f| f.judgement.is_some()) {
        lines.push(line("Not raised then", &|f| cell(f, &|j| j.new.to_string())));
        lines.push(line("Of the alerts really raised", &|f| {
            cell(f, &|j| format!("{} of {}", j.raised_again, j.raised))
        }));
    }
    if report.figures.iter().any(|f| f.judgement.is_some_and(|j| j.acknowledged > 0)) {
        lines.push(line("Of those acknowledged", &|f| {
            cell(f, &|j| format!("{} of {}", j.acknowledged_again, j.acknowledged))
        }));
    }
    lines
}

/// The alerts in order of time. One that both configurations have stands there once, as the
/// first has it.
fn table(trials: &[Trial], names: &Names<'_>, zone: Tz, wanted: impl Fn(&Fired) -> bool) -> Vec<Row> {
    let mut rows: Vec<(Millis, Row)> = Vec::new();
    for (index, trial) in trials.iter().enumerate() {
        let told = trial.fired.iter().filter(|fired| wanted(fired) && !(index > 0 && fired.met));
        rows.extend(told.map(|fired| (fired.alert.started, row(trial, names, fired, zone))));
    }
    rows.sort_by_key(|(started, _)| *started);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn row(trial: &Trial, names: &Names<'_>, fired: &Fired, zone: Tz) -> Row {
    let alert = &fired.alert;
    let unit = alert.labels.get("__name__").map_or(Unit::None, Unit::of);
    let worst = &alert.worst;
    let terms: Vec<String> = alert.terms.iter().take(3).map(|(name, part)| format!("{name} {part:.2}")).collect();
    Row {
        who: if fired.met { "A and B".to_owned() } else { trial.name.to_owned() },
        started: instant(alert.started, zone),
        lasted: lasted(fired, &trial.span),
        metric: names.short(&alert.labels),
        kind: alert.kind.name(),
        score: if worst.score.is_finite() { format!("{:.2}", worst.score) } else { String::new() },
        value: if worst.value.is_finite() {
            beside(worst.value, &[worst.lower, worst.upper], unit)
        } else {
            String::new()
        },
        expected: expected(worst.lower, worst.upper, worst.value, unit),
        terms: one_line(&terms.join(", "), NAME),
    }
}

/// How long an alert lasted, in words.
pub fn lasted(fired: &Fired, span: &Range<Millis>) -> String {
    let text = duration(fired.lasted(span));
    if fired.alert.ended.is_none() { format!("{text}, still on") } else { text }
}

/// What was expected, in words.
pub fn expected(lower: f64, upper: f64, value: f64, unit: Unit) -> String {
    let text = |edge: f64, other: f64| beside(edge, &[value, other], unit);
    match (lower.is_finite(), upper.is_finite()) {
        (true, true) => format!("{} to {}", text(lower, upper), text(upper, lower)),
        (true, false) => format!("at least {}", text(lower, upper)),
        (false, true) => format!("at most {}", text(upper, lower)),
        (false, false) => String::new(),
    }
}
