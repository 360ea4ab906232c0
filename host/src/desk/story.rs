//! What is wrong now, what was anomalous, and the life of an alert, in a store that is filled by
//! hand.

use std::collections::BTreeMap;

use super::why::tests::{AT, ID, MINUTE, NOW, Story, T0, node};
use super::*;
use crate::config::Job;
use crate::message::Rating;
use crate::store::{Commit, RunRecord, RunState};

/// What a story's desk answers, at an instant.
fn ask_at<R: Ask>(story: &Story, now: Millis, request: &R) -> Result<R::Reply, DeskError> {
    let batches = BTreeMap::from([(story.key(), &story.batch)]);
    request.ask(&Desk { store: &story.store, batches: &batches, config: &node(), tenant: "default", now })
}

fn ask<R: Ask>(story: &Story, request: &R) -> R::Reply {
    ask_at(story, NOW, request).unwrap()
}

fn rate(rating: Option<Rating>) -> Rate {
    Rate { id: ID[..6].to_owned(), by: "ana".to_owned(), rating }
}

#[test]
fn the_overview_has_the_alerts_that_are_on_and_each_batch_over_time() {
    let story = Story::scored("").fires();
    let seen = ask(&story, &Overview { from: Some(T0), to: Some(NOW), buckets: Some(6), limit: None });
    assert_eq!((seen.open, seen.alerts[0].id.as_str(), seen.bucket_ms), (1, ID, 10 * MINUTE));
    let batch = &seen.batches[0];
    assert_eq!((batch.batch.as_str(), batch.series, batch.firing, batch.unseen), ("orders", 1, 1, 1));
    // Scored are the minutes 20 to 49 but for one, and the 30th is over the threshold.
    let heat = [None, None, Some(0.0), Some(0.1), Some(0.0), None];
    assert_eq!((batch.heat.as_slice(), batch.rate), (heat.as_slice(), Some(1.0 / 29.0)));
    assert_eq!(batch.peaks[3], Some(0.95));
    assert_eq!((batch.newest, batch.freshness, batch.one_of), (Some(T0 + 59 * MINUTE), Freshness::Fresh, 1));

    ask(&story, &Acknowledge { id: ID.to_owned(), by: "ana".to_owned(), comment: String::new() });
    let later = ask_at(&story, NOW + 600 * MINUTE, &Overview::default()).unwrap();
    assert_eq!((later.batches[0].firing, later.batches[0].unseen), (1, 0));
    assert_eq!(later.batches[0].freshness, Freshness::Late);
    let back = Overview { from: Some(NOW), to: Some(T0), ..Overview::default() };
    assert!(ask_at(&story, NOW, &back).unwrap_err().to_string().contains("write a `from` before the `to`"));
}

#[test]
fn a_job_fails_since_the_first_of_its_last_failures() {
    let mut story = Story::scored("");
    for (n, state) in [(1, RunState::Failed), (2, RunState::Partial), (3, RunState::Skipped("idle".to_owned()))] {
        let run = story.run(Job::Train, NOW + n * MINUTE, &[]);
        story = story.commit(Commit::of(RunRecord { state, log: vec![format!("said {n}")], ..run }));
    }
    let failing = ask(&story, &Overview::default()).failing;
    let [job] = failing.as_slice() else { panic!("{failing:?}") };
    assert_eq!((job.batch.as_str(), job.job.as_str(), job.state.as_str()), ("orders", "train", "partial"));
    assert_eq!((job.since, job.last, job.runs, job.why.as_str()), (NOW + MINUTE, NOW + 2 * MINUTE, 2, "said 2"));
    let run = story.run(Job::Train, NOW + 4 * MINUTE, &[]);
    assert!(ask(&story.commit(Commit::of(run)), &Overview::default()).failing.is_empty());
}

#[test]
fn series_are_ranked_by_what_they_were_in_the_span() {
    let story = Story::scored("");
    let ranked = |from, to| ask(&story, &Ranking { from: Some(from), to: Some(to), ..Ranking::default() }).items;
    let worst = &ranked(T0 + 25 * MINUTE, T0 + 35 * MINUTE)[0];
    assert_eq!((worst.metric.as_str(), worst.over, worst.scored), ("cpu", 1, 9));
    assert_eq!((worst.worst, worst.worst_at), (0.95, AT));
    assert_eq!(ranked(T0 + 40 * MINUTE, T0 + 45 * MINUTE)[0].over, 0);
    assert!(ranked(T0, T0 + MINUTE).is_empty(), "nothing was scored");
    let long = Ranking { from: Some(0), to: Some(NOW), ..Ranking::default() };
    let refused = ask_at(&story, NOW, &long).unwrap_err().to_string();
    assert!(refused.contains("limits.overview_points") && refused.contains("a shorter span"), "{refused}");
}

#[test]
fn the_timeline_has_what_happened_in_order_and_the_reasons() {
    let story = Story::scored("alert_methods: slack\nalert_params: {slack: {channel: '#ops'}}\n");
    let story = story.fires().delivered("sent", &[Err("503 busy"), Ok("ok")]);
    let by = || "ana".to_owned();
    let id = || ID.to_owned();
    ask_at(&story, NOW + MINUTE, &Acknowledge { id: id(), by: by(), comment: "on it".to_owned() }).unwrap();
    ask_at(&story, NOW + 2 * MINUTE, &Unacknowledge { id: id(), by: by() }).unwrap();
    ask_at(&story, NOW + 3 * MINUTE, &Snooze { id: id(), by: by(), until: NOW + 60 * MINUTE }).unwrap();
    ask_at(&story, NOW + 4 * MINUTE, &rate(Some(Rating::Up))).unwrap();
    let seen = ask_at(&story, NOW + 5 * MINUTE, &Timeline { id: id() }).unwrap();
    let what: Vec<&str> = seen.entries.iter().map(|entry| entry.what.as_str()).collect();
    let all = ["began", "told", "unsent", "sent", "acknowledged", "unacknowledged", "snoozed", "rated"];
    assert_eq!(what, all);
    assert_eq!(seen.entries[4].text, "ana acknowledged it: on it");
    let why = seen.why.unwrap();
    assert_eq!((why.answer.reason, why.deliveries.len()), (why::Reason::Told, 1));
    assert!(seen.points.iter().any(|point| point.time == AT && point.score == Some(0.95) && point.upper == Some(5.0)));
    assert!(seen.span.0 <= T0 && seen.span.1 > AT);

    // What the page puts into the form of a silence hides this alert.
    let hidden = ask(&story, &SilencePreview { matchers: seen.matchers, ..SilencePreview::default() });
    assert_eq!(hidden.items.len(), 1);
    let other = SilencePreview { matchers: "batch=payments".to_owned(), ..SilencePreview::default() };
    assert!(ask(&story, &other).items.is_empty());
}

#[test]
fn alerts_are_found_by_how_they_stand() {
    let story = Story::scored("").fires();
    let found = |state, now| {
        let listed = ask_at(&story, now, &AlertQuery { state: Some(state), ..AlertQuery::default() });
        listed.unwrap().items.len()
    };
    let standing = |now| -> Vec<&str> {
        AlertStanding::ALL.into_iter().filter(|state| found(*state, now) > 0).map(AlertStanding::name).collect()
    };
    assert_eq!(standing(NOW), ["firing"]);
    let id = || ID.to_owned();
    ask(&story, &Snooze { id: id(), by: "ana".to_owned(), until: NOW + 10 * MINUTE });
    assert_eq!(standing(NOW), ["snoozed"]);
    assert_eq!(standing(NOW + 11 * MINUTE), ["firing"], "a snooze ends by itself");
    ask(&story, &Acknowledge { id: id(), by: "ana".to_owned(), comment: String::new() });
    let matchers = "batch=orders".to_owned();
    let (author, comment, end) = ("ana".to_owned(), String::new(), NOW + 30 * MINUTE);
    ask(&story, &SilenceAdd { matchers, author, comment, start: None, end });
    assert_eq!(standing(NOW), ["acknowledged", "snoozed", "silenced"], "it is found as all that it is");
    assert_eq!(found(AlertStanding::Resolved, NOW), 0);
}

#[test]
fn a_rating_is_shown_and_can_be_changed_and_taken_back() {
    let story = Story::scored("").fires();
    let rated = |rating| ask(&story, &rate(rating)).rated;
    assert_eq!(rated(Some(Rating::Down)).unwrap().rating, Rating::Down);
    let up = rated(Some(Rating::Up)).unwrap();
    assert_eq!((up.rating, up.by.as_str(), up.at), (Rating::Up, "ana", NOW));
    let text = why::alert_text(&ask(&story, &AlertShow { id: ID.to_owned() }));
    assert!(text.contains("rated up by ana at 2026-01-01T01:00:00Z: yes, this was one"), "{text}");
    assert_eq!(rated(None), None);
}

#[test]
fn what_people_did_about_an_alert_is_bounded() {
    let story = Story::scored("").fires();
    for n in 0..60 {
        let by = format!("n{n}");
        ask(&story, &Acknowledge { id: ID.to_owned(), by, comment: String::new() });
    }
    let act: crate::message::Act =
        story.store.document("default", crate::store::DocumentKind::Act, ID).unwrap().unwrap();
    assert_eq!((act.history.len(), act.history[49].by.as_str()), (node().limits.alert_history, "n59"));
}
