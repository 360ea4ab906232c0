//! Notify: asks the dispatcher who is told of which alert, and queues the messages.
//!
//! Groups, notices and deliveries are one commit: a message that is queued is remembered as
//! told, and the other way round. What was read is older than the commit by a moment, so the
//! alerts that go on are read before the signals: one that ends in between has left its end
//! to be seen at the next look.

use std::collections::{BTreeMap, BTreeSet};

use super::Outcome;
use super::hand_over::hand_over;
use super::tenant::TenantContext;
use crate::alert::{
    Dispatch, EventNote, Group, GroupMessage, Marker, Member, Message, Notice, Signal, alert_labels, chart,
    common_labels, compose_group, dispatch, worse,
};
use crate::config::{Batch, BatchKey};
use crate::fault::Fault;
use crate::message::{Act, AlertPhase};
use crate::series::{Labels, MatchOp, Millis};
use crate::store::{AlertFilter, AlertRecord, Database, Delivery, DocumentKind, DocumentWrite, StoreError};

/// How long a prune of the notices is good for.
const PRUNE_MS: Millis = 3_600_000;

pub(super) fn run(context: &TenantContext<'_>) -> Result<Outcome, Fault> {
    decide(context).map_err(|error| context.store_fault(&error))
}

fn decide(context: &TenantContext<'_>) -> Result<Outcome, StoreError> {
    let (store, tenant, now) = (context.store, context.tenant(), context.now());
    let batches: BTreeMap<&BatchKey, &Batch> =
        context.bound.batches.iter().map(|bound| (&bound.batch.key, &bound.batch)).collect();
    let mut alerts: Vec<AlertRecord> = Vec::new();
    for key in batches.keys() {
        let open = AlertFilter { key: Some((*key).clone()), open: true, ..AlertFilter::default() };
        alerts.extend(store.alerts(&open)?);
    }
    let signals: Vec<Signal> = store
        .documents::<Signal>(tenant, DocumentKind::Signal, "")?
        .into_iter()
        .map(|(_, signal)| signal)
        .filter(|signal| batches.contains_key(&signal.key))
        .collect();
    let groups: Vec<Group> = store.documents(tenant, DocumentKind::Group, "")?.into_iter().map(|(_, g)| g).collect();
    alerts.extend(closed(store, &alerts, &signals, &groups, &batches)?);
    alerts.sort_by(|a, b| a.id.cmp(&b.id));

    let input = Dispatch {
        now,
        routing: &context.bound.routing,
        batches: batches.values().copied().collect(),
        alerts,
        signals: signals.iter().map(|signal| signal.id.clone()).collect(),
        groups,
        silences: store.documents(tenant, DocumentKind::Silence, "")?.into_iter().map(|(_, s)| s).collect(),
        acts: store.documents::<Act>(tenant, DocumentKind::Act, "")?.into_iter().collect(),
    };
    let done = dispatch(&input);

    let mut outcome = Outcome::default();
    outcome.count("alerts", input.alerts.iter().filter(|alert| alert.phase == AlertPhase::Firing).count());
    outcome.count("signals", signals.len());
    outcome.count("messages", done.messages.len());
    let words = Words { context, input: &input, batches: &batches };
    for message in &done.messages {
        outcome.deliveries.extend(words.delivery(message)?);
    }
    let handed = hand_over(context, &input.alerts, &batches)?;
    outcome.count("handed_over", handed.len());
    outcome.deliveries.extend(handed);

    outcome.documents.extend(signals.iter().map(Signal::deletion));
    let groups = done.groups.iter().map(|group| DocumentWrite::of(DocumentKind::Group, &group.id, group));
    outcome.documents.extend(groups);
    outcome.documents.extend(done.ended.into_iter().map(|id| DocumentWrite::deletion(DocumentKind::Group, id)));
    if !done.notices.is_empty() {
        outcome.documents.extend(done.notices.iter().map(Notice::document));
        outcome.documents.extend(stale_notices(context, done.notices.len())?);
    }
    Ok(outcome)
}

/// The alerts that are over and that a signal or a group names.
fn closed(
    store: &Database,
    open: &[AlertRecord],
    signals: &[Signal],
    groups: &[Group],
    batches: &BTreeMap<&BatchKey, &Batch>,
) -> Result<Vec<AlertRecord>, StoreError> {
    let known: BTreeSet<&str> = open.iter().map(|alert| alert.id.as_str()).collect();
    let members = groups.iter().flat_map(|group| group.members.iter().map(|(id, member)| (&member.key, id)));
    let named = signals.iter().map(|signal| (&signal.key, &signal.id)).chain(members);
    let mut wanted: BTreeMap<&BatchKey, BTreeSet<String>> = BTreeMap::new();
    for (key, id) in named.filter(|(key, id)| batches.contains_key(key) && !known.contains(id.as_str())) {
        wanted.entry(key).or_default().insert(id.clone());
    }
    let mut found = Vec::new();
    for (key, ids) in wanted {
        found.extend(store.alerts_named(key, &ids)?);
    }
    Ok(found)
}

/// The oldest notices, where there are more than are kept. Looked at once in an hour.
fn stale_notices(context: &TenantContext<'_>, fresh: usize) -> Result<Vec<DocumentWrite>, StoreError> {
    let last = context.store.last_run(&context.slot.key, context.slot.job)?;
    if last.is_some_and(|last| last.slot.scheduled.div_euclid(PRUNE_MS) == context.now().div_euclid(PRUNE_MS)) {
        return Ok(Vec::new());
    }
    let names = context.store.documents::<serde::de::IgnoredAny>(context.tenant(), DocumentKind::Notice, "")?;
    let excess = (names.len() + fresh).saturating_sub(context.limits.notices_kept);
    Ok(names.into_iter().take(excess).map(|(name, _)| DocumentWrite::deletion(DocumentKind::Notice, name)).collect())
}

/// Puts messages into words.
struct Words<'a> {
    context: &'a TenantContext<'a>,
    input: &'a Dispatch<'a>,
    batches: &'a BTreeMap<&'a BatchKey, &'a Batch>,
}

impl Words<'_> {
    fn delivery(&self, message: &Message) -> Result<Option<Delivery>, StoreError> {
        let record = |id: &String| {
            // They are sorted by identity.
            let index = self.input.alerts.binary_search_by(|alert| alert.id.cmp(id)).ok()?;
            self.input.alerts.get(index)
        };
        let members = message.told.iter().filter_map(|(id, state, fresh)| {
            let record = record(id)?;
            let batch = *self.batches.get(&record.key)?;
            Some(Member {
                record,
                labels: alert_labels(batch, record),
                batch: Some(batch),
                act: self.input.acts.get(id).cloned().unwrap_or_default(),
                state: *state,
                fresh: *fresh,
            })
        });
        let mut members: Vec<Member<'_>> = members.collect();
        members.sort_by(|a, b| (a.record.started, &a.record.id).cmp(&(b.record.started, &b.record.id)));
        let subject = match &members[..] {
            [] => return Ok(None),
            [one] => Some((one.record.key.batch.clone(), one.record.id.clone())),
            _ => None,
        };
        let batches = members.iter().map(|member| member.record.key.batch.clone()).collect();
        let drawn = drawn(&members);
        let message = GroupMessage {
            id: message.id.clone(),
            incident: message.incident.clone(),
            state: message.state,
            repeat: message.repeat,
            tenant: self.context.tenant(),
            receiver: &message.receiver,
            method: &message.method,
            group: message.labels.clone(),
            common: common_labels(members.iter().map(|member| &member.labels)),
            events: events(self.context, &members)?,
            members,
            findings: self.context.limits.message_findings,
            now: self.context.now(),
            links: self.context.bound.links.as_ref().and_then(|links| links(message)),
        };
        Ok(Some(Delivery {
            id: message.id.clone(),
            key: self.context.bound.key(),
            batches,
            subject,
            drawn,
            receiver: message.receiver.to_owned(),
            method: message.method.to_owned(),
            alert: compose_group(&message, self.context.limits),
            queued: self.context.now(),
            due: self.context.now(),
            every_ms: None,
            attempts: Vec::new(),
            state: "queued".to_owned(),
        }))
    }
}

/// What the chart of a message shows: its worst alerts, in the order in which they began.
fn drawn(members: &[Member<'_>]) -> Vec<(String, String)> {
    let mut worst: Vec<&Member<'_>> = members.iter().collect();
    worst.sort_by(|a, b| worse(a, b));
    worst.truncate(chart::SERIES);
    worst.sort_by_key(|member| member.record.started);
    worst.into_iter().map(|member| (member.record.key.batch.clone(), member.record.id.clone())).collect()
}

/// The events that alerts name.
pub(super) fn events(context: &TenantContext<'_>, members: &[Member<'_>]) -> Result<Vec<EventNote>, StoreError> {
    let ids: BTreeSet<&String> = members.iter().flat_map(|member| &member.record.events).collect();
    let mut events = Vec::new();
    for id in ids {
        let marker: Option<Marker> = context.store.document(context.tenant(), DocumentKind::Event, id)?;
        events.extend(marker.map(|marker| EventNote {
            id: marker.id,
            title: if marker.text.is_empty() { marker.kind } else { format!("{}: {}", marker.kind, marker.text) },
            labels: said(&marker.matchers.0),
            start: marker.start,
            end: marker.end,
        }));
    }
    events.sort_by(|a, b| (a.start, &a.id).cmp(&(b.start, &b.id)));
    Ok(events)
}

/// The labels that a list of matchers gives a value to.
fn said(matchers: &[crate::series::Matcher]) -> Labels {
    let equal = matchers.iter().filter(|matcher| matcher.op == MatchOp::Equal);
    // The last of two that contradict each other: no alert matches those anyway.
    let pairs: BTreeMap<String, String> = equal.map(|m| (m.name.clone(), m.value.clone())).collect();
    Labels::new(pairs).unwrap_or_default()
}
