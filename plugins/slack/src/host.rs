//! What the bot needs of its host, so that its calls can be tested without one.

use anomd_notifier::http::{self, Request, Response};
use anomd_notifier::{Level, clock, kv, log};

/// The host's functions.
pub trait Host {
    /// Sends a request.
    fn send(&self, request: &Request) -> Result<Response, http::Fault>;
    /// What is kept under a key; nothing, too, where it cannot be read.
    fn recall(&self, key: &str) -> Option<String>;
    /// Keeps a text. Whether it was kept is of no consequence but for a line in the log.
    fn keep(&self, key: &str, text: &str);
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

    fn keep(&self, key: &str, text: &str) {
        if let Err(fault) = kv::put(key, text.as_bytes()) {
            self.warn(&format!("{key} is not kept: {fault:?}"));
        }
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
