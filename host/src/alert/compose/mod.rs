//! What is said about alerts: the words of a message, in the reader's time zone, short and
//! with their units.
//!
//! Pure. What comes from a source, a model or a person is text in a message, never markup;
//! a title is one line. An operator's templates replace title and body, and never lose a
//! message.

mod body;
mod subject;
mod template;
mod terms;
#[cfg(test)]
mod tests;
mod title;
mod told;

use std::fmt::Write as _;

use chrono_tz::Tz;
use sha2::{Digest, Sha256};

use self::body::body;
pub use self::body::worse;
pub use self::subject::{series_subject, subject};
use self::template::Templates;
use self::title::title;
use super::{GroupMessage, Member};
use crate::config::{Batch, BatchKey, Limits};
use crate::message::{Alert, AlertKind, Finding, Wall};
use crate::series::{Labels, Millis};
use crate::store::{AlertRecord, Peak};

/// The identity of an alert: the same series that begins to fire at the same point has the
/// same, in every replay.
pub fn alert_id(key: &BatchKey, kind: AlertKind, labels: &Labels, started: Millis) -> String {
    let digest = Sha256::digest(format!("{key}\n{}\n{labels}\n{started}", kind.name()));
    digest.iter().take(12).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Says what is told about a group: its worst series first, at most `findings` of them, and
/// the count of the rest.
///
/// Title and body are the operator's, where all members are of one batch that has templates;
/// a template that fails costs nothing but its own words: those built in stand there, with a
/// line that says what is wrong.
pub fn compose_group(message: &GroupMessage<'_>, limits: &Limits) -> Alert {
    let wall = Wall { zone: zone(message), now: message.now };
    let (mut title, mut body) = (title(message, wall), body(message, wall));
    if let Some(batch) = only_batch(message) {
        let own = Templates { batch, wall, limits };
        (title, body) = own.replace(message, title, body);
    }
    let mut worst: Vec<&Member<'_>> = message.members.iter().collect();
    worst.sort_by(|a, b| worse(a, b));
    let more = worst.len().saturating_sub(message.findings);
    worst.truncate(message.findings);
    Alert {
        id: message.id.clone(),
        incident: message.incident.clone(),
        state: message.state,
        kind: kind(message).to_owned(),
        labels: message.common.clone(),
        title,
        body,
        link: message.links.as_ref().map(|links| links.page.clone()).filter(|page| !page.is_empty()),
        actions: message.links.as_ref().map(|links| links.actions.clone()).unwrap_or_default(),
        chart: None,
        findings: worst.into_iter().map(finding).collect(),
        more: u32::try_from(more).unwrap_or(u32::MAX),
    }
}

/// The kind that all members have; of several kinds, the plainest word.
fn kind(message: &GroupMessage<'_>) -> &'static str {
    let mut kinds = message.members.iter().map(|member| member.record.kind);
    let first = kinds.next().unwrap_or(AlertKind::Anomaly);
    if kinds.all(|kind| kind == first) { first.name() } else { AlertKind::Anomaly.name() }
}

/// The one batch of which all members are.
fn only_batch<'a>(message: &GroupMessage<'a>) -> Option<&'a Batch> {
    let first = message.members.first()?.batch?;
    message.members.iter().all(|member| member.record.key == first.key).then_some(first)
}

/// The zone in which a message tells the time: that of its batches, or UTC where they differ.
fn zone(message: &GroupMessage<'_>) -> Tz {
    let mut zones = message.members.iter().filter_map(|member| Some(member.batch?.timezone));
    let first = zones.next().unwrap_or(Tz::UTC);
    if zones.all(|zone| zone == first) { first } else { Tz::UTC }
}

fn finding(member: &Member<'_>) -> Finding {
    let AlertRecord { kind, labels, worst, terms, started, ended, .. } = member.record;
    let Peak { value, score, lower, upper, .. } = *worst;
    let (expected, lower, upper) = match kind {
        // The edges are those of a lone point; a level that changed may well be within them.
        AlertKind::Change => (f64::midpoint(lower, upper), f64::NAN, f64::NAN),
        // The store keeps the edges of what was expected, and no point within them.
        _ => (f64::NAN, lower, upper),
    };
    Finding {
        labels: labels.clone(),
        value,
        expected,
        lower,
        upper,
        // How far over a limit is no score.
        score: score.clamp(0.0, 1.0),
        // What else has terms, has them in units of its own.
        terms: if *kind == AlertKind::Anomaly { terms.clone() } else { Vec::new() },
        started: *started,
        ended: *ended,
    }
}
