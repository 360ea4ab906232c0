//! What is said about an alert, and the messages that say it.

use std::fmt::Write as _;

use chrono::DateTime;
use sha2::{Digest, Sha256};

use crate::config::{Batch, BatchKey, NotifierUse};
use crate::message::{Alert, AlertState, Finding};
use crate::series::{Labels, Millis};
use crate::store::{AlertRecord, Delivery};

/// The identity of an alert: the same series that begins to fire at the same point has the
/// same, in every replay.
pub fn alert_id(key: &BatchKey, labels: &Labels, started: Millis) -> String {
    let digest = Sha256::digest(format!("{key}\n{labels}\n{started}"));
    digest.iter().take(12).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The message about an alert, as it stands.
pub fn compose(batch: &Batch, record: &AlertRecord) -> Alert {
    let (time, value, score, lower, upper) = record.worst;
    let state = if record.ended.is_some() { AlertState::Resolved } else { AlertState::Firing };
    let band = lower.is_finite() && upper.is_finite();
    let expected = if band { (lower + upper) / 2.0 } else { f64::NAN };
    let (title, verb) = match state {
        AlertState::Firing => (format!("{} looks anomalous", record.name), "is"),
        AlertState::Resolved => (format!("{} is ordinary again", record.name), "was"),
    };
    let mut body = format!("**{}** {verb} {}", record.name, short(value));
    if band {
        let _ = write!(body, " where {} to {} was expected", short(lower), short(upper));
    }
    let _ = write!(body, ", at {}.\n\nScore {score:.2}, threshold {:.2}.", clock(time), record.threshold);
    let _ = write!(body, " It began at {}", clock(record.started));
    match record.ended {
        Some(ended) => {
            let _ = write!(body, " and was over at {}.", clock(ended));
        }
        None => body.push('.'),
    }
    if !record.terms.is_empty() {
        let terms: Vec<String> = record.terms.iter().map(|(name, part)| format!("{name} {}", short(*part))).collect();
        let _ = write!(body, "\n\nWhat added to the score: {}.", terms.join(", "));
    }
    if let Some(tags) = batch.alert.metric_tags.get(&record.name) {
        let tags: Vec<String> = tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let _ = write!(body, "\n\nTags: {}.", tags.join(", "));
    }
    Alert {
        id: format!("{}-{}", record.id, state_name(state)),
        incident: record.id.clone(),
        state,
        title,
        body,
        link: None,
        actions: Vec::new(),
        chart: None,
        findings: vec![Finding {
            labels: record.labels.clone(),
            value,
            expected,
            lower,
            upper,
            score,
            terms: record.terms.clone(),
            started: record.started,
            ended: record.ended,
        }],
    }
}

/// One delivery for each of the batch's notifiers, due at once.
pub fn deliveries(batch: &Batch, alert: &Alert, now: Millis) -> Vec<Delivery> {
    let delivery = |notifier: &NotifierUse| Delivery {
        id: format!("{}-{}", alert.id, notifier.plugin),
        key: batch.key.clone(),
        method: notifier.plugin.clone(),
        alert: Alert { id: format!("{}-{}", alert.id, notifier.plugin), ..alert.clone() },
        queued: now,
        due: now,
        attempts: Vec::new(),
        state: "queued".to_owned(),
    };
    batch.alert.notifiers.iter().map(delivery).collect()
}

fn state_name(state: AlertState) -> &'static str {
    match state {
        AlertState::Firing => "firing",
        AlertState::Resolved => "resolved",
    }
}

/// Four significant digits.
fn short(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = 3 - value.abs().log10().floor() as i32;
    if digits >= 0 { format!("{value:.*}", digits.min(12) as usize) } else { format!("{value:.0}") }
}

fn clock(time: Millis) -> String {
    DateTime::from_timestamp_millis(time).unwrap_or_default().format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_to_four_digits() {
        let shown: Vec<String> = [0.0, 0.000_123_47, 3.241_59, 123_456.0, -42.0, f64::NAN].map(short).to_vec();
        assert_eq!(shown, ["0", "0.0001235", "3.242", "123456", "-42.00", "NaN"]);
    }

    #[test]
    fn an_alert_keeps_its_identity_in_every_replay() {
        let key = BatchKey { tenant: "default".into(), batch: "demo".into() };
        let labels = Labels::new([("__name__".to_owned(), "cpu".to_owned())]).unwrap();
        assert_eq!(alert_id(&key, &labels, 60_000), alert_id(&key, &labels, 60_000));
        assert_ne!(alert_id(&key, &labels, 60_000), alert_id(&key, &labels, 120_000));
    }
}
