//! Deliver: sends what one notifier of a tenant has to send.
//!
//! Delivery is at least once: a crash between the remote side's answer and our commit sends
//! the message again, with the same id. What failed is tried again after a back-off that
//! doubles, for as long as blame says that trying can help and tries are left; then it is
//! dead, and is kept to be seen. What is handed over again and again is tried for as long as
//! its alert fires.

use std::collections::BTreeSet;

use super::hand_over::as_it_stands;
use super::tenant::{Address, TenantContext};
use super::{BoundNotifier, Outcome, picture};
use crate::config::Batch;
use crate::fault::{Fault, PluginError, Retry};
use crate::message::{Alert, AlertState};
use crate::store::{AlertRecord, Attempt, Delivery, DeliveryFilter, RunState};

pub(super) async fn run(context: &TenantContext<'_>, to: &Address) -> Result<Outcome, Fault> {
    let queued = context.store.deliveries(&DeliveryFilter::queued(&context.slot.key));
    let queued = queued.map_err(|e| context.store_fault(&e))?.into_iter();
    let due: Vec<Delivery> =
        queued.filter(|d| d.due <= context.now() && d.receiver == to.receiver && d.method == to.method).collect();
    if due.is_empty() || !context.bound.knows(&to.receiver) {
        return Ok(Outcome::skipped("nothing is due"));
    }
    let mut outcome = Outcome::default();
    let Some(notifier) = context.bound.notifier(to) else {
        let why = format!("the receiver {} no longer has the notifier {}", to.receiver, to.method);
        outcome.count("dead", due.len());
        outcome.state = Some(RunState::Partial);
        outcome.deliveries = due.into_iter().map(|delivery| dead(context, delivery, &why)).collect();
        return Ok(outcome);
    };
    let (again, once): (Vec<Delivery>, Vec<Delivery>) = due.into_iter().partition(|d| d.every_ms.is_some());
    for delivery in once {
        let alert = with_chart(context, &delivery)?;
        let answer = send(context, notifier, std::slice::from_ref(&alert)).await.pop();
        outcome.deliveries.push(settle(context, delivery, answer));
    }
    let again = again.into_iter().map(|delivery| as_it_stands(context, delivery)).collect::<Result<Vec<_>, _>>();
    let again = again.map_err(|e| context.store_fault(&e))?;
    for some in again.chunks(context.limits.hand_over_alerts.max(1)) {
        let alerts: Vec<Alert> = some.iter().map(|delivery| delivery.alert.clone()).collect();
        let answers = send(context, notifier, &alerts).await;
        let mut answers = answers.into_iter();
        outcome.deliveries.extend(some.iter().map(|delivery| settle(context, delivery.clone(), answers.next())));
    }
    for delivery in &outcome.deliveries {
        let failed = delivery.attempts.last().is_some_and(|attempt| attempt.outcome.is_err());
        let what = if !failed {
            "sent"
        } else if delivery.state == "dead" {
            "dead"
        } else {
            "failed"
        };
        *outcome.counts.entry(what.to_owned()).or_default() += 1;
        if failed {
            outcome.state = Some(RunState::Partial);
        }
    }
    Ok(outcome)
}

/// The message with its chart. A batch or an alert that is gone since is not in it.
fn with_chart(context: &TenantContext<'_>, delivery: &Delivery) -> Result<Alert, Fault> {
    let mut found: Vec<(&Batch, AlertRecord)> = Vec::new();
    let batches: BTreeSet<&String> = delivery.drawn.iter().map(|(batch, _)| batch).collect();
    for bound in batches.into_iter().filter_map(|batch| context.bound.batch(batch)) {
        let own = delivery.drawn.iter().filter(|(batch, _)| *batch == bound.batch.key.batch);
        let named = own.map(|(_, id)| id.clone()).collect();
        let records = context.store.alerts_named(&bound.batch.key, &named).map_err(|e| context.store_fault(&e))?;
        found.extend(records.into_iter().map(|record| (&bound.batch, record)));
    }
    let place = |id: &str| delivery.drawn.iter().position(|(_, drawn)| drawn == id);
    found.sort_by_key(|(_, record)| place(&record.id));
    let shown: Vec<(&Batch, &AlertRecord)> = found.iter().map(|(batch, record)| (*batch, record)).collect();
    // As of when the message was queued, so that each try sends the same.
    let chart = picture::of_alerts(context.store, &shown, delivery.queued, context.limits);
    Ok(Alert { chart, ..delivery.alert.clone() })
}

/// What became of a try: the answer of the remote side, or the reason and whether to try again.
type Answer = Result<String, (String, Retry)>;

async fn send(context: &TenantContext<'_>, notifier: &BoundNotifier, alerts: &[Alert]) -> Vec<Answer> {
    let said = |error: PluginError| (error.to_string(), error.retry());
    match notifier.notify.deliver(&context.call(), &notifier.config, alerts).await {
        Ok(results) => results.into_iter().map(|result| result.map_err(said)).collect(),
        Err(fault) => {
            // A plugin in quarantine was not even asked.
            let wait = fault.until.map(|until| until.saturating_sub(context.now()).max(0));
            let retry = wait.map(|ms| Retry::After(u32::try_from(ms).unwrap_or(u32::MAX))).unwrap_or(fault.retry());
            let failed = Err((fault.to_string(), retry));
            vec![failed; alerts.len()]
        }
    }
}

fn settle(context: &TenantContext<'_>, mut delivery: Delivery, answer: Option<Answer>) -> Delivery {
    let answer = answer.unwrap_or_else(|| Err(("the plugin gave no result".to_owned(), Retry::Never)));
    let retry = answer.as_ref().err().map(|(_, retry)| *retry);
    if let Err((why, _)) = &answer {
        note_failure(context, &delivery, why);
    }
    delivery.attempts.push(Attempt { at: context.now(), outcome: answer.map_err(|(why, _)| why) });
    let fires = delivery.every_ms.filter(|_| delivery.alert.state == AlertState::Firing);
    let failures = delivery.attempts.iter().rev().take_while(|attempt| attempt.outcome.is_err()).count();
    let tries = u32::try_from(failures).unwrap_or(u32::MAX);
    let backoff = context.limits.retry_first_ms.saturating_mul(1 << tries.saturating_sub(1).min(30));
    let wait = match (retry, fires) {
        (None, every) => every,
        (Some(Retry::After(ms)), Some(every)) => Some(u64::from(ms).min(every)),
        (Some(_), Some(every)) => Some(backoff.min(every)),
        (Some(Retry::Never), None) => None,
        (Some(_), None) if tries >= context.limits.delivery_attempts => None,
        (Some(Retry::After(ms)), None) => Some(u64::from(ms).min(context.limits.retry_longest_ms)),
        (Some(Retry::Backoff), None) => Some(backoff.min(context.limits.retry_longest_ms)),
    };
    if delivery.every_ms.is_some() {
        let excess = delivery.attempts.len().saturating_sub(context.limits.delivery_attempts as usize);
        delivery.attempts.drain(..excess);
    }
    match wait {
        Some(ms) => delivery.due = context.now().saturating_add_unsigned(ms),
        None => delivery.state = if retry.is_none() { "sent" } else { "dead" }.to_owned(),
    }
    delivery
}

fn dead(context: &TenantContext<'_>, mut delivery: Delivery, why: &str) -> Delivery {
    note_failure(context, &delivery, why);
    delivery.attempts.push(Attempt { at: context.now(), outcome: Err(why.to_owned()) });
    delivery.state = "dead".to_owned();
    delivery
}

fn note_failure(context: &TenantContext<'_>, delivery: &Delivery, why: &str) {
    let Delivery { id, receiver, method, .. } = delivery;
    context.log.note(format!("{id} was not delivered to {receiver} by {method}: {why}"));
}
