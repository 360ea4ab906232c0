//! Series, their charts and thresholds that they might have, in a store that is filled by hand.

use std::collections::BTreeMap;

use super::*;
use crate::config::{Environment, Job, Limits, Slot, load_node};
use crate::message::AlertPhase;
use crate::series::Kind;
use crate::store::{Column, Commit, ModelWrite, Peak, RunRecord, RunState, ScoreColumn, ScoreRow, SeriesId};

const T0: Millis = 1_767_225_600_000;
const MINUTE: Millis = 60_000;
const DAY: Millis = 1_440 * MINUTE;

fn run(job: Job) -> RunRecord {
    RunRecord {
        slot: Slot { key: key(), job, scheduled: T0 },
        state: RunState::Done,
        attempts: 1,
        reason: "cron".to_owned(),
        started: T0,
        duration_ms: 1,
        counts: BTreeMap::new(),
        log: Vec::new(),
        error: None,
    }
}

fn key() -> BatchKey {
    BatchKey { tenant: "default".to_owned(), batch: "web".to_owned() }
}

/// A day of four series at a minute: in `odd` ten minutes around noon score 0.9, in `worse` twenty,
/// and `noisy` scores 0.5 throughout.
fn store() -> Database {
    let store = Database::in_memory(&Limits::default()).unwrap();
    let odd = |name: &str, minute: Millis| match name {
        "odd" if (720..730).contains(&minute) => 0.9,
        "worse" if (720..740).contains(&minute) => 0.9,
        "noisy" => 0.5,
        _ => 0.1,
    };
    let (mut ingest, mut score) = (Commit::of(run(Job::Ingest)), Commit::of(run(Job::Score)));
    for (id, name) in (0..).zip(["calm", "odd", "worse", "noisy"]) {
        let labels = [("__name__", name), ("job", "shop")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let value = |minute| if odd(name, minute) > 0.8 { 50.0 } else { 4.0 };
        let (timestamps, values) = (0..1_440).map(|minute| (T0 + minute * MINUTE, value(minute))).unzip();
        let column = Column { timestamps, values };
        ingest.samples.push((Labels::new(labels).unwrap(), name.to_owned(), Kind::Gauge, column));
        let row = |minute| {
            let score = odd(name, minute);
            let terms = if score > 0.8 { vec![("level".to_owned(), score)] } else { Vec::new() };
            ScoreRow { time: T0 + minute * MINUTE, score, lower: 3.0, upper: 5.0, terms }
        };
        score.scores.push((SeriesId(id), ScoreColumn { rows: (0..1_440).map(row).collect() }));
    }
    store.commit(ingest).unwrap();
    store.commit(score).unwrap();
    store
}

fn ask<A: Ask>(store: &Database, question: &A) -> Result<A::Reply, DeskError> {
    let config = load_node(None, &Environment::default()).unwrap();
    let batches = Batches::new();
    question.ask(&Desk { store, batches: &batches, config: &config, tenant: "default", now: T0 + DAY })
}

fn names(page: &Page<SeriesView>) -> Vec<&str> {
    page.items.iter().map(|series| series.metric.as_str()).collect()
}

#[test]
fn the_oddest_series_come_first_in_pages_and_a_search_narrows_them() {
    let store = store();
    for sealed in [false, true] {
        if sealed {
            store.seal().unwrap();
        }
        let mut query =
            SeriesQuery { id: "web".to_owned(), order: SeriesOrder::Anomaly, limit: Some(2), ..SeriesQuery::default() };
        let first = ask(&store, &query).unwrap();
        assert_eq!(names(&first), ["worse", "odd"]);
        let anomaly = first.items[0].anomaly.unwrap();
        assert_eq!((anomaly.points, anomaly.over, anomaly.max), (1_440, 20, 0.9));
        query.cursor = first.next;
        let second = ask(&store, &query).unwrap();
        assert_eq!(names(&second), ["noisy", "calm"], "of equal rates the higher mean goes first");
        assert_eq!(second.next, None);
        // Before noon nothing was odd.
        let morning = SeriesQuery { from: Some(T0), to: Some(T0 + DAY / 2), cursor: None, limit: None, ..query };
        assert_eq!(names(&ask(&store, &morning).unwrap()), ["noisy", "calm", "odd", "worse"]);
        let found = SeriesQuery { metric: Some("SHOP d".to_owned()), order: SeriesOrder::Name, ..morning };
        assert_eq!(names(&ask(&store, &found).unwrap()), ["odd"]);
    }
}

fn chart(store: &Database, from: Millis, to: Millis, points: usize) -> Chart {
    let query = ChartQuery {
        id: "web".to_owned(),
        metric: "odd".to_owned(),
        from: Some(from),
        to: Some(to),
        points: Some(points),
        ..ChartQuery::default()
    };
    ask(store, &query).unwrap()
}

#[test]
fn a_chart_of_a_day_has_every_extreme_and_one_of_an_hour_every_sample() {
    let store = store();
    let day = chart(&store, T0, T0 + DAY, 24);
    assert_eq!((day.points, day.bucket_ms.is_some()), (1_440, true));
    assert!(day.t.len() <= 26);
    let highest = |column: &[Option<f64>]| column.iter().flatten().copied().fold(f64::NAN, f64::max);
    assert_eq!((highest(&day.value_max), highest(&day.score)), (50.0, 0.9));
    assert_eq!(day.terms[0].name, "level");
    assert_eq!(highest(&day.terms[0].values), 0.9);
    let hour = chart(&store, T0 + 12 * 60 * MINUTE, T0 + 13 * 60 * MINUTE, 100);
    assert_eq!((hour.t.len(), hour.bucket_ms), (60, None));
    assert_eq!((hour.value_min[9], hour.value_max[9], hour.value_max[10]), (Some(50.0), Some(50.0), Some(4.0)));
    assert_eq!((hour.lower[0], hour.upper[0], hour.expected[0]), (Some(3.0), Some(5.0), Some(4.0)));
}

fn alert(id: &str, started: Millis, ended: Option<Millis>) -> AlertRecord {
    AlertRecord {
        key: key(),
        id: id.to_owned(),
        kind: AlertKind::Anomaly,
        series: SeriesId(1),
        labels: Labels::default(),
        name: "odd".to_owned(),
        phase: if ended.is_some() { AlertPhase::Resolved } else { AlertPhase::Firing },
        started,
        fired: Some(started),
        ended,
        worst: Peak { time: started, value: 50.0, score: 0.9, lower: 3.0, upper: 5.0 },
        terms: Vec::new(),
        threshold: 0.8,
        models: Vec::new(),
        policy: String::new(),
        events: Vec::new(),
        explanation: None,
    }
}

#[test]
fn a_chart_marks_the_alerts_of_its_series_that_reach_into_it() {
    let store = store();
    let noon = T0 + DAY / 2;
    let alerts = vec![
        alert("over-before", T0 + MINUTE, Some(T0 + 2 * MINUTE)),
        alert("over-within", T0 + 700 * MINUTE, Some(noon + MINUTE)),
        alert("goes-on", T0 - 30 * DAY, None),
        AlertRecord { series: SeriesId(2), ..alert("anothers", noon, None) },
        AlertRecord { fired: None, ..alert("never-was", noon, Some(noon + MINUTE)) },
    ];
    store.commit(Commit { alerts, ..Commit::of(run(Job::Alert)) }).unwrap();
    let ids: Vec<_> = chart(&store, noon, T0 + DAY, 100).alerts.into_iter().map(|alert| alert.id).collect();
    assert_eq!(ids, ["goes-on", "over-within"]);
    let history = AlertHistory { id: "web".to_owned(), metric: "odd".to_owned(), ..AlertHistory::default() };
    assert_eq!(ask(&store, &history).unwrap().items.len(), 4);
}

#[test]
fn a_lower_threshold_says_what_would_have_fired() {
    let store = store();
    let what_if = |metric: &str, threshold| {
        let query =
            WhatIfQuery { id: "web".to_owned(), metric: metric.to_owned(), threshold, ..WhatIfQuery::default() };
        ask(&store, &query)
    };
    let usual = what_if("odd", None).unwrap();
    assert_eq!((usual.threshold, usual.points, usual.over, usual.count), (0.8, 1_440, 10, 1));
    let fired = usual.alerts[0].clone();
    assert_eq!((fired.started, fired.ended), (T0 + 720 * MINUTE, Some(T0 + 730 * MINUTE)));
    assert_eq!(what_if("odd", Some(0.95)).unwrap().count, 0);
    let noisy = what_if("noisy", Some(0.4)).unwrap();
    assert_eq!((noisy.over, noisy.count, noisy.alerts[0].ended), (1_440, 1, None));
    assert!(what_if("odd", Some(1.5)).unwrap_err().to_string().contains("from 0 to 1"));
}

#[test]
fn of_the_models_of_a_series_the_newest_of_each_tag_judges() {
    let store = store();
    for (job, tag) in [(Job::Train, "robust"), (Job::Change, "pca")] {
        for n in 0..2 {
            let model = ModelWrite {
                series: SeriesId(1),
                tag: tag.to_owned(),
                plugin: tag.to_owned(),
                plugin_digest: "d".to_owned(),
                config_digest: "c".to_owned(),
                slot: T0 + MINUTE,
                data: (T0, T0 + MINUTE),
                left_out: 0,
                facts: Vec::new(),
                head: 1,
                bytes: vec![n],
            };
            let mut run = run(job);
            run.slot.scheduled = T0 + Millis::from(n) * MINUTE;
            store.commit(Commit { models: vec![model], ..Commit::of(run) }).unwrap();
        }
    }
    let query = ModelQuery { id: "web".to_owned(), metric: "odd".to_owned(), ..ModelQuery::default() };
    let models = ask(&store, &query).unwrap().items;
    let told: Vec<_> = models.iter().map(|m| (m.tag.as_str(), (m.fitted - T0) / MINUTE, m.judges)).collect();
    assert_eq!(told, [("pca", 1, true), ("robust", 1, true), ("pca", 0, false), ("robust", 0, false)]);
}
