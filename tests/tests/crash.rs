//! SIGKILL at any moment costs nothing.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anomd_tests::{Anomd, HOUR, Millis, Received, Receiver, Source, instant, load};
use rand::{Rng as _, SeedableRng as _};

/// When the made-up story begins.
const BEGIN: Millis = 1_767_571_200_000;
/// Minutes in which the load is far too high, an alert each.
const SPIKES: [(i64, i64); 3] = [(13 * 60, 13 * 60 + 8), (15 * 60, 15 * 60 + 5), (17 * 60, 17 * 60 + 9)];
/// How often a run is killed in all.
const KILLS: usize = 50;

fn node(source: &Source, receiver: &Receiver) -> Anomd {
    let anomd = Anomd::new();
    anomd.batch(
        "chain",
        &format!(
            "ingest_fn: prometheus\nstep: 60s\ningest_delay: 0s\ningest_history: 12h\n\
             ingest_params: {{url: '{}', queries: [load, calm]}}\n\
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
    let told = receiver.received();
    let told = by_key(&told);
    assert!(told.len() >= 2 * SPIKES.len(), "each alert begins and ends: {:?}", told.keys());
    assert!(told.values().all(|messages| messages.len() == 1), "nothing is told twice without a reason");

    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    println!("the moments of the kills come from the seed {seed}");
    let mut moments = rand::rngs::StdRng::seed_from_u64(seed);
    let (mut kills, mut finished, mut resumed) = (0, 0, 0);
    while kills < KILLS || resumed == 0 {
        let anomd = node(&source, &receiver);
        let before = receiver.received().len();
        let mut killed = 0;
        loop {
            let left = if kills < KILLS { moments.random_range(Duration::ZERO..takes) } else { Duration::MAX };
            if run_or_kill(&anomd, &arguments, left) {
                break;
            }
            kills += 1;
            killed += 1;
        }
        finished += 1;
        resumed += usize::from(killed > 0);
        assert_eq!(exported(&anomd), expected, "after {killed} kills, seed {seed}");
        let received = receiver.received().split_off(before);
        let repeated = by_key(&received);
        let keys = |messages: &BTreeMap<String, Vec<&[u8]>>| messages.keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&repeated), keys(&told), "each alert at least once, seed {seed}");
        for (key, messages) in &repeated {
            assert!(messages.iter().all(|body| body == &told[key][0]), "a repeat says the same: {key}, seed {seed}");
        }
    }
    println!("{kills} kills, {finished} chains, {resumed} of them taken up again");
}

/// Runs a command for so long; whether it ended by itself, and well.
fn run_or_kill(anomd: &Anomd, arguments: &[&str], longest: Duration) -> bool {
    let mut command = anomd.command(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
            assert!(status.success(), "{status}: {said}");
            return true;
        }
        if began.elapsed() >= longest {
            // SIGKILL on Unix: nothing is flushed, nothing is said.
            child.kill().unwrap();
            child.wait().unwrap();
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
