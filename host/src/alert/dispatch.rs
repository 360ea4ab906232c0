//! The dispatcher: from alerts to who is told of them now.
//!
//! [`dispatch`] is pure: the same input gives the same messages, with the same identities.
//! It looks at what is, and takes signals only as a hint of what changed: a signal that was
//! lost costs a wait until the next look at a group, and no message.

use std::collections::{BTreeMap, BTreeSet};

use super::group::{Group, Standing, Tell};
use super::inhibit::inhibitor;
use super::mute::muted;
use super::route::{self, Target, hash};
use super::{Notice, Silence, Why, alert_labels};
use crate::config::{Batch, BatchKey, Routing};
use crate::message::{Act, AlertPhase, AlertState};
use crate::series::{Labels, Millis};
use crate::store::AlertRecord;

/// What the dispatcher is given.
#[derive(Clone, Debug)]
pub struct Dispatch<'a> {
    /// The logical now.
    pub now: Millis,
    /// The tenant's routes.
    pub routing: &'a Routing,
    /// The batches that have been taken up. Alerts of others are left as they are.
    pub batches: Vec<&'a Batch>,
    /// The alerts that fire, and those that are over and stand in `signals` or a group.
    pub alerts: Vec<AlertRecord>,
    /// Identities of alerts that began or ended since the last time.
    pub signals: BTreeSet<String>,
    /// The groups as they were left.
    pub groups: Vec<Group>,
    /// Silences; those that are not in force do nothing.
    pub silences: Vec<Silence>,
    /// What people did, by identity of the alert.
    pub acts: BTreeMap<String, Act>,
}

/// What the dispatcher decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dispatched {
    /// Groups that are new or changed.
    pub groups: Vec<Group>,
    /// Identities of groups that are no more.
    pub ended: Vec<String>,
    /// What is to be told.
    pub messages: Vec<Message>,
    /// What was decided, where that was something new.
    pub notices: Vec<Notice>,
    /// When it is to be asked next, if by then no signal has come.
    pub next: Option<Millis>,
}

/// Something to be told, by one notifier.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its identity.
    pub id: String,
    /// The incident that it belongs to.
    pub incident: String,
    /// Firing while something of the incident does.
    pub state: AlertState,
    /// It says nothing new.
    pub repeat: bool,
    /// The group that it is about.
    pub group: String,
    /// The group's labels.
    pub labels: Labels,
    /// The receiver.
    pub receiver: String,
    /// The receiver's notifier that sends it.
    pub method: String,
    /// The alerts, how each stands, and whether the last message did not say so.
    pub told: Vec<(String, AlertState, bool)>,
}

/// An alert that fires, with its labels.
pub(super) struct Firing<'a> {
    pub record: &'a AlertRecord,
    pub labels: Labels,
}

/// Decides who is told of what now.
pub fn dispatch(input: &Dispatch<'_>) -> Dispatched {
    let known: BTreeMap<&BatchKey, &Batch> = input.batches.iter().map(|batch| (&batch.key, *batch)).collect();
    let alerts: BTreeMap<&str, (&AlertRecord, Labels)> = input
        .alerts
        .iter()
        .filter_map(|record| Some((record.id.as_str(), (record, alert_labels(known.get(&record.key)?, record)))))
        .collect();
    let fires = alerts.values().filter(|(record, _)| record.phase == AlertPhase::Firing);
    let firing: Vec<Firing<'_>> = fires.map(|(record, labels)| Firing { record, labels: labels.clone() }).collect();
    let look = Look { input, alerts: &alerts, known: &known, firing: &firing };

    let mut done = Dispatched::default();
    let before: BTreeMap<&str, &Group> = input.groups.iter().map(|group| (group.id.as_str(), group)).collect();
    let mut groups: BTreeMap<String, Group> = input.groups.iter().map(|g| (g.id.clone(), g.clone())).collect();
    look.join(&mut groups, &mut done.notices);
    let targets = route::all(&input.batches, input.routing);
    for (id, mut group) in groups {
        let place = (group.path.clone(), group.receiver.clone());
        match targets.get(&place) {
            Some(target) => look.at(&mut group, target, &mut done),
            None if look.waits_for_its_batch(&group) => {}
            None => {
                done.notices.push(look.notice(&group, held_all(&group, &Why::ReceiverGone)));
                group.members.clear();
            }
        }
        match before.get(id.as_str()) {
            _ if group.members.is_empty() => done.ended.push(id),
            Some(before) if **before == group => {}
            _ => done.groups.push(group),
        }
    }
    done
}

fn held_all(group: &Group, why: &Why) -> Vec<(String, Why)> {
    group.members.keys().map(|id| (id.clone(), why.clone())).collect()
}

/// One run of the dispatcher.
struct Look<'a> {
    input: &'a Dispatch<'a>,
    alerts: &'a BTreeMap<&'a str, (&'a AlertRecord, Labels)>,
    known: &'a BTreeMap<&'a BatchKey, &'a Batch>,
    firing: &'a [Firing<'a>],
}

impl Look<'_> {
    /// Puts alerts that stand in no group into theirs. An alert stays in its group of a route
    /// when its labels change, so that the end is told where the beginning was.
    fn join(&self, groups: &mut BTreeMap<String, Group>, notices: &mut Vec<Notice>) {
        let standing: BTreeSet<(String, String, String)> = groups
            .values()
            .flat_map(|group| group.members.keys().map(|id| (group.path.clone(), group.receiver.clone(), id.clone())))
            .collect();
        let mut unrouted = Vec::new();
        for (record, labels) in self.alerts.values() {
            let signalled = self.input.signals.contains(&record.id);
            let over = record.phase == AlertPhase::Resolved;
            let joins = match record.phase {
                AlertPhase::Pending => false,
                AlertPhase::Firing => true,
                AlertPhase::Resolved => signalled && record.fired.is_some(),
            };
            let Some(batch) = self.known.get(&record.key).filter(|_| joins) else { continue };
            let targets = route::targets(batch, record.kind, self.input.routing, labels);
            if targets.is_empty() && signalled {
                unrouted.push((record.id.clone(), Why::Unrouted));
            }
            for target in targets.into_iter().filter(|target| !target.notifiers.is_empty()) {
                let place = (target.path.clone(), target.receiver.clone(), record.id.clone());
                // One that is over and in no group was told, or never had a group: one that
                // is signalled and over for the first time is told late, and once.
                if standing.contains(&place) {
                    continue;
                }
                let id = target.group_id(labels);
                let group = groups.entry(id.clone()).or_insert_with(|| Group {
                    id,
                    path: target.path.clone(),
                    receiver: target.receiver.clone(),
                    labels: target.group_labels(labels),
                    next_flush: self.input.now,
                    members: BTreeMap::new(),
                    last: None,
                    held: BTreeMap::new(),
                });
                group.join(&record.id, &record.key, over, target.grouping, self.input.now);
            }
        }
        if !unrouted.is_empty() {
            notices.push(Notice {
                at: self.input.now,
                group: String::new(),
                route: String::new(),
                receiver: String::new(),
                incident: None,
                told: Vec::new(),
                repeat: false,
                held: unrouted,
                deliveries: Vec::new(),
            });
        }
    }

    /// A group of a batch that has not been taken up keeps as it is.
    fn waits_for_its_batch(&self, group: &Group) -> bool {
        let name = route::batch_of(&group.path);
        name.is_some_and(|name| !self.known.keys().any(|key| key.batch == name))
    }

    fn standing(&self, group: &Group) -> BTreeMap<String, Standing> {
        let of = |(id, member): (&String, &super::group::Membership)| {
            let standing = match self.alerts.get(id.as_str()) {
                Some((record, _)) if record.phase == AlertPhase::Resolved => Standing::Over(record.started),
                Some((record, _)) => Standing::Firing(record.started),
                None if self.known.contains_key(&member.key) => Standing::Gone,
                None => Standing::Absent,
            };
            (id.clone(), standing)
        };
        group.members.iter().map(of).collect()
    }

    /// Looks at a group if it is due.
    fn at(&self, group: &mut Group, target: &Target<'_>, done: &mut Dispatched) {
        let now = self.input.now;
        let standing = self.standing(group);
        if standing.values().all(|standing| *standing == Standing::Absent) {
            return;
        }
        let standing = |id: &str| standing.get(id).cloned().unwrap_or(Standing::Gone);
        group.notice_ends(standing, target.grouping, now);
        if group.next_flush > now {
            self.wait(group, done);
        } else {
            let muted = muted(self.input.routing, target, now);
            let hold = |id: &str, ending: bool| self.hold(id, ending, muted.as_ref());
            let told_before = std::mem::take(&mut group.held);
            let flush = group.flush(standing, hold, target.grouping, target.send_resolved, now);
            let news = flush.tell.is_some() || flush.held.iter().any(|(id, why)| told_before.get(id) != Some(why));
            if news {
                self.tell(group, target, flush.tell, flush.held, done);
            }
        }
        if !group.members.is_empty() {
            done.next = Some(done.next.map_or(group.next_flush, |next| next.min(group.next_flush)));
        }
    }

    /// Notes who came, or is over, and has to wait.
    fn wait(&self, group: &mut Group, done: &mut Dispatched) {
        let fresh = |id: &&String| self.input.signals.contains(*id);
        let held: Vec<(String, Why)> =
            group.members.keys().filter(fresh).map(|id| (id.clone(), Why::Waiting(group.next_flush))).collect();
        if !held.is_empty() {
            done.notices.push(self.notice(group, held));
        }
    }

    /// Why an alert is told to nobody now; of one that is `ending`, why that is put off.
    fn hold(&self, id: &str, ending: bool, muted: Option<&Why>) -> Option<Why> {
        let (_, labels) = self.alerts.get(id)?;
        let now = self.input.now;
        let act = self.input.acts.get(id);
        let inhibited = || inhibitor(&self.input.routing.inhibit, self.firing, labels);
        let silenced = || self.input.silences.iter().find(|silence| silence.covers(labels, now));
        let snoozed = || act.and_then(|act| act.snoozed.as_ref()).filter(|(until, _)| *until > now);
        let acknowledged = || act.and_then(|act| act.acknowledged.as_ref());
        if ending {
            return muted.cloned().or_else(|| snoozed().map(|(until, _)| Why::Snoozed(*until)));
        }
        inhibited()
            .map(|by| Why::Inhibited(by.to_owned()))
            .or_else(|| muted.cloned())
            .or_else(|| silenced().map(|silence| Why::Silenced(silence.id.clone())))
            .or_else(|| snoozed().map(|(until, _)| Why::Snoozed(*until)))
            .or_else(|| acknowledged().map(|(who, ..)| Why::Acknowledged(who.clone())))
    }

    /// A message for each notifier of the receiver, and the notice of them.
    fn tell(
        &self,
        group: &Group,
        target: &Target<'_>,
        tell: Option<Tell>,
        held: BTreeMap<String, Why>,
        done: &mut Dispatched,
    ) {
        let mut notice = self.notice(group, held.into_iter().collect());
        if let Some(Tell { incident, state, repeat, told }) = tell {
            let content: String = told.iter().map(|(id, state, _)| format!("{id} {state:?}\n")).collect();
            for method in &target.notifiers {
                let id = hash(&[&group.id, method, &content, &self.input.now.to_string()]);
                notice.deliveries.push(id.clone());
                done.messages.push(Message {
                    id,
                    incident: incident.clone(),
                    state,
                    repeat,
                    group: group.id.clone(),
                    labels: group.labels.clone(),
                    receiver: group.receiver.clone(),
                    method: method.clone(),
                    told: told.clone(),
                });
            }
            notice.incident = Some(incident);
            notice.repeat = repeat;
            notice.told = told.into_iter().map(|(id, ..)| id).collect();
        }
        done.notices.push(notice);
    }

    fn notice(&self, group: &Group, held: Vec<(String, Why)>) -> Notice {
        Notice {
            at: self.input.now,
            group: group.id.clone(),
            route: group.path.clone(),
            receiver: group.receiver.clone(),
            incident: None,
            told: Vec::new(),
            repeat: false,
            held,
            deliveries: Vec::new(),
        }
    }
}
