//! What would have fired: a batch's own history through the jobs of production.
//!
//! A [`Trial`] is one configuration over a [`History`]. It runs the chain of
//! [`pipeline`](crate::pipeline), train, score, change and alert, on a store in memory and a
//! logical clock, so that models, scores, the event rule, limits and markers are those of a
//! node that had run with it; nothing here judges a point. A fit sees only what came before it.
//! Nobody is told, no language model is asked, and nothing is kept.
//!
//! A model may keep something of the one before it, and an alert may be on when a span begins:
//! a trial is run in for a day at least before the span that is told of. So a node that was
//! started later than that, or much earlier, may have judged a point a little otherwise.
//!
//! What cannot be known: a node that was down, or samples that came late. A trial has every
//! sample when its time comes.

mod error;
mod figures;
mod history;
mod name;
mod plot;
mod report;
mod trial;

pub use error::BacktestError;
pub use figures::{Figures, Judgement, Longest, SeriesFigures};
pub use history::{History, Raised, Recorded, Rows};
pub use name::Names;
pub use report::{Report, expected, lasted, report};
pub use trial::{Fired, Pace, Setting, Trial, lead, pace, pair, run, run_in};
