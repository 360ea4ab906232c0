//! Routes: to whom an alert goes, and in which group.
//!
//! A tenant's tree is walked as Alertmanager walks it. In front of it each batch has a route
//! of its own for its `alert_methods`. What a route is called (its path) is made of matchers
//! and not of places, so that groups outlive an edit of other routes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::config::{Batch, Grouping, Methods, NotifierUse, Route, Routing};
use crate::message::AlertKind;
use crate::series::Labels;

/// The notifier that is not sent messages: alerts are handed over to it, see
/// `pipeline::hand_over`.
pub const ALERTMANAGER: &str = "alertmanager";

/// What the receivers of batches begin with.
const BATCH: &str = "batch/";
/// What a batch's receiver of threshold alerts ends with, where it is another: no batch has
/// a slash in its name.
const THRESHOLD: &str = "/threshold";

/// A node of the tree, or the route of a batch, that takes an alert.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// `batch/<name>`, or the matchers from the root on, `{}/{team="db"}`.
    pub path: String,
    /// `batch/<name>`, or the name of one of the tenant's receivers.
    pub receiver: String,
    /// How its alerts are grouped, and when they are told.
    pub grouping: &'a Grouping,
    /// `mute_time_intervals`.
    pub mute: &'a [String],
    /// `active_time_intervals`.
    pub active: &'a [String],
    /// Whether the receiver is told that an alert is over.
    pub send_resolved: bool,
    /// The receiver's notifiers that are sent messages; none where there is but a hand-over.
    pub notifiers: Vec<String>,
}

impl Target<'_> {
    /// The labels by which an alert is grouped: those of `group_by` that it has.
    pub fn group_labels(&self, labels: &Labels) -> Labels {
        let Some(by) = &self.grouping.by else { return labels.clone() };
        let own = labels.iter().filter(|(name, _)| by.iter().any(|wanted| wanted == name));
        Labels::new(own.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap_or_default()
    }

    /// The identity of the group of an alert: a hash of path, receiver and group labels.
    pub fn group_id(&self, labels: &Labels) -> String {
        hash(&[&self.path, &self.receiver, &self.group_labels(labels).to_string()])
    }
}

/// A short hash of texts.
pub(super) fn hash(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        // With its length, so that no two lists of parts read the same.
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(12).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The name of a batch's own route, and of its receiver.
pub fn batch_receiver(batch: &str) -> String {
    format!("{BATCH}{batch}")
}

/// The batch whose own receiver, or route, this is; `None`: it is the tenant's.
pub fn batch_of(receiver: &str) -> Option<&str> {
    let name = receiver.strip_prefix(BATCH)?;
    Some(name.strip_suffix(THRESHOLD).unwrap_or(name))
}

/// Everything that takes an alert of a batch: the batch's own route, and those of the tree
/// where the batch is routed.
pub fn targets<'a>(batch: &'a Batch, kind: AlertKind, routing: &'a Routing, labels: &Labels) -> Vec<Target<'a>> {
    let mut targets: Vec<Target<'a>> = of_batch(batch, kind).into_iter().collect();
    if let Some(root) = routing.route.as_ref().filter(|_| is_routed(batch, kind)) {
        targets.extend(walk(routing, root, labels));
    }
    targets
}

/// Whether alerts of a kind go through the tenant's tree.
pub fn is_routed(batch: &Batch, kind: AlertKind) -> bool {
    threshold_methods(batch, kind).map_or(batch.alert.routed, |methods| methods.routed)
}

/// The notifiers that a batch names for alerts of a kind.
pub fn notifiers(batch: &Batch, kind: AlertKind) -> &[NotifierUse] {
    threshold_methods(batch, kind).map_or(&batch.alert.notifiers, |methods| &methods.notifiers)
}

fn threshold_methods(batch: &Batch, kind: AlertKind) -> Option<&Methods> {
    batch.threshold.methods.as_ref().filter(|_| kind == AlertKind::Threshold)
}

/// The name of a batch's own receiver for alerts of a kind.
pub fn receiver_of(batch: &Batch, kind: AlertKind) -> String {
    let name = batch_receiver(&batch.key.batch);
    if threshold_methods(batch, kind).is_some() { name + THRESHOLD } else { name }
}

/// The route of a batch's own `alert_methods`, or `tholdalert_methods`.
fn of_batch(batch: &Batch, kind: AlertKind) -> Option<Target<'_>> {
    let (name, own) = (receiver_of(batch, kind), notifiers(batch, kind));
    (!own.is_empty()).then(|| Target {
        path: name.clone(),
        receiver: name,
        grouping: &batch.alert.grouping,
        mute: &[],
        active: &[],
        send_resolved: batch.alert.send_resolved,
        notifiers: told(own),
    })
}

/// The names of a receiver's notifiers, each with its plugin: that of the plugin, and of a
/// second one of the same plugin `webhook#2`.
pub fn methods(notifiers: &[NotifierUse]) -> Vec<(String, &str)> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let name = |notifier: &'_ NotifierUse, number: usize| match number {
        1 => notifier.plugin.clone(),
        _ => format!("{}#{number}", notifier.plugin),
    };
    notifiers
        .iter()
        .map(|notifier| {
            let number = seen.entry(&notifier.plugin).or_default();
            *number += 1;
            (name(notifier, *number), notifier.plugin.as_str())
        })
        .collect()
}

/// The names of those that are sent messages.
fn told(notifiers: &[NotifierUse]) -> Vec<String> {
    methods(notifiers).into_iter().filter(|(_, plugin)| *plugin != ALERTMANAGER).map(|(name, _)| name).collect()
}

/// The names of those to which alerts are handed over.
pub fn handed(notifiers: &[NotifierUse]) -> Vec<String> {
    methods(notifiers).into_iter().filter(|(_, plugin)| *plugin == ALERTMANAGER).map(|(name, _)| name).collect()
}

/// The nodes of a tree that take an alert: of the children of a node that matches the first
/// that does, and those after it for as long as each says `continue`; the node itself where
/// none does.
pub fn walk<'a>(routing: &'a Routing, root: &'a Route, labels: &Labels) -> Vec<Target<'a>> {
    let mut found = Vec::new();
    // The root has no matchers: every alert reaches it.
    descend(routing, root, root.matchers.to_string(), labels, &mut found);
    found
}

/// Whether a node, or one below it, took the alert.
fn descend<'a>(
    routing: &'a Routing,
    route: &'a Route,
    path: String,
    labels: &Labels,
    found: &mut Vec<Target<'a>>,
) -> bool {
    if !route.matchers.matches(labels) {
        return false;
    }
    let before = found.len();
    for (child, path) in children(route, &path) {
        if descend(routing, child, path, labels, found) && !child.continues {
            break;
        }
    }
    if found.len() == before {
        found.push(target(routing, route, path));
    }
    true
}

fn target<'a>(routing: &'a Routing, route: &'a Route, path: String) -> Target<'a> {
    let receiver = routing.receivers.get(&route.receiver);
    Target {
        path,
        receiver: route.receiver.clone(),
        grouping: &route.grouping,
        mute: &route.mute,
        active: &route.active,
        send_resolved: receiver.is_some_and(|receiver| receiver.send_resolved),
        notifiers: receiver.map(|receiver| told(&receiver.notifiers)).unwrap_or_default(),
    }
}

/// The children of a node with their paths; a second one with the same matchers is `#1`.
fn children<'a>(route: &'a Route, path: &str) -> impl Iterator<Item = (&'a Route, String)> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    route.routes.iter().map(move |child| {
        let own = child.matchers.to_string();
        let number = seen.entry(own.clone()).or_default();
        let path = if *number == 0 { format!("{path}/{own}") } else { format!("{path}/{own}#{number}") };
        *number += 1;
        (child, path)
    })
}

/// Every target that there is, by path and receiver: those of the batches and of the tree.
pub(super) fn all<'a>(batches: &[&'a Batch], routing: &'a Routing) -> BTreeMap<(String, String), Target<'a>> {
    let mut all: Vec<Target<'a>> = batches
        .iter()
        .flat_map(|batch| [AlertKind::Anomaly, AlertKind::Threshold].map(|kind| of_batch(batch, kind)))
        .flatten()
        .collect();
    let mut open: Vec<(&Route, String)> = routing.route.iter().map(|root| (root, root.matchers.to_string())).collect();
    while let Some((route, path)) = open.pop() {
        open.extend(children(route, &path));
        all.push(target(routing, route, path));
    }
    all.into_iter().map(|target| ((target.path.clone(), target.receiver.clone()), target)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BatchSecrets, Receiver};

    fn route(receiver: &str, matchers: &str, routes: Vec<Route>) -> Route {
        Route {
            receiver: receiver.to_owned(),
            matchers: matchers.parse().unwrap(),
            continues: false,
            grouping: Grouping::default(),
            mute: Vec::new(),
            active: Vec::new(),
            routes,
        }
    }

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::new(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))).unwrap()
    }

    #[test]
    fn the_first_child_that_matches_takes_an_alert_and_continue_lets_it_go_on() {
        let audit = Route { continues: true, ..route("audit", "env=prod", Vec::new()) };
        let db = route("db", "team=db", vec![route("db-page", "severity=page", Vec::new())]);
        let root = route("all", "", vec![audit, db, route("db-again", "team=db", Vec::new())]);
        let routing = Routing::default();
        let told = |pairs: &[(&str, &str)]| -> Vec<String> {
            walk(&routing, &root, &labels(pairs)).into_iter().map(|target| target.receiver).collect()
        };
        assert_eq!(told(&[]), ["all"]);
        assert_eq!(told(&[("team", "db")]), ["db"]);
        assert_eq!(told(&[("team", "db"), ("severity", "page")]), ["db-page"]);
        assert_eq!(told(&[("env", "prod")]), ["audit"], "the root is not tried where a child took it");
        assert_eq!(told(&[("env", "prod"), ("team", "db"), ("severity", "page")]), ["audit", "db-page"]);
    }

    #[test]
    fn groups_are_made_of_the_labels_that_an_alert_has() {
        let grouping = |by: Option<&[&str]>| Grouping {
            by: by.map(|by| by.iter().map(ToString::to_string).collect()),
            ..Grouping::default()
        };
        let root = |by| Route { grouping: grouping(by), ..route("all", "", Vec::new()) };
        let routing = Routing::default();
        let group = |root: &Route, pairs: &[(&str, &str)]| {
            let labels = labels(pairs);
            let target = walk(&routing, root, &labels).remove(0);
            (target.group_id(&labels), target.group_labels(&labels).to_string())
        };
        let by_team = root(Some(&["team", "zone"]));
        let (one, text) = group(&by_team, &[("team", "db"), ("instance", "a")]);
        assert_eq!(text, r#"{team="db"}"#);
        assert_eq!(group(&by_team, &[("team", "db"), ("instance", "b")]).0, one);
        assert_ne!(group(&by_team, &[("team", "db"), ("zone", "b")]).0, one);
        let each = root(None);
        assert_ne!(group(&each, &[("instance", "a")]).0, group(&each, &[("instance", "b")]).0);
    }

    #[test]
    fn a_route_keeps_its_path_when_others_come_and_go() {
        let receiver = |name: &str| Receiver {
            name: name.to_owned(),
            send_resolved: true,
            notifiers: Vec::new(),
            secrets: BatchSecrets::default(),
        };
        let mut routing = Routing {
            route: Some(route("all", "", vec![route("db", "team=db", Vec::new())])),
            receivers: ["all", "db"].map(|name| (name.to_owned(), receiver(name))).into(),
            ..Routing::default()
        };
        let db = |routing: &Routing| {
            walk(routing, routing.route.as_ref().unwrap(), &labels(&[("team", "db")])).remove(0).path
        };
        let before = db(&routing);
        assert_eq!(before, r#"{}/{team="db"}"#);
        routing.route.as_mut().unwrap().routes.insert(0, route("web", "team=web", Vec::new()));
        assert_eq!(db(&routing), before);
        let paths: Vec<_> = all(&[], &routing).into_keys().map(|(path, _)| path).collect();
        assert_eq!(paths, ["{}", r#"{}/{team="db"}"#, r#"{}/{team="web"}"#]);
    }
}
