//! `anomd demo`: a synthetic history with known incidents, and the judgement of what was
//! found of them. Nothing that detects knows this module.

pub mod history;
pub mod table;
