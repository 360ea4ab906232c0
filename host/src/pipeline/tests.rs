//! The tenant's jobs, with notifiers that do what a test says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::*;
use crate::alert::{Notice, Signal};
use crate::config::{Environment, Job, Routing, load_batch_text};
use crate::fault::PluginError;
use crate::message::{Alert, AlertKind, AlertPhase, AlertState};
use crate::plugin::{Page, Window};
use crate::schedule::ManualClock;
use crate::series::{Kind, Labels};
use crate::store::{Commit, DeliveryFilter, DocumentKind, Peak, RunRecord};

const T0: Millis = 1_767_225_600_000;
const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;

/// A source that is never asked.
struct Silent;

#[async_trait]
impl Ingest for Silent {
    async fn fetch(&self, _: &Call, _: &str, _: &Window, _: Option<Vec<u8>>) -> Result<Page, Fault> {
        Err(host_fault(&slot("none", Job::Ingest, 0), &StoreError::Invalid("asked".to_owned())))
    }
}

/// A notifier that keeps what it is told to send, and answers as it is told.
#[derive(Default)]
struct Book {
    sent: Mutex<Vec<Vec<Alert>>>,
    broken: Mutex<Option<PluginError>>,
}

#[async_trait]
impl Notify for Book {
    async fn deliver(&self, _: &Call, _: &str, alerts: &[Alert]) -> Result<Vec<Result<String, PluginError>>, Fault> {
        self.sent.lock().unwrap().push(alerts.to_vec());
        let broken = self.broken.lock().unwrap().clone();
        Ok(alerts.iter().map(|_| broken.clone().map_or(Ok("200".to_owned()), Err)).collect())
    }
}

impl Book {
    fn titles(&self) -> Vec<String> {
        self.sent.lock().unwrap().iter().flatten().map(|alert| alert.title.clone()).collect()
    }
}

fn slot(batch: &str, job: Job, scheduled: Millis) -> Slot {
    Slot { key: BatchKey { tenant: "default".to_owned(), batch: batch.to_owned() }, job, scheduled }
}

/// A tenant with batches of these names, each with these `alert_methods` and more of a file.
struct World {
    store: Database,
    limits: Limits,
    clock: ManualClock,
    books: BTreeMap<String, Arc<Book>>,
    bound: BoundTenant,
}

impl World {
    fn new(batches: &[(&str, &str)]) -> Self {
        let mut books: BTreeMap<String, Arc<Book>> = BTreeMap::new();
        let bind = |(name, more): &(&str, &str)| {
            let text = format!("metric_batch: {name}\ningest_fn: prometheus\n{more}");
            let batch = load_batch_text("b.yaml".as_ref(), &text, &Environment::default()).unwrap();
            let notifiers = batch.alert.notifiers.iter().map(|entry| BoundNotifier {
                entry: entry.clone(),
                notify: books.entry(entry.plugin.clone()).or_default().clone(),
                config: entry.config.to_string(),
            });
            let notifiers = notifiers.collect();
            Arc::new(BoundBatch {
                batch,
                ingester: Arc::new(Silent),
                detectors: Vec::new(),
                capacity: Vec::new(),
                notifiers,
                analyst: None,
            })
        };
        let batches = batches.iter().map(bind).collect();
        let bound = BoundTenant {
            tenant: "default".to_owned(),
            routing: Routing::default(),
            receivers: BTreeMap::new(),
            batches,
            links: None,
        };
        let limits = Limits { delivery_attempts: 3, ..Limits::default() };
        let store = Database::in_memory(&limits).unwrap();
        Self { store, limits, clock: ManualClock::at(T0), books, bound }
    }

    /// An alert of a batch as its own job leaves it, at `minute`s after the beginning.
    fn alert(&self, batch: &str, name: &str, minute: Millis, phase: AlertPhase) {
        let at = T0 + minute * MINUTE;
        let labels = Labels::new([("__name__".to_owned(), name.to_owned())]).unwrap();
        let record = AlertRecord {
            key: slot(batch, Job::Alert, 0).key,
            id: format!("{batch}-{name}"),
            kind: AlertKind::Anomaly,
            series: SeriesId(0),
            labels,
            name: name.to_owned(),
            phase,
            started: T0,
            fired: Some(T0),
            ended: (phase == AlertPhase::Resolved).then_some(at),
            worst: Peak { time: at, value: 9.0, score: 0.9, lower: 1.0, upper: 2.0 },
            terms: Vec::new(),
            threshold: 0.8,
            models: Vec::new(),
            policy: String::new(),
            events: Vec::new(),
            explanation: None,
        };
        let signal = Signal { key: record.key.clone(), id: record.id.clone(), at };
        let run = done(slot(batch, Job::Alert, at), RunState::Done);
        let commit = Commit { alerts: vec![record], documents: vec![signal.document()], ..Commit::of(run) };
        self.store.commit(commit).unwrap();
    }

    fn runner(&self) -> Runner<'_> {
        Runner { store: &self.store, limits: &self.limits, clock: &self.clock, watch: None }
    }

    async fn run(&self, errand: &Errand, minute: Millis) -> RunRecord {
        let at = T0 + minute * MINUTE;
        self.runner().execute_tenant(&self.bound, errand, at, "test").await.unwrap()
    }

    /// Decides, then sends what is due, a notifier after the other.
    async fn tell(&self, minute: Millis) -> Vec<RunRecord> {
        let mut runs = vec![self.run(&Errand::Notify, minute).await];
        let now = T0 + minute * MINUTE;
        let (due, _) = self.bound.due(&self.store, now).unwrap();
        for (n, to) in due.into_iter().enumerate() {
            let (errand, at) = (Errand::Deliver(to), now + n as Millis);
            let run = self.runner().execute_tenant(&self.bound, &errand, at, "test").await;
            runs.push(run.unwrap());
        }
        runs
    }

    fn deliveries(&self, batch: &str) -> Vec<Delivery> {
        let key = Some(slot(batch, Job::Alert, 0).key);
        self.store.deliveries(&DeliveryFilter { key, state: None }).unwrap()
    }
}

fn done(slot: Slot, state: RunState) -> RunRecord {
    RunRecord {
        started: slot.scheduled,
        slot,
        state,
        attempts: 1,
        reason: "test".to_owned(),
        duration_ms: 1,
        counts: BTreeMap::new(),
        log: Vec::new(),
        error: None,
    }
}

/// Anomstack tried Slack first, and where that raised nobody got the mail. The user wants
/// every way that works to be used, and to see which did not.
#[tokio::test]
async fn b13_a_broken_notifier_holds_up_no_other() {
    let world = World::new(&[("app", "alert_methods: 'email,slack'\n")]);
    *world.books["slack"].broken.lock().unwrap() = Some(PluginError::Unauthorized("invalid_auth".to_owned()));
    world.alert("app", "cpu", 0, AlertPhase::Firing);
    let runs = world.tell(0).await;
    assert_eq!(world.books["email"].titles().len(), 1);
    let states: BTreeMap<String, String> = world.deliveries("app").into_iter().map(|d| (d.method, d.state)).collect();
    let expected = [("email", "sent"), ("slack", "dead")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(states, BTreeMap::from(expected));
    let partial: Vec<&RunRecord> = runs.iter().filter(|run| run.state == RunState::Partial).collect();
    assert_eq!(partial.len(), 1);
    assert_eq!(partial[0].counts.get("dead"), Some(&1));
    assert!(partial[0].log.iter().any(|line| line.contains("invalid_auth")), "{:?}", partial[0].log);
}

#[tokio::test]
async fn what_fails_is_tried_again_with_the_same_id_and_given_up_in_the_end() {
    let world = World::new(&[("app", "alert_methods: slack\n")]);
    *world.books["slack"].broken.lock().unwrap() = Some(PluginError::Unavailable("503".to_owned()));
    world.alert("app", "cpu", 0, AlertPhase::Firing);
    for minute in [0, 10, 20, 30] {
        world.tell(minute).await;
    }
    let [delivery] = &world.deliveries("app")[..] else { panic!("{:?}", world.deliveries("app")) };
    assert_eq!((delivery.state.as_str(), delivery.attempts.len()), ("dead", 3));
    let sent = world.books["slack"].sent.lock().unwrap();
    let ids: BTreeSet<&str> = sent.iter().flatten().map(|alert| alert.id.as_str()).collect();
    assert_eq!((sent.len(), ids.len()), (3, 1));
}

/// A storm: one message, the worst ten, and how many more there are.
#[tokio::test]
async fn five_hundred_series_that_break_at_once_are_one_message() {
    let world = World::new(&[("app", "alert_methods: slack\n")]);
    for n in 0..500 {
        world.alert("app", &format!("cpu{n:03}"), n, AlertPhase::Firing);
    }
    let runs = world.tell(500).await;
    assert_eq!(runs[0].counts.get("messages"), Some(&1));
    let sent = world.books["slack"].sent.lock().unwrap();
    let [told] = &sent[..] else { panic!("{} calls", sent.len()) };
    assert_eq!((told.len(), told[0].findings.len(), told[0].more), (1, 10, 490));
    assert!(world.store.documents::<Signal>("default", DocumentKind::Signal, "").unwrap().is_empty());
    let notices = world.store.documents::<Notice>("default", DocumentKind::Notice, "").unwrap();
    let [(_, notice)] = &notices[..] else { panic!("{notices:?}") };
    assert_eq!((notice.told.len(), &notice.deliveries), (500, &vec![told[0].id.clone()]));
}

#[tokio::test]
async fn alertmanager_gets_each_alert_every_minute_and_its_end_once() {
    let world = World::new(&[("app", "alert_methods: 'alertmanager,slack'\n")]);
    world.alert("app", "cpu", 0, AlertPhase::Firing);
    world.alert("app", "mem", 1, AlertPhase::Firing);
    for minute in 1..=3 {
        world.tell(minute).await;
    }
    world.alert("app", "cpu", 4, AlertPhase::Resolved);
    for minute in 4..=6 {
        world.tell(minute).await;
    }
    let calls = world.books["alertmanager"].sent.lock().unwrap();
    let said: Vec<Vec<(String, AlertState)>> = calls
        .iter()
        .map(|alerts| {
            assert!(alerts.iter().all(|alert| alert.findings.len() == 1 && alert.labels.get("batch") == Some("app")));
            alerts.iter().map(|alert| (alert.incident.clone(), alert.state)).collect()
        })
        .collect();
    let (cpu, mem) = (|state| ("app-cpu".to_owned(), state), ("app-mem".to_owned(), AlertState::Firing));
    let both = vec![cpu(AlertState::Firing), mem.clone()];
    let over = vec![cpu(AlertState::Resolved), mem.clone()];
    assert_eq!(said, [both.clone(), both.clone(), both, over, vec![mem.clone()], vec![mem]]);
    assert_eq!(world.books["slack"].sent.lock().unwrap().len(), 2, "Slack is told by the group's interval");
}

/// Anomstack's summary looked into the table of its first batch alone. The user wants one
/// mail about all of them. (Of what the bug speaks beside this, feedback that nothing reads has
/// no counterpart: there is no feedback yet.)
#[tokio::test]
async fn b20_summary_covers_every_batch() {
    let daily = "alert_methods: email\nsummary_cron_schedule: '0 9 * * *'\n";
    let world = World::new(&[("app", daily), ("db", daily), ("quiet", daily), ("other", "alert_methods: slack\n")]);
    let nine = 9 * 60;
    for (n, batch) in ["app", "db"].into_iter().enumerate() {
        let labels = Labels::new([("__name__".to_owned(), format!("{batch}_load"))]).unwrap();
        let count = 5 + n as Millis;
        let timestamps: Vec<Millis> = (0..count).map(|i| T0 + 8 * HOUR + i * MINUTE).collect();
        let column = Column { values: vec![1.0; timestamps.len()], timestamps };
        let samples = vec![(labels, format!("{batch}_load"), Kind::Gauge, column)];
        let run = done(slot(batch, Job::Ingest, T0), RunState::Done);
        world.store.commit(Commit { samples, ..Commit::of(run) }).unwrap();
    }
    world.alert("db", "db_load", 60, AlertPhase::Firing);
    let mut failed = done(slot("app", Job::Train, T0 + HOUR), RunState::Failed);
    let fault = host_fault(&failed.slot, &StoreError::Invalid("no room".to_owned()));
    failed.error = Some(fault);
    world.store.commit(Commit::of(failed)).unwrap();

    let run = world.run(&Errand::Summary { all: false }, nine).await;
    assert_eq!((run.state, run.counts.get("batches")), (RunState::Done, Some(&4)), "{:?}", run.counts);
    world.tell(nine).await;
    let mails = world.books["email"].sent.lock().unwrap().clone();
    let summaries: Vec<&Alert> = mails.iter().flatten().filter(|alert| alert.kind == "summary").collect();
    let [mail] = summaries[..] else { panic!("{summaries:?}") };
    assert_eq!(mail.title, "Summary of 3 batches: 1 alert, 1 failing job");
    for line in [
        "| db | db_load | 6 | 0 | 1 |",
        "| app | app_load | 5 | 0 | 0 |",
        "No samples at all: quiet.",
        "- train of app: 1 of 1 runs, the last at 2026-01-01 01:00 UTC: ",
    ] {
        assert!(mail.body.contains(line), "no {line} in\n{}", mail.body);
    }
    // At another time nobody has one.
    let run = world.run(&Errand::Summary { all: false }, nine + 1).await;
    assert!(matches!(run.state, RunState::Skipped(_)));
}
