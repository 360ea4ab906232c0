//! A request and its answer, as a plugin speaks of them.

use std::time::Duration;

use super::secret::{Auth, Blank};

/// The methods of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as HTTP names them")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A URL.
    Url(String),
    /// The URL in this secret slot.
    Secret(String),
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Where it goes.
    pub target: Target,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// Credentials that are added here.
    pub auth: Option<Auth>,
    /// Places that secrets fill.
    pub blanks: Vec<Blank>,
    /// The body; may be empty.
    pub body: Vec<u8>,
    /// Other than the usual time, if the plugin is in a hurry or knows that it takes long.
    pub timeout: Option<Duration>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names and values; bytes that are no UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not granted; the text says what to grant.
    Denied(String),
    /// It took too long.
    Timeout,
    /// Larger than so many bytes.
    TooLarge(usize),
    /// The request is not one.
    Invalid(String),
    /// The other side, or the way to it.
    Transport(String),
}
