//! What an operator may write, and what is said of what he may not.

mod alerting;
mod anomstack;
mod environment;
mod folder;
mod overrides;
mod policies;

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
fn the_examples_of_the_documentation_are_sound() {
    let documentation = include_str!("../../../docs/configuration.md");
    let variables =
        ["SMTP_PASSWORD", "SLACK_BOT_TOKEN", "PROMETHEUS_TOKEN", "PAGERDUTY_ROUTING_KEY", "DISCORD_WEBHOOK_URL"]
            .map(|name| (name, "x"));
    let environment = Environment::from(variables);
    let mut of_nodes = 0;
    for block in documentation.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        if ["smtp:", "tenants:", "alerting:"].iter().any(|key| block.starts_with(key)) {
            let folder = Folder::new(&[("anomd.yaml", block)]);
            load_node(Some(&folder.path("anomd.yaml")), &environment).unwrap_or_else(|e| panic!("{block}\n{e}"));
            of_nodes += 1;
        } else if !block.starts_with("metric_batch:") {
            assert_eq!(batch_with(block, &environment).warnings.to_string(), "", "{block}");
        }
    }
    assert_eq!(of_nodes, 3);
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
    assert_eq!(idle, [Job::Change, Job::Capacity, Job::LlmAlert, Job::Plot]);
    assert_eq!(batch.judged, JudgedGrid { step_ms: 60_000, aggregate: Aggregate::Last });
    assert_eq!((batch.summary_ms, batch.delete_after_ms), (86_400_000, 365 * 86_400_000));
    assert!(!batch.threshold.enabled && !batch.change.enabled && batch.llm.analyst.is_none());
}

#[test]
fn the_names_of_some_detectors_are_algorithms_of_one_component() {
    let batch = batch(
        "model_configs:\n- {model_name: IForest, model_tag: forest, model_params: {n_estimators: 50}}\n\
         - {model_name: LOF}\n- {model_name: KNN}\n- {model_name: winknn-batch}\npreprocess_params: {lags_n: 3}\n",
    );
    let found: Vec<_> = batch.detectors.iter().map(|d| (d.plugin.as_str(), d.tag.as_str(), &d.config)).collect();
    let preprocess = json!({"lags_n": 3});
    let forest = json!({"algorithm": "iforest", "n_estimators": 50, "preprocess": preprocess});
    let lof = json!({"algorithm": "lof", "preprocess": preprocess});
    let knn = json!({"preprocess": preprocess});
    let windows = json!({"algorithm": "winknn-batch"});
    let expected = [
        ("tabular", "forest", &forest),
        ("tabular", "lof", &lof),
        ("knn", "knn", &knn),
        ("windows", "winknn-batch", &windows),
    ];
    assert_eq!(found, expected);
}

#[test]
fn holt_winters_is_an_algorithm_of_seasonal() {
    let batch =
        batch("model_configs:\n- {model_name: seasonal}\n- {model_name: Holt-Winters, model_params: {gamma: 0.2}}\n");
    let found: Vec<_> = batch.detectors.iter().map(|d| (d.plugin.as_str(), d.tag.as_str(), &d.config)).collect();
    let (none, faster) = (json!({}), json!({"gamma": 0.2, "algorithm": "holt-winters"}));
    let expected = [("seasonal", "seasonal", &none), ("seasonal", "holt-winters", &faster)];
    assert_eq!(found, expected);
}

#[test]
fn the_members_of_the_default_detector_are_detectors_by_name() {
    let batch =
        batch("model_configs:\n- {model_name: level-shift}\n- {model_name: point, model_params: {season: null}}\n");
    let found: Vec<_> = batch.detectors.iter().map(|d| (d.plugin.as_str(), d.tag.as_str(), &d.config)).collect();
    let (shift, point) =
        (json!({"members": ["level-shift"]}), json!({"members": ["winknn-short", "ewma-resid"], "season": null}));
    assert_eq!(found, [("robust", "level-shift", &shift), ("robust", "point", &point)]);
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
    let tags = batch.alert.metric_tags.of("up on host", &up);
    assert_eq!(tags, BTreeMap::from([("team", "web"), ("tier", "1")]));
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
    assert!(warnings_of("preprocess_params: {lags_n: 5}\n").contains("none is in model_configs"));
    assert!(warnings_of("alert_params: {slack: {channel: ops}}\n").contains("alert_methods does not name slack"));
    assert!(warnings_of("ingest_cron_schedule: '*/45 * * * *'\n").contains("its last gap is 15 minutes, not 45"));
    assert!(warnings_of("ingest_params: {url: 'http://me:pw@host:9090'}\n").contains("a user name or password in it"));
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
