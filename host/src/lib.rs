//! anomd: anomaly detection for metrics, with every source, detector and notifier a
//! sandboxed WebAssembly component.
//!
//! The modules are layers: each uses only those below it in this list, which a test keeps.
//! `cli` → `demo`, [`eval`] → `web` → `node` → `schedule` → `pipeline` → [`desk`] → `alert` →
//! [`plugin`] → [`capability`] → [`engine`] → [`store`] → [`config`] → [`message`] → [`fault`] → [`series`].

pub mod alert;
pub mod capability;
pub mod cli;
pub mod config;
pub mod demo;
pub mod desk;
pub mod engine;
pub mod eval;
pub mod fault;
pub mod message;
pub mod node;
pub mod pipeline;
pub mod plugin;
pub mod schedule;
pub mod series;
pub mod store;
pub mod web;
