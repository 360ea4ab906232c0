use std::collections::BTreeMap;

use super::*;
use crate::alert::Effect;
use crate::config::{Environment, Job, Slot, load_batch, load_node};
use crate::message::AlertPhase;
use crate::pipeline::{newest_span, worst_first};
use crate::series::Kind;
use crate::store::{Commit, DocumentWrite, Peak, RunRecord, RunState, ScoreRow};

const MINUTE: Millis = 60_000;
const T0: Millis = 1_767_571_200_000;

fn batch(name: &str, step: &str) -> Batch {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("batch.yaml");
    let text = format!("metric_batch: {name}\nstep: {step}\ningest_fn: prometheus.py\ningest_params: {{}}\n");
    std::fs::write(&path, text).unwrap();
    let environment = Environment::default();
    let mut batch = load_batch(&path, &load_node(None, &environment).unwrap(), &environment).unwrap();
    batch.alert.chart_n = 60;
    batch
}

fn labels(host: &str) -> Labels {
    let pairs = [("__name__", "cpu_ratio"), ("instance", host)];
    Labels::new(pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap()
}

/// A store in which the series of `hosts` have 200 points, and scores from the first of them on.
fn store(batch: &Batch, hosts: &[&str], value: impl Fn(usize, usize) -> f64) -> Database {
    let store = Database::in_memory(&Limits::default()).unwrap();
    fill(&store, batch, hosts, value);
    store
}

fn fill(store: &Database, batch: &Batch, hosts: &[&str], value: impl Fn(usize, usize) -> f64) {
    let step = Millis::from(batch.judged.step_ms);
    let run = |job, scheduled| RunRecord {
        slot: Slot { key: batch.key.clone(), job, scheduled },
        state: RunState::Done,
        attempts: 1,
        reason: String::new(),
        started: 0,
        duration_ms: 0,
        counts: BTreeMap::new(),
        log: Vec::new(),
        error: None,
    };
    let times: Vec<Millis> = (0..200).map(|i| T0 + i * step).collect();
    let sample = |(index, host): (usize, &&str)| {
        let column = Column { timestamps: times.clone(), values: (0..200).map(|i| value(index, i)).collect() };
        (labels(host), labels(host).to_string(), Kind::Gauge, column)
    };
    let samples = hosts.iter().enumerate().map(sample).collect();
    store.commit(Commit { samples, ..Commit::of(run(Job::Ingest, T0)) }).unwrap();
    let rows = |index: usize| {
        let row = |(i, time): (usize, &Millis)| ScoreRow {
            time: *time,
            score: if value(index, i) > 0.9 { 0.95 } else { 0.1 },
            lower: 0.2,
            upper: 0.4,
            terms: Vec::new(),
        };
        ScoreColumn { rows: times.iter().enumerate().map(row).collect() }
    };
    let scores = store.series(&batch.key).iter().enumerate().map(|(index, series)| (series.id, rows(index))).collect();
    store.commit(Commit { scores, ..Commit::of(run(Job::Score, T0)) }).unwrap();
}

fn record(batch: &Batch, series: u32, host: &str, kind: AlertKind) -> AlertRecord {
    AlertRecord {
        key: batch.key.clone(),
        id: format!("{host}-{}", kind.name()),
        kind,
        series: SeriesId(series),
        labels: labels(host),
        name: labels(host).to_string(),
        phase: AlertPhase::Firing,
        started: T0 + 190 * MINUTE,
        fired: Some(T0 + 190 * MINUTE),
        ended: None,
        worst: Peak { time: T0 + 192 * MINUTE, value: 0.97, score: 0.95, lower: 0.2, upper: 0.4 },
        terms: Vec::new(),
        threshold: 0.8,
        models: Vec::new(),
        policy: String::new(),
        events: Vec::new(),
        explanation: None,
    }
}

fn spike(_: usize, i: usize) -> f64 {
    if i >= 190 { 0.97 } else { 0.3 }
}

#[test]
fn an_alert_is_drawn_with_what_came_what_was_expected_its_scores_and_its_event() {
    let batch = batch("a", "1m");
    let store = store(&batch, &["web-1"], spike);
    let deploy = Marker {
        id: "e1".into(),
        kind: "deploy".into(),
        text: "v2".into(),
        matchers: "instance=web-1".parse().unwrap(),
        start: T0 + 185 * MINUTE,
        end: None,
        effect: Effect::Note,
        by: "ana".into(),
    };
    store.write_documents("default", vec![DocumentWrite::of(DocumentKind::Event, "e1", &deploy)]).unwrap();
    let record =
        AlertRecord { events: vec!["e1".into(), "gone".into()], ..record(&batch, 0, "web-1", AlertKind::Anomaly) };
    let drawn = alert_chart(&store, &[(&batch, &record)], T0 + 300 * MINUTE).unwrap().unwrap();
    assert_eq!((drawn.grid.columns, drawn.grid.end()), (60, T0 + 200 * MINUTE), "the newest 60 points");
    let [series] = &drawn.series[..] else { panic!("one series") };
    assert_eq!((series.values[0], series.values[59]), (0.3, 0.97));
    assert!((series.upper[0] - 0.4).abs() < 0.01);
    assert_eq!((series.scores[59], series.threshold, series.unit), (0.95, Some(0.8), Unit::Ratio));
    assert_eq!(drawn.title, "cpu_ratio of web-1");
    assert_eq!(drawn.markers, [ChartMarker { start: T0 + 185 * MINUTE, end: None, name: "deploy v2".into() }]);

    let png = of_alerts(&store, &[(&batch, &record)], T0 + 300 * MINUTE, &Limits::default()).unwrap();
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    let earlier = of_alerts(&store, &[(&batch, &record)], T0 + 193 * MINUTE, &Limits::default()).unwrap();
    assert_ne!(png, earlier, "a chart is of what was known at its instant");
}

#[test]
fn a_limit_is_drawn_as_a_line_and_a_change_with_what_was_before() {
    let batch = batch("a", "1m");
    let store = store(&batch, &["web-1"], spike);
    let drawn = |kind| {
        let record = record(&batch, 0, "web-1", kind);
        alert_chart(&store, &[(&batch, &record)], T0 + 200 * MINUTE).unwrap().unwrap().series.remove(0)
    };
    let limit = drawn(AlertKind::Threshold);
    assert_eq!((limit.limits, limit.upper.len(), limit.threshold), (vec![0.2, 0.4], 0, None));
    let change = drawn(AlertKind::Change);
    assert!((change.before.unwrap() - 0.3).abs() < 1e-9);
    assert!(change.upper.is_empty() && change.scores.is_empty(), "the edges are those of a lone point");
}

#[test]
fn alerts_of_two_batches_share_one_axis_of_time() {
    let (minutes, fives) = (batch("a", "1m"), batch("b", "5m"));
    let store = store(&minutes, &["web-1"], spike);
    fill(&store, &fives, &["db"], spike);
    let (one, two) = (record(&minutes, 0, "web-1", AlertKind::Anomaly), record(&fives, 0, "db", AlertKind::Anomaly));
    let drawn = alert_chart(&store, &[(&minutes, &one), (&fives, &two)], T0 + 200 * MINUTE).unwrap().unwrap();
    assert_eq!(drawn.grid.step_ms, 300_000);
    assert_eq!(
        drawn.series.iter().map(|series| series.name.as_str()).collect::<Vec<_>>(),
        ["cpu_ratio of web-1", "cpu_ratio of db"]
    );
    assert!(drawn.series.iter().all(|series| series.values.iter().any(|value| value.is_finite())));
    assert_eq!(drawn.title, "2 series with alerts");
}

#[test]
fn a_long_alert_shows_how_it_began_and_an_unknown_series_an_empty_frame() {
    let batch = batch("a", "1m");
    let store = store(&batch, &["web-1"], spike);
    let mut long = record(&batch, 0, "web-1", AlertKind::Anomaly);
    long.started = T0 + 20 * MINUTE;
    let drawn = alert_chart(&store, &[(&batch, &long)], T0 + 300 * MINUTE).unwrap().unwrap();
    assert_eq!(drawn.grid.start, T0 + 5 * MINUTE);
    long.started = T0 - 1_000_000 * MINUTE;
    let drawn = alert_chart(&store, &[(&batch, &long)], T0 + 300 * MINUTE).unwrap().unwrap();
    assert_eq!(drawn.grid.columns, 20 * 60, "and not all of what was");

    let unknown = record(&batch, 77, "web-9", AlertKind::NoData);
    assert!(of_alerts(&store, &[(&batch, &unknown)], T0, &Limits::default()).is_some());
    assert!(of_alerts(&store, &[], T0, &Limits::default()).is_none());
}

#[test]
fn a_batch_is_drawn_by_its_worst_series() {
    let batch = batch("a", "1m");
    let hosts = ["h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7"];
    // The series are numbered in the order of their labels.
    let store = store(&batch, &hosts, |series, i| if series == 5 && i > 150 { 0.97 } else { 0.3 });
    let series = store.series(&batch.key);
    let span = newest_span(&batch, &series, T0 + 500 * MINUTE).unwrap();
    assert_eq!(span, T0 + 140 * MINUTE..T0 + 200 * MINUTE);
    let worst = worst_first(&store, &batch, series, span.clone()).unwrap();
    let name = |host: &str| labels(host).to_string();
    assert_eq!([&worst[0].name, &worst[1].name], [&name("h5"), &name("h0")]);
    let drawn = series_chart(&store, &batch, &worst, span.clone()).unwrap();
    assert_eq!((drawn.series.len(), drawn.title.as_str()), (6, "a: the worst 6 of 8 series"));
    assert!(of_series(&store, &batch, &worst, span, Limits::default().plot_bytes).unwrap().is_some());
    assert_eq!(newest_span(&batch, &[], T0), None);
}
