//! What a run of scores is worth against labels: pure functions.
//!
//! Each is the published definition, named with its source, and is held to published or
//! hand-computed values by tests. None of them adjusts points: a score that is drawn at random
//! reaches the state of the art where one hit counts for its whole event.
//!
//! Scores are finite here, the larger the odder; who has none says 0 before.

pub mod bootstrap;
pub mod curve;
pub mod event;
pub mod nab;
pub mod period;
pub mod vus;

/// The runs of labelled rows, both ends included.
pub fn runs(labels: &[bool]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (row, _) in labels.iter().enumerate().filter(|(_, label)| **label) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == row => *last = row,
            _ => runs.push((row, row)),
        }
    }
    runs
}

#[cfg(test)]
mod published;
