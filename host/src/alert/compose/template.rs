//! The operator's own words: `alert_title` and `alert_body` of a batch.
//!
//! `docs/templates.md` says what a template is given; a test keeps the two together.

use std::collections::BTreeSet;

use minijinja::context;
use minijinja::value::Value;

use super::subject::subject;
use super::told::Told;
use crate::alert::{EventNote, GroupMessage, Member, Outlook};
use crate::config::{Batch, Limits};
use crate::message::template::{Markup, Template, label_value};
use crate::message::text::{code, markdown, one_line};
use crate::message::{AlertState, Wall};

/// The templates of a batch.
pub(super) struct Templates<'a> {
    pub batch: &'a Batch,
    pub wall: Wall,
    pub limits: &'a Limits,
}

impl Templates<'_> {
    /// Title and body with the operator's words, where there are any and they work.
    pub fn replace(&self, message: &GroupMessage<'_>, title: String, body: String) -> (String, String) {
        let policy = &self.batch.alert;
        if policy.title.is_none() && policy.body.is_none() {
            return (title, body);
        }
        let context = self.context(message, &title, &body);
        let mut faults = Vec::new();
        let mut own = |key: &str, source: &Option<String>, markup: Markup, built_in: String| {
            let Some(source) = source else { return built_in };
            let (wall, fuel, bytes) = (self.wall, self.limits.template_fuel, self.limits.message_bytes);
            let rendered = Template { source, markup, wall, fuel, bytes }.render(context.clone());
            rendered.unwrap_or_else(|why| {
                let batch = code(&self.batch.key.to_string());
                faults.push(format!("{} of batch {batch} failed: {}.", code(key), markdown(&why)));
                built_in
            })
        };
        let title = own("alert_title", &policy.title, Markup::Plain, title);
        let mut body = own("alert_body", &policy.body, Markup::Markdown, body);
        for fault in faults {
            body += &format!("\n\n{fault} The built-in text stands in its place.");
        }
        (one_line(&title, super::title::CHARACTERS), body.trim().to_owned())
    }

    fn context(&self, message: &GroupMessage<'_>, title: &str, body: &str) -> Value {
        let mut members: Vec<&Member<'_>> = message.members.iter().collect();
        members.sort_by(|a, b| super::body::worse(a, b));
        let findings: Vec<Value> = members.iter().take(message.findings).map(|member| self.finding(member)).collect();
        let batches: BTreeSet<String> = members.iter().map(|member| member.record.key.batch.clone()).collect();
        let links = message.links.clone().unwrap_or_default();
        let actions = links.actions.iter().map(|(name, url)| context! { name, url });
        context! {
            state => state(message.state),
            kind => super::kind(message),
            repeat => message.repeat,
            title,
            body => Value::from_safe_string(body.to_owned()),
            batch => self.batch.key.batch.as_str(),
            batches => batches.into_iter().collect::<Vec<_>>(),
            tenant => message.tenant,
            receiver => message.receiver,
            method => message.method,
            labels => label_value(&message.common),
            group => label_value(&message.group),
            findings,
            count => members.len(),
            firing => members.iter().filter(|member| member.state == AlertState::Firing).count(),
            more => members.len().saturating_sub(message.findings),
            events => message.events.iter().map(event).collect::<Vec<_>>(),
            link => links.page,
            actions => actions.collect::<Vec<_>>(),
            now => message.now,
        }
    }

    fn finding(&self, member: &Member<'_>) -> Value {
        let record = member.record;
        let told = Told { record, wall: self.wall };
        let outlook = Outlook::of(record);
        let known = |x: f64| x.is_finite().then_some(x);
        let term = |(name, part): &(String, f64)| context! { name, part, words => super::terms::words(name) };
        context! {
            id => record.id.as_str(),
            name => record.name.as_str(),
            subject => subject(record),
            series => record.labels.to_string(),
            labels => label_value(&member.labels),
            batch => record.key.batch.as_str(),
            kind => record.kind.name(),
            state => state(member.state),
            value => known(record.worst.value),
            lower => known(record.worst.lower),
            upper => known(record.worst.upper),
            score => known(record.worst.score),
            threshold => record.threshold,
            came => told.came(),
            expected => told.expected().unwrap_or_default(),
            what => Value::from_safe_string(told.what()),
            when => told.when(),
            terms => record.terms.iter().map(term).collect::<Vec<_>>(),
            started => record.started,
            ended => record.ended,
            lasted => told.lasted(),
            worst => record.worst.time,
            limit_at => outlook.expected,
            limit_earliest => outlook.earliest,
            limit_latest => outlook.latest,
            explanation => record.explanation.clone().unwrap_or_default(),
            acknowledged => member.act.acknowledged.as_ref().map(|(who, _, _)| who.clone()).unwrap_or_default(),
        }
    }
}

fn event(event: &EventNote) -> Value {
    context! { title => event.title.as_str(), labels => label_value(&event.labels), start => event.start, end => event.end }
}

fn state(state: AlertState) -> &'static str {
    match state {
        AlertState::Firing => "firing",
        AlertState::Resolved => "resolved",
    }
}
