//! Series for the default detector: a day, a drift, noise. The same here and in the example
//! that runs the detector natively, so that both do the same work.

/// A minute a value.
pub fn walk(row: usize, minutes: usize) -> Vec<f64> {
    let mut state = row as u64 + 1;
    let mut level = 100.0;
    let mut value = |minute: usize| {
        // Four uniform numbers of SplitMix64 (Steele, Lea, Flood 2014) are nearly normal.
        let noise: f64 = (0..4).map(|_| uniform(&mut state) - 0.5).sum();
        level += 0.02 * noise;
        let day = (minute as f64 / 1_440.0 * std::f64::consts::TAU).sin();
        level + 20.0 * day + 3.0 * noise
    };
    (0..minutes).map(&mut value).collect()
}

fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}
