//! References that are walked side by side, four columns of eight of them at a time.
//!
//! A guest looks at its deadline at each turn of a loop, and what it has in vector registers is put away
//! for that. And its compiler begins with all that a turn loads. So a turn is as much as there are registers
//! for, and where its values lie is one look-up and one check of bounds.

use wide::f32x4;

use super::rows::{ROW, Rows};
use super::{INVERSES, LENGTHS, LONGEST, keep};

/// References that are walked side by side.
pub const LANES: usize = 8;
/// Vectors of so many lanes.
const QUADS: usize = LANES / 4;
/// Columns that are walked back between two looks at the deadline.
pub const STEPS: usize = 4;
/// Turns of a walk over the longest.
pub const TURNS: usize = LONGEST / STEPS;
/// For each of them, where its oldest value is from the newest one, modulo the size of a number.
const BACK: [usize; TURNS] = {
    let mut back = [1; TURNS];
    let mut turn = 0;
    while turn < TURNS {
        back[turn] = 1usize.wrapping_sub((turn + 1) * STEPS);
        turn += 1;
    }
    back
};

/// The newest value first, each in all lanes.
pub type Query = [[f32x4; STEPS]; TURNS];

/// A window, oldest value first.
#[inline(always)]
pub fn query(window: &[f32; LONGEST]) -> Query {
    let mut lanes = [[f32x4::splat(0.0); STEPS]; TURNS];
    for (turn, values) in lanes.iter_mut().zip(window.as_chunks().0.iter().rev()) {
        let [d, c, b, a]: [f32; STEPS] = *values;
        *turn = [a, b, c, d].map(f32x4::splat);
    }
    lanes
}

/// A number for each of the [`LANES`].
type Numbers = [f32x4; QUADS];

/// The least squared distances of each lane so far.
pub struct Lanes {
    centred: [Numbers; LENGTHS.len()],
    raw: [Numbers; LENGTHS.len()],
    /// The least ones of all lanes at the longest length, centred and raw.
    least: (f32x4, f32x4),
    /// Infinite in lanes without a reference, else nothing.
    unused: Numbers,
}

impl Lanes {
    /// Of so many lanes with a reference. At the longest length no less than these, centred and raw, need be found.
    pub fn new(used: usize, known: (f32, f32)) -> Self {
        let none = [[f32x4::splat(f32::INFINITY); QUADS]; LENGTHS.len()];
        let unused = |lane: usize| if lane < used { 0.0 } else { f32::INFINITY };
        Self {
            centred: none,
            raw: none,
            least: (f32x4::splat(known.0), f32x4::splat(known.1)),
            unused: std::array::from_fn(|quad| f32x4::new(std::array::from_fn(|lane| unused(4 * quad + lane)))),
        }
    }

    /// The least squared distances that were found at each length, of each lane: centred and raw.
    pub fn found(&self) -> impl Iterator<Item = ([f32; LANES], [f32; LANES])> {
        let each = |numbers: &Numbers| std::array::from_fn(|lane| numbers[lane / 4].to_array()[lane % 4]);
        self.centred.iter().zip(&self.raw).map(move |(centred, raw)| (each(centred), each(raw)))
    }

    /// Compares `query`, its newest value first, with the windows that end at a reference in each lane.
    /// The values of the lanes in the [`STEPS`] columns of a turn of the walk back are in `values`, the oldest column first and
    /// a column every `APART` places: `at` places after what `turns` says, modulo the size of a number.
    #[inline(always)]
    fn visit<const APART: usize, const SPAN: usize>(
        &mut self,
        query: &Query,
        values: &[f32],
        turns: &[usize; TURNS],
        at: usize,
    ) {
        let mut sums = [f32x4::splat(0.0); QUADS];
        let mut squares = self.unused;
        let mut walked = 0;
        for (index, (length, inverse)) in LENGTHS.into_iter().zip(INVERSES).enumerate() {
            let (Some(query), Some(turns)) = (query.get(walked..length / STEPS), turns.get(walked..length / STEPS))
            else {
                return;
            };
            walked = length / STEPS;
            // At each turn of a loop a guest looks at its deadline and puts its vectors away, so a turn is as
            // much as there are registers for.
            for (query, turn) in query.iter().zip(turns) {
                let Some(span) = values.get(turn.wrapping_add(at)..).and_then(|from| from.first_chunk::<SPAN>()) else {
                    return;
                };
                for quad in 0..QUADS {
                    let [a, b, c, d]: [f32x4; STEPS] =
                        std::array::from_fn(|step| query[step] - four(span, (STEPS - 1 - step) * APART + 4 * quad));
                    sums[quad] += (a + b) + (c + d);
                    squares[quad] += (a * a + b * b) + (c * c + d * d);
                }
            }
            let mut nearer = f32x4::splat(0.0);
            for quad in 0..QUADS {
                let squares = squares[quad];
                let centred = squares - sums[quad] * sums[quad] * f32x4::splat(inverse);
                self.raw[index][quad] = lesser(squares, self.raw[index][quad]);
                self.centred[index][quad] = lesser(centred, self.centred[index][quad]);
                nearer |= centred.simd_lt(self.least.0) | squares.simd_lt(self.least.1);
            }
            // Distances grow with the length, the least ones too.
            if !nearer.any() {
                return;
            }
        }
        let last = LENGTHS.len() - 1;
        self.least = (least(self.centred[last], self.least.0), least(self.raw[last], self.least.1));
    }

    /// Lanes that are columns beside each other, the first of which is the value `newest`.
    #[inline(never)]
    pub fn visit_beside(&mut self, query: &Query, values: &[f32], newest: usize) {
        self.visit::<1, { STEPS - 1 + LANES }>(query, values, &BACK, newest);
    }

    /// Lanes that are references, from one on.
    // By itself, so that its few vectors stay in registers in a sandbox too.
    #[inline(never)]
    pub fn visit_references(&mut self, query: &Query, rows: &Rows, first: usize) {
        self.visit::<ROW, { (STEPS - 1) * ROW + LANES }>(query, &rows.values, &rows.turns, first);
    }
}

/// The least of all lanes and of what was the least before, in all lanes.
fn least(lanes: Numbers, before: f32x4) -> f32x4 {
    let lesser = lanes.into_iter().fold(before, |least, squares| lesser(squares, least));
    let mut least = f32::INFINITY;
    lesser.to_array().into_iter().for_each(|squares| keep(&mut least, squares));
    f32x4::splat(least)
}

/// The smaller one in each lane. NaN, a reference with a gap, is not smaller.
#[inline(always)]
fn lesser(squares: f32x4, least: f32x4) -> f32x4 {
    squares.simd_lt(least).select(squares, least)
}

/// Four of several values, which there have to be.
#[inline(always)]
pub fn four<const N: usize>(values: &[f32; N], from: usize) -> f32x4 {
    const NONE: &[f32; 4] = &[f32::NAN; 4];
    f32x4::new(*values.get(from..from + 4).and_then(|four| four.first_chunk()).unwrap_or(NONE))
}
