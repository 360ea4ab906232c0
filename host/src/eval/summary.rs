//! What the outcomes of a set say together.

use std::collections::BTreeMap;

use serde::Serialize;

use super::alerting::{alerts, default_threshold};
use super::breakdown::{AtThreshold, Named, OfKind, Seasons, at_thresholds, days, kinds};
use super::dataset::{Labelled, Source};
use super::metric::bootstrap::{Interval, Paired};
use super::metric::event::Tally;
use super::metric::nab::{PROFILES, Profile, Worth, normalised, score, sweep, worths};
use super::replay::Band;
use super::run::Outcome;
use super::{EvalError, Options};

/// Thresholds that are tried where a threshold is swept through the event rule.
const THRESHOLDS: std::ops::RangeInclusive<u8> = 5..=50;
/// What those are divided by.
const THRESHOLD_PARTS: f64 = 50.0;

/// One contender on one set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The set.
    pub set: String,
    /// The contender.
    pub detector: String,
    /// Series of the set.
    pub series: usize,
    /// Of the series that have labels; mean over series with its 95 % interval.
    pub vus_pr: Option<Interval>,
    /// See `vus_pr`.
    pub auc_pr: Option<Interval>,
    /// See `vus_pr`.
    pub auc_roc: Option<Interval>,
    /// The share of series with one event whose highest score is at it.
    pub top: Option<f64>,
    /// Precision of all alerts of the set together at the default threshold.
    pub precision: Option<f64>,
    /// Recall of all events of the set together.
    pub recall: Option<f64>,
    /// Their harmonic mean.
    pub f1: Option<f64>,
    /// The median delay, in rows.
    pub delay_rows: Option<f64>,
    /// Alerts for each day of each series.
    pub alerts_a_day: f64,
    /// The same of alerts that met no event.
    pub false_alerts_a_day: f64,
    /// Alerts at the thresholds that were asked for.
    pub at: Vec<AtThreshold>,
    /// The same for each kind of series, of a set that is generated.
    pub kinds: Vec<OfKind>,
    /// How often the season was found, of a set that says what it is.
    pub season: Option<Seasons>,
    /// NAB's score of each profile, normalised; where the set has windows.
    pub nab: Vec<NabScore>,
    /// Rows with a score, in all series.
    pub scored: usize,
    /// Models that were fit.
    pub fits: usize,
    /// The largest model, in bytes.
    pub model_bytes: usize,
    /// Seconds of CPU; missing where several series ran at once.
    pub cpu_s: Option<f64>,
    /// Calls that failed, each of which leaves its rows without a score.
    pub failed: usize,
}

/// NAB's score in one profile.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NabScore {
    /// The profile.
    pub profile: &'static str,
    /// Each point over the threshold that is best on the set: NAB's own way.
    pub points: f64,
    /// Alerts of the event rule at the threshold that is best on the set.
    pub events: f64,
    /// That threshold.
    pub events_threshold: f64,
    /// Alerts of the event rule at the default threshold: what a user gets.
    pub fixed: f64,
}

/// One contender against another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The set; `all` for all.
    pub set: String,
    /// The first contender.
    pub a: String,
    /// The second.
    pub b: String,
    /// Of VUS-PR.
    pub vus_pr: Paired,
}

/// What the outcomes say, by set and then contender; `sources` are what was evaluated.
pub fn summaries(outcomes: &[Outcome], sources: &[Source], options: &Options) -> Result<Vec<Summary>, EvalError> {
    let mut groups: BTreeMap<(&str, usize), Vec<&Outcome>> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for outcome in outcomes {
        let place = order.iter().position(|name| *name == outcome.detector).unwrap_or_else(|| {
            order.push(&outcome.detector);
            order.len() - 1
        });
        groups.entry((&outcome.set, place)).or_default().push(outcome);
    }
    let named: Named<'_> = sources.iter().map(|s| ((&*s.set, &*s.file), s)).collect();
    let whole = |group: Vec<&Outcome>| {
        let (nab, kinds) = (nab(&group, sources, options)?, kinds(&group, &named));
        Ok(Summary { nab, kinds, season: Seasons::of(&group, &named), ..plain(&group) })
    };
    groups.into_values().map(whole).collect()
}

fn plain(group: &[&Outcome]) -> Summary {
    let values = |of: fn(&Outcome) -> Option<f64>| -> Vec<f64> { group.iter().filter_map(|o| of(o)).collect() };
    let interval = |of| Interval::of(&values(of));
    let tops = values(|o| o.figures.top.map(|top| f64::from(u8::from(top))));
    let mut tally = Tally::default();
    group.iter().for_each(|o| tally.add(&o.figures.tally()));
    let days = days(group);
    let cpu = values(|o| o.cost.cpu_s);
    Summary {
        set: group.first().map(|o| o.set.clone()).unwrap_or_default(),
        detector: group.first().map(|o| o.detector.clone()).unwrap_or_default(),
        series: group.len(),
        vus_pr: interval(|o| o.figures.vus_pr),
        auc_pr: interval(|o| o.figures.auc_pr),
        auc_roc: interval(|o| o.figures.auc_roc),
        top: (!tops.is_empty()).then(|| tops.iter().sum::<f64>() / tops.len() as f64),
        precision: tally.precision(),
        recall: tally.recall(),
        f1: tally.f1(),
        delay_rows: tally.delay(),
        alerts_a_day: tally.alerts as f64 / days,
        false_alerts_a_day: (tally.alerts - tally.right) as f64 / days,
        at: at_thresholds(group),
        kinds: Vec::new(),
        season: None,
        nab: Vec::new(),
        scored: group.iter().map(|o| o.figures.scored).sum(),
        fits: group.iter().map(|o| o.cost.fits).sum(),
        model_bytes: group.iter().map(|o| o.cost.model_bytes).max().unwrap_or_default(),
        cpu_s: (cpu.len() == group.len()).then(|| cpu.iter().sum()),
        failed: group.iter().map(|o| o.cost.failed).sum(),
    }
}

/// A series with NAB's windows, and what was said of it.
struct Scored {
    series: Labelled,
    worths: Vec<Worth>,
    scores: Vec<f64>,
    bands: Vec<Option<Band>>,
}

impl Scored {
    /// The rows at which an alert fires.
    fn fired(&self, threshold: f64) -> Vec<usize> {
        let spans = alerts(&self.series, &self.scores, &self.bands, threshold);
        spans.into_iter().map(|span| span.from).collect()
    }
}

fn nab(group: &[&Outcome], sources: &[Source], options: &Options) -> Result<Vec<NabScore>, EvalError> {
    let (mut corpus, mut count) = (Vec::new(), 0);
    for outcome in group {
        let source = sources.iter().find(|s| s.set == outcome.set && s.file == outcome.file);
        let Some(source) = source.filter(|source| source.has_windows()) else { continue };
        let series = source.read(options.step_ms)?;
        let windows = series.windows.as_deref().unwrap_or_default();
        count += windows.len();
        let worths = worths(outcome.scores.len(), windows);
        corpus.push(Scored { worths, scores: outcome.filled(), bands: outcome.bands.clone(), series });
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let fired = |threshold: f64| -> Vec<Vec<usize>> { corpus.iter().map(|file| file.fired(threshold)).collect() };
    let thresholds = THRESHOLDS.map(|part| f64::from(part) / THRESHOLD_PARTS);
    let swept: Vec<(f64, Vec<Vec<usize>>)> = thresholds.map(|threshold| (threshold, fired(threshold))).collect();
    let fixed = fired(default_threshold());
    let points: Vec<(&[Worth], &[f64])> = corpus.iter().map(|file| (&file.worths[..], &file.scores[..])).collect();
    let normal = |raw: f64, profile: Profile| normalised(raw, count, profile).unwrap_or(f64::NAN);
    let total = |fired: &[Vec<usize>], profile: Profile| -> f64 {
        let files = corpus.iter().zip(fired);
        normal(files.map(|(file, rows)| score(&file.worths, rows.iter().copied(), profile)).sum(), profile)
    };
    let of_profile = |profile: Profile| {
        let tried = swept.iter().map(|(threshold, fired)| (*threshold, total(fired, profile)));
        let best = tried.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((f64::NAN, f64::NAN));
        NabScore {
            profile: profile.name,
            points: normal(sweep(&points, profile).1, profile),
            events: best.1,
            events_threshold: best.0,
            fixed: total(&fixed, profile),
        }
    };
    Ok(PROFILES.into_iter().map(of_profile).collect())
}

/// The first contender against each other one, by set and over all sets.
pub fn comparisons(outcomes: &[Outcome]) -> Vec<Comparison> {
    let mut series: BTreeMap<(&str, &str), Vec<(&str, f64)>> = BTreeMap::new();
    let Some(first) = outcomes.first().map(|o| o.detector.as_str()) else { return Vec::new() };
    for outcome in outcomes {
        if let Some(vus) = outcome.figures.vus_pr {
            series.entry((&outcome.set, &outcome.file)).or_default().push((&outcome.detector, vus));
        }
    }
    let mut pairs: BTreeMap<(&str, &str), Vec<(f64, f64)>> = BTreeMap::new();
    for ((set, _), said) in &series {
        let Some((_, own)) = said.iter().find(|(name, _)| *name == first) else { continue };
        for (other, vus) in said.iter().filter(|(name, _)| *name != first) {
            for set in [*set, "all"] {
                pairs.entry((set, other)).or_default().push((*own, *vus));
            }
        }
    }
    // What is all of one set is said already.
    let sets: std::collections::BTreeSet<&str> = series.keys().map(|(set, _)| *set).collect();
    pairs.retain(|(set, _), _| *set != "all" || sets.len() > 1);
    let compare = |((set, other), pairs): ((&str, &str), Vec<(f64, f64)>)| {
        let vus_pr = Paired::of(&pairs)?;
        Some(Comparison { set: set.to_owned(), a: first.to_owned(), b: other.to_owned(), vus_pr })
    };
    pairs.into_iter().filter_map(compare).collect()
}

impl Summary {
    /// A figure by its name on the command line: `vus_pr`, `f1`, `nab_standard`, `recall@0.7`, and
    /// so on; `None` where the set does not have it.
    pub fn figure(&self, name: &str) -> Option<f64> {
        if let Some((figure, threshold)) = name.split_once('@') {
            let threshold: f64 = threshold.parse().ok()?;
            let at = self.at.iter().find(|at| at.threshold == threshold)?;
            return match figure {
                "precision" => at.precision,
                "recall" => at.recall,
                "alerts_a_day" => Some(at.alerts_a_day),
                "false_alerts_a_day" => Some(at.false_alerts_a_day),
                _ => None,
            };
        }
        let nab = |at: usize| self.nab.get(at);
        match name {
            "vus_pr" => self.vus_pr.map(|i| i.mean),
            "auc_pr" => self.auc_pr.map(|i| i.mean),
            "auc_roc" => self.auc_roc.map(|i| i.mean),
            "precision" => self.precision,
            "recall" => self.recall,
            "f1" => self.f1,
            "season_found" => self.season?.found(),
            "season_false" => self.season?.falsely(),
            "alerts_a_day" => Some(self.alerts_a_day),
            "false_alerts_a_day" => Some(self.false_alerts_a_day),
            "nab_standard" => nab(0).map(|n| n.events),
            "nab_low_fp" => nab(1).map(|n| n.events),
            "nab_low_fn" => nab(2).map(|n| n.events),
            "nab_standard_fixed" => nab(0).map(|n| n.fixed),
            "nab_low_fp_fixed" => nab(1).map(|n| n.fixed),
            "nab_low_fn_fixed" => nab(2).map(|n| n.fixed),
            _ => None,
        }
    }

    /// The names that [`Summary::figure`] knows. Of the alerts at a threshold, which is named after
    /// an `@`, there are four.
    pub const FIGURES: [&str; 20] = [
        "vus_pr",
        "auc_pr",
        "auc_roc",
        "precision",
        "recall",
        "f1",
        "alerts_a_day",
        "false_alerts_a_day",
        "precision@",
        "recall@",
        "alerts_a_day@",
        "false_alerts_a_day@",
        "season_found",
        "season_false",
        "nab_standard",
        "nab_low_fp",
        "nab_low_fn",
        "nab_standard_fixed",
        "nab_low_fp_fixed",
        "nab_low_fn_fixed",
    ];
}

#[cfg(test)]
mod tests {
    use super::super::Track;
    use super::super::run::{Cost, Figures};
    use super::*;

    fn outcome(set: &str, file: &str, detector: &str, vus: Option<f64>, alerts: usize) -> Outcome {
        Outcome {
            set: set.into(),
            file: file.into(),
            detector: detector.into(),
            track: Track::Causal,
            figures: Figures {
                vus_pr: vus,
                alerts,
                right: alerts.min(1),
                events: 1,
                found: 1,
                days: 2.0,
                ..Figures::default()
            },
            cost: Cost::default(),
            scores: Vec::new(),
            bands: Vec::new(),
        }
    }

    #[test]
    fn series_without_labels_count_for_alerts_and_not_for_the_curves() {
        let outcomes = [outcome("s", "x", "a", Some(0.5), 1), outcome("s", "y", "a", None, 3)];
        let summary = plain(&outcomes.iter().collect::<Vec<_>>());
        assert_eq!(summary.figure("vus_pr"), Some(0.5));
        assert_eq!((summary.series, summary.alerts_a_day, summary.false_alerts_a_day), (2, 1.0, 0.5));
        assert_eq!(summary.figure("precision"), Some(0.5));
        assert_eq!(summary.figure("nab_standard"), None);
    }

    #[test]
    fn contenders_are_compared_on_the_series_that_both_have() {
        let outcomes = [
            outcome("s", "x", "b", Some(0.6), 1),
            outcome("s", "x", "a", Some(0.5), 1),
            outcome("t", "y", "b", Some(0.2), 1),
            outcome("t", "y", "a", Some(0.4), 1),
            outcome("t", "z", "a", Some(0.9), 1),
        ];
        let said: Vec<_> =
            comparisons(&outcomes).into_iter().map(|c| (c.set, c.vus_pr.series, c.vus_pr.win_rate)).collect();
        assert_eq!(said, [("all".to_owned(), 2, 0.5), ("s".to_owned(), 1, 1.0), ("t".to_owned(), 1, 0.0)]);
    }
}
