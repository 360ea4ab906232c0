//! Why a call into a component gave nothing, and who has to act.
//!
//! Blame decides everything that follows: whether the call is tried again, the label of
//! the metric, and who is told.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::series::Millis;

/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// The plugin's author: it trapped, or gave what the contract forbids.
    Plugin,
    /// The operator, by raising a limit; or the author, by needing less.
    Limit,
    /// Whoever runs the system at the other end.
    Remote,
    /// The operator: the configuration or a grant is wrong.
    Operator,
    /// We.
    Host,
}

impl Blame {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Plugin, Self::Limit, Self::Remote, Self::Operator, Self::Host];
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plugin => "plugin",
            Self::Limit => "limit",
            Self::Remote => "remote",
            Self::Operator => "operator",
            Self::Host => "host",
        })
    }
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same call would fail the same way.
    Never,
    /// After a back-off of our choice.
    Backoff,
    /// After so many milliseconds, as the remote side said.
    After(u32),
}

/// The contract's `error`: what a component answers when it cannot do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginError {
    /// The operator must change the configuration.
    BadConfig(String),
    /// The remote side refused our credentials.
    Unauthorized(String),
    /// Try again later; in so many milliseconds, if the remote side said.
    Busy(Option<u32>),
    /// The remote side failed or could not be reached.
    Unavailable(String),
    /// The plugin cannot do this with this input.
    Unsupported(String),
    /// A fault in the plugin itself.
    Internal(String),
}

impl PluginError {
    /// Who has to act.
    pub fn blame(&self) -> Blame {
        match self {
            Self::BadConfig(_) | Self::Unauthorized(_) | Self::Unsupported(_) => Blame::Operator,
            Self::Busy(_) | Self::Unavailable(_) => Blame::Remote,
            Self::Internal(_) => Blame::Plugin,
        }
    }

    /// Whether trying again can help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Busy(Some(ms)) => Retry::After(*ms),
            Self::Busy(None) | Self::Unavailable(_) => Retry::Backoff,
            Self::BadConfig(_) | Self::Unauthorized(_) | Self::Unsupported(_) | Self::Internal(_) => Retry::Never,
        }
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadConfig(text) => write!(f, "the configuration is wrong: {text}"),
            Self::Unauthorized(text) => write!(f, "the remote side refused our credentials: {text}"),
            Self::Busy(Some(ms)) => write!(f, "the remote side is busy and asks to wait {ms} ms"),
            Self::Busy(None) => f.write_str("the remote side is busy"),
            Self::Unavailable(text) => write!(f, "the remote side cannot be used: {text}"),
            Self::Unsupported(text) => write!(f, "not supported: {text}"),
            Self::Internal(text) => write!(f, "a fault in the plugin: {text}"),
        }
    }
}

/// A call that gave nothing: where, why, who has to act, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Who has to act.
    pub blame: Blame,
    /// The tenant for whom the call was made; empty when it was nobody's: while loading.
    pub tenant: String,
    /// The plugin's name.
    pub plugin: String,
    /// The plugin's version, where it is known.
    pub version: String,
    /// The export that was called: `fetch`, say. Empty when the plugin did not load.
    pub export: String,
    /// What happened, without what stands in the fields above.
    pub message: String,
    /// What to do about it; may be empty.
    pub remedy: String,
    /// The last lines that the plugin logged.
    pub log_tail: Vec<String>,
    /// What the plugin itself answered, if it did.
    pub answer: Option<PluginError>,
    /// From when on there are calls again, where there was none: the plugin is in quarantine.
    #[serde(default)]
    pub until: Option<Millis>,
}

impl Fault {
    /// Whether trying again can help.
    pub fn retry(&self) -> Retry {
        match (&self.answer, self.blame) {
            (Some(answer), _) => answer.retry(),
            (None, Blame::Remote | Blame::Host) => Retry::Backoff,
            (None, Blame::Plugin | Blame::Limit | Blame::Operator) => Retry::Never,
        }
    }
}

impl std::error::Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.tenant.is_empty() {
            write!(f, "tenant {}: ", self.tenant)?;
        }
        write!(f, "plugin {}", self.plugin)?;
        if !self.version.is_empty() {
            write!(f, " {}", self.version)?;
        }
        if !self.export.is_empty() {
            write!(f, ", {}", self.export)?;
        }
        write!(f, ": {} (blame: {})", self.message, self.blame)?;
        for line in &self.log_tail {
            write!(f, "\n  log: {line}")?;
        }
        if !self.remedy.is_empty() {
            write!(f, "\n  {}", self.remedy)?;
        }
        Ok(())
    }
}
