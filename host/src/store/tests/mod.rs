//! What the store promises, each promise as its user would put it.

mod chunk;
mod conformance;
mod database;
mod export;
mod sealing;
mod tenant;
mod together;
mod trouble;

use std::collections::BTreeMap;

use super::*;
use crate::config::{BatchKey, Job, Limits, Slot};
use crate::message::{AlertKind, AlertPhase};
use crate::series::{Kind, Labels, Millis};

pub(super) const T0: Millis = 1_767_225_600_000;
pub(super) const MINUTE: Millis = 60_000;

pub(super) fn key(batch: &str) -> BatchKey {
    BatchKey { tenant: "default".to_owned(), batch: batch.to_owned() }
}

pub(super) fn labels(name: &str) -> Labels {
    Labels::new([(Labels::NAME.to_owned(), name.to_owned()), ("host".to_owned(), "a".to_owned())]).unwrap()
}

pub(super) fn run(key: &BatchKey, job: Job, scheduled: Millis) -> RunRecord {
    RunRecord {
        slot: Slot { key: key.clone(), job, scheduled },
        state: RunState::Done,
        attempts: 1,
        reason: "cron".to_owned(),
        started: scheduled + 17,
        duration_ms: 5,
        counts: BTreeMap::from([("samples".to_owned(), 1)]),
        log: vec!["a line".to_owned()],
        error: None,
    }
}

/// An ingest of columns of `(name, [(time, value)])`.
pub(super) fn ingest(key: &BatchKey, scheduled: Millis, columns: &[(&str, &[(Millis, f64)])]) -> Commit {
    let sample = |(name, points): &(&str, &[(Millis, f64)])| {
        let (timestamps, values) = points.iter().copied().unzip();
        (labels(name), (*name).to_owned(), Kind::Gauge, Column { timestamps, values })
    };
    Commit { samples: columns.iter().map(sample).collect(), ..Commit::of(run(key, Job::Ingest, scheduled)) }
}

pub(super) fn score_row(time: Millis, score: f64, terms: &[(&str, f64)]) -> ScoreRow {
    let terms = terms.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    ScoreRow { time, score, lower: 1.0, upper: 3.0, terms }
}

pub(super) fn model(series: u32, bytes: Vec<u8>) -> ModelWrite {
    ModelWrite {
        series: SeriesId(series),
        tag: "m".to_owned(),
        plugin: "knn".to_owned(),
        plugin_digest: "d".to_owned(),
        config_digest: "c".to_owned(),
        slot: T0 + MINUTE,
        data: (T0, T0 + MINUTE),
        left_out: 0,
        facts: Vec::new(),
        head: bytes.len(),
        bytes,
    }
}

pub(super) fn alert(key: &BatchKey, id: &str, phase: AlertPhase, started: Millis) -> AlertRecord {
    AlertRecord {
        key: key.clone(),
        id: id.to_owned(),
        series: SeriesId(0),
        labels: labels("cpu"),
        name: "cpu".to_owned(),
        kind: AlertKind::Anomaly,
        phase,
        started,
        fired: Some(started),
        ended: (phase == AlertPhase::Resolved).then_some(started + MINUTE),
        worst: Peak { time: started, value: 9.0, score: 0.95, lower: f64::NAN, upper: f64::NAN },
        terms: vec![("drift".to_owned(), 0.9)],
        threshold: 0.8,
        models: vec![("m".to_owned(), "abc".to_owned())],
        policy: "p".to_owned(),
        events: Vec::new(),
        explanation: None,
    }
}

pub(super) fn delivery(key: &BatchKey, id: &str, state: &str) -> Delivery {
    Delivery {
        id: id.to_owned(),
        key: key.clone(),
        batches: std::collections::BTreeSet::new(),
        subject: None,
        drawn: Vec::new(),
        receiver: "batch/b".to_owned(),
        method: "slack".to_owned(),
        alert: crate::message::Alert {
            id: id.to_owned(),
            incident: "i".to_owned(),
            state: crate::message::AlertState::Firing,
            kind: "anomaly".to_owned(),
            labels: labels("cpu"),
            title: "cpu".to_owned(),
            body: String::new(),
            link: None,
            actions: Vec::new(),
            chart: Some(vec![1, 2, 3]),
            findings: vec![crate::message::Finding {
                labels: labels("cpu"),
                value: 9.0,
                expected: f64::NAN,
                lower: f64::NAN,
                upper: f64::INFINITY,
                score: 0.95,
                terms: Vec::new(),
                started: T0,
                ended: None,
            }],
            more: 0,
        },
        queued: T0,
        due: T0,
        every_ms: None,
        attempts: vec![Attempt { at: T0, outcome: Err("503".to_owned()) }],
        state: state.to_owned(),
    }
}

pub(super) fn dump(db: &Database) -> String {
    let mut text = Vec::new();
    db.dump(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

pub(super) fn small_limits() -> Limits {
    Limits { store_cache_bytes: 4 << 20, ..Limits::default() }
}
