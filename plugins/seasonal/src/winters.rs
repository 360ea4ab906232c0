//! Holt and Winters' additive smoothing without a trend (Winters 1960), in the form that corrects
//! errors: the level takes over a share of each error, the season at its phase a share of the rest.
//!
//! Errors are clipped before anything is learned from them, as in the robust smoothing of Gelper,
//! Fried and Croux (2010): an outage must not become what is expected.

use signal::calibration::median;

/// A level and a season that follow a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Winters {
    /// The level, then what the season adds at each phase; without a season that is nothing.
    pub memory: Vec<f32>,
    /// Shares of an error that level and season take over.
    pub shares: (f32, f32),
    /// An error counts for so much at most.
    pub clip: f32,
}

impl Winters {
    /// The level and season of a history whose first value lies at a column: medians.
    pub fn of(history: &[f32], start: i64, season: Option<usize>, shares: (f32, f32)) -> Self {
        let level = median(&mut history.to_vec());
        let length = season.unwrap_or(1);
        let mut memory = vec![0.0; length + 1];
        memory[0] = if level.is_nan() { 0.0 } else { level };
        if season.is_some() {
            let mut phases: Vec<Vec<f32>> = vec![Vec::new(); length];
            for (column, value) in (start..).zip(history).filter(|(_, value)| !value.is_nan()) {
                // The neighbours speak, too: of a few seasons alone a median says little.
                for beside in -1..=1 {
                    phases[(column + beside).rem_euclid(length as i64) as usize].push(value - level);
                }
            }
            for (at, values) in memory[1..].iter_mut().zip(&mut phases) {
                let usual = median(values);
                *at = if usual.is_nan() { 0.0 } else { usual };
            }
        }
        Self { memory, shares, clip: f32::INFINITY }
    }

    fn at(&self, column: i64) -> usize {
        let length = self.memory.len().saturating_sub(1).max(1) as i64;
        column.rem_euclid(length) as usize + 1
    }

    /// What a column is expected to be.
    pub fn expects(&self, column: i64) -> f32 {
        self.memory.first().copied().unwrap_or(0.0) + self.memory.get(self.at(column)).copied().unwrap_or(0.0)
    }

    /// Learns from the value of a column; from a missing one nothing.
    pub fn learn(&mut self, column: i64, value: f32) {
        let error = (value - self.expects(column)).clamp(-self.clip, self.clip);
        if error.is_nan() {
            return;
        }
        let (alpha, gamma) = self.shares;
        let at = self.at(column);
        let seasonal = self.memory.len() > 2;
        if let Some(level) = self.memory.first_mut() {
            *level += alpha * error;
        }
        if let Some(phase) = self.memory.get_mut(at).filter(|_| seasonal) {
            *phase += gamma * (1.0 - alpha) * error;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daily(hour: i64) -> f32 {
        if (8..18).contains(&hour.rem_euclid(24)) { 10.0 } else { 2.0 }
    }

    #[test]
    fn a_season_is_expected_and_a_new_level_is_followed() {
        let history: Vec<f32> = (0..96).map(daily).collect();
        let mut winters = Winters::of(&history, 0, Some(24), (0.1, 0.1));
        assert_eq!((winters.expects(96 + 12), winters.expects(96 + 2)), (10.0, 2.0));
        for hour in 96..196 {
            winters.learn(hour, daily(hour) + 5.0);
        }
        assert!((winters.expects(204) - daily(204) - 5.0).abs() < 0.2, "{}", winters.expects(204));
    }

    #[test]
    fn an_outage_is_not_learned_and_a_gap_changes_nothing() {
        let history: Vec<f32> = (0..96).map(daily).collect();
        let mut winters = Winters::of(&history, 0, Some(24), (0.1, 0.1));
        winters.clip = 0.5;
        let before = winters.clone();
        winters.learn(96, f32::NAN);
        assert_eq!(winters, before);
        winters.learn(96, -1e6);
        assert!((winters.expects(97) - daily(97)).abs() <= 0.1);
    }

    #[test]
    fn without_a_season_it_is_a_moving_average() {
        let mut winters = Winters::of(&[4.0; 10], 0, None, (0.1, 0.1));
        (10..200).for_each(|column| winters.learn(column, 6.0));
        assert!((winters.expects(300) - 6.0).abs() < 1e-3);
    }
}
