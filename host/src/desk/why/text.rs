//! Traces and alerts as they read in a terminal: a label column, no colours, no tables.

use std::fmt::{self, Write as _};

use super::super::{AlertView, Rated, instant};
use super::answer::expected;
use super::rule::number;
use super::{DeliveryStep, ModelStep, Outcome, RunView, SampleView, Trace};
use crate::message::{AlertKind, AlertPhase, Rating, Verdict};

/// The width of the label column.
const LABEL: usize = 11;

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} of {} at {}", self.metric, self.batch, instant::text(self.at))?;
        writeln!(f, "{}\n", self.answer.text)?;
        self.samples(f)?;
        for model in &self.models {
            line(f, "model", model_text(model))?;
        }
        self.score(f)?;
        self.rules(f)?;
        for alert in &self.alerts {
            line(f, "alert", alert_line(alert))?;
        }
        for notice in &self.notices {
            let group = if notice.told > 1 { format!(", with {} others", notice.told - 1) } else { String::new() };
            let route = if notice.route.is_empty() { String::new() } else { format!(" (route {})", notice.route) };
            line(f, "notice", format!("{} {}{group}{route}", instant::text(notice.at), notice.text))?;
        }
        for delivery in &self.deliveries {
            line(f, "delivery", format!("{}: {} \"{}\"", method(delivery), delivery.state, delivery.title))?;
            for attempt in &delivery.tries {
                let mark = if attempt.sent { "ok" } else { "failed" };
                line(f, "", format!("{} {mark}: {}", instant::text(attempt.at), attempt.answer))?;
            }
        }
        Ok(())
    }
}

/// A line with its label; what does not fit on one stays below it.
fn line(f: &mut fmt::Formatter<'_>, label: &str, text: impl AsRef<str>) -> fmt::Result {
    for (index, part) in text.as_ref().lines().enumerate() {
        let label = if index == 0 { label } else { "" };
        writeln!(f, "  {label:LABEL$}{part}")?;
    }
    Ok(())
}

impl Trace {
    fn samples(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = |sample: &SampleView| format!("{} at {}", number(sample.value), instant::text(sample.time));
        let column = instant::span(self.step_ms);
        match self.samples.samples.as_slice() {
            [] => {
                let near = [("before", &self.samples.before), ("after", &self.samples.after)];
                let near =
                    near.into_iter().filter_map(|(side, sample)| Some(format!("{side} {}", point(sample.as_ref()?))));
                let near: Vec<String> = near.collect();
                let near = if near.is_empty() { String::new() } else { format!("; {}", near.join(", ")) };
                line(f, "sample", format!("none in the {column} from here{near}"))?;
            }
            [one] => line(f, "sample", format!("{}{}", point(one), by(self.samples.ingested.as_ref())))?,
            [first, .., last] => {
                let taken = self.samples.value.map_or("nothing".to_owned(), number);
                let count = self.samples.samples.len();
                let by = by(self.samples.ingested.as_ref());
                let text =
                    format!("{count} in {column}, {} to {}; the column takes {taken}{by}", point(first), point(last));
                line(f, "sample", text)?;
            }
        }
        Ok(())
    }

    fn score(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(score) = &self.score else { return line(f, "score", "none") };
        let mut text = format!("{:.2}", score.score);
        if score.smooth_n > 1 {
            let _ = write!(text, ", {:.2} as the mean of {}", score.smoothed, score.smooth_n);
        }
        let _ = write!(text, "; expected {}{}", expected(score.expected), by(score.run.as_ref()));
        let terms: Vec<String> = score.terms.iter().map(|(name, part)| format!("{name} {part:.2}")).collect();
        if !terms.is_empty() {
            let _ = write!(text, "\nparts {}", terms.join(", "));
        }
        line(f, "score", text)
    }

    fn rules(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in &self.rules {
            let (from, to) = (instant::text(rule.span.0), instant::text(rule.span.1));
            let others = if from == to { String::new() } else { format!(", as all points from {from} to {to}") };
            line(f, "rule", format!("{}: {}{others}", rule.kind.name(), verdict(rule.verdict)))?;
            for condition in &rule.conditions {
                let mark = match condition.outcome {
                    Outcome::Held => "ok",
                    Outcome::Failed => "NO",
                    Outcome::NotReached => "--",
                };
                line(f, "", format!("{mark} {:10} {}", condition.name, condition.text))?;
            }
        }
        Ok(())
    }
}

/// The notifier, and of one of the tenant's receivers whose it is: several have the same.
pub(super) fn method(delivery: &DeliveryStep) -> String {
    match crate::alert::batch_of(&delivery.receiver) {
        Some(_) => delivery.method.clone(),
        None => format!("{} of {}", delivery.method, delivery.receiver),
    }
}

fn by(run: Option<&RunView>) -> String {
    run.map_or(String::new(), |run| format!(" ({} of {})", run.job, instant::text(run.scheduled)))
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ordinary => "ordinary",
        Verdict::Direction => "not on the side asked for",
        Verdict::Deviation => "too near to what was expected",
        Verdict::NotRecent => "not recent",
        Verdict::Snoozed => "too soon after the last alert",
        Verdict::Returned => "back in its band",
        Verdict::Muted => "muted by an event",
        Verdict::Pending => "pending",
        Verdict::Firing => "firing",
        Verdict::Ending => "ending",
    }
}

fn model_text(model: &ModelStep) -> String {
    let Some(fit) = &model.fit else { return format!("{}: none", model.tag) };
    let short = |digest: &str| digest.chars().take(12).collect::<String>();
    let mut text = format!(
        "{}: {} {}, model {}\nfit at {} on data from {} to {}",
        model.tag,
        fit.plugin,
        short(&fit.plugin_digest),
        short(&fit.model_digest),
        instant::text(fit.fitted),
        instant::text(fit.data.0),
        instant::text(fit.data.1)
    );
    if fit.left_out > 0 {
        let _ = write!(text, "\nwithout {} points that somebody said were anomalies", fit.left_out);
    }
    if !fit.facts.is_empty() {
        let _ = write!(text, "\nknows {}", fit.facts.iter().map(fact).collect::<Vec<_>>().join(", "));
    }
    text
}

fn fact((name, value): &(String, String)) -> String {
    match (name.as_str(), value.parse()) {
        ("season", Ok(seconds)) => {
            format!("season {}", humantime::format_duration(std::time::Duration::from_secs(seconds)))
        }
        _ => format!("{name} {value}"),
    }
}

fn alert_line(alert: &AlertView) -> String {
    let mut text =
        format!("{} {}, {}, began {}", alert.id, alert.kind.name(), alert.state(), instant::text(alert.started));
    if let Some(ended) = alert.ended {
        let _ = write!(text, ", over {}", instant::text(ended));
    }
    for more in foreseen(alert).into_iter().chain(acts(alert)) {
        let _ = write!(text, "\n{more}");
    }
    text
}

/// When a trend will reach its limit, as it is foreseen.
fn foreseen(alert: &AlertView) -> Option<String> {
    let at = alert.limit_at?;
    let mut text = format!("reaches its limit {}", instant::text(at));
    for (word, bound) in [("not before", alert.limit_earliest), ("not after", alert.limit_latest)] {
        if let Some(bound) = bound {
            let _ = write!(text, ", {word} {}", instant::text(bound));
        }
    }
    Some(text)
}

fn acts(alert: &AlertView) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(act) = &alert.acknowledged {
        let said = if act.comment.is_empty() { String::new() } else { format!(": {}", act.comment) };
        lines.push(format!("acknowledged by {} at {}{said}", act.by, instant::text(act.at)));
    }
    if let Some(snoozed) = &alert.snoozed {
        lines.push(format!("snoozed by {} until {}", snoozed.by, instant::text(snoozed.until)));
    }
    if let Some(Rated { rating, by, at }) = &alert.rated {
        let meaning = match rating {
            Rating::Up => "yes, this was one; its points are left out of training",
            Rating::Down => "a false alarm",
        };
        lines.push(format!("rated {} by {by} at {}: {meaning}", rating.name(), instant::text(*at)));
    }
    if !alert.silenced_by.is_empty() {
        lines.push(format!("silenced by {}", alert.silenced_by.join(", ")));
    }
    if !alert.events.is_empty() {
        lines.push(format!("events: {}", alert.events.join(", ")));
    }
    lines
}

/// An alert, a fact a line.
pub fn alert_text(alert: &AlertView) -> String {
    let mut lines = vec![
        format!("{}  {}", alert.id, alert.state()),
        format!("  {} of {}, {}", alert.metric, alert.batch, alert.kind.name()),
    ];
    let lasted = match (alert.phase, alert.ended) {
        (AlertPhase::Resolved, Some(ended)) => {
            format!(" to {}, for {}", instant::text(ended), instant::span(ended - alert.started))
        }
        _ => String::new(),
    };
    lines.push(format!("  since {}{lasted}", instant::text(alert.started)));
    let value = alert.value.map_or("no value".to_owned(), number);
    let scored = alert.kind == AlertKind::Anomaly;
    let score = match (alert.score, alert.threshold) {
        (Some(score), Some(threshold)) if scored => format!(", score {score:.2} over {threshold:.2}"),
        _ => String::new(),
    };
    let expected = match (alert.kind, alert.expected) {
        // The edges are those of a lone point; a level that changed may well be within them.
        (AlertKind::Change, (Some(lower), Some(upper))) => {
            format!("about {} before", number(f64::midpoint(lower, upper)))
        }
        (_, (None, None)) => String::new(),
        (_, edges) => format!("expected {}", expected(edges)),
    };
    let expected = if expected.is_empty() { expected } else { format!(", {expected}") };
    lines.push(format!("  worst {value} at {}{expected}{score}", instant::text(alert.worst_at)));
    lines.extend(foreseen(alert).map(|text| format!("  {text}")));
    if scored && !alert.terms.is_empty() {
        let terms: Vec<String> = alert.terms.iter().map(|(name, part)| format!("{name} {part:.2}")).collect();
        lines.push(format!("  parts {}", terms.join(", ")));
    }
    lines.extend(alert.explanation.iter().map(|text| format!("  {text}")));
    lines.extend(acts(alert).into_iter().map(|line| format!("  {line}")));
    lines.join("\n")
}
