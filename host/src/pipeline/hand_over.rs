//! Hand-over to Alertmanager: it gets every alert by itself, again and again while it fires,
//! and once that it is over. Grouping, silences and repeats are its own.
//!
//! There is one delivery for each alert and receiver. It is sent every `hand_over_ms` for as
//! long as the alert fires: Alertmanager takes what it no longer hears of for over.

use std::collections::{BTreeMap, BTreeSet};

use super::tenant::{Address, TenantContext};
use crate::alert::{
    GroupMessage, Member, alert_labels, compose_group, handed, is_routed, notifiers, receiver_of, walk,
};
use crate::config::{Batch, BatchKey, NotifierUse};
use crate::message::{Act, AlertKind, AlertPhase, AlertState};
use crate::series::Labels;
use crate::store::{AlertRecord, Delivery, DeliveryFilter, StoreError};

/// The deliveries that are new, and those whose alert is over: they are due at once.
///
/// It looks at what fires and at what is being sent, and not at what changed: nothing is lost
/// when it was not asked for a while. An alert that began and ended meanwhile is not handed
/// over, as Alertmanager would not tell of it either.
pub(super) fn hand_over(
    context: &TenantContext<'_>,
    alerts: &[AlertRecord],
    batches: &BTreeMap<&BatchKey, &Batch>,
) -> Result<Vec<Delivery>, StoreError> {
    let queued = context.store.deliveries(&DeliveryFilter::queued(&context.bound.key()))?;
    let sent: BTreeMap<String, Delivery> = queued
        .into_iter()
        .filter(|delivery| delivery.every_ms.is_some())
        .map(|delivery| (delivery.id.clone(), delivery))
        .collect();
    let mut deliveries = Vec::new();
    let mut fires: BTreeSet<&str> = BTreeSet::new();
    for record in alerts.iter().filter(|record| record.phase == AlertPhase::Firing) {
        fires.insert(&record.id);
        let Some(batch) = batches.get(&record.key) else { continue };
        for to in addresses(context, batch, record.kind, &alert_labels(batch, record)) {
            let id = format!("{}-{}-{}", record.id, to.receiver, to.method);
            if !sent.contains_key(&id) {
                deliveries.push(delivery(context, batch, record, to, id));
            }
        }
    }
    let over = |delivery: &Delivery| {
        let Some((batch, id)) = &delivery.subject else { return false };
        !fires.contains(id.as_str()) && context.bound.batch(batch).is_some()
    };
    for delivery in sent.into_values().filter(over) {
        deliveries.push(Delivery { due: delivery.due.min(context.now()), ..delivery });
    }
    Ok(deliveries)
}

/// What is to be sent for a delivery now: its alert as it stands. One that is no longer there
/// is over.
///
/// It is asked at each sending: where a sending and the end of its alert cross, the next one
/// says so.
pub(super) fn as_it_stands(context: &TenantContext<'_>, sent: Delivery) -> Result<Delivery, StoreError> {
    let Some((name, id)) = sent.subject.clone() else { return Ok(sent) };
    let Some(bound) = context.bound.batch(&name) else { return Ok(sent) };
    let mut alert = match context.store.alerts_named(&bound.batch.key, &[id].into())?.pop() {
        Some(record) => delivery(context, &bound.batch, &record, Address::of(&sent), sent.id.clone()).alert,
        None => crate::message::Alert { state: AlertState::Resolved, ..sent.alert.clone() },
    };
    if alert.state == AlertState::Resolved {
        alert.findings.iter_mut().for_each(|finding| _ = finding.ended.get_or_insert(context.now()));
    }
    Ok(Delivery { alert, ..sent })
}

/// Where an alert is handed over: by its batch's own notifiers, and by those of the tree.
fn addresses(context: &TenantContext<'_>, batch: &Batch, kind: AlertKind, labels: &Labels) -> BTreeSet<Address> {
    let of = |receiver: &str, notifiers: &[NotifierUse]| -> Vec<Address> {
        let address = |method| Address { receiver: receiver.to_owned(), method };
        handed(notifiers).into_iter().map(address).collect()
    };
    let mut all: BTreeSet<Address> = of(&receiver_of(batch, kind), notifiers(batch, kind)).into_iter().collect();
    let routing = &context.bound.routing;
    if let Some(root) = routing.route.as_ref().filter(|_| is_routed(batch, kind)) {
        for target in walk(routing, root, labels) {
            let receiver = routing.receivers.get(&target.receiver);
            all.extend(receiver.map(|receiver| of(&receiver.name, &receiver.notifiers)).unwrap_or_default());
        }
    }
    all
}

fn delivery(context: &TenantContext<'_>, batch: &Batch, record: &AlertRecord, to: Address, id: String) -> Delivery {
    // The notifier spells the series' own name as `metric`, and that is what is looked for
    // there.
    let pairs = alert_labels(batch, record).into_pairs().into_iter();
    let labels = Labels::new(pairs.filter(|(name, _)| name != "metric" && name != Labels::NAME)).unwrap_or_default();
    let state = if record.phase == AlertPhase::Firing { AlertState::Firing } else { AlertState::Resolved };
    let member = Member { record, labels: labels.clone(), batch: Some(batch), act: Act::default(), state, fresh: true };
    let message = GroupMessage {
        id: id.clone(),
        incident: record.id.clone(),
        state,
        repeat: false,
        tenant: context.tenant(),
        receiver: &to.receiver,
        method: &to.method,
        group: labels.clone(),
        common: labels,
        members: vec![member],
        events: Vec::new(),
        findings: 1,
        now: context.now(),
        links: None,
    };
    Delivery {
        alert: compose_group(&message, context.limits),
        id,
        key: context.bound.key(),
        batches: [record.key.batch.clone()].into(),
        subject: Some((record.key.batch.clone(), record.id.clone())),
        drawn: Vec::new(),
        receiver: to.receiver,
        method: to.method,
        queued: context.now(),
        due: context.now(),
        every_ms: Some(context.limits.hand_over_ms),
        attempts: Vec::new(),
        state: "queued".to_owned(),
    }
}
