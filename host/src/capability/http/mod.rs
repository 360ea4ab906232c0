//! Requests of plugins: what leaves, to where, and what comes back.
//!
//! Nothing is reached by default. A request passes these checks in this order: its URL
//! parses, and has no user name; its origin is granted; the name resolves, by our own
//! resolver, to an address that is public or in a granted network, and never to a metadata
//! or link-local one; the connection goes to a checked address and no other; redirects are
//! answers, not followed; secrets are put in last, and only for the origins listed with
//! them; size, time and number are capped. Secrets that the server sends back are taken out
//! of the answer. The plugin sees neither secrets nor addresses.

mod client;
mod exchange;
mod origin;
mod redact;
mod resolve;
mod secret;

pub use client::{Grant, Http, Net};
pub use exchange::{Answer, Fault, Method, Request, Target};
pub use origin::{Origin, Pattern};
pub use resolve::{Resolve, SystemResolver};
pub use secret::{Auth, Blank, Digest, Signature};
