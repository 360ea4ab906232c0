//! What is said about an alert, and the messages that say it.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{GroupMessage, Member};
use crate::config::{BatchKey, Limits};
use crate::message::{Alert, AlertKind, AlertState, Finding};
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
pub fn compose_group(message: &GroupMessage<'_>, _limits: &Limits) -> Alert {
    let name = match &message.members[..] {
        [] => String::new(),
        [member] => member.record.name.clone(),
        [first, ..] => format!("{} series, first {}", message.members.len(), first.record.name),
    };
    let title = match message.state {
        AlertState::Firing if message.repeat => format!("{name}: still not ordinary"),
        AlertState::Firing => format!("{name}: not ordinary"),
        AlertState::Resolved => format!("{name}: ordinary again"),
    };
    let mut worst: Vec<&Member<'_>> = message.members.iter().collect();
    // What goes on is told before what is over; then the worst first.
    worst.sort_by(|a, b| {
        let over = |member: &Member<'_>| member.state == AlertState::Resolved;
        over(a).cmp(&over(b)).then(b.record.worst.score.total_cmp(&a.record.worst.score))
    });
    let more = worst.len().saturating_sub(message.findings);
    worst.truncate(message.findings);
    let mut kinds: Vec<&str> = message.members.iter().map(|member| member.record.kind.name()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    Alert {
        id: message.id.clone(),
        incident: message.incident.clone(),
        state: message.state,
        kind: if let [kind] = kinds[..] { kind.to_owned() } else { AlertKind::Anomaly.name().to_owned() },
        labels: message.common.clone(),
        title,
        body: began(message),
        link: message.links.as_ref().map(|links| links.page.clone()),
        actions: message.links.as_ref().map(|links| links.actions.clone()).unwrap_or_default(),
        chart: None,
        findings: worst.into_iter().map(finding).collect(),
        more: u32::try_from(more).unwrap_or(u32::MAX),
    }
}

/// The first of the members, in the order in which they began.
fn began(message: &GroupMessage<'_>) -> String {
    let Some(first) = message.members.first() else { return String::new() };
    let mut text = format!("It began with {}", first.record.name);
    for member in message.members.iter().skip(1).take(message.findings) {
        let minutes = (member.record.started - first.record.started) / 60_000;
        let _ = write!(text, ", then {} {minutes} min later", member.record.name);
    }
    text + "."
}

fn finding(member: &Member<'_>) -> Finding {
    let AlertRecord { labels, worst, terms, started, ended, .. } = member.record;
    let Peak { value, score, lower, upper, .. } = *worst;
    Finding {
        labels: labels.clone(),
        value,
        // The store keeps the edges of what was expected, and no point within them.
        expected: f64::NAN,
        lower,
        upper,
        score,
        terms: terms.clone(),
        started: *started,
        ended: *ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_keeps_its_identity_in_every_replay() {
        let key = BatchKey { tenant: "default".into(), batch: "demo".into() };
        let labels = Labels::new([("__name__".to_owned(), "cpu".to_owned())]).unwrap();
        let id = |started| alert_id(&key, AlertKind::Anomaly, &labels, started);
        assert_eq!(id(60_000), id(60_000));
        assert_ne!(id(60_000), id(120_000));
    }
}
