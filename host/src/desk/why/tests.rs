//! Each condition that can keep a point from being told, in a store that is filled by hand.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::{Reason, Trace, Why};
use crate::alert::{Effect, Marker, Notice, PolicyRecord, Silence, Why as Held};
use crate::config::{
    AlertPolicy, Batch, BatchKey, Deviation, Direction, Environment, Job, Limits, Slot, load_batch_text,
};
use crate::desk::{Acknowledge, Ask as _, Desk, DeskError};
use crate::message::{Alert, AlertKind, AlertPhase, AlertState, Verdict};
use crate::series::{Kind, Labels, Millis};
use crate::store::{
    AlertRecord, Attempt, Beside, Column, Commit, Database, Decision, Delivery, DocumentKind, DocumentWrite,
    ModelWrite, Peak, RunRecord, RunState, ScoreColumn, ScoreRow, SeriesId,
};

pub const T0: Millis = 1_767_225_600_000;
pub const MINUTE: Millis = 60_000;
/// The point that is asked about.
pub const AT: Millis = T0 + 30 * MINUTE;
pub const NOW: Millis = T0 + 60 * MINUTE;
pub const ID: &str = "00112233445566778899aabb";

pub fn node() -> crate::config::Node {
    crate::config::load_node(None, &Environment::default()).unwrap()
}

/// A store that is filled step by step.
pub struct Story {
    pub store: Database,
    pub batch: Batch,
}

impl Story {
    /// A batch with these keys and nothing in the store.
    fn new(keys: &str) -> Self {
        let text = format!("metric_batch: orders\ningest_fn: prometheus\nstep: 60s\ningest_delay: 0s\n{keys}");
        let batch = load_batch_text(Path::new("orders.yaml"), &text, &Environment::default()).unwrap();
        Self { store: Database::in_memory(&Limits::default()).unwrap(), batch }
    }

    /// One that has come as far as a score at each of its points.
    pub fn scored(keys: &str) -> Self {
        Self::new(keys).ingested().fitted().score(0.95)
    }

    /// The same, with another policy.
    fn tuned(change: impl FnOnce(&mut AlertPolicy)) -> Self {
        let mut story = Self::scored("");
        change(&mut story.batch.alert);
        story
    }

    pub fn key(&self) -> BatchKey {
        self.batch.key.clone()
    }

    pub fn run(&self, job: Job, scheduled: Millis, counts: &[(&str, Millis)]) -> RunRecord {
        RunRecord {
            slot: Slot { key: self.key(), job, scheduled },
            state: RunState::Done,
            attempts: 1,
            reason: "cron".to_owned(),
            started: scheduled,
            duration_ms: 1,
            counts: counts.iter().map(|(name, n)| ((*name).to_owned(), u64::try_from(*n).unwrap())).collect(),
            log: Vec::new(),
            error: None,
        }
    }

    pub fn commit(self, commit: Commit) -> Self {
        self.store.commit(commit).unwrap();
        self
    }

    fn document(self, write: DocumentWrite) -> Self {
        self.store.write_documents("default", vec![write]).unwrap();
        self
    }

    /// An hour of samples, one a minute; the 25th minute has none.
    fn ingested(self) -> Self {
        let minutes = (0..60).filter(|minute| *minute != 25);
        let (timestamps, values) = minutes.map(|n| (T0 + n * MINUTE, if n == 30 { 41.5 } else { 4.0 })).unzip();
        let run = self.run(Job::Ingest, NOW, &[("from", T0), ("to", NOW), ("samples", 59)]);
        let samples = vec![(labels(), "cpu".to_owned(), Kind::Gauge, Column { timestamps, values })];
        self.commit(Commit { samples, ..Commit::of(run) })
    }

    fn fitted(self) -> Self {
        let model = ModelWrite {
            series: SeriesId(0),
            tag: "robust".to_owned(),
            plugin: "robust".to_owned(),
            plugin_digest: "c0ffee".to_owned(),
            config_digest: "c".to_owned(),
            slot: T0 + 20 * MINUTE,
            data: (T0, T0 + 20 * MINUTE),
            left_out: 0,
            facts: vec![("season".to_owned(), "86400".to_owned())],
            head: 1,
            bytes: vec![1],
        };
        let run = self.run(Job::Train, NOW, &[("models", 1)]);
        self.commit(Commit { models: vec![model], ..Commit::of(run) })
    }

    /// Scores from minute 20 on: ordinary ones, and this one at the point.
    fn score(self, score: f64) -> Self {
        let row = |n: Millis| {
            let (score, terms) = if n == 30 { (score, vec![("level".to_owned(), 0.9)]) } else { (0.1, Vec::new()) };
            ScoreRow { time: T0 + n * MINUTE, score, lower: 3.0, upper: 5.0, terms }
        };
        let rows = (20..50).filter(|n| *n != 25).map(row).collect();
        let run = self.run(Job::Score, NOW, &[("scores", 29)]);
        self.commit(Commit { scores: vec![(SeriesId(0), ScoreColumn { rows })], ..Commit::of(run) })
    }

    /// What the rule of detectors' scores made of the point.
    fn decided(self, verdict: Verdict) -> Self {
        let policy = PolicyRecord::anomaly(&self.batch.alert);
        let alert = matches!(verdict, Verdict::Firing | Verdict::Pending).then(|| ID.to_owned());
        let decision = Decision { kind: AlertKind::Anomaly, from: AT, to: AT, verdict, policy: policy.id(), alert };
        let run = self.run(Job::Alert, NOW, &[]);
        let documents = vec![policy.document()];
        self.commit(Commit { decisions: vec![(SeriesId(0), decision)], documents, ..Commit::of(run) })
    }

    /// An alert that fires from the point on.
    pub fn fires(self) -> Self {
        let record = alert(&self.batch, ID, AT);
        let story = self.decided(Verdict::Firing);
        let run = story.run(Job::Alert, NOW + 1, &[]);
        story.commit(Commit { alerts: vec![record], ..Commit::of(run) })
    }

    fn held(self, why: Held) -> Self {
        let notice = Notice { held: vec![(ID.to_owned(), why)], ..notice() };
        self.document(notice.document())
    }

    pub fn delivered(self, state: &str, answers: &[Result<&str, &str>]) -> Self {
        let delivery = delivery(state, answers);
        let notice = Notice { told: vec![ID.to_owned()], deliveries: vec![delivery.id.clone()], ..notice() };
        let mut run = self.run(Job::Deliver, NOW + 2, &[]);
        run.slot.key = BatchKey::of_tenant("default");
        self.commit(Commit { deliveries: vec![delivery], ..Commit::of(run) }).document(notice.document())
    }

    fn try_why(&self, metric: &str, at: Option<Millis>) -> Result<Trace, DeskError> {
        let batches = BTreeMap::from([(self.key(), &self.batch)]);
        let desk = Desk { store: &self.store, batches: &batches, config: &node(), tenant: "default", now: NOW };
        Why { batch: "orders".to_owned(), metric: metric.to_owned(), at }.ask(&desk)
    }

    fn why(&self) -> Trace {
        self.try_why("cpu", Some(AT + 7_000)).unwrap()
    }

    /// Fails unless the point is answered with this reason, in a sentence that has these parts.
    #[track_caller]
    fn says(&self, reason: Reason, parts: &[&str]) {
        let trace = self.why();
        assert_eq!(trace.answer.reason, reason, "{trace}");
        for part in parts {
            assert!(trace.answer.text.contains(part), "\"{part}\" is not in \"{}\"", trace.answer.text);
        }
    }
}

fn labels() -> Labels {
    Labels::new([(Labels::NAME.to_owned(), "cpu".to_owned()), ("host".to_owned(), "a".to_owned())]).unwrap()
}

fn alert(batch: &Batch, id: &str, started: Millis) -> AlertRecord {
    AlertRecord {
        key: batch.key.clone(),
        id: id.to_owned(),
        kind: AlertKind::Anomaly,
        series: SeriesId(0),
        labels: labels(),
        name: "cpu".to_owned(),
        phase: AlertPhase::Firing,
        started,
        fired: Some(started),
        ended: None,
        worst: Peak { time: AT, value: 41.5, score: 0.95, lower: 3.0, upper: 5.0 },
        terms: vec![("level".to_owned(), 0.9)],
        threshold: 0.8,
        models: Vec::new(),
        policy: String::new(),
        events: Vec::new(),
        explanation: None,
    }
}

fn notice() -> Notice {
    Notice {
        at: NOW,
        group: "g".to_owned(),
        route: "batch/orders".to_owned(),
        receiver: "orders".to_owned(),
        incident: None,
        told: Vec::new(),
        repeat: false,
        held: Vec::new(),
        deliveries: Vec::new(),
    }
}

fn delivery(state: &str, answers: &[Result<&str, &str>]) -> Delivery {
    let outcome = |answer: &Result<&str, &str>| (*answer).map(str::to_owned).map_err(str::to_owned);
    Delivery {
        id: "d1".to_owned(),
        key: BatchKey::of_tenant("default"),
        batches: ["orders".to_owned()].into(),
        subject: None,
        drawn: Vec::new(),
        receiver: "batch/orders".to_owned(),
        every_ms: None,
        method: "slack".to_owned(),
        alert: Alert {
            id: "d1".to_owned(),
            incident: "i".to_owned(),
            state: AlertState::Firing,
            kind: "anomaly".to_owned(),
            labels: Labels::default(),
            title: "cpu looks anomalous".to_owned(),
            body: String::new(),
            link: None,
            actions: Vec::new(),
            chart: None,
            findings: Vec::new(),
            more: 0,
        },
        queued: NOW,
        due: NOW + MINUTE,
        attempts: answers.iter().map(|answer| Attempt { at: NOW, outcome: outcome(answer) }).collect(),
        state: state.to_owned(),
    }
}

#[test]
fn a_point_without_a_sample_says_when_the_nearest_came() {
    let story = Story::scored("");
    let trace = story.try_why("cpu", Some(T0 + 25 * MINUTE)).unwrap();
    assert_eq!(trace.answer.reason, Reason::NoSample);
    assert!(trace.answer.text.contains("the next came at 2026-01-01T00:26:00Z"), "{trace}");
    assert_eq!(trace.samples.before.map(|sample| sample.time), Some(T0 + 24 * MINUTE));
}

#[test]
fn an_excluded_metric_names_the_job_and_the_list() {
    Story::new("train_exclude_metrics: [cpu]\n")
        .ingested()
        .says(Reason::Excluded, &["out of train", "`train_exclude_metrics`"]);
    Story::new("score_exclude_metrics: [cpu]\n").ingested().fitted().says(Reason::Excluded, &["out of score"]);
    Story::scored("alert_exclude_metrics: [cpu]\n").says(Reason::Excluded, &["out of alert"]);
    Story::new("train_include_metrics: [mem]\n")
        .ingested()
        .says(Reason::Excluded, &["takes other metrics for train", "`train_include_metrics`"]);
    Story::new("disable_train: true\n").ingested().says(Reason::SwitchedOff, &["does not run train"]);
}

#[test]
fn without_a_model_it_counts_the_points_that_there_were() {
    // 30 points up to the one that is asked about, since one is missing.
    Story::new("train_min_n: 100\n").ingested().says(Reason::NoModel, &["30 of 100 points", "`train_min_n`"]);
    Story::new("train_min_n: 10\n")
        .ingested()
        .says(Reason::NoModel, &["though 30 points had come", "no training has run"]);
}

#[test]
fn a_point_without_a_score_says_whether_it_will_have_one() {
    Story::new("").ingested().fitted().says(Reason::NotScored, &["no scoring has run"]);
    let old = Story::scored("").try_why("cpu", Some(T0 + 10 * MINUTE)).unwrap();
    assert!(old.answer.text.contains("the model was fit on the history up to 2026-01-01T00:20:00Z"), "{old}");
    let story = Story::new("").ingested().fitted().score(f64::NAN);
    story.says(Reason::NotScored, &["no detector gave one"]);
}

#[test]
fn a_score_that_no_rule_has_seen_is_told_apart_from_one_below_the_threshold() {
    Story::scored("").says(Reason::NotJudged, &["the alert job has not run"]);
    Story::new("").ingested().fitted().score(0.41).says(Reason::Threshold, &["0.41 is below the threshold 0.80"]);
}

#[test]
fn each_condition_of_the_rule_is_told_with_its_numbers() {
    let ordinary = Story::new("alert_smooth_n: 3\n").ingested().fitted().score(0.95).decided(Verdict::Ordinary);
    ordinary.says(Reason::Threshold, &["score 0.38, the mean of 3, is below the threshold 0.80"]);
    Story::tuned(|alert| alert.direction = Direction::Below)
        .decided(Verdict::Direction)
        .says(Reason::Direction, &["41.5 is above the middle of 3 to 5; below is asked for"]);
    Story::tuned(|alert| alert.min_deviation = Some(Deviation::Absolute(50.0)))
        .decided(Verdict::Deviation)
        .says(Reason::Deviation, &["41.5 is 36.5 outside of the band; 50 outside is asked for"]);
    Story::scored("alert_recent_n: 2\n")
        .decided(Verdict::NotRecent)
        .says(Reason::NotRecent, &["not among the newest 2 points"]);
    let soon = Story::scored("alert_snooze_n: 5\n");
    let run = soon.run(Job::Alert, NOW + 1, &[]);
    let earlier = AlertRecord {
        phase: AlertPhase::Resolved,
        ended: Some(AT - MINUTE),
        ..alert(&soon.batch, "ffff", AT - 3 * MINUTE)
    };
    soon.commit(Commit { alerts: vec![earlier], ..Commit::of(run) }).decided(Verdict::Snoozed).says(
        Reason::TooSoon,
        &["the last alert began at 2026-01-01T00:27:00Z; none begins within 5 points (`alert_snooze_n`)"],
    );
    Story::scored("")
        .decided(Verdict::Returned)
        .says(Reason::TooSoon, &["of what was told already", "41.5 is back within the band"]);
    Story::tuned(|alert| alert.for_ms = 5 * MINUTE)
        .decided(Verdict::Pending)
        .says(Reason::Pending, &["has to be on for 5 min"]);

    let marker = Marker {
        id: "m".to_owned(),
        kind: "maintenance".to_owned(),
        text: "disks".to_owned(),
        matchers: "host=a".parse().unwrap(),
        start: AT - MINUTE,
        end: Some(AT + 5 * MINUTE),
        effect: Effect::Mute,
        by: "ana".to_owned(),
    };
    Story::scored("")
        .document(DocumentWrite::of(DocumentKind::Event, "m", &marker))
        .decided(Verdict::Muted)
        .says(Reason::Event, &["the maintenance \"disks\" (m) of ana mutes"]);
}

#[test]
fn conditions_after_the_one_that_failed_are_not_claimed_to_hold() {
    let story = Story::tuned(|alert| (alert.direction, alert.for_ms) = (Direction::Below, 5 * MINUTE))
        .decided(Verdict::Direction);
    let trace = story.why();
    let outcomes: Vec<_> = trace.rules[0].conditions.iter().map(|c| (c.name.as_str(), json!(c.outcome))).collect();
    let expected = [("threshold", "held"), ("direction", "failed"), ("snooze", "not-reached"), ("for", "not-reached")];
    assert_eq!(outcomes, expected.map(|(name, outcome)| (name, json!(outcome))));
}

#[test]
fn the_span_that_goes_on_is_read_from_the_rules_memory() {
    let story = Story::scored("");
    let policy = PolicyRecord::anomaly(&story.batch.alert);
    let (id, verdict) = (policy.id(), Verdict::Ordinary);
    let decision = Decision { kind: AlertKind::Anomaly, from: AT - MINUTE, to: NOW, verdict, policy: id, alert: None };
    let memory = json!({"tracks": {"anomaly": {
        "seen": NOW, "recent": [], "since_begin": null, "begun": [], "state": "quiet", "decision": decision,
    }}});
    let run = story.run(Job::Alert, NOW, &[]);
    let watched = vec![(SeriesId(0), rmp_serde::to_vec_named(&memory).unwrap())];
    let story = story.commit(Commit { watched, documents: vec![policy.document()], ..Commit::of(run) });
    let trace = story.why();
    assert_eq!((trace.rules.len(), trace.rules[0].span), (1, (AT - MINUTE, NOW)), "{trace}");
}

#[test]
fn an_alert_that_nobody_was_told_of_says_what_held_it_back() {
    let methods = "alert_methods: slack\nalert_params: {slack: {channel: '#ops'}}\n";
    Story::tuned(|alert| alert.routed = false)
        .fires()
        .says(Reason::NoMethod, &["It raised the anomaly alert 001122334455", "names no method"]);
    let fires = || Story::scored(methods).fires();
    fires().says(Reason::NotRouted, &["the notify job has not looked at it yet"]);
    let silence = Silence {
        id: "s1".to_owned(),
        matchers: "host=a".parse().unwrap(),
        author: "ana".to_owned(),
        comment: "new rack".to_owned(),
        start: T0,
        end: NOW + MINUTE,
    };
    fires()
        .document(DocumentWrite::of(DocumentKind::Silence, "s1", &silence))
        .held(Held::Silenced("s1".to_owned()))
        .says(Reason::Silenced, &["silenced by s1", "of ana (\"new rack\")", "until 2026-01-01T01:01:00Z"]);
    fires().held(Held::Inhibited("ffff".to_owned())).says(Reason::Inhibited, &["while the alert ffff"]);
    fires().held(Held::Muted("nights".to_owned())).says(Reason::Muted, &["time interval nights"]);
    fires().held(Held::Snoozed(NOW)).says(Reason::Snoozed, &["snoozed until 2026-01-01T01:00:00Z"]);
    fires().held(Held::Waiting(NOW)).says(Reason::Waiting, &["its group waits until"]);
    fires().held(Held::Unrouted).says(Reason::NoMethod, &["no route leads anywhere"]);
}

#[test]
fn what_became_of_a_message_is_told_with_the_answers() {
    let fires = || Story::scored("alert_methods: slack\nalert_params: {slack: {channel: '#ops'}}\n").fires();
    fires().delivered("sent", &[Err("503"), Ok("ok")]).says(Reason::Told, &["slack was told at 2026-01-01T01:00:00Z"]);
    fires().delivered("queued", &[]).says(Reason::Queued, &["is in the outbox"]);
    fires()
        .delivered("queued", &[Err("503")])
        .says(Reason::Queued, &["1 tries to reach slack failed, the last with: 503", "next is at"]);
    fires().delivered("dead", &[Err("401")]).says(Reason::Undelivered, &["given up after 1 tries: 401"]);
}

#[test]
fn the_whole_chain_reads_well_in_a_terminal() {
    let story = Story::tuned(|alert| alert.direction = Direction::Above)
        .fires()
        .delivered("sent", &[Err("503 busy"), Ok("ok")]);
    let batches = BTreeMap::from([(story.key(), &story.batch)]);
    let desk = Desk { store: &story.store, batches: &batches, config: &node(), tenant: "default", now: NOW };
    Acknowledge { id: ID[..6].to_owned(), by: "ana".to_owned(), comment: "looking".to_owned() }.ask(&desk).unwrap();
    insta::assert_snapshot!(story.why().to_string(), @r#"
    cpu of orders at 2026-01-01T00:30:00Z
    It raised the anomaly alert 001122334455; slack was told at 2026-01-01T01:00:00Z.

      sample     41.5 at 2026-01-01T00:30:00Z (ingest of 2026-01-01T01:00:00Z)
      model      robust: robust c0ffee, model 4bf5122f3445
                 fit at 2026-01-01T01:00:00Z on data from 2026-01-01T00:00:00Z to 2026-01-01T00:20:00Z
                 knows season 1day
      score      0.95; expected 3 to 5 (score of 2026-01-01T01:00:00Z)
                 parts level 0.90
      rule       anomaly: firing
                 ok threshold  score 0.95 reaches the threshold 0.80
                 ok direction  41.5 is above the middle of 3 to 5; above is asked for
                 ok snooze     no alert began within 3 points before (`alert_snooze_n`)
      alert      00112233445566778899aabb anomaly, acknowledged, began 2026-01-01T00:30:00Z
                 acknowledged by ana at 2026-01-01T01:00:00Z: looking
      notice     2026-01-01T01:00:00Z told orders (route batch/orders)
      delivery   slack: sent "cpu looks anomalous"
                 2026-01-01T01:00:00Z failed: 503 busy
                 2026-01-01T01:00:00Z ok: ok
    "#);
}

#[test]
fn a_metric_is_a_name_a_part_a_glob_or_a_selector() {
    let story = Story::scored("");
    for metric in ["cpu", "cp", "c*", "cpu{host=\"a\"}", "{host=~\"a|b\"}"] {
        assert_eq!(story.try_why(metric, None).unwrap().metric, "cpu", "{metric}");
    }
    let none = story.try_why("mem", None).unwrap_err().to_string();
    assert!(none.contains("has no series `mem`. It has 1:\n  cpu"), "{none}");
    let run = story.run(Job::Ingest, NOW + 1, &[]);
    let column = Column { timestamps: vec![AT], values: vec![1.0] };
    let other = Labels::new([(Labels::NAME.to_owned(), "cpu2".to_owned())]).unwrap();
    let samples = vec![(other, "cpu2".to_owned(), Kind::Gauge, column)];
    let story = story.commit(Commit { samples, ..Commit::of(run) });
    let several = story.try_why("cp", None).unwrap_err();
    assert!(matches!(&several, DeskError::Conflict(text) if text.contains("means 2 series")), "{several}");
    assert_eq!(story.try_why("cpu", None).unwrap().at, T0 + 49 * MINUTE, "the newest scored point");
}

#[test]
fn the_trace_is_the_same_after_a_restore() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| Database::open(&folder.path().join(name), &Limits::default()).unwrap();
    let on_disk = Story { store: open("data"), batch: Story::new("").batch };
    let story = on_disk.ingested().fitted().score(0.95).fires().delivered("sent", &[Ok("ok")]);
    let before = serde_json::to_value(story.why()).unwrap();
    let file = folder.path().join("backup");
    story.store.backup(&Beside::default(), &file).unwrap();
    Database::restore(&file, &folder.path().join("restored")).unwrap();
    let restored = Story { store: open("restored"), batch: story.batch.clone() };
    assert_eq!(serde_json::to_value(restored.why()).unwrap(), before);
    drop(story);
    let restarted = Story { store: open("data"), batch: restored.batch.clone() };
    assert_eq!(serde_json::to_value(restarted.why()).unwrap(), before);
}
