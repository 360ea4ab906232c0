//! SIGKILL at any moment costs nothing.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anomd_tests::{Anomd, HOUR, Millis, Received, Receiver, Source, instant, load};
use rand::{Rng as _, SeedableRng as _};

/// When the made-up story begins.
const BEGIN: Millis = 1_767_571_200_000;
/// Minutes in which the load is far too high, an alert each.
const SPIKES: [(i64, i64); 3] = [(13 * 60, 13 * 60 + 8), (14 * 60 + 30, 14 * 60 + 35), (16 * 60, 16 * 60 + 9)];
/// How often a run is killed in all.
const KILLS: usize = 50;

fn node(source: &Source, receiver: &Receiver) -> Anomd {
    let anomd = Anomd::new();
    anomd.batch(
        "chain",
        &format!(
            "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 7d\n\
             ingest_params: {{url: '{}', queries: [load, calm]}}\n\
             model_configs: [{{model_name: robust}}, {{model_name: pca}}]\nmodel_combination_method: min\n\
             train_cron_schedule: '0 * * * *'\n\
             alert_methods: webhook\nalert_params: {{webhook: {{url: '{}'}}}}\n",
            source.url(),
            receiver.url("/")
        ),
    );
    anomd
}

/// The chain of six hours, in steps of ten minutes.
fn arguments() -> [String; 8] {
    let (from, to) = (instant(BEGIN + 12 * HOUR), instant(BEGIN + 18 * HOUR));
    ["run".into(), "chain".into(), "--from".into(), from, "--to".into(), to, "--every".into(), "10m".into()]
}

/// All that is kept: samples, scores and alerts, and the runs.
fn exported(anomd: &Anomd) -> [String; 2] {
    [&["export"][..], &["export", "--what", "runs"]].map(|arguments| anomd.run(arguments).done().stdout)
}

/// What was received of each message, by its key.
fn by_key(received: &[Received]) -> BTreeMap<String, Vec<&[u8]>> {
    let mut messages: BTreeMap<String, Vec<&[u8]>> = BTreeMap::new();
    for request in received {
        messages.entry(request.header("idempotency-key").to_owned()).or_default().push(&request.body);
    }
    messages
}

#[test]
fn a_chain_killed_fifty_times_keeps_and_tells_what_an_uninterrupted_one_does() {
    let source =
        Source::start(|time| vec![("load", "a", load(time, BEGIN, &SPIKES)), ("calm", "b", load(time, BEGIN, &[]))]);
    let receiver = Receiver::start();
    let arguments = arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();

    let whole = node(&source, &receiver);
    // Once without looking, so that the time below has no compiling in it.
    whole.run(&["plugin", "list"]).done();
    let began = Instant::now();
    whole.run(&arguments).done();
    let takes = began.elapsed();
    let expected = exported(&whole);
    for kind in [",metric,", ",score,", ",alert,"] {
        assert!(expected[0].contains(kind), "no row of {kind}");
    }
    let told = receiver.received();
    let told = by_key(&told);
    assert!(told.len() >= 2 * SPIKES.len(), "each alert begins and ends: {:?}", told.keys());
    assert!(told.values().all(|messages| messages.len() == 1), "nothing is told twice without a reason");

    let seed = RandomState::new().build_hasher().finish();
    println!("the moments of the kills come from the seed {seed}");
    let mut moments = rand::rngs::StdRng::seed_from_u64(seed);
    let (mut kills, mut chains, mut repeats) = (0, 0, 0);
    while kills < KILLS {
        let anomd = node(&source, &receiver);
        let before = receiver.received().len();
        let mut killed = 0;
        loop {
            let moment = match moments.random_range(0..4) {
                _ if kills + killed >= KILLS => Moment::Never,
                // Sent and not known to be: the worst moment for a message.
                0 => Moment::AtMessage(moments.random_range(1..=told.len())),
                _ => Moment::After(moments.random_range(Duration::ZERO..takes)),
            };
            if run_or_kill(&anomd, &arguments, moment, &receiver) {
                break;
            }
            killed += 1;
        }
        kills += killed;
        chains += 1;
        for (found, expected) in exported(&anomd).iter().zip(&expected) {
            // The whole would be a megabyte: the first line that differs says it.
            let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
            assert_eq!(differs, None, "after {killed} kills, seed {seed}");
            assert_eq!(found.len(), expected.len(), "after {killed} kills, seed {seed}");
        }
        let received = receiver.received().split_off(before);
        let messages = by_key(&received);
        let keys = |messages: &BTreeMap<String, Vec<&[u8]>>| messages.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&messages), keys(&told), "each alert at least once, seed {seed}");
        for (key, bodies) in &messages {
            assert!(bodies.iter().all(|body| body == &told[key][0]), "a repeat says the same: {key}, seed {seed}");
        }
        repeats += received.len() - messages.len();
    }
    println!("{kills} kills, {chains} chains, {repeats} messages repeated");
    assert!(repeats > 0, "no kill hit a delivery, seed {seed}");
}

/// When a run is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// It goes on to its end.
    Never,
    /// After so long.
    After(Duration),
    /// While so many-th message waits for its answer.
    AtMessage(usize),
}

/// Runs a command up to a moment; whether it ended before, and well.
fn run_or_kill(anomd: &Anomd, arguments: &[&str], moment: Moment, receiver: &Receiver) -> bool {
    let messages = receiver.received().len();
    if let Moment::AtMessage(number) = moment {
        let mut answers = vec![200; number - 1];
        answers.push(0);
        receiver.answer(&answers);
    }
    let mut command = anomd.command(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    let ended = loop {
        if let Some(status) = child.try_wait().unwrap() {
            let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
            assert!(status.success(), "{status}: {said}");
            break true;
        }
        let now = match moment {
            Moment::Never => false,
            Moment::After(span) => began.elapsed() >= span,
            Moment::AtMessage(number) => receiver.received().len() >= messages + number,
        };
        if now {
            // SIGKILL on Unix: nothing is flushed, nothing is said.
            child.kill().unwrap();
            child.wait().unwrap();
            break false;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    receiver.answer(&[]);
    ended
}
