//! What a component sees of the host.
//!
//! A capability has three moments, named alike: *link*, once a plugin, where the interface
//! is put before it, or is not; *grant*, once a use of the plugin for a tenant, which
//! checks what the operator wrote and can fail with a text for them; *open*, once a call,
//! with fresh counters. Linking belongs to the version of the contract, and is in
//! `plugin`; nothing here knows WebAssembly.

pub mod clock;
pub mod http;
pub mod kv;
pub mod log;
pub mod mail;
pub mod random;
pub mod tls;

use std::sync::Arc;

pub use log::LogSink;

use crate::config::DEFAULT_TENANT;
use crate::series::Millis;

/// A grant of the operator that makes no sense, or a grant that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ungranted {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// For whom and for which plugin something is granted: texts name both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// The tenant.
    pub tenant: String,
    /// The plugin, by the name that batches use.
    pub plugin: String,
}

impl Holder {
    /// Whether the operator of the node is the tenant.
    fn is_default(&self) -> bool {
        self.tenant == DEFAULT_TENANT
    }

    /// What lets it reach more: an `origin`, a `network` or a `recipient`.
    fn widen(&self, kind: &str, item: &str) -> String {
        let Self { tenant, plugin } = self;
        let file = format!("add \"{item}\" to tenants.{tenant}.grants.{plugin}.{kind}s in anomd.yaml");
        if self.is_default() { file } else { format!("{file}, or run `anomd tenant policy {tenant} --{kind} {item}`") }
    }
}

/// All that one use of a plugin is granted.
#[derive(Clone)]
pub struct Granted {
    /// Who holds it.
    pub holder: Arc<Holder>,
    /// Requests.
    pub http: http::Grant,
    /// Kept bytes.
    pub kv: kv::Grant,
    /// Mail.
    pub mail: mail::Grant,
    /// Log lines.
    pub log: log::Grant,
}

impl Granted {
    /// The capabilities of one call.
    pub fn open(&self, now: Millis, subject: &str, sink: Arc<dyn LogSink>) -> Open {
        Open {
            log: self.log.open(&self.holder, sink),
            clock: clock::Clock::open(now),
            random: random::Random::open(&self.holder, subject),
            http: self.http.open(),
            kv: self.kv.open(),
            mail: self.mail.open(now),
        }
    }
}

/// The capabilities of one call.
pub struct Open {
    /// Log lines.
    pub log: log::Log,
    /// The logical now.
    pub clock: clock::Clock,
    /// Seeded numbers.
    pub random: random::Random,
    /// Requests.
    pub http: http::Http,
    /// Kept bytes.
    pub kv: kv::Kv,
    /// Mail.
    pub mail: mail::Outgoing,
}
