//! Groups of alerts, and when they are told: the part that Alertmanager's dispatcher and
//! deduplication play.
//!
//! A group is told when an alert fires that the last message did not name, when one of which
//! it was told is over, and again after `repeat_interval` while something fires. Between two
//! messages lies at least `group_interval`, before the first `group_wait`.
//!
//! In three things it is not Alertmanager's. An alert that was over before anybody could be
//! told is told once, as one that is over, unless something held it back while it fired. Who
//! was told that an alert began is told that it is over whatever silences it since; times at
//! which a route is muted only put that off. And `group_wait` counts from when an alert came,
//! not from when it began: ours come with a batch's run, and many of them at once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Why;
use super::route::hash;
use crate::config::{BatchKey, Grouping};
use crate::message::AlertState;
use crate::series::{Labels, Millis};

/// The shortest `group_interval` and `repeat_interval`, in milliseconds: a group is not
/// looked at more often.
const SHORTEST_MS: Millis = 1_000;

/// What is remembered of a group between two looks. It is there while it has members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its identity, and the name of its document: a hash of path, receiver and labels.
    pub id: String,
    /// The route by which its alerts came.
    pub path: String,
    /// Who is told.
    pub receiver: String,
    /// The labels that made it.
    pub labels: Labels,
    /// It is looked at no earlier, unless something changes.
    pub next_flush: Millis,
    /// Its alerts, by identity.
    pub members: BTreeMap<String, Membership>,
    /// What the receiver was told last; `None`: nothing, or that all is over.
    pub last: Option<Told>,
    /// What was held back at the last look, and why.
    pub held: BTreeMap<String, Why>,
}

/// An alert in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Its batch.
    pub key: BatchKey,
    /// The receiver was told that it began.
    pub told: bool,
    /// It was held back while it fired, and has not been told.
    pub held: bool,
    /// It is known to be over.
    pub over: bool,
}

/// What a receiver was told last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The incident that the messages belong to, until all of it is over.
    pub incident: String,
    /// When.
    pub at: Millis,
    /// The alerts that the message named as firing.
    pub firing: BTreeSet<String>,
}

/// How a member stands at a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It fires, since this instant.
    Firing(Millis),
    /// It is over, and began at this instant.
    Over(Millis),
    /// Nothing is known of it now: its batch has not been taken up.
    Absent,
    /// There is no such alert any more.
    Gone,
}

/// What comes of a look at a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Flush {
    /// The message, if there is one.
    pub tell: Option<Tell>,
    /// Who was held back, and why.
    pub held: BTreeMap<String, Why>,
}

/// A message about a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tell {
    /// See [`Told`].
    pub incident: String,
    /// Firing while a member is of which the receiver was told.
    pub state: AlertState,
    /// It says nothing new.
    pub repeat: bool,
    /// The alerts, how each stands, and whether the last message said so.
    pub told: Vec<(String, AlertState, bool)>,
}

impl Group {
    /// Adds an alert; a group that is new waits for others.
    pub(super) fn join(&mut self, id: &str, key: &BatchKey, over: bool, grouping: &Grouping, now: Millis) {
        let member = Membership { key: key.clone(), told: false, held: false, over };
        let fresh = self.members.is_empty();
        if self.members.insert(id.to_owned(), member).is_none() {
            self.hurry(fresh, grouping, now);
        }
    }

    /// Something changed: the next look is as early as the grouping lets it be.
    fn hurry(&mut self, fresh: bool, grouping: &Grouping, now: Millis) {
        let due = match &self.last {
            Some(last) => now.max(last.at.saturating_add(grouping.interval_ms)),
            None => now.saturating_add(grouping.wait_ms),
        };
        self.next_flush = if fresh { due } else { self.next_flush.min(due) };
    }

    /// Notes which members are over since the last look.
    pub(super) fn notice_ends(&mut self, standing: impl Fn(&str) -> Standing, grouping: &Grouping, now: Millis) {
        let mut changed = false;
        for (id, member) in &mut self.members {
            let over = matches!(standing(id), Standing::Over(_) | Standing::Gone);
            changed |= over && !member.over;
            member.over = over;
        }
        if changed {
            self.hurry(false, grouping, now);
        }
    }

    /// Looks at the group: decides, and remembers what was decided.
    ///
    /// `hold` says why an alert is told to nobody now, or, where its second argument is true,
    /// why it is not told now that it is over.
    pub(super) fn flush(
        &mut self,
        standing: impl Fn(&str) -> Standing,
        hold: impl Fn(&str, bool) -> Option<Why>,
        grouping: &Grouping,
        send_resolved: bool,
        now: Millis,
    ) -> Flush {
        let mut held = BTreeMap::new();
        let (mut firing, mut over) = (BTreeMap::new(), BTreeMap::new());
        let (mut dropped, mut absent): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for (id, member) in &mut self.members {
            let (is_over, started) = match standing(id) {
                Standing::Absent => {
                    absent.push(id.clone());
                    continue;
                }
                Standing::Gone => {
                    dropped.push(id.clone());
                    continue;
                }
                Standing::Firing(started) => (false, started),
                Standing::Over(started) => (true, started),
            };
            let why = hold(id, is_over && member.told);
            match (is_over, why) {
                (false, None) => drop(firing.insert(id.clone(), started)),
                (false, Some(why)) => {
                    member.held = true;
                    held.insert(id.clone(), why);
                }
                // The end of what was told is put off, and not lost.
                (true, Some(why)) if member.told => drop(held.insert(id.clone(), why)),
                (true, why) if !member.told && (member.held || why.is_some()) => {
                    held.insert(id.clone(), why.unwrap_or(Why::OverBeforeTold));
                    dropped.push(id.clone());
                }
                (true, _) if member.told && !send_resolved => {
                    held.insert(id.clone(), Why::ResolvedUnwanted);
                    dropped.push(id.clone());
                }
                (true, _) => drop(over.insert(id.clone(), started)),
            }
        }
        dropped.iter().for_each(|id| drop(self.members.remove(id)));

        let named = |id: &String| self.last.as_ref().is_some_and(|last| last.firing.contains(id));
        let news = !over.is_empty() || firing.keys().any(|id| !named(id));
        let since = self.last.as_ref().map(|last| now.saturating_sub(last.at));
        let repeat = !firing.is_empty() && since.is_some_and(|since| since >= grouping.repeat_ms.max(SHORTEST_MS));
        let tell = (news || repeat).then(|| {
            let first = firing.values().chain(over.values()).min().copied().unwrap_or(now);
            let incident = match &self.last {
                Some(last) => last.incident.clone(),
                None => hash(&[&self.id, &first.to_string()]),
            };
            let told = firing.keys().map(|id| (id.clone(), AlertState::Firing, !named(id)));
            let told: Vec<_> = told.chain(over.keys().map(|id| (id.clone(), AlertState::Resolved, true))).collect();
            let known = firing.keys().chain(absent.iter().filter(|id| named(id))).cloned().collect();
            (Told { incident, at: now, firing: known }, told)
        });
        let tell = tell.map(|(last, told)| {
            for id in firing.keys() {
                if let Some(member) = self.members.get_mut(id) {
                    (member.told, member.held) = (true, false);
                }
            }
            over.keys().for_each(|id| drop(self.members.remove(id)));
            // An incident is over when none is left of whose beginning alone the receiver knows.
            let open = self.members.values().any(|member| member.told);
            let state = if open { AlertState::Firing } else { AlertState::Resolved };
            let incident = last.incident.clone();
            self.last = Some(last);
            Tell { incident, state, repeat: !news, told }
        });
        if self.members.values().all(|member| !member.told) {
            self.last = None;
        }
        self.next_flush = self.look_again(!firing.is_empty(), grouping, now);
        self.held.clone_from(&held);
        Flush { tell, held }
    }

    fn look_again(&self, fires: bool, grouping: &Grouping, now: Millis) -> Millis {
        let next = now.saturating_add(grouping.interval_ms.max(SHORTEST_MS));
        let repeat = self.last.as_ref().filter(|_| fires);
        let repeat = repeat.map(|last| last.at.saturating_add(grouping.repeat_ms.max(SHORTEST_MS)));
        next.min(repeat.filter(|repeat| *repeat > now).unwrap_or(next))
    }
}
