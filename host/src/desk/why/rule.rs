//! What the event rules made of a point: the verdict that was kept, with the numbers of each
//! condition up to the one that failed.

use super::super::instant;
use super::{Condition, DeskError, Outcome, RuleStep, SampleStep, ScoreStep, Subject};
use crate::alert::{Effect, Marker, Memory, PolicyRecord};
use crate::config::{Deviation, Direction};
use crate::message::{AlertKind, AlertPhase, Verdict};
use crate::series::Millis;
use crate::store::{AlertFilter, AlertRecord, Decision, DocumentKind, Peak};

/// What conditions are told with.
struct Numbers<'a> {
    policy: &'a PolicyRecord,
    verdict: Verdict,
    value: Option<f64>,
    score: Option<&'a ScoreStep>,
}

impl Subject<'_> {
    pub(super) fn rules(&self, samples: &SampleStep, score: Option<&ScoreStep>) -> Result<Vec<RuleStep>, DeskError> {
        let memory = self.desk.store.watched(&self.key)?.remove(&self.series.id);
        let memory = memory.map(|bytes| Memory::decode(&bytes)).unwrap_or_default();
        let mut rules = Vec::new();
        for kind in AlertKind::ALL {
            let Some(decision) = self.decision(kind, &memory)? else { continue };
            let policy = match self.kept_policy(&decision.policy)? {
                Some(policy) => Some(policy),
                None => self.configured_policy(kind),
            };
            let numbers = policy.as_ref().map(|policy| Numbers {
                policy,
                verdict: decision.verdict,
                value: samples.value,
                score: score.filter(|_| kind == AlertKind::Anomaly),
            });
            rules.push(RuleStep {
                kind,
                verdict: decision.verdict,
                span: (decision.from, decision.to),
                conditions: numbers.map(|numbers| self.conditions(&numbers)).transpose()?.unwrap_or_default(),
                alert: decision.alert,
                policy,
            });
        }
        Ok(rules)
    }

    /// What was made of the point: a span that is over, or the one that goes on.
    fn decision(&self, kind: AlertKind, memory: &Memory) -> Result<Option<Decision>, DeskError> {
        let holds = |decision: &Decision| (decision.from..=decision.to).contains(&self.at);
        let span = self.at..self.at.saturating_add(1);
        let over = self.desk.store.decisions(&self.key, self.series.id, kind, span)?.into_iter().find(holds);
        let current = || memory.track(kind).and_then(|track| track.decision()).filter(|d| holds(d)).cloned();
        Ok(over.or_else(current))
    }

    /// The policy that was in force at the point or, if none is kept, the one that is now.
    pub(super) fn policy(&self, kind: AlertKind) -> Result<Option<PolicyRecord>, DeskError> {
        let memory = self.desk.store.watched(&self.key)?.remove(&self.series.id);
        let memory = memory.map(|bytes| Memory::decode(&bytes)).unwrap_or_default();
        let kept = match self.decision(kind, &memory)? {
            Some(decision) => self.kept_policy(&decision.policy)?,
            None => None,
        };
        Ok(kept.or_else(|| self.configured_policy(kind)))
    }

    fn kept_policy(&self, id: &str) -> Result<Option<PolicyRecord>, DeskError> {
        Ok(self.desk.store.document(&self.key.tenant, DocumentKind::Policy, id)?)
    }

    fn configured_policy(&self, kind: AlertKind) -> Option<PolicyRecord> {
        self.batch.filter(|_| kind == AlertKind::Anomaly).map(|batch| PolicyRecord::anomaly(&batch.alert))
    }

    fn conditions(&self, numbers: &Numbers<'_>) -> Result<Vec<Condition>, DeskError> {
        let Numbers { policy, verdict, .. } = numbers;
        let failed = failing(*verdict);
        let all = [
            (Verdict::Ordinary, "threshold", Some(numbers.threshold())),
            (Verdict::Direction, "direction", numbers.direction()),
            (Verdict::Deviation, "deviation", numbers.deviation()),
            (Verdict::NotRecent, "recent", numbers.recent()),
            (Verdict::Snoozed, "snooze", self.snooze(policy, *verdict)?),
            (Verdict::Returned, "return", (*verdict == Verdict::Returned).then(|| numbers.returned())),
            (Verdict::Muted, "event", self.events(policy.kind)?),
            (Verdict::Pending, "for", self.lasting(policy)),
        ];
        let mut conditions = Vec::new();
        let mut outcome = Outcome::Held;
        for (own, name, text) in all {
            let own_outcome = if failed == Some(own) { Outcome::Failed } else { outcome };
            if own_outcome == Outcome::Failed {
                outcome = Outcome::NotReached;
            }
            // A condition that the policy does not have is told only where it is said to have failed.
            let text = match text {
                Some(text) => text,
                None if own_outcome == Outcome::Failed => "this condition failed".to_owned(),
                None => continue,
            };
            conditions.push(Condition { name: name.to_owned(), outcome: own_outcome, text });
        }
        Ok(conditions)
    }

    fn snooze(&self, policy: &PolicyRecord, verdict: Verdict) -> Result<Option<String>, DeskError> {
        // An alert that is on goes on: only a new one is held back.
        let goes_on = verdict == Verdict::Firing && self.alert_of(policy.kind).is_some_and(|a| a.started < self.at);
        if policy.snooze_n == 0 || goes_on {
            return Ok(None);
        }
        let filter =
            AlertFilter { key: Some(self.key.clone()), started: Some(Millis::MIN..self.at), ..AlertFilter::default() };
        let earlier = self.desk.store.alerts(&filter)?;
        let last = earlier.iter().find(|alert| alert.series == self.series.id && alert.kind == policy.kind);
        let points = policy.snooze_n;
        Ok(Some(match last {
            Some(last) => format!(
                "the last alert began at {}; none begins within {points} points (`alert_snooze_n`)",
                instant::text(last.fired.unwrap_or(last.started))
            ),
            None => format!("no alert began within {points} points before (`alert_snooze_n`)"),
        }))
    }

    fn events(&self, kind: AlertKind) -> Result<Option<String>, DeskError> {
        let labels = self.desk.labels(&self.would_be(kind));
        let markers = self.desk.store.documents::<Marker>(&self.key.tenant, DocumentKind::Event, "")?;
        let on: Vec<String> = markers
            .into_iter()
            .filter(|(_, marker)| marker.matchers.matches(&labels))
            .filter_map(|(_, marker)| {
                let does = match marker.effect_at(self.at) {
                    Effect::Note => return None,
                    Effect::Mute => "mutes".to_owned(),
                    Effect::Widen(times) => format!("makes the band {times} times as wide"),
                };
                Some(format!("the {} \"{}\" ({}) of {} {does}", marker.kind, marker.text, marker.id, marker.by))
            })
            .collect();
        Ok((!on.is_empty()).then(|| on.join("; ")))
    }

    /// An alert of this kind that would begin at the point: events look at its labels.
    fn would_be(&self, kind: AlertKind) -> AlertRecord {
        AlertRecord {
            key: self.key.clone(),
            id: String::new(),
            kind,
            series: self.series.id,
            labels: self.series.labels.clone(),
            name: self.series.name.clone(),
            phase: AlertPhase::Pending,
            started: self.at,
            fired: None,
            ended: None,
            worst: Peak { time: self.at, value: f64::NAN, score: f64::NAN, lower: f64::NAN, upper: f64::NAN },
            terms: Vec::new(),
            threshold: f64::NAN,
            models: Vec::new(),
            policy: String::new(),
            events: Vec::new(),
            explanation: None,
        }
    }

    fn lasting(&self, policy: &PolicyRecord) -> Option<String> {
        (policy.for_ms > 0).then(|| {
            let since = self.alert_of(policy.kind).map(|alert| alert.started);
            let held = since.map_or(String::new(), |since| format!("on since {}; ", instant::text(since)));
            format!("{held}it has to be on for {} (`alert_for`)", instant::span(policy.for_ms))
        })
    }
}

/// The condition that a verdict says has failed.
fn failing(verdict: Verdict) -> Option<Verdict> {
    match verdict {
        Verdict::Firing => None,
        Verdict::Ending => Some(Verdict::Ordinary),
        failed => Some(failed),
    }
}

impl Numbers<'_> {
    fn is_ordinary(&self) -> bool {
        matches!(self.verdict, Verdict::Ordinary | Verdict::Ending)
    }

    fn returned(&self) -> String {
        let value = self.value.map_or("the value".to_owned(), number);
        format!("{value} is back within the band, and what the score speaks of is over")
    }

    fn threshold(&self) -> String {
        let policy = self.policy;
        let input = |name: &str| policy.inputs.get(name).copied();
        if policy.always {
            return "every point is over it (`alert_always`)".to_owned();
        }
        match policy.kind {
            AlertKind::Anomaly => {
                let Some(score) = self.score else { return format!("the threshold is {:.2}", policy.threshold) };
                let mean = match score.smooth_n {
                    0 | 1 => String::new(),
                    n => format!(", the mean of {n},"),
                };
                let side = match () {
                    // An alert ends with a high score only where the value has come back.
                    () if self.is_ordinary() && score.smoothed >= policy.threshold => return self.returned(),
                    () if self.is_ordinary() => "is below",
                    () if score.smoothed >= policy.threshold => "reaches",
                    // What began at the threshold ends below half of it.
                    () => "keeps the alert on, being at least half of",
                };
                format!("score {:.2}{mean} {side} the threshold {:.2}", score.smoothed, policy.threshold)
            }
            AlertKind::Threshold => {
                let value = self.value.map_or("no value".to_owned(), number);
                let limits = match (input("lower"), input("upper")) {
                    (Some(lower), Some(upper)) => format!("{} to {}", number(lower), number(upper)),
                    (Some(lower), None) => format!("at least {}", number(lower)),
                    (None, Some(upper)) => format!("at most {}", number(upper)),
                    (None, None) => "its limits".to_owned(),
                };
                format!("{value} is {} {limits}", if self.is_ordinary() { "within" } else { "outside of" })
            }
            AlertKind::Change => {
                let limit = input("change_threshold").map_or(String::new(), |limit| format!(" by {limit} deviations"));
                format!("the level has {}changed{limit}", if self.is_ordinary() { "not " } else { "" })
            }
            AlertKind::Capacity => {
                let within =
                    input("horizon_ms").map_or(String::new(), |ms| format!(" within {}", instant::span(ms as Millis)));
                let limit = input("upper")
                    .or_else(|| input("lower"))
                    .map_or(String::new(), |edge| format!(" of {}", number(edge)));
                let seen = if self.is_ordinary() { "not sure to be" } else { "foreseen to be" };
                format!("the limit{limit} is {seen} reached{within} (`capacity_limits`)")
            }
            AlertKind::Llm => {
                format!("the language model found {}", if self.is_ordinary() { "nothing here" } else { "an anomaly" })
            }
            AlertKind::NoData => {
                let after =
                    input("after_ms").map_or(String::new(), |ms| format!(" for {}", instant::span(ms as Millis)));
                format!("{} sample{after}", if self.is_ordinary() { "there was a" } else { "there was no" })
            }
        }
    }

    fn band(&self) -> Option<(f64, f64)> {
        let (lower, upper) = self.score?.expected;
        Some((lower?, upper?))
    }

    fn direction(&self) -> Option<String> {
        let wanted = match self.policy.direction {
            Direction::Both => return None,
            Direction::Above => "above",
            Direction::Below => "below",
        };
        Some(match (self.value, self.band()) {
            (Some(value), Some((lower, upper))) => {
                let middle = f64::midpoint(lower, upper);
                let side = if value >= middle { "above" } else { "below" };
                let numbers = (number(value), number(lower), number(upper));
                format!("{} is {side} the middle of {} to {}; {wanted} is asked for", numbers.0, numbers.1, numbers.2)
            }
            _ => format!("{wanted} is asked for; without a band or value both sides count"),
        })
    }

    fn deviation(&self) -> Option<String> {
        let least = self.policy.min_deviation?;
        let (Some(value), Some((lower, upper))) = (self.value, self.band()) else {
            return Some("without a band or value any distance counts".to_owned());
        };
        let (distance, edge) = if value > upper { (value - upper, upper) } else { (lower - value, lower) };
        let wanted = match least {
            Deviation::Absolute(wanted) => number(wanted),
            Deviation::Relative(part) => format!("{} ({part} of {})", number(part * edge.abs()), number(edge)),
        };
        let far = if distance > 0.0 { format!("{} outside", number(distance)) } else { "inside".to_owned() };
        Some(format!("{} is {far} of the band; {wanted} outside is asked for", number(value)))
    }

    fn recent(&self) -> Option<String> {
        let n = self.policy.recent_n?;
        let among = if self.verdict == Verdict::NotRecent { "not among" } else { "among" };
        Some(format!("{among} the newest {n} points of its run (`alert_recent_n`)"))
    }
}

/// A number with as many digits as say something: four, or all before the point.
pub fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let magnitude = value.abs().log10().floor();
    if !(-6.0..15.0).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let decimals = (3.0 - magnitude).clamp(0.0, 12.0) as usize;
    let rounded = format!("{value:.decimals$}");
    match rounded.contains('.') {
        true => rounded.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => rounded,
    }
}

#[cfg(test)]
mod number_tests {
    use super::number;

    #[test]
    fn numbers_have_the_digits_that_say_something() {
        let numbers = [0.0, 41.25, 12_345.678, 0.000_123_456, 100.0, -0.5, 1e-9, 3.0];
        assert_eq!(numbers.map(number), ["0", "41.25", "12346", "0.0001235", "100", "-0.5", "1.000e-9", "3"]);
    }
}
