//! What the contract promises to a guest, and what it demands of it.

use super::*;
use crate::fault::{Blame, PluginError};
use crate::message::{Alert, AlertState, Finding};
use crate::series::Labels;

#[tokio::test]
async fn a_detector_gets_its_rows_and_gives_models_and_scores() {
    let detector = detector(&small(), false).await;
    let (call, _) = call();
    let needs = detector.plan(&call, "{}", 60_000).await.unwrap();
    assert_eq!(needs, Needs { history: 10, context: 2, refit: 0, joint: false });
    let fitted = detector.fit(&call, "{}", &matrix(3, 2), &models(3)).await.unwrap();
    assert_eq!(fitted.models, [0.0_f64, 2.0, 4.0].map(|first| first.to_le_bytes().to_vec()));
    let scored = detector.score(&call, "{}", &fitted.to_score(), &matrix(3, 2), 1).await.unwrap();
    assert_eq!(scored.scores, [1.0, 1.0, 1.0]);
    assert_eq!(scored.expected, [8.0, 8.0, 8.0]);
    assert_eq!(scored.terms, [Term { name: "size".into(), values: vec![2.0; 3] }]);
}

#[tokio::test]
async fn many_rows_are_several_calls_and_rows_that_belong_together_are_one() {
    let detector = detector(&Limits { detector_call_rows: 2, ..small() }, false).await;
    let (call, _) = call();
    let rows = async |action: &str| {
        let fitted = detector.fit(&call, &act(action).to_string(), &matrix(5, 2), &models(5)).await.unwrap();
        fitted.models.iter().map(|model| model[0]).collect::<Vec<_>>()
    };
    assert_eq!(rows("rows").await, [2, 2, 2, 2, 1]);
    assert_eq!(rows("joint").await, [5; 5]);
    // Each row is scored from its own values and its own model, wherever the cuts are.
    let models: Vec<Arc<[u8]>> = (0..5).map(|n| vec![0; n].into()).collect();
    let recent = Matrix { values: (0..10).map(|cell| f64::from(cell) / 10.0).collect(), ..matrix(5, 2) };
    let scored = detector.score(&call, "{}", &models, &recent, 1).await.unwrap();
    assert_eq!(scored.scores, [0.1, 0.3, 0.5, 0.7, 0.9]);
    assert_eq!(scored.expected, [0.0, 1.0, 2.0, 3.0, 4.0]);
    let scored = detector.score(&call, &act("warming").to_string(), &models, &recent, 2).await.unwrap();
    assert_eq!(scored.skipped, [Skip { row: 0, cause: Cause::Warming }]);
    assert!(scored.scores[0].is_nan() && scored.scores[2] == 0.2);
    let fitted = detector.fit(&call, &act("skip").to_string(), &matrix(3, 2), &models[..3]).await.unwrap();
    assert_eq!(fitted.skipped.iter().map(|skip| skip.row).collect::<Vec<_>>(), [0, 1, 2]);
}

#[tokio::test]
async fn the_last_model_comes_back_and_the_configuration_has_the_zone() {
    let detector = detector(&small(), false).await;
    let (call, _) = call();
    let previous: Vec<Arc<[u8]>> = vec![b"old".as_slice().into()];
    let fitted = detector.fit(&call, &act("previous").to_string(), &matrix(1, 2), &previous).await.unwrap();
    assert_eq!(fitted.models, [b"old+"]);
    let config = String::from_utf8(fit(&detector, act("config")).await.unwrap()).unwrap();
    assert_eq!(config, r#"{"do":"config","timezone":"Europe/Berlin"}"#);
}

#[tokio::test]
async fn score_is_passed_as_much_of_a_model_as_fit_told() {
    // Two rows a call.
    let detector = detector(&Limits { detector_call_rows: 2, ..small() }, false).await;
    let (call, _) = call();
    let seen = async |action: &str| {
        let fitted = detector.fit(&call, &act(action).to_string(), &matrix(3, 2), &models(3)).await.unwrap();
        assert!(fitted.models.iter().all(|model| model.len() == 8), "they are whole all the same");
        let scored = detector.score(&call, "{}", &fitted.to_score(), &matrix(3, 2), 1).await.unwrap();
        // What the guest tells to have expected is the length of the model that it was passed.
        (fitted.heads, scored.expected)
    };
    assert_eq!(seen("heads").await, (vec![0, 1, 0], vec![0.0, 1.0, 0.0]));
    assert_eq!(seen("nothing").await, (vec![8; 3], vec![8.0; 3]));
}

#[tokio::test]
async fn clock_and_random_numbers_belong_to_the_call() {
    let detector = detector(&small(), true).await;
    assert_eq!(fit(&detector, act("clock")).await.unwrap(), 1_700_000_000_000_i64.to_le_bytes());
    let drawn = fit(&detector, act("random")).await.unwrap();
    assert_eq!(drawn, fit(&detector, act("random")).await.unwrap());
    let (mut call, _) = call();
    call.subject = "another".into();
    let other = detector.fit(&call, &act("random").to_string(), &matrix(1, 2), &models(1)).await.unwrap();
    assert_ne!(drawn, other.models[0]);
}

#[tokio::test]
async fn answers_that_break_the_contract_or_a_limit_are_refused() {
    let detector = detector(&small(), false).await;
    let (call, _) = call();
    let too_large = fit(&detector, json!({"do": "large", "n": 2 << 20})).await.unwrap_err();
    let beyond = detector.score(&call, &act("beyond").to_string(), &models(1), &matrix(1, 2), 1).await.unwrap_err();
    let greedy = detector.plan(&call, &act("greedy").to_string(), 60_000).await.unwrap_err();
    let mut faults = vec![too_large, greedy, beyond];
    for action in ["short", "twice"] {
        faults.push(fit(&detector, act(action)).await.unwrap_err());
    }
    let blamed: Vec<_> = faults.iter().map(|fault| fault.blame).collect();
    assert_eq!(blamed, [Blame::Limit, Blame::Limit, Blame::Plugin, Blame::Plugin, Blame::Plugin]);
    let texts: Vec<_> = faults.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(texts.join("\n"), @r"
    tenant acme: plugin probe 0.1.0, fit: the model of row 0 has 2097152 bytes, where 1048576 are allowed (blame: limit)
      raise limits.model_bytes in anomd.yaml, or let the plugin need less
    tenant acme: plugin probe 0.1.0, plan: it wants 4294967295 columns at once, where 524288 fit into a call (blame: limit)
      raise limits.detector_call_bytes in anomd.yaml, or let the plugin need less
    tenant acme: plugin probe 0.1.0, score: it answered what the contract forbids: the score of row 0, column 0, is 1.5, not 0 to 1 (blame: plugin)
      tell the plugin's author
    tenant acme: plugin probe 0.1.0, fit: it answered what the contract forbids: 0 models for 1 rows (blame: plugin)
      tell the plugin's author
    tenant acme: plugin probe 0.1.0, fit: it answered what the contract forbids: it skips row 0 twice (blame: plugin)
      tell the plugin's author
    ");
}

#[tokio::test]
async fn an_error_of_the_plugin_says_who_has_to_act() {
    let fault = fit(&detector(&small(), false).await, act("unavailable")).await.unwrap_err();
    assert_eq!(fault.blame, Blame::Remote);
    assert_eq!(fault.answer, Some(PluginError::Unavailable("the moon is down\u{fffd}[31m".into())));
    insta::assert_snapshot!(fault.to_string(), @"tenant acme: plugin probe 0.1.0, fit: the remote side cannot be used: the moon is down�[31m (blame: remote)");
}

#[tokio::test]
async fn a_configuration_is_checked_by_the_schema_and_then_by_the_plugin() {
    let plugin = plugin(&runtime(&small()), "probe_detector").await;
    let mut told = Vec::new();
    for config in [json!({"doo": "x", "n": -1}), act("complain"), act("rows")] {
        told.extend(plugin.check_config(&config).await.into_iter().map(|p| format!("{}: {}", p.pointer, p.message)));
    }
    insta::assert_snapshot!(told.join("\n"), @r#"
    /n: -1 is less than the minimum of 0
    /doo: unknown key "doo": did you mean "do"?
    /do: there is nothing to do
    "#);
    // And with every call again.
    let detector = plugin.detector(usage()).unwrap();
    insta::assert_snapshot!(fit(&detector, json!({"doo": "x", "n": -1})).await.unwrap_err().to_string(), @r#"
    tenant acme: plugin probe 0.1.0, fit: its configuration is wrong: /n: -1 is less than the minimum of 0; /doo: unknown key "doo": did you mean "do"? (blame: operator)
      correct the plugin's parameters in the batch
    "#);
}

#[tokio::test]
async fn a_plugin_of_another_role_is_refused() {
    let plugin = plugin(&runtime(&small()), "probe_detector").await;
    let Err(fault) = plugin.notifier(usage()) else { panic!("a detector was taken for a notifier") };
    insta::assert_snapshot!(fault.to_string(), @r"
    tenant acme: plugin probe 0.1.0: it is a detector, and batch web uses it as a notifier (blame: operator)
      name a notifier: `anomd plugin list` shows them
    ");
}

#[tokio::test]
async fn a_notifier_is_told_everything() {
    let notifier = plugin(&runtime(&small()), "probe_notifier").await.notifier(usage()).unwrap();
    let finding = Finding {
        labels: Labels::new([("__name__".to_owned(), "cpu".to_owned())]).unwrap(),
        value: 9.5,
        expected: 1.0,
        lower: 0.5,
        upper: 1.5,
        score: 0.9,
        terms: vec![("level".into(), 0.8)],
        started: 1,
        ended: Some(2),
    };
    let alert = Alert {
        id: "a1".into(),
        incident: "i1".into(),
        state: AlertState::Firing,
        kind: "anomaly".into(),
        labels: Labels::new([("batch".to_owned(), "demo".to_owned())]).unwrap(),
        title: "cpu is odd".into(),
        body: "**9.5**".into(),
        link: Some("http://localhost/a1".into()),
        actions: vec![("snooze".into(), "http://localhost/snooze".into())],
        chart: Some(vec![1, 2]),
        findings: vec![finding],
        more: 3,
    };
    let (call, _) = call();
    let receipts = notifier.deliver(&call, "{}", &[alert.clone(), Alert { id: "a2".into(), ..alert }]).await.unwrap();
    insta::assert_snapshot!(receipts[0].as_ref().unwrap(), @r#"Alert { id: "a1", incident: "i1", state: State::Firing, kind: "anomaly", labels: [("batch", "demo")], title: "cpu is odd", body: "**9.5**", link: Some("http://localhost/a1"), actions: [Action { name: "snooze", url: "http://localhost/snooze" }], chart: Some([1, 2]), findings: [Finding { labels: [("__name__", "cpu")], value: 9.5, expected: 1.0, lower: 0.5, upper: 1.5, score: 0.9, terms: [("level", 0.8)], started: 1, ended: Some(2) }], more: 3 }"#);
    assert!(receipts[1].as_ref().unwrap().contains("\"a2\""));
}
