//! When: clocks, crons and what is due.

mod clock;

pub use clock::{Clock, ManualClock, SystemClock};
