//! `alerting` of a tenant becomes a [`Routing`]: Alertmanager's keys, matchers and spans.
//!
//! All of it is resolved here: what a route inherits is written into it, and a receiver or
//! interval that is not there is a fault at the place that names it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::NotifierUse;
use super::alert_file::{GroupingKeys, grouping};
use super::batch_file::secrets;
use super::environment::Environment;
use super::mail_environment;
use super::name::component;
use super::problem::nearest;
use super::routing::{Grouping, InhibitRule, Receiver, Route, Routing};
use super::section::Section;
use super::time_interval_file::intervals;
use crate::series::Matchers;

const GROUPING: GroupingKeys =
    GroupingKeys { by: "group_by", wait: "group_wait", interval: "group_interval", repeat: "repeat_interval" };

/// Alertmanager's receivers, and the component for each.
const ITS_RECEIVERS: [(&str, &str); 6] = [
    ("slack_configs", "slack"),
    ("email_configs", "email"),
    ("webhook_configs", "webhook"),
    ("pagerduty_configs", "pagerduty"),
    ("discord_configs", "discord"),
    ("msteams_configs", "webhook"),
];

/// How matchers were written in Alertmanager once.
const OLD_MATCHERS: [&str; 2] = ["match", "match_re"];
/// What a route may not have at the root, where it must take every alert.
const NOT_AT_THE_ROOT: [&str; 4] = ["matchers", "continue", "mute_time_intervals", "active_time_intervals"];

/// Reads `alerting`. The environment fills in what notifiers leave open, where it belongs to
/// the tenant.
pub(super) fn routing(alerting: Section<'_>, environment: Option<&Environment>) -> Routing {
    let receivers = receivers(&alerting, environment);
    let intervals = intervals(&alerting);
    let names =
        Names { receivers: receivers.keys().cloned().collect(), intervals: intervals.keys().cloned().collect() };
    let route = match alerting.optional("route") {
        Some(root) => Some(names.root(root)),
        None => {
            alerting.fault("route", "is missing", "name who gets what no other route takes: route: {receiver: ops}");
            None
        }
    };
    let inhibit = alerting.items("inhibit_rules").unwrap_or_default().into_iter().map(inhibit_rule).collect();
    let routing = Routing { route, receivers, inhibit, intervals, spans: alerting.spans().clone() };
    alerting.finish();
    routing
}

/// What routes may name.
struct Names {
    receivers: BTreeSet<String>,
    intervals: BTreeSet<String>,
}

impl Names {
    fn root(&self, section: Section<'_>) -> Route {
        for key in NOT_AT_THE_ROOT.into_iter().filter(|key| section.has(key)) {
            section.fault(
                key,
                "cannot stand at the root, which takes every alert",
                "move it to a route under `routes`",
            );
        }
        if !section.has("receiver") {
            section.fault("receiver", "is missing", "name one of the receivers: receiver: ops");
        }
        self.route(section, &Grouping::default(), "")
    }

    /// A route, which has from its parent what it does not say itself: receiver and grouping.
    fn route(&self, section: Section<'_>, parent: &Grouping, receiver: &str) -> Route {
        for key in OLD_MATCHERS.into_iter().filter(|key| section.value(key).is_some()) {
            let remedy = r#"write matchers: ['team="web"', 'severity=~"a|b"']"#;
            section.fault(key, "is Alertmanager's old spelling", remedy);
        }
        let own = section.text("receiver");
        if let Some(name) = own.filter(|name| !self.receivers.contains(*name)) {
            unknown(&section, &section.pointer("receiver"), name, "receiver", &self.receivers);
        }
        let receiver = own.unwrap_or(receiver).to_owned();
        let grouping = grouping(&section, &GROUPING, parent.clone());
        let routes = section.items("routes").unwrap_or_default();
        let route = Route {
            matchers: matchers(&section, "matchers"),
            continues: section.flag("continue").unwrap_or(false),
            mute: self.times(&section, "mute_time_intervals"),
            active: self.times(&section, "active_time_intervals"),
            routes: routes.into_iter().map(|child| self.route(child, &grouping, &receiver)).collect(),
            receiver,
            grouping,
        };
        section.finish();
        route
    }

    fn times(&self, section: &Section<'_>, key: &'static str) -> Vec<String> {
        let mut names = Vec::new();
        for (at, name) in section.scalars(key) {
            if self.intervals.contains(&name) {
                names.push(name);
            } else {
                unknown(section, &at, &name, "time interval", &self.intervals);
            }
        }
        names
    }
}

fn unknown(section: &Section<'_>, at: &str, name: &str, what: &str, known: &BTreeSet<String>) {
    let remedy = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None if known.is_empty() => format!("add it under `{}s`", what.replace(' ', "_")),
        None => format!("there are: {}", known.iter().cloned().collect::<Vec<_>>().join(", ")),
    };
    section.fault_at(at, format!("there is no {what} \"{name}\""), remedy);
}

fn matchers(section: &Section<'_>, key: &'static str) -> Matchers {
    let mut all = Matchers::default();
    for (at, text) in section.scalars(key) {
        match text.parse::<Matchers>() {
            Ok(matchers) => all.0.extend(matchers.0),
            Err(error) => {
                section.fault_at(&at, error.to_string(), "write a list: ['team=\"web\"', 'severity=~\"a|b\"']")
            }
        }
    }
    all
}

fn inhibit_rule(section: Section<'_>) -> InhibitRule {
    for key in ["source_matchers", "target_matchers"] {
        if !section.has(key) {
            section.fault(key, "is missing", format!("say which alerts: {key}: ['kind=\"no-data\"']"));
        }
    }
    let rule = InhibitRule {
        source: matchers(&section, "source_matchers"),
        target: matchers(&section, "target_matchers"),
        equal: section.texts("equal"),
    };
    section.finish();
    rule
}

fn receivers(alerting: &Section<'_>, environment: Option<&Environment>) -> BTreeMap<String, Receiver> {
    let mut receivers = BTreeMap::new();
    for section in alerting.items("receivers").unwrap_or_default() {
        let Some(name) = section.text("name").map(str::to_owned) else {
            if !section.has("name") {
                section.fault("name", "is missing", "name it, so that routes can: name: ops");
            }
            continue;
        };
        if name.starts_with("batch/") {
            section.fault("name", format!("\"{name}\" would be a batch's own receiver"), "choose another name");
        }
        let receiver = Receiver {
            name: name.clone(),
            send_resolved: section.flag("send_resolved").unwrap_or(true),
            notifiers: notifiers(&section, environment),
            secrets: secrets(&section),
        };
        for (key, plugin) in ITS_RECEIVERS {
            if section.value(key).is_some() {
                let remedy = format!("write notifiers: [{{plugin: {plugin}, params: {{...}}}}]");
                section.fault(key, "is Alertmanager's own", remedy);
            }
        }
        if receivers.insert(name.clone(), receiver).is_some() {
            section.fault("name", format!("\"{name}\" is also the name of another one"), "give each its own name");
        }
        section.finish();
    }
    receivers
}

fn notifiers(receiver: &Section<'_>, environment: Option<&Environment>) -> Vec<NotifierUse> {
    let mut notifiers = Vec::new();
    for section in receiver.items("notifiers").unwrap_or_default() {
        if !section.has("plugin") {
            section.fault("plugin", "is missing", "name a notifier: plugin: slack");
        }
        let mut config = section.object("params");
        if let Some(plugin) = section.parsed("plugin", component) {
            if let Some(environment) = environment {
                mail_environment::fill_notifier(&plugin, &mut config, environment);
            }
            notifiers.push(NotifierUse { plugin, config: Value::Object(config), pointer: section.pointer("params") });
        }
        section.finish();
    }
    notifiers
}
