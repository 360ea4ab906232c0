//! What happens to the systems of a history: incidents, deployments, and their effects.

use std::ops::Range;

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::calendar::{Calendar, DAY};
use super::process::Dice;

/// The stream that incidents are drawn from.
const INCIDENTS: u64 = 1;
/// The stream that deployments are drawn from.
const DEPLOYMENTS: u64 = 2;
/// The week of the incidents, in days.
const WEEK: Range<usize> = 7..14;
/// Minutes between a deployment and an incident at least.
const APART: usize = 240;

/// What an effect acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Requests that arrive.
    Requests,
    /// Time that a request takes.
    Latency,
    /// Requests that end in an error.
    Errors,
    /// CPU seconds a second.
    Cpu,
    /// Bytes of memory in use.
    Memory,
    /// Bytes that are written to disk a minute and stay until the end.
    DiskGrowth,
    /// Bytes over the network.
    Network,
    /// Packets that are dropped.
    Drops,
    /// Items that leave.
    Shipments,
    /// Logins refused, a minute.
    RefusedLogins,
}

/// What it does.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// Multiplies.
    Times(f64),
    /// Adds.
    Plus(f64),
}

/// A change for some minutes.
#[derive(Clone, Debug)]
pub struct Effect {
    /// What changes.
    pub target: Target,
    /// How, at its height.
    pub change: Change,
    /// The minutes from its begin to when nothing is left of it.
    pub minutes: Range<usize>,
    /// Minutes to full height.
    pub onset: usize,
    /// Minutes from full height to nothing, at the end.
    pub release: usize,
}

impl Effect {
    /// How much of it acts at a minute, 0 to 1.
    fn weight(&self, minute: usize) -> f64 {
        if !self.minutes.contains(&minute) {
            return 0.0;
        }
        let rise = (minute - self.minutes.start + 1) as f64 / self.onset.max(1) as f64;
        let fall = (self.minutes.end - minute) as f64 / self.release.max(1) as f64;
        rise.min(fall).min(1.0)
    }
}

/// All effects of a history.
#[derive(Clone, Debug, Default)]
pub struct Effects(pub Vec<Effect>);

impl Effects {
    /// The factor and the summand that act on a target, a pair each minute.
    pub fn on(&self, target: Target, length: usize) -> Vec<(f64, f64)> {
        let mut acting = vec![(1.0, 0.0); length];
        for effect in self.0.iter().filter(|e| e.target == target) {
            let span = acting.iter_mut().enumerate().skip(effect.minutes.start).take(effect.minutes.len());
            for (minute, (factor, summand)) in span {
                match effect.change {
                    Change::Times(times) => *factor *= 1.0 + (times - 1.0) * effect.weight(minute),
                    Change::Plus(plus) => *summand += plus * effect.weight(minute),
                }
            }
        }
        acting
    }
}

/// The seven scenarios of an infrastructure's incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scenario {
    /// CPU, memory or disk is used up.
    ResourceExhaustion,
    /// Answers take longer than they should.
    PerformanceDegradation,
    /// More requests fail than usual.
    ApplicationErrors,
    /// The network carries less, or later.
    NetworkIssues,
    /// A service does less than is asked of it.
    ServiceDisruption,
    /// Growth leaves its trend.
    CapacityPlanning,
    /// Access that is not like the users'.
    SecurityIncident,
}

impl Scenario {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::ResourceExhaustion,
        Self::PerformanceDegradation,
        Self::ApplicationErrors,
        Self::NetworkIssues,
        Self::ServiceDisruption,
        Self::CapacityPlanning,
        Self::SecurityIncident,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ResourceExhaustion => "resource exhaustion",
            Self::PerformanceDegradation => "performance degradation",
            Self::ApplicationErrors => "application errors",
            Self::NetworkIssues => "network issues",
            Self::ServiceDisruption => "service disruption",
            Self::CapacityPlanning => "capacity planning",
            Self::SecurityIncident => "security incident",
        }
    }

    /// What happened.
    pub fn title(self) -> &'static str {
        match self {
            Self::ResourceExhaustion => "a report that never ends takes a core, and more and more memory",
            Self::PerformanceDegradation => "answers take half as long again, or twice as long",
            Self::ApplicationErrors => "a dependency fails: several times the usual errors",
            Self::NetworkIssues => "a congested link carries half, and drops packets",
            Self::ServiceDisruption => "one of two load balancers is gone, and half of the requests",
            Self::CapacityPlanning => "a debug log that nobody cleans fills the disk, for days",
            Self::SecurityIncident => "somebody tries passwords, slowly",
        }
    }

    /// Hours of the day at which it may begin, and how many minutes it lasts.
    fn when(self) -> (Range<f64>, Range<usize>) {
        match self {
            Self::ResourceExhaustion => (3.0..6.0, 45..121),
            Self::PerformanceDegradation => (18.5..31.0, 40..91),
            Self::ApplicationErrors => (7.0..21.0, 30..71),
            Self::NetworkIssues => (9.0..18.0, 25..61),
            Self::ServiceDisruption => (9.0..18.0, 25..61),
            Self::CapacityPlanning => (6.0..12.0, 58 * 60..78 * 60),
            Self::SecurityIncident => (0.0..23.0, 30..81),
        }
    }

    /// The last day of the history at which it may begin: so that what lasts for days ends within
    /// the two weeks.
    fn latest(self) -> usize {
        if self == Self::CapacityPlanning { WEEK.start + 3 } else { WEEK.end - 1 }
    }

    /// Whether it takes people at work to be noticed.
    fn on_working_days(self) -> bool {
        matches!(self, Self::NetworkIssues | Self::ServiceDisruption)
    }

    /// What it does, from its first to its last minute.
    fn effects(self, span: &Range<usize>, rng: &mut ChaCha8Rng) -> Vec<Effect> {
        let effect = |target, change, onset, release| Effect { target, change, minutes: span.clone(), onset, release };
        let mut between = |low: f64, high: f64| rng.random_range(low..high);
        match self {
            Self::ResourceExhaustion => vec![
                effect(Target::Cpu, Change::Plus(between(0.55, 0.95)), 3, 2),
                effect(Target::Memory, Change::Plus(between(0.35, 0.65) * GIB), span.len(), 3),
            ],
            Self::PerformanceDegradation => {
                vec![effect(Target::Latency, Change::Times(between(1.5, 2.0)), 6, 6)]
            }
            Self::ApplicationErrors => vec![effect(Target::Errors, Change::Times(between(3.5, 5.5)), 2, 3)],
            Self::NetworkIssues => vec![
                effect(Target::Network, Change::Times(between(0.5, 0.65)), 3, 4),
                effect(Target::Drops, Change::Times(between(1.8, 3.0)), 3, 4),
            ],
            Self::ServiceDisruption => vec![
                effect(Target::Requests, Change::Times(between(0.4, 0.6)), 2, 5),
                effect(Target::Shipments, Change::Times(between(0.5, 0.8)), 5, 5),
            ],
            // Somebody finds and deletes it when the disk is as full as nobody wants it.
            Self::CapacityPlanning => {
                let bytes = between(49.0, 53.0) * GIB;
                vec![effect(Target::DiskGrowth, Change::Plus(bytes / span.len() as f64), 1, 1)]
            }
            Self::SecurityIncident => vec![effect(Target::RefusedLogins, Change::Plus(between(3.5, 7.0)), 2, 2)],
        }
    }
}

/// Bytes of a mebibyte.
pub const MIB: f64 = 1_048_576.0;
/// Bytes of a gibibyte.
pub const GIB: f64 = 1_073_741_824.0;

/// An incident, still without its series.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which.
    pub scenario: Scenario,
    /// From its begin to its end.
    pub minutes: Range<usize>,
    /// What it does.
    pub effects: Vec<Effect>,
}

/// One incident of each scenario, one a day of the second week.
pub fn incidents(dice: Dice, calendar: Calendar) -> Vec<Plan> {
    let mut rng = dice.stream(INCIDENTS);
    let mut days: Vec<usize> = WEEK.collect();
    days.shuffle(&mut rng);
    // The minute of a day of the history at which it is so late.
    let at = |day: usize, hour: f64| {
        let offset = (hour - calendar.hour(day * DAY)).rem_euclid(24.0);
        day * DAY + (offset * 60.0) as usize
    };
    let free = |day: usize| calendar.weekend(at(day, 12.0));
    for place in 0..days.len() {
        let bound = |place: usize| Scenario::ALL.get(place).is_some_and(|s| s.on_working_days());
        if bound(place) && days.get(place).is_some_and(|&d| free(d)) {
            let other = (0..days.len()).find(|&o| !bound(o) && days.get(o).is_some_and(|&d| !free(d)));
            days.swap(place, other.unwrap_or(place));
        }
    }
    for place in 0..days.len() {
        let latest = |place: usize| Scenario::ALL.get(place).map_or(usize::MAX, |s| s.latest());
        let bound = |place: usize| Scenario::ALL.get(place).is_some_and(|s| s.on_working_days());
        if days.get(place).is_some_and(|day| *day > latest(place)) {
            let early = |other: usize| days.get(other).is_some_and(|day| *day <= latest(place));
            let other = (0..days.len()).find(|&other| !bound(other) && early(other));
            days.swap(place, other.unwrap_or(place));
        }
    }
    let plan = |(scenario, day): (Scenario, usize)| {
        let (hours, length) = scenario.when();
        let (hour, length) = (rng.random_range(hours), rng.random_range(length));
        let begin = if length > DAY { at(day, hour) } else { at(day, hour).min((day + 1) * DAY - length) };
        let minutes = begin..begin + length;
        let effects = scenario.effects(&minutes, &mut rng);
        Plan { scenario, minutes, effects }
    };
    Scenario::ALL.into_iter().zip(days).map(plan).collect()
}

/// The minutes at which a new version is rolled out: two a week, in working hours, apart
/// from `incidents`.
pub fn deployments(dice: Dice, calendar: Calendar, days: usize, incidents: &[Plan]) -> Vec<usize> {
    let mut rng = dice.stream(DEPLOYMENTS);
    let mut chosen: Vec<usize> = Vec::new();
    for week in 0..days / 7 {
        let mut left = 2;
        while left > 0 {
            let minute = (week * 7 * DAY) + rng.random_range(0..7 * DAY);
            let apart = |other: &Range<usize>| minute + APART < other.start || minute > other.end + APART;
            let working = (9.0..17.0).contains(&calendar.hour(minute)) && !calendar.weekend(minute);
            let near = chosen.iter().any(|c| c.abs_diff(minute) < APART);
            if working && !near && incidents.iter().all(|i| apart(&i.minutes)) {
                chosen.push(minute);
                left -= 1;
            }
        }
    }
    chosen.sort_unstable();
    chosen
}

/// What a deployment does: a brief dip and a few errors while processes restart, and a
/// small step of memory that stays until `until`.
pub fn deployment(dice: Dice, minute: usize, until: usize) -> Vec<Effect> {
    let mut rng = dice.minute(DEPLOYMENTS, minute);
    let brief =
        |target, change, length| Effect { target, change, minutes: minute..minute + length, onset: 1, release: 1 };
    let step = rng.random_range(-0.06..0.06) * GIB;
    vec![
        brief(Target::Requests, Change::Times(0.92), 2),
        brief(Target::Errors, Change::Times(1.8), 2),
        brief(Target::Latency, Change::Times(1.12), 3),
        brief(Target::Cpu, Change::Plus(0.08), 3),
        Effect { target: Target::Memory, change: Change::Plus(step), minutes: minute..until, onset: 20, release: 1 },
    ]
}
