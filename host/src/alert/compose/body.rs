//! The bodies of messages, in Markdown: all that a reader wants to know before they open
//! anything. What comes from a source, a model or a person is text in it, never markup.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::subject::subject;
use super::title::place;
use super::told::Told;
use crate::alert::{EventNote, GroupMessage, Member};
use crate::message::text::{code, duration, markdown, one_line};
use crate::message::{AlertKind, AlertState, Wall};
use crate::series::Labels;
use crate::store::AlertRecord;

/// Series, steps of a cascade and events that are named.
const NAMED: usize = 10;
/// Characters of an explanation.
const EXPLANATION: usize = 2_000;
/// Labels that every alert has; what is beside them and the series' own is a tag.
const ALWAYS: [&str; 5] = ["alertname", "batch", "kind", "metric", "tenant"];

/// The body of a message.
pub(super) fn body(message: &GroupMessage<'_>, wall: Wall) -> String {
    let mut parts = match message.members.as_slice() {
        [member] => single(member, wall),
        members => several(message, members, wall),
    };
    parts.extend(events(&message.events, message.members.iter().map(|m| m.record.started).min(), wall));
    parts.extend(explanation(message));
    parts.extend(acts(message, wall));
    parts.push(origin(message));
    parts.join("\n\n")
}

fn single(member: &Member<'_>, wall: Wall) -> Vec<String> {
    let told = Told { record: member.record, wall };
    let worst = member.record.worst.time;
    // A level that lasts has no worst point, and what is foreseen is of now.
    let lasting = matches!(member.record.kind, AlertKind::Change | AlertKind::Capacity);
    let at_worst = worst > member.record.started && worst <= wall.now && !lasting;
    let what = match at_worst {
        true => format!("At its worst, at {}: {}.", wall.instant(worst), told.what()),
        false => capital(&told.what()) + ".",
    };
    let mut lines = vec![what, capital(&told.when()) + "."];
    lines.extend(told.score().map(|score| score + "."));
    vec![lines.join("\n")]
}

fn several(message: &GroupMessage<'_>, members: &[Member<'_>], wall: Wall) -> Vec<String> {
    let mut worst: Vec<&Member<'_>> = members.iter().collect();
    worst.sort_by(|a, b| worse(a, b));
    let line = |member: &&Member<'_>| {
        let told = Told { record: member.record, wall };
        let over = if member.state == AlertState::Resolved { "over: " } else { "" };
        let news = member.fresh && member.state == AlertState::Firing && !message.repeat;
        let new = if news && worst.iter().any(|m| !m.fresh) { " (new)" } else { "" };
        format!("- {}{new}: {over}{}, {}", code(&subject(member.record)), told.what(), told.when())
    };
    let mut list: Vec<String> = worst.iter().take(NAMED).map(line).collect();
    if let more @ 1.. = worst.len().saturating_sub(NAMED) {
        list.push(format!("- and {more} more"));
    }
    vec![cascade(members, wall), list.join("\n")]
}

/// The order in which members are named: what goes on before what is over, then the worst
/// first.
pub fn worse(a: &Member<'_>, b: &Member<'_>) -> std::cmp::Ordering {
    let over = |member: &Member<'_>| member.state == AlertState::Resolved;
    let score = |member: &Member<'_>| member.record.worst.score;
    over(a).cmp(&over(b)).then(score(b).total_cmp(&score(a))).then(a.record.started.cmp(&b.record.started))
}

/// In which order they began: `It began with X at 14:05 CET, then Y 2 min later.`
fn cascade(members: &[Member<'_>], wall: Wall) -> String {
    let mut records: Vec<&AlertRecord> = members.iter().map(|member| member.record).collect();
    records.sort_by_key(|record| record.started);
    let steps: Vec<&[&AlertRecord]> = records.chunk_by(|a, b| a.started == b.started).collect();
    let Some((first, later)) = steps.split_first() else { return String::new() };
    let (Some(began), Some(start)) = (named(first), first.first().map(|record| record.started)) else {
        return String::new();
    };
    if later.is_empty() {
        return format!("All {} began at {}.", records.len(), wall.instant(start));
    }
    let mut text = format!("It began with {began} at {}", wall.instant(start));
    for (index, step) in later.iter().take(NAMED - 1).enumerate() {
        let then = if index == 0 { ", then" } else { "," };
        let after = step.first().map_or(0, |record| record.started.saturating_sub(start));
        let _ = write!(text, "{then} {} {} later", named(step).unwrap_or_default(), duration(after));
    }
    let more: usize = later.iter().skip(NAMED - 1).map(|step| step.len()).sum();
    if more > 0 {
        let _ = write!(text, ", and {more} more after that");
    }
    text + "."
}

/// What began together: the worst of them, and how many others.
fn named(step: &[&AlertRecord]) -> Option<String> {
    let worst = step.iter().max_by(|a, b| a.worst.score.total_cmp(&b.worst.score))?;
    let name = code(&subject(worst));
    Some(match step.len().saturating_sub(1) {
        0 => name,
        1 => format!("{name} and one other"),
        others => format!("{name} and {others} others"),
    })
}

fn events(events: &[EventNote], began: Option<i64>, wall: Wall) -> Option<String> {
    let line = |event: &EventNote| {
        let until = event.end.map(|end| format!(" to {}", wall.bare(end))).unwrap_or_default();
        let before = match began.map(|began| began.saturating_sub(event.start)) {
            Some(before @ 1..) => format!(", {} before", duration(before)),
            _ => String::new(),
        };
        format!("- {}{until}{before}: {}", wall.instant(event.start), markdown(&one_line(&event.title, 200)))
    };
    let mut lines: Vec<String> = events.iter().take(NAMED).map(line).collect();
    if let more @ 1.. = events.len().saturating_sub(NAMED) {
        lines.push(format!("- and {more} more"));
    }
    (!lines.is_empty()).then(|| format!("What was done at that time:\n{}", lines.join("\n")))
}

/// The first explanation that somebody gave, as a quotation.
fn explanation(message: &GroupMessage<'_>) -> Option<String> {
    let (record, text) = message.members.iter().find_map(|m| Some((m.record, m.record.explanation.as_deref()?)))?;
    let lines = text.lines().map(|line| one_line(line, EXPLANATION)).filter(|line| !line.is_empty());
    let mut quoted = String::new();
    for line in lines {
        if quoted.len() + line.len() > EXPLANATION {
            quoted += "\n> …";
            break;
        }
        let _ = write!(quoted, "\n> {}", markdown(&line));
    }
    let of = if message.members.len() > 1 { format!(" of {}", code(&subject(record))) } else { String::new() };
    (!quoted.is_empty()).then(|| format!("The language model's explanation{of}:\n{quoted}"))
}

fn acts(message: &GroupMessage<'_>, wall: Wall) -> Option<String> {
    let acknowledged = message.members.iter().filter_map(|m| Some((m, m.act.acknowledged.as_ref()?)));
    let mut acknowledged = acknowledged.peekable();
    let (_, (who, at, note)) = acknowledged.peek()?;
    let (who, note) = (markdown(&one_line(who, 100)), markdown(&one_line(note, 300)));
    let note = if note.is_empty() { note } else { format!(": {note}") };
    let at = wall.instant(*at);
    let all = message.members.len();
    Some(match acknowledged.count() {
        count if count == all => format!("Acknowledged by {who} at {at}{note}."),
        count => format!("{count} of {all} are acknowledged, one by {who} at {at}{note}."),
    })
}

/// Where it comes from: series, batch, tags.
fn origin(message: &GroupMessage<'_>) -> String {
    let place = place(message.members.iter().map(|member| member.record));
    let mut text = match message.members.as_slice() {
        [member] => format!("Series {} of {}.", code(&member.record.labels.to_string()), escaped_place(&place)),
        _ => capital(&escaped_place(&place)) + ".",
    };
    let own: BTreeSet<&str> =
        message.members.iter().flat_map(|member| member.record.labels.iter().map(|(name, _)| name)).collect();
    let is_tag = |name: &str| name != Labels::NAME && !own.contains(name) && !ALWAYS.contains(&name);
    let tags: Vec<String> = (message.common.iter().filter(|(name, _)| is_tag(name)))
        .map(|(name, value)| code(&format!("{name}={value}")))
        .collect();
    if !tags.is_empty() {
        let _ = write!(text, " Tags: {}.", tags.join(", "));
    }
    text
}

/// The name of a batch is code; the word before it is not.
fn escaped_place(place: &str) -> String {
    match place.strip_prefix("batch ") {
        Some(batch) => format!("batch {}", code(batch)),
        None => place.to_owned(),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
