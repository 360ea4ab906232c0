//! Requests of plugins: what leaves, to where, and what comes back.
//!
//! Nothing is reached by default. A request passes these checks in this order: its URL
//! parses, and has no user name; its origin is granted; the name resolves, by our own
//! resolver, to an address that is public or in a granted network, and never to a metadata
//! or link-local one, and an address that stands in the URL passes the same; the connection
//! goes to a checked address and no other; redirects are answers, not followed; secrets are
//! put in last, and only for the origins listed with them; size, time and number are capped,
//! of those at once too. Secrets that the server sends back are taken out of the answer, as
//! far as `redact` finds them. The environment names no proxy to us.
//!
//! The plugin sees no secret; of addresses it sees the one for which it was refused.

mod answer;
mod client;
mod connect;
mod exchange;
#[cfg(test)]
pub(super) mod fakes;
mod net;
mod origin;
mod redact;
mod request;
mod resolve;
mod secret;
#[cfg(test)]
mod tests;

pub use client::{Grant, Http};
#[cfg(test)]
pub use connect::LoopbackConnector;
pub(super) use connect::reach;
pub use connect::{Connect, SystemConnector};
pub use exchange::{Answer, Fault, Method, Request, Target};
pub use net::Net;
pub use origin::{Origin, Pattern};
pub use resolve::{Resolve, SystemResolver};
pub(super) use resolve::{Unreachable, addresses};
pub use secret::{Auth, Blank, Digest, Signature};

/// The reason at the bottom of an error.
fn reason(error: &dyn std::error::Error) -> String {
    let mut reason = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
