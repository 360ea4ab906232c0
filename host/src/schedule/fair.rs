//! Which of the runs that are due start first: pure, with what everybody used passed in.
//!
//! The tenant that used the least CPU lately goes first, and of its runs the one that waits
//! the longest. A tenant that used much waits behind one that used little, and never for
//! good: what it used counts less with each minute. Each run that is started adds a small
//! guess of its cost, so that a tenant with a thousand runs does not start them all before
//! another's first.

use std::collections::BTreeMap;

use crate::series::Millis;

/// What a run is taken to cost before anybody knows, in seconds of CPU.
const GUESS: f64 = 0.05;

/// A run that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting<'a> {
    /// Whose.
    pub tenant: &'a str,
    /// Since when.
    pub scheduled: Millis,
}

/// What a tenant has of the node.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// CPU that it used lately, in seconds.
    pub load: f64,
    /// Its runs that are under way.
    pub running: usize,
    /// Runs that it may have under way at once; `None`: as many as there are places.
    pub at_once: Option<usize>,
}

/// The numbers of those that start now, in their order: at most `places`, and of no tenant
/// more than it may have.
pub fn pick(waiting: &[Waiting<'_>], places: usize, share: impl Fn(&str) -> Share) -> Vec<usize> {
    let mut queues: BTreeMap<&str, (Share, Vec<usize>)> = BTreeMap::new();
    for (number, run) in waiting.iter().enumerate() {
        queues.entry(run.tenant).or_insert_with(|| (share(run.tenant), Vec::new())).1.push(number);
    }
    for (_, queue) in queues.values_mut() {
        // The longest wait last, where it is taken from.
        queue.sort_by_key(|number| std::cmp::Reverse((waiting.get(*number).map(|run| run.scheduled), *number)));
    }
    let mut picked = Vec::new();
    while picked.len() < places {
        let may = |(share, queue): &(Share, Vec<usize>)| {
            !queue.is_empty() && share.at_once.is_none_or(|most| share.running < most)
        };
        let next = queues.values_mut().filter(|queue| may(queue)).min_by(|a, b| a.0.load.total_cmp(&b.0.load));
        let Some((share, queue)) = next else { break };
        share.load += GUESS;
        share.running += 1;
        picked.extend(queue.pop());
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(runs: &[(&'static str, Millis)]) -> Vec<Waiting<'static>> {
        runs.iter().map(|(tenant, scheduled)| Waiting { tenant, scheduled: *scheduled }).collect()
    }

    #[test]
    fn who_used_much_waits_behind_who_used_little() {
        let waiting = due(&[("greedy", 1), ("greedy", 2), ("modest", 9), ("greedy", 3)]);
        let share = |tenant: &str| Share { load: if tenant == "greedy" { 30.0 } else { 0.1 }, ..Share::default() };
        assert_eq!(pick(&waiting, 1, share), [2]);
        assert_eq!(pick(&waiting, 3, share), [2, 0, 1]);
        assert_eq!(pick(&waiting, 9, share), [2, 0, 1, 3]);
    }

    #[test]
    fn equals_take_turns_and_the_longest_wait_goes_first() {
        let waiting = due(&[("a", 5), ("a", 4), ("a", 6), ("b", 7), ("b", 3)]);
        assert_eq!(pick(&waiting, 9, |_| Share::default()), [1, 4, 0, 3, 2]);
    }

    #[test]
    fn nobody_has_more_runs_than_it_may_however_many_places_are_free() {
        let waiting = due(&[("a", 1), ("a", 2), ("a", 3), ("b", 4)]);
        let share = |tenant: &str| match tenant {
            "a" => Share { running: 1, at_once: Some(2), ..Share::default() },
            _ => Share { load: 9.0, ..Share::default() },
        };
        assert_eq!(pick(&waiting, 9, share), [0, 3]);
        assert_eq!(pick(&waiting, 0, share), [0; 0]);
    }
}
