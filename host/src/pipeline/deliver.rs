//! Deliver: sends what is queued and due.
//!
//! Delivery is at least once: a crash between the remote side's answer and our commit sends
//! the message again, with the same id. What failed is tried again after a back-off that
//! doubles, for as long as blame says that trying can help and tries are left; then it is
//! dead, and is kept to be seen.

use super::{BoundNotifier, JobContext, Outcome};
use crate::fault::{Fault, Retry};
use crate::message::Alert;
use crate::store::{Attempt, Delivery, DeliveryFilter, RunState};

pub(super) async fn run(context: &JobContext<'_>) -> Result<Outcome, Fault> {
    let queued =
        context.store.deliveries(&DeliveryFilter::queued(context.key())).map_err(|e| context.store_fault(&e))?;
    let due: Vec<Delivery> = queued.into_iter().filter(|d| d.due <= context.now()).collect();
    if due.is_empty() {
        return Ok(Outcome::skipped("nothing is due"));
    }
    let mut outcome = Outcome::default();
    for delivery in due {
        let delivery = match context.bound.notifiers.iter().find(|n| n.entry.plugin == delivery.method) {
            Some(notifier) => attempt(context, notifier, delivery).await,
            None => dead(context, delivery, "the batch no longer names this notifier in `alert_methods`"),
        };
        match delivery.state.as_str() {
            "sent" => outcome.count("sent", 1),
            state => {
                outcome.count(if state == "dead" { "dead" } else { "failed" }, 1);
                outcome.state = Some(RunState::Partial);
            }
        }
        outcome.deliveries.push(delivery);
    }
    Ok(outcome)
}

async fn attempt(context: &JobContext<'_>, notifier: &BoundNotifier, mut delivery: Delivery) -> Delivery {
    let alerts: [Alert; 1] = [delivery.alert.clone()];
    let answer = notifier.notify.deliver(&context.call(), &notifier.config, &alerts).await;
    let (outcome, retry) = match answer.map(|results| results.into_iter().next()) {
        Ok(Some(Ok(receipt))) => (Ok(receipt), Retry::Never),
        Ok(Some(Err(error))) => {
            let retry = error.retry();
            (Err(error.to_string()), retry)
        }
        Ok(None) => (Err("the plugin gave no result".to_owned()), Retry::Never),
        Err(fault) => (Err(fault.to_string()), fault.retry()),
    };
    let sent = outcome.is_ok();
    if let Err(why) = &outcome {
        context.log.note(format!("{} was not delivered: {why}", delivery.id));
    }
    delivery.attempts.push(Attempt { at: context.now(), outcome });
    let tries = u32::try_from(delivery.attempts.len()).unwrap_or(u32::MAX);
    let wait = match retry {
        _ if sent => None,
        Retry::Never => None,
        _ if tries >= context.limits.delivery_attempts => None,
        Retry::After(ms) => Some(u64::from(ms)),
        Retry::Backoff => Some(context.limits.retry_first_ms.saturating_mul(1 << (tries - 1).min(30))),
    };
    match wait {
        Some(ms) => delivery.due = context.now() + ms.min(context.limits.retry_longest_ms) as i64,
        None => delivery.state = if sent { "sent" } else { "dead" }.to_owned(),
    }
    delivery
}

fn dead(context: &JobContext<'_>, mut delivery: Delivery, why: &str) -> Delivery {
    delivery.attempts.push(Attempt { at: context.now(), outcome: Err(why.to_owned()) });
    delivery.state = "dead".to_owned();
    delivery
}
