//! How good a detector is on labelled series: they are replayed through the host and the
//! component as production calls them, and the scores are held to the labels.
//!
//! [`metric`] has the measures, pure and each with its source. [`find`] and [`evaluate`] make
//! the outcomes, [`summaries`] and [`comparisons`] say what they mean. The same files with the
//! same components give the same figures, but for times.

mod alerting;
pub mod backtest;
mod breakdown;
mod contender;
mod cpu;
mod dataset;
mod error;
mod generated;
mod memory;
pub mod metric;
mod replay;
mod run;
mod summary;

pub use alerting::default_threshold;
pub use breakdown::{AtThreshold, OfKind, Seasons};
pub use contender::{Contender, Member, Spec};
pub use cpu::cpu_seconds;
pub use dataset::{Labelled, Source, find};
pub use error::EvalError;
pub use generated::{Set, Truth};
pub use memory::peak_memory_bytes;
pub use replay::{Replayed, Track, replay};
pub use run::{At, Cost, Figures, Options, Outcome, evaluate};
pub use summary::{Comparison, NabScore, Summary, comparisons, summaries};

#[cfg(test)]
mod tests;
