//! NAB's scoring: detections are worth the more the earlier they come in a labelled window.
//!
//! A. Lavin and S. Ahmad, "Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly
//! Benchmark", ICMLA 2015, as its repository computes it (`nab/sweeper.py`). The first
//! detection in a window earns up to 1, the later the less; a window without one costs the
//! profile's weight; each detection outside costs up to its weight, little just after a window.
//! The first 15 % of a file, 750 rows at most, are probation and count for nothing.
//!
//! NAB takes the threshold that is best on the whole corpus, and so does [`sweep`]; what is
//! reached at a fixed threshold is the figure that a user will see.

/// What mistakes cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// As NAB calls it.
    pub name: &'static str,
    /// A window that is found.
    pub hit: f64,
    /// A detection outside.
    pub false_alarm: f64,
    /// A window that is missed.
    pub miss: f64,
}

/// NAB's three profiles.
pub const PROFILES: [Profile; 3] = [
    Profile { name: "standard", hit: 1.0, false_alarm: 0.11, miss: 1.0 },
    Profile { name: "reward_low_FP_rate", hit: 1.0, false_alarm: 0.22, miss: 1.0 },
    Profile { name: "reward_low_FN_rate", hit: 1.0, false_alarm: 0.11, miss: 2.0 },
];

/// What a detection at a row is worth, before a profile weighs it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Worth {
    /// Nothing: the detector may still learn.
    Probation,
    /// So much, if it is the first in the window of this number.
    Within(usize, f64),
    /// So much, below 0.
    Outside(f64),
}

/// Rows of a file that are probation.
pub fn probation(rows: usize) -> usize {
    rows.min(5000) * 15 / 100
}

fn scaled_sigmoid(position: f64) -> f64 {
    if position >= 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}

/// What each row of a file is worth, by its windows: first and last row, ascending.
pub fn worths(rows: usize, windows: &[(usize, usize)]) -> Vec<Worth> {
    let most = scaled_sigmoid(-1.0);
    let probation = probation(rows);
    (0..rows)
        .map(|row| {
            if row < probation {
                return Worth::Probation;
            }
            let begun = windows.iter().take_while(|(first, _)| *first <= row).count();
            let Some((first, last)) = begun.checked_sub(1).and_then(|n| windows.get(n)) else {
                return Worth::Outside(-1.0);
            };
            if row <= *last {
                let position = -((last - row + 1) as f64) / (last - first + 1) as f64;
                return Worth::Within(begun - 1, scaled_sigmoid(position) / most);
            }
            Worth::Outside(scaled_sigmoid((row - last) as f64 / (last - first) as f64))
        })
        .collect()
}

/// The score of a file at one threshold, not normalised; `detected` are rows.
pub fn score(worths: &[Worth], detected: impl IntoIterator<Item = usize>, profile: Profile) -> f64 {
    let mut tally = Tally::of([worths], profile);
    detected.into_iter().filter_map(|row| worths.get(row)).for_each(|worth| tally.detect(0, *worth));
    tally.score
}

/// A running score.
struct Tally {
    profile: Profile,
    score: f64,
    /// By file and window: what its best detection is worth.
    windows: Vec<Vec<Option<f64>>>,
}

impl Tally {
    /// Nothing detected: all windows that can be found are missed.
    fn of<'a>(files: impl IntoIterator<Item = &'a [Worth]>, profile: Profile) -> Self {
        let mut tally = Self { profile, score: 0.0, windows: Vec::new() };
        for worths in files {
            let mut windows: Vec<Option<f64>> = Vec::new();
            for worth in worths {
                if let Worth::Within(window, _) = worth
                    && *window >= windows.len()
                {
                    windows.resize(window + 1, None);
                    tally.score -= profile.miss;
                }
            }
            tally.windows.push(windows);
        }
        tally
    }

    fn detect(&mut self, file: usize, worth: Worth) {
        match worth {
            Worth::Probation => {}
            Worth::Outside(cost) => self.score += cost * self.profile.false_alarm,
            Worth::Within(window, worth) => {
                let worth = worth * self.profile.hit;
                let Some(best) = self.windows.get_mut(file).and_then(|windows| windows.get_mut(window)) else { return };
                let before = best.unwrap_or(-self.profile.miss);
                if worth > before {
                    self.score += worth - before;
                    *best = Some(worth);
                }
            }
        }
    }
}

/// The threshold at which a corpus of files scores best, and that score, not normalised. A row
/// is detected where its score is at least the threshold. A threshold that detects nothing is
/// among those that are tried.
pub fn sweep(files: &[(&[Worth], &[f64])], profile: Profile) -> (f64, f64) {
    let mut rows: Vec<(f64, usize, Worth)> = Vec::new();
    for (file, (worths, scores)) in files.iter().enumerate() {
        let scored = scores.iter().zip(worths.iter()).filter(|(_, worth)| **worth != Worth::Probation);
        rows.extend(scored.map(|(score, worth)| (*score, file, *worth)));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut tally = Tally::of(files.iter().map(|(worths, _)| *worths), profile);
    let mut best = (f64::INFINITY, tally.score);
    for equal in rows.chunk_by(|a, b| a.0 == b.0) {
        equal.iter().for_each(|(_, file, worth)| tally.detect(*file, *worth));
        if let Some((threshold, ..)) = equal.first().filter(|_| tally.score > best.1) {
            best = (*threshold, tally.score);
        }
    }
    best
}

/// The score as it is published: 100 where each window is found at its first row and nothing
/// else, 0 where nothing is ever detected. `None` without windows.
pub fn normalised(score: f64, windows: usize, profile: Profile) -> Option<f64> {
    let (least, most) = (-profile.miss * windows as f64, profile.hit * windows as f64);
    (windows > 0).then(|| 100.0 * (score - least) / (most - least))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: Profile = PROFILES[0];

    #[test]
    fn the_first_row_of_a_window_earns_all_and_its_last_little() {
        let worths = worths(1000, &[(500, 599)]);
        assert!((score(&worths, [500], STANDARD) - 1.0).abs() < 1e-12);
        let late = (2.0 / (1.0 + (-0.05_f64).exp()) - 1.0) / (2.0 / (1.0 + (-5.0_f64).exp()) - 1.0);
        assert!((score(&worths, [599], STANDARD) - late).abs() < 1e-12);
        assert!((score(&worths, [599, 500, 550], STANDARD) - 1.0).abs() < 1e-12, "only the first counts");
        assert_eq!(score(&worths, [], PROFILES[2]), -2.0);
    }

    #[test]
    fn detections_outside_cost_and_those_in_probation_do_not() {
        let worths = worths(1000, &[(500, 599)]);
        assert_eq!(probation(1000), 150);
        assert_eq!(probation(22_695), 750);
        assert_eq!(score(&worths, [0, 149], STANDARD), -1.0);
        assert!((score(&worths, [150, 400], STANDARD) + 1.22).abs() < 1e-12, "far before a window: the whole weight");
        let near = 0.11 * (2.0 / (1.0 + (5.0_f64 / 99.0).exp()) - 1.0);
        assert!((score(&worths, [600], STANDARD) - (near - 1.0)).abs() < 1e-12);
    }

    #[test]
    fn the_sweep_finds_the_best_threshold_or_none() {
        let worths = worths(100, &[(50, 59)]);
        let mut scores = vec![0.1; 100];
        (scores[50], scores[80]) = (0.9, 0.95);
        let (threshold, best) = sweep(&[(&worths, &scores)], STANDARD);
        assert_eq!(threshold, 0.9);
        assert!((best - (1.0 - 0.11)).abs() < 1e-5, "{best}");
        let quiet = vec![0.5; 100];
        assert_eq!(sweep(&[(&worths, &quiet)], STANDARD).1, -1.0);
        assert_eq!(normalised(-1.0, 1, STANDARD), Some(0.0));
        assert_eq!(normalised(1.0, 1, STANDARD), Some(100.0));
        assert_eq!(normalised(0.0, 0, STANDARD), None);
    }
}
