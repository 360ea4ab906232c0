//! The dispatcher by its clock: who is told what, and when.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::config::{
    Batch, BatchKey, BatchSecrets, Environment, Grouping, InhibitRule, NotifierUse, Receiver, Route, Routing,
    TimeInterval, load_batch_text,
};
use crate::message::{Act, AlertKind, AlertPhase, AlertState};
use crate::series::{Labels, Millis};
use crate::store::{AlertRecord, Peak, SeriesId};

const MINUTE: Millis = 60_000;

/// A tenant, its alerts, and what the dispatcher remembers.
struct World {
    batch: Batch,
    routing: Routing,
    alerts: BTreeMap<String, AlertRecord>,
    signals: BTreeSet<String>,
    groups: BTreeMap<String, Group>,
    silences: Vec<Silence>,
    acts: BTreeMap<String, Act>,
    notices: Vec<Notice>,
    messages: Vec<Message>,
    next: Option<Millis>,
}

impl World {
    /// A batch whose own notifier is Slack, grouped by batch, without a wait.
    fn new() -> Self {
        let text = "metric_batch: b\ningest_fn: prometheus\nalert_methods: slack\n";
        let batch = load_batch_text("b.yaml".as_ref(), text, &Environment::default()).unwrap();
        Self {
            batch,
            routing: Routing::default(),
            alerts: BTreeMap::new(),
            signals: BTreeSet::new(),
            groups: BTreeMap::new(),
            silences: Vec::new(),
            acts: BTreeMap::new(),
            notices: Vec::new(),
            messages: Vec::new(),
            next: None,
        }
    }

    /// The same alerts by a tree of one route, which waits a minute, then five, and repeats
    /// after an hour.
    fn routed() -> Self {
        let mut world = Self::new();
        world.batch.alert.notifiers.clear();
        world.batch.alert.routed = true;
        let grouping = Grouping {
            by: Some(vec!["team".to_owned()]),
            wait_ms: MINUTE,
            interval_ms: 5 * MINUTE,
            repeat_ms: 60 * MINUTE,
        };
        let notifier = NotifierUse { plugin: "mail".to_owned(), config: serde_json::json!({}), pointer: String::new() };
        let receiver = Receiver {
            name: "ops".to_owned(),
            send_resolved: true,
            notifiers: vec![notifier],
            secrets: BatchSecrets::default(),
        };
        world.routing.receivers.insert("ops".to_owned(), receiver);
        world.routing.route = Some(Route {
            receiver: "ops".to_owned(),
            matchers: "".parse().unwrap(),
            continues: false,
            grouping,
            mute: Vec::new(),
            active: Vec::new(),
            routes: Vec::new(),
        });
        world
    }

    fn root(&mut self) -> &mut Route {
        self.routing.route.as_mut().unwrap()
    }

    /// An alert of the series `name` begins, `minute`s after the epoch. Its identity is `name`.
    fn fire(&mut self, name: &str, minute: Millis, pairs: &[(&str, &str)]) {
        let pairs = pairs.iter().copied().chain([("__name__", name)]);
        let labels = Labels::new(pairs.map(|(n, v)| (n.to_owned(), v.to_owned()))).unwrap();
        let record = AlertRecord {
            key: self.batch.key.clone(),
            id: name.to_owned(),
            kind: AlertKind::Anomaly,
            series: SeriesId(0),
            labels,
            name: name.to_owned(),
            phase: AlertPhase::Firing,
            started: minute * MINUTE,
            fired: Some(minute * MINUTE),
            ended: None,
            worst: Peak { time: 0, value: 1.0, score: 0.9, lower: 0.0, upper: 0.5 },
            terms: Vec::new(),
            threshold: 0.8,
            models: Vec::new(),
            policy: String::new(),
            events: Vec::new(),
            explanation: None,
        };
        self.alerts.insert(name.to_owned(), record);
        self.signals.insert(name.to_owned());
    }

    fn end(&mut self, name: &str, minute: Millis) {
        let record = self.alerts.get_mut(name).unwrap();
        (record.phase, record.ended) = (AlertPhase::Resolved, Some(minute * MINUTE));
        self.signals.insert(name.to_owned());
    }

    fn silence(&mut self, matchers: &str, from: Millis, to: Millis) {
        self.silences.push(Silence {
            id: "quiet".to_owned(),
            matchers: matchers.parse().unwrap(),
            author: "ana".to_owned(),
            comment: "known".to_owned(),
            start: from * MINUTE,
            end: to * MINUTE,
        });
    }

    /// Asks the dispatcher, as the notify job does. Of each message: its receiver and state,
    /// then `+a` for what is new, `=a` for what goes on, `-a` for what is over.
    fn at(&mut self, minute: Millis) -> Vec<String> {
        let member = |id: &String| self.groups.values().any(|group| group.members.contains_key(id));
        let wanted = |record: &&AlertRecord| {
            record.phase == AlertPhase::Firing || self.signals.contains(&record.id) || member(&record.id)
        };
        let input = Dispatch {
            now: minute * MINUTE,
            routing: &self.routing,
            batches: vec![&self.batch],
            alerts: self.alerts.values().filter(wanted).cloned().collect(),
            signals: std::mem::take(&mut self.signals),
            groups: self.groups.values().cloned().collect(),
            silences: self.silences.clone(),
            acts: self.acts.clone(),
        };
        let done = dispatch(&input);
        assert_eq!(done, dispatch(&input), "the same input, the same messages");
        let groups = done.groups.into_iter().map(|group| {
            // What is remembered is what was written.
            let bytes = rmp_serde::to_vec_named(&group).unwrap();
            (group.id, rmp_serde::from_slice::<Group>(&bytes).unwrap())
        });
        self.groups.extend(groups);
        done.ended.iter().for_each(|id| drop(self.groups.remove(id)));
        self.notices.extend(done.notices);
        self.next = done.next.map(|next| next / MINUTE);
        let said = done.messages.iter().map(|message| {
            let state = if message.state == AlertState::Firing { "firing" } else { "resolved" };
            let told = message.told.iter().map(|(id, state, fresh)| match (state, fresh) {
                (AlertState::Firing, true) => format!(" +{id}"),
                (AlertState::Firing, false) => format!(" ={id}"),
                (AlertState::Resolved, _) => format!(" -{id}"),
            });
            format!("{} {state}{}", message.receiver, told.collect::<String>())
        });
        let said = said.collect();
        self.messages.extend(done.messages);
        said
    }

    /// Why alerts were held back, in the order of the decisions.
    fn held(&self) -> Vec<(&str, &Why)> {
        self.notices.iter().flat_map(|notice| notice.held.iter().map(|(id, why)| (id.as_str(), why))).collect()
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn the_first_message_of_a_batch_comes_at_once_and_the_next_after_group_interval() {
    let mut world = World::new();
    world.fire("a", 0, &[]);
    assert_eq!(world.at(0), ["batch/b firing +a"]);
    world.fire("b", 1, &[]);
    assert_eq!(world.at(1), NOTHING);
    assert_eq!(world.next, Some(5));
    assert_eq!(world.at(5), ["batch/b firing =a +b"]);
    world.end("a", 11);
    assert_eq!(world.at(11), ["batch/b firing =b -a"], "the interval since the last message is over");
    world.end("b", 12);
    assert_eq!(world.at(12), NOTHING);
    assert_eq!(world.at(16), ["batch/b resolved -b"]);
    assert!(world.groups.is_empty());

    let incidents: BTreeSet<&str> = world.messages.iter().map(|message| message.incident.as_str()).collect();
    assert_eq!(incidents.len(), 1, "one incident from its beginning to its end");
    let ids: BTreeSet<&str> = world.messages.iter().map(|message| message.id.as_str()).collect();
    assert_eq!(ids.len(), 4, "each message is its own");
    world.fire("c", 60, &[]);
    assert_eq!(world.at(60), ["batch/b firing +c"]);
    assert_ne!(world.messages[0].incident, world.messages[4].incident);
}

#[test]
fn a_group_waits_for_those_that_follow_and_names_all_of_them() {
    let mut world = World::routed();
    world.fire("db", 0, &[("team", "shop")]);
    assert_eq!(world.at(0), NOTHING);
    assert_eq!(world.held(), [("db", &Why::Waiting(MINUTE))]);
    world.fire("api", 0, &[("team", "shop")]);
    world.fire("mail", 0, &[("team", "post")]);
    assert_eq!(world.at(1), ["ops firing +api +db"]);
    assert_eq!(world.at(2), ["ops firing +mail"], "another group has its own wait");
}

#[test]
fn what_goes_on_is_told_again_after_repeat_interval() {
    let mut world = World::routed();
    world.fire("a", 0, &[]);
    world.at(0);
    let said: Vec<(Millis, Vec<String>)> =
        (1..150).map(|minute| (minute, world.at(minute))).filter(|(_, said)| !said.is_empty()).collect();
    let minutes: Vec<Millis> = said.iter().map(|(minute, _)| *minute).collect();
    assert_eq!(minutes, [1, 61, 121]);
    assert_eq!(said[1].1, ["ops firing =a"]);
    assert!(world.messages[1].repeat && !world.messages[0].repeat);
    assert_eq!(world.messages[0].incident, world.messages[1].incident);
    assert_ne!(world.messages[0].id, world.messages[1].id);
    assert_eq!(world.notices.len(), 4, "a wait and three messages: idle looks leave nothing");
}

#[test]
fn an_alert_that_was_over_before_the_first_look_is_told_once_as_over() {
    let mut world = World::new();
    world.fire("a", 0, &[]);
    world.end("a", 20);
    assert_eq!(world.at(30), ["batch/b resolved -a"]);
    assert_eq!(world.at(40), NOTHING);
    // One that never fired has nothing to tell.
    world.fire("b", 50, &[]);
    world.alerts.get_mut("b").unwrap().fired = None;
    world.end("b", 51);
    assert_eq!(world.at(60), NOTHING);
}

#[test]
fn a_lost_signal_loses_no_message() {
    let mut world = World::new();
    world.fire("a", 0, &[]);
    world.signals.clear();
    assert_eq!(world.at(0), ["batch/b firing +a"]);
    world.end("a", 3);
    world.signals.clear();
    assert_eq!(world.at(5), ["batch/b resolved -a"]);
    assert_eq!(world.at(6), NOTHING);
}

#[test]
fn silenced_alerts_are_not_told_until_the_silence_ends() {
    let mut world = World::routed();
    world.silence("team=shop", 0, 30);
    world.fire("a", 0, &[("team", "shop")]);
    world.fire("b", 0, &[("team", "post")]);
    world.at(0);
    assert_eq!(world.at(1), ["ops firing +b"]);
    assert!(world.held().contains(&("a", &Why::Silenced("quiet".to_owned()))), "{:?}", world.held());
    let said: Vec<Vec<String>> = (2..=31).map(|minute| world.at(minute)).filter(|said| !said.is_empty()).collect();
    assert_eq!(said, [["ops firing +a"]]);
}

#[test]
fn what_is_over_while_silenced_is_told_to_those_who_know_that_it_began_and_to_no_other() {
    let mut world = World::routed();
    world.fire("known", 0, &[]);
    world.at(0);
    assert_eq!(world.at(1), ["ops firing +known"]);
    world.silence("", 2, 90);
    world.fire("unknown", 3, &[]);
    assert_eq!(world.at(6), NOTHING);
    world.end("known", 10);
    world.end("unknown", 10);
    assert_eq!(world.at(11), ["ops resolved -known"]);
    assert!(world.groups.is_empty());
    assert_eq!(world.held().last(), Some(&("unknown", &Why::Silenced("quiet".to_owned()))));
}

#[test]
fn an_alert_inhibits_what_follows_from_it_and_never_itself() {
    let mut world = World::routed();
    world.routing.inhibit = vec![InhibitRule {
        source: "severity=critical".parse().unwrap(),
        target: "severity=~\"warning|critical\"".parse().unwrap(),
        equal: vec!["zone".to_owned(), "rack".to_owned()],
    }];
    world.root().grouping.wait_ms = 0;
    world.fire("down", 0, &[("severity", "critical"), ("zone", "a")]);
    world.fire("slow", 0, &[("severity", "warning"), ("zone", "a")]);
    world.fire("also-down", 0, &[("severity", "critical"), ("zone", "a")]);
    world.fire("elsewhere", 0, &[("severity", "warning"), ("zone", "b")]);
    // `rack` is missing on both sides, which is equal; `also-down` and `down` match both sides.
    assert_eq!(world.at(0), ["ops firing +also-down +down +elsewhere"]);
    assert_eq!(world.held(), [("slow", &Why::Inhibited("also-down".to_owned()))]);
    world.end("down", 4);
    world.end("also-down", 4);
    assert_eq!(world.at(5), ["ops firing =elsewhere +slow -also-down -down"]);
}

#[test]
fn a_muted_route_tells_nothing_and_catches_up() {
    let mut world = World::routed();
    // Minutes 60 to 120 of every day, in Berlin an hour later than in UTC in the winter of 1970.
    let night = TimeInterval {
        times: vec![(120, 180)],
        location: Some(chrono_tz::Tz::Europe__Berlin),
        ..TimeInterval::default()
    };
    world.routing.intervals.insert("night".to_owned(), vec![night]);
    world.root().mute = vec!["night".to_owned()];
    world.fire("a", 50, &[]);
    world.at(50);
    assert_eq!(world.at(55), ["ops firing +a"]);
    world.fire("b", 60, &[]);
    world.end("a", 70);
    let said: Vec<(Millis, Vec<String>)> =
        (60..130).map(|minute| (minute, world.at(minute))).filter(|(_, said)| !said.is_empty()).collect();
    assert_eq!(said, [(120, vec!["ops firing +b -a".to_owned()])]);
    assert!(world.held().contains(&("b", &Why::Muted("night".to_owned()))));

    let root = world.root();
    (root.mute, root.active) = (Vec::new(), vec!["night".to_owned()]);
    world.fire("c", 200, &[]);
    assert_eq!(world.at(201), NOTHING);
    assert_eq!(world.held().last(), Some(&("c", &Why::Inactive)));
}

#[test]
fn an_acknowledged_alert_is_not_repeated_and_its_end_is_told() {
    let mut world = World::routed();
    world.fire("a", 0, &[]);
    world.at(0);
    assert_eq!(world.at(1), ["ops firing +a"]);
    let act = Act { acknowledged: Some(("ana".to_owned(), MINUTE, "on it".to_owned())), ..Act::default() };
    world.acts.insert("a".to_owned(), act);
    assert!((2..200).all(|minute| world.at(minute).is_empty()));
    assert_eq!(world.held().last(), Some(&("a", &Why::Acknowledged("ana".to_owned()))));
    world.fire("b", 200, &[]);
    assert_eq!(world.at(200), ["ops firing +b"], "others of its group are told");
    world.end("b", 210);
    assert_eq!(world.at(210), ["ops firing -b"], "the incident goes on");
    world.end("a", 220);
    assert_eq!(world.at(220), ["ops resolved -a"]);
}

#[test]
fn a_snoozed_alert_is_told_to_nobody_until_then() {
    let mut world = World::routed();
    world.fire("a", 0, &[]);
    world.fire("b", 0, &[]);
    world.at(0);
    assert_eq!(world.at(1), ["ops firing +a +b"]);
    for name in ["a", "b"] {
        let act = Act { snoozed: Some((120 * MINUTE, "ana".to_owned())), ..Act::default() };
        world.acts.insert(name.to_owned(), act);
    }
    world.end("b", 30);
    assert!((2..120).all(|minute| world.at(minute).is_empty()));
    let said: Vec<Vec<String>> = (120..130).map(|minute| world.at(minute)).filter(|said| !said.is_empty()).collect();
    assert_eq!(said, [["ops firing =a -b"]]);
}

#[test]
fn a_receiver_that_does_not_want_to_hear_of_ends_is_not_told_of_them() {
    let mut world = World::new();
    world.batch.alert.send_resolved = false;
    world.fire("a", 0, &[]);
    assert_eq!(world.at(0), ["batch/b firing +a"]);
    world.end("a", 10);
    assert_eq!(world.at(10), NOTHING);
    assert!(world.groups.is_empty());
    assert_eq!(world.held(), [("a", &Why::ResolvedUnwanted)]);
}

#[test]
fn an_alert_without_a_way_to_anybody_is_noticed() {
    let mut world = World::new();
    world.batch.alert.notifiers.clear();
    world.fire("a", 0, &[]);
    assert_eq!(world.at(0), NOTHING);
    assert_eq!(world.held(), [("a", &Why::Unrouted)]);
    world.at(1);
    assert_eq!(world.notices.len(), 1, "once");
}

#[test]
fn alerts_of_a_batch_that_is_not_there_now_are_left_as_they_are() {
    let mut world = World::routed();
    world.fire("a", 0, &[]);
    world.at(0);
    assert_eq!(world.at(1), ["ops firing +a"]);
    let key = std::mem::replace(&mut world.batch.key, BatchKey { tenant: "default".into(), batch: "other".into() });
    world.fire("b", 10, &[]);
    assert_eq!(world.at(10), ["ops firing +b"]);
    world.end("b", 20);
    assert_eq!(world.at(20), ["ops firing -b"], "nobody knows that `a` is over");
    world.batch.key = key;
    world.end("a", 30);
    assert_eq!(world.at(30), ["ops resolved -a"]);
}

#[test]
fn a_group_by_of_three_dots_tells_each_alert_by_itself() {
    let mut world = World::routed();
    world.root().grouping = Grouping { by: None, wait_ms: 0, ..Grouping::default() };
    world.fire("a", 0, &[]);
    world.fire("b", 0, &[]);
    let mut said = world.at(0);
    said.sort();
    assert_eq!(said, ["ops firing +a", "ops firing +b"]);
}

/// What may happen in a minute.
#[derive(Clone, Debug)]
enum Event {
    Fire(usize),
    End(usize),
    Silence(usize),
    Acknowledge(usize),
    /// The process dies after it has decided and before anything is kept.
    Crash,
    /// A signal is lost.
    Forget,
    Nothing,
}

fn event() -> impl proptest::strategy::Strategy<Value = Event> {
    use proptest::prelude::*;
    prop_oneof![
        3 => (0usize..6).prop_map(Event::Fire),
        3 => (0usize..6).prop_map(Event::End),
        1 => (0usize..6).prop_map(Event::Silence),
        1 => (0usize..6).prop_map(Event::Acknowledge),
        1 => Just(Event::Crash),
        1 => Just(Event::Forget),
        4 => Just(Event::Nothing),
    ]
}

proptest::proptest! {
    /// Whatever happens: who was told that an alert began is told once that it is over, and
    /// what was opened is closed.
    #[test]
    fn no_end_is_lost_or_told_twice(events in proptest::collection::vec(event(), 1..120)) {
        let mut world = World::routed();
        let mut alive: BTreeMap<usize, String> = BTreeMap::new();
        let mut minute = 0;
        for (n, event) in events.iter().enumerate() {
            minute = n as Millis;
            match event {
                Event::Fire(slot) if !alive.contains_key(slot) => {
                    let name = format!("s{slot}_{n}");
                    world.fire(&name, minute, &[("team", if slot % 2 == 0 { "shop" } else { "post" })]);
                    alive.insert(*slot, name);
                }
                Event::End(slot) => {
                    if let Some(name) = alive.remove(slot) {
                        world.end(&name, minute);
                    }
                }
                Event::Silence(slot) => {
                    let team = if slot % 2 == 0 { "team=shop" } else { "team=post" };
                    world.silence(team, minute, minute + 5 * (*slot as Millis) + 1);
                }
                Event::Acknowledge(slot) => {
                    if let Some(name) = alive.get(slot) {
                        let known = Some(("ana".to_owned(), minute * MINUTE, String::new()));
                        world.acts.insert(name.clone(), Act { acknowledged: known, ..Act::default() });
                    }
                }
                Event::Crash => {
                    let (groups, signals, told) = (world.groups.clone(), world.signals.clone(), world.messages.len());
                    world.at(minute);
                    (world.groups, world.signals) = (groups, signals);
                    world.messages.truncate(told);
                }
                Event::Forget => world.signals.clear(),
                Event::Fire(_) | Event::Nothing => {}
            }
            world.at(minute);
        }
        for name in alive.into_values() {
            world.end(&name, minute + 1);
        }
        (minute + 1..minute + 60).for_each(|minute| drop(world.at(minute)));

        proptest::prop_assert!(world.groups.is_empty(), "{:?}", world.groups);
        let ids: BTreeSet<&str> = world.messages.iter().map(|message| message.id.as_str()).collect();
        proptest::prop_assert_eq!(ids.len(), world.messages.len());
        let (mut began, mut ended): (BTreeSet<&str>, BTreeMap<&str, usize>) = Default::default();
        let mut open: BTreeMap<&str, AlertState> = BTreeMap::new();
        for message in &world.messages {
            for (id, state, _) in &message.told {
                match state {
                    AlertState::Firing => {
                        proptest::prop_assert!(!ended.contains_key(id.as_str()), "{} goes on after its end", id);
                        began.insert(id);
                    }
                    AlertState::Resolved => *ended.entry(id).or_default() += 1,
                }
            }
            open.insert(&message.incident, message.state);
        }
        for id in began {
            proptest::prop_assert_eq!(ended.get(id), Some(&1), "the end of {}", id);
        }
        proptest::prop_assert!(ended.values().all(|times| *times == 1), "{:?}", ended);
        proptest::prop_assert!(open.values().all(|state| *state == AlertState::Resolved), "{:?}", open);
    }
}
