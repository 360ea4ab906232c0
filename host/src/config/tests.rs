//! What an operator may write, and what is said of what he may not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::*;
use crate::series::{Aggregate, Labels, MetricName};

/// A node, a folder for files, and what is in it.
struct Folder {
    dir: tempfile::TempDir,
    node: Node,
}

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let node = load_node(None, &Environment::default()).unwrap();
        let folder = Self { dir: tempfile::tempdir().unwrap(), node };
        files.iter().for_each(|(name, text)| folder.write(name, text));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    fn load(&self, environment: &Environment) -> Loaded {
        load_batches(self.dir.path(), &self.node, environment)
    }

    /// The problems, with paths from the folder on.
    fn problems(&self, problems: &Problems) -> String {
        problems.to_string().replace(&format!("{}/", self.dir.path().display()), "")
    }
}

const SMALL: &str = "metric_batch: small\ningest_fn: prometheus\n";

fn batch_with(text: &str, environment: &Environment) -> Batch {
    load_batch_text(Path::new("b.yaml"), &format!("{SMALL}{text}"), environment).unwrap_or_else(|e| panic!("{e}"))
}

fn batch(text: &str) -> Batch {
    batch_with(text, &Environment::default())
}

fn warnings_of(text: &str) -> String {
    batch(text).warnings.to_string()
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Each file or folder in `tests/batches/invalid` is refused, with the text beside it.
/// `BLESS=1` writes the texts.
#[test]
fn broken_batches_are_refused_with_file_line_key_and_remedy() {
    let root = repository("tests/batches/invalid");
    let bless = std::env::var_os("BLESS").is_some();
    let mut cases = 0;
    for entry in std::fs::read_dir(&root).unwrap() {
        let path = entry.unwrap().path();
        let node = load_node(None, &Environment::default()).unwrap();
        let problems = match path.extension().and_then(|end| end.to_str()) {
            Some("txt") => {
                let of = path.with_extension("yaml");
                assert!(of.exists() || path.with_extension("").is_dir(), "{} is of no case", path.display());
                continue;
            }
            Some("yaml") => {
                let problems = load_batch(&path, &node, &Environment::default()).err();
                problems.unwrap_or_else(|| panic!("{} is sound", path.display()))
            }
            _ => {
                let loaded = load_batches(&path, &node, &Environment::default());
                assert!(!loaded.faulty.is_empty() && loaded.problems.has_errors(), "{} is sound", path.display());
                loaded.problems
            }
        };
        let said = format!("{problems}\n").replace(&format!("{}/", root.display()), "");
        let text = path.with_extension("txt");
        if bless {
            std::fs::write(&text, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&text).unwrap_or_default();
        assert_eq!(said, expected, "{}", text.display());
        cases += 1;
    }
    assert!(cases >= 20, "{cases} cases");
}

#[test]
fn the_batches_that_we_ship_load_without_a_word() {
    let node = load_node(None, &Environment::default()).unwrap();
    let loaded = load_batches(&repository("batches"), &node, &Environment::default());
    assert_eq!(loaded.problems.to_string(), "");
    let names: Vec<_> = loaded.batches.values().map(|batch| batch.key.batch.as_str()).collect();
    for name in ["application", "kubernetes", "node-exporter", "prometheus"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn a_batch_of_two_lines_has_every_default() {
    let batch = batch("");
    assert_eq!(batch.key.to_string(), "default/small");
    assert_eq!(
        (batch.step_ms, batch.timezone, batch.metric_name.clone()),
        (60_000, chrono_tz::UTC, MetricName::Lossless)
    );
    assert_eq!(batch.ingest.history_ms, 90 * 86_400_000);
    assert_eq!(batch.ingest.config, json!({}));
    assert_eq!(batch.detectors.iter().map(|d| (&*d.plugin, &*d.tag)).collect::<Vec<_>>(), [("robust", "robust")]);
    assert_eq!((batch.train.max_n, batch.train.min_n), (None, 14));
    assert_eq!((batch.alert.threshold, batch.alert.smooth_n, batch.alert.snooze_n), (0.8, 1, 3));
    assert!(batch.alert.notifiers.is_empty());
    assert!(batch.alert.routed && batch.chain);
    let idle: Vec<_> = Job::ALL.into_iter().filter(|job| !batch.runs(*job)).collect();
    assert_eq!(idle, [Job::Change, Job::LlmAlert, Job::Plot]);
    assert_eq!(batch.judged, JudgedGrid { step_ms: 60_000, aggregate: Aggregate::Last });
    assert_eq!((batch.summary_ms, batch.delete_after_ms), (86_400_000, 365 * 86_400_000));
    assert!(!batch.threshold.enabled && !batch.change.enabled && batch.llm.analyst.is_none());
}

#[test]
fn every_key_of_the_first_four_jobs_is_taken() {
    let batch = batch(
        r#"
step: 5m
timezone: Europe/Berlin
metric_name: "{__name__} on {instance}"
ingest_params: {url: "http://localhost:9090", queries: {up: up}}
ingest_history: 3d
ingest_delay: 1m
ingest_metric_rounding: 4
model_configs:
  - model_name: PCA
    model_tag: pca_default
    model_params: {contamination: 0.01}
  - {model_name: robust}
model_combination_method: max
preprocess_params: {diff_n: 1, smooth_n: 3, lags_n: 5}
train_max_n: 2500
train_min_n: 20
train_metric_timestamp_max_days_ago: 30
train_exclude_metrics: [up]
score_max_n: 25
score_metric_timestamp_max_days_ago: 7
score_metric_rounding: 3
alert_threshold: 0.7
alert_smooth_n: 3
alert_snooze_n: 10
alert_recent_n: 1
alert_always: true
alert_metric_timestamp_max_days_ago: 1.5
alert_methods: "slack, email"
alert_params: {slack: {channel: ops}}
metric_tags: {up: {team: web, tier: 1}}
train_cron_schedule: 0 * * * *
disable_score: true
alert_default_schedule_status: STOPPED
secrets: {token: "0123", slack: {token: xoxb}}
"#,
    );
    assert_eq!((batch.step_ms, batch.timezone), (300_000, chrono_tz::Europe::Berlin));
    assert_eq!(batch.metric_name, MetricName::Template("{__name__} on {instance}".into()));
    let ingest = &batch.ingest;
    assert_eq!((ingest.history_ms, ingest.delay_ms, ingest.rounding), (3 * 86_400_000, 60_000, Some(4)));
    assert_eq!(batch.detectors[0].plugin, "pca");
    let preprocess = json!({"diff_n": 1, "smooth_n": 3, "lags_n": 5});
    assert_eq!(batch.detectors[0].config, json!({"contamination": 0.01, "preprocess": preprocess}));
    assert_eq!(batch.detectors[1].config, json!({}));
    assert_eq!(batch.combination, Combination::Max);
    assert_eq!((batch.train.max_n, batch.train.min_n, batch.train.max_age_ms), (Some(2500), 20, 30 * 86_400_000));
    let up = Labels::new([("__name__".to_owned(), "up".to_owned())]).unwrap();
    assert!(batch.train.exclude.contains("up on host", &up) && !batch.score.exclude.contains("up", &up));
    assert_eq!((batch.score.max_n, batch.score.rounding), (Some(25), 3));
    assert_eq!((batch.alert.smooth_n, batch.alert.snooze_n, batch.alert.recent_n), (3, 10, Some(1)));
    assert!(batch.alert.always);
    assert_eq!(batch.alert.max_age_ms, 129_600_000);
    let notifiers: Vec<_> = batch.alert.notifiers.iter().map(|n| (&*n.plugin, n.config.clone(), &*n.pointer)).collect();
    let expected =
        [("email", json!({}), "/alert_params/email"), ("slack", json!({"channel": "ops"}), "/alert_params/slack")];
    assert_eq!(notifiers, expected);
    assert_eq!(
        batch.alert.metric_tags["up"],
        BTreeMap::from([("team".into(), "web".into()), ("tier".into(), "1".into())])
    );
    let jobs = [Job::Ingest, Job::Train, Job::Score, Job::Alert];
    let crons = jobs.map(|job| batch.schedules[&job].cron.as_str());
    assert_eq!(crons, ["*/3 * * * *", "0 * * * *", "*/4 * * * *", "*/5 * * * *"]);
    assert_eq!(jobs.map(|job| batch.runs(job)), [true, true, false, false]);
    assert_eq!(batch.secrets.get("slack", "token").map(Secret::expose), Some("xoxb"));
    assert_eq!(batch.secrets.get("prometheus", "token").map(Secret::expose), Some("0123"));
}

#[test]
fn crons_of_the_chain_are_those_of_ingest_and_train() {
    let crons = "ingest_cron_schedule: '* * * * *'\ntrain_cron_schedule: 0 * * * *\nscore_cron_schedule: 0 * * * *\n";
    assert_eq!(
        warnings_of(crons),
        "b.yaml:5:1: warning: score_cron_schedule (/score_cron_schedule): has no effect: in the chain score runs as \
         soon as the job before it is done; write chain: false to run each job by its own cron"
    );
    assert_eq!(warnings_of(&format!("chain: false\n{crons}")), "");
}

#[test]
fn places_are_those_of_the_file_and_fall_back_to_what_holds_them() {
    let batch = batch(
        "ingest_params:\n  queries:\n    - up\n    - name: cpu\n      query: x\n\
         model_configs:\n- model_name: knn\n  model_params: {k: 5}\n\
         preprocess_params:\n  lags_n: 5\n",
    );
    let line_column = |pointer: &str| {
        let place = batch.spans.locate(pointer);
        (place.line, place.column)
    };
    assert_eq!(line_column("/ingest_params/queries/0"), (5, 7));
    assert_eq!(line_column("/ingest_params/queries/1/query"), (7, 7));
    assert_eq!(line_column("/model_configs/0/model_params/k"), (10, 18));
    // What was not written: the nearest that was.
    assert_eq!(line_column("/ingest_params/url"), (3, 1));
    assert_eq!(line_column("/nothing"), (1, 1));
    // Preprocessing stands elsewhere than the detector whose configuration it is.
    let detector = &batch.detectors[0];
    assert_eq!(line_column(&format!("{}/preprocess/lags_n", detector.pointer)), (12, 3));
    let problem = batch.error_at("/ingest_params/queries/0", "does not parse", "mend it");
    assert_eq!(problem.to_string(), "b.yaml:5:7: 0 (/ingest_params/queries/0): does not parse; mend it");
}

#[test]
fn variables_are_filled_in_and_typed_unless_quoted() {
    let environment = Environment::from([("PORT", "9090"), ("ON", "true"), ("STEP", "5m"), ("DIGITS", "0123")]);
    let batch = batch_with(
        "step: ${STEP}\nalert_always: ${ON}\ntrain_min_n: ${MIN:-30}\n\
         ingest_params:\n  port: ${PORT}\n  text: \"${PORT}\"\n  url: http://localhost:${PORT}\n  cost: $$5\n\
         secrets: {password: '${DIGITS}', token: \"${DIGITS}\"}\n",
        &environment,
    );
    assert_eq!((batch.step_ms, batch.alert.always, batch.train.min_n), (300_000, true, 30));
    let expected = json!({"port": 9090, "text": "9090", "url": "http://localhost:9090", "cost": "$5"});
    assert_eq!(batch.ingest.config, expected);
    assert_eq!(batch.secrets.get("prometheus", "password").map(Secret::expose), Some("0123"));
}

#[test]
fn a_password_of_digits_stays_a_text_when_a_text_is_wanted() {
    let environment = Environment::from([("DIGITS", "12345")]);
    let batch = batch_with("secrets:\n  password: ${DIGITS}\n", &environment);
    assert_eq!(batch.secrets.get("prometheus", "password").map(Secret::expose), Some("12345"));
}

#[test]
fn the_environment_of_the_founding_document_fills_what_the_file_leaves_open() {
    let environment = Environment::from([
        ("PROMETHEUS_URL", "http://prometheus:9090"),
        ("PROMETHEUS_USERNAME", "admin"),
        ("PROMETHEUS_PASSWORD", "secret"),
        ("PROMETHEUS_TOKEN", "bearer"),
        ("PROMETHEUS_TIMEOUT", "30"),
        ("PROMETHEUS_STEP", "30s"),
        ("PROMETHEUS_METRICS", "node_cpu, node_memory,http_requests"),
    ]);
    let open = batch_with("", &environment);
    let expected = json!({
        "url": "http://prometheus:9090", "username": "admin", "timeout": "30s",
        "metrics": ["node_cpu", "node_memory", "http_requests"],
    });
    assert_eq!(open.ingest.config, expected);
    assert_eq!(open.step_ms, 30_000);
    assert_eq!(open.secrets.get("prometheus", "password").map(Secret::expose), Some("secret"));
    assert_eq!(open.secrets.get("prometheus", "token").map(Secret::expose), Some("bearer"));
    assert!(open.secrets.get("slack", "token").is_none());

    assert_eq!(open.ingest.config.get("auth"), None);
    let file = "step: 1m\ningest_params: {url: 'http://prometheus:9090/', username: me, timeout: 5s, metrics: [up]}\n\
                secrets: {password: mine}\n";
    let closed = batch_with(file, &environment);
    assert_eq!(closed.ingest.config["username"], "me");
    assert_eq!(closed.ingest.config["timeout"], "5s");
    assert_eq!(closed.ingest.config["metrics"], json!(["up"]));
    assert_eq!(closed.step_ms, 60_000);
    assert_eq!(closed.secrets.get("prometheus", "password").map(Secret::expose), Some("mine"));
}

#[test]
fn credentials_of_the_environment_go_to_its_own_server_only() {
    let environment = Environment::from([
        ("PROMETHEUS_URL", "http://prometheus:9090"),
        ("PROMETHEUS_USERNAME", "admin"),
        ("PROMETHEUS_PASSWORD", "secret"),
    ]);
    let other = batch_with("ingest_params: {url: https://demo.promlabs.com}\n", &environment);
    assert_eq!(other.ingest.config, json!({"url": "https://demo.promlabs.com"}));
    assert!(other.secrets.get("prometheus", "password").is_none());
}

#[test]
fn a_token_of_the_environment_means_bearer_unless_a_user_name_says_basic() {
    let bearer = batch_with("", &Environment::from([("PROMETHEUS_TOKEN", "t")]));
    assert_eq!(bearer.ingest.config, json!({"auth": "bearer"}));
    let basic = batch_with("ingest_params: {username: me}\n", &Environment::from([("PROMETHEUS_TOKEN", "t")]));
    assert_eq!(basic.ingest.config, json!({"username": "me"}));
}

#[test]
fn a_wrong_variable_of_the_environment_is_named() {
    let environment = Environment::from([("PROMETHEUS_TIMEOUT", "soon")]);
    let problems = load_batch_text(Path::new("b.yaml"), SMALL, &environment).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "b.yaml:1:1: ingest_params (/ingest_params): the environment variable PROMETHEUS_TIMEOUT is wrong: \
         \"soon\" is no span of time; set it to 30s, say"
    );
}

#[test]
fn anomstacks_other_keys_warn_unless_they_ask_for_what_is() {
    assert_eq!(
        warnings_of("db: duckdb\ndisable_dashboard: true\ndashboard_stale_metric_max_days_ago: 7\n"),
        "b.yaml:3:1: warning: db (/db): has no effect: anomd keeps metrics, scores and models in its own store\n\
         b.yaml:5:1: warning: dashboard_stale_metric_max_days_ago (/dashboard_stale_metric_max_days_ago): \
         has no effect: there is no dashboard yet"
    );
}

#[test]
fn what_has_no_effect_is_told() {
    assert!(warnings_of("preprocess_params: {lags_n: 5}\n").contains("neither is in model_configs"));
    assert!(warnings_of("alert_params: {slack: {channel: ops}}\n").contains("alert_methods does not name slack"));
    assert!(warnings_of("ingest_cron_schedule: '*/45 * * * *'\n").contains("its last gap is 15 minutes, not 45"));
    assert!(warnings_of("ingest_params: {url: 'http://me:pw@host:9090'}\n").contains("a user name or password in it"));
}

#[test]
fn defaults_lie_under_the_batches_of_their_folder_and_below() {
    let folder = Folder::new(&[
        (
            "defaults.yaml",
            "alert_threshold: 0.9\ningest_params: {url: 'http://a', headers: {X: '1'}}\nalert_methods: [slack]\n",
        ),
        ("one.yaml", "metric_batch: one\ningest_fn: prometheus\ningest_params: {headers: {Y: '2'}}\n"),
        ("team/defaults.yaml", "ingest_params: {url: 'http://b'}\n"),
        ("team/two.yml", "metric_batch: two\ningest_fn: prometheus\nalert_threshold: 0.5\nalert_methods: []\n"),
        ("team/.hidden/three.yaml", "metric_batch: one\ningest_fn: prometheus\n"),
        ("notes.txt", "not a batch"),
    ]);
    let loaded = folder.load(&Environment::default());
    assert_eq!(folder.problems(&loaded.problems), "");
    let one = &loaded.batches[&folder.path("one.yaml")];
    assert_eq!(one.ingest.config, json!({"url": "http://a", "headers": {"X": "1", "Y": "2"}}));
    assert_eq!((one.alert.threshold, one.alert.notifiers.len()), (0.9, 1));
    assert_eq!(one.spans.locate("/ingest_params/url").file, folder.path("defaults.yaml"));
    assert_eq!(one.spans.locate("/ingest_params/headers/Y").file, folder.path("one.yaml"));
    let two = &loaded.batches[&folder.path("team/two.yml")];
    assert_eq!(two.ingest.config, json!({"url": "http://b", "headers": {"X": "1"}}));
    assert_eq!((two.alert.threshold, two.alert.notifiers.len()), (0.5, 0));
    assert_eq!(loaded.batches.len(), 2);
}

/// Kubernetes mounts a ConfigMap as links into a hidden folder, which it replaces as a whole.
#[cfg(unix)]
#[test]
fn a_mounted_config_map_is_read_once() {
    let folder = Folder::new(&[("..2026_01_01/small.yaml", SMALL)]);
    std::os::unix::fs::symlink("..2026_01_01", folder.path("..data")).unwrap();
    std::os::unix::fs::symlink("..data/small.yaml", folder.path("small.yaml")).unwrap();
    let loaded = folder.load(&Environment::default());
    assert_eq!(loaded.batches.keys().collect::<Vec<_>>(), [&folder.path("small.yaml")]);
    assert_eq!(fingerprint(folder.dir.path()).len(), 1);
}

#[test]
fn a_fault_in_the_defaults_is_told_once_and_where_it_is() {
    let folder = Folder::new(&[
        ("defaults.yaml", "\nalert_threshold: 8\n"),
        ("one.yaml", "metric_batch: one\ningest_fn: prometheus\n"),
        ("two.yaml", "metric_batch: two\ningest_fn: prometheus\n"),
        ("three.yaml", "metric_batch: three\ningest_fn: prometheus\nalert_threshold: 0.8\n"),
    ]);
    let loaded = folder.load(&Environment::default());
    assert_eq!(
        folder.problems(&loaded.problems),
        "defaults.yaml:2:1: alert_threshold (/alert_threshold): 8 is out of range; write a number from 0 to 1"
    );
    assert_eq!(loaded.batches.keys().collect::<Vec<_>>(), [&folder.path("three.yaml")]);
}

#[test]
fn a_faulty_file_costs_only_itself_and_what_was_there_goes_on() {
    let folder = Folder::new(&[
        ("good.yaml", SMALL),
        ("bad.yaml", "metric_batch: bad\n"),
        ("off.yaml", "disable_batch: true\nx: ${UNSET}\n"),
    ]);
    let loaded = folder.load(&Environment::default());
    assert_eq!(loaded.batches.keys().collect::<Vec<_>>(), [&folder.path("good.yaml")]);
    assert!(loaded.keeps(&folder.path("bad.yaml")));
    assert!(
        !loaded.keeps(&folder.path("good.yaml"))
            && !loaded.keeps(&folder.path("off.yaml"))
            && !loaded.keeps(&folder.path("gone.yaml"))
    );

    let nowhere = load_batches(&folder.path("nowhere"), &folder.node, &Environment::default());
    assert!(nowhere.keeps(&folder.path("nowhere/any.yaml")));
    assert!(nowhere.problems.to_string().contains("cannot be read"));
}

#[test]
fn a_fingerprint_changes_with_what_a_file_says_and_with_nothing_else() {
    let folder = Folder::new(&[("a.yaml", SMALL), ("sub/defaults.yaml", ""), ("notes.txt", "")]);
    let before = fingerprint(folder.dir.path());
    assert_eq!(before.keys().collect::<Vec<_>>(), [&folder.path("a.yaml"), &folder.path("sub/defaults.yaml")]);
    folder.write("a.yaml", SMALL);
    folder.write("notes.txt", "more");
    assert_eq!(fingerprint(folder.dir.path()), before);
    folder.write("a.yaml", "metric_batch: other\n");
    let after = fingerprint(folder.dir.path());
    assert_ne!(after[&folder.path("a.yaml")], before[&folder.path("a.yaml")]);
    assert_eq!(after[&folder.path("sub/defaults.yaml")], before[&folder.path("sub/defaults.yaml")]);
}

#[test]
fn anchors_and_merge_keys_are_understood_and_faults_in_them_are_found() {
    let batch = batch(
        "model_configs:\n  - &first\n    model_name: knn\n    model_params: {n_neighbors: 5}\n  \
         - <<: *first\n    model_tag: second\n",
    );
    let second = &batch.detectors[1];
    assert_eq!(
        (second.plugin.as_str(), second.tag.as_str(), &second.config["n_neighbors"]),
        ("knn", "second", &json!(5))
    );
    // What an anchor brought stands where it was brought to.
    assert_eq!(batch.spans.locate("/model_configs/1/model_params/n_neighbors").line, 7);
}

#[test]
fn a_batch_that_is_disabled_is_read_when_it_is_named() {
    let folder = Folder::new(&[("off.yaml", "metric_batch: off\ningest_fn: prometheus\ndisable_batch: true\n")]);
    assert!(folder.load(&Environment::default()).batches.is_empty());
    let batch = load_batch(&folder.path("off.yaml"), &folder.node, &Environment::default()).unwrap();
    assert_eq!(batch.key.batch, "off");
}

#[test]
fn a_file_that_is_too_large_or_no_file_is_refused() {
    let folder = Folder::new(&[("big.yaml", &format!("{SMALL}# {}", "x".repeat(1 << 20)))]);
    let fault = load_batch(&folder.path("big.yaml"), &folder.node, &Environment::default()).unwrap_err();
    assert!(fault.to_string().contains("raise limits.config_bytes in anomd.yaml"), "{fault}");
    let fault = load_batch(folder.dir.path(), &folder.node, &Environment::default()).unwrap_err();
    assert!(fault.to_string().contains("is not a file"), "{fault}");
}

/// What YAML gives a meaning to.
const ODD: &str = "[-:{}\\[\\]&*!|>'\"%@`#,?~<$ \n\ta0é]{0,6}";

proptest::proptest! {
    /// Whatever is in a file, it is read or refused, and each problem is at a place of it.
    #[test]
    fn no_text_is_too_odd(cuts in proptest::collection::vec((0_usize..2_000, ODD), 1..6)) {
        let mut text = include_str!("../../../batches/prometheus.yaml").to_owned();
        for (at, inserted) in cuts {
            let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
            text.insert_str(at, &inserted);
        }
        let read = load_batch_text(Path::new("b.yaml"), &text, &Environment::default());
        let problems = read.map_or_else(|problems| problems, |batch| batch.warnings);
        for problem in problems.iter() {
            let line = text.lines().nth(problem.place.line - 1).unwrap_or_default();
            proptest::prop_assert!(problem.place.column <= line.chars().count() + 1, "{problem}\n{line}");
        }
    }
}
