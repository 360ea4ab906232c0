//! Random numbers from a seed: SplitMix64 (G. Steele, D. Lea, C. Flood: Fast splittable
//! pseudorandom number generators, 2014).

/// A stream of numbers; the same seed gives the same.
pub struct Random(u64);

impl Random {
    /// That of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 bits.
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 to below `count`, which is not 0.
    pub fn below(&mut self, count: usize) -> usize {
        // The high half of the product; its bias is below 1e-9 for counts of rows.
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }
}
