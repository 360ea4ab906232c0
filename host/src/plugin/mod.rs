//! Components as the rest of the host sees them: a trait a role, and faults with blame.
//!
//! Nothing of wasmtime or of the generated bindings leaves this module.

mod role;

pub use role::{
    Call, Cause, Detect, Fitted, Ingest, LogSink, Loss, Needs, Notify, Page, Problem, Scored, Skip, Term, Window,
};
