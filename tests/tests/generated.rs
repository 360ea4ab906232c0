//! The sets of `anomd eval` that are made up: few of their series, by the default detector in
//! the sandbox. The figures of whole sets, with other seeds, are in docs/detection.md.

use anomd_tests::Anomd;

const SEED: &str = "7";

#[test]
fn an_incident_of_each_kind_of_series_is_found_and_little_else() {
    let anomd = Anomd::new();
    let report = anomd.json(&["eval", "generated:incidents", "--seed", SEED, "--count", "6", "--threshold", "0.7,0.8"]);
    let summary = &report["summaries"][0];
    let at = |place: usize, figure: &str| summary["at"][place][figure].as_f64().unwrap();
    assert_eq!((&report["seed"], &summary["series"]), (&7.into(), &6.into()));
    assert_eq!((at(0, "threshold"), at(1, "threshold")), (0.7, 0.8));
    assert!(at(0, "recall") >= 0.8, "{summary:#}");
    assert!(at(0, "recall") >= at(1, "recall") && at(0, "alerts_a_day") >= at(1, "alerts_a_day"), "{summary:#}");
    // Six alerts that are right in 84 days are 0.07 a day.
    assert!(at(0, "false_alerts_a_day") <= 0.1, "{summary:#}");
    assert_eq!(summary["kinds"].as_array().unwrap().len(), 6);
}

#[test]
fn the_day_is_found_and_none_where_there_is_none_or_the_exit_code_says_so() {
    let anomd = Anomd::new();
    let run = |bound: &str, value: &str| {
        anomd.run(&["eval", "generated:season", "--seed", SEED, "--count", "8", bound, value, "--out", "out"])
    };
    run("--min", "season_found=0.8").done();
    let failed = run("--max", "season_found=0.5");
    assert_eq!(failed.code, Some(1));
    assert!(failed.stderr.contains("season_found of robust on season is "), "{}", failed.stderr);
    let wrong = anomd.run(&["eval", "generated:seasons"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("write generated:silence"), "{}", wrong.stderr);
}
