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
        "orders.yaml:2:1: ingest_fn (/ingest_fn): there is no such plugin; did you mean \"prometheus\"?",
        "orders.yaml:3:1: alert_treshold (/alert_treshold): is not a key; did you mean alert_threshold?",
        "orders.yaml:4:50: n_neighbours (/model_configs/0/model_params/n_neighbours): plugin knn",
    ] {
        assert!(checked.stderr.contains(told), "{told}\nis not in\n{}", checked.stderr);
    }
}
