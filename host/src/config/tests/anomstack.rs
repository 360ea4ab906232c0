//! Anomstack's own example files, their keys written anew.

use super::*;

#[path = "../../../../tests/src/anomstack.rs"]
mod fixtures;

use fixtures::{Example, examples};

fn read(example: &Example) -> Problems {
    load_batch_text(Path::new("b.yaml"), &example.text, &Environment::default()).unwrap_err()
}

fn read_with_source(example: &Example) -> Batch {
    let text = example.with_source("ingest_fn: prometheus");
    let batch = load_batch_text(Path::new("b.yaml"), &text, &Environment::default());
    batch.unwrap_or_else(|problems| panic!("{}: {problems}", example.name))
}

#[test]
fn each_example_of_anomstack_is_taken_but_for_its_source_which_is_answered_with_a_component() {
    let (mut python, mut sql) = (0, 0);
    for example in examples() {
        let name = &example.name;
        let problems = read(&example);
        let errors: Vec<_> = problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
        assert_eq!(errors.len(), 1, "{name}: {problems}");
        match errors[0].pointer.as_str() {
            "/ingest_fn" => python += 1,
            "/ingest_sql" => sql += 1,
            other => panic!("{name}: {other}"),
        }
        let remedy = &errors[0].remedy;
        assert!(remedy.contains("component in its place: ingest_fn: prometheus"), "{problems}");

        let batch = read_with_source(&example);
        for warning in batch.warnings.iter() {
            let idle = ["/db", "/table_key", "/model_path", "/preprocess_params"].contains(&warning.pointer.as_str());
            assert!(idle || warning.pointer.ends_with("_cron_schedule"), "{name}: {warning}");
        }
        assert!([Job::Ingest, Job::Train, Job::Score, Job::Alert].iter().all(|job| batch.runs(*job)), "{name}");
    }
    assert_eq!((python, sql), (15, 12));
}

#[test]
fn what_the_examples_ask_for_is_understood() {
    let examples = examples();
    let batch = |name: &str| read_with_source(examples.iter().find(|example| example.name == name).unwrap());
    let freq = batch("freq");
    assert_eq!(freq.judged, JudgedGrid { step_ms: 600_000, aggregate: Aggregate::Mean });
    let python = batch("python_ingest_simple");
    assert_eq!(python.threshold.limits.len(), 5);
    assert!(python.threshold.enabled && python.threshold.methods.is_none());
    let bigquery = batch("bigquery_example_simple");
    assert_eq!(bigquery.alert.metric_tags.of("random_2", &Labels::default())["priority"], "p2");
    assert!(batch("github").llm.detect && !bigquery.llm.detect);
    assert_eq!(batch("netdata").alert.max_age_ms, 3 * 86_400_000);
    assert!(batch("hackernews").runs(Job::Plot) && batch("hackernews").runs(Job::Change));
}

/// Their `*/180` is each hour to any cron, and their `*/70` too.
#[test]
fn b19_the_odd_steps_of_the_examples_are_told() {
    let odd = |example: &Example| read(example).to_string().contains("is minute 0 of each hour, and not every");
    let names: Vec<_> = examples().into_iter().filter(odd).map(|example| example.name).collect();
    assert_eq!(names, ["coindesk", "github", "netdata", "netdata_httpcheck", "prometheus", "snowflake_example_simple"]);
}

/// Those who move in bring the defaults as well, which are keys like others.
#[test]
fn the_defaults_that_anomstack_documents_are_taken() {
    let text = std::fs::read_to_string(repository("tests/anomstack/defaults/defaults.yaml")).unwrap();
    let folder = Folder::new(&[("defaults.yaml", &text), ("small.yaml", SMALL)]);
    let loaded = folder.load(&Environment::default());
    let batch = loaded.batches.get(&folder.path("small.yaml")).unwrap_or_else(|| panic!("{}", loaded.problems));
    assert_eq!(batch.alert.notifiers.len(), 2);
    assert_eq!(batch.detectors.len(), 2);
    assert_eq!((batch.train.max_n, batch.train.min_n, batch.alert.recent_n), (Some(2_500), 14, Some(1)));
    assert!(!batch.threshold.enabled && !batch.llm.detect && batch.change.enabled);
}
