//! What was found of a history's incidents: pure judgement, no formatting.
//!
//! An incident is found when an alert of one of its series *begins* inside it. Every
//! other alert counts against the detector, whatever may have led to it. That an alert
//! just after an incident (the way back to normal) is such another one is on purpose.

use std::fmt;
use std::ops::Range;

use super::history::{Incident, Scenario};
use crate::series::{Labels, Millis};

const MS_PER_DAY: f64 = 86_400_000.0;

/// An alert, as far as it is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The series.
    pub labels: Labels,
    /// When it began.
    pub began: Millis,
    /// Its score there; NaN for a threshold.
    pub score: f64,
    /// When it said that a limit will be reached, if it did.
    pub foretold: Option<Millis>,
}

/// How an incident was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Find {
    /// From the begin of the incident to that of the alert, in milliseconds.
    pub delay_ms: Millis,
    /// The alert's score.
    pub score: f64,
    /// The alert's series.
    pub labels: Labels,
}

/// A row of the table: an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which.
    pub scenario: Scenario,
    /// What happened.
    pub title: &'static str,
    /// When.
    pub span: Range<Millis>,
    /// The first alert in it; `None` if it was missed.
    pub found: Option<Find>,
    /// How long before its limit was reached that was first foretold, in milliseconds.
    pub ahead_ms: Option<Millis>,
}

/// The judgement of one replay.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// An incident each, in the order of the history; none for a history without them.
    pub rows: Vec<Row>,
    /// The alerts that begin in no incident of their series, in order of time.
    pub others: Vec<Alert>,
    /// The time that was judged.
    pub span: Range<Millis>,
}

impl Table {
    /// Judges the alerts that begin within `span`. `series` are the label sets that the
    /// incidents speak of.
    pub fn judge(incidents: &[Incident], series: &[Labels], alerts: &[Alert], span: Range<Millis>) -> Self {
        let mut others: Vec<Alert> = alerts.iter().filter(|a| span.contains(&a.began)).cloned().collect();
        others.sort_by_key(|a| a.began);
        let concerns = |incident: &Incident, alert: &Alert| {
            let its = incident.series.iter().filter_map(|&s| series.get(s));
            incident.span.contains(&alert.began) && its.into_iter().any(|labels| *labels == alert.labels)
        };
        let row = |incident: &Incident| {
            let first = others.iter().find(|a| concerns(incident, a));
            let foretold = others.iter().filter(|a| concerns(incident, a)).filter_map(|a| a.foretold).min();
            Row {
                scenario: incident.scenario,
                title: incident.title,
                span: incident.span.clone(),
                found: first.map(|a| Find {
                    delay_ms: a.began - incident.span.start,
                    score: a.score,
                    labels: a.labels.clone(),
                }),
                ahead_ms: incident.limit.zip(foretold).map(|(limit, foretold)| limit - foretold),
            }
        };
        let rows = incidents.iter().map(row).collect();
        others.retain(|a| !incidents.iter().any(|i| concerns(i, a)));
        Self { rows, others, span }
    }

    /// How many incidents were found.
    pub fn found(&self) -> usize {
        self.rows.iter().filter(|r| r.found.is_some()).count()
    }

    /// Other alerts a day, over all series.
    pub fn others_a_day(&self) -> f64 {
        self.others.len() as f64 / ((self.span.end - self.span.start) as f64 / MS_PER_DAY)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.scenario.name(), self.title)?;
        match &self.found {
            Some(found) => {
                write!(f, ": found after {} min, score {:.2}, {}", found.delay_ms / 60_000, found.score, found.labels)?;
            }
            None => f.write_str(": missed")?,
        }
        match self.ahead_ms {
            Some(ahead) => write!(f, ", its limit foretold {:.1} h ahead", ahead as f64 / 3_600_000.0),
            None => Ok(()),
        }
    }
}

/// The alerts of a static threshold: values beyond the extremes of the time to learn
/// from. Alerts begin at least `snooze_ms` apart, and not before values were ordinary
/// again. `timestamps` ascend; `values` are what a detector is given, counters rated.
pub fn static_threshold(
    labels: &Labels,
    timestamps: &[Millis],
    values: &[f64],
    learn: Range<Millis>,
    judge: Range<Millis>,
    snooze_ms: Millis,
) -> Vec<Alert> {
    let points = || timestamps.iter().copied().zip(values.iter().copied());
    let learned = points().filter(|(time, value)| learn.contains(time) && value.is_finite());
    let (low, high) = learned.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, v)| (low.min(v), high.max(v)));
    let mut alerts: Vec<Alert> = Vec::new();
    let mut was_beyond = false;
    for (time, value) in points().filter(|(time, _)| judge.contains(time)) {
        let beyond = value < low || value > high;
        let snoozed = alerts.last().is_some_and(|a| time - a.began < snooze_ms);
        if beyond && !was_beyond && !snoozed {
            alerts.push(Alert { labels: labels.clone(), began: time, score: f64::NAN, foretold: None });
        }
        was_beyond = beyond;
    }
    alerts
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Millis = 60_000;

    fn labels(name: &str) -> Labels {
        Labels::new([(Labels::NAME.to_owned(), name.to_owned())]).unwrap()
    }

    fn alert(name: &str, minute: Millis) -> Alert {
        Alert { labels: labels(name), began: minute * MINUTE, score: 0.9, foretold: None }
    }

    fn incident() -> Incident {
        let span = 100 * MINUTE..130 * MINUTE;
        Incident {
            scenario: Scenario::NetworkIssues,
            title: "a cable",
            series: vec![1],
            span,
            limit: Some(200 * MINUTE),
        }
    }

    fn judge(alerts: &[Alert]) -> Table {
        Table::judge(&[incident()], &[labels("a"), labels("b")], alerts, 0..1440 * MINUTE)
    }

    #[test]
    fn an_alert_that_begins_inside_on_a_series_of_it_finds_an_incident() {
        let table = judge(&[alert("b", 120), alert("b", 104), alert("a", 7)]);
        let found = table.rows[0].found.clone().unwrap();
        assert_eq!((found.delay_ms, found.labels), (4 * MINUTE, labels("b")));
        assert_eq!(table.others, [alert("a", 7)]);
        assert_eq!((table.found(), table.others_a_day()), (1, 1.0));
    }

    #[test]
    fn a_limit_is_foretold_by_the_first_alert_that_does() {
        let foretold = |minute| Alert { foretold: Some((minute + 5) * MINUTE), ..alert("b", minute) };
        let table = judge(&[alert("b", 102), foretold(110), foretold(120)]);
        assert_eq!(table.rows[0].ahead_ms, Some(85 * MINUTE));
        assert_eq!(judge(&[alert("b", 102)]).rows[0].ahead_ms, None);
    }

    #[test]
    fn before_after_and_elsewhere_are_other_alerts() {
        let table = judge(&[alert("b", 99), alert("b", 130), alert("a", 110), alert("b", 9999)]);
        assert_eq!(table.rows[0].found, None);
        assert_eq!(table.others.len(), 3);
    }

    #[test]
    fn a_static_threshold_alarms_beyond_what_was_learned_and_once_at_a_time() {
        let times: Vec<Millis> = (0..10).map(|m| m * MINUTE).collect();
        let values = [1.0, f64::NAN, 5.0, 3.0, 5.0, 6.0, 7.0, 3.0, 0.0, 9.0];
        let alerts = |snooze| {
            let found = static_threshold(&labels("a"), &times, &values, 0..3 * MINUTE, 3 * MINUTE..99 * MINUTE, snooze);
            found.iter().map(|a| a.began / MINUTE).collect::<Vec<_>>()
        };
        assert_eq!(alerts(0), [5, 8]);
        assert_eq!(alerts(5 * MINUTE), [5]);
    }
}
