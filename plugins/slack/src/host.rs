//! What the bot needs of its host, so that its calls can be tested without one.

use anomd_notifier::http::{self, Request, Response};
use anomd_notifier::{Level, clock, kv, log};

/// The host's functions.
pub trait Host {
    /// Sends a request.
    fn send(&self, request: &Request) -> Result<Response, http::Fault>;
    /// What is kept under a key; nothing, too, where it cannot be read.
    fn recall(&self, key: &str) -> Option<String>;
    /// Keeps a text; `false`: there is no room for it. Other faults are of no consequence but
    /// for a line in the log.
    fn keep(&self, key: &str, text: &str) -> bool;
    /// The first keys that begin so, some hundreds at most.
    fn kept(&self, prefix: &str) -> Vec<String>;
    /// Forgets a key that holds this text.
    fn forget(&self, key: &str, text: &str);
    /// A line for the operator.
    fn warn(&self, message: &str);
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> i64;
}

/// The imports of the component.
pub struct Imports;

impl Host for Imports {
    fn send(&self, request: &Request) -> Result<Response, http::Fault> {
        http::send(request)
    }

    fn recall(&self, key: &str) -> Option<String> {
        let bytes = kv::get(key).unwrap_or_else(|fault| {
            self.warn(&format!("{key} cannot be read: {fault:?}"));
            None
        })?;
        String::from_utf8(bytes).ok()
    }

    fn keep(&self, key: &str, text: &str) -> bool {
        let fault = kv::put(key, text.as_bytes()).err();
        if let Some(fault) = &fault {
            self.warn(&format!("{key} is not kept: {fault:?}"));
        }
        !matches!(fault, Some(kv::Fault::Quota(_)))
    }

    fn kept(&self, prefix: &str) -> Vec<String> {
        kv::keys(prefix, None, 200).unwrap_or_default()
    }

    fn forget(&self, key: &str, text: &str) {
        if let Err(fault) = kv::swap(key, Some(text.as_bytes()), None) {
            self.warn(&format!("{key} is not removed: {fault:?}"));
        }
    }

    fn warn(&self, message: &str) {
        log::write(Level::Warn, message, &[]);
    }

    fn now(&self) -> i64 {
        clock::now()
    }
}
