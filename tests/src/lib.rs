//! Helpers of the end-to-end tests: the binary as a user runs it, and the real systems it
//! talks to.
//!
//! Every server listens on a free port of the loopback interface, keeps its files in a folder
//! of its own, and is gone when the value that holds it is dropped.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what goes wrong in a test ends it"
)]

mod alertmanager;
mod anomd;
pub mod anomstack;
mod api;
mod browser;
mod exporter;
mod live;
mod model;
mod prometheus;
mod proxy;
mod receiver;
mod runtime;
mod server;
mod smtp;
mod source;
mod tool;
mod visitor;
mod wait;

pub use alertmanager::Alertmanager;
pub use anomd::{Anomd, Output};
pub use api::{Api, Reply};
pub use browser::journey;
pub use exporter::Exporter;
pub use live::{Event, Live};
pub use model::Model;
pub use prometheus::{LOGIN, NodeExporter, Point, Prometheus, Starting};
pub use proxy::Proxy;
pub use receiver::{Received, Receiver};
pub use runtime::{get, page};
pub use server::{Server, free_port};
pub use smtp::{Mail, SMTP_LOGIN, Smtp};
pub use source::{EVERYTHING, Sample, Source, load};
pub use tool::{program, skipped, tools};
pub use visitor::{Answer, Visitor};
pub use wait::until;

/// Milliseconds since the Unix epoch.
pub type Millis = i64;

/// A minute.
pub const MINUTE: Millis = 60_000;
/// An hour.
pub const HOUR: Millis = 60 * MINUTE;

/// The instant as the command line takes it.
pub fn instant(time: Millis) -> String {
    chrono::DateTime::from_timestamp_millis(time).unwrap().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The instant that the command line printed.
#[track_caller]
pub fn millis(text: &serde_json::Value) -> Millis {
    let read = text.as_str().and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
    read.unwrap_or_else(|| panic!("{text} is no instant")).timestamp_millis()
}

/// The time at which a program of tests first asked, rounded down to the hour: the same to its end,
/// whatever hour strikes between.
#[expect(clippy::disallowed_methods, reason = "real servers have the real time")]
pub fn this_hour() -> Millis {
    static HOUR_OF_THE_TESTS: std::sync::LazyLock<Millis> =
        std::sync::LazyLock::new(|| chrono::Utc::now().timestamp_millis() / HOUR * HOUR);
    *HOUR_OF_THE_TESTS
}
