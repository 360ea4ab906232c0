//! Ingester `prometheus`: series of a Prometheus server, or of one that answers like it,
//! by PromQL over the HTTP API.
//!
//! Counters become rates here and not on the server, so that one query serves history and
//! increments alike, and so that gaps and resets are seen. The README beside this folder's
//! manifest tells what each key does.

mod address;
mod api;
mod config;
mod cursor;
mod discover;
mod fetch;
mod metadata;
mod rate;
mod response;
mod selector;
mod span;
mod target;
mod window;

use anomd_ingester::http::{self, Request, Response};
use anomd_ingester::{
    Descriptor, Error, Ingester, Level, Page, Problem, SecretSlot, Window, clock, export_ingester, log,
};

pub use api::Host;
pub use config::Config;
pub use fetch::page;

/// The plugin.
pub struct Prometheus;

impl Ingester for Prometheus {
    type Config = Config;

    fn describe() -> Descriptor {
        let slot = |name: &str, purpose: &str| SecretSlot { name: name.into(), purpose: purpose.into() };
        Descriptor {
            name: "prometheus".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Series of a Prometheus server by PromQL; counters as rates".into(),
            config_schema: config::SCHEMA.into(),
            origins: vec!["{{config.url}}".into()],
            secrets: vec![
                slot("password", "The password of `username`, for basic authentication"),
                slot("token", "The bearer token, for `auth: bearer`"),
            ],
        }
    }

    fn check(config: &Config) -> Vec<Problem> {
        config::check(config)
    }

    fn fetch(config: &Config, window: Window, cursor: Option<Vec<u8>>) -> Result<Page, Error> {
        page(&Imports, config, &window, cursor.as_deref())
    }
}

/// The host's own functions.
struct Imports;

impl Host for Imports {
    fn send(&self, request: &Request) -> Result<Response, http::Fault> {
        http::send(request)
    }

    fn log(&self, level: Level, message: &str) {
        log::write(level, message, &[]);
    }

    fn now(&self) -> i64 {
        clock::now()
    }
}

export_ingester!(Prometheus);
