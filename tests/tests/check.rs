//! `anomd check`: what a newcomer reads of a file with faults of every kind.

use anomd_tests::Anomd;

#[test]
fn faults_of_the_file_and_of_its_plugins_are_told_at_once_each_with_its_line() {
    let anomd = Anomd::new();
    anomd.batch(
        "orders",
        "ingest_fn: prometeus.py\n\
         alert_treshold: 0.7\n\
         model_configs: [{model_name: knn, model_params: {n_neighbours: 3}}]\n",
    );
    let checked = anomd.run(&["check"]);
    assert_eq!(checked.code, Some(3), "{checked:#?}");
    for told in [
        "orders.yaml:2:1: ingest_fn (/ingest_fn): there is no plugin \"prometeus\"; did you mean \"prometheus\"?",
        "orders.yaml:3:1: alert_treshold (/alert_treshold): is not a key; did you mean alert_threshold?",
        "orders.yaml:4:50: n_neighbours (/model_configs/0/model_params/n_neighbours): plugin knn",
    ] {
        assert!(checked.stderr.contains(told), "{told}\nis not in\n{}", checked.stderr);
    }
}

/// Somebody writes `route` in a batch and forgets the tree: nobody would be told of anything.
#[test]
fn a_batch_that_names_routes_which_are_not_there_is_warned_of() {
    let anomd = Anomd::new();
    anomd.batch(
        "orders",
        "ingest_fn: prometheus\ningest_params: {url: 'http://localhost:9090', queries: [up]}\nalert_methods: route\n",
    );
    let warned = anomd.run(&["check"]).done();
    let told = "orders.yaml:4:1: warning: alert_methods (/alert_methods): route tells nobody: \
                the tenant default has no routes; write alerting.route in anomd.yaml, or name a notifier";
    assert!(warned.stderr.contains(told), "{}", warned.stderr);
    anomd.config(
        "alerting: {route: {receiver: ops}, receivers: [{name: ops, notifiers: [{plugin: email, params: {to: \
         [ops@example.com]}}]}]}\nsmtp: {host: localhost, from: a@example.com, security: none}\n",
    );
    assert!(anomd.run(&["check"]).done().stdout.contains(" 0 problems"));
}
