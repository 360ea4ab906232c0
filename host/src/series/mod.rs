//! Time series as the whole house speaks of them: labels, samples, the shared grid.
//!
//! Pure data and arithmetic: nothing here knows a plugin, a store or a clock.

mod grid;
mod labels;
mod matcher;
mod samples;

pub use grid::{Aggregate, Grid, Matrix};
pub use labels::{LabelError, Labels, MetricName};
pub use matcher::{MatchOp, Matcher, MatcherError, Matchers};
pub use samples::{Kind, SampleError, Samples};

/// An instant or a span in milliseconds; instants count from the Unix epoch, in UTC.
pub type Millis = i64;
