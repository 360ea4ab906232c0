//! The random processes that a history is made of. All are a function of the seed: a
//! process that depends on its mean draws each minute from its own place in the stream,
//! so that an incident changes no other minute.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};

use super::calendar::Calendar;

/// Words of the stream that a minute may use.
const WORDS_PER_MINUTE: u128 = 256;

/// The sources of randomness of one history.
#[derive(Clone, Copy, Debug)]
pub struct Dice {
    seed: u64,
}

impl Dice {
    /// Of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The generator of one process.
    pub fn stream(self, stream: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(stream);
        rng
    }

    /// The generator of one process at one minute.
    pub fn minute(self, stream: u64, minute: usize) -> ChaCha8Rng {
        let mut rng = self.stream(stream);
        rng.set_word_pos(minute as u128 * WORDS_PER_MINUTE);
        rng
    }

    /// Counts with these means.
    pub fn counts(self, stream: u64, means: &[f64]) -> Vec<f64> {
        let draw = |(minute, mean): (usize, &f64)| {
            Poisson::new(*mean).map_or(0.0, |p| p.sample(&mut self.minute(stream, minute)))
        };
        means.iter().enumerate().map(draw).collect()
    }

    /// Standard normal numbers.
    pub fn normal(self, stream: u64, length: usize) -> Vec<f64> {
        StandardNormal.sample_iter(self.stream(stream)).take(length).collect()
    }

    /// A stationary AR(1) process with this deviation: each value is `memory` times the
    /// last and a bit of noise.
    pub fn wander(self, stream: u64, length: usize, memory: f64, deviation: f64) -> Vec<f64> {
        let fresh = deviation * (1.0 - memory * memory).sqrt();
        let mut last: Option<f64> = None;
        let step = |z: f64| {
            let next = last.map_or(deviation * z, |v| memory * v + fresh * z);
            last = Some(next);
            next
        };
        self.normal(stream, length).into_iter().map(step).collect()
    }

    /// Ones, but for rare bursts: with probability `rate` a minute is a value from
    /// `sizes`, and lasts `minutes`.
    pub fn bursts(self, stream: u64, length: usize, rate: f64, sizes: (f64, f64), minutes: usize) -> Vec<f64> {
        use rand::Rng;
        let mut rng = self.stream(stream);
        let mut factors = vec![1.0; length];
        for minute in 0..length {
            let (begins, size) = (rng.random_bool(rate), rng.random_range(sizes.0..sizes.1));
            if begins {
                factors.iter_mut().skip(minute).take(minutes).for_each(|f| *f = size);
            }
        }
        factors
    }
}

/// How busy people keep a system: about 0.25 by night and 1 at the busiest; weekends
/// begin later and stay lower.
pub fn busy(calendar: Calendar, length: usize) -> Vec<f64> {
    let bump = |hour: f64, middle: f64, width: f64| {
        let away = (hour - middle).abs();
        let away = away.min(24.0 - away);
        (-0.5 * (away / width).powi(2)).exp()
    };
    let at = |minute| {
        let hour = calendar.hour(minute);
        if calendar.weekend(minute) {
            0.24 + 0.36 * bump(hour, 15.5, 4.0) + 0.10 * bump(hour, 21.0, 2.0)
        } else {
            0.24 + 0.50 * bump(hour, 10.5, 2.3) + 0.52 * bump(hour, 15.5, 2.8) + 0.22 * bump(hour, 20.5, 1.8)
        }
    };
    (0..length).map(at).collect()
}
