//! When: clocks, crons and what is due.

mod clock;
pub mod fair;
mod plan;

pub use clock::{Clock, ManualClock, SystemClock};
pub use plan::{Due, Instants};
