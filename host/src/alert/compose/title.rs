//! The titles of messages: one line that says which series, and what of it.

use std::collections::BTreeSet;

use super::subject::subject;
use super::told::Told;
use crate::alert::{GroupMessage, Member};
use crate::message::text::{duration, one_line};
use crate::message::{AlertKind, AlertState, Wall};
use crate::store::AlertRecord;

/// Characters of a title.
pub(super) const CHARACTERS: usize = 200;

/// The title of a message.
pub(super) fn title(message: &GroupMessage<'_>, wall: Wall) -> String {
    // Of a group that goes on, what is over is no news for the title.
    let on = |member: &&Member<'_>| message.state == AlertState::Resolved || member.state == AlertState::Firing;
    let mut members: Vec<&Member<'_>> = message.members.iter().filter(on).collect();
    if members.is_empty() {
        members = message.members.iter().collect();
    }
    let Some((first, others)) = members.split_first() else { return "Nothing is left to tell".to_owned() };
    let told = Told { record: first.record, wall };
    let text = match others {
        [] => format!("{} {}", subject(first.record), told.predicate()),
        _ => several(&members, message.state, &told),
    };
    let still = message.repeat && message.state == AlertState::Firing;
    let text = if still { format!("{text}, for {} now", duration(told.lasted())) } else { text };
    one_line(&text, CHARACTERS)
}

fn several(members: &[&Member<'_>], state: AlertState, first: &Told<'_>) -> String {
    let records = || members.iter().map(|member| member.record);
    let place = place(records());
    let name = subject(first.record);
    let kinds: BTreeSet<AlertKind> = records().map(|record| record.kind).collect();
    let series: BTreeSet<_> = records().map(|record| (&record.key, record.series)).collect();
    let kind = kinds.first().filter(|_| kinds.len() == 1 && series.len() == members.len());
    let count = members.len();
    let Some(kind) = kind else {
        let over = if state == AlertState::Resolved { "alerts are over" } else { "alerts" };
        return format!("{count} {over} of {place}, first {name} {}", first.predicate());
    };
    let predicate = match (state, kind) {
        (AlertState::Firing, AlertKind::Anomaly) => "look anomalous",
        (AlertState::Firing, AlertKind::Llm) => "look anomalous to the language model",
        (AlertState::Firing, AlertKind::Threshold) => "are beyond their limits",
        (AlertState::Firing, AlertKind::Change) => "have changed for good",
        (AlertState::Firing, AlertKind::NoData) => "have no data",
        (AlertState::Firing, AlertKind::Capacity) => "are on their way to their limits",
        (AlertState::Resolved, AlertKind::Anomaly) => "are ordinary again",
        (AlertState::Resolved, AlertKind::Llm) => "are ordinary again to the language model",
        (AlertState::Resolved, AlertKind::Threshold) => "are within their limits again",
        (AlertState::Resolved, AlertKind::Change) => "have settled",
        (AlertState::Resolved, AlertKind::NoData) => "have data again",
        (AlertState::Resolved, AlertKind::Capacity) => "are on their way to no limit any more",
    };
    let rest = match state {
        AlertState::Firing => format!(", first {name}"),
        AlertState::Resolved => {
            let began = records().map(|record| record.started).min().unwrap_or_default();
            let ended = records().filter_map(|record| record.ended).max().unwrap_or(first.wall.now);
            format!(" after {}", duration(ended.saturating_sub(began)))
        }
    };
    format!("{count} series of {place} {predicate}{rest}")
}

/// `batch orders`, or how many batches.
pub(super) fn place<'a>(records: impl Iterator<Item = &'a AlertRecord>) -> String {
    let batches: BTreeSet<&str> = records.map(|record| record.key.batch.as_str()).collect();
    match batches.first() {
        Some(batch) if batches.len() == 1 => format!("batch {batch}"),
        _ => format!("{} batches", batches.len()),
    }
}
