//! Plugins in Python and JavaScript, built by `tests/setup` outside of the workspace with only
//! the contract at hand.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anomd_tests::{Anomd, HOUR, MINUTE, Millis, Receiver, Source, instant, load, millis, or_skip, tools};
use serde_json::{Value, json};

/// When the made-up story begins.
const BEGIN: Millis = 1_767_571_200_000;
/// The minutes of it in which the load is far too high.
const SPIKE: (i64, i64) = (13 * 60, 13 * 60 + 8);

fn component(name: &str) -> Result<PathBuf, String> {
    let file = tools().join(format!("plugins/{name}.wasm"));
    if file.is_file() { Ok(file) } else { Err(format!("the plugin {name} has not been built")) }
}

/// A node with the plugins of these names.
fn node(names: &[&str]) -> Result<Anomd, String> {
    static COMPILED: Mutex<()> = Mutex::new(());
    let anomd = Anomd::new();
    for name in names {
        anomd.plugin(&component(name)?);
    }
    // Compiling a whole interpreter takes long: the tests do it one after the other, so that
    // all but the first find it done.
    let _one = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    anomd.run(&["plugin", "list"]).done();
    Ok(anomd)
}

#[test]
fn inspection_shows_that_they_import_the_contract_and_nothing_else() {
    let anomd = Anomd::new();
    for (name, role, http) in [("median", "detector", false), ("http-json", "ingester", true)] {
        let file = or_skip!(component(name));
        let shown = anomd.json(&["plugin", "inspect", file.to_str().unwrap()]);
        assert_eq!(shown["role"], role, "{shown}");
        let imports: Vec<String> = shown["imports"].as_array().unwrap().iter().map(Value::to_string).collect();
        assert!(imports.iter().all(|import| import.contains("anomd:plugin/")), "{imports:?}");
        assert_eq!(imports.iter().any(|import| import.contains("anomd:plugin/http")), http, "{imports:?}");
    }
}

#[test]
fn a_batch_uses_a_javascript_ingester_and_a_python_detector() {
    let anomd = or_skip!(node(&["median", "http-json"]));
    let receiver = Receiver::start();
    let source =
        Source::start(|time| vec![("load", "a", load(time, BEGIN, &[SPIKE])), ("load", "b", load(time, BEGIN, &[]))]);
    let listed = anomd.json(&["plugin", "list"]);
    let named = |name: &str| listed.as_array().unwrap().iter().find(|plugin| plugin["name"] == name).unwrap();
    assert_eq!((&named("median")["role"], &named("http-json")["role"]), (&"detector".into(), &"ingester".into()));

    let batch = anomd.batch(
        "polyglot",
        &format!(
            "ingest_fn: http-json\nstep: 60s\ningest_delay: 0s\ningest_history: 12h\n\
             ingest_params: {{url: '{}/series'}}\nmodel_configs: [{{model_name: median, model_params: {{worst: 8}}}}]\n\
             alert_threshold: 0.9\nalert_methods: webhook\nalert_params: {{webhook: {{url: '{}'}}}}\n",
            source.url(),
            receiver.url("/")
        ),
    );
    anomd.run(&["check"]).done();
    let (from, to) = (instant(BEGIN + 12 * HOUR), instant(BEGIN + 14 * HOUR));
    anomd.run(&["run", batch, "--from", &from, "--to", &to, "--every", "5m"]).done();

    // The values are those of the source, whatever language carried them.
    let values = anomd.query(batch, "values");
    assert_eq!(values.len(), 2 * 14 * 60);
    for row in &values {
        let spikes: &[(i64, i64)] = if row["metric_name"].as_str().unwrap().contains("\"a\"") { &[SPIKE] } else { &[] };
        assert_eq!(row["metric_value"].as_f64().unwrap(), load(millis(&row["metric_timestamp"]), BEGIN, spikes));
    }
    let alerts = anomd.query(batch, "alerts");
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!(alerts[0]["metric_name"], r#"load{instance="a"}"#);
    assert_eq!((millis(&alerts[0]["started"]) - BEGIN) / MINUTE, SPIKE.0);
    assert_eq!(receiver.received().len(), 2, "it fired and was resolved");
    let finding = &receiver.received()[0].json()["findings"][0];
    assert_eq!(finding["terms"][0]["name"], "distance", "{finding}");
}

#[test]
fn a_wrong_configuration_is_told_in_the_plugins_own_words() {
    let anomd = or_skip!(node(&["median", "http-json"]));
    anomd.batch(
        "wrong",
        "ingest_fn: http-json\ningest_params: {url: 'http://127.0.0.1:1/#part'}\n\
         model_configs: [{model_name: median, model_params: {band: 12}}]\n",
    );
    let output = anomd.run(&["check"]);
    assert_eq!(output.code, Some(3), "{output:#?}");
    for text in ["a fragment (#) is never sent", "must be narrower than `worst` (10)", "wrong.yaml"] {
        assert!(output.stderr.contains(text), "{text} is not in {}", output.stderr);
    }
}

#[test]
fn a_source_that_fails_is_the_remote_sides_fault() {
    let anomd = or_skip!(node(&["http-json"]));
    let receiver = Receiver::start();
    receiver.answer(&[500, 500, 500]);
    let batch =
        anomd.batch("failing", &format!("ingest_fn: http-json\ningest_params: {{url: '{}'}}\n", receiver.url("/")));
    let output = anomd.run(&["run", batch, "--job", "ingest"]);
    assert_eq!(output.code, Some(1), "{output:#?}");
    let run = anomd.query(batch, "runs").swap_remove(0);
    assert_eq!((&run["state"], &run["tries"]), (&"failed".into(), &3.into()));
    let said = run["said"].as_str().unwrap();
    assert!(said.contains("HTTP 500: not now") && said.contains("blame: remote"), "{said}");
}

#[test]
fn a_series_that_cannot_be_read_is_lost_alone() {
    let anomd = or_skip!(node(&["http-json"]));
    let receiver = Receiver::start();
    let series = |name: &str, time: Value| json!({"name": name, "points": [[time, 1.5]]});
    let time = Value::from(BEGIN - MINUTE);
    receiver.say(&json!({"series": [series("good", time.clone()), series("bad", "noon".into())]}).to_string());
    let batch =
        anomd.batch("mixed", &format!("ingest_fn: http-json\ningest_params: {{url: '{}'}}\n", receiver.url("/")));
    let rows = anomd.json(&["run", batch, "--job", "ingest", "--at", &instant(BEGIN + MINUTE)]);
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["metric_name"]), (1, &"good".into()), "{rows}");
    let run = anomd.query(batch, "runs").swap_remove(0);
    assert_eq!(run["state"], "partial");
    let said = run["said"].as_str().unwrap();
    assert!(said.contains("bad") && said.contains(r#"not a time in milliseconds: "noon""#), "{said}");
}
