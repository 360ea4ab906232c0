//! How often a configuration would have told people, and of what.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use super::trial::Trial;
use super::{History, Raised};
use crate::series::{Labels, Millis};

const DAY: f64 = 86_400_000.0;

/// The figures of a trial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Alerts that began in the span and fired.
    pub alerts: usize,
    /// The same, by day.
    pub alerts_a_day: f64,
    /// The same, by what raised them.
    pub kinds: BTreeMap<&'static str, usize>,
    /// Those that the other configuration does not have; missing where there is no other.
    pub alone: Option<usize>,
    /// Series with alerts, those with most first.
    pub series: Vec<SeriesFigures>,
    /// The alert that lasted longest.
    pub longest: Option<Longest>,
    /// The part of the span in which at least one alert was on.
    pub share_of_time: f64,
    /// Columns of all series with a value.
    pub points: usize,
    /// The same with a score: what has none could not have raised an anomaly.
    pub scored: usize,
    /// Models that were fit.
    pub fits: u64,
    /// Beside the alerts that the node really raised; missing where it raised none.
    pub judgement: Option<Judgement>,
    /// Runs that failed, or lost a part.
    pub failed: usize,
    /// Why, the first time.
    pub failure: Option<String>,
}

/// A series with alerts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeriesFigures {
    /// Its `metric_name`.
    pub metric: String,
    /// Its identity.
    pub labels: Labels,
    /// Its alerts.
    pub alerts: usize,
    /// How long one of them was on, in milliseconds.
    pub on_ms: Millis,
}

/// The alert that lasted longest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Longest {
    /// The series' `metric_name`.
    pub metric: String,
    /// Its identity.
    pub labels: Labels,
    /// Its first point.
    #[serde(with = "crate::desk::instant")]
    pub started: Millis,
    /// In milliseconds.
    pub ms: Millis,
}

/// A trial beside the alerts that the node really raised in the span: those that somebody
/// acknowledged were worth telling, as far as anybody said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// Alerts that the node raised.
    pub raised: usize,
    /// The trial has them too.
    pub raised_again: usize,
    /// Of those raised, somebody acknowledged so many.
    pub acknowledged: usize,
    /// The trial has these too.
    pub acknowledged_again: usize,
    /// Alerts of the trial beside which nothing was raised: news, or false alarms.
    pub new: usize,
}

impl Figures {
    /// The figures of a trial; `paired` says whether there is another.
    pub fn of(trial: &Trial, history: &History, paired: bool) -> Self {
        let span = &trial.span;
        let mut kinds = BTreeMap::new();
        let mut series: BTreeMap<&Labels, (&str, Vec<Range<Millis>>)> = BTreeMap::new();
        for fired in &trial.fired {
            *kinds.entry(fired.alert.kind.name()).or_default() += 1;
            let of_series = series.entry(&fired.alert.labels).or_insert_with(|| (&fired.alert.name, Vec::new()));
            of_series.1.push(fired.span(span));
        }
        let mut all: Vec<Range<Millis>> = series.values().flat_map(|(_, spans)| spans.iter().cloned()).collect();
        let mut by_series: Vec<SeriesFigures> = series
            .into_iter()
            .map(|(labels, (name, mut spans))| SeriesFigures {
                metric: name.to_owned(),
                labels: labels.clone(),
                alerts: spans.len(),
                on_ms: union(&mut spans),
            })
            .collect();
        by_series.sort_by(|a, b| b.alerts.cmp(&a.alerts).then(b.on_ms.cmp(&a.on_ms)).then(a.metric.cmp(&b.metric)));
        let longest = trial.fired.iter().max_by_key(|fired| fired.lasted(span)).map(|fired| Longest {
            metric: fired.alert.name.clone(),
            labels: fired.alert.labels.clone(),
            started: fired.alert.started,
            ms: fired.lasted(span),
        });
        let length = (span.end - span.start).max(1) as f64;
        Self {
            alerts: trial.fired.len(),
            alerts_a_day: trial.fired.len() as f64 / (length / DAY),
            kinds,
            alone: paired.then(|| trial.fired.iter().filter(|fired| !fired.met).count()),
            series: by_series,
            longest,
            share_of_time: (union(&mut all) as f64 / length).min(1.0),
            points: trial.series.iter().map(|series| series.points).sum(),
            scored: trial.series.iter().map(|series| series.scored).sum(),
            fits: trial.fits,
            judgement: judgement(trial, &history.raised),
            failed: trial.failed,
            failure: trial.failure.clone(),
        }
    }
}

fn judgement(trial: &Trial, raised: &[Raised]) -> Option<Judgement> {
    if raised.is_empty() {
        return None;
    }
    let meets = |raised: &Raised, fired: &super::Fired| {
        let own = fired.span(&trial.span);
        raised.kind == fired.alert.kind
            && raised.labels == fired.alert.labels
            && raised.started <= own.end
            && own.start <= raised.ended.unwrap_or(trial.span.end)
    };
    let mut judgement = Judgement { raised: raised.len(), ..Judgement::default() };
    for one in raised {
        let again = usize::from(trial.fired.iter().any(|fired| meets(one, fired)));
        judgement.raised_again += again;
        judgement.acknowledged += usize::from(one.acknowledged);
        judgement.acknowledged_again += if one.acknowledged { again } else { 0 };
    }
    judgement.new = trial.fired.iter().filter(|fired| !raised.iter().any(|one| meets(one, fired))).count();
    Some(judgement)
}

/// The length of the union of spans.
fn union(spans: &mut [Range<Millis>]) -> Millis {
    spans.sort_by_key(|span| span.start);
    let (mut length, mut end) = (0, Millis::MIN);
    for span in spans {
        let from = span.start.max(end);
        length += (span.end - from).max(0);
        end = end.max(span.end);
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_two_alerts_are_on_counts_once() {
        assert_eq!(union(&mut [30..40, 0..10, 5..20, 6..8]), 30);
        assert_eq!(union(&mut []), 0);
    }
}
