//! Series are written as their scores, a point a minute; changes are read as a letter each:
//! `p`ending, `b`egan, `u`pdated, `w`ithdrawn, `r`esolved, with the minute of the point.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::config::{AlertPolicy, Deviation, Direction};
use crate::message::AlertKind;

const MINUTE: Millis = 60_000;

fn policy() -> AlertPolicy {
    AlertPolicy { smooth_n: 0, snooze_n: 0, ..AlertPolicy::default() }
}

fn at(minute: usize, score: f64) -> Point {
    let (lower, upper) = (f64::NAN, f64::NAN);
    Point { time: minute as Millis * MINUTE, value: score, score, lower, upper, terms: Vec::new() }
}

fn points(scores: &[f64]) -> Vec<Point> {
    scores.iter().enumerate().map(|(minute, score)| at(minute, *score)).collect()
}

fn watch_with(policy: &AlertPolicy, markers: &[Marker], track: &mut Track, points: &[Point]) -> Look {
    let policy = PolicyRecord::anomaly(policy);
    let identify = |started: Millis| (started / MINUTE).to_string();
    EventRule { policy: &policy, policy_id: "p", markers: markers.iter().collect(), identify: &identify }
        .watch(track, points)
}

fn watch(policy: &AlertPolicy, points: &[Point]) -> Look {
    watch_with(policy, &[], &mut Track::default(), points)
}

fn letters(look: &Look) -> Vec<(char, Millis)> {
    let letter = |Change { news, episode }: &Change| match news {
        News::Pending => ('p', episode.started / MINUTE),
        News::Began => ('b', episode.fired.unwrap() / MINUTE),
        News::Updated => ('u', episode.worst.time / MINUTE),
        News::Withdrawn => ('w', episode.ended.unwrap() / MINUTE),
        News::Resolved => ('r', episode.ended.unwrap() / MINUTE),
    };
    look.changes.iter().map(letter).collect()
}

/// The verdicts with the number of points of each, the newest span included.
fn verdicts(policy: &AlertPolicy, points: &[Point]) -> Vec<(Verdict, Millis)> {
    let mut track = Track::default();
    let look = watch_with(policy, &[], &mut track, points);
    let spans = look.decisions.into_iter().chain(track.decision);
    spans.map(|span| (span.verdict, (span.to - span.from) / MINUTE + 1)).collect()
}

#[test]
fn one_event_is_one_alert_and_ends_when_it_has_been_quiet_for_ten_points() {
    let mut scores = vec![0.1, 0.9, 0.5, 1.0, 0.7];
    scores.extend([0.1; 12]);
    scores.push(0.85);
    let look = watch(&policy(), &points(&scores));
    assert_eq!(letters(&look), [('b', 1), ('u', 3), ('r', 5), ('b', 17)]);
    use Verdict::{Ending, Firing, Ordinary};
    let spans = [(Ordinary, 1), (Firing, 4), (Ending, 9), (Ordinary, 3), (Firing, 1)];
    assert_eq!(verdicts(&policy(), &points(&scores)), spans);
    let sooner = AlertPolicy { resolve_n: 2, ..policy() };
    assert_eq!(letters(&watch(&sooner, &points(&[0.9, 0.1, 0.1, 0.9]))), [('b', 0), ('r', 1), ('b', 3)]);
}

/// Users want smoothing to hold back a lone spike, and a snooze to hold back what follows an
/// alert; Anomstack's looked at points that are newer than the newest.
#[test]
fn b3_smoothing_and_snooze_act_on_the_newest_points() {
    let smooth = AlertPolicy { smooth_n: 3, ..policy() };
    assert_eq!(letters(&watch(&smooth, &points(&[0.0, 0.0, 1.0, 0.0, 0.0]))), []);
    assert_eq!(letters(&watch(&smooth, &points(&[0.0, 1.0, 1.0, 1.0]))), [('b', 3)]);

    let mut scores = vec![0.9];
    scores.extend([0.0; 11]);
    scores.extend([0.9, 0.9]);
    let snoozed = AlertPolicy { snooze_n: 12, ..policy() };
    assert_eq!(letters(&watch(&snoozed, &points(&scores))), [('b', 0), ('r', 1), ('b', 13)]);
    assert!(verdicts(&snoozed, &points(&scores)).contains(&(Verdict::Snoozed, 1)));
}

/// Users want to widen the points that may alert without being told again of the same ones.
#[test]
fn b5_recent_n_over_one_does_not_fire_again() {
    let recent = |n| AlertPolicy { recent_n: Some(n), ..policy() };
    assert_eq!(letters(&watch(&recent(1), &points(&[0.9, 0.0, 0.0]))), []);
    assert_eq!(verdicts(&recent(1), &points(&[0.9, 0.0]))[0], (Verdict::NotRecent, 1));
    assert_eq!(letters(&watch(&recent(1), &points(&[0.0, 0.9]))), [('b', 1)]);

    let mut track = Track::default();
    let all = points(&[0.0, 0.9, 0.9, 0.1]);
    let mut told = Vec::new();
    // Each run sees the newest points of the one before again.
    for end in 1..=all.len() {
        told.extend(letters(&watch_with(&recent(3), &[], &mut track, &all[..end])));
    }
    assert_eq!(told, [('b', 1)]);
}

#[test]
fn every_point_says_the_first_condition_that_it_failed() {
    let band = |minute: usize, value: f64, score: f64| Point { value, lower: 10.0, upper: 20.0, ..at(minute, score) };
    let policy = AlertPolicy {
        direction: Direction::Above,
        min_deviation: Some(Deviation::Absolute(5.0)),
        snooze_n: 3,
        for_ms: MINUTE,
        resolve_n: 1,
        ..policy()
    };
    let all = [
        band(0, 99.0, 0.1),
        band(1, 0.0, 0.9),
        band(2, 21.0, 0.9),
        band(3, 25.0, 0.9),
        band(4, 25.0, 0.9),
        band(5, 15.0, 0.9),
        band(6, 25.0, 0.9),
    ];
    let spans = [
        Verdict::Ordinary,
        Verdict::Direction,
        Verdict::Deviation,
        Verdict::Pending,
        Verdict::Firing,
        Verdict::Ordinary,
        Verdict::Snoozed,
    ];
    assert_eq!(verdicts(&policy, &all), spans.map(|verdict| (verdict, 1)));
}

#[test]
fn a_condition_must_hold_for_as_long_as_was_asked() {
    let patient = AlertPolicy { for_ms: 2 * MINUTE, resolve_n: 1, ..policy() };
    let look = watch(&patient, &points(&[0.9, 0.9, 0.1, 0.9, 0.95, 0.9, 0.0]));
    assert_eq!(letters(&look), [('p', 0), ('w', 2), ('p', 3), ('u', 4), ('b', 5), ('r', 6)]);
    let first = &look.changes[1];
    assert_eq!((first.phase(), first.episode.fired, first.is_told()), (AlertPhase::Resolved, None, false));
    let fired = &look.changes[4].episode;
    assert_eq!((fired.started, fired.fired), (3 * MINUTE, Some(5 * MINUTE)));
}

#[test]
fn an_alert_that_is_on_ends_on_the_wrong_side_or_near_the_band() {
    let band = |minute: usize, value: f64| Point { value, lower: 10.0, upper: 20.0, ..at(minute, 0.9) };
    let above = AlertPolicy { direction: Direction::Above, resolve_n: 1, ..policy() };
    assert_eq!(letters(&watch(&above, &[band(0, 30.0), band(1, 0.0)])), [('b', 0), ('r', 1)]);
    let far = AlertPolicy { min_deviation: Some(Deviation::Absolute(10.0)), resolve_n: 1, ..policy() };
    let look = watch(&far, &[band(0, 30.0), band(1, 26.0), band(2, 24.0)]);
    assert_eq!(letters(&look), [('b', 0), ('r', 2)], "half of the deviation keeps it on");
}

/// Points of a series whose band is 10 to 20, one a minute, from values and scores.
fn banded(values: impl IntoIterator<Item = (f64, f64)>) -> Vec<Point> {
    let band = |(minute, (value, score))| Point { value, lower: 10.0, upper: 20.0, ..at(minute, score) };
    values.into_iter().enumerate().map(band).collect()
}

/// Minutes with this value and score.
fn spell(minutes: usize, value: f64, score: f64) -> Vec<(f64, f64)> {
    vec![(value, score); minutes]
}

#[test]
fn a_spike_is_over_when_the_value_is_back_however_long_the_score_remembers() {
    let all = banded([spell(1, 15.0, 0.1), spell(8, 90.0, 1.0), spell(120, 15.0, 0.9)].concat());
    let look = watch(&policy(), &all);
    assert_eq!(letters(&look), [('b', 1), ('r', 9)]);
    use Verdict::{Ending, Firing, Ordinary, Returned};
    let spans = [(Ordinary, 1), (Firing, 8), (Ending, 29), (Ordinary, 1), (Returned, 90)];
    assert_eq!(verdicts(&policy(), &all), spans);
}

#[test]
fn while_a_score_remembers_only_a_value_outside_of_its_band_is_news() {
    let spike = [spell(8, 90.0, 1.0), spell(40, 15.0, 0.9)].concat();
    let second = banded([spike.clone(), spell(3, 95.0, 1.0), spell(40, 15.0, 0.9)].concat());
    assert_eq!(letters(&watch(&policy(), &second)), [('b', 0), ('r', 8), ('b', 48), ('r', 51)]);
    // Once the score has fallen, what is odd need not be outside: a shape, say.
    let shape = banded([spike, spell(1, 15.0, 0.3), spell(3, 15.0, 0.9)].concat());
    assert_eq!(letters(&watch(&policy(), &shape)), [('b', 0), ('r', 8), ('b', 49)]);
}

#[test]
fn a_level_that_the_band_comes_to_hold_is_not_back() {
    let mut all = banded([spell(1, 15.0, 0.1), spell(100, 90.0, 1.0), spell(12, 90.0, 0.1)].concat());
    for point in &mut all[20..] {
        (point.lower, point.upper) = (85.0, 95.0);
    }
    assert_eq!(letters(&watch(&policy(), &all)), [('b', 1), ('r', 101)]);
}

#[test]
fn what_never_left_its_band_or_keeps_leaving_it_is_ended_by_its_score() {
    let shape = banded([spell(100, 15.0, 0.9), spell(10, 15.0, 0.1)].concat());
    assert_eq!(letters(&watch(&policy(), &shape)), [('b', 0), ('r', 100)]);
    let noise = (0..100).map(|minute| (if minute % 20 == 0 { 25.0 } else { 15.0 }, 0.9));
    let noise = banded(noise.chain(spell(10, 15.0, 0.1)));
    let look = watch(&policy(), &noise);
    assert_eq!(letters(&look), [('b', 0), ('r', 81)]);
    assert_eq!(look.changes[1].episode.fired, Some(0));
}

#[test]
fn what_flaps_needs_more_and_more_quiet_points_to_end() {
    let policy = AlertPolicy { resolve_n: 2, flap_n: Some(2), flap_window_ms: 1_000 * MINUTE, ..policy() };
    let mut track = Track::default();
    let mut minute = 0;
    let mut quiet = Vec::new();
    for _ in 0..8 {
        let mut look = watch_with(&policy, &[], &mut track, &[at(minute, 0.9)]);
        assert_eq!(look.changes.len(), 1);
        let mut points = 0;
        while !look.changes.iter().any(|change| change.news == News::Resolved) {
            (minute, points) = (minute + 1, points + 1);
            look = watch_with(&policy, &[], &mut track, &[at(minute, 0.0)]);
        }
        quiet.push(points);
        minute += 1;
    }
    assert_eq!(quiet, [2, 2, 4, 8, 16, 32, 32, 32]);
    let later = watch_with(&policy, &[], &mut track, &[at(minute + 2_000, 0.9)]);
    assert_eq!(later.changes[0].episode.patience, 1, "what was long ago does not count");
}

#[test]
fn alert_always_needs_no_score_and_lasts() {
    let always = AlertPolicy { always: true, resolve_n: 1, direction: Direction::Above, ..policy() };
    assert_eq!(letters(&watch(&always, &points(&[0.0; 40]))), [('b', 0)]);
}

fn marker(minutes: std::ops::Range<Millis>, effect: Effect) -> Marker {
    Marker {
        id: format!("{effect:?}"),
        kind: "deploy".into(),
        text: String::new(),
        matchers: "".parse().unwrap(),
        start: minutes.start * MINUTE,
        end: Some(minutes.end * MINUTE),
        effect,
        by: "ana".into(),
    }
}

#[test]
fn a_marker_mutes_what_would_begin_and_is_put_into_what_begins_after_it() {
    let mute = [marker(1..4, Effect::Mute)];
    let mut track = Track::default();
    let look = watch_with(&policy(), &mute, &mut track, &points(&[0.0, 0.9, 0.9, 0.0, 0.9]));
    assert_eq!(letters(&look), [('b', 4)]);
    assert_eq!(look.decisions[1].verdict, Verdict::Muted);
    assert_eq!(look.changes[0].episode.events, ["Mute"]);
    // One that was on before goes on, and ends.
    let quick = AlertPolicy { resolve_n: 1, ..policy() };
    let look = watch_with(&quick, &mute, &mut Track::default(), &points(&[0.9, 0.9, 0.0, 0.9]));
    assert_eq!(letters(&look), [('b', 0), ('r', 2)]);
}

#[test]
fn a_marker_that_is_entered_late_is_put_into_the_alert_that_is_on() {
    let mut track = Track::default();
    watch_with(&policy(), &[], &mut track, &points(&[0.0, 0.9]));
    let late = [marker(0..1, Effect::Note)];
    let look = watch_with(&policy(), &late, &mut track, &points(&[0.0, 0.9, 0.9]));
    assert_eq!((look.changes[0].news, look.changes[0].episode.events.len()), (News::Updated, 1));
}

#[test]
fn a_widened_band_holds_more_and_without_a_band_the_threshold_goes_up() {
    let widen = [marker(0..9, Effect::Widen(2.0))];
    let begins = |point: Point| !watch_with(&policy(), &widen, &mut Track::default(), &[point]).changes.is_empty();
    // The band is 10 to 20, and 5 to 25 for now.
    let band = |value: f64| Point { value, lower: 10.0, upper: 20.0, ..at(1, 1.0) };
    assert_eq!([22.0, 26.0, 4.0].map(|value| begins(band(value))), [false, true, true]);
    // 0.8 becomes 0.9.
    assert_eq!([0.85, 0.95].map(|score| begins(at(1, score))), [false, true]);
}

#[test]
fn what_nobody_looks_at_any_more_is_ended_and_told_if_it_was() {
    let close = |scores: &[f64], policy: &AlertPolicy| {
        let mut track = Track::default();
        watch_with(policy, &[], &mut track, &points(scores));
        let policy = PolicyRecord::anomaly(policy);
        let rule = EventRule { policy: &policy, policy_id: "p", markers: Vec::new(), identify: &|_| String::new() };
        let look = rule.close(&mut track, 9 * MINUTE);
        assert_eq!(rule.close(&mut track, 9 * MINUTE), Look::default());
        (letters(&look), look.decisions.len())
    };
    assert_eq!(close(&[0.9], &policy()), (vec![('r', 9)], 1));
    assert_eq!(close(&[0.9, 0.1], &policy()), (vec![('r', 1)], 1));
    assert_eq!(close(&[0.1], &policy()), (vec![], 1));
    assert_eq!(close(&[0.9], &AlertPolicy { for_ms: MINUTE, ..policy() }), (vec![('w', 9)], 1));
}

/// What a store keeps: all of a commit or nothing of it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Kept {
    memory: Vec<u8>,
    /// The newest state of each alert.
    alerts: BTreeMap<String, (AlertPhase, Millis, Option<Millis>, Option<Millis>)>,
    /// Alerts of which something was told, with what.
    told: Vec<(String, AlertPhase)>,
    decisions: BTreeMap<Millis, Decision>,
}

impl Kept {
    fn memory(&self) -> super::super::memory::Memory {
        super::super::memory::Memory::decode(&self.memory)
    }

    /// One run over what there is up to `points`' end.
    fn run(&mut self, policy: &AlertPolicy, markers: &[Marker], points: &[Point]) {
        let mut memory = self.memory();
        let look = watch_with(policy, markers, memory.track_mut(AlertKind::Anomaly), points);
        for change in &look.changes {
            let Episode { id, started, fired, ended, .. } = change.episode.clone();
            self.alerts.insert(id.clone(), (change.phase(), started, fired, ended));
            if change.is_told() {
                self.told.push((id, change.phase()));
            }
        }
        self.decisions.extend(look.decisions.into_iter().map(|decision| (decision.from, decision)));
        self.memory = memory.encode();
    }
}

#[derive(Clone, Debug)]
enum Happening {
    /// So many further points, and a commit.
    Run(usize),
    /// The same, and the process is killed before the commit.
    Crash(usize),
    /// The last points once more.
    Repeat(usize),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        4 => (1_usize..40).prop_map(Happening::Run),
        1 => (1_usize..40).prop_map(Happening::Crash),
        1 => (1_usize..40).prop_map(Happening::Repeat),
    ];
    prop::collection::vec(one, 1..60)
}

/// Calm and odd spells, so that alerts begin, end and flap.
fn scores() -> impl Strategy<Value = Vec<f64>> {
    let odd = prop_oneof![Just(0.9), Just(0.8), Just(0.5), Just(1.0), Just(0.2), Just(f64::NAN)];
    let spell = prop_oneof![
        (1_usize..30).prop_map(|n| vec![0.1; n]),
        prop::collection::vec(odd, 1..15),
        (1_usize..8).prop_map(|n| vec![0.95; n]),
    ];
    prop::collection::vec(spell, 1..30).prop_map(|spells| spells.concat())
}

fn policies() -> impl Strategy<Value = AlertPolicy> {
    (0_usize..4, 0_usize..20, 0_i64..4, 1_usize..6, prop::option::of(1_usize..4)).prop_map(
        |(smooth_n, snooze_n, minutes, resolve_n, flap_n)| AlertPolicy {
            smooth_n,
            snooze_n,
            for_ms: minutes * MINUTE,
            resolve_n,
            flap_n,
            flap_window_ms: 100 * MINUTE,
            ..AlertPolicy::default()
        },
    )
}

proptest! {
    #[test]
    fn no_crash_and_no_repetition_changes_what_is_told(
        scores in scores(),
        policy in policies(),
        happenings in happenings(),
        muted in 0_i64..200,
        values in prop::collection::vec(prop_oneof![8 => Just(15.0), 1 => Just(90.0), 1 => Just(f64::NAN)], 1..60),
    ) {
        let all = banded(values.into_iter().cycle().zip(scores));
        let markers = [marker(muted..muted + 20, Effect::Mute), marker(muted + 50..muted + 60, Effect::Widen(2.0))];
        let mut kept = Kept::default();
        let mut done = 0;
        for happening in happenings {
            let (from, to, committed) = match happening {
                Happening::Run(n) => (done, done + n, true),
                Happening::Crash(n) => (done, done + n, false),
                Happening::Repeat(n) => (done.saturating_sub(n), done, true),
            };
            let to = to.min(all.len());
            let mut next = kept.clone();
            next.run(&policy, &markers, &all[from..to]);
            if committed {
                (kept, done) = (next, to);
            }
        }
        kept.run(&policy, &markers, &all[done..]);

        let mut undisturbed = Kept::default();
        undisturbed.run(&policy, &markers, &all);
        prop_assert_eq!(&kept, &undisturbed);

        // Who was told that an alert fires is told once that it is over, if it is; and nobody
        // is told of one that never fired.
        let mut firing = BTreeSet::new();
        let mut over = BTreeSet::new();
        for (id, phase) in &kept.told {
            match phase {
                AlertPhase::Firing => prop_assert!(firing.insert(id.clone()), "{} began twice", id),
                AlertPhase::Resolved => {
                    prop_assert!(firing.contains(id) && over.insert(id.clone()), "{} ended without beginning", id);
                }
                AlertPhase::Pending => prop_assert!(false, "{} is pending and was told", id),
            }
        }
        let mut free_from = Millis::MIN;
        let mut in_order: Vec<_> = kept.alerts.iter().collect();
        in_order.sort_by_key(|(_, (_, started, ..))| *started);
        for (id, (phase, started, fired, ended)) in in_order {
            prop_assert_eq!(firing.contains(id), fired.is_some());
            prop_assert_eq!(over.contains(id), fired.is_some() && *phase == AlertPhase::Resolved);
            prop_assert!(*started >= free_from, "two alerts for one event");
            free_from = ended.unwrap_or(Millis::MAX);
        }

        // Decisions tile the points: each stands in exactly one, between its ends.
        let memory = kept.memory();
        let track = memory.track(AlertKind::Anomaly);
        let last = track.and_then(|track| track.decision().cloned());
        let spans: Vec<Decision> = kept.decisions.values().cloned().chain(last).collect();
        prop_assert!(spans.windows(2).all(|pair| pair[0].to < pair[1].from));
        for point in &all {
            let holding = spans.iter().filter(|span| (span.from..=span.to).contains(&point.time)).count();
            let seen = point.score.is_finite();
            prop_assert!(holding == 1 || (!seen && holding <= 1), "{} spans at {}", holding, point.time);
        }
    }
}
