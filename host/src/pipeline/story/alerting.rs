//! What raises alerts, what ends them, and what is never told.

use super::*;
use crate::alert::{Effect, Marker, Memory, PolicyRecord};
use crate::message::Verdict;
use crate::store::{Commit, DocumentWrite};

const LIMIT: &str = "tholdalert_thresholds: {load: {upper: 20}}\ndisable_tholdalert: false\n";

/// Users want a change to be told; Anomstack's change job could not raise an alert at all.
#[tokio::test]
async fn b1_a_change_is_an_alert_of_the_chain() {
    let source = Script::default().with("load", odd_in(&[(30, 31)])).with("flat", |_| Some(7.0));
    let stage = Stage::new("disable_change: false\nalert_threshold: 1\nalert_always: false\n", source);
    stage.live(0..=60).await;
    assert_eq!(stage.spans(AlertKind::Change), [(30, Some(31))]);
    let [alert] = stage.alerts(AlertKind::Change).try_into().unwrap();
    assert_eq!((alert.name.as_str(), alert.worst.value, alert.threshold), ("load", 40.0, 3.5));
    assert!(alert.worst.score.is_finite() && alert.worst.upper < 11.0, "{alert:?}");
    assert!(stage.signals().iter().any(|signal| signal.id == alert.id));
}

/// Users want one message when a limit is crossed; Anomstack's were never delivered, and
/// raised again by each run.
#[tokio::test]
async fn b2_a_limit_that_is_crossed_is_one_alert_over_all_runs() {
    let source = || Script::default().with("load", odd_in(&[(-30, -20), (10, 13), (15, 16)]));
    let stage = Stage::new(LIMIT, source());
    stage.live(0..=40).await;
    // What was over in the history is no news, and what comes back within ten points is the same.
    assert_eq!(stage.spans(AlertKind::Threshold), [(10, Some(16))]);
    let [alert] = stage.alerts(AlertKind::Threshold).try_into().unwrap();
    assert_eq!((alert.worst.value, alert.worst.score, alert.threshold), (40.0, 2.0, 20.0));

    // The limit itself is not over it.
    let at_limit = Stage::new(&LIMIT.replace("20", "40"), source());
    at_limit.live(0..=20).await;
    assert_eq!(at_limit.alerts(AlertKind::Threshold), []);
}

#[tokio::test]
async fn b2_a_limit_is_snoozed_from_run_to_run() {
    let keys = format!("{LIMIT}tholdalert_snooze_n: 5\nalert_resolve_n: 1\n");
    let stage = Stage::new(&keys, Script::default().with("load", odd_in(&[(10, 13), (15, 16), (17, 18)])));
    stage.live(0..=20).await;
    assert_eq!(stage.spans(AlertKind::Threshold), [(10, Some(13)), (17, Some(18))]);
}

/// Users want smoothing to hold back a lone spike of the newest points.
#[tokio::test]
async fn b3_a_smoothed_score_needs_more_than_one_point() {
    let source = Script::default().with("load", odd_in(&[(20, 21), (30, 34)]));
    let stage = Stage::new("alert_smooth_n: 3\n", source);
    stage.live(0..=40).await;
    assert_eq!(stage.spans(AlertKind::Anomaly).iter().map(|span| span.0).collect::<Vec<_>>(), [32]);
}

/// Users want nothing to happen when nothing happened.
#[tokio::test]
async fn b4_a_run_without_new_data_changes_nothing_and_tells_nothing() {
    let keys = format!("{LIMIT}disable_change: false\nalert_no_data_after: 5m\n");
    let stage = Stage::new(&keys, Script::default().with("load", odd_in(&[(10, 99)])));
    stage.live(0..=15).await;
    assert_eq!(stage.signals().len(), 3, "an anomaly, a limit and a change");
    stage.see();
    // As texts: a limit has no lower edge, and NaN is not equal to itself.
    let kept = || {
        let alerts = stage.store.alerts(&AlertFilter::default()).unwrap();
        (format!("{alerts:?}"), stage.store.watched(stage.key()).unwrap())
    };
    let before = kept();
    for seconds in [1, 2, 3] {
        for job in [Job::Change, Job::Alert] {
            let run = stage.run(job, minute(15) + seconds * 1_000).await;
            assert!(matches!(run.state, RunState::Skipped(_)), "{run:?}");
        }
    }
    assert_eq!(stage.signals(), []);
    assert_eq!(before, kept());
}

/// Users set `alert_recent_n` to see more points, and want to be told once all the same.
#[tokio::test]
async fn b5_more_recent_points_are_no_more_alerts() {
    let keys = format!("alert_recent_n: 5\ntholdalert_recent_n: 5\n{LIMIT}");
    let stage = Stage::new(&keys, Script::default().with("load", odd_in(&[(10, 12)])));
    stage.live(0..=40).await;
    assert_eq!(stage.spans(AlertKind::Anomaly), [(10, Some(12))]);
    assert_eq!(stage.spans(AlertKind::Threshold), [(10, Some(12))]);
}

#[tokio::test]
async fn a_series_that_stops_is_missed_once_and_its_return_ends_it() {
    let gap = |minute: Millis| (!(20..40).contains(&minute)).then_some(1.0);
    let source =
        Script::default().with("beat", gap).with("load", |_| Some(1.0)).with("old", |m| (m < -30).then_some(1.0));
    let stage = Stage::new("alert_no_data_after: 5m\n", source);
    stage.live(0..=60).await;
    assert_eq!(stage.spans(AlertKind::NoData), [(24, Some(41))]);
    let [alert] = stage.alerts(AlertKind::NoData).try_into().unwrap();
    assert_eq!((alert.name.as_str(), alert.threshold), ("beat", 300_000.0), "what was gone before is not missed");
    assert!(alert.worst.value.is_nan());
}

#[tokio::test]
async fn a_source_that_fails_says_nothing_of_what_is_missing() {
    let stage = Stage::new("alert_no_data_after: 5m\n", Script::default().with("load", |_| Some(1.0)));
    stage.live(0..=10).await;
    stage.source.fall(true);
    stage.live(11..=30).await;
    stage.source.fall(false);
    stage.source.lose(&["load"]);
    stage.live(31..=50).await;
    assert_eq!(stage.alerts(AlertKind::NoData), []);
}

#[tokio::test]
async fn the_alert_of_a_series_that_is_gone_ends() {
    let source = Script::default().with("pod", |m| (m < 15).then_some(if m < 10 { 10.0 } else { 40.0 }));
    let keys = format!("{LIMIT}disable_change: false\n").replace("load", "pod");
    let stage = Stage::new(&keys, source.with("load", |_| Some(1.0)));
    stage.live(0..=73).await;
    for kind in [AlertKind::Anomaly, AlertKind::Threshold, AlertKind::Change] {
        assert_eq!(stage.spans(kind), [(10, None)], "{kind:?}");
    }
    stage.live(74..=75).await;
    for kind in [AlertKind::Anomaly, AlertKind::Threshold, AlertKind::Change] {
        assert_eq!(stage.spans(kind), [(10, Some(15))], "{kind:?}");
    }
}

#[tokio::test]
async fn what_is_left_out_or_switched_off_ends() {
    let keys = format!("{LIMIT}disable_change: false\n");
    let mut stage = Stage::new(&keys, Script::default().with("load", odd_in(&[(10, 999)])));
    stage.live(0..=12).await;
    let policies: Vec<_> = stage.store.alerts(&AlertFilter::default()).unwrap().into_iter().map(|a| a.policy).collect();
    stage.bound.batch.alert.exclude = "load".parse().unwrap();
    stage.bound.batch.threshold.enabled = false;
    stage.bound.batch.change.enabled = false;
    stage.see();
    stage.live(13..=13).await;
    let all = stage.store.alerts(&AlertFilter::default()).unwrap();
    assert_eq!(phases(&all), [AlertPhase::Resolved; 3]);
    assert_eq!(all.iter().map(|alert| alert.policy.clone()).collect::<Vec<_>>(), policies, "as they began");
    assert_eq!(stage.signals().len(), 3);
}

fn marker(minutes: Range<Millis>, effect: Effect) -> DocumentWrite {
    let marker = Marker {
        id: "m".into(),
        kind: "deploy".into(),
        text: "v2".into(),
        matchers: "alertname=Anomaly,metric=load".parse().unwrap(),
        start: minute(minutes.start),
        end: Some(minute(minutes.end)),
        effect,
        by: "ana".into(),
    };
    DocumentWrite::of(DocumentKind::Event, "m", &marker)
}

#[tokio::test]
async fn a_deploy_stands_in_the_alerts_that_begin_after_it_and_may_mute_them() {
    let source = || {
        let odd = &[(20, 22), (40, 42), (80, 82)];
        Script::default().with("load", odd_in(odd)).with("other", odd_in(odd))
    };
    let events = |stage: &Stage, name: &str| -> Vec<(Millis, usize)> {
        let alerts = stage.alerts(AlertKind::Anomaly).into_iter().filter(|alert| alert.name == name);
        alerts.map(|alert| ((alert.started - BEGIN) / MINUTE, alert.events.len())).collect()
    };
    let stage = Stage::new("alert_snooze_n: 0\n", source());
    stage.store.write_documents("default", vec![marker(15..16, Effect::Note)]).unwrap();
    stage.live(0..=90).await;
    assert_eq!(events(&stage, "load"), [(20, 1), (40, 1), (80, 0)]);
    assert_eq!(events(&stage, "other"), [(20, 0), (40, 0), (80, 0)]);

    let stage = Stage::new("alert_snooze_n: 0\n", source());
    stage.store.write_documents("default", vec![marker(15..30, Effect::Mute)]).unwrap();
    stage.live(0..=90).await;
    assert_eq!(events(&stage, "load"), [(40, 1), (80, 0)]);
    let decisions =
        stage.store.decisions(stage.key(), stage.series("load").id, AlertKind::Anomaly, minute(20)..minute(22));
    assert_eq!(decisions.unwrap()[0].verdict, Verdict::Muted);
}

/// Users ask why they were told, and why they were not: both are read from what was kept.
#[tokio::test]
async fn every_scored_point_has_its_verdict_and_the_policy_that_was_in_force() {
    let source = Script::default().with("load", odd_in(&[(20, 22), (25, 26)]));
    let stage = Stage::new("alert_snooze_n: 20\nalert_resolve_n: 1\n", source);
    stage.live(0..=40).await;
    let id = stage.series("load").id;
    let mut spans = stage.store.decisions(stage.key(), id, AlertKind::Anomaly, 0..Millis::MAX).unwrap();
    spans.reverse();
    let memory = Memory::decode(&stage.store.watched(stage.key()).unwrap()[&id]);
    spans.extend(memory.track(AlertKind::Anomaly).unwrap().decision().cloned());
    let read: Vec<_> = spans.iter().map(|span| (span.verdict, (span.to - span.from) / MINUTE + 1)).collect();
    let tail = [(Verdict::Firing, 2), (Verdict::Ordinary, 3), (Verdict::Snoozed, 1), (Verdict::Ordinary, 14)];
    assert_eq!(read[1..], tail);
    assert_eq!(read.iter().map(|(_, points)| points).sum::<Millis>(), stage.scores("load").len() as Millis);

    let [alert] = stage.alerts(AlertKind::Anomaly).try_into().unwrap();
    assert_eq!(spans[1].alert.as_ref(), Some(&alert.id));
    assert!(spans.iter().all(|span| span.policy == alert.policy));
    let policy: PolicyRecord = stage.store.document("default", DocumentKind::Policy, &alert.policy).unwrap().unwrap();
    assert_eq!((policy.threshold, policy.snooze_n, policy.resolve_n), (0.8, 20, 1));
    let [(tag, digest)] = alert.models.try_into().unwrap();
    let fit = stage.store.fit_at(stage.key(), id, &tag, alert.worst.time).unwrap().unwrap();
    assert_eq!(fit.digest, digest);
}

#[tokio::test]
async fn what_another_job_wrote_into_an_alert_stays() {
    let stage = Stage::new("", Script::default().with("load", |m| Some(if m < 10 { 10.0 } else { 40.0 + m as f64 })));
    stage.live(0..=12).await;
    let [mut alert] = stage.alerts(AlertKind::Anomaly).try_into().unwrap();
    alert.explanation = Some("somebody pulled the plug".into());
    let mut run = stage.run(Job::Score, minute(12)).await;
    run.slot.job = Job::LlmAlert;
    stage.store.commit(Commit { alerts: vec![alert], ..Commit::of(run) }).unwrap();
    stage.live(13..=15).await;
    let excluded = "load".parse().unwrap();
    let mut stage = stage;
    stage.bound.batch.alert.exclude = excluded;
    stage.live(16..=16).await;
    let [alert] = stage.alerts(AlertKind::Anomaly).try_into().unwrap();
    assert_eq!((alert.phase, alert.explanation.as_deref()), (AlertPhase::Resolved, Some("somebody pulled the plug")));
}

#[tokio::test]
async fn how_the_runs_are_cut_changes_nothing_that_is_kept() {
    let keys = format!("{LIMIT}disable_change: false\nalert_resolve_n: 3\nalert_snooze_n: 4\nalert_smooth_n: 2\n");
    let kept = async |every: Millis| {
        let value = |minute: Millis| {
            let odd = [(20, 22), (24, 31), (35, 36), (60, 64), (66, 67), (130, 180)];
            let odd = odd.iter().any(|(from, to)| (*from..*to).contains(&minute));
            (minute % 50 != 7).then_some(10.0 + (minute % 3) as f64 + if odd { 30.0 } else { 0.0 })
        };
        let stage = Stage::new(&keys, Script::default().with("load", value));
        // All begin with the same look, since what was before the first is not judged.
        stage.chain(minute(1)).await;
        for at in (1 + every..=211).step_by(usize::try_from(every).unwrap()) {
            stage.chain(minute(at)).await;
        }
        let mut all = Vec::new();
        let id = stage.series("load").id;
        for kind in [AlertKind::Anomaly, AlertKind::Threshold, AlertKind::Change] {
            assert!(!stage.alerts(kind).is_empty());
            all.push(format!("{:?}", stage.alerts(kind)));
            all.push(format!("{:?}", stage.store.decisions(stage.key(), id, kind, 0..Millis::MAX).unwrap()));
        }
        let signals: Vec<String> = stage.signals().into_iter().map(|signal| signal.id).collect();
        (all, signals, stage.store.watched(stage.key()).unwrap())
    };
    let live = kept(1).await;
    for every in [7, 35, 210] {
        assert!(kept(every).await == live, "every {every} minutes");
    }
}

#[tokio::test]
async fn an_alert_whose_memory_is_lost_ends() {
    let stage = Stage::new("alert_resolve_n: 1\n", Script::default().with("load", odd_in(&[(10, 13)])));
    stage.live(0..=12).await;
    let [before] = stage.alerts(AlertKind::Anomaly).try_into().unwrap();
    // As another version would have left it: the memory of one that has seen nothing odd.
    let mut run = stage.run(Job::Score, minute(12)).await;
    run.slot.job = Job::LlmAlert;
    let mut memory = Memory::default();
    let quiet =
        |time: Millis| crate::alert::Point { time, value: 1.0, score: 0.0, lower: 0.0, upper: 0.0, terms: Vec::new() };
    let policy = PolicyRecord::anomaly(&stage.bound.batch.alert);
    let identify = |_: Millis| String::new();
    crate::alert::EventRule { policy: &policy, policy_id: "", markers: Vec::new(), identify: &identify }
        .watch(memory.track_mut(AlertKind::Anomaly), &[quiet(minute(30))]);
    let watched = vec![(stage.series("load").id, memory.encode())];
    stage.store.commit(Commit { watched, ..Commit::of(run) }).unwrap();
    stage.see();
    stage.chain(minute(20)).await;
    let [after] = stage.alerts(AlertKind::Anomaly).try_into().unwrap();
    assert_eq!((after.id.clone(), after.phase), (before.id, AlertPhase::Resolved));
    assert_eq!(stage.signals().len(), 1);
}
