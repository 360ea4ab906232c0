//! Variables in files, and those of Prometheus batches.

use super::*;

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
