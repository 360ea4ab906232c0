//! Series in which nothing happens, and the incidents that are laid into them.

/// Minutes of a day.
pub const DAY: usize = 1_440;
/// Minutes of a series.
pub const MINUTES: usize = 14 * DAY;
/// A Monday at midnight, in minutes since the Unix epoch.
pub const MONDAY: i64 = 29_459_520;
/// What series are like.
pub const KINDS: [&str; 6] = ["gaussian", "ar1", "poisson", "lognormal", "sawtooth", "rare"];
/// What is laid into them.
pub const INCIDENTS: [&str; 3] = ["shift", "noise", "minimum"];

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    /// In 0 to 1.
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Of the standard normal distribution (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 50.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let (limit, mut product, mut count) = ((-mean).exp(), self.uniform(), 0.0);
        while product > limit {
            product *= self.uniform();
            count += 1.0;
        }
        count
    }
}

/// A series of a kind; half of the kinds' seeds have weekends. `noisier`: minutes whose noise is
/// four times as much.
pub fn series(kind: usize, seed: u64, noisier: std::ops::Range<usize>) -> Vec<f64> {
    let mut random = Random(seed * 1_000 + kind as u64);
    let (phase, weekends) = (random.uniform(), seed.is_multiple_of(2));
    let amplitude = 0.2 + 0.8 * random.uniform();
    let mut wander = 0.0;
    (0..MINUTES)
        .map(|minute| {
            let day = 1.0 + amplitude * (std::f64::consts::TAU * (minute as f64 / DAY as f64 + phase)).sin() * 0.8;
            let level = if weekends && minute / DAY % 7 >= 5 { 0.6 * day } else { day };
            let more = if noisier.contains(&minute) { 4.0 } else { 1.0 };
            match kind {
                0 => 100.0 * level + 10.0 * more * random.normal(),
                1 => {
                    wander = 0.95 * wander + 3.0 * random.normal() * more;
                    100.0 * level + wander
                }
                2 => (20.0 * level + more * (random.poisson(20.0 * level) - 20.0 * level)).round().max(0.0),
                3 => 50.0 * level * (0.4 * more * random.normal()).exp(),
                4 => 100.0 * ((minute as f64 / DAY as f64 + phase).fract()) + 3.0 * more * random.normal(),
                _ => random.poisson(0.02 * level * more * more),
            }
        })
        .collect()
}

/// A series with one incident, and its minutes; `None` where the incident is nothing there.
pub fn incident(kind: usize, seed: u64, which: usize) -> Option<(Vec<f64>, std::ops::Range<usize>)> {
    let mut random = Random(seed * 77 + which as u64);
    let begin = 8 * DAY + (random.uniform() * 5.0 * DAY as f64) as usize;
    let calm = series(kind, seed, 0..0);
    let mut sorted = calm.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let (low, high) = (sorted[MINUTES / 100], sorted[MINUTES - MINUTES / 100]);
    let span = begin..begin + if which == 2 { 30 } else { 60 };
    let mut values = calm;
    match which {
        0 => {
            let half = if kind == 5 { 1.0 } else { (high - low) / 2.0 };
            values[span.clone()].iter_mut().for_each(|value| *value += half);
        }
        1 if kind != 5 => values = series(kind, seed, span.clone()),
        2 if kind != 5 && kind != 4 => values[span.clone()].fill(sorted[0]),
        _ => return None,
    }
    Some((values, span))
}
