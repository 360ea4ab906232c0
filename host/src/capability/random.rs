//! Random numbers that depend on tenant, plugin and call alone: a replay draws the same.

use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use sha2::{Digest as _, Sha256};

use super::Holder;

/// Bytes of one draw at most.
pub const DRAW_BYTES: usize = 64 << 10;

/// The generator of one call.
#[derive(Clone, Debug)]
pub struct Random {
    seed: u64,
    generator: ChaCha12Rng,
}

impl Random {
    /// A generator for the call `subject`.
    pub fn open(holder: &Holder, subject: &str) -> Self {
        let mut hasher = Sha256::new();
        for part in [&holder.tenant, &holder.plugin, subject] {
            // With its length, so that no two lists of parts are the same bytes.
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut generator = ChaCha12Rng::from_seed(hasher.finalize().into());
        Self { seed: generator.next_u64(), generator }
    }

    /// A number to seed a guest's own generator with; always the same in a call.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// So many bytes, or `None` for more than [`DRAW_BYTES`].
    pub fn draw(&mut self, count: u32) -> Option<Vec<u8>> {
        let count = usize::try_from(count).ok().filter(|count| *count <= DRAW_BYTES)?;
        let mut bytes = vec![0; count];
        self.generator.fill_bytes(&mut bytes);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_call_draws_the_same_and_another_draws_others() {
        let holder = |tenant: &str| Holder { tenant: tenant.into(), plugin: "knn".into() };
        let draw = |tenant: &str, subject: &str| Random::open(&holder(tenant), subject).draw(16);
        assert_eq!(draw("a", "fit/1"), draw("a", "fit/1"));
        assert_ne!(draw("a", "fit/1"), draw("a", "fit/2"));
        assert_ne!(draw("a", "fit/1"), draw("b", "fit/1"));
        assert_eq!(Random::open(&holder("a"), "x").draw(65_537), None);
    }
}
