//! A backtest on a terminal, and as JSON.

use serde_json::{Value, json};

use crate::cli::output;
use crate::eval::backtest::{Figures, Fired, History, Names, Trial, expected, lasted};
use crate::message::Unit;
use crate::message::text::{beside, duration, number, one_line};

/// Series that are named.
const SERIES: usize = 10;
/// Alerts that are listed.
const ALERTS: usize = 40;

/// What stands in the way of trusting the figures.
pub fn doubts(trials: &[Trial], figures: &[Figures], history: &History) -> Vec<String> {
    let mut doubts = Vec::new();
    for (trial, figures) in trials.iter().zip(figures) {
        let part = figures.scored as f64 / figures.points.max(1) as f64;
        if part < 0.9 {
            doubts.push(format!(
                "{}: {:.0} % of the points have a score; the others came before there was enough to learn from, or are of \
                 series that are left out. No anomaly could fire there.",
                trial.name,
                part * 100.0
            ));
        }
        if let Some(failure) = &figures.failure {
            let what = one_line(failure, 400);
            doubts.push(format!("{}: {} runs failed or lost a part. The first: {what}", trial.name, figures.failed));
        }
    }
    if let (Some(trial), Some((first, _))) = (trials.first(), history.span())
        && first > trial.span.start
    {
        doubts.push(format!("The samples begin at {}, within the span.", output::instant(first)));
    }
    doubts
}

fn percent(part: f64) -> String {
    format!("{} %", number((part * 1_000.0).round() / 10.0, Unit::None))
}

/// Prints the figures and the alerts.
pub fn terminal(titles: &[&str], trials: &[Trial], figures: &[Figures]) {
    let Some(first) = trials.first() else { return };
    let names = Names::of(trials);
    let (from, to) = (output::instant(first.span.start), output::instant(first.span.end));
    output::line(format!("{}, {from} to {to}, {} series\n", first.batch.key, first.series.len()));
    let mut table = output::table([""]);
    let heads: Vec<String> =
        trials.iter().zip(titles).map(|(trial, title)| format!("{}: {title}", trial.name)).collect();
    table.set_header(std::iter::once(String::new()).chain(heads));
    let mut row = |name: &str, cell: &dyn Fn(&Figures) -> String| {
        table.add_row(std::iter::once(name.to_owned()).chain(figures.iter().map(cell)));
    };
    row("alerts", &|f| f.alerts.to_string());
    row("a day", &|f| format!("{:.2}", f.alerts_a_day));
    if figures.len() > 1 {
        row("in both", &|f| (f.alerts - f.alone.unwrap_or(0)).to_string());
        row("only here", &|f| f.alone.unwrap_or(0).to_string());
    }
    row("series with alerts", &|f| f.series.len().to_string());
    row("longest", &|f| {
        f.longest.as_ref().map_or_else(String::new, |l| format!("{} {}", duration(l.ms), names.short(&l.labels)))
    });
    row("time with an alert on", &|f| percent(f.share_of_time));
    row("points with a score", &|f| percent(f.scored as f64 / f.points.max(1) as f64));
    if figures.iter().any(|f| f.judgement.is_some()) {
        let said = |f: &Figures, text: &dyn Fn(crate::eval::backtest::Judgement) -> String| {
            f.judgement.map_or_else(String::new, text)
        };
        row("of the alerts really raised", &|f| said(f, &|j| format!("{} of {}", j.raised_again, j.raised)));
        if figures.iter().any(|f| f.judgement.is_some_and(|j| j.acknowledged > 0)) {
            row("of those acknowledged", &|f| said(f, &|j| format!("{} of {}", j.acknowledged_again, j.acknowledged)));
        }
        row("not raised then", &|f| said(f, &|j| j.new.to_string()));
    }
    output::line(table);
    for (trial, figures) in trials.iter().zip(figures).filter(|(_, figures)| !figures.series.is_empty()) {
        let mut table = output::table(["series", "alerts", "on for"]);
        for series in figures.series.iter().take(SERIES) {
            table.add_row([names.short(&series.labels), series.alerts.to_string(), duration(series.on_ms)]);
        }
        output::line(format!("\n{}, by series:\n{table}", trial.name));
        if figures.series.len() > SERIES {
            output::line(format!("and {} more", figures.series.len() - SERIES));
        }
    }
    alerts(trials, &names);
}

fn alerts(trials: &[Trial], names: &Names<'_>) {
    let mut rows: Vec<(&Trial, &Fired)> = Vec::new();
    for (index, trial) in trials.iter().enumerate() {
        // What both have stands there once, as A has it.
        rows.extend(trial.fired.iter().filter(|fired| index == 0 || !fired.met).map(|fired| (trial, fired)));
    }
    if rows.is_empty() {
        return;
    }
    rows.sort_by_key(|(_, fired)| fired.alert.started);
    let mut table = output::table(["in", "began", "lasted", "series", "kind", "score", "value", "expected"]);
    for (trial, fired) in rows.iter().take(ALERTS) {
        let (alert, worst) = (&fired.alert, &fired.alert.worst);
        let unit = alert.labels.get("__name__").map_or(Unit::None, Unit::of);
        table.add_row([
            if fired.met { "A B" } else { trial.name }.to_owned(),
            output::instant(alert.started),
            lasted(fired, &trial.span),
            names.short(&alert.labels),
            alert.kind.name().to_owned(),
            format!("{:.2}", worst.score),
            if worst.value.is_finite() {
                beside(worst.value, &[worst.lower, worst.upper], unit)
            } else {
                String::new()
            },
            expected(worst.lower, worst.upper, worst.value, unit),
        ]);
    }
    output::line(format!("\n{table}"));
    if rows.len() > ALERTS {
        output::line(format!("and {} later ones: --json has all, --out draws them", rows.len() - ALERTS));
    }
}

/// A configuration as JSON, with all of its alerts.
pub fn json(title: &str, trial: &Trial, figures: &Figures) -> Value {
    let known = |value: f64| value.is_finite().then_some(value);
    let alert = |fired: &Fired| {
        let (alert, worst) = (&fired.alert, &fired.alert.worst);
        let labels: std::collections::BTreeMap<&str, &str> = alert.labels.iter().collect();
        json!({
            "metric": alert.name, "labels": labels, "kind": alert.kind.name(),
            "started": output::instant(alert.started), "fired": alert.fired.map(output::instant),
            "ended": alert.ended.map(output::instant), "score": known(worst.score), "value": known(worst.value),
            "expected": [known(worst.lower), known(worst.upper)], "worst_at": output::instant(worst.time),
            "terms": alert.terms, "in_both": figures.alone.is_some().then_some(fired.met),
        })
    };
    let alerts: Vec<Value> = trial.fired.iter().map(alert).collect();
    json!({
        "name": trial.name, "title": title, "threshold": trial.batch.alert.threshold,
        "detectors": trial.batch.detectors.iter().map(|detector| &detector.plugin).collect::<Vec<_>>(),
        "figures": figures, "alerts": alerts,
    })
}
