//! The figures as tables.

use super::output;
use crate::eval::{Comparison, Summary};

/// Prints what the outcomes say.
pub(super) fn print(summaries: &[Summary], comparisons: &[Comparison]) {
    let number =
        |value: Option<f64>, decimals: usize| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.decimals$}"));
    let mut table = output::table([
        "set",
        "detector",
        "series",
        "VUS-PR (95 %)",
        "AUC-PR",
        "AUC-ROC",
        "top",
        "precision",
        "recall",
        "F1",
        "delay, rows",
        "alerts a day",
        "false",
        "CPU, µs/row",
        "model, kB",
    ]);
    for s in summaries {
        let vus = s.vus_pr.map_or_else(|| "–".to_owned(), |i| format!("{:.3} ({:.3}–{:.3})", i.mean, i.low, i.high));
        table.add_row([
            s.set.clone(),
            s.detector.clone(),
            s.series.to_string(),
            vus,
            number(s.figure("auc_pr"), 3),
            number(s.figure("auc_roc"), 3),
            number(s.top, 2),
            number(s.precision, 3),
            number(s.recall, 3),
            number(s.f1, 3),
            number(s.delay_rows, 0),
            format!("{:.3}", s.alerts_a_day),
            format!("{:.3}", s.false_alerts_a_day),
            number(s.cpu_s.map(|cpu| cpu * 1e6 / s.scored.max(1) as f64), 0),
            format!("{:.1}", s.model_bytes as f64 / 1000.0),
        ]);
    }
    output::line(table);
    print_thresholds(summaries);
    for s in summaries.iter().filter(|s| !s.nab.is_empty()) {
        let mut table = output::table(["NAB profile", "points, swept", "alerts, swept", "at", "alerts at the default"]);
        for nab in &s.nab {
            table.add_row([
                nab.profile.to_owned(),
                format!("{:.1}", nab.points),
                format!("{:.1}", nab.events),
                format!("{:.2}", nab.events_threshold),
                format!("{:.1}", nab.fixed),
            ]);
        }
        output::line(format!("\n{} on {}:\n{table}", s.detector, s.set));
    }
    for s in summaries.iter().filter(|s| s.failed > 0) {
        output::line(format!("\n{} on {}: {} calls failed, and their rows count as 0", s.detector, s.set, s.failed));
    }
    for c in comparisons {
        let d = c.vus_pr.difference;
        output::line(format!(
            "\n{} against {} on {}: VUS-PR {:+.3} ({:+.3} to {:+.3}), better on {:.0} % of {} series",
            c.a,
            c.b,
            c.set,
            d.mean,
            d.low,
            d.high,
            c.vus_pr.win_rate * 100.0,
            c.vus_pr.series
        ));
    }
}

/// Alerts at each threshold, and seasons: of the set, and where it is generated of each kind.
fn print_thresholds(summaries: &[Summary]) {
    let share = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let mut table =
        output::table(["set", "detector", "series", "threshold", "alerts a day", "false", "right", "events found"]);
    for s in summaries {
        for at in &s.at {
            table.add_row([
                s.set.clone(),
                s.detector.clone(),
                s.series.to_string(),
                format!("{:.2}", at.threshold),
                format!("{:.3}", at.alerts_a_day),
                format!("{:.3}", at.false_alerts_a_day),
                share(at.precision),
                share(at.recall),
            ]);
        }
    }
    output::line(format!("\n{table}"));
    for s in summaries.iter().filter(|s| !s.kinds.is_empty()) {
        let mut names = vec![format!("kind of {}", s.set), "series".to_owned()];
        for at in &s.at {
            names.push(format!("alerts a day at {}", at.threshold));
            names.push(format!("found at {}", at.threshold));
        }
        if s.season.is_some() {
            names.push("season found".to_owned());
            names.push("falsely".to_owned());
        }
        let mut table = output::table(names);
        let whole = ("all", s.series, &s.at, s.season);
        let kinds = s.kinds.iter().map(|kind| (kind.kind.as_str(), kind.series, &kind.at, kind.season));
        for (name, series, at, season) in kinds.chain([whole]) {
            let mut row = vec![name.to_owned(), series.to_string()];
            for at in at {
                row.push(format!("{:.3}", at.alerts_a_day));
                row.push(share(at.recall));
            }
            if let Some(season) = season {
                row.push(share(season.found()));
                row.push(share(season.falsely()));
            }
            table.add_row(row);
        }
        output::line(format!("\n{} on {}:\n{table}", s.detector, s.set));
    }
}
