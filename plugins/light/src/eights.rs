//! Numbers eight at a time, always in the same order: rounding does not depend on where a row begins.

use wide::f32x8;

/// Numbers that are looked at together.
pub const LANES: usize = 8;

/// Where each eight of so many begins. The last may overlap those before, so that none is left over:
/// one by itself takes as long as eight. Fewer than eight are none.
pub fn eights(count: usize, mut of: impl FnMut(usize)) {
    let Some(last) = count.checked_sub(LANES) else { return };
    (0..last).step_by(LANES).for_each(&mut of);
    of(last);
}

/// Eight from a place on, where there are so many.
pub fn eight<T>(values: &[T], at: usize) -> Option<&[T; LANES]> {
    values.get(at..)?.first_chunk()
}

/// The same, to be written.
pub fn eight_mut<T>(values: &mut [T], at: usize) -> Option<&mut [T; LANES]> {
    values.get_mut(at..)?.first_chunk_mut()
}

/// The smaller of each and a number; NaN stays.
pub fn no_more(values: f32x8, most: f32) -> f32x8 {
    let most = f32x8::splat(most);
    values.simd_gt(most).bitselect(most, values)
}

/// The larger of each and a number; NaN stays.
pub fn no_less(values: f32x8, least: f32) -> f32x8 {
    let least = f32x8::splat(least);
    values.simd_lt(least).bitselect(least, values)
}

/// The sum of numbers: in a sandbox each turn of a loop costs.
pub fn sum(values: &[f32]) -> f32 {
    let (parts, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for part in parts {
        for lane in 0..LANES {
            lanes[lane] += part[lane];
        }
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, value)| *lane += value);
    f32x8::new(lanes).reduce_add()
}

/// The sum of what is made of so many numbers as are known when this is compiled: without a turn.
pub fn total<const N: usize>(values: &[f32; N], of: impl Fn(f32x8) -> f32x8) -> f32 {
    let mut lanes = f32x8::splat(0.0);
    for first in (0..N).step_by(LANES) {
        // Of what is not there, 0 is made.
        lanes += of(f32x8::new(std::array::from_fn(|lane| if first + lane < N { values[first + lane] } else { 0.0 })));
    }
    lanes.reduce_add()
}

/// The mean of the last so many before `end`, of those that are there; NaN if that is fewer than half.
pub fn mean<const COUNT: usize>(values: &[f32], end: usize, of: impl Fn(f32x8) -> f32x8) -> f32 {
    let from = end.checked_sub(COUNT).and_then(|from| values.get(from..));
    let Some(last): Option<&[f32; COUNT]> = from.and_then(|from| from.first_chunk()) else { return f32::NAN };
    let all = total(last, &of);
    if !all.is_nan() {
        return all / COUNT as f32;
    }
    let there = last.iter().filter(|value| !value.is_nan());
    let (sum, seen) = there.fold((0.0, 0), |(sum, seen), &value| {
        let [made, ..] = of(f32x8::splat(value)).to_array();
        (sum + made, seen + 1)
    });
    if 2 * seen >= COUNT { sum / seen as f32 } else { f32::NAN }
}

/// The squared distance of two shapes.
pub fn distance<const N: usize>(a: &[f32; N], b: &[f32; N]) -> f32 {
    let mut squares = f32x8::splat(0.0);
    for (a, b) in a.as_chunks().0.iter().zip(b.as_chunks().0) {
        let difference = f32x8::new(*a) - f32x8::new(*b);
        squares += difference * difference;
    }
    squares.reduce_add()
}
