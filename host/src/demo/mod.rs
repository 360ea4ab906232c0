//! The stage of `anomd demo`: a synthetic history with known incidents, a Prometheus of our
//! own that serves it on loopback as a real server would, and the judgement of what was
//! found. Nothing that detects knows this module.
//!
//! The endpoint answers what the ingester and a curious person ask, over a small part of
//! PromQL; it scrapes nothing and keeps nothing.

pub mod endpoint;
mod evaluate;
pub mod history;
mod promql;
mod source;
pub mod table;

pub use source::{Family, Source};
