//! The event rule: one alert for one event, however many of its points are over the
//! threshold.
//!
//! An alert ends when the score has been low for a while or, if the value had left its band,
//! when it has been back for a while, whatever the score says: what looks at hours tells of an
//! incident for hours. Until such a score has fallen, only a value outside of its band begins
//! another alert.
//!
//! Each point is asked the conditions of its policy in one order, and the first that fails is
//! what is kept of it ([`Verdict`]). What a point does to an alert stands in one table,
//! [`transition`]. All that the rule remembers is a [`Track`], so points may come one by one
//! or by the thousand, or twice: changes and decisions are the same. Only `recent_n` looks at
//! how they come.

use super::marker::{Effect, Marker, strongest};
use super::memory::{Episode, Excursion, State, Track};
use super::policy::{Point, PolicyRecord};
use crate::message::{AlertPhase, Verdict};
use crate::series::Millis;
use crate::store::Decision;

/// Quiet points that end an alert are doubled so often at most.
const MOST_DOUBLINGS: usize = 4;

/// When an alert of a series begins and ends.
pub struct EventRule<'a> {
    /// What it goes by.
    pub policy: &'a PolicyRecord,
    /// The identity of that.
    pub policy_id: &'a str,
    /// The markers that are about the series.
    pub markers: Vec<&'a Marker>,
    /// The identity of the alert that starts at an instant.
    pub identify: &'a dyn Fn(Millis) -> String,
}

/// What became of a series' alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What happened to it.
    pub news: News,
    /// The alert as it is now.
    pub episode: Episode,
}

/// What can happen to an alert. Only that it began and that it was resolved is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The conditions hold; it may come to be.
    Pending,
    /// It fires.
    Began,
    /// It has a new worst point, or was put down to another marker.
    Updated,
    /// A condition failed before it fired: it never was.
    Withdrawn,
    /// It is over.
    Resolved,
}

impl Change {
    /// Where the alert is in its life.
    pub fn phase(&self) -> AlertPhase {
        match (self.episode.ended, self.episode.fired) {
            (Some(_), _) => AlertPhase::Resolved,
            (None, Some(_)) => AlertPhase::Firing,
            (None, None) => AlertPhase::Pending,
        }
    }

    /// Whether somebody is to be told.
    pub fn is_told(&self) -> bool {
        matches!(self.news, News::Began | News::Resolved)
    }
}

/// What came of a look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// What became of alerts, in order.
    pub changes: Vec<Change>,
    /// Spans that are over, in order; the one that goes on is in the track.
    pub decisions: Vec<Decision>,
}

/// What a point says, to an alert that may come or to one that is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// A condition fails: the first one.
    Fails(Verdict),
    /// All conditions hold, and not yet for long enough.
    Holds,
    /// All conditions hold, for long enough. Of an alert that is on: it goes on.
    Lasts,
    /// Quiet, and not yet for long enough.
    Calms,
    /// Quiet, for long enough.
    Ends,
}

/// Where a track is, without what it keeps there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Quiet,
    Pending,
    Firing,
}

/// The whole machine: from a phase, by what a point says, to the next one, with what became
/// of the alert and what was made of the point.
fn transition(phase: Phase, sign: Sign) -> (Phase, Option<News>, Verdict) {
    match (phase, sign) {
        (Phase::Quiet, Sign::Fails(why)) => (Phase::Quiet, None, why),
        (Phase::Quiet, Sign::Holds) => (Phase::Pending, Some(News::Pending), Verdict::Pending),
        (Phase::Quiet, Sign::Lasts) => (Phase::Firing, Some(News::Began), Verdict::Firing),

        (Phase::Pending, Sign::Fails(why)) => (Phase::Quiet, Some(News::Withdrawn), why),
        (Phase::Pending, Sign::Holds) => (Phase::Pending, None, Verdict::Pending),
        (Phase::Pending, Sign::Lasts) => (Phase::Firing, Some(News::Began), Verdict::Firing),

        (Phase::Firing, Sign::Fails(_) | Sign::Holds | Sign::Lasts) => (Phase::Firing, None, Verdict::Firing),
        (Phase::Firing, Sign::Calms) => (Phase::Firing, None, Verdict::Ending),
        (Phase::Firing, Sign::Ends) => (Phase::Quiet, Some(News::Resolved), Verdict::Ordinary),

        // Only what is on can end.
        (Phase::Quiet, Sign::Calms | Sign::Ends) => (Phase::Quiet, None, Verdict::Ordinary),
        (Phase::Pending, Sign::Calms | Sign::Ends) => (Phase::Quiet, Some(News::Withdrawn), Verdict::Ordinary),
    }
}

impl EventRule<'_> {
    /// Looks at points in order of time. Those that it has seen, and those without a score,
    /// are passed over.
    pub fn watch(&self, track: &mut Track, points: &[Point]) -> Look {
        let mut look = Look::default();
        let fresh = points.iter().filter(|p| track.seen.is_none_or(|seen| p.time > seen) && p.score.is_finite());
        let fresh: Vec<&Point> = fresh.collect();
        for (index, point) in fresh.iter().enumerate() {
            let left = fresh.len() - index;
            let recent = self.policy.recent_n.is_none_or(|n| left <= n.max(1));
            self.step(track, point, recent, &mut look);
        }
        look
    }

    /// Ends what is on or may come to be, since nobody looks at the series any more: it is
    /// gone, or left out. The last span of decisions ends with it.
    pub fn close(&self, track: &mut Track, at: Millis) -> Look {
        let (news, episode) = match std::mem::take(&mut track.state) {
            State::Quiet => (None, None),
            State::Pending(episode) => (Some(News::Withdrawn), Some(episode)),
            State::Firing(episode) => (Some(News::Resolved), Some(episode)),
        };
        let over = |(news, episode): (News, Episode)| Change {
            news,
            episode: Episode { ended: Some(episode.over_from().unwrap_or(at)), ..episode },
        };
        Look {
            changes: news.zip(episode).map(over).into_iter().collect(),
            decisions: track.decision.take().into_iter().collect(),
        }
    }

    fn step(&self, track: &mut Track, point: &Point, recent: bool, look: &mut Look) {
        track.seen = Some(point.time);
        track.since_begin = track.since_begin.map(|n| n.saturating_add(1));
        track.recent.push(point.score);
        let excess = track.recent.len().saturating_sub(self.policy.smooth_n.max(1));
        track.recent.drain(..excess);
        let score = track.recent.iter().sum::<f64>() / track.recent.len().max(1) as f64;

        let (phase, mut episode) = match std::mem::take(&mut track.state) {
            State::Quiet => (Phase::Quiet, None),
            State::Pending(episode) => (Phase::Pending, Some(episode)),
            State::Firing(episode) => (Phase::Firing, Some(episode)),
        };
        let lowered = score < self.policy.threshold / 2.0;
        track.fading &= !lowered;
        let sign = match (&mut episode, phase) {
            (Some(episode), Phase::Firing) => self.sign_of_end(episode, point, score),
            _ => self.sign_of_begin(track, episode.as_ref(), point, score, recent),
        };
        let (next, mut news, verdict) = transition(phase, sign);
        if next != Phase::Quiet {
            let episode = episode.get_or_insert_with(|| self.begin(point));
            if matches!(sign, Sign::Holds | Sign::Lasts) {
                self.stray(episode, point);
            }
            if point.score > episode.worst.score {
                episode.worst = point.clone();
                news = news.or(Some(News::Updated));
            }
            let events = self.events(episode.started);
            if events != episode.events {
                episode.events = events;
                news = news.or(Some(News::Updated));
            }
        }
        if let Some(episode) = &mut episode {
            match news {
                Some(News::Began) => {
                    episode.fired = Some(point.time);
                    episode.patience = self.patience(track, point.time);
                    track.since_begin = Some(0);
                }
                Some(News::Withdrawn) => episode.ended = Some(point.time),
                Some(News::Resolved) => {
                    episode.ended = Some(episode.over_from().unwrap_or(point.time));
                    track.fading = !lowered;
                }
                Some(News::Pending | News::Updated) | None => {}
            }
            look.changes.extend(news.map(|news| Change { news, episode: episode.clone() }));
        }
        let alert = episode.as_ref().filter(|_| next != Phase::Quiet).map(|episode| episode.id.as_str());
        look.decisions.extend(self.decide(track, point.time, verdict, alert));
        track.state = match (next, episode) {
            (Phase::Pending, Some(episode)) => State::Pending(episode),
            (Phase::Firing, Some(episode)) => State::Firing(episode),
            _ => State::Quiet,
        };
    }

    /// The conditions under which an alert begins, in the order in which they are told.
    fn sign_of_begin(&self, track: &Track, pending: Option<&Episode>, point: &Point, score: f64, recent: bool) -> Sign {
        let policy = self.policy;
        let over = score >= policy.threshold;
        if !over && !policy.always {
            return Sign::Fails(Verdict::Ordinary);
        }
        if !point.is_on(policy.direction) && !policy.always {
            return Sign::Fails(Verdict::Direction);
        }
        if !point.is_far(policy.min_deviation, 1.0) && !policy.always {
            return Sign::Fails(Verdict::Deviation);
        }
        if track.fading && point.is_inside() && !policy.always {
            return Sign::Fails(Verdict::Returned);
        }
        // Where and when an alert may begin has been asked of one that is pending.
        if !recent && pending.is_none() {
            return Sign::Fails(Verdict::NotRecent);
        }
        if track.since_begin.is_some_and(|n| n <= policy.snooze_n as u64) && pending.is_none() {
            return Sign::Fails(Verdict::Snoozed);
        }
        let held = match strongest(&self.markers, point.time) {
            Effect::Note => false,
            Effect::Mute => true,
            Effect::Widen(factor) => !self.is_beyond(point, score, factor),
        };
        if held {
            return Sign::Fails(Verdict::Muted);
        }
        let started = pending.map_or(point.time, |episode| episode.started);
        if point.time.saturating_sub(started) < policy.for_ms { Sign::Holds } else { Sign::Lasts }
    }

    /// Whether a point is odd enough where what is ordinary was made `factor` times as wide.
    fn is_beyond(&self, point: &Point, score: f64, factor: f64) -> bool {
        let factor = if factor >= 1.0 { factor } else { 1.0 };
        let threshold = self.policy.threshold;
        let raised = if threshold < 1.0 { 1.0 - (1.0 - threshold) / factor } else { threshold };
        point.is_beyond(factor).unwrap_or(score >= raised)
    }

    /// Whether an alert that is on goes on. It takes half of what it took to begin, and a value
    /// that has not come back to where it was.
    fn sign_of_end(&self, episode: &mut Episode, point: &Point, score: f64) -> Sign {
        let policy = self.policy;
        let loud =
            score >= policy.threshold / 2.0 && point.is_on(policy.direction) && point.is_far(policy.min_deviation, 0.5);
        if loud || policy.always {
            (episode.quiet, episode.quiet_from) = (0, None);
        } else {
            episode.quiet = episode.quiet.saturating_add(1);
            episode.quiet_from.get_or_insert(point.time);
        }
        let back = episode.excursion.as_mut().map_or(0, |excursion| excursion.watch(point));
        let returned = episode.return_points(policy).is_some_and(|points| back >= points);
        match () {
            () if policy.always => Sign::Lasts,
            () if episode.quiet >= episode.quiet_points(policy) || returned => Sign::Ends,
            () if loud && back == 0 => Sign::Lasts,
            () => Sign::Calms,
        }
    }

    /// Notes how far a point that keeps an alert on has left its band.
    fn stray(&self, episode: &mut Episode, point: &Point) {
        let out = point.middle().filter(|_| !point.is_inside() && self.policy.return_n.is_some());
        let Some(middle) = out else { return };
        let excursion = episode.excursion.get_or_insert(Excursion::new(middle, point.value));
        if (point.value - excursion.middle).abs() > (excursion.furthest - excursion.middle).abs() {
            excursion.furthest = point.value;
        }
    }

    fn begin(&self, point: &Point) -> Episode {
        Episode {
            id: (self.identify)(point.time),
            started: point.time,
            fired: None,
            ended: None,
            worst: point.clone(),
            events: self.events(point.time),
            patience: 1,
            quiet: 0,
            quiet_from: None,
            excursion: None,
        }
    }

    fn events(&self, started: Millis) -> Vec<String> {
        self.markers.iter().filter(|marker| marker.explains(started)).map(|marker| marker.id.clone()).collect()
    }

    /// Notes that an alert begins to fire; how often the quiet points that end it are taken.
    fn patience(&self, track: &mut Track, now: Millis) -> u32 {
        let Some(most) = self.policy.flap_n else {
            track.begun.clear();
            return 1;
        };
        let since = now.saturating_sub(self.policy.flap_window_ms);
        track.begun.retain(|begun| *begun > since);
        track.begun.push(now);
        let excess = track.begun.len().saturating_sub(most.saturating_add(MOST_DOUBLINGS));
        track.begun.drain(..excess);
        let doublings = track.begun.len().saturating_sub(most).min(MOST_DOUBLINGS);
        1 << doublings
    }

    /// Notes what was made of a point; the span that it ends, if it ends one.
    fn decide(&self, track: &mut Track, time: Millis, verdict: Verdict, alert: Option<&str>) -> Option<Decision> {
        if let Some(span) = &mut track.decision
            && span.verdict == verdict
            && span.policy == self.policy_id
            && span.alert.as_deref() == alert
        {
            span.to = time;
            return None;
        }
        track.decision.replace(Decision {
            kind: self.policy.kind,
            from: time,
            to: time,
            verdict,
            policy: self.policy_id.to_owned(),
            alert: alert.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests;
