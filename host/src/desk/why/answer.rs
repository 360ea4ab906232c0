//! All of a trace in one sentence: the first condition that failed, or who was told.

use super::super::instant;
use super::rule::number;
use super::text::method;
use super::{Answer, DeskError, Outcome, Reason, RuleStep, Subject, Trace};
use crate::alert;
use crate::config::Job;
use crate::message::{AlertKind, AlertPhase, Verdict};
use crate::series::Millis;
use crate::store::AlertRecord;

fn because(reason: Reason, text: impl Into<String>) -> Answer {
    Answer { reason, text: text.into() }
}

impl Subject<'_> {
    pub(super) fn answer(&self, trace: &Trace) -> Result<Answer, DeskError> {
        // An alert that is on says nothing of a point that was never judged.
        let judged = |alert: &&AlertRecord| {
            alert.kind != AlertKind::Anomaly
                || trace.score.is_some()
                || trace.rules.iter().any(|rule| rule.kind == alert.kind)
        };
        let on = |alert: &&AlertRecord| {
            alert.phase != AlertPhase::Pending && alert.fired.is_some_and(|fired| fired < self.end())
        };
        if let Some(alert) = self.alerts.iter().filter(judged).find(on) {
            return Ok(self.told(alert, trace));
        }
        if let Some(rule) = trace.rules.iter().find(|rule| rule.verdict == Verdict::Pending) {
            return Ok(self.judged(rule));
        }
        match self.unscored(trace)? {
            Some(answer) => Ok(answer),
            None => self.unjudged_or_judged(trace),
        }
    }

    /// Why there is no score; `None`: there is one.
    fn unscored(&self, trace: &Trace) -> Result<Option<Answer>, DeskError> {
        if trace.score.is_some() {
            return Ok(None);
        }
        if trace.samples.samples.is_empty() {
            return Ok(Some(self.no_sample(trace)?));
        }
        if !trace.models.iter().any(|model| model.fit.is_some()) {
            return Ok(Some(self.no_model(trace)?));
        }
        if let Some(answer) = self.left_out(Job::Score) {
            return Ok(Some(answer));
        }
        Ok(Some(because(Reason::NotScored, self.not_scored(trace)?)))
    }

    fn no_sample(&self, trace: &Trace) -> Result<Answer, DeskError> {
        let last = self.last_run(Job::Ingest)?;
        let failed = last.filter(|run| run.state == "failed" || run.state == "partial");
        let text = match (&trace.samples.before, &trace.samples.after) {
            (_, Some(after)) => format!("the next came at {}", instant::text(after.time)),
            (Some(before), None) => format!("the last came at {}", instant::text(before.time)),
            (None, None) => "nor any near it".to_owned(),
        };
        let failed = failed.map_or(String::new(), |run| {
            let why = run.why.map_or(String::new(), |why| format!(": {why}"));
            format!("; the last ingest, of {}, ended as {}{why}", instant::text(run.scheduled), run.state)
        });
        Ok(because(Reason::NoSample, format!("There is no sample at this point; {text}{failed}.")))
    }

    fn no_model(&self, trace: &Trace) -> Result<Answer, DeskError> {
        if let Some(answer) = self.left_out(Job::Train) {
            return Ok(answer);
        }
        let Some(batch) = self.batch else {
            return Ok(because(Reason::NoModel, "No model stood yet when this point came."));
        };
        let scored = self.end();
        let span = scored.saturating_sub(batch.train.max_age_ms)..scored;
        let column = self.desk.store.values(&self.key, &[self.series.id], span)?.pop().unwrap_or_default();
        let (n, least) = (column.values.len(), batch.train.min_n.max(1));
        let tags: Vec<&str> = trace.models.iter().map(|model| model.tag.as_str()).collect();
        let text = if n < least {
            format!("There was no model yet: {n} of {least} points had come (`train_min_n`).")
        } else {
            let last = match self.last_run(Job::Train)? {
                Some(run) => {
                    let why = run.why.map_or(String::new(), |why| format!(": {why}"));
                    format!("the last training, of {}, ended as {}{why}", instant::text(run.scheduled), run.state)
                }
                None => "no training has run yet".to_owned(),
            };
            format!("There was no model of {} yet, though {n} points had come; {last}.", tags.join(", "))
        };
        Ok(because(Reason::NoModel, text))
    }

    /// That the batch leaves the metric out of a job, or does not run it.
    fn left_out(&self, job: Job) -> Option<Answer> {
        let batch = self.batch?;
        let (include, exclude) = match job {
            Job::Train => (&batch.train.include, &batch.train.exclude),
            Job::Score => (&batch.score.include, &batch.score.exclude),
            Job::Alert => (&batch.alert.include, &batch.alert.exclude),
            _ => return None,
        };
        let (name, labels) = (&self.series.name, &self.series.labels);
        if exclude.contains(name, labels) {
            let text = format!("The batch leaves this metric out of {job} (`{job}_exclude_metrics`).");
            return Some(because(Reason::Excluded, text));
        }
        if !include.is_empty() && !include.contains(name, labels) {
            let text = format!("The batch takes other metrics for {job}, and not this one (`{job}_include_metrics`).");
            return Some(because(Reason::Excluded, text));
        }
        (!batch.runs(job)).then(|| {
            let text =
                format!("The batch does not run {job} by itself; `anomd run {} --job {job}` does.", self.key.batch);
            because(Reason::SwitchedOff, text)
        })
    }

    fn not_scored(&self, trace: &Trace) -> Result<String, DeskError> {
        let now = self.desk.now;
        let whole = self.end().saturating_add(self.batch.map_or(0, |batch| batch.ingest.delay_ms));
        if now < whole {
            return Ok(format!("It is not scored yet: its column is whole at {}.", instant::text(whole)));
        }
        let seen = trace.models.iter().filter_map(|model| Some(model.fit.as_ref()?.data.1)).min();
        if let Some(seen) = seen.filter(|seen| self.at < *seen) {
            return Ok(format!(
                "It has no score: the model was fit on the history up to {}, and only what came after that is scored.",
                instant::text(seen)
            ));
        }
        if self.series.scored.is_some_and(|scored| scored > self.at) {
            return Ok(
                "It has no score: no detector gave one for it, for want of context or because it failed.".to_owned()
            );
        }
        Ok(match self.last_run(Job::Score)? {
            Some(run) => {
                let why = run.why.map_or(String::new(), |why| format!(": {why}"));
                let at = instant::text(run.scheduled);
                format!("It is not scored yet; the last scoring, of {at}, ended as {}{why}.", run.state)
            }
            None => "It is not scored yet; no scoring has run.".to_owned(),
        })
    }

    fn unjudged_or_judged(&self, trace: &Trace) -> Result<Answer, DeskError> {
        // What came nearest to an alert: a rule that held anything back goes before one to
        // which the point was ordinary.
        let rank = |rule: &&RuleStep| matches!(rule.verdict, Verdict::Ordinary | Verdict::Ending);
        if let Some(rule) = trace.rules.iter().min_by_key(rank) {
            return Ok(self.judged(rule));
        }
        if let Some(answer) = self.left_out(Job::Alert) {
            return Ok(answer);
        }
        let score = trace.score.as_ref().map_or(f64::NAN, |score| score.smoothed);
        let threshold = self.batch.map(|batch| batch.alert.threshold);
        let last = match self.last_run(Job::Alert)? {
            Some(run) => format!("; the alert job ran last for {}", instant::text(run.scheduled)),
            None => "; the alert job has not run".to_owned(),
        };
        Ok(match threshold.filter(|threshold| score < *threshold) {
            Some(threshold) => {
                because(Reason::Threshold, format!("Its score {score:.2} is below the threshold {threshold:.2}."))
            }
            None => because(Reason::NotJudged, format!("The event rule has not looked at it{last}.")),
        })
    }

    /// The condition that failed, in the numbers of the rule.
    fn judged(&self, rule: &RuleStep) -> Answer {
        let failed = rule.conditions.iter().find(|condition| condition.outcome == Outcome::Failed);
        let numbers = failed.map(|condition| condition.text.clone()).unwrap_or_default();
        let kind = rule.kind.name();
        let (reason, text) = match rule.verdict {
            Verdict::Ordinary => (Reason::Threshold, format!("It is ordinary ({kind}): {numbers}.")),
            Verdict::Direction => (Reason::Direction, format!("It is on the side that was not asked for: {numbers}.")),
            Verdict::Deviation => (Reason::Deviation, format!("It is too near to what was expected: {numbers}.")),
            Verdict::NotRecent => {
                (Reason::NotRecent, format!("It came too late in its run to begin an alert: {numbers}."))
            }
            Verdict::Snoozed => (Reason::TooSoon, format!("It came too soon after an alert: {numbers}.")),
            Verdict::Returned => {
                (Reason::TooSoon, format!("Its score is of what was told already, and is over: {numbers}."))
            }
            Verdict::Muted => (Reason::Event, format!("An event keeps alerts from beginning: {numbers}.")),
            Verdict::Pending => {
                (Reason::Pending, format!("It is over the threshold, and not yet for long enough: {numbers}."))
            }
            Verdict::Firing => (Reason::NotRouted, "The alert is on.".to_owned()),
            Verdict::Ending => (Reason::Threshold, format!("It is ordinary, and an alert is about to end: {numbers}.")),
        };
        because(reason, text)
    }

    /// Who was told of the alert, or why nobody was.
    fn told(&self, alert: &AlertRecord, trace: &Trace) -> Answer {
        let fired = alert.fired.unwrap_or(alert.started);
        let (kind, id) = (alert.kind.name(), short(&alert.id));
        let began = match fired < self.at {
            true => format!("It is part of the {kind} alert {id}, which began at {}", instant::text(fired)),
            false => format!("It raised the {kind} alert {id}"),
        };
        let notices = || trace.notices.iter().filter(|notice| notice.alert == alert.id);
        let was_told = notices().any(|notice| notice.held.is_none());
        if let Some(answer) = self.delivered(&began, trace) {
            return answer;
        }
        if let Some(notice) = notices().next_back().filter(|_| !was_told)
            && let Some(why) = &notice.held
        {
            return because(held_reason(why), format!("{began}; nobody was told: {}.", notice.text));
        }
        if let Some(batch) = self.batch
            && alert::notifiers(batch, alert.kind).is_empty()
            && !alert::is_routed(batch, alert.kind)
            && notices().next().is_none()
        {
            let key = match alert.kind {
                AlertKind::Threshold if batch.threshold.methods.is_some() => "tholdalert_methods",
                _ => "alert_methods",
            };
            let text =
                format!("{began}; nobody was told, because the batch names no method (`{key}`) and has no route.");
            return because(Reason::NoMethod, text);
        }
        because(Reason::NotRouted, format!("{began}; the notify job has not looked at it yet."))
    }

    fn delivered(&self, began: &str, trace: &Trace) -> Option<Answer> {
        let methods = |state: &str| -> Vec<String> {
            let mut methods: Vec<String> =
                (trace.deliveries.iter()).filter(|delivery| delivery.state == state).map(method).collect();
            methods.sort();
            methods.dedup();
            methods
        };
        let (sent, dead) = (methods("sent"), methods("dead"));
        let first: Option<Millis> = (trace.deliveries.iter())
            .flat_map(|delivery| &delivery.tries)
            .filter(|attempt| attempt.sent)
            .map(|attempt| attempt.at)
            .min();
        if let Some(first) = first {
            let lost = if dead.is_empty() { String::new() } else { format!("; {} did not take it", dead.join(", ")) };
            let text = format!("{began}; {} told at {}{lost}.", were(&sent), instant::text(first));
            return Some(because(Reason::Told, text));
        }
        if let Some(waiting) = trace.deliveries.iter().find(|delivery| delivery.state == "queued") {
            let text = match waiting.tries.last() {
                Some(attempt) => format!(
                    "{began}; {} tries to reach {} failed, the last with: {}. The next is at {}.",
                    waiting.tries.len(),
                    method(waiting),
                    attempt.answer,
                    instant::text(waiting.due)
                ),
                None => format!("{began}; the message to {} is in the outbox.", method(waiting)),
            };
            return Some(because(Reason::Queued, text));
        }
        let lost = trace.deliveries.iter().find(|delivery| delivery.state == "dead")?;
        let answer = lost.tries.last().map_or("nothing was tried", |attempt| attempt.answer.as_str());
        let text = format!(
            "{began}; the message to {} was given up after {} tries: {answer}.",
            method(lost),
            lost.tries.len()
        );
        Some(because(Reason::Undelivered, text))
    }
}

fn were(methods: &[String]) -> String {
    let names = methods.join(" and ");
    if methods.len() == 1 { format!("{names} was") } else { format!("{names} were") }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn held_reason(why: &alert::Why) -> Reason {
    match why {
        alert::Why::Silenced(_) => Reason::Silenced,
        alert::Why::Inhibited(_) => Reason::Inhibited,
        alert::Why::Muted(_) | alert::Why::Inactive => Reason::Muted,
        alert::Why::Snoozed(_) => Reason::Snoozed,
        alert::Why::Acknowledged(_) => Reason::Acknowledged,
        alert::Why::Waiting(_) => Reason::Waiting,
        alert::Why::ResolvedUnwanted | alert::Why::OverBeforeTold => Reason::Over,
        alert::Why::Unrouted => Reason::NoMethod,
        alert::Why::ReceiverGone => Reason::Undelivered,
    }
}

/// The edges of what was expected, in words.
pub fn expected(edges: (Option<f64>, Option<f64>)) -> String {
    match edges {
        (Some(lower), Some(upper)) => format!("{} to {}", number(lower), number(upper)),
        (Some(lower), None) => format!("at least {}", number(lower)),
        (None, Some(upper)) => format!("at most {}", number(upper)),
        (None, None) => "no band".to_owned(),
    }
}
